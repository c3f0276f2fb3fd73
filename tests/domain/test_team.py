"""The MSP's own people, told with the named cast."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from sqlmodel import col, select

from portal.db.cast import Cast, Member
from portal.db.engine import SignedOut
from portal.domain.access import NotAllowed
from portal.domain.audit import Audit
from portal.domain.base import NotFound, Wrong, uuid7
from portal.domain.mail import Letter
from portal.domain.people import User
from portal.domain.team import add_staff, change_staff_role, disable, enable, welcome_staff
from portal.domain.tickets import Ticket
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]
Does = Callable[..., Awaitable[Any]]
THEO = {'name': 'Theo Vance', 'email': 'theo@northwind.example', 'role': 'Technician'}


@pytest.fixture
def does(visit_as: VisitAs) -> Does:
    """`await does(cast.mona, disable, cast.tess.user_id)`: a verb in a unit of work of its own."""

    async def do(who: Member, verb: Any, *values: Any, **more: Any) -> Any:
        visit = await visit_as(who)
        async with visit.work() as db:
            return await verb(db, visit.by, *values, **more)

    return do


@pytest.fixture
def stands(maintenance: str) -> Callable[[UUID], tuple[str, bool]]:
    """Role and whether disabled, as the database has it."""

    def ask(user: UUID) -> tuple[str, bool]:
        with psycopg.connect(maintenance) as connection:
            asked = 'select staff_role, disabled_at is not null from users where id = %s'
            row = connection.execute(asked, (user,)).fetchone()
        assert row
        return row

    return ask


Stands = Callable[[UUID], tuple[str, bool]]


async def log_of(visit_as: VisitAs, cast: Cast, subject: UUID) -> list[tuple[str, UUID | None, dict[str, Any]]]:
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        rows = list(await db.exec(select(Audit).where(Audit.subject_id == subject).order_by(col(Audit.at), col(Audit.id))))
    return [(row.action, row.actor_id, row.detail) for row in rows if row.action.startswith('staff.')]


async def test_mona_adds_theo_and_a_letter_is_promised(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    theo: User = await does(cast.mona, add_staff, name='  Theo   Vance ', email='Theo@Northwind.example', role='Technician')
    assert (theo.name, theo.email, theo.user_type, theo.staff_role) == ('Theo Vance', THEO['email'], 'internal', 'Technician')
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        [letter] = list(await db.exec(select(Letter).where(Letter.to_user_id == theo.id)))
    assert (letter.kind, letter.company_id, letter.actor_id) == ('welcome', None, cast.mona.user_id)


async def test_every_change_is_in_the_log(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    me, theo = cast.mona.user_id, (await does(cast.mona, add_staff, **THEO)).id
    await does(cast.mona, change_staff_role, theo, 'Finance')
    await does(cast.mona, change_staff_role, theo, 'Finance')  # nothing happens
    await does(cast.mona, welcome_staff, theo)
    await does(cast.mona, disable, theo)
    await does(cast.mona, disable, theo)
    await does(cast.mona, enable, theo)
    await does(cast.mona, enable, theo)
    assert await log_of(visit_as, cast, theo) == [
        ('staff.added', me, {'role': 'Technician'}),
        ('staff.role', me, {'before': 'Technician', 'after': 'Finance'}),
        ('staff.welcomed', me, {}),
        ('staff.disabled', me, {}),
        ('staff.enabled', me, {}),
    ]


@pytest.mark.parametrize(('field', 'values'), [
    ('name', {'name': ' '}), ('name', {'name': 'x' * 121}), ('name', {'name': 'a\x07b'}), ('email', {'email': 'theo'}),
    ('email', {'email': f'{"x" * 250}@x.example'}), ('role', {'role': ''}), ('role', {'role': 'ClientAdmin'}), ('role', {'role': 'King'}),
])  # fmt: skip
async def test_bad_input_is_said_at_its_field(does: Does, cast: Cast, field: str, values: dict[str, str]) -> None:
    with pytest.raises(Wrong) as wrong:
        await does(cast.mona, add_staff, **{**THEO, **values})
    assert set(wrong.value.fields) == {field}


async def test_an_address_that_is_known_is_refused(does: Does, cast: Cast) -> None:
    for email, said in ((cast.ada.email, 'Ada Brandt, a client'), (cast.tess.email.upper(), 'on your staff already.')):
        with pytest.raises(Wrong) as wrong:
            await does(cast.mona, add_staff, **{**THEO, 'email': email})
        assert said in wrong.value.fields['email']
    await does(cast.mona, disable, cast.tess.user_id)
    with pytest.raises(Wrong) as wrong:
        await does(cast.mona, add_staff, **{**THEO, 'email': cast.tess.email})
    assert 'disabled' in wrong.value.fields['email']
    assert await does(cast.mona, add_staff, **{**THEO, 'email': cast.stan.email})  # of another tenant: nothing is known of him


async def test_added_twice_at_once_there_is_one(does: Does, cast: Cast) -> None:
    done = await asyncio.gather(*(does(cast.mona, add_staff, **THEO) for _ in range(4)), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ['User', 'Wrong', 'Wrong', 'Wrong']


@pytest.mark.parametrize('name', ['tess', 'finn', 'ada', 'ugo'])
async def test_nobody_else_may(does: Does, cast: Cast, stands: Stands, name: str) -> None:
    who, other = getattr(cast, name), cast.mona.user_id
    for verb, values in (
        (change_staff_role, (cast.tess.user_id, 'MspAdmin')), (disable, (other,)), (enable, (other,)), (welcome_staff, (other,)),
    ):  # fmt: skip
        with pytest.raises(NotAllowed):
            await does(who, verb, *values)
    with pytest.raises(NotAllowed):
        await does(who, add_staff, **THEO)
    assert stands(cast.tess.user_id) == ('Technician', False)
    assert stands(other) == ('MspAdmin', False)


async def test_only_the_tenants_own_staff_is_there(does: Does, cast: Cast, stands: Stands) -> None:
    for somebody in (cast.stan.user_id, cast.ada.user_id, uuid7()):
        for verb, more in ((change_staff_role, ('Finance',)), (disable, ()), (enable, ()), (welcome_staff, ())):
            with pytest.raises(NotFound):
                await does(cast.mona, verb, somebody, *more)
    assert stands(cast.stan.user_id) == ('MspAdmin', False)
    assert stands(cast.ada.user_id) == (None, False)


async def test_mona_cannot_demote_or_disable_herself(does: Does, cast: Cast, stands: Stands) -> None:
    await does(cast.mona, change_staff_role, cast.tess.user_id, 'MspAdmin')  # also when another admin is there
    me = cast.mona.user_id
    with pytest.raises(Wrong) as wrong:
        await does(cast.mona, change_staff_role, me, 'Technician')
    assert set(wrong.value.fields) == {'role'}
    with pytest.raises(Wrong):
        await does(cast.mona, disable, me)
    assert stands(me) == ('MspAdmin', False)


async def test_the_last_admin_stays_also_against_an_own_role(does: Does, cast: Cast, stands: Stands, maintenance: str) -> None:
    """Tess manages the staff by a role of the tenant's own."""
    with psycopg.connect(maintenance) as connection:
        role = uuid7()
        connection.execute("insert into role (id, tenant_id, name, user_type, permissions) values (%s, %s, 'Lead', 'internal', %s)",
                           (role, cast.northwind.id, ['tickets.see', 'staff.manage']))  # fmt: skip
        connection.execute('update users set staff_role = null, staff_role_id = %s where id = %s', (role, cast.tess.user_id))
    for verb, more in ((change_staff_role, ('Finance',)), (disable, ())):
        with pytest.raises(Wrong) as wrong:
            await does(cast.tess, verb, cast.mona.user_id, *more)
        assert 'the only MSP admin' in str(wrong.value.fields)
    with pytest.raises(Wrong, match='role'):  # more than she has
        await does(cast.tess, change_staff_role, cast.finn.user_id, 'MspAdmin')
    await does(cast.mona, change_staff_role, cast.finn.user_id, 'MspAdmin')
    with pytest.raises(Wrong) as wrong:
        await does(cast.tess, disable, cast.mona.user_id)  # not above herself, also when another admin is there
    assert 'may do more than you' in str(wrong.value.fields)
    assert stands(cast.mona.user_id) == ('MspAdmin', False)


