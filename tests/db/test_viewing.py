"""Staff who look in a client's place: what the database shows them, and that nothing can be written, whatever is tried."""

import asyncio
import importlib
import importlib.util
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel.ext.asyncio.session import AsyncSession

from portal import visit as visits
from portal.db.cast import SECRET, Cast, Member
from portal.db.engine import Database, ReadingOnly, SignedOut
from portal.domain import access
from portal.domain.access import NotAllowed, OnlyLooking, ProofNeeded
from portal.domain.base import NotFound, Wrong
from portal.domain.tickets import Where, listing
from portal.domain.viewing import begin_viewing
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]
Looks = Callable[[Member, Member], Awaitable[Visit]]
#: Tables that hold what is a person's own: nothing of them is shown to who looks in their place.
PERSONAL = ('draft', 'notification', 'export', 'export_part')


@pytest.fixture
def looks(visit_as: VisitAs) -> Looks:
    """`visit = await looks(cast.tess, cast.ugo)`: Tess, in Ugo's place."""

    async def begin(staff: Member, client: Member) -> Visit:
        me = await visit_as(staff)
        assert client.company_id and client.slug
        async with me.work() as db:
            await begin_viewing(db, me.by, client.user_id, client.company_id, 'He sees nothing')
        arrival = await visits.arriving(staff.cookie)
        assert arrival
        made = await visits.looking(arrival, client.slug)
        assert made
        return made

    return begin


def column(maintenance: str, question: str, *values: Any) -> list[Any]:
    with psycopg.connect(maintenance) as c:
        return [row[0] for row in c.execute(question, values).fetchall()]  # type: ignore[arg-type]


def do(maintenance: str, statement: str, *values: Any) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute(statement, values)  # type: ignore[arg-type]


def work(visit: Visit) -> AbstractAsyncContextManager[AsyncSession]:
    return visit.work()


# ---------- what is seen ----------


@pytest.mark.parametrize('name', ['ada', 'ugo', 'bill', 'bea', 'mel_bolt'])
async def test_walk_over_every_table(looks: Looks, cast: Cast, maintenance: str, name: str) -> None:
    """What is seen is the company's, holds no private ticket and nothing that hangs on one, and nothing personal."""
    who: Member = getattr(cast, name)
    visit = await looks(cast.mona, who)
    private = set(column(maintenance, "select id from ticket where visibility = 'private' and tenant_id = %s", cast.northwind.id))
    assert private
    tables = column(maintenance, """select table_name::text from information_schema.tables
        where table_schema = 'public' and table_type = 'BASE TABLE' order by 1""")  # fmt: skip
    looked = 0
    for table in tables:
        may = column(maintenance, """select attname::text from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped
            and has_column_privilege('portal_client', attrelid, attnum, 'select')""", table)  # fmt: skip
        if not may:
            continue
        looked += 1
        async with work(visit) as db:
            rows = [dict(row._mapping) for row in await db.exec(text(f'select {", ".join(may)} from {table}'))]  # type: ignore[call-overload]
        assert not rows or table not in PERSONAL, table
        for row in rows:
            assert row['id' if table == 'tenant' else 'tenant_id'] == cast.northwind.id, table
            assert row.get('company_id') in (None, who.company_id), table
            assert not row.get('is_internal'), table
            assert not private & {value for value in row.values() if not isinstance(value, list | dict)}, table
            assert row.get('ticket_id', 1) is not None, f'{table}: not sent'
        assert SECRET not in repr(rows), table
        assert not any(str(id_) in repr(rows) for id_ in private), table
    assert looked > 15


