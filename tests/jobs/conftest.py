"""A real worker with a post of its own, on a database of its own: in the tests' other one a portal may be at work."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from portal import tenants, visit
from portal.db import engine, roles, server
from portal.db.cast import Cast
from portal.jobs import queue
from portal.settings import Settings
from tests.conftest import test_settings as make_settings
from tests.test_mail import Outbox, Postman


@pytest.fixture(scope='session')
def own(cluster: server.Cluster, settings: Settings) -> server.Cluster:
    name = f'{cluster.database}_jobs'
    with psycopg.connect(cluster.admin() or '', dbname='postgres', autocommit=True) as admin:
        newest = "select datname from pg_database where datname ~ '^template_[0-9a-f]{12}$' order by oid desc limit 1"
        template = (admin.execute(newest).fetchone() or ('',))[0]
        admin.execute(sql.SQL('drop database if exists {} with (force)').format(sql.Identifier(name)))
        admin.execute(sql.SQL('create database {} template {}').format(sql.Identifier(name), sql.Identifier(template)))
    roles.prepare(cluster.admin() or '', name, settings.secret)
    return replace(cluster, database=name)


@pytest.fixture(scope='session')
def maintenance(own: server.Cluster) -> str:
    return make_conninfo(own.admin() or '', dbname=own.database)


@pytest.fixture(scope='module', autouse=True)
async def database(portal: engine.Database, own: server.Cluster) -> AsyncIterator[engine.Database]:
    visit.database = engine.connect(own)
    tenants.forget()
    yield visit.database
    await visit.database.close()
    visit.database = portal
    tenants.forget()


@pytest.fixture
async def post() -> AsyncIterator[Postman]:
    made = Postman()
    await made.open()
    yield made
    made.close()


@pytest.fixture
def working(post: Postman, database: engine.Database) -> Callable[[], AbstractAsyncContextManager[None]]:
    """`async with working():` the portal's worker is at work, with this post."""

    @asynccontextmanager
    async def work() -> AsyncIterator[None]:
        task = asyncio.create_task(queue.run(database, make_settings(PORTAL_SMTP_URL=f'smtp://127.0.0.1:{post.port}')))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return work


@pytest.fixture
def outbox(maintenance: str, cast: Cast) -> Outbox:
    return Outbox(maintenance, cast)
