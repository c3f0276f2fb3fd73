"""Every morning: which companies are asked who still works there, and who is reminded."""

from sqlalchemy import text

from portal.jobs import queue


@queue.queue.periodic(cron='23 6 * * *')
@queue.queue.task(name='open_reviews', queueing_lock='open_reviews')
async def open_reviews(timestamp: int) -> None:
    async with queue.surroundings.database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.open_reviews()'))
