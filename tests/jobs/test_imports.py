"""Imports at work in a real worker: as whoever started them, through death and restart, and no longer than that person may."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from portal.db import engine
from portal.db.cast import Cast, Member
from portal.db.engine import SignedOut
from portal.domain.imports import Batch, Kind, State
from portal.domain.imports.doing import batch_by_id, start, stop, upload
from portal.domain.imports.reading import read
from portal.visit import Visit
from tests.workers import Working
from tests.workers import until as until_within

VisitAs = Callable[[Member], Awaitable[Visit]]
until = partial(until_within, patience=60)  # many rows, and a machine that may be busy


class Ask:
    """What the tables say."""

    def __init__(self, conninfo: str, cast: Cast) -> None:
        self.conninfo, self.tenant = conninfo, cast.northwind.id

    def one(self, question: str, *values: Any) -> Any:
        with psycopg.connect(self.conninfo, autocommit=True, options='-c search_path=public,jobs') as connection:
            cursor = connection.execute(question, values)  # pyright: ignore[reportArgumentType, reportCallIssue]
            row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None

    def state(self, batch: UUID) -> str:
        return self.one('select state from import_batch where id = %s', batch)

    def companies(self) -> int:
        return self.one('select count(*) from company where tenant_id = %s', self.tenant)

    def done(self, batch: UUID) -> int:
        return self.one('select count(*) from import_row where batch_id = %s and done_at is not null', batch)


@pytest.fixture
def ask(maintenance: str, cast: Cast) -> Ask:
    return Ask(maintenance, cast)


@pytest.fixture
def begin(visit_as: VisitAs, cast: Cast) -> Callable[..., Awaitable[UUID]]:
    async def begin(rows: int) -> UUID:
        visit = await visit_as(cast.mona)
        table = read(('Name\n' + ''.join(f'Client {n:04}\n' for n in range(rows))).encode())
        async with visit.work() as db:
            batch = await upload(db, visit.by, Kind.COMPANIES, 'clients.csv', table)
        async with visit.work() as db:
            await start(db, visit.by, batch.id)
        return batch.id

    return begin


Begin = Callable[[int], Awaitable[UUID]]


async def test_it_runs_as_mona_and_says_so(begin: Begin, ask: Ask, working: Working, cast: Cast) -> None:
    batch = await begin(130)
    async with working():
        await until(lambda: ask.state(batch) == 'done')
    assert ask.companies() == 132
    audited = "select count(*) from audit where tenant_id = %s and actor_id = %s and action = 'company.added'"
    assert ask.one(audited, ask.tenant, cast.mona.user_id) == 130
    assert ask.one('select key_hash from import_batch where id = %s', batch) is None


async def test_what_a_dying_worker_had_in_hand_is_done_by_the_next(begin: Begin, ask: Ask, working: Working) -> None:
    """Somebody holds the last row, so that the second chunk never ends: of it nothing stays, the first is not done again."""
    batch = await begin(150)
    with psycopg.connect(ask.conninfo) as holding:
        holding.execute('select from import_row where batch_id = %s and number = 151 for update', (batch,))
        async with working():
            await until(lambda: ask.done(batch) == 100)
    assert (ask.state(batch), ask.companies()) == ('running', 102)
    async with working():
        await until(lambda: ask.state(batch) == 'done')
    assert ask.companies() == 152


@pytest.mark.parametrize(
    'loses',
    ["update users set disabled_at = now() where id = %s", "update users set staff_role = 'Technician' where id = %s"],
    ids=['disabled', 'another-role'],
)  # fmt: skip
async def test_whoever_lost_the_right_imports_nothing_more(
    begin: Begin, ask: Ask, working: Working, cast: Cast, loses: str
) -> None:
    batch = await begin(150)
    ask.one(loses, cast.mona.user_id)
    async with working():
        await until(lambda: ask.state(batch) == 'failed')
    assert ask.companies() == 2


async def test_a_stopped_one_is_left_alone(begin: Begin, ask: Ask, working: Working, visit_as: VisitAs, cast: Cast) -> None:
    batch = await begin(150)
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        await stop(db, mona.by, batch)
    async with working():
        quiet = "select count(*) from jobs.procrastinate_jobs where task_name = 'run_import' and status in ('todo', 'doing')"
        await until(lambda: ask.one(quiet) == 0)
    assert (ask.state(batch), ask.companies()) == ('stopped', 2)


# ---------- the way in ----------


async def test_without_the_secret_of_a_running_job_nobody_enters(
    begin: Begin, database: engine.Database, visit_as: VisitAs, cast: Cast
) -> None:
    """Staff may read the hash of their own imports: it opens nothing."""
    batch = await begin(1)
    ask_hash = select(Batch.key_hash).where(Batch.id == batch)
    mona = await visit_as(cast.mona)
    async with database.work('staff', 'enter', mona.token, None) as db:
        await db.exec(text("update import_batch set key_hash = sha256('known') where id = :b").bindparams(b=batch))  # type: ignore[call-overload]
        known = (await db.exec(ask_hash)).one()
    for key in (known, b'', b'x' * 32):
        with pytest.raises(SignedOut):
            async with database.work('staff', 'enter_import', key):
                pass
    with pytest.raises(DBAPIError):
        async with database.work('client', 'enter_import', b'known'):
            pass
    async with database.work('staff', 'enter_import', b'known') as db:
        assert (await batch_by_id(db, batch)).state is State.RUNNING
        with pytest.raises(DBAPIError, match='context already set'):
            await db.exec(text('select app.enter(:t, null)').bindparams(t=cast.stan.token))  # type: ignore[call-overload]


async def test_the_worker_writes_no_company_and_no_row(database: engine.Database) -> None:
    for statement in (
        "update company set name = 'x'",
        "update import_row set cells = '{}'",
        'update import_batch set started_by_id = null',
    ):
        with pytest.raises(DBAPIError, match='permission denied'):
            async with database.engines['worker'].begin() as connection:
                await connection.execute(text(statement))


async def test_what_is_old_is_forgotten_with_its_rows(
    begin: Begin, ask: Ask, visit_as: VisitAs, cast: Cast, database: engine.Database
) -> None:
    batch = await begin(3)
    ask.one("update import_batch set state = 'stopped', created_at = now() - interval '31 days' where id = %s", batch)
    async with database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.forget_imports()'))
    assert ask.one('select count(*) from import_row where batch_id = %s', batch) == 0
    assert ask.one('select count(*) from import_batch where tenant_id = %s', ask.tenant) > 0  # the cast's own are new


async def test_one_whose_job_was_lost_can_be_taken_up(
    begin: Begin, ask: Ask, working: Working, visit_as: VisitAs, cast: Cast
) -> None:
    batch = await begin(3)
    lost = "delete from jobs.procrastinate_jobs where task_name = 'run_import' and args ->> 'batch' = %s"
    ask.one(lost, str(batch))
    mona = await visit_as(cast.mona)
    again = "select count(*) from jobs.procrastinate_jobs where task_name = 'run_import' and args ->> 'batch' = %s"
    for minutes, jobs in ((5, 0), (11, 1)):
        ask.one('update import_batch set touched_at = now() - make_interval(mins => %s) where id = %s', minutes, batch)
        async with mona.work() as db:
            await start(db, mona.by, batch)
        assert ask.one(again, str(batch)) == jobs
    async with working():
        await until(lambda: ask.state(batch) == 'done')
