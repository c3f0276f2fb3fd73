"""Drafts nobody came back to, the files uploaded for them, and bytes in the folder that no row knows."""

import asyncio
import logging

from sqlalchemy import text

from portal.db.engine import Database
from portal.jobs import queue
from portal.storage import Store

log = logging.getLogger('portal.files')
DAY = 24 * 60 * 60  # seconds: what is younger may still be getting its row
BATCH = 1000


@queue.queue.periodic(cron='41 * * * *')
@queue.queue.task(name='sweep_files', queueing_lock='sweep_files')
async def sweep_files(timestamp: int) -> None:
    await sweep(queue.surroundings.database, Store(queue.surroundings.settings))


async def sweep(database: Database, store: Store) -> None:
    async with database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.tidy_drafts()'))
    await asyncio.to_thread(store.sweep_incoming)
    old = await asyncio.to_thread(lambda: list(store.older_than(DAY)))
    for begin in range(0, len(old), BATCH):
        async with database.engines['worker'].begin() as connection:
            asked = text('select app.unknown_files(:names)')
            unknown = (await connection.execute(asked, {'names': old[begin : begin + BATCH]})).scalars().all()
        for name in unknown:
            await asyncio.to_thread(store.remove, name)
        if unknown:
            log.info('%d files without a row were removed', len(unknown))