async def test_private_tickets_stay_closed_also_those_of_the_person(looks: Looks, visit_as: VisitAs, cast: Cast) -> None:
    """Not in the list, the counts, a search, a suggestion, `app.may_see`; Ada herself has hers."""
    cases = ((cast.ada, cast.payroll), (cast.ugo, cast.salary), (cast.bill, cast.salary))
    for who, ticket in cases:
        own = await visit_as(who)
        async with own.work() as db:
            subject = (await db.exec(text('select subject from ticket where id = :id'), params={'id': ticket.id})).scalar()  # type: ignore[call-overload]
            assert ticket.id in {row.id for row in (await listing(db, Where(group='all'))).rows}
        visit = await looks(cast.tess, who)
        async with work(visit) as db:
            everything = await listing(db, Where(group='all'))
            assert ticket.id not in {row.id for row in everything.rows}
            for words in (subject, ticket.label, str(ticket.number)):
                assert ticket.id not in {row.id for row in (await listing(db, Where(group='all', words=words))).rows}
                found = await db.exec(text('select app.search_tickets(:words, 50)'), params={'words': words})  # type: ignore[call-overload]
                assert ticket.id not in {row[0] for row in found}
            assert not (await db.exec(text('select app.may_see(:id)'), params={'id': ticket.id})).scalar()  # type: ignore[call-overload]
            shared = (await db.exec(text('select app.may_see(:id)'), params={'id': cast.printer.id})).scalar()  # type: ignore[call-overload]
            assert shared is (who is not cast.bill)


async def test_rights_are_those_that_both_have(looks: Looks, cast: Cast) -> None:
    """Tess may neither see money nor the log, so she does not as Ada; Mona may. Nobody may do anything."""
    tess, mona = await looks(cast.tess, cast.ada), await looks(cast.mona, cast.ada)
    p = access.Permission
    assert tess.by.permissions == {p.TICKETS_SEE, p.TICKETS_SEE_COMPANY}
    assert mona.by.permissions == {
        p.TICKETS_SEE,
        p.TICKETS_SEE_COMPANY,
        p.MONEY_SEE,
        p.AUDIT_SEE,
        p.PEOPLE_MANAGE,
        p.COMPANY_EDIT,
    }
    assert (await looks(cast.mona, cast.ugo)).by.permissions == {p.TICKETS_SEE}
    async with work(await looks(cast.tess, cast.ada)) as db:
        assert not (await db.exec(text("select app.may('audit.see') or app.may('money.see')"))).scalar()  # type: ignore[call-overload]
        assert (await db.exec(text('select app.viewer()'))).scalar() == cast.tess.user_id  # type: ignore[call-overload]
        assert (await db.exec(text('select app.person()'))).scalar() == cast.ada.user_id  # type: ignore[call-overload]
        assert not (await db.exec(text('select app.fresh()'))).scalar()  # type: ignore[call-overload]


async def test_reach_is_the_clients(looks: Looks, visit_as: VisitAs, cast: Cast) -> None:
    visit, ugo = await looks(cast.mona, cast.ugo), await visit_as(cast.ugo)
    async with ugo.work() as db:
        theirs = {row.id for row in (await listing(db, Where(group='all'))).rows}
    async with work(visit) as db:
        assert {row.id for row in (await listing(db, Where(group='all'))).rows} == theirs - {cast.salary.id}


# ---------- nothing is written ----------


async def test_nothing_can_be_written_into_any_table(looks: Looks, cast: Cast, maintenance: str) -> None:
    visit = await looks(cast.mona, cast.ada)
    tables = column(maintenance, """select table_name::text from information_schema.tables
        where table_schema = 'public' and table_type = 'BASE TABLE'""")  # fmt: skip
    for table in tables:
        for statement in (f'delete from {table}', f'update {table} set tenant_id = tenant_id', f'insert into {table} default values',
                          f'select * from {table} for update', f'truncate {table}'):  # fmt: skip
            with pytest.raises((ReadingOnly, DBAPIError)):
                async with work(visit) as db:
                    await db.exec(text(statement))  # type: ignore[call-overload]


WAYS_OUT = (
    'set transaction read write', 'set transaction_read_only = off', "select set_config('transaction_read_only', 'off', true)",
    "select set_config('default_transaction_read_only', 'off', false)", 'set session characteristics as transaction read write',
    'savepoint a',
)  # fmt: skip


@pytest.mark.parametrize('way', WAYS_OUT)
async def test_no_statement_leads_out_of_reading(looks: Looks, cast: Cast, maintenance: str, way: str) -> None:
    visit = await looks(cast.mona, cast.ada)
    with pytest.raises((ReadingOnly, DBAPIError)):
        async with work(visit) as db:
            await db.exec(text(way))  # type: ignore[call-overload]
            await db.exec(text("update ticket set status = 'closed', closed_at = now()"))  # type: ignore[call-overload]
    assert not column(maintenance, "select 1 from ticket where id = %s and status = 'closed'", cast.printer.id)


