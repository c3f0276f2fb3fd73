"""The roles on an operator's own server: the newest PostgreSQL, and the oldest that we promise (where it is installed)."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import create_engine, text

from portal.db import roles, server
from portal.db.errors import CannotStart, RolesMissing
from portal.settings import Settings, load
from tests.db import servers

SECRET = b'a secret of the tests, long enough'
ADMINISTRATORS = ['postgres', 'boss']


@pytest.fixture(scope='module', params=sorted(servers.PROGRAMS), ids=lambda version: f'PostgreSQL {version}')
def running(request: pytest.FixtureRequest) -> Iterator[servers.Operator]:
    with servers.operator(servers.PROGRAMS[request.param]) as operator:
        yield operator


@pytest.fixture
def operator(running: servers.Operator) -> servers.Operator:
    running.forget()
    return running


@pytest.fixture(params=ADMINISTRATORS)
def ready(request: pytest.FixtureRequest, operator: servers.Operator) -> servers.Operator:
    """Prepared by each kind of administrator, twice."""
    roles.prepare(operator.url(request.param), 'support', SECRET)
    roles.prepare(operator.url(request.param), 'support', SECRET)
    return operator


def test_each_role_signs_in_with_its_own_password(ready: servers.Operator):
    assert len({roles.password(SECRET, role) for role in roles.LOGINS}) == len(roles.LOGINS)
    for role in roles.LOGINS:
        with sign_in(ready, role) as connection:
            assert ask(connection, 'select current_user') == role
    with pytest.raises(psycopg.OperationalError):
        sign_in(ready, roles.DEFINER)


def test_no_role_has_a_power(ready: servers.Operator):
    with sign_in(ready, 'portal_owner') as connection:
        assert ask(connection, POWERFUL) is None


def test_statements_are_limited_except_in_migrations_and_backups(ready: servers.Operator):
    limits = "select concat_ws(' ', current_setting('statement_timeout'), current_setting('lock_timeout'), " \
             "current_setting('idle_in_transaction_session_timeout'))"  # fmt: skip
    found: dict[str, str | None] = {}
    for role in roles.LOGINS:
        with sign_in(ready, role) as connection:
            found[role] = ask(connection, limits)
    assert found == {
        'portal_owner': '0 0 0',
        'portal_staff': '15s 5s 30s',
        'portal_client': '15s 5s 30s',
        'portal_door': '15s 5s 30s',
        'portal_worker': '1min 5s 30s',
        'portal_backup': '0 0 0',
    }


@pytest.mark.parametrize('statement', ['create table t()', 'create schema s', 'create temp table t()', 'set role portal_definer'])
def test_only_the_owner_makes_things(ready: servers.Operator, statement: str):
    for role in roles.TIMEOUTS:
        with sign_in(ready, role) as connection, pytest.raises(errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_the_owner_hands_functions_to_the_definer_and_is_not_it(ready: servers.Operator):
    with sign_in(ready, 'portal_owner') as connection:
        connection.execute('create schema app')
        connection.execute('create function app.f() returns int language sql as $$ select 1 $$')
        connection.execute('grant create on schema app to portal_definer')
        connection.execute('alter function app.f() owner to portal_definer')
        with pytest.raises(errors.InsufficientPrivilege):
            connection.execute('create or replace function app.f() returns int language sql as $$ select 2 $$')
    with sign_in(ready, 'portal_owner') as connection:
        connection.execute('set role portal_definer')


def test_nobody_else_connects(ready: servers.Operator):
    with pytest.raises(psycopg.OperationalError, match='permission denied for database'):
        psycopg.connect(ready.url('plain'))


def test_powers_and_passwords_that_were_changed_are_put_back(ready: servers.Operator):
    with psycopg.connect(ready.url('postgres'), autocommit=True) as admin:
        admin.execute("alter role portal_staff createdb bypassrls inherit password 'other'")
    roles.prepare(ready.url('postgres'), 'support', SECRET)
    with sign_in(ready, 'portal_staff') as connection:
        assert ask(connection, POWERFUL) is None


def test_a_new_secret_closes_the_old_passwords(ready: servers.Operator):
    roles.prepare(ready.url('postgres'), 'support', b'another secret, as long as it has to be')
    with pytest.raises(psycopg.OperationalError, match='password'):
        sign_in(ready, 'portal_staff')


def test_portals_that_start_at_once_do_not_disturb_each_other(operator: servers.Operator):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: roles.prepare(operator.url(), 'support', SECRET), range(12)))


class TestScript:
    """What an administrator runs where the portal may not create roles."""

    @pytest.mark.parametrize('administrator', ADMINISTRATORS)
    def test_does_the_same(self, operator: servers.Operator, administrator: str):
        with psycopg.connect(operator.url(administrator), autocommit=True) as connection:
            connection.execute(roles.sql_for_admin('support', SECRET, 'plain').encode())
        for role in roles.LOGINS:
            sign_in(operator, role).close()
        psycopg.connect(operator.url('plain')).close()

    def test_holds_no_password(self):
        script = roles.sql_for_admin('support', SECRET)
        assert [role for role in roles.LOGINS if roles.password(SECRET, role) in script] == []
        assert script.count('SCRAM-SHA-256$') == len(roles.LOGINS)

    def test_quotes_the_name_of_the_database(self):
        assert 'on database "o\'Neill ""&"" sons"' in roles.sql_for_admin('o\'Neill "&" sons', SECRET)


class TestOpen:
    """The server that DATABASE_URL names."""

    @pytest.mark.parametrize('administrator', ADMINISTRATORS)
    def test_creates_the_roles_itself_where_it_may(self, operator: servers.Operator, administrator: str):
        cluster = server.open_cluster(settings(operator.url(administrator)))
        assert (cluster.database, cluster.embedded, cluster.admin()) == ('support', False, operator.url(administrator))
        with create_engine(cluster.url('portal_client')).connect() as connection:
            assert connection.execute(text('select current_user')).scalar() == 'portal_client'
        with psycopg.connect(cluster.conninfo('portal_worker')) as connection:
            assert connection.info.server_version // 10000 == cluster.server_version

    def test_names_the_command_where_it_may_not(self, operator: servers.Operator):
        with pytest.raises(RolesMissing, match='the user plain may not create them: run `python -m portal db setup`'):
            server.open_cluster(settings(operator.url('plain')))

    def test_starts_as_an_ordinary_user_once_an_administrator_has_run_the_script(self, operator: servers.Operator):
        with psycopg.connect(operator.url('postgres'), autocommit=True) as admin:
            admin.execute(roles.sql_for_admin('support', SECRET, 'plain').encode())
        assert server.open_cluster(settings(operator.url('plain'))).database == 'support'

    def test_who_may_create_roles_must_own_the_database(self, operator: servers.Operator):
        with pytest.raises(RolesMissing, match='does not own the database postgres'):
            server.open_cluster(settings(operator.url('boss', 'postgres')))

    @pytest.mark.parametrize(
        ('changes', 'said'),
        [
            ({'password': 'guessed'}, 'password authentication failed for user "boss"'),
            ({'database': 'nowhere'}, 'database "nowhere" does not exist'),
        ],
    )
    def test_says_what_is_wrong_with_the_address(self, operator: servers.Operator, changes: dict[str, str], said: str):
        assert said in refusal(operator.url(**changes))

    def test_says_that_the_server_is_too_old(self, operator: servers.Operator, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(server, 'OLDEST', 99)
        assert refusal(operator.url()).endswith('is too old: the portal needs 99 or newer.')

    def test_says_that_nobody_answers(self):
        assert 'cannot be used: Connection refused' in refusal(f'postgresql://boss:pw@127.0.0.1:{unused_port()}/support')

    def test_says_that_it_is_not_postgresql(self):
        with web_server() as port:
            assert refusal(f'postgresql://boss:pw@127.0.0.1:{port}/support') == (
                f'What answers at 127.0.0.1:{port} is not PostgreSQL: check DATABASE_URL.'
            )

    def test_says_that_it_cannot_be_read_without_showing_it(self):
        said = refusal('postgresql://boss:hunter2@db/support?colour=blue')
        assert 'DATABASE_URL is not a valid PostgreSQL address' in said
        assert 'hunter2' not in said


def test_the_address_of_several_hosts_is_kept():
    given = server.address('postgresql://boss:pw@db1:5432,[::1]:5433/support?sslmode=verify-full')
    assert given == {'host': 'db1,::1', 'port': '5432,5433', 'sslmode': 'verify-full'}


POWERFUL = """
    select string_agg(rolname, ' ') from pg_roles where rolname like 'portal%'
    and (rolsuper or rolbypassrls or rolcreatedb or rolcreaterole or rolreplication or rolinherit)"""


def settings(url: str) -> Settings:
    return load({'DATABASE_URL': url, 'PORTAL_SECRET_KEY': SECRET.decode()})


def refusal(url: str) -> str:
    with pytest.raises(CannotStart) as refused:
        server.open_cluster(settings(url))
    said = str(refused.value)
    assert said.endswith('.')
    assert '\n' not in said
    return said


def sign_in(operator: servers.Operator, role: str) -> psycopg.Connection[tuple[str | None]]:
    return psycopg.connect(operator.url(role, password=roles.password(SECRET, role)), autocommit=True)


def ask(connection: psycopg.Connection[tuple[str | None]], question: str) -> str | None:
    row = connection.execute(question.encode()).fetchone()
    return row[0] if row else None


def unused_port() -> int:
    with closing(socket.socket()) as free:
        free.bind(('127.0.0.1', 0))
        return free.getsockname()[1]


@contextmanager
def web_server() -> Iterator[int]:
    """Answers whatever it hears with a complaint, as web servers do."""

    def answer() -> None:
        with suppress(OSError):
            while True:
                visitor, _ = listening.accept()
                with visitor:
                    visitor.recv(1000)
                    visitor.sendall(b'HTTP/1.1 400 Bad Request\r\n\r\n')

    with closing(socket.create_server(('127.0.0.1', 0))) as listening:
        threading.Thread(target=answer, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
