"""Tenants, companies and people of the demo, and with the stories everything that happened, as rows."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from argon2 import PasswordHasher

from portal.db import cast
from portal.demo import coming, reading, telling
from portal.demo.days import Days
from portal.domain.base import uuid7

BEGAN = 390  # working days ago: with the portal, a year and a half
GERMAN = 'bill'  # reads the portal in German

_TENANTS: tuple[dict[str, Any], ...] = (
    {'name': cast.NORTHWIND, 'short_name': 'Northwind', 'host': 'localhost', 'accent': None, 'phone': '030 23125 420',
     'phone_hours': 'Mon–Fri 7:30–18:00'},
    {'name': cast.SOUTHGATE, 'short_name': 'Southgate', 'host': 'southgate.localhost', 'accent': '#0f766e',
     'phone': '089 99998 250', 'phone_hours': 'Mon–Sat 6:00–16:00'},
)  # fmt: skip


#: How to reach them, by slug; and what staff should know.
_KNOWN: dict[str, dict[str, str]] = {
    'acme': {'phone': '0511 23125 0', 'website': 'https://acme.example', 'street': 'Lister Meile 31', 'postal_code': '30161',
             'city': 'Hannover', 'country': 'Germany', 'outside_ref': 'K-1007'},
    'bolt': {'phone': '040 23125 800', 'website': 'https://bolt.example', 'street': 'Veddeler Damm 14', 'postal_code': '20457',
             'city': 'Hamburg', 'country': 'Germany', 'outside_ref': 'K-1012'},
    'bakery': {'phone': '089 23125 60', 'website': 'https://bakery.example', 'street': 'Marktplatz 3', 'postal_code': '80331',
               'city': 'München', 'country': 'Germany', 'outside_ref': 'K-1'},
}  # fmt: skip
_NOTES = {
    'acme': 'No visits Tue and Thu before 12: surgery. Server room key at reception, ask for Petra. Ada prefers a call.',
    'bolt': 'Deliveries to gate 4. In Halle 4 only with a safety vest; Bea meets you at the gate.',
}


def rows(password: str, now: datetime | None = None) -> telling.Rows:
    """By table; dated back from now."""
    days = Days.until(now or datetime.now(UTC))
    ids = telling.Ids(
        tenants={tenant['name']: uuid7() for tenant in _TENANTS},
        companies={slug: uuid7() for slug in cast.COMPANIES},
        people={key: uuid7() for key in cast.PEOPLE},
        categories={provider: {name: uuid7() for name in names} for provider, names in cast.CATEGORIES.items()},
    )
    found = telling.rows(reading.stories(), days, ids)
    _add_tenants(found, ids, days)
    _add_roles(found, ids, days)
    _add_people(found, ids, days, password)
    _add_desk(found, ids, days)
    coming.add(found, ids, days)
    return found


def _add_tenants(found: telling.Rows, ids: telling.Ids, days: Days) -> None:
    since = days.moment(BEGAN, time(9))
    for tenant in _TENANTS:
        me = ids.tenants[tenant['name']]
        _add(found, 'tenant', **tenant, id=me, language='en', timezone='Europe/Berlin', idle_minutes=480, session_hours=168,
             reopen_days=14, created_at=since)  # fmt: skip
        _log(found, me, None, _founder(ids, tenant['name']), since, 'tenant.founded', me)
        for place, (name, category) in enumerate(ids.categories[tenant['name']].items(), 1):
            _add(found, 'category', id=category, tenant_id=me, name=name, place=place, created_at=since)
    for slug, (name, provider) in cast.COMPANIES.items():
        me, tenant = ids.companies[slug], ids.tenants[provider]
        _add(found, 'company', id=me, tenant_id=tenant, slug=slug, name=name, created_at=since, **_KNOWN[slug])
        _log(found, tenant, me, _founder(ids, provider), since, 'company.added', me, name=name)


#: Of one's own, given to nobody: the cast keeps the roles of the stories.
_ROLES = (
    ('Practice lead', 'client', 'ClientUser', ['tickets.see', 'tickets.see_company', 'tickets.open', 'tickets.reply', 'tickets.close',
                                               'profile.edit', 'company.edit']),
    ('Dispatcher', 'internal', 'Technician', ['tickets.see', 'tickets.open', 'tickets.reply', 'tickets.close', 'tickets.work',
                                              'companies.see', 'companies.manage', 'desk.own', 'desk.team', 'profile.edit']),
)  # fmt: skip


def _add_roles(found: telling.Rows, ids: telling.Ids, days: Days) -> None:
    tenant, by = ids.tenants[cast.NORTHWIND], _founder(ids, cast.NORTHWIND)
    for name, user_type, based_on, permissions in _ROLES:
        me = uuid7()
        _add(found, 'role', id=me, tenant_id=tenant, name=name, user_type=user_type, based_on=based_on, permissions=permissions)
        _log(found, tenant, None, by, days.moment(40, time(11)), 'role.added', me, name=name, user_type=user_type,
             permissions=permissions)  # fmt: skip


def _add_people(found: telling.Rows, ids: telling.Ids, days: Days, password: str) -> None:
    since = days.moment(BEGAN, time(10))
    hashed = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1).hash(password)  # as the door does
    for key, person in cast.PEOPLE.items():
        me, tenant = ids.people[key], ids.tenants[person.provider]
        _add(found, 'users', tenant_id=tenant, id=me, email=person.email, name=person.name, theme='auto', mail_off=[],
             user_type='internal' if person.staff_role else 'client', staff_role=person.staff_role,
             language='de' if key == GERMAN else None, created_at=since)  # fmt: skip
        _add(found, 'credential', tenant_id=tenant, user_id=me, password_hash=hashed, changed_at=since)
        for slug, role in person.companies.items():
            company = ids.companies[slug]
            _add(found, 'membership', tenant_id=tenant, id=uuid7(), user_id=me, company_id=company, role=role, created_at=since)
            _log(found, tenant, company, _founder(ids, person.provider), since, 'person.added', me, role=role)
    for slug, body in _NOTES.items():
        provider = cast.COMPANIES[slug][1]
        _add(found, 'company_note', tenant_id=ids.tenants[provider], company_id=ids.companies[slug], body=body,
             author_id=_founder(ids, provider), changed_at=since)  # fmt: skip


#: Title, text, language, and whose it is: of one person, or of the team.
_REPLIES = (
    ('We are on it', 'Hello {first_name},\n\nthank you, we are looking at {ticket} now and come back to you today.\n\n{me}', 'en', 'mona', True),
    ('Restart and tell us', 'Hello {first_name},\n\nplease restart the device once and tell us whether it still happens:\n\n- off, '
     'ten seconds, on\n- then the same step again\n\n{me}', 'en', 'mona', True),
    ('Fernwartung anbieten', 'Guten Tag {requester},\n\nwann passt Ihnen eine Fernwartung von 15 Minuten?\n\n{me}, {msp}', 'de', 'mona', True),
    ('Lunch break', 'I am back at 13:00 and call you then, {first_name}.', None, 'tess', False),
)  # fmt: skip
#: Name, what it asks for, whose it is, and whether the team has it.
_VIEWS = (
    ('Bolt, open', {'view': 'turn', 'company': 'bolt'}, 'tess', False),
    ('High and urgent', {'view': 'turn', 'priority': 'urgent,high'}, 'mona', True),
)


def _add_desk(found: telling.Rows, ids: telling.Ids, days: Days) -> None:
    """What staff keep for their work, and until when some tickets are to be done."""
    since, tenant = days.moment(30, time(9)), ids.tenants[cast.NORTHWIND]
    for title, body, language, owner, shared in _REPLIES:
        _add(found, 'canned_reply', id=uuid7(), tenant_id=tenant, owner_id=ids.people[owner], title=title, body=body,
             language=language, is_shared=shared, changed_at=since)  # fmt: skip
    for name, query, owner, shared in _VIEWS:
        _add(found, 'saved_view', id=uuid7(), tenant_id=tenant, owner_id=ids.people[owner], name=name, query=query,
             is_shared=shared, created_at=since)  # fmt: skip
    ours = [row for row in found['ticket'] if row['status'] in ('new', 'open') and row['tenant_id'] == tenant]
    for row, shift in zip(ours, (-1, 0, 0, 1, 3), strict=False):
        due_on = (days.moment(0, time(12)) + timedelta(days=shift)).date()
        _add(found, 'ticket_due', ticket_id=row['id'], tenant_id=tenant, company_id=row['company_id'], due_on=due_on.isoformat(),
             is_open=True)  # fmt: skip


def _founder(ids: telling.Ids, provider: str) -> UUID:
    return next(ids.people[key] for key, p in cast.PEOPLE.items() if p.provider == provider and p.staff_role == 'MspAdmin')


def _log(
    found: telling.Rows,
    tenant: UUID,
    company: UUID | None,
    actor: UUID,
    at: datetime,
    action: str,
    subject: UUID,
    **detail: str | list[str],
) -> None:
    _add(found, 'audit', tenant_id=tenant, company_id=company, id=telling.id_at(at), at=at, actor_id=actor, action=action,
         subject_id=subject, detail=detail)  # fmt: skip


def _add(found: telling.Rows, table: str, **row: Any) -> None:
    found.setdefault(table, []).append(row)
