"""Databases of earlier releases, with the cast in them, are brought to the present; and nobody hangs on the way."""

import gzip
import hashlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from portal.db import engine, lint, migrate, roles, server
from portal.db.cast import SECRET
from portal.db.errors import CannotStart
from portal.domain.people import members
from portal.domain.tickets import ticket_by_number
from portal.domain.tickets.lists import Where, listing
from portal.settings import Settings, load
from portal.visit import Arrival, arriving
from tests.db import servers

RELEASES = sorted((Path(__file__).parent.parent / 'releases').glob('*.sql.gz'))
QUICK = migrate.Patience(lock=0.2, between=0.05, altogether=30)
Restored = Callable[[Path], server.Cluster]


@pytest.fixture
def restored(cluster: server.Cluster, settings: Settings) -> Iterator[Restored]:
    """`there = restored(release)`: a database as that release left it."""
    name, admin = cluster.database + '_earlier', cluster.admin() or ''
    drop = sql.SQL('drop database if exists {} with (force)').format(sql.Identifier(name))

    def restore(release: Path) -> server.Cluster:
        roles.prepare(admin, name, settings.secret, create=True)
        with psycopg.connect(make_conninfo(admin, dbname=name)) as connection:
            connection.execute(gzip.decompress(release.read_bytes()))
        return replace(cluster, database=name)

    with psycopg.connect(admin, dbname='postgres', autocommit=True) as boss:
        boss.execute(drop)
        yield restore
        boss.execute(drop)


#: What makes up a schema. Each answers with lines; a database brought here has the same as one made anew.
SCHEMA = {
    'columns': """
        select format('%s.%s.%s %s %s %s%s', n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                      pg_get_expr(d.adbin, d.adrelid), a.attgenerated)
        from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
          left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        where n.nspname in ('public', 'app', 'jobs', 'migration') and c.relkind in ('r', 'p', 'v') and a.attnum > 0 and not a.attisdropped""",
    'tables': """
        select format('%s %s %s %s %s', c.oid::regclass, c.relkind, c.relowner::regrole, c.relrowsecurity, c.relforcerowsecurity)
        from pg_class c where c.relnamespace::regnamespace::text in ('public', 'app', 'jobs', 'migration')""",
    'constraints': """
        select format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid)) from pg_constraint
        where connamespace::regnamespace::text in ('public', 'app', 'jobs', 'migration')""",
    'indexes': "select indexdef from pg_indexes where schemaname in ('public', 'app', 'jobs', 'migration')",
    'policies': "select format('%s', p.*) from pg_policies p",
    'grants': """
        select format('%s %s', c.oid::regclass, g) from pg_class c, unnest(c.relacl) g
        where c.relnamespace::regnamespace::text in ('public', 'app', 'jobs', 'migration')
        union all select format('%s.%s %s', a.attrelid::regclass, a.attname, g) from pg_attribute a, unnest(a.attacl) g
        union all select format('%s %s', p.oid::regprocedure, g) from pg_proc p, unnest(p.proacl) g
          where p.pronamespace::regnamespace::text in ('public', 'app', 'jobs')
        union all select format('%s %s', n.nspname, g) from pg_namespace n, unnest(n.nspacl) g
          where n.nspname in ('public', 'app', 'jobs', 'migration')""",
    'functions': """
        select format('%s %s %s', p.oid::regprocedure, p.proowner::regrole, pg_get_functiondef(p.oid)) from pg_proc p
        where p.pronamespace::regnamespace::text in ('app', 'jobs')""",
    'triggers': 'select pg_get_triggerdef(oid) from pg_trigger where not tgisinternal',
    'statistics': 'select pg_get_statisticsobjdef(oid) from pg_statistic_ext',
}


def schema_of(admin: str, database: str) -> dict[str, list[str]]:
    with psycopg.connect(make_conninfo(admin, dbname=database)) as connection:
        return {name: sorted(row[0] for row in connection.execute(question).fetchall()) for name, question in SCHEMA.items()}  # pyright: ignore


