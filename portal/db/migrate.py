"""Bring a database to the present, as its owner."""

from pathlib import Path

import psycopg

from portal.db import roles
from portal.db.server import Cluster

MIGRATIONS = Path(__file__).parent / 'migrations'
HEAD = max(path.stem.split('_', 1)[0] for path in (MIGRATIONS / 'versions').glob('[0-9]*.py'))


class NewerDatabase(Exception):
    """The database was made by a newer portal than this one; the message says so."""


def upgrade(cluster: Cluster, database: str | None = None) -> bool:
    """Tells whether anything was to do. Of several that start at once, one does it. Raises NewerDatabase."""
    at = version(cluster, database)
    if at == HEAD:
        return False  # alembic's import and environment cost 0.6 s: not at every start
    if at and at > HEAD:
        raise NewerDatabase(f'The database is at version {at}, this portal at {HEAD}: run the newer portal, or restore a backup.')
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option('script_location', str(MIGRATIONS).replace('%', '%%'))
    config.attributes['url'] = cluster.url('portal_owner', database)
    with psycopg.connect(cluster.conninfo(roles.OWNER, database), autocommit=True) as connection:
        connection.execute('select pg_advisory_lock(%s)', (roles.ONE_AT_A_TIME,))
        command.upgrade(config, 'head')
    return True


def version(cluster: Cluster, database: str | None = None) -> str | None:
    with psycopg.connect(cluster.conninfo('portal_owner', database)) as connection:
        known = connection.execute("select to_regclass('migration.alembic_version')").fetchone()
        if not known or not known[0]:
            return None
        row = connection.execute('select version_num from migration.alembic_version').fetchone()
        return row[0] if row else None
