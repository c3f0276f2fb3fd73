"""Roles of one's own, told with the named cast: nobody gives more than they have, and somebody always manages."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.db.cast import Cast, Member
from portal.db.engine import SignedOut
from portal.domain.access import BUILT_IN, NotAllowed, Permission, ProofNeeded, UserType
from portal.domain.base import NotFound, Wrong
from portal.domain.colleagues import give_role, remove
from portal.domain.explaining import about_ticket, tickets_seen
from portal.domain.granting import find_role
from portal.domain.people import add_person, around, change_role, company_by_slug
from portal.domain.rights import FOR, GROUPS
from portal.domain.roles import add_role, change_own_role, remove_role
from portal.domain.team import add_staff, change_staff_role, disable
from portal.domain.tickets import Where, listing, ticket_by_number
from portal.visit import Visit

P = Permission
VisitAs = Callable[[Member], Awaitable[Visit]]
Does = Callable[..., Awaitable[Any]]
LEAD = {P.TICKETS_OPEN, P.TICKETS_REPLY, P.TICKETS_CLOSE, P.TICKETS_SEE_COMPANY}


@pytest.fixture
def does(visit_as: VisitAs) -> Does:
    async def do(who: Member, verb: Any, *values: Any, **more: Any) -> Any:
        visit = await visit_as(who)
        async with visit.work() as db:
            return await verb(db, visit.by, *values, **more)

    return do


async def made(does: Does, cast: Cast, permissions: set[Permission], *, name: str = 'Practice lead', staff: bool = False) -> str:
    role = await does(
        cast.mona, add_role, name=name, user_type=UserType.INTERNAL if staff else UserType.CLIENT,
        based_on='Technician' if staff else 'ClientUser', permissions=permissions,
    )  # fmt: skip
    return str(role.id)


def ask(maintenance: str, question: str, *values: Any) -> list[Any]:
    with psycopg.connect(maintenance, autocommit=True) as connection:
        return connection.execute(question, values).fetchall()  # pyright: ignore[reportArgumentType, reportCallIssue]


def role_at(maintenance: str, user: UUID, company: UUID) -> tuple[str | None, UUID | None, bool]:
    return ask(
        maintenance,
        'select role, role_id, ended_at is null from membership where user_id = %s and company_id = %s',
        user,
        company,
    )[0]


# ---------- what there is ----------


async def test_the_database_knows_the_same_permissions(maintenance: str) -> None:
    for user_type, permissions in FOR.items():
        assert set(ask(maintenance, 'select app.permissions_for(%s)', user_type.value)[0][0]) == {p.value for p in permissions}
        assert {r.permission for group in GROUPS[user_type] for r in group.rights} == permissions
    for role in BUILT_IN.values():
        assert role.permissions <= FOR[role.user_type]


async def test_a_role_holds_nothing_that_does_not_exist_for_its_people(does: Does, cast: Cast, maintenance: str) -> None:
    role = await made(does, cast, {P.TENANT_MANAGE, P.TICKETS_SEE_COMPANY})
    assert set(ask(maintenance, 'select permissions from role where id = %s', role)[0][0]) == {
        'tickets.see',
        'tickets.see_company',
        'profile.edit',
    }
    with pytest.raises(psycopg.errors.CheckViolation):
        ask(maintenance, "update role set permissions = permissions || 'tenant.manage'::text where id = %s returning 1", role)


# ---------- it takes effect ----------


async def test_a_role_is_made_given_changed_and_taken(does: Does, visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    role = await made(does, cast, LEAD)
    before = await visit_as(cast.ugo)
    assert P.TICKETS_SEE_COMPANY not in before.by.permissions
    await does(cast.ada, give_role, cast.ugo.user_id, role)
    with pytest.raises(SignedOut):  # a page that was built for what he could do before
        async with before.work():
            pytest.fail('it worked with other rights')
    ugo = await visit_as(cast.ugo)
    async with ugo.work() as db:
        assert (await ticket_by_number(db, cast.printer.number)).id == cast.printer.id
    async with await psycopg.AsyncConnection.connect(make_conninfo(maintenance), autocommit=True) as ear:
        await ear.execute('listen live')
        seen = [p.value for p in P if p in LEAD | {P.TICKETS_SEE, P.PROFILE_EDIT}]
        await does(
            cast.mona, change_own_role, UUID(role), name='Practice lead', permissions=LEAD - {P.TICKETS_SEE_COMPANY}, seen=seen
        )
        told = [n.payload async for n in ear.notifies(timeout=3, stop_after=6)]
    assert f'person:{cast.ugo.user_id}' in told
    with pytest.raises(SignedOut):
        async with ugo.work():
            pytest.fail('it worked with other rights')
    with pytest.raises(Wrong):  # somebody has it
        await does(cast.mona, remove_role, UUID(role))
    await does(cast.mona, remove_role, UUID(role), 'ClientUser')
    assert role_at(maintenance, cast.ugo.user_id, cast.acme.id) == ('ClientUser', None, True)
    assert not ask(maintenance, 'select from role where id = %s', role)


async def test_of_two_who_change_a_role_the_second_looks_again(does: Does, cast: Cast) -> None:
    role = UUID(await made(does, cast, LEAD))
    seen = [p.value for p in LEAD | {P.TICKETS_SEE, P.PROFILE_EDIT}]
    both = [
        does(cast.mona, change_own_role, role, name='Practice lead', permissions=LEAD | {more}, seen=seen)
        for more in (P.MONEY_SEE, P.AUDIT_SEE)
    ]
    done = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(each).__name__ for each in done) == ['NoneType', 'Wrong']


async def test_names_are_taken_once(does: Does, cast: Cast) -> None:
    await made(does, cast, LEAD)
    for name in ('practice LEAD', 'Client admin', 'MspAdmin', ' ', 'x' * 61):
        with pytest.raises(Wrong, match='name'):
            await made(does, cast, LEAD, name=name)
    done = await asyncio.gather(*(made(does, cast, LEAD, name='Twice') for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, str) for each in done) == 1


# ---------- nobody gives more than they have ----------


async def lead_of_acme(does: Does, cast: Cast) -> Member:
    """Ugo manages people by a role of Mona's making: no money, no log, no details of the company."""
    role = await made(does, cast, {P.PEOPLE_MANAGE, P.TICKETS_OPEN, P.TICKETS_REPLY, P.TICKETS_CLOSE}, name='Front desk')
    await does(cast.ada, give_role, cast.ugo.user_id, role)
    return cast.ugo


