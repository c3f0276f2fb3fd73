"""The audit log is sealed every minute; what its tenant no longer keeps goes once a day. What staff look at as a client ends in time."""

import logging

from sqlalchemy import text

from portal.db.engine import Database
from portal.jobs import queue

log = logging.getLogger('portal.audit')


@queue.queue.periodic(cron='* * * * *')
@queue.queue.task(name='seal_audit', queueing_lock='seal_audit')
async def seal_audit(timestamp: int) -> None:
    await seal(queue.surroundings.database)


@queue.queue.periodic(cron='47 3 * * *')
@queue.queue.task(name='forget_audit', queueing_lock='forget_audit')
async def forget_audit(timestamp: int) -> None:
    await forget(queue.surroundings.database)


async def seal(database: Database) -> int:
    """How many lines."""
    async with database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.over_viewings()'))
    async with database.engines['worker'].begin() as connection:
        return (await connection.execute(text('select app.seal_audit()'))).scalar_one()


async def forget(database: Database) -> int:
    """How many lines went; in steps, so that nothing waits long."""
    gone = 0
    while True:
        async with database.engines['worker'].begin() as connection:
            now = (await connection.execute(text('select app.forget_audit()'))).scalar_one()
        gone += now
        if not now:
            break
    if gone:
        log.info('%d lines of the audit log were removed by retention', gone)
    return gone
