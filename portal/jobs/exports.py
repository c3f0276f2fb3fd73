"""Long lists become files. The job works as the person who asked: with the policies of their side, and the rights they have now."""

import logging
import tempfile
from typing import Any, cast
from uuid import UUID

import procrastinate
from sqlalchemy import text, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.db.engine import SignedOut
from portal.domain.access import Side
from portal.domain.people import Tenant
from portal.domain.tickets.exporting import Cancelled, Export, keep, write
from portal.i18n import Voice, speaking
from portal.jobs import queue as jobs
from portal.jobs.queue import queue, work

log = logging.getLogger('portal.jobs')
TRIES = 4


@queue.task(name='make_export', pass_context=True, retry=procrastinate.RetryStrategy(max_attempts=TRIES, exponential_wait=3))
async def make_export(context: procrastinate.JobContext, export: str, key: str, tenant: str) -> None:
    """Begins anew when it is done again: a file is there whole or not at all."""
    try:
        await _make(context, UUID(export), key)
    except Cancelled:
        return
    except SignedOut:
        await _end(context, UUID(export), 'refused')
    except Exception as e:
        last = context.job.attempts + 1 >= TRIES
        log.warning('export %s: %s%s', export, type(e).__name__, ', given up' if last else '', exc_info=True)
        if not last:
            raise
        await _end(context, UUID(export), 'failed')


async def _make(context: procrastinate.JobContext, export_id: UUID, key: str) -> None:
    async with work(context) as db:
        await _running(db, export_id, 0)
        export = await db.get_one(Export, export_id)
        msp = (await db.get_one(Tenant, export.tenant_id)).short_name

    async def progress(done: int) -> None:
        async with work(context) as db:
            await _running(db, export_id, done)

    side: Side = 'client' if export.company_id else 'staff'
    database, entered = jobs.surroundings.database, ('enter_export', context.job.id, key)
    with speaking(Voice(export.language, export.timezone)), tempfile.TemporaryFile() as file:
        async with database.work(side, *entered, steady=True) as db:
            rows = await write(db, export, file, side, msp, progress)
        async with database.work(side, *entered) as db:  # entered anew: what was taken from them meanwhile counts
            await keep(db, export, file, rows)


async def _running(db: AsyncSession, export_id: UUID, done: int) -> None:
    change = update(Export).where(col(Export.id) == export_id, col(Export.state).in_(('waiting', 'running')))
    if cast(Any, await db.exec(change.values(state='running', done=done))).rowcount != 1:
        raise Cancelled


async def _end(context: procrastinate.JobContext, export_id: UUID, state: str) -> None:
    async with work(context) as db:
        await db.exec(update(Export).where(col(Export.id) == export_id, col(Export.state) == 'running').values(state=state))


@queue.periodic(cron='23 * * * *')
@queue.task(name='tidy_exports', queueing_lock='tidy_exports')
async def tidy_exports(timestamp: int) -> None:
    """Files older than seven days go."""
    async with jobs.surroundings.database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.tidy_exports()'))
