"""Nobody sees another tenant; a client sees only the active company; no client ever sees a note or somebody's private ticket.

The walks go over all tables of the database and everyone of the cast: what is added later is covered unasked.
"""

from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.db import lint
from portal.db.cast import SECRET, Cast, Member
from portal.db.engine import Database, NoContext, SignedOut
from portal.db.server import Cluster
from portal.domain.tickets import Comment, Ticket

CLIENTS = ('ada', 'ugo', 'bill', 'bea', 'mel_bolt', 'mel_acme', 'cleo')
STAFF = ('mona', 'tess', 'finn', 'stan')
EVERYONE = CLIENTS + STAFF


def work(portal: Database, who: Member, *, role: Any = None, company: Any = '') -> Any:
    return portal.work(role or who.side, 'enter', who.token, who.company_id if company == '' else company)


@pytest.fixture(scope='session')
def tables(maintenance: str) -> dict[str, set[str]]:
    """Every table of the portal, with its columns."""
    with psycopg.connect(maintenance) as c:
        rows = c.execute("""
            select table_name, array_agg(column_name::text) from information_schema.columns
            join information_schema.tables using (table_schema, table_name)
            where table_schema = 'public' and table_type = 'BASE TABLE' group by 1""").fetchall()
    return {name: set(columns) for name, columns in rows}


def readable(maintenance: str, role: str, table: str) -> list[str]:
    with psycopg.connect(maintenance) as c:
        rows = c.execute("""select attname::text from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped
                            and has_column_privilege(%s, attrelid, attnum, 'select')""", (table, role))  # fmt: skip
        return [row[0] for row in rows]


async def rows_of(db: AsyncSession, table: str, columns: list[str]) -> list[dict[str, Any]]:
    found = await db.exec(text(f'select {", ".join(columns)} from {table}'))  # type: ignore[call-overload]
    return [dict(row._mapping) for row in found]


@pytest.mark.parametrize('name', EVERYONE)
async def test_walk_over_every_table(
    portal: Database, cast: Cast, maintenance: str, tables: dict[str, set[str]], name: str
) -> None:
    """What one reads is of one's own tenant, for a client of one's own company, and carries no note."""
    who: Member = getattr(cast, name)
    for table, columns in tables.items():
        may = readable(maintenance, f'portal_{who.side}', table)
        if not may:
            continue
        async with work(portal, who) as db:
            rows = await rows_of(db, table, may)
        key = 'id' if table == 'tenant' else 'tenant_id'
        assert {row[key] for row in rows} <= {who.tenant_id}, table
        if who.side == 'client':
            own = 'id' if table == 'company' else 'company_id'
            if own in columns:
                # sign-ins of the company's people stand without one
                assert {row[own] for row in rows} <= ({who.company_id, None} if table == 'audit' else {who.company_id}), table
            assert not any(row.get('is_internal') for row in rows), table
            assert SECRET not in repr(rows), table


@pytest.mark.parametrize('name', EVERYONE)
async def test_walk_changes_nothing_of_others(
    portal: Database, cast: Cast, maintenance: str, tables: dict[str, set[str]], name: str
) -> None:
    """An UPDATE or DELETE without a condition reaches own rows at most: every foreign row is as it was."""
    who: Member = getattr(cast, name)
    with psycopg.connect(maintenance) as c:
        before = {t: _foreign(c, t, who, columns) for t, columns in tables.items() if 'tenant_id' in columns}
    for table in before:
        for statement in (f'update {table} set tenant_id = tenant_id', f'delete from {table}'):
            try:
                async with work(portal, who) as db:
                    await db.exec(text(statement))  # type: ignore[call-overload]
            except (DBAPIError, ProgrammingError):
                continue
    with psycopg.connect(maintenance) as c:
        after = {t: _foreign(c, t, who, tables[t]) for t in before}
    assert after == before


def _foreign(c: psycopg.Connection[Any], table: str, who: Member, columns: set[str]) -> list[Any]:
    foreign = 'tenant_id <> %(tenant)s'
    if who.side == 'client' and 'company_id' in columns:
        foreign += ' or company_id <> %(company)s'
    query = f'select to_jsonb(t) from {table} t where {foreign} order by 1'
    return c.execute(query, {'tenant': who.tenant_id, 'company': who.company_id}).fetchall()  # type: ignore[arg-type]


