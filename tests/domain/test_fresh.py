"""Whoever lets people in, or lets them do more, has proved lately who they are: a session that was left open is not enough."""

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from portal.db.cast import Cast, Member
from portal.domain import clients, colleagues, invitations, limits, people, recovery, roles, team, trail
from portal.domain.access import ProofNeeded
from portal.domain.imports import doing
from portal.domain.people import company_by_slug
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]
BY_STAFF = (
    team.add_staff, team.change_staff_role, team.enable, team.welcome_staff, people.add_person, people.send_welcome,
    people.change_role, clients.change_email, clients.enable_client, invitations.invite, invitations.invite_all,
    invitations.invite_colleagues, invitations.send_again, invitations.send_colleague_again, limits.change_limits,
    limits.limit_company, limits.unlimit_company, recovery.start_recovery, recovery.hurry_recovery, recovery.stop_recovery,
    trail.change_retention, trail.begin_export, roles.add_role, roles.change_own_role, roles.remove_role, doing.start,
)  # fmt: skip
BY_CLIENTS = (
    colleagues.give_role, colleagues.remove, invitations.invite, invitations.invite_all, invitations.send_again,
    recovery.start_recovery, recovery.stop_recovery, trail.begin_export,
)  # fmt: skip


def age(maintenance: str, who: Member) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute("update session set proved_at = now() - interval '16 minutes' where user_id = %s", (who.user_id,))


@pytest.mark.parametrize(
    ('name', 'verb'),
    [*(('mona', verb) for verb in BY_STAFF), *(('ada', verb) for verb in BY_CLIENTS)],
    ids=lambda value: value if isinstance(value, str) else f'{value.__module__.rsplit(".", 1)[-1]}.{value.__name__}',
)
async def test_an_old_proof_is_asked_for_again(visit_as: VisitAs, cast: Cast, maintenance: str, name: str, verb: Any) -> None:
    who: Member = getattr(cast, name)
    age(maintenance, who)
    visit = await visit_as(who)
    with pytest.raises(ProofNeeded):
        async with visit.work() as db:
            await verb(db, visit.by)  # asked before anything else


async def test_nothing_is_done_with_an_old_one(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    age(maintenance, cast.mona)
    mona = await visit_as(cast.mona)
    with pytest.raises(ProofNeeded):
        async with mona.work() as db:
            acme = await company_by_slug(db, 'acme')
            await people.add_person(db, mona.by, acme, name='Flo', email='flo@acme.example', role='ClientAdmin')
    with psycopg.connect(maintenance) as c:
        assert c.execute("select 1 from users where email = 'flo@acme.example'").fetchall() == []