@pytest.mark.parametrize('whom', ['ugo', 'bill', 'ada'])
async def test_a_client_gives_no_more_than_they_have(does: Does, cast: Cast, maintenance: str, whom: str) -> None:
    """Also not to themselves, and nobody above them is changed or removed."""
    ugo, person = await lead_of_acme(does, cast), getattr(cast, whom)
    before = role_at(maintenance, person.user_id, cast.acme.id)
    whole = await made(does, cast, LEAD, name='Sees all')
    for role in ('ClientAdmin', 'ClientBilling', whole):
        with pytest.raises(Wrong, match='role'):
            await does(ugo, give_role, person.user_id, role)
    if whom != 'ugo':
        with pytest.raises(Wrong, match='role'):
            await does(ugo, give_role, person.user_id, 'ClientUser')
        with pytest.raises(Wrong, match='role'):
            await does(ugo, remove, person.user_id)
    assert role_at(maintenance, person.user_id, cast.acme.id) == before


@pytest.mark.parametrize('change', [
    "role = 'ClientAdmin', role_id = null where user_id = :ugo", "role = 'ClientUser', role_id = null where user_id = :ada",
    'ended_at = now() where user_id = :ada', 'ended_at = now() where user_id = :bill',
    "role = null, role_id = (select id from role where name = 'Sees all')  where user_id = :ugo",
])  # fmt: skip
async def test_the_database_refuses_it_as_well(does: Does, visit_as: VisitAs, cast: Cast, change: str) -> None:
    ugo = await lead_of_acme(does, cast)
    await made(does, cast, LEAD, name='Sees all')
    visit = await visit_as(ugo)
    ids = {name: getattr(cast, name).user_id for name in ('ugo', 'ada', 'bill') if f':{name}' in change}
    with pytest.raises(DBAPIError, match='more than they have'):
        async with visit.work() as db:
            await db.exec(text(f'update membership set {change}').bindparams(**ids))  # type: ignore[call-overload]


@pytest.mark.parametrize('statement', [
    'update membership set company_id = company_id', "update users set staff_role = 'MspAdmin'", 'delete from membership',
    "insert into membership (id, user_id, company_id, role) values (gen_random_uuid(), app.person(), app.company(), 'ClientUser')",
    "update role set permissions = permissions || 'people.manage'::text", 'delete from role', 'select * from membership_seen',
])  # fmt: skip
async def test_a_client_admin_has_no_other_way_to_rights(visit_as: VisitAs, cast: Cast, statement: str) -> None:
    ada = await visit_as(cast.ada)
    with pytest.raises(DBAPIError):
        async with ada.work() as db:
            await db.exec(text(statement))  # type: ignore[call-overload]