@pytest.mark.parametrize('name', ['bea', 'mel_bolt', 'cleo', 'stan'])
async def test_walk_inserts_nothing_for_others(
    portal: Database, cast: Cast, maintenance: str, tables: dict[str, set[str]], name: str
) -> None:
    """A copy of each of Acme's rows, under a new id, is refused in every table."""
    who: Member = getattr(cast, name)
    for table, columns in tables.items():
        if 'company_id' not in columns or table == 'audit':
            continue
        with psycopg.connect(maintenance) as c:
            real = [row[0] for row in c.execute("""select attname::text from pg_attribute where attrelid = %s::regclass and attnum > 0
                                                   and attgenerated = ''""", (table,))]  # fmt: skip
        others = [column for column in real if column != 'id']
        copied = f'insert into {table} ({", ".join(real)}) select {"gen_random_uuid(), " if "id" in real else ""}{", ".join(others)} ' \
                 f'from jsonb_populate_record(null::{table}, cast(:row as jsonb))'  # fmt: skip
        with psycopg.connect(maintenance) as c:
            row = c.execute(f'select to_jsonb(t)::text from {table} t where company_id = %s limit 1', (cast.acme.id,)).fetchone()  # type: ignore[arg-type]
        assert row, f'the cast has no row in {table}'
        with pytest.raises(DBAPIError):
            async with work(portal, who) as db:
                await db.exec(text(copied).bindparams(row=row[0]))  # type: ignore[call-overload]


@pytest.mark.parametrize('name', CLIENTS)
async def test_what_clients_see_of_tickets(portal: Database, cast: Cast, maintenance: str, name: str) -> None:
    """Own, in copy, or the company's where the role reaches that far: computed apart from the policies, and compared."""
    who: Member = getattr(cast, name)
    with psycopg.connect(maintenance) as c:
        expected = {row[0] for row in c.execute("""
            select t.id from ticket t where t.company_id = %(company)s and (
              t.requester_id = %(me)s or (t.visibility = 'company' and %(role)s = 'ClientAdmin')
              or exists (select from ticket_participant p where p.ticket_id = t.id and p.user_id = %(me)s))""",
            {'company': who.company_id, 'me': who.user_id, 'role': who.role})}  # fmt: skip
    async with work(portal, who) as db:
        assert set(await db.exec(select(Ticket.id))) == expected
        found = (await db.execute(text("select * from app.search_tickets('e', 500)"))).scalars()
        assert set(found) <= expected
        assert not [c for c in await db.exec(select(Comment)) if c.is_internal or c.ticket_id not in expected]


async def test_a_private_ticket_is_closed_to_the_company_admin(portal: Database, cast: Cast) -> None:
    async with work(portal, cast.ada) as db:
        assert await db.get(Ticket, cast.salary.id) is None
    async with work(portal, cast.bill) as db:
        assert await db.get(Ticket, cast.salary.id) is not None


async def test_search_finds_own_and_nothing_else(portal: Database, cast: Cast) -> None:
    async def found(who: Member, words: str) -> set[Any]:
        async with work(portal, who) as db:
            return set((await db.execute(text('select * from app.search_tickets(:w, 500)').bindparams(w=words))).scalars())

    number = str(cast.printer.number)
    assert cast.printer.id in await found(cast.ada, number)
    assert cast.printer.id in await found(cast.tess, f'T-{number}')
    assert cast.printer.id not in await found(cast.bea, number)
    assert cast.salary.id not in await found(cast.ada, str(cast.salary.number))
    assert cast.printer.id not in await found(cast.stan, f't-{number}')


# ---------- the context ----------


async def test_without_a_context_there_is_an_error(portal: Database) -> None:
    with pytest.raises(NoContext):
        async with AsyncSession(portal.engines['staff']) as db:
            await db.exec(select(Ticket))


@pytest.mark.parametrize('role', ['staff', 'client', 'worker'])
async def test_without_a_context_there_are_no_rows(portal: Database, cast: Cast, role: Any) -> None:
    async with portal.engines[role].connect() as connection:
        assert (await connection.execute(text('select count(*) from ticket'))).scalar() == 0
        assert (await connection.execute(text('select count(*) from users'))).scalar() == 0


async def test_the_door_reads_no_table(portal: Database, tables: dict[str, set[str]]) -> None:
    for table in tables:
        with pytest.raises(DBAPIError, match='permission denied'):
            async with portal.engines['door'].connect() as connection:
                await connection.execute(text(f'select 1 from {table}'))


@pytest.mark.parametrize('forged', ["'x'", "repeat('0', 64) || '|' || :words", ':words'])
async def test_a_context_cannot_be_chosen(portal: Database, cast: Cast, forged: str) -> None:
    """Any role may SET a setting; without the seal it is refused, also where a true context was set before."""
    words = f'{cast.ada.tenant_id}|{cast.acme.id}|{cast.ada.user_id}|company'
    with pytest.raises(DBAPIError, match='forged context'):
        async with work(portal, cast.bea) as db:
            statement = text(f"select set_config('app.context', {forged}, true)")
            await db.execute(statement.bindparams(words=words) if ':words' in forged else statement)
            await db.exec(select(Ticket))