async def test_what_was_read_only_is_not_for_whoever_comes_next(
    looks: Looks, visit_as: VisitAs, portal: Database, cast: Cast
) -> None:
    """The connection goes back into the pool as it was."""
    visit, ada = await looks(cast.tess, cast.ada), await visit_as(cast.ada)
    for _n in range(12):
        async with work(visit) as db:
            await db.exec(text('select 1'))  # type: ignore[call-overload]
        async with ada.work() as db:
            await db.exec(text('update ticket set changed_at = now() where id = :id'), params={'id': cast.printer.id})  # type: ignore[call-overload]


async def test_every_verb_refuses(looks: Looks, cast: Cast) -> None:
    by = (await looks(cast.mona, cast.ada)).by
    for verb in access.VERBS:
        module, function = verb.split('.')
        where = next(
            m for m in (f'portal.domain.{module}', f'portal.domain.tickets.{module}', f'portal.domain.sso.{module}',
                      'portal.domain.imports.doing')
            if importlib.util.find_spec(m) and hasattr(importlib.import_module(m), function)
        )  # fmt: skip
        with pytest.raises(OnlyLooking):
            await getattr(importlib.import_module(where), function)(None, by)


#: What a person may ask about themselves: it answers nothing, or refuses, to who looks in their place.
READING_ONESELF = {
    'my_access': '', 'my_accounts': '', 'my_address_change': '', 'my_handle': '', 'my_limits': '', 'my_passkeys': '', 'my_sessions': '',
    'my_signing_in': '', 'waiting_totp': 'gen_random_uuid()', 'recoveries': '',
}  # fmt: skip
#: What a person changes about themselves.
WRITING_ONESELF = {
    'add_passkey': "'{}'::jsonb", 'ask_for_address': "'a@b.example'", 'begin_totp': "gen_random_uuid(), 'x', 'x'::bytea",
    'cancel_my_address_change': '', 'change_password': "'x', true", 'confirm_totp': "gen_random_uuid(), 'x', 1", 'decline_passkey': '',
    'disown_my_sessions': '', 'end_my_other_sessions': '', 'end_my_session': 'gen_random_uuid()',
    'letter_to_me': "gen_random_uuid(), 'factor_added'", 'remove_passkey': 'gen_random_uuid()', 'remove_totp': 'gen_random_uuid()',
    'rename_passkey': "gen_random_uuid(), 'x'", 'set_recovery_codes': "array['x'::bytea]", 'unlink_account': 'gen_random_uuid()',
}  # fmt: skip
#: What an admin does with others.
HELPING = {
    'confirm_review': "gen_random_uuid(), '{}'", 'may_recover': ':other', 'sign_out_person': ':other', 'start_recovery': ":other, 'x', false",
    'stop_recovery': ':other',
}  # fmt: skip


async def answer(visit: Visit, function: str, arguments: str, other: UUID) -> list[Any]:
    """None where it is refused."""
    try:
        async with work(visit) as db:
            params = {'other': other} if ':other' in arguments else {}
            rows = await db.exec(text(f'select x from app.{function}({arguments}) x'), params=params)  # type: ignore[call-overload]
            return [row[0] for row in rows if row[0] not in (None, False, 0, [], (None, None))]
    except (DBAPIError, ReadingOnly):
        return []


