"""Invitations, told with the named cast: who may invite whom, what the link is good for, and what nobody learns."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from portal import visit as visiting
from portal.db.cast import Cast, Member
from portal.domain.access import NotAllowed, UserType
from portal.domain.base import NotFound, Wrong, uuid7
from portal.domain.invitations import (
    MOST_TO_ONE,
    Invitation,
    Wanted,
    invite,
    invite_colleagues,
    invited,
    roles_to_give,
    send_again,
    withdraw,
)
from portal.domain.inviting_many import preview, read_list
from portal.domain.people import Membership, Taken, User, change_role, company_by_slug, end_membership
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]
Does = Callable[..., Awaitable[Any]]
JANA = Wanted('Jana Hofmann', 'Jana@acme.example', 'ClientUser', 'de')


@pytest.fixture
def does(visit_as: VisitAs) -> Does:
    async def do(who: Member, verb: Any, *values: Any, **more: Any) -> Any:
        visit = await visit_as(who)
        async with visit.work() as db:
            return await verb(db, visit.by, *values, **more)

    return do


async def accept(i: Invitation, *, number: int | None = None, me: UUID | None = None, name: str = 'Jana') -> UUID | None:
    row = await visiting.database.ask(
        'select app.accept_invitation(:tenant, :id, :number, :me, :new, :name, null, :hash)',
        tenant=i.tenant_id, id=i.id, number=number or i.number, me=me, new=uuid7(), name=name, hash='a hash',
    )  # fmt: skip
    return row[0]


def people(maintenance: str, cast: Cast) -> int:
    with psycopg.connect(maintenance) as c:
        row = c.execute('select count(*) from users where tenant_id = %s', (cast.northwind.id,)).fetchone()
    return row[0] if row else -1


async def belongs(visit_as: VisitAs, cast: Cast, user: UUID, company: UUID) -> str | None:
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        found = (await db.exec(select(Membership).where(Membership.user_id == user, Membership.company_id == company))).first()
    return found.role if found and found.ended_at is None else None


async def test_nobody_is_there_before_they_accept(does: Does, visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    before = people(maintenance, cast)
    jana = await does(cast.ada, invite, cast.acme.id, JANA)
    assert (jana.email, jana.role, jana.number) == ('jana@acme.example', 'ClientUser', 1)
    assert people(maintenance, cast) == before
    user = await accept(jana)
    assert user
    assert people(maintenance, cast) == before + 1
    assert await belongs(visit_as, cast, user, cast.acme.id) == 'ClientUser'
    assert await accept(jana) is None


async def test_two_accept_at_once_and_one_comes_in(does: Does, cast: Cast, maintenance: str) -> None:
    before, jana = people(maintenance, cast), await does(cast.ada, invite, cast.acme.id, JANA)
    came = await asyncio.gather(*(accept(jana, name=f'Jana {n}') for n in range(6)))
    assert len([user for user in came if user]) == 1
    assert people(maintenance, cast) == before + 1


async def test_withdrawn_and_accepted_at_once_is_one_of_both(does: Does, cast: Cast) -> None:
    jana = await does(cast.ada, invite, cast.acme.id, JANA)
    user, taken_back = await asyncio.gather(accept(jana), does(cast.ada, withdraw, cast.acme.id, jana.id), return_exceptions=True)
    assert bool(user) == isinstance(taken_back, Wrong)


async def test_another_letter_kills_the_link_before_and_withdrawing_all(does: Does, cast: Cast) -> None:
    jana = await does(cast.ada, invite, cast.acme.id, JANA)
    again = await does(cast.ada, send_again, cast.acme.id, jana.id)
    assert again.number == 2
    assert await accept(jana, number=1) is None
    await does(cast.ada, withdraw, cast.acme.id, jana.id)
    assert await accept(again, number=2) is None
    with pytest.raises(NotFound):
        await does(cast.ada, send_again, cast.acme.id, jana.id)


async def test_an_old_one_is_dead_until_it_is_sent_again(does: Does, cast: Cast, maintenance: str) -> None:
    jana = await does(cast.ada, invite, cast.acme.id, JANA)
    with psycopg.connect(maintenance) as c:
        c.execute("update invitation set expires_at = now() - interval '1 second' where id = %s", (jana.id,))
    assert await accept(jana) is None
    again = await does(cast.mona, send_again, cast.acme.id, jana.id)
    assert again.invited_by_id == cast.mona.user_id
    assert await accept(again)


@pytest.mark.parametrize('door', ['bolt', 'bakery', 'nobody'])
async def test_a_client_admin_invites_to_the_own_company_alone(does: Does, cast: Cast, door: str) -> None:
    """Ada sends forged ids."""
    foreign = {'bolt': cast.bolt.id, 'bakery': cast.bakery.id, 'nobody': uuid4()}[door]
    with pytest.raises(NotFound):
        await does(cast.ada, invite, foreign, JANA)
    bea = await does(cast.bea, invite, cast.bolt.id, Wanted('Bo', 'bo@bolt.example', 'ClientUser'))
    for verb in (send_again, withdraw):
        with pytest.raises(NotFound):
            await does(cast.ada, verb, cast.acme.id, bea.id)
        with pytest.raises(NotFound):
            await does(cast.ada, verb, cast.bolt.id, bea.id)


async def test_the_database_refuses_what_the_program_would_let_through(visit_as: VisitAs, cast: Cast) -> None:
    """Another company, a role of the staff, somebody else's name, and an invitation that is changed or accepted by hand."""
    ada, ugo = await visit_as(cast.ada), await visit_as(cast.ugo)
    row = """insert into invitation (id, company_id, email, name, role, invited_by_id, expires_at)
             values (gen_random_uuid(), :company, 'x@y.example', 'X', :role, :by, now() + interval '1 day')"""
    own = {'company': cast.acme.id, 'role': 'ClientUser', 'by': cast.ada.user_id}
    for who, values in (
        (ada, {**own, 'company': cast.bolt.id}),
        (ada, {**own, 'company': None}),
        (ada, {**own, 'role': 'MspAdmin'}),
        (ada, {**own, 'by': cast.mona.user_id}),
        (ugo, {**own, 'by': cast.ugo.user_id}),
    ):
        with pytest.raises(DBAPIError):
            async with who.work() as db:
                await (await db.connection()).execute(text(row), values)
    for change in ("email = 'me@evil.example'", "role = 'ClientAdmin'", 'accepted_at = now(), accepted_by_id = invited_by_id'):
        with pytest.raises(DBAPIError):
            async with ada.work() as db:
                await (await db.connection()).execute(text(f'update invitation set {change}'))


