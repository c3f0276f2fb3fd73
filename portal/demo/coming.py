"""Who was invited, who needs what, and whom a company has looked through, as rows of the demo. Everybody of the cast still signs in
with the password alone."""

from datetime import datetime, time, timedelta
from typing import Any
from uuid import UUID

from portal.db import cast
from portal.demo import telling
from portal.demo.days import Days
from portal.domain.base import uuid7

#: E-mail, name, role, how many working days ago. After seven days an invitation is over.
_INVITED = (
    ('jonas@acme.example', 'Jonas Weber', 'ClientUser', 2),
    ('petra@acme.example', 'Petra Lang', 'ClientBilling', 12),
)
_REVIEWED = 20  # working days ago
_ADDRESS = {'name': 'Accounts', 'street': 'Hafenstraße 2', 'postal_code': '30159', 'city': 'Hannover', 'country': 'Germany'}


def add(found: telling.Rows, ids: telling.Ids, days: Days) -> None:
    acme = {'tenant_id': ids.tenants[cast.NORTHWIND], 'company_id': ids.companies['acme']}
    _add_invitations(found, acme, ids.people['ada'], days)
    _add_review(found, acme, ids, days)
    _add_rule(found, acme['tenant_id'], ids, days)
    since = days.moment(200, time(14))
    _add(found, 'company_address', **acme, id=uuid7(), kind='billing', changed_at=since, **_ADDRESS)
    for kind, who in (('billing', 'bill'), ('technical', 'ugo')):
        _add(found, 'company_contact', **acme, kind=kind, user_id=ids.people[who], changed_at=since)


def _add_invitations(found: telling.Rows, where: dict[str, UUID], by: UUID, days: Days) -> None:
    for email, name, role, ago in _INVITED:
        me, at = uuid7(), days.moment(ago, time(10, 20))
        _add(found, 'invitation', **where, id=me, email=email, name=name, role=role, number=1, invited_by_id=by, created_at=at,
             sent_at=at, expires_at=at + timedelta(days=7))  # fmt: skip
        _log(found, where, by, at, 'invitation.sent', me, email=email, name=name, role=role)


def _add_review(found: telling.Rows, where: dict[str, UUID], ids: telling.Ids, days: Days) -> None:
    me, opened, by = uuid7(), days.moment(_REVIEWED, time(8)), ids.people['ada']
    at = opened + timedelta(hours=2, minutes=12)
    _add(found, 'access_review', **where, id=me, opened_at=opened, due_at=opened + timedelta(days=14), reminders=0, confirmed_at=at,
         confirmed_by_id=by)  # fmt: skip
    kept = [key for key, person in cast.PEOPLE.items() if 'acme' in person.companies]
    for key in kept:
        _add(found, 'access_review_item', **where, review_id=me, user_id=ids.people[key], kept=True)
    _log(found, where, by, at, 'review.confirmed', me, kept=[cast.PEOPLE[key].name for key in kept], removed=[])


def _add_rule(found: telling.Rows, tenant: UUID, ids: telling.Ids, days: Days) -> None:
    """Of a role that nobody of the cast has there: an old demo would else ask for more than the password."""
    where, me, by, at = (
        {'tenant_id': tenant, 'company_id': ids.companies['bolt']},
        uuid7(),
        ids.people['mona'],
        days.moment(5, time(15)),
    )
    from_on = (days.today.replace(day=1) + timedelta(days=32)).replace(day=1).isoformat()
    _add(found, 'factor_rule', **where, id=me, user_type='client', role='ClientBilling', from_on=from_on, grace_days=14, sso_counts=True,
         made_by_id=by, made_at=at)  # fmt: skip
    _log(found, where, by, at, 'factor_rule.added', me, user_type='client', role='ClientBilling', from_on=from_on, grace_days=14,
         sso_counts=True)  # fmt: skip


def _log(
    found: telling.Rows, where: dict[str, UUID], actor: UUID, at: datetime, action: str, subject: UUID, **detail: Any
) -> None:
    _add(found, 'audit', **where, id=telling.id_at(at), at=at, actor_id=actor, action=action, subject_id=subject, detail=detail)


def _add(found: telling.Rows, table: str, **row: Any) -> None:
    found.setdefault(table, []).append(row)
