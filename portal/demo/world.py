"""Tenants, companies and people of the demo, as rows."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher

from portal.db import cast
from portal.domain.base import uuid7

Rows = dict[str, list[dict[str, Any]]]
SINCE = 560  # days ago: when the providers began with the portal
GERMAN = 'bill'

_TENANTS: tuple[dict[str, Any], ...] = (
    {'name': cast.NORTHWIND, 'short_name': 'Northwind', 'host': 'localhost', 'accent': None, 'phone': '030 23125 420',
     'phone_hours': 'Mon–Fri 7:30–18:00'},
    {'name': cast.SOUTHGATE, 'short_name': 'Southgate', 'host': 'southgate.localhost', 'accent': '#0f766e',
     'phone': '089 998 250 70', 'phone_hours': 'Mon–Sat 6:00–16:00'},
)  # fmt: skip


def rows(password: str) -> Rows:
    """Everything, dated back from now."""
    since = datetime.now(UTC) - timedelta(days=SINCE)
    tenants: dict[str, UUID] = {tenant['name']: uuid7() for tenant in _TENANTS}
    companies = {slug: uuid7() for slug in cast.COMPANIES}
    people = {key: uuid7() for key in cast.PEOPLE}
    found: Rows = {
        'tenant': [
            {**tenant, 'id': tenants[tenant['name']], 'language': 'en', 'timezone': 'Europe/Berlin', 'idle_minutes': 480,
             'session_hours': 168, 'reopen_days': 14, 'created_at': since}
            for tenant in _TENANTS
        ],
        'company': [
            {'id': companies[slug], 'tenant_id': tenants[provider], 'slug': slug, 'name': name, 'created_at': since}
            for slug, (name, provider) in cast.COMPANIES.items()
        ],
    }  # fmt: skip
    hashed = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1).hash(password)  # as the door does
    for key, person in cast.PEOPLE.items():
        tenant = {'tenant_id': tenants[person.provider]}
        _add(found, 'users', **tenant, id=people[key], email=person.email, name=person.name, theme='auto', mail_off=[],
             user_type='internal' if person.staff_role else 'client', staff_role=person.staff_role,
             language='de' if key == GERMAN else None, created_at=since)  # fmt: skip
        _add(found, 'credential', **tenant, user_id=people[key], password_hash=hashed, changed_at=since)
        for slug, role in person.companies.items():
            _add(found, 'membership', **tenant, id=uuid7(), user_id=people[key], company_id=companies[slug], role=role,
                 created_at=since)  # fmt: skip
    return found


def _add(found: Rows, table: str, **row: Any) -> None:
    found.setdefault(table, []).append(row)
