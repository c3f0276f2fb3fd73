"""Bring a database to the present, as its owner: one process at a time, and never waiting for a lock without a word."""

import logging
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy.exc import OperationalError

from portal.db.errors import CannotStart
from portal.db.server import Cluster

log = logging.getLogger('portal.migrate')
ONE_AT_A_TIME = 7_340_019  # advisory lock; roles.py has the number before

MIGRATIONS = Path(__file__).parent / 'migrations'
HEAD = max(path.stem.split('_', 1)[0] for path in (MIGRATIONS / 'versions').glob('[0-9]*.py'))


class NewerDatabase(Exception):
    """The database was made by a newer portal than this one; the message says so."""


@dataclass(frozen=True)
class Patience:
    """In seconds. A statement that waits for a lock makes everybody behind it wait, too: so it waits shortly, and tries again."""

    lock: float = 5
    between: float = 2
    altogether: float = 300


def upgrade(cluster: Cluster, database: str | None = None, patience: Patience = Patience()) -> bool:
    """Tells whether anything was to do. Of several that start together one works, the others wait for it.

    Raises NewerDatabase, and CannotStart when somebody holds a table for too long.
    """
    if version(cluster, database) == HEAD:
        return False  # without the lock: that is every usual start
    with _alone(cluster, database, patience):
        return _upgrade(cluster, database, patience)


def _upgrade(cluster: Cluster, database: str | None, patience: Patience) -> bool:
    at = version(cluster, database)  # anew: another process may have done it meanwhile
    if at == HEAD:
        return False
    if at and at > HEAD:
        raise NewerDatabase(f'The database is at version {at}, this portal at {HEAD}: run the newer portal, or restore a backup.')
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option('script_location', str(MIGRATIONS).replace('%', '%%'))
    config.attributes['url'] = cluster.url('portal_owner', database)
    config.attributes['lock_timeout'] = round(patience.lock * 1000)
    ends = time.monotonic() + patience.altogether
    while True:
        try:
            command.upgrade(config, 'head')
            return True
        except (OperationalError, psycopg.OperationalError) as e:  # a script of words.py goes by SQLAlchemy
            if not isinstance(getattr(e, 'orig', e), psycopg.errors.LockNotAvailable):
                raise
        if time.monotonic() > ends:
            raise CannotStart(
                f'The database cannot be brought from version {version(cluster, database)} to {HEAD}: for {patience.altogether:.0f} seconds '
                'somebody else has kept a table busy. Stop what else works on it, or end its transaction, and start again.'
            )
        log.warning('a table is busy: the database waits to be brought up to date, and tries again')
        time.sleep(patience.between)


@contextmanager
def _alone(cluster: Cluster, database: str | None, patience: Patience) -> Generator[None]:
    """Ends with the connection, so that a process that was killed keeps nobody waiting."""
    ends, said = time.monotonic() + patience.altogether, False
    with psycopg.connect(cluster.conninfo('portal_owner', database), autocommit=True) as connection:
        while not _truth(connection.execute('select pg_try_advisory_lock(%s)', (ONE_AT_A_TIME,))):
            if time.monotonic() > ends:
                raise CannotStart(
                    f'For {patience.altogether:.0f} seconds another process has been bringing the database up to date: look at its log.'
                )
            if not said:
                log.warning('another process brings the database up to date: waiting for it')
            said = True
            time.sleep(0.2)
        yield


def _truth(cursor: psycopg.Cursor[tuple[bool]]) -> bool:
    row = cursor.fetchone()
    return bool(row and row[0])


def version(cluster: Cluster, database: str | None = None) -> str | None:
    with psycopg.connect(cluster.conninfo('portal_owner', database)) as connection:
        known = connection.execute("select to_regclass('migration.alembic_version')").fetchone()
        if not known or not known[0]:
            return None
        row = connection.execute('select version_num from migration.alembic_version').fetchone()
        return row[0] if row else None