@pytest.mark.parametrize('release', RELEASES, ids=lambda path: path.name.removesuffix('.sql.gz'))
async def test_a_release_is_brought_here_with_everything_in_it(
    release: Path, restored: Restored, cluster: server.Cluster, portal: engine.Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = restored(release)
    assert migrate.upgrade(there, patience=QUICK)
    assert lint.problems(there.conninfo('portal_owner')) == []
    admin = cluster.admin() or ''
    ours, fresh = schema_of(admin, there.database), schema_of(admin, cluster.database)
    for part, lines in fresh.items():
        assert ours[part] == lines, part
    database = engine.connect(there)
    monkeypatch.setattr('portal.visit.database', database)
    try:
        await _people_find_their_tickets(make_conninfo(admin, dbname=there.database))
    finally:
        await database.close()


@pytest.mark.parametrize('version', sorted(servers.PROGRAMS), ids=lambda version: f'PostgreSQL {version}')
def test_a_server_of_the_operator_is_brought_here_without_a_superuser(version: str) -> None:
    with servers.operator(servers.PROGRAMS[version]) as operator:
        found = load({'DATABASE_URL': operator.url(), 'PORTAL_SECRET_KEY': 'a secret of the tests, long enough'})
        operator.forget()
        assert migrate.upgrade(server.open_cluster(found))
        fresh = schema_of(operator.url('postgres'), 'support')
        for release in RELEASES:
            operator.forget()
            there = server.open_cluster(found)
            with psycopg.connect(operator.url('postgres')) as boss:
                boss.execute(gzip.decompress(release.read_bytes()))
            assert migrate.upgrade(there, patience=QUICK)
            assert lint.problems(there.conninfo('portal_owner')) == []
            ours = schema_of(operator.url('postgres'), 'support')
            for part, lines in fresh.items():
                assert ours[part] == lines, part


async def _people_find_their_tickets(admin: str) -> None:
    tess, ada, bea = [await _sign_in(admin, name) for name in ('Tess Okafor', 'Ada Brandt', 'Bea Lindqvist')]
    staff, acme, bolt = tess.staff(), ada.client('acme'), bea.client('bolt')
    assert acme and bolt
    async with staff.work() as db:
        tickets = (await listing(db, Where(group='all'))).rows
        assert {ticket.subject for ticket in tickets} >= {
            'Kyocera at reception prints blank pages',
            'Calendar of room 2 shows nothing',
        }
        number = next(ticket.number for ticket in tickets if ticket.subject.startswith('Kyocera'))
    async with acme.work() as db:
        assert (await ticket_by_number(db, number)).subject == 'Kyocera at reception prints blank pages'
        assert acme.by.company
        assert 'Ugo Marchetti' in {person.name for person in await members(db, acme.by.company.id)}
    async with bolt.work() as db:
        assert 'Kyocera' not in ' '.join(ticket.subject for ticket in (await listing(db, Where(group='all'))).rows)
    with psycopg.connect(admin) as boss:
        assert boss.execute('select count(*) from ticket_comment where body like %s', (f'%{SECRET}%',)).fetchone() == (3,)


async def _sign_in(admin: str, name: str) -> Arrival:
    with psycopg.connect(admin) as boss:
        boss.execute(
            """insert into session (token_hash, tenant_id, user_id, device, expires_at)
               select %s, tenant_id, id, 'Test', now() + interval '1 day' from users where name = %s""",
            (hashlib.sha256(name.encode()).digest(), name),
        )
    arrival = await arriving(name)
    assert arrival
    return arrival


def test_a_busy_table_is_waited_for_with_words(restored: Restored, caplog: pytest.LogCaptureFixture) -> None:
    there = restored(RELEASES[0])
    admin = make_conninfo(there.admin() or '', dbname=there.database)
    with psycopg.connect(admin) as busy, ThreadPoolExecutor(1) as pool, caplog.at_level(logging.WARNING, 'portal.migrate'):
        busy.execute('lock table ticket in access share mode')
        waiting, said = pool.submit(migrate.upgrade, there, None, QUICK), threading.Event()
        while not waiting.done() and not said.is_set():
            if 'a table is busy' in caplog.text:
                said.set()
            said.wait(0.02)
        assert said.is_set(), waiting.exception()
        busy.rollback()
        assert waiting.result(30)
    assert migrate.version(there) == migrate.HEAD


def test_a_table_that_stays_busy_is_named_as_the_reason(restored: Restored) -> None:
    there = restored(RELEASES[0])
    with psycopg.connect(make_conninfo(there.admin() or '', dbname=there.database)) as busy:
        busy.execute('lock table ticket in access share mode')
        with pytest.raises(CannotStart, match='somebody else has kept a table busy'):
            migrate.upgrade(there, patience=migrate.Patience(lock=0.1, between=0.01, altogether=0.2))
    assert migrate.version(there) == '0001'
    assert migrate.upgrade(there, patience=QUICK)


def test_of_processes_that_start_together_one_works(restored: Restored) -> None:
    there = restored(RELEASES[0])
    with ThreadPoolExecutor(3) as pool:
        did = list(pool.map(lambda _n: migrate.upgrade(there, patience=QUICK), range(3)))
    assert sorted(did) == [False, False, True]
    assert migrate.version(there) == migrate.HEAD


def test_who_waits_for_another_process_does_not_wait_for_ever(restored: Restored) -> None:
    there = restored(RELEASES[0])
    with psycopg.connect(there.conninfo('portal_owner'), autocommit=True) as other:
        other.execute('select pg_advisory_lock(%s)', (migrate.ONE_AT_A_TIME,))
        with pytest.raises(CannotStart, match='another process has been bringing the database up to date'):
            migrate.upgrade(there, patience=migrate.Patience(altogether=0.3))


def test_a_newer_database_is_refused(restored: Restored) -> None:
    there = restored(RELEASES[0])
    with psycopg.connect(make_conninfo(there.admin() or '', dbname=there.database)) as boss:
        boss.execute("update migration.alembic_version set version_num = '9999'")
    with pytest.raises(migrate.NewerDatabase, match='run the newer portal, or restore a backup'):
        migrate.upgrade(there, patience=QUICK)