async def test_nobody_gives_more_than_they_have(does: Does, visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """Ugo gets a role that lets him manage people, and nothing of money: he cannot make a client admin."""
    with psycopg.connect(maintenance) as c:
        c.execute("""insert into role (id, tenant_id, name, user_type, permissions) values (%s, %s, 'Desk', 'client',
                     '{tickets.see,tickets.open,tickets.reply,tickets.close,profile.edit,people.manage}')""",
                  (desk := uuid7(), cast.northwind.id))  # fmt: skip
        c.execute('update membership set role = null, role_id = %s where user_id = %s', (desk, cast.ugo.user_id))
    for role in ('ClientAdmin', 'ClientBilling', 'MspAdmin', 'nonsense', str(uuid4())):
        with pytest.raises(Wrong) as wrong:
            await does(cast.ugo, invite, cast.acme.id, Wanted('X', 'x@acme.example', role))
        assert set(wrong.value.fields) == {'role'}
    ugo = await visit_as(cast.ugo)
    async with ugo.work() as db:
        assert {value for value, _label in await roles_to_give(db, ugo.by, UserType.CLIENT)} >= {'ClientUser', str(desk)}
        assert 'ClientAdmin' not in {value for value, _label in await roles_to_give(db, ugo.by, UserType.CLIENT)}
    assert await does(cast.ugo, invite, cast.acme.id, Wanted('X', 'x@acme.example', str(desk)))
    with pytest.raises(Wrong):
        await does(cast.ada, invite, cast.acme.id, Wanted('Y', 'y@acme.example', 'Technician'))
    with pytest.raises(NotAllowed):
        await does(cast.bill, invite, cast.acme.id, JANA)
    with pytest.raises(NotAllowed):
        await does(cast.ada, invite_colleagues, [Wanted('Y', 'y@acme.example', 'Technician')])


async def test_what_somebody_offered_who_may_no_more_is_dead(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    jana = await does(cast.ada, invite, cast.acme.id, JANA)
    boss = await does(cast.ada, invite, cast.acme.id, Wanted('Boss', 'boss@acme.example', 'ClientAdmin'))
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        await change_role(db, mona.by, await company_by_slug(db, 'acme'), cast.ada.user_id, 'ClientUser')
    assert await accept(boss) is None
    async with mona.work() as db:
        await end_membership(db, mona.by, await company_by_slug(db, 'acme'), cast.ada.user_id)
    assert await accept(jana) is None


@pytest.mark.parametrize('email', ['nobody@nowhere.example', 'bea@bolt.example', 'tess@northwind.example', 'cleo@bakery.example'])
async def test_inviting_tells_nothing_of_an_address(does: Does, visit_as: VisitAs, cast: Cast, email: str) -> None:
    """Unknown, a client of another company, the staff, another tenant: one answer, one row, one letter promised."""
    made = await does(cast.ada, invite, cast.acme.id, Wanted('Somebody', email, 'ClientUser'))
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        [(row, by)] = [(i, name) for i, name in await invited(db, cast.acme.id) if i.email == email]
    assert (row.id, row.number, row.is_over, by) == (made.id, 1, False, cast.ada.name)
    with pytest.raises(Wrong) as wrong:
        await does(cast.ada, invite, cast.acme.id, Wanted('Somebody', email, 'ClientUser'))
    assert wrong.value.fields == {'email': 'They are invited already. Send the letter again in the list below.'}


async def test_whoever_has_a_login_joins_with_it_and_nobody_else_does(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    bea = await does(cast.ada, invite, cast.acme.id, Wanted('Bea', cast.bea.email, 'ClientUser'))
    assert await accept(bea) is None  # with a new password, by whoever has the letter
    assert await accept(bea, me=cast.ugo.user_id) is None
    assert await belongs(visit_as, cast, cast.bea.user_id, cast.acme.id) is None
    assert await accept(bea, me=cast.bea.user_id) == cast.bea.user_id
    assert await belongs(visit_as, cast, cast.bea.user_id, cast.acme.id) == 'ClientUser'
    tess = await does(cast.ada, invite, cast.acme.id, Wanted('Tess', cast.tess.email, 'ClientUser'))
    assert await accept(tess, me=cast.tess.user_id) is None


async def test_who_belongs_already_is_told_and_who_left_comes_back(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    with pytest.raises(Taken):
        await does(cast.ada, invite, cast.acme.id, Wanted('Ugo', cast.ugo.email, 'ClientUser'))
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        await end_membership(db, mona.by, await company_by_slug(db, 'acme'), cast.ugo.user_id)
    ugo = await does(cast.ada, invite, cast.acme.id, Wanted('Ugo', cast.ugo.email, 'ClientBilling'))
    assert await accept(ugo, me=cast.ugo.user_id) == cast.ugo.user_id
    assert await belongs(visit_as, cast, cast.ugo.user_id, cast.acme.id) == 'ClientBilling'


async def test_staff_are_invited_onto_the_staff(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    [theo] = await does(cast.mona, invite_colleagues, [Wanted('Theo Vance', 'theo@northwind.example', 'Technician')])
    user = await accept(theo, name='Theo Vance')
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        found = await db.get_one(User, user)
    assert (found.user_type, found.staff_role) == ('internal', 'Technician')
    for email in (cast.tess.email, cast.ada.email):
        with pytest.raises(Wrong):
            await does(cast.mona, invite_colleagues, [Wanted('X', email, 'Technician')])


async def test_no_mailbox_is_flooded_not_even_in_parallel(does: Does, cast: Cast) -> None:
    jana = await does(cast.ada, invite, cast.acme.id, JANA)
    many = await asyncio.gather(*(does(cast.ada, send_again, cast.acme.id, jana.id) for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(each, Invitation) for each in many) == MOST_TO_ONE - 1
    await does(cast.ada, withdraw, cast.acme.id, jana.id)
    with pytest.raises(Wrong) as wrong:
        await does(cast.ada, invite, cast.acme.id, JANA)
    assert 'letters already' in wrong.value.fields['email']


async def test_a_company_sends_so_many_a_day_and_no_more(does: Does, cast: Cast, maintenance: str) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute("""insert into invitation (id, tenant_id, company_id, email, name, role, invited_by_id, expires_at, withdrawn_at)
                     select gen_random_uuid(), %s, %s, 'p' || n || '@x.example', 'P', 'ClientUser', %s, now(), now()
                     from generate_series(1, 100) n""", (cast.northwind.id, cast.acme.id, cast.ada.user_id))  # fmt: skip
    with pytest.raises(Wrong) as wrong:
        await does(cast.ada, invite, cast.acme.id, JANA)
    assert 'invitations a day' in wrong.value.fields['email']
    assert await does(cast.bea, invite, cast.bolt.id, Wanted('Bo', 'bo@bolt.example', 'ClientUser'))


@pytest.mark.parametrize(
    'name', ['', 'a' * 121, 'https://evil.example', 'me@evil.example', 'www.evil.example', 'Jana\x07', '\u202e\u2066']
)
async def test_names_are_names(does: Does, cast: Cast, name: str) -> None:
    with pytest.raises(Wrong) as wrong:
        await does(cast.ada, invite, cast.acme.id, Wanted(name, 'jana@acme.example', 'ClientUser'))
    assert set(wrong.value.fields) == {'name'}


@pytest.fixture
def office(maintenance: str, cast: Cast) -> Member:
    """Tess, who manages companies and people, and sees no money."""
    with psycopg.connect(maintenance) as c:
        c.execute("""insert into role (id, tenant_id, name, user_type, permissions) values (%s, %s, 'Office', 'internal', %s)""",
                  (made := uuid7(), cast.northwind.id, ['tickets.see', 'tickets.open', 'tickets.reply', 'tickets.close', 'companies.see',
                   'companies.manage', 'people.manage', 'profile.edit']))  # fmt: skip
        c.execute('update users set staff_role = null, staff_role_id = %s where id = %s', (made, cast.tess.user_id))
        c.execute("""insert into role (id, tenant_id, name, user_type, permissions) values (%s, %s, 'Front desk', 'client',
                     '{tickets.see,tickets.see_company,company.edit,profile.edit}')""", (uuid7(), cast.northwind.id))  # fmt: skip
    return cast.tess


async def test_staff_offer_no_more_than_they_have_whatever_the_program_does(
    visit_as: VisitAs, cast: Cast, office: Member
) -> None:
    tess = await visit_as(office)
    row = """insert into invitation (id, company_id, email, name, role, role_id, invited_by_id, expires_at)
             select gen_random_uuid(), :company, md5(:role) || '@y.example', 'X', case when r.id is null then :role end, r.id, :by,
               now() + interval '1 day' from (values (1)) one left join role r on r.name = :role"""
    for role, may in (('ClientUser', True), ('Front desk', True), ('ClientBilling', False), ('ClientAdmin', False)):
        values = {'company': cast.acme.id, 'role': role, 'by': office.user_id}
        if may:
            async with tess.work() as db:
                await (await db.connection()).execute(text(row), values)
        else:
            with pytest.raises(DBAPIError, match='more than they have'):
                async with tess.work() as db:
                    await (await db.connection()).execute(text(row), values)


async def test_what_staff_offered_who_may_less_now_is_dead(does: Does, cast: Cast, maintenance: str) -> None:
    boss = await does(cast.mona, invite, cast.acme.id, Wanted('Boss', 'boss@acme.example', 'ClientAdmin'))
    jana = await does(cast.mona, invite, cast.acme.id, JANA)
    with psycopg.connect(maintenance) as c:
        c.execute("""insert into role (id, tenant_id, name, user_type, permissions) values (%s, %s, 'Less', 'internal',
                     '{tickets.see,tickets.open,tickets.reply,tickets.close,profile.edit,companies.see,people.manage}')""",
                  (less := uuid7(), cast.northwind.id))  # fmt: skip
        c.execute('update users set staff_role = null, staff_role_id = %s where id = %s', (less, cast.mona.user_id))
    assert await accept(boss) is None
    assert await accept(jana)


# ---------- many at once ----------


async def look(visit_as: VisitAs, who: Member, company: UUID, list_: str) -> list[tuple[int, str, str, list[str]]]:
    visit = await visit_as(who)
    async with visit.work() as db:
        lines = await preview(db, visit.by, company, read_list(list_))
    return [(line.number, line.wanted.email, line.wanted.role, sorted(line.problems)) for line in lines]


async def test_a_list_is_looked_at_line_by_line(visit_as: VisitAs, cast: Cast) -> None:
    list_ = (
        'Name;E-Mail;Rolle;Sprache\nJana Hofmann;JANA@acme.example;Client admin;Deutsch\nUgo;ugo@acme.example;;\n;nobody;Boss;xx\n'
        "'=cmd|x;formula@acme.example;;\nAgain;jana@acme.example;;\nTess;tess@northwind.example;;\n"
    )
    assert await look(visit_as, cast.ada, cast.acme.id, list_) == [
        (2, 'jana@acme.example', 'ClientAdmin', []),
        (3, 'ugo@acme.example', 'ClientUser', ['email']),
        (4, 'nobody', '', ['email', 'language', 'name', 'role']),
        (5, 'formula@acme.example', 'ClientUser', []),
        (6, 'jana@acme.example', 'ClientUser', ['email']),
        (7, 'tess@northwind.example', 'ClientUser', []),
    ]


@pytest.mark.parametrize(
    'list_',
    [
        'Jana Hofmann;jana@acme.example',
        'jana@acme.example,Jana Hofmann',
        'Vorname\tNachname\tMail\nJana\tHofmann\tjana@acme.example',
    ],
)
async def test_lists_as_people_have_them(list_: str) -> None:
    [(_number, cells)] = read_list(list_)
    assert (cells['name'], cells['email']) == ('Jana Hofmann', 'jana@acme.example')


@pytest.mark.parametrize(
    'list_', ['', 'Name;Role\nJana;x', 'a@b.example\n' * 201, 'Name;E-mail\n"open;a@b.example', 'x' * 200_001, 'PK\x03\x04']
)
def test_what_is_no_list_is_said(list_: str) -> None:
    with pytest.raises(Wrong) as wrong:
        read_list(list_)
    assert set(wrong.value.fields) == {'list'}