async def test_who_does_not_manage_people_changes_no_row(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    for who in (cast.ugo, cast.bill, cast.bea):
        visit = await visit_as(who)
        async with visit.work() as db:
            change: Any = text("update membership set role = 'ClientUser' where company_id = :acme").bindparams(acme=cast.acme.id)
            done = await db.exec(change)
        assert done.rowcount == 0
    assert role_at(maintenance, cast.ada.user_id, cast.acme.id)[0] == 'ClientAdmin'


async def test_staff_give_no_more_than_they_have(does: Does, cast: Cast, maintenance: str) -> None:
    """Tess manages companies, the team and roles, and sees no money."""
    role = await made(
        does, cast, {P.COMPANIES_MANAGE, P.STAFF_MANAGE, P.ROLES_MANAGE, P.PEOPLE_MANAGE}, name='Office', staff=True
    )
    await does(cast.mona, change_staff_role, cast.tess.user_id, role)
    rich = await made(does, cast, {P.MONEY_SEE}, name='Rich', staff=True)
    rich_client = await made(does, cast, {P.MONEY_SEE}, name='Rich client')

    async def of_acme(db: Any, by: Any, verb: Any, *values: Any, **more: Any) -> None:
        await verb(db, by, await company_by_slug(db, 'acme'), *values, **more)

    people = {'name': 'Flo', 'email': 'flo@acme.example'}
    for given in ('ClientAdmin', 'ClientBilling', rich_client):
        with pytest.raises(Wrong, match='role'):
            await does(cast.tess, of_acme, add_person, **people, role=given)
        with pytest.raises(Wrong, match='role'):
            await does(cast.tess, of_acme, change_role, cast.ugo.user_id, given)
    with pytest.raises(Wrong, match='role'):  # Bill has what she has not
        await does(cast.tess, of_acme, change_role, cast.bill.user_id, 'ClientUser')
    for given in ('MspAdmin', 'Finance', rich):
        with pytest.raises(Wrong, match='role'):
            await does(cast.tess, add_staff, name='Flo', email='flo@northwind.example', role=given)
    for above in (cast.mona, cast.finn):
        with pytest.raises(Wrong):
            await does(cast.tess, disable, above.user_id)
    for kind, permissions in (
        (UserType.INTERNAL, {P.TENANT_MANAGE}),
        (UserType.CLIENT, {P.MONEY_SEE}),
        (UserType.CLIENT, {P.AUDIT_SEE}),
    ):
        based = 'Technician' if kind is UserType.INTERNAL else 'ClientUser'
        with pytest.raises(Wrong, match='permissions'):
            await does(cast.tess, add_role, name='More', user_type=kind, based_on=based, permissions=permissions)
    mine = [r[0] for r in ask(maintenance, 'select unnest(permissions) from role where id = %s', role)]
    with pytest.raises(Wrong, match='permissions'):  # not by changing the role she has
        await does(cast.tess, change_own_role, UUID(role), name='Office', permissions={*map(P, mine), P.MONEY_SEE}, seen=mine)
    with pytest.raises(Wrong, match='permissions'):  # nor one that allows more
        await does(cast.tess, remove_role, UUID(rich))
    assert await does(cast.tess, add_role, name='Less', user_type=UserType.CLIENT, based_on='ClientUser',
                      permissions={P.COMPANY_EDIT, P.TICKETS_SEE_COMPANY})  # fmt: skip


@pytest.mark.parametrize('statement', [
    "update users set staff_role = 'MspAdmin', staff_role_id = null where id = app.person()",
    "update role set permissions = permissions || 'money.see'::text where name = 'Office'",
    "insert into role (id, name, user_type, permissions) values (gen_random_uuid(), 'X', 'internal', '{tickets.see,money.see}')",
    "update membership set role = 'ClientAdmin' where role = 'ClientUser'", "update users set disabled_at = now() where staff_role = 'MspAdmin'",
])  # fmt: skip
async def test_the_database_holds_staff_to_it_as_well(does: Does, visit_as: VisitAs, cast: Cast, statement: str) -> None:
    role = await made(does, cast, {P.COMPANIES_MANAGE, P.STAFF_MANAGE, P.ROLES_MANAGE}, name='Office', staff=True)
    await does(cast.mona, change_staff_role, cast.tess.user_id, role)
    tess = await visit_as(cast.tess)
    with pytest.raises(DBAPIError, match='more than they have'):
        async with tess.work() as db:
            await db.exec(text(statement))  # type: ignore[call-overload]


async def test_a_role_is_given_on_its_side_alone(does: Does, cast: Cast) -> None:
    client, staff = await made(does, cast, set(), name='C'), await made(does, cast, {P.MONEY_SEE}, name='S', staff=True)
    for role in (staff, 'MspAdmin', 'nonsense', str(cast.acme.id)):
        with pytest.raises(Wrong, match='role'):
            await does(cast.ada, give_role, cast.ugo.user_id, role)
    with pytest.raises(Wrong, match='role'):
        await does(cast.mona, change_staff_role, cast.tess.user_id, client)


async def test_roles_of_another_tenant_are_not_there(does: Does, cast: Cast) -> None:
    role = await does(cast.stan, add_role, name='Theirs', user_type=UserType.CLIENT, based_on='ClientUser', permissions=LEAD)
    with pytest.raises(Wrong, match='role'):
        await does(cast.ada, give_role, cast.ugo.user_id, str(role.id))
    with pytest.raises(NotFound):
        await does(cast.mona, remove_role, role.id)


async def test_only_who_manages_roles_and_proved_who_they_are(does: Does, cast: Cast, maintenance: str) -> None:
    for who in (cast.tess, cast.finn, cast.ada):
        with pytest.raises(NotAllowed):
            await does(who, add_role, name='X', user_type=UserType.CLIENT, based_on='ClientUser', permissions=LEAD)
    ask(
        maintenance,
        "update session set proved_at = now() - interval '20 minutes' where tenant_id = %s returning 1",
        cast.northwind.id,
    )
    with pytest.raises(ProofNeeded):
        await does(cast.mona, add_role, name='X', user_type=UserType.CLIENT, based_on='ClientUser', permissions=LEAD)
    with pytest.raises(ProofNeeded):
        await does(cast.ada, give_role, cast.ugo.user_id, 'ClientBilling')


# ---------- somebody always manages ----------


async def test_the_last_who_manages_people_stays(does: Does, visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    await does(cast.ada, remove, cast.mel_acme.user_id)
    for verb, more in ((give_role, ('ClientUser',)), (remove, ())):
        with pytest.raises(Wrong, match='role'):
            await does(cast.ada, verb, cast.ada.user_id, *more)
    ada = await visit_as(cast.ada)
    with pytest.raises(DBAPIError, match='the last who manages people'):
        async with ada.work() as db:
            await db.exec(text('update membership set ended_at = now() where user_id = app.person()'))  # type: ignore[call-overload]
    role = await made(does, cast, {P.PEOPLE_MANAGE}, name='Front desk')
    await does(cast.ada, give_role, cast.ugo.user_id, role)  # he manages people now, whatever his role is called
    await does(cast.ada, give_role, cast.ada.user_id, 'ClientUser')
    assert role_at(maintenance, cast.ada.user_id, cast.acme.id)[0] == 'ClientUser'


@pytest.mark.parametrize('verb', [give_role, remove], ids=['demoted', 'removed'])
async def test_of_two_against_each_other_one_stays(does: Does, cast: Cast, maintenance: str, verb: Any) -> None:
    more = ('ClientUser',) if verb is give_role else ()
    done = await asyncio.gather(
        does(cast.ada, verb, cast.mel_acme.user_id, *more),
        does(cast.mel_acme, verb, cast.ada.user_id, *more),
        return_exceptions=True,
    )
    assert [type(each) for each in done].count(type(None)) == 1
    left = [
        who for who in (cast.ada, cast.mel_acme) if role_at(maintenance, who.user_id, cast.acme.id) == ('ClientAdmin', None, True)
    ]
    assert len(left) == 1


async def test_removing_ends_the_membership_here_alone(does: Does, cast: Cast, maintenance: str) -> None:
    await does(cast.ada, remove, cast.mel_acme.user_id)
    assert role_at(maintenance, cast.mel_acme.user_id, cast.acme.id)[2] is False
    assert role_at(maintenance, cast.mel_acme.user_id, cast.bolt.id) == ('ClientUser', None, True)
    for who in (cast.bea, cast.mel_acme, cast.cleo, cast.tess):  # of elsewhere, gone, of elsewhere, staff
        with pytest.raises(NotFound):
            await does(cast.ada, remove, who.user_id)
    with pytest.raises((NotFound, NotAllowed)):
        await does(cast.mona, remove, cast.ugo.user_id)  # staff have a verb of their own


# ---------- what somebody can see and do, and why ----------


async def test_why_is_what_the_policies_say(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    """For everybody, every ticket that the asker sees: the answer is what the person themselves find."""
    for asker in (cast.mona, cast.ada, cast.mel_acme, cast.bea):
        async with (await visit_as(asker)).work() as db:
            numbers = [row.number for row in (await listing(db, Where(group='all'))).rows]
        assert numbers
        for person in (cast.ada, cast.ugo, cast.bill, cast.mel_acme) if asker is not cast.bea else (cast.bea, cast.mel_bolt):
            async with (await visit_as(person)).work() as db:
                theirs = {row.number for row in (await listing(db, Where(group='all'))).rows}
            async with (await visit_as(asker)).work() as db:
                for number in numbers:
                    about = await about_ticket(db, f'T-{number}', person.user_id, person.name)
                    if asker.side == 'staff' and person is cast.mel_acme:
                        continue  # belongs to two companies: the answer is for that of the ticket
                    assert about is not None
                    assert about.yes == (number in theirs), (asker.name, person.name, number)
                    assert about.why


async def test_what_the_asker_cannot_see_is_not_there(visit_as: VisitAs, cast: Cast) -> None:
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        with pytest.raises(NotFound):
            await ticket_by_number(db, cast.salary.number)
        for words in (f'T-{cast.salary.number}', str(cast.scanners.number), 'T-999999', 'nonsense', '', '9' * 30):
            assert await about_ticket(db, words, cast.ugo.user_id, 'Ugo') is None, words
        assert await about_ticket(db, str(cast.printer.number), cast.bea.user_id, 'Bea') is None  # nobody of theirs
    ugo = await visit_as(cast.ugo)
    async with ugo.work() as db:
        row = (await db.exec(text('select * from app.why_sees(:t, :u)').bindparams(t=cast.printer.id, u=cast.ada.user_id))).all()  # type: ignore[call-overload]
    assert row == []  # who does not manage people is told nothing


async def test_counts_are_of_what_the_asker_sees(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    theirs = ask(
        maintenance, 'select count(*) from ticket where requester_id = %s and company_id = %s', cast.bill.user_id, cast.acme.id
    )[0][0]
    async with (await visit_as(cast.ada)).work() as db:
        seen = {row.number for row in (await listing(db, Where(group='all', requester_id=cast.bill.user_id))).rows}
        assert await tickets_seen(db, cast.acme.id, cast.bill.user_id, reaches=False) >= len(seen)
        assert await tickets_seen(db, cast.acme.id, cast.bill.user_id, reaches=True) <= len(
            (await listing(db, Where(group='all'))).rows
        )
        assert await tickets_seen(db, cast.bolt.id, cast.bea.user_id, reaches=True) == 0
    assert theirs >= len(seen)


async def test_last_here_is_of_this_company_alone(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """Mel works at Bolt: at Acme it is not seen."""
    ask(maintenance, "update membership_seen set at = '2026-01-01' where user_id = %s returning 1", cast.mel_acme.user_id)
    ask(
        maintenance,
        "update session set last_seen_at = now() - interval '1 hour' where user_id = %s returning 1",
        cast.mel_acme.user_id,
    )
    async with (await visit_as(cast.mel_bolt)).work():
        pass
    async with (await visit_as(cast.ada)).work() as db:
        at_acme = await around(db, [cast.mel_acme.user_id, cast.bea.user_id, cast.tess.user_id])
    assert set(at_acme) == {cast.mel_acme.user_id}  # of nobody else is anything said
    assert str(at_acme[cast.mel_acme.user_id].seen_at)[:10] in ('2026-01-01', '2025-12-31')
    async with (await visit_as(cast.bea)).work() as db:
        at_bolt = (await around(db, [cast.mel_bolt.user_id]))[cast.mel_bolt.user_id]
    assert at_bolt.seen_at
    assert at_bolt.seen_at.year == 2026
    assert at_bolt.seen_at.month > 1
    async with (await visit_as(cast.ugo)).work() as db:
        assert await around(db, [cast.ada.user_id]) == {}


async def test_who_works_by_an_own_role_hears_of_new_tickets(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    role = await made(does, cast, {P.TICKETS_WORK, P.TICKETS_CLOSE}, name='Helper', staff=True)
    await does(cast.mona, change_staff_role, cast.finn.user_id, role)
    async with (await visit_as(cast.ugo)).work() as db:
        told = {row[0] for row in (await db.exec(text('select id from app.working_staff()'))).all()}  # type: ignore[call-overload]
    assert told == {cast.mona.user_id, cast.tess.user_id, cast.finn.user_id}


async def test_find_role_by_its_id(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    role = UUID(await made(does, cast, LEAD))
    async with (await visit_as(cast.ada)).work() as db:
        assert (await find_role(db, role, UserType.CLIENT)).label == 'Practice lead'