async def test_functions_about_oneself_answer_nobody_else(looks: Looks, visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """Mona looks as Ada."""
    own = await visit_as(cast.ada)
    visit = await looks(cast.mona, cast.ada)
    for function, arguments in (READING_ONESELF | WRITING_ONESELF | HELPING).items():
        assert not await answer(visit, function, arguments, cast.ugo.user_id), function
    assert await answer(own, 'my_access', '', cast.ugo.user_id)  # and to Ada they do
    assert await answer(own, 'my_sessions', '', cast.ugo.user_id)
    assert await answer(own, 'my_signing_in', '', cast.ugo.user_id)


async def test_why_somebody_sees_tells_nothing_of_a_private_ticket(looks: Looks, visit_as: VisitAs, cast: Cast) -> None:
    own, visit = await visit_as(cast.ada), await looks(cast.mona, cast.ada)
    for who, sees in ((own, True), (visit, False)):
        async with work(who) as db:
            rows = await db.exec(text('select * from app.why_sees(:t, :u)'), params={'t': cast.payroll.id, 'u': cast.ada.user_id})  # type: ignore[call-overload]
            assert bool(list(rows)) is sees


#: Functions with rights of their own that a client may call, each looked at for who looks in their place: they show nothing private
#: or personal then (writing is refused by the transaction). A new one is looked at, too.
LOOKED_AT = {
    # of the context alone
    'context', 'enter', 'enter_quietly', 'enter_viewing', 'enter_export', 'seal', 'permissions_of',
    # reading: closed to viewers where private tickets would tell
    'may_see', 'may_take_out', 'search_tickets', 'nearest_words', 'company_bytes', 'look', 'presence', 'sight',
    # writing: refused
    'later', 'next_number', 'record', 'tell_writing',
    # of the company: its people and who sees a ticket of it that they may see; who of the staff works on tickets
    'people_here', 'seen_of_company', 'why_sees', 'working_staff',
    *READING_ONESELF, *WRITING_ONESELF, *HELPING,
}  # fmt: skip


def test_every_function_of_clients_was_looked_at(maintenance: str) -> None:
    found = set(column(maintenance, """select p.proname::text from pg_proc p where p.pronamespace = 'app'::regnamespace and p.prosecdef
        and has_function_privilege('portal_client', p.oid, 'execute') and p.prorettype <> 'trigger'::regtype"""))  # fmt: skip
    assert found <= LOOKED_AT, f'what do these show to who looks in a client’s place? {sorted(found - LOOKED_AT)}'


# ---------- begin and end ----------


async def test_it_needs_the_right_a_proof_a_reason_and_somebody_there(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    async def begins(who: Member, client: Member = cast.ugo, reason: str = 'He asked', company: Any = None) -> None:
        me = await visit_as(who)
        async with me.work() as db:
            await begin_viewing(db, me.by, client.user_id, company or client.company_id or cast.acme.id, reason)

    with pytest.raises(NotAllowed):
        await begins(cast.finn)
    with pytest.raises(NotAllowed):
        await begins(cast.ada)
    for reason in ('', '  ', 'x' * 301):
        with pytest.raises(Wrong):
            await begins(cast.tess, reason=reason)
    for client, company in ((cast.cleo, None), (cast.tess, cast.acme.id), (cast.bea, cast.acme.id), (cast.ugo, cast.bakery.id)):
        with pytest.raises(NotFound):
            await begins(cast.tess, client, company=company)
    do(maintenance, "update session set proved_at = now() - interval '16 minutes' where user_id = %s", cast.tess.user_id)
    with pytest.raises(ProofNeeded):
        await begins(cast.tess)
    assert not column(maintenance, 'select 1 from viewing where staff_id = %s and ended_at is null', cast.tess.user_id)


ENDS = {
    'time': 'update viewing set ends_at = now() where staff_id = %(staff)s and ended_at is null',
    'signed out': 'update session set revoked_at = now() where user_id = %(staff)s',
    'other role': "update users set staff_role = 'Finance' where id = %(staff)s",
    'staff disabled': 'update users set disabled_at = now() where id = %(staff)s',
    'client disabled': 'update users set disabled_at = now() where id = %(client)s',
    'membership over': 'update membership set ended_at = now() where user_id = %(client)s',
    'other role of the client': "update membership set role = 'ClientAdmin' where user_id = %(client)s",
    'company archived': 'update company set archived_at = now() where id = %(company)s',
}


@pytest.mark.parametrize('how', ENDS)
async def test_it_ends_at_the_next_event(looks: Looks, cast: Cast, maintenance: str, how: str) -> None:
    visit = await looks(cast.tess, cast.ugo)
    async with work(visit) as db:
        await db.exec(text('select 1'))  # type: ignore[call-overload]
    with psycopg.connect(maintenance) as c:
        c.execute(ENDS[how], {'staff': cast.tess.user_id, 'client': cast.ugo.user_id, 'company': cast.acme.id})  # type: ignore[arg-type]
    with pytest.raises(SignedOut):
        async with work(visit):
            pass
    if how != 'other role of the client':
        with pytest.raises(SignedOut):
            await visit.note('viewing.screen', screen='/tickets')


async def test_one_at_a_time_in_a_session_also_when_begun_at_once(
    visit_as: VisitAs, looks: Looks, cast: Cast, maintenance: str
) -> None:
    first = await looks(cast.tess, cast.ugo)
    me = await visit_as(cast.tess)

    async def begin(client: Member) -> None:
        async with me.work() as db:
            assert client.company_id
            await begin_viewing(db, me.by, client.user_id, client.company_id, 'Both at once')

    await asyncio.gather(begin(cast.ada), begin(cast.bill), begin(cast.bea))
    assert len(column(maintenance, 'select 1 from viewing where staff_id = %s and ended_at is null', cast.tess.user_id)) == 1
    with pytest.raises(SignedOut):  # the page of the one before
        async with work(first):
            pass
    with pytest.raises(SignedOut):
        await first.note('viewing.screen', screen='')


async def test_another_session_of_the_same_person_does_not_look(looks: Looks, cast: Cast) -> None:
    await looks(cast.tess, cast.ugo)
    for who in (cast.mona, cast.stan, cast.ada):
        arrival = await visits.arriving(who.cookie)
        assert arrival
        assert await visits.looking(arrival, 'acme') is None
    tess = await visits.arriving(cast.tess.cookie)
    assert tess
    assert await visits.looking(tess, 'bolt') is None


async def test_the_key_of_a_viewing_opens_nothing_else(looks: Looks, portal: Database, cast: Cast) -> None:
    visit = await looks(cast.tess, cast.ugo)
    for role, enter, key in (
        ('client', 'enter', (visit.token, cast.acme.id, None)), ('client', 'enter_viewing', (visit.token, cast.bolt.id, visit.rights, False)),
        ('client', 'enter_viewing', (visit.token, cast.acme.id, None, False)), ('client', 'enter_viewing', (visit.token, cast.acme.id, 'x', False)),
        ('client', 'enter_viewing', (cast.ugo.token, cast.acme.id, visit.rights, False)),
    ):  # fmt: skip
        with pytest.raises(SignedOut):
            async with portal.work(role, enter, *key):  # type: ignore[arg-type]
                pass


async def test_beginning_and_ending_stand_in_the_companys_log(looks: Looks, cast: Cast, maintenance: str) -> None:
    visit = await looks(cast.tess, cast.ugo)
    await visit.note('viewing.screen', screen='/tickets')
    row = await visits.database.ask('select app.stop_viewing(:token)', token=visit.token)
    assert row[0] == {'slug': 'acme', 'user_id': str(cast.ugo.user_id)}
    assert (await visits.database.ask('select app.stop_viewing(:token)', token=visit.token))[0] is None
    with psycopg.connect(maintenance) as c:
        lines = c.execute("""select action, company_id, actor_id, subject_id, as_user_id, detail, session is not null from audit
            where action like 'viewing.%%' and actor_id = %s order by at""", (cast.tess.user_id,)).fetchall()  # fmt: skip
    about = (cast.acme.id, cast.tess.user_id, cast.ugo.user_id, cast.ugo.user_id)
    assert lines == [
        ('viewing.begun', *about, {'reason': 'He sees nothing'}, True),
        ('viewing.screen', *about, {'screen': '/tickets'}, True),
        ('viewing.ended', *about, {'why': 'stopped'}, True),
    ]


async def test_time_that_is_over_is_told_by_the_job(looks: Looks, portal: Database, cast: Cast, maintenance: str) -> None:
    from portal.jobs.auditing import seal

    await looks(cast.tess, cast.ugo)
    do(
        maintenance,
        "update viewing set ends_at = now() - interval '1 second' where staff_id = %s and ended_at is null",
        cast.tess.user_id,
    )
    await asyncio.gather(seal(portal), seal(portal))
    assert column(
        maintenance, "select detail ->> 'why' from audit where action = 'viewing.ended' and actor_id = %s", cast.tess.user_id
    ) == ['time']
