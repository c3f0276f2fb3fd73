"""The database roles: six that sign in, each for one purpose, and one that owns the SECURITY DEFINER functions.

One list of statements serves both the portal, when it may create roles, and an administrator, when it may not. It can be
run again at any time and repairs what differs. It runs on PostgreSQL 15 to 18, as a superuser or with CREATEROLE and the
database's ownership. Roles belong to the whole server: two portals need two servers, or they take each other's passwords.
"""

import base64
import hashlib
import hmac
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from portal.db.errors import RolesMissing

OWNER, BACKUP, DEFINER = 'portal_owner', 'portal_backup', 'portal_definer'
TIMEOUTS = {'portal_staff': '15s', 'portal_client': '15s', 'portal_door': '15s', 'portal_worker': '60s'}  # of a statement
LOGINS = (OWNER, *TIMEOUTS, BACKUP)
LOCK_TIMEOUT, IDLE_TIMEOUT = '5s', '30s'
ONE_AT_A_TIME = 7_340_018  # advisory lock: two starting portals would fail with 'tuple concurrently updated'

LEAST = 'login nosuperuser nobypassrls nocreatedb nocreaterole noreplication noinherit'
POWERS = sql.SQL("""
do $$
begin
  if not exists (select from pg_roles where rolname = {name}) then
    create role {role} {powers};
  elsif exists (select from pg_roles where rolname = {name} and (rolsuper or rolbypassrls or rolcreatedb or rolcreaterole
                or rolreplication or rolinherit or rolcanlogin <> {login})) then
    alter role {role} {powers};  -- only then: even to take a power away, PostgreSQL wants it of whoever does it
  end if;
end $$""")

# Owner of functions, without becoming it unasked: PostgreSQL 15 has no such grant, but there NOINHERIT does the same.
GRANT_DEFINER = sql.SQL("""
do $$
begin
  if current_setting('server_version_num')::int >= 160000 then
    execute 'grant {definer} to {owner} with inherit false, set true';  -- a string: 15 could not read it
  else
    grant {definer} to {owner};
  end if;
end $$""")


def password(secret: bytes, role: str) -> str:
    """Derived, so that it need not be kept anywhere and every process of the portal knows it."""
    return _urlsafe(hmac.digest(secret, f'role:{role}'.encode(), 'sha256'))


def prepare(admin_conninfo: str, database: str, secret: bytes, *, create: bool = False) -> None:
    """Create or repair the roles and what they may do in the database; with `create`, the database too.

    `admin_conninfo` names a superuser, or a CREATEROLE that owns the database; which database it names does not matter.
    Raises psycopg.errors.InsufficientPrivilege, and RolesMissing if the administrator's grants had no effect.
    """
    with psycopg.connect(admin_conninfo, autocommit=True) as admin:
        if create:
            _create_database(admin, database)
        in_place = admin.info.dbname == database
        with admin if in_place else psycopg.connect(admin_conninfo, dbname=database, autocommit=True) as there:
            there.execute('select pg_advisory_lock(%s)', (ONE_AT_A_TIME,))
            for statement in _statements(database, secret):
                there.execute(statement)
            _check_grants(there, database)


def sql_for_admin(database: str, secret: bytes, user: str | None = None) -> str:
    """A script for psql. It holds the passwords as SCRAM verifiers, from which nobody can sign in.

    user: the one that DATABASE_URL names, who would otherwise lose the right to connect.
    """
    composed = _statements(database, secret)
    if user:
        composed.append(sql.SQL('grant connect on database {} to {}').format(sql.Identifier(database), sql.Identifier(user)))
    statements = ';\n'.join(statement.as_string().strip() for statement in composed)
    return f'-- Run this in the database {database} as a superuser, or as its owner with CREATEROLE.\n{statements};\n'


def _create_database(admin: psycopg.Connection[Any], database: str) -> None:
    if not admin.execute('select 1 from pg_database where datname = %s', (database,)).fetchone():
        admin.execute(sql.SQL('create database {}').format(sql.Identifier(database)))


def _statements(database: str, secret: bytes) -> list[sql.Composed]:
    statements = [statement for role in LOGINS for statement in _login(role, secret)]
    statements.append(_role(DEFINER, LEAST.replace('login', 'nologin'), can_login=False))
    statements.append(GRANT_DEFINER.format(definer=sql.Identifier(DEFINER), owner=sql.Identifier(OWNER)))
    return statements + _grants(database)


def _login(role: str, secret: bytes) -> list[sql.Composed]:
    name = sql.Identifier(role)
    statements = [
        _role(role, LEAST, can_login=True),
        sql.SQL('alter role {} password {}').format(name, sql.Literal(_verifier(password(secret, role), secret))),
    ]
    if role in TIMEOUTS:  # a migration and a backup may take their time
        limits = {
            'statement_timeout': TIMEOUTS[role],
            'lock_timeout': LOCK_TIMEOUT,
            'idle_in_transaction_session_timeout': IDLE_TIMEOUT,
        }
        statements += [
            sql.SQL('alter role {} set {} = {}').format(name, sql.Identifier(setting), sql.Literal(limit))
            for setting, limit in limits.items()
        ]
    return statements


def _role(role: str, powers: LiteralString, *, can_login: bool) -> sql.Composed:
    return POWERS.format(name=sql.Literal(role), role=sql.Identifier(role), powers=sql.SQL(powers), login=sql.Literal(can_login))


def _grants(database: str) -> list[sql.Composed]:
    logins = sql.SQL(', ').join(map(sql.Identifier, LOGINS))
    statements: tuple[LiteralString, ...] = (
        'revoke all on database {database} from public',
        'grant connect on database {database} to {logins}',
        'grant create on database {database} to {owner}',
        'revoke create on schema public from public',
        'grant all on schema public to {owner}',
    )
    return [
        sql.SQL(statement).format(database=sql.Identifier(database), owner=sql.Identifier(OWNER), logins=logins)
        for statement in statements
    ]


def _check_grants(connection: psycopg.Connection[Any], database: str) -> None:
    """Whoever may not grant gets no error from PostgreSQL, only a notice."""
    question = "select has_database_privilege(%s, %s, 'create') and has_schema_privilege(%s, 'public', 'create')"
    if connection.execute(question, (OWNER, database, OWNER)).fetchone() != (True,):
        user = connection.info.user
        raise RolesMissing(f'The user {user} may create roles but does not own the database {database}: make it the owner.')


def _verifier(plain: str, secret: bytes) -> str:
    """What PostgreSQL stores (RFC 5803), made here so that no log of statements shows a password."""
    salt = hmac.digest(secret, f'salt:{plain}'.encode(), 'sha256')[:16]
    rounds = 4096  # PostgreSQL's own number; the password has 256 bits, so more would protect nothing
    salted = hashlib.pbkdf2_hmac('sha256', plain.encode(), salt, rounds)
    stored = hashlib.sha256(hmac.digest(salted, b'Client Key', 'sha256')).digest()
    server = hmac.digest(salted, b'Server Key', 'sha256')
    return f'SCRAM-SHA-256${rounds}:{_base64(salt)}${_base64(stored)}:{_base64(server)}'


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _urlsafe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip('=')