async def test_a_sealed_context_is_worth_nothing_elsewhere(portal: Database, cast: Cast) -> None:
    async with work(portal, cast.ada) as db:
        stolen = (await db.execute(text("select current_setting('app.context')"))).scalar()
    with pytest.raises(DBAPIError, match='forged context'):
        async with work(portal, cast.bea) as db:
            await db.execute(text("select set_config('app.context', :c, true)").bindparams(c=stolen))
            await db.exec(select(Ticket))


async def test_a_context_is_entered_once(portal: Database, cast: Cast) -> None:
    with pytest.raises(DBAPIError, match='context already set'):
        async with work(portal, cast.tess) as db:
            await db.execute(text('select app.enter(:t, null)').bindparams(t=cast.stan.token))


async def test_a_session_enters_its_own_side_and_company_alone(portal: Database, cast: Cast) -> None:
    for who, role, company in (
        (cast.ada, 'staff', cast.acme.id), (cast.tess, 'client', cast.acme.id), (cast.ada, 'client', cast.bolt.id),
        (cast.ada, 'client', None), (cast.cleo, 'client', cast.acme.id),
    ):  # fmt: skip
        with pytest.raises(SignedOut):
            async with work(portal, who, role=role, company=company):
                pass


@pytest.mark.parametrize('change', [
    'update session set revoked_at = now() where user_id = %s', "update session set expires_at = now() - interval '1 s' where user_id = %s",
    "update session set last_seen_at = now() - interval '9 hours' where user_id = %s", 'update users set disabled_at = now() where id = %s',
    'update membership set ended_at = now() where user_id = %s',
])  # fmt: skip
async def test_a_dead_session_does_not_begin_its_work(portal: Database, cast: Cast, maintenance: str, change: str) -> None:
    async with work(portal, cast.ada) as db:
        await db.exec(select(Ticket))
    with psycopg.connect(maintenance) as c:
        c.execute(change, (cast.ada.user_id,))  # type: ignore[arg-type]
    with pytest.raises(SignedOut):
        async with work(portal, cast.ada):
            pytest.fail('the work began')


async def test_what_a_page_reads_by_itself_keeps_no_session_alive(portal: Database, cast: Cast, maintenance: str) -> None:
    def last_seen() -> Any:
        with psycopg.connect(maintenance) as c:
            return c.execute('select last_seen_at from session where token_hash = %s', (cast.ada.token,)).fetchone()

    with psycopg.connect(maintenance) as c:
        c.execute("update session set last_seen_at = now() - interval '1 hour' where token_hash = %s", (cast.ada.token,))
    before = last_seen()
    async with portal.work('client', 'enter_quietly', cast.ada.token, cast.acme.id) as db:
        assert list(await db.exec(select(Ticket.id)))
    assert last_seen() == before
    async with work(portal, cast.ada):
        pass
    assert last_seen() > before


async def test_contexts_do_not_mix_in_the_pool(portal: Database, cast: Cast) -> None:
    """Hundreds of units of work on few connections, some of which fail: each sees its own."""
    import asyncio

    async def one(n: int) -> None:
        who = (cast.ada, cast.bea, cast.ugo, cast.cleo)[n % 4]
        try:
            async with work(portal, who) as db:
                companies = set(await db.exec(select(Ticket.company_id)))
                assert companies <= {who.company_id}
                if n % 5 == 0:
                    raise RuntimeError
        except RuntimeError:
            pass

    await asyncio.gather(*(one(n) for n in range(300)))


async def test_a_job_enters_only_while_it_runs(portal: Database) -> None:
    with pytest.raises(SignedOut):
        async with portal.work('worker', 'enter_job', 1_000_000_000):
            pass


async def test_the_audit_log_is_not_changed(maintenance: str, cast: Cast) -> None:
    for statement in ("update audit set action = 'x'", 'delete from audit', 'truncate audit'):
        with psycopg.connect(maintenance) as c, pytest.raises(psycopg.errors.InsufficientPrivilege):
            c.execute(statement)  # type: ignore[arg-type]


async def test_passwords_and_sessions_are_closed(portal: Database, cast: Cast) -> None:
    for who in (cast.mona, cast.ada):
        for table in ('credential', 'session', 'attempt', 'counter'):
            with pytest.raises(DBAPIError, match='permission denied'):
                async with work(portal, who) as db:
                    await db.execute(text(f'select * from {table}'))


