"""Imports go on after the tab is closed, as whoever started them, and no longer than that person may."""

import hashlib
import logging
import secrets
from uuid import UUID

import procrastinate
from sqlalchemy import text

from portal.db.engine import SignedOut
from portal.domain.access import NotAllowed
from portal.domain.base import NotFound, now
from portal.domain.imports.doing import batch_by_id, take_chunk, who_started
from portal.domain.imports.model import State
from portal.i18n import speaking
from portal.jobs import queue as jobs
from portal.jobs.queue import queue, work

log = logging.getLogger('portal.imports')
TRIES = 5  # after 2, 4, 8 … seconds


@queue.task(name='run_import', pass_context=True, retry=procrastinate.RetryStrategy(max_attempts=TRIES, exponential_wait=2))
async def run_import(context: procrastinate.JobContext, batch: str, tenant: str) -> None:
    """Takes chunk after chunk. Whoever comes second takes over: the secret of the first no longer opens anything."""
    key = secrets.token_bytes(32)
    try:
        if not await _begin(context, UUID(batch), key):
            return
        while await _chunk(UUID(batch), key):
            pass
    except (SignedOut, NotAllowed) as e:
        await _end(context, UUID(batch), key, type(e).__name__)
    except Exception as e:
        if context.job.attempts + 1 < TRIES:
            raise
        log.warning('import %s is given up', batch, exc_info=e)
        await _end(context, UUID(batch), key, type(e).__name__)


async def _begin(context: procrastinate.JobContext, batch_id: UUID, key: bytes) -> bool:
    async with work(context) as db:
        try:
            batch = await batch_by_id(db, batch_id)
        except NotFound:
            return False
        if batch.state is not State.RUNNING:
            return False
        batch.key_hash = hashlib.sha256(key).digest()
    return True


async def _chunk(batch_id: UUID, key: bytes) -> bool:
    async with jobs.surroundings.database.work('staff', 'enter_import', key) as db:
        by = await who_started(db, await batch_by_id(db, batch_id))
        with speaking(by.voice):
            return await take_chunk(db, by, batch_id)


async def _end(context: procrastinate.JobContext, batch_id: UUID, key: bytes, why: str) -> None:
    """It stays as it is if somebody stopped it, or another job has taken over."""
    async with work(context) as db:
        batch = await batch_by_id(db, batch_id)
        if batch.state is State.RUNNING and batch.key_hash == hashlib.sha256(key).digest():
            batch.state, batch.key_hash, batch.touched_at = State.FAILED, None, now()
            log.warning('import %s has ended: %s', batch_id, why)


@queue.periodic(cron='27 3 * * *')
@queue.task(name='forget_imports', queueing_lock='forget_imports')
async def forget_imports(timestamp: int) -> None:
    """Uploaded rows are kept for thirty days."""
    async with jobs.surroundings.database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.forget_imports()'))
