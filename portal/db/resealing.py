"""`python -m portal reseal`: brings every sealed field to the present key, after PORTAL_SECRET_KEY was changed."""

import psycopg
from psycopg import sql

from portal import sealing
from portal.db.server import Cluster
from portal.settings import Settings

#: Every sealed column: table and column. The table has `tenant_id` and `id`, the column is bytea.
SEALED: tuple[tuple[str, str], ...] = (('totp', 'secret'), ('identity_secret', 'sealed'))


def reseal(cluster: Cluster, settings: Settings) -> int:
    """How many there were. All of them or none; also while the portal runs. Raises `sealing.CannotUnseal`."""
    changed = 0
    with psycopg.connect(cluster.conninfo('portal_owner')) as connection:
        for table, column in SEALED:
            name = sql.Identifier(table)
            # the owner sees every tenant's rows, inside this transaction only
            connection.execute(sql.SQL('alter table {} no force row level security').format(name))
            changed += _column(connection, settings, table, column)
            connection.execute(sql.SQL('alter table {} force row level security').format(name))
    return changed


def _column(connection: psycopg.Connection, settings: Settings, table: str, column: str) -> int:
    names = {'table': sql.Identifier(table), 'column': sql.Identifier(column)}
    found = connection.execute(
        sql.SQL('select id, tenant_id, {column} from {table} where {column} is not null').format(**names)
    ).fetchall()
    old = [row for row in found if not sealing.is_current(settings, row[2])]
    for id, tenant, sealed in old:
        place = sealing.Place(table, column, tenant, id)
        anew = sealing.seal(settings, place, sealing.unseal(settings, place, sealed))
        connection.execute(sql.SQL('update {table} set {column} = %s where id = %s').format(**names), (anew, id))
    return len(old)
