"""The database server in use: the portal's own, or the one that DATABASE_URL names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import URL

from portal.db import embedded, roles
from portal.db.errors import CannotStart as CannotStart
from portal.db.errors import RolesMissing as RolesMissing
from portal.settings import Settings

EMBEDDED_DATABASE = 'portal'
OLDEST = 15
CONNECT_TIMEOUT = 10  # seconds
SETUP = 'python -m portal db setup'


@dataclass(frozen=True)
class Cluster:
    """A server with the portal's roles on it. `stop` it last."""

    database: str
    server_version: int  # major
    _address: Mapping[str, str]  # libpq's parameters without user, password and database
    _admin: str | None = field(repr=False)
    _secret: bytes = field(repr=False)
    _server: embedded.Server | None = None
    _is_ours: bool = True  # False: of another process, which stops it

    @property
    def embedded(self) -> bool:
        return self._server is not None

    def conninfo(self, role: str, database: str | None = None) -> str:
        """For psycopg, as one of `roles.LOGINS`."""
        return make_conninfo(
            **self._address, user=role, password=roles.password(self._secret, role), dbname=database or self.database
        )

    def url(self, role: str, database: str | None = None) -> URL:
        """For SQLAlchemy, as one of `roles.LOGINS`."""
        return URL.create(
            'postgresql+psycopg',
            username=role,
            password=roles.password(self._secret, role),
            database=database or self.database,
            query=self._address,
        )

    def admin(self) -> str | None:
        """libpq's address as the superuser of the private server, or DATABASE_URL as it was given."""
        return self._admin

    @property
    def programs(self) -> Path | None:
        """The folder of psql, pg_dump and the others that came with the private server."""
        return self._server.programs if self._server else None

    def stop(self) -> None:
        if self._server and self._is_ours:
            self._server.stop()


def open_cluster(
    settings: Settings, *, attach: bool = False, fast_and_loose: bool = False, restoring: bool = False
) -> Cluster:  # fmt: skip
    """Start the private server, or reach the one of DATABASE_URL, and see to the roles. Raises CannotStart.

    attach: use the private server of a portal that runs now, if one does.
    fast_and_loose: a private server for tests, which may lose its data in a power cut.
    restoring: the place is not whole yet, which is why nobody else may have it.
    """
    if not restoring and half_restored(settings).exists():
        raise CannotStart(half_restored_words(settings))
    if settings.database_url:
        return _named(settings, settings.database_url)
    server = embedded.running(settings.data) if attach else None
    if server:
        return _private(settings, server, is_ours=False)
    server = embedded.start(settings.data, fast_and_loose=fast_and_loose)
    try:
        return _private(settings, server, is_ours=True)
    except BaseException:
        server.stop()
        raise


def half_restored(settings: Settings) -> Path:
    """The file that says so, from the begin of a restore to its end."""
    return settings.data / 'half-restored'


def half_restored_words(settings: Settings) -> str:
    where = 'empty the database that DATABASE_URL names, ' if settings.database_url else ''
    return (
        f'{settings.data} is half restored: a restore began here and did not end. To begin again, {where}remove this folder, '
        'but for a secret.key of your own, and restore into it anew.'
    )


def look(url: str) -> None:
    """Whether DATABASE_URL leads to a server that can be used. Raises CannotStart."""
    _look(url, _where(url))


def address(conninfo: str) -> dict[str, str]:
    """libpq's parameters without user, password and database."""
    parts = conninfo_to_dict(conninfo)
    return {name: str(value) for name, value in parts.items() if name not in ('user', 'password', 'dbname') and value is not None}


def _private(settings: Settings, server: embedded.Server, *, is_ours: bool) -> Cluster:
    admin = server.conninfo()
    found = _look(admin, f'{server.home}')
    if is_ours:
        roles.prepare(admin, EMBEDDED_DATABASE, settings.secret, create=True)
    in_portal = server.conninfo(database=EMBEDDED_DATABASE)
    return Cluster(EMBEDDED_DATABASE, found.version, address(admin), in_portal, settings.secret, server, is_ours)


def _named(settings: Settings, url: str) -> Cluster:
    where = _where(url)
    found = _look(url, where)
    cluster = Cluster(found.database, found.version, address(url), url, settings.secret)
    refusal = f'the user {found.user} may not create them'
    if found.may_create_roles:
        try:
            roles.prepare(url, found.database, settings.secret)
        except psycopg.errors.InsufficientPrivilege as e:  # roles that another administrator made
            refusal = _first_line(e)
        except psycopg.Error as e:
            raise CannotStart(f'The roles of the portal cannot be set up at {where}: {_first_line(e)}.') from None
    _check_sign_in(cluster, where, refusal)
    return cluster


@dataclass(frozen=True)
class _Found:
    version: int
    database: str
    user: str
    may_create_roles: bool


def _look(conninfo: str, where: str) -> _Found:
    try:
        with psycopg.connect(conninfo, connect_timeout=CONNECT_TIMEOUT) as connection:
            row = connection.execute('select rolsuper or rolcreaterole from pg_roles where rolname = current_user').fetchone()
            info = connection.info
            found = _Found(info.server_version // 10000, info.dbname, info.user, bool(row and row[0]))
    except psycopg.Error as e:
        raise CannotStart(_why_not(e, where)) from None
    if found.version < OLDEST:
        raise CannotStart(f'PostgreSQL {found.version} is too old: the portal needs {OLDEST} or newer.')
    return found


def _why_not(error: psycopg.Error, where: str) -> str:
    said = str(error)
    if 'invalid response to SSL negotiation' in said or 'expected authentication request' in said:
        return f'What answers at {where} is not PostgreSQL: check DATABASE_URL.'
    if isinstance(error, psycopg.errors.ConnectionTimeout):
        return f'The database at {where} does not answer within {CONNECT_TIMEOUT} seconds.'
    return f'The database at {where} cannot be used: {_first_line(error)}.'


def _check_sign_in(cluster: Cluster, where: str, refusal: str) -> None:
    for role in roles.LOGINS:
        try:
            psycopg.connect(cluster.conninfo(role), connect_timeout=CONNECT_TIMEOUT).close()
        except psycopg.OperationalError as e:
            raise RolesMissing(
                f'The role {role} cannot sign in to the database at {where} ({_first_line(e)}), and {refusal}: '
                f'run `{SETUP}`, which shows what an administrator has to do.'
            ) from None


def _where(url: str) -> str:
    """Host and port for a message: never the password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError as e:
        raise CannotStart(f'DATABASE_URL is not a valid PostgreSQL address: {_first_line(e)}.') from None
    return f'{parts.get("host") or "the local socket"}:{parts.get("port") or 5432}'


def _first_line(error: psycopg.Error) -> str:
    """The reason alone, without the address in front of it."""
    return str(error).strip().splitlines()[0].rsplit('failed: ', 1)[-1].removeprefix('FATAL:').strip()
