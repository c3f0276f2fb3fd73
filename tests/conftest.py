"""A real PostgreSQL: one server for all workers, one database per worker (a clone), two fresh tenants per test.

Row security itself keeps the tests apart, so nothing is truncated or rolled back between them. The server is left running:
the next run starts in a tenth of a second.
"""

import fcntl
import hashlib
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest
from nicegui import core
from nicegui.testing.user_simulation import user_simulation
from psycopg import sql
from psycopg.conninfo import make_conninfo

from portal import settings as portal_settings
from portal import tenants, visit
from portal.db import cast as casting
from portal.db import engine, migrate, roles, server
from portal.settings import Settings
from tests.visitor import Visitor

HERE = Path(__file__).parent
FOLDER = HERE / '.pg'
SECRET = 'a-secret-for-tests-that-is-long-enough'


def test_settings(**more: str) -> Settings:
    own = {'PORTAL_DATA_DIR': str(FOLDER), 'PORTAL_SECRET_KEY': SECRET, 'PORTAL_OUTGOING_NETWORKS': '127.0.0.0/8, ::1'}
    return portal_settings.load({**own, **more})


@pytest.fixture(scope='session')
def settings() -> Settings:
    return test_settings()


@pytest.fixture(scope='session')
def cluster(settings: Settings) -> server.Cluster:
    """The worker's own database, cloned from a template named by the migrations."""
    FOLDER.mkdir(exist_ok=True)
    name = 'test_' + os.environ.get('PYTEST_XDIST_WORKER', 'alone')
    with (FOLDER / 'tests.lock').open('w') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the first worker builds, the others wait
        running = server.open_cluster(settings, attach=True, fast_and_loose=True)
        newest = template(running, settings)
        clone(running, settings, name, newest)
    return replace(running, database=name)


def clone(running: server.Cluster, settings: Settings, name: str, template: str) -> None:
    """A database like the template."""
    with psycopg.connect(running.admin() or '', dbname='postgres', autocommit=True) as admin:
        admin.execute(sql.SQL('drop database if exists {} with (force)').format(sql.Identifier(name)))
        admin.execute(sql.SQL('create database {} template {}').format(sql.Identifier(name), sql.Identifier(template)))
    roles.prepare(running.admin() or '', name, settings.secret)  # a clone does not inherit the rights on the database


def template(running: server.Cluster, settings: Settings) -> str:
    files = sorted(path for path in (HERE.parent / 'portal/db/migrations').rglob('*') if path.suffix in ('.py', '.sql'))
    name = 'template_' + hashlib.sha256(b''.join(path.read_bytes() for path in files)).hexdigest()[:12]
    with psycopg.connect(running.admin() or '', dbname='postgres', autocommit=True) as admin:
        if not admin.execute('select 1 from pg_database where datname = %s', (name,)).fetchone():
            admin.execute(sql.SQL('drop database if exists {} with (force)').format(sql.Identifier(name + '_new')))
            roles.prepare(running.admin() or '', name + '_new', settings.secret, create=True)
            migrate.upgrade(running, name + '_new')
            # whole, or not there
            admin.execute(sql.SQL('alter database {} rename to {}').format(sql.Identifier(name + '_new'), sql.Identifier(name)))
    return name


@pytest.fixture(scope='session')
def maintenance(cluster: server.Cluster) -> str:
    """conninfo of a superuser on the worker's database: what nobody in the portal can do, such as to make tenants."""
    return make_conninfo(cluster.admin() or '', dbname=cluster.database)


@pytest.fixture(scope='session')
async def portal(cluster: server.Cluster) -> AsyncIterator[engine.Database]:
    visit.database = engine.connect(cluster)
    yield visit.database
    await visit.database.close()


@pytest.fixture
def cast(maintenance: str) -> casting.Cast:
    """The named cast, in two tenants of their own."""
    return casting.make(maintenance)


@pytest.fixture(scope='session')
async def pages(portal: engine.Database, cluster: server.Cluster, settings: Settings) -> AsyncIterator[object]:
    """The portal's pages behind the real guard, without a socket; made once for each worker."""
    from fastapi import FastAPI

    from portal import guard
    from portal import pages as portal_pages
    from portal.components import assets

    async with user_simulation():
        api = FastAPI(openapi_url=None)
        api.router.routes.extend(assets.routes())
        portal_pages.register(api, settings)
        api.mount('/', core.app)
        yield guard.Guard(assets.Static(api), settings)


@pytest.fixture
def visitor(pages: object, cast: casting.Cast, monkeypatch: pytest.MonkeyPatch) -> type[Visitor]:
    """`await visitor(cast.ada).get('/client-portal/acme')`: somebody of the cast at the portal's pages. On a busy machine the first
    screen is waited for longer: what is looked at is the HTML."""
    tenants.forget()
    monkeypatch.setattr('portal.pages.screens.FIRST_PAINT', 2.8)

    class Here(Visitor):
        app = pages

    return Here


@pytest.fixture
def visit_as(portal: engine.Database) -> object:
    """`visit = await visit_as(cast.ada)`: as the middleware makes it from the cookie."""

    async def make(who: casting.Member) -> visit.Visit:
        arrival = await visit.arriving(who.cookie)
        assert arrival
        made = arrival.client(who.slug) if who.slug else arrival.staff()
        assert made
        return made

    return make