@pytest.mark.parametrize(('verb', 'more'), [(disable, ()), (change_staff_role, ('Technician',))], ids=['disabled', 'demoted'])
async def test_of_two_admins_against_each_other_one_stays(
    visit_as: VisitAs, does: Does, cast: Cast, stands: Stands, maintenance: str, verb: Any, more: tuple[str, ...]
) -> None:
    """Both have come in and both are let go at once: whoever waits finds what the other has done."""
    await does(cast.mona, change_staff_role, cast.tess.user_id, 'MspAdmin')
    mona, tess = await visit_as(cast.mona), await visit_as(cast.tess)
    both = asyncio.Barrier(2)

    async def against(me: Visit, other: UUID) -> None:
        async with me.work() as db:
            await both.wait()
            await verb(db, me.by, other, *more)
            await asyncio.sleep(0.2)  # the other one waits for this

    done = await asyncio.gather(against(mona, cast.tess.user_id), against(tess, cast.mona.user_id), return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ['NoneType', 'NotAllowed']
    left = [who for who in (cast.mona, cast.tess) if stands(who.user_id) == ('MspAdmin', False)]
    assert len(left) == 1


async def test_two_admins_demoted_at_once_by_a_third_leave_that_one(does: Does, cast: Cast, stands: Stands) -> None:
    for who in (cast.tess, cast.finn):
        await does(cast.mona, change_staff_role, who.user_id, 'MspAdmin')
    await asyncio.gather(*(does(cast.mona, disable, who.user_id) for who in (cast.tess, cast.finn)))
    assert [stands(who.user_id)[1] for who in (cast.mona, cast.tess, cast.finn)] == [False, True, True]


async def test_whoever_is_disabled_is_out_at_once_and_told(does: Does, visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    tess = await visit_as(cast.tess)
    async with tess.work():
        pass
    async with await psycopg.AsyncConnection.connect(make_conninfo(maintenance), autocommit=True) as ear:
        await ear.execute('listen live')
        await does(cast.mona, disable, cast.tess.user_id)
        told = [n.payload async for n in ear.notifies(timeout=10, stop_after=1)]
    assert f'person:{cast.tess.user_id}' in told
    with pytest.raises(SignedOut):
        async with tess.work():
            pass
    with pytest.raises(Wrong):
        await does(cast.mona, welcome_staff, cast.tess.user_id)


async def test_tickets_of_whoever_is_disabled_stay_theirs(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    await does(cast.mona, disable, cast.tess.user_id)
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        assert (await db.get_one(Ticket, cast.printer.id)).assignee_id == cast.tess.user_id


async def test_sessions_of_whoever_was_shut_out_do_not_come_back(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    tess = await visit_as(cast.tess)
    await does(cast.mona, disable, cast.tess.user_id)
    await does(cast.mona, enable, cast.tess.user_id)
    with pytest.raises(SignedOut):
        async with tess.work():
            pytest.fail('the work began')
