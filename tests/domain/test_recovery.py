"""Who may help whom to a lost factor, and that nothing ends before the person acts."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError

from portal.db.cast import Cast, Member
from portal.db.engine import Database
from portal.domain import clients, recovery
from portal.domain.access import NotAllowed, ProofNeeded
from portal.domain.base import NotFound, Wrong
from portal.settings import Settings
from portal.visit import Visit
from tests.factors import Phone

VisitAs = Callable[[Member], Awaitable[Visit]]


@pytest.fixture(autouse=True)
def phones(maintenance: str, settings: Settings, cast: Cast) -> None:
    """Who has no factor has lost none."""
    for who in (cast.ugo, cast.ada, cast.mona):
        Phone(maintenance, settings, who)


async def start(visit_as: VisitAs, by: Member, who: UUID, *, spoken: bool = False) -> None:
    visit = await visit_as(by)
    async with visit.work() as db:
        await recovery.start_recovery(db, visit.by, who, 'Lost on the train', spoken=spoken)


def row(maintenance: str, who: Member) -> Any:
    with psycopg.connect(maintenance, autocommit=True) as c:
        return c.execute(
            'select id, ready_at > now(), needs_staff, told_at is not null from recovery where user_id = %s and stopped_at is null '
            'and used_at is null', (who.user_id,),
        ).fetchone()  # fmt: skip


async def test_a_client_admin_helps_her_own_people(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    await start(visit_as, cast.ada, cast.ugo.user_id, spoken=True)
    _id, waits, needs_staff, told = row(maintenance, cast.ugo)
    assert waits and not needs_staff and not told  # only staff shorten it


@pytest.mark.parametrize('who', ['bea', 'mona', 'tess', 'cleo', 'stan'])
async def test_and_nobody_else(visit_as: VisitAs, cast: Cast, who: str) -> None:
    """Of another company, of the MSP, of another tenant: not there."""
    with pytest.raises(NotFound):
        await start(visit_as, cast.ada, getattr(cast, who).user_id)


async def test_who_belongs_elsewhere_too_is_looked_at_by_staff(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """And Ada learns nothing of it: the same answer, and the same in her list."""
    await start(visit_as, cast.ada, cast.ugo.user_id)
    await start(visit_as, cast.ada, cast.mel_acme.user_id)
    ada, mona = await visit_as(cast.ada), await visit_as(cast.mona)
    async with ada.work() as db:
        seen = await recovery.under_way(db)
    assert not seen[cast.ugo.user_id].needs_staff and not seen[cast.mel_acme.user_id].needs_staff
    async with mona.work() as db:
        assert (await recovery.under_way(db))[cast.mel_acme.user_id].needs_staff
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute('update recovery set ready_at = now() where tenant_id = %s', (cast.northwind.id,))
        c.execute('select app.send_recoveries()')
    assert row(maintenance, cast.ugo)[3] and not row(maintenance, cast.mel_acme)[3]


async def test_who_has_no_factor_has_lost_none(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    with pytest.raises(Wrong, match='reason') as e:
        await start(visit_as, cast.ada, cast.bill.user_id)
    assert 'no second factor' in e.value.fields['reason']
    assert row(maintenance, cast.bill) is None


async def test_what_another_company_has_begun_is_nothing_to_ada(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """Mel belongs to both. Ada neither sees, hears of, nor stops what Bea and the staff began, and her own answers are as ever."""
    mel = cast.mel_acme.user_id
    for by in (cast.mona, cast.bea):
        await start(visit_as, by, mel)
    ada, bea = await visit_as(cast.ada), await visit_as(cast.bea)
    async with ada.work() as db:
        assert await recovery.under_way(db) == {}
    with pytest.raises(NotFound):
        async with ada.work() as db:
            await recovery.stop_recovery(db, ada.by, mel)
    for _n in range(2):  # one more of today is in the cast
        await start(visit_as, cast.ada, mel)
        with pytest.raises(Wrong):
            await start(visit_as, cast.ada, mel)  # now it is her own
        async with ada.work() as db:
            await recovery.stop_recovery(db, ada.by, mel)
    async with bea.work() as db:
        assert set(await recovery.under_way(db)) == {mel}
    with psycopg.connect(maintenance) as c:
        asked = 'select count(*) from recovery where user_id = %s and stopped_at is null and used_at is null'
        assert c.execute(asked, (mel,)).fetchone() == (2,)


async def test_the_person_stops_all_of_it_with_one_link(
    visit_as: VisitAs, cast: Cast, maintenance: str, portal: Database
) -> None:
    for by in (cast.bea, cast.ada):
        await start(visit_as, by, cast.mel_acme.user_id)
    id = row(maintenance, cast.mel_acme)[0]
    assert (await ask(portal, 'select app.refuse_recovery(:tenant, :id)', tenant=cast.northwind.id, id=id))[0]
    assert row(maintenance, cast.mel_acme) is None


async def test_nobody_helps_above_their_own_rights(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    with pytest.raises(NotAllowed):
        await start(visit_as, cast.tess, cast.mona.user_id)  # a technician helps nobody
    with pytest.raises(NotAllowed):
        await start(visit_as, cast.ugo, cast.ada.user_id)
    with psycopg.connect(maintenance, autocommit=True) as c:  # a role that helps people, and sees no money
        made = c.execute(
            "insert into role (id, tenant_id, name, user_type, permissions) values (gen_random_uuid(), %s, 'Lead', 'client', "
            "'{tickets.see,profile.edit,people.manage}') returning id", (cast.northwind.id,),
        ).fetchone()  # fmt: skip
        assert made
        c.execute('update membership set role = null, role_id = %s where user_id = %s', (made[0], cast.ugo.user_id))
    with pytest.raises(Wrong, match='reason'):
        await start(visit_as, cast.ugo, cast.ada.user_id)
    with pytest.raises(Wrong, match='reason'):
        await start(visit_as, cast.ugo, cast.bill.user_id)


async def test_nobody_helps_themselves(visit_as: VisitAs, cast: Cast) -> None:
    for who in (cast.ada, cast.mona):
        with pytest.raises(Wrong, match='reason'):
            await start(visit_as, who, who.user_id)


async def test_it_takes_a_fresh_proof(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update session set proved_at = now() - interval '1 hour' where user_id = %s", (cast.mona.user_id,))
    with pytest.raises(ProofNeeded):
        await start(visit_as, cast.mona, cast.ugo.user_id)


async def test_of_several_at_once_one_begins(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    found = await asyncio.gather(*(start(visit_as, cast.mona, cast.ugo.user_id) for _n in range(5)), return_exceptions=True)
    assert sum(each is None for each in found) == 1 and sum(isinstance(each, Wrong) for each in found) == 4
    with psycopg.connect(maintenance) as c:
        letters = c.execute(
            "select count(*) from audit where subject_id = %s and action = 'recovery.started'", (cast.ugo.user_id,)
        ).fetchone()
    assert letters == (1,)


def ask(portal: Database, question: str, **values: Any) -> Awaitable[Any]:
    return portal.ask(question, **values)


async def test_used_once_and_only_then_the_old_ones_end(
    visit_as: VisitAs, cast: Cast, maintenance: str, portal: Database
) -> None:
    """Mel has a passkey. Two browsers finish at the same moment: one of them sets up a new factor."""
    await start(visit_as, cast.mona, cast.mel_acme.user_id, spoken=True)
    id, waits, _staff, told = row(maintenance, cast.mel_acme)
    assert told and not waits
    keys = 'select count(*) from passkey where user_id = %s'
    with psycopg.connect(maintenance, autocommit=True) as c:
        assert c.execute(keys, (cast.mel_acme.user_id,)).fetchone() == (1,)

    async def set_up(n: int) -> bool:
        key = f'{{"id": "00000000-0000-4000-8000-{cast.mel_acme.user_id.hex[:11]}{n}", "name": "New", "credential": "{cast.mel_acme.user_id.hex}0{n}", '
        key += '"public": "00", "count": 0, "transports": [], "backed_up": false}'
        question = "select app.set_up_passkey(:tenant, :user, '{password}', :recovery, cast(:key as jsonb))"
        try:
            return (await ask(portal, question, tenant=cast.northwind.id, user=cast.mel_acme.user_id, recovery=id, key=key))[0]
        except DBAPIError:
            return False

    assert sorted(await asyncio.gather(*(set_up(n) for n in range(4)))) == [False, False, False, True]
    with psycopg.connect(maintenance, autocommit=True) as c:
        assert c.execute('select count(*), min(name) from passkey where user_id = %s', (cast.mel_acme.user_id,)).fetchone() == (
            1,
            'New',
        )
        alive = c.execute(
            'select count(*) from session where user_id = %s and revoked_at is null', (cast.mel_acme.user_id,)
        ).fetchone()
    assert alive == (0,)


async def test_at_the_door_nothing_is_set_up_unasked(cast: Cast, portal: Database) -> None:
    """Without a rule that binds them, or a recovery: whoever knows a password adds no factor to it."""
    key = '{"id": "00000000-0000-4000-8000-000000000001", "name": "New", "credential": "00", "public": "00", "count": 0, '
    key += '"transports": [], "backed_up": false}'
    for who in (cast.ugo, cast.mel_acme):
        with pytest.raises(DBAPIError):
            await ask(portal, "select app.set_up_passkey(:tenant, :user, '{password}', null, cast(:key as jsonb))",
                      tenant=who.tenant_id, user=who.user_id, key=key)  # fmt: skip


async def test_stopped_by_the_person_it_is_over(visit_as: VisitAs, cast: Cast, maintenance: str, portal: Database) -> None:
    await start(visit_as, cast.mona, cast.ugo.user_id)
    id = row(maintenance, cast.ugo)[0]
    found = await asyncio.gather(*(
        ask(portal, 'select app.refuse_recovery(:tenant, :id)', tenant=cast.northwind.id, id=id) for _n in range(3)
    ))  # fmt: skip
    assert sorted(each[0] for each in found) == [False, False, True]
    state = await ask(portal, 'select state from app.recovery_at_door(:tenant, :id)', tenant=cast.northwind.id, id=id)
    assert state[0] == 'stopped'
    assert await ask(portal, 'select state from app.recovery_at_door(:tenant, :id)', tenant=cast.southgate.id, id=id) is None


async def test_nobody_s_mailbox_is_flooded(visit_as: VisitAs, cast: Cast) -> None:
    mona = await visit_as(cast.mona)
    for _n in range(3):
        await start(visit_as, cast.mona, cast.ugo.user_id)
        async with mona.work() as db:
            await recovery.stop_recovery(db, mona.by, cast.ugo.user_id)
    with pytest.raises(Wrong, match='reason'):
        await start(visit_as, cast.mona, cast.ugo.user_id)


async def test_a_new_address_ends_it(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    await start(visit_as, cast.mona, cast.ugo.user_id)
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        await clients.change_email(db, mona.by, cast.ugo.user_id, 'thief@acme.example')
    assert row(maintenance, cast.ugo) is None