# ---------- the lint ----------


def test_the_schema_is_clean(cluster: Cluster) -> None:
    assert lint.problems(cluster.conninfo('portal_owner')) == []


@pytest.mark.parametrize(('fault', 'sentence'), [
    ('alter table ticket no force row level security', 'ticket has no forced row security'),
    ('create table loose (id uuid)', 'loose has no forced row security'),
    ('grant delete on ticket to portal_client', 'grants DELETE to portal_client, which no policy narrows'),
    ('grant update (name) on role to portal_client', 'role.name grants UPDATE to portal_client'),
    ('create policy wide on ticket to portal_staff using (true)', 'wide on ticket does not ask for the tenant'),
    ('create policy wide on ticket to portal_client using (tenant_id = (select app.tenant()))', 'lets clients see more than one company'),
    ('grant select on ticket to public', 'ticket is open to PUBLIC'),
    ('grant execute on function app.found to public', 'is open to PUBLIC'),
    ('alter function app.enter(bytea, uuid) reset all', 'has no fixed search_path'),
    ('alter function app.enter(bytea, uuid) owner to portal_owner', 'belongs to portal_owner'),
    ('alter table ticket add x_id uuid references users (id)', 'does not carry the tenant'),
    ('alter table ticket add x_id uuid', 'column ticket.x_id has no foreign key'),
    ('create unique index on users (email, id)', 'reveals what other tenants have'),
    ('create materialized view m as select 1', 'materialized view m leaks'),
    ('create view v as select * from ticket', 'view v is not a security invoker'),
    ('grant execute on function app.seal(text) to portal_staff', 'portal_staff may call app.seal(text)'),
])  # fmt: skip
def test_the_lint_sees_each_fault(maintenance: str, fault: str, sentence: str) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute(fault)  # type: ignore[arg-type]
        found = [row[0] for check in lint.CHECKS.values() for row in c.execute(check).fetchall()]  # type: ignore[arg-type]
        c.rollback()
    assert any(sentence in problem for problem in found), found


def test_models_and_tables_are_the_same(maintenance: str, tables: dict[str, set[str]]) -> None:
    """Names and nullability of every column; the migration is written by hand."""
    from sqlmodel import SQLModel

    import portal.domain.canned
    import portal.domain.factors
    import portal.domain.imports
    import portal.domain.notifications
    import portal.domain.passkeys
    import portal.domain.policy
    import portal.domain.recovery
    import portal.domain.sso
    import portal.domain.tickets
    import portal.domain.tickets.exporting
    import portal.domain.viewing
    import portal.domain.views  # noqa: F401

    with psycopg.connect(maintenance) as c:
        real = {(t, n): null == 'YES' for t, n, null in c.execute(
            "select table_name, column_name, is_nullable from information_schema.columns where table_schema = 'public'")}  # fmt: skip
    model = {(t.name, column.name): column.nullable for t in SQLModel.metadata.tables.values() for column in t.columns}
    unmodelled = {
        'attempt',
        'counter',
        'ticket_text',
        'ticket_word',
        'audit_waiting',
        'audit_seal',
        'audit_removed',
    }  # reached by functions alone
    assert model == {key: null for key, null in real.items() if key[0] not in unmodelled}


def test_reach_in_sql_and_in_python_agree(maintenance: str) -> None:
    from portal.domain.access import BUILT_IN, Permission, UserType

    with psycopg.connect(maintenance) as c:
        for name, role in BUILT_IN.items():
            if role.user_type is UserType.CLIENT:
                row = c.execute('select app.reach_of(%s, null)', (name,)).fetchone()
                assert row == ('company' if Permission.TICKETS_SEE_COMPANY in role.permissions else 'own',)
        assert c.execute("select app.reach_of(null, array['tickets.see_company'])").fetchone() == ('company',)


def test_permissions_in_sql_and_in_python_agree(maintenance: str) -> None:
    from portal.domain.access import BUILT_IN

    with psycopg.connect(maintenance) as c:
        for name, role in BUILT_IN.items():
            row = c.execute('select app.permissions_of(%s, null)', (name,)).fetchone()
            assert row and set(row[0]) == role.permissions, name
        assert c.execute("select app.permissions_of(null, array['tickets.see'])").fetchone() == (['tickets.see'],)


async def test_the_context_says_what_one_may(portal: Database, cast: Cast) -> None:
    async with work(portal, cast.ada) as db:
        row = (
            await db.execute(text("select app.may('people.manage'), app.may('staff.manage'), app.fresh(), app.viewer()"))
        ).one()
    assert tuple(row) == (True, False, True, None)
