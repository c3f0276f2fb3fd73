"""The demo: an invented provider, its clients, and what they talked about in the last eighteen months."""

from typing import Any, LiteralString

from psycopg import Connection, connect, sql

from portal.db import cast
from portal.db.errors import CannotStart
from portal.db.server import Cluster
from portal.domain.access import Side, role_label
from portal.settings import Settings
from portal.storage import Store

NORTHWIND = cast.NORTHWIND
_SIDES: tuple[tuple[Side, str, str], ...] = (
    ('staff', 'staff', '/auth/msp/signin'),
    ('client', 'clients', '/auth/client-portal/signin'),
)


def load(cluster: Cluster, settings: Settings, database: str | None = None) -> bool:
    """Once: False when the database has any tenant already."""
    with connect(cluster.conninfo('portal_door', database)) as door:
        if _truth(door, 'select app.any_tenant()'):
            return False
    from portal.demo import files, world  # with what only the first start needs

    rows = world.rows(settings.demo_password)
    with connect(cluster.conninfo('portal_owner', database)) as owner:
        owner.execute("select pg_advisory_xact_lock(hashtext('portal.found'))")  # as the function `found` does
        _force_row_security(owner, 'no force')
        if _truth(owner, 'select exists (select from tenant)'):
            owner.rollback()
            return False
        files.keep(rows, Store(settings))
        cast.insert(owner, rows)
        # of what was said in eighteen months, they have read all that is no longer under their bell
        owner.execute("""delete from ticket_unread u where not exists (
            select from notification n where n.ticket_id = u.ticket_id and n.user_id = u.user_id and n.seen_at is null)""")
        owner.execute("insert into app.fact (name, value) values ('demo', '{}')")
        owner.execute('set constraints all immediate')  # a table with checks to come cannot be altered
        _force_row_security(owner, 'force')
    return True


def refuse_mixing(cluster: Cluster, settings: Settings, database: str | None = None) -> None:
    """The demo's passwords are known to everybody: it and real data never share a database. Before anything is changed there.

    Raises CannotStart.
    """
    with connect(cluster.conninfo('portal_owner', database)) as owner:
        if not _truth(owner, "select to_regprocedure('app.any_tenant()') is not null"):
            return  # empty
        marked = _truth(owner, "select to_regclass('app.fact') is not null")
        is_demo = marked and _truth(owner, "select exists (select from app.fact where name = 'demo')")
    with connect(cluster.conninfo('portal_door', database)) as door:
        inhabited = _truth(door, 'select app.any_tenant()')
    if settings.demo and inhabited and not is_demo:
        raise CannotStart(
            'PORTAL_DEMO: the database in DATABASE_URL has a provider in it already. Give the demo an empty one, or none.'
        )
    if not settings.demo and is_demo:
        raise CannotStart(
            'DATABASE_URL: this database holds the demo, whose passwords everybody knows. Set PORTAL_DEMO=1, or name another database.'
        )


def _truth(connection: Connection[Any], question: LiteralString) -> bool:
    row = connection.execute(question).fetchone()
    return bool(row and row[0])


def _force_row_security(owner: Connection[Any], force: LiteralString) -> None:
    """Without it not even the owner could write; nobody else sees it off, since it is back on before the commit."""
    change = sql.SQL('alter table {} {} row level security')
    owner.execute(sql.SQL('; ').join(change.format(sql.Identifier(table), sql.SQL(force)) for table in cast.TABLES))


def accounts(tenant_name: str, side: Side) -> list[tuple[str, str, str]]:
    """Name, role in words and e-mail of everybody who can sign in on a side."""
    return [
        (person.name, _role_words(person), person.email)
        for person in cast.PEOPLE.values()
        if person.provider == tenant_name and person.side == side
    ]


def _role_words(person: cast.Person) -> str:
    if person.staff_role:
        return role_label(person.staff_role)
    return ' · '.join(f'{role_label(role)}, {cast.COMPANIES[slug][0]}' for slug, role in person.companies.items())


def greeting(settings: Settings) -> str:
    """For the console: where to go, and as whom."""
    lines = [f'This is the demo. The password of everybody: {settings.demo_password}']
    for provider, origin in _origins(settings).items():
        for side, who, path in _SIDES:
            lines += ['', f'{provider}, {who}: {origin}{path}']
            lines += [f'  {email:<24}  {name:<14}  {role}' for name, role, email in accounts(provider, side)]
    return '\n'.join(lines) + '\n'


def _origins(settings: Settings) -> dict[str, str]:
    """Behind a proxy only the tenant is found that answers to every host."""
    if settings.url:
        return {NORTHWIND: settings.url}
    return {NORTHWIND: f'http://localhost:{settings.port}', cast.SOUTHGATE: f'http://southgate.localhost:{settings.port}'}
