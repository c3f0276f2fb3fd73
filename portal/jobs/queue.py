"""What happens later. A job runs as portal_worker, inside the tenant that its own row names."""

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import procrastinate
import procrastinate.testing
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.db.engine import Database
from portal.settings import Settings

log = logging.getLogger('portal.jobs')
queue = procrastinate.App(connector=procrastinate.testing.InMemoryConnector())  # replaced when the worker starts
STALLED = 60  # seconds without a heartbeat (every 10 s): its worker died


@dataclass
class Surroundings:
    """What jobs work with; set once, when the worker starts."""

    database: Database
    settings: Settings


surroundings: Surroundings


def work(context: procrastinate.JobContext) -> AbstractAsyncContextManager[AsyncSession]:
    """The unit of work of a job: in its tenant, and only while it runs."""
    return surroundings.database.work('worker', 'enter_job', context.job.id)


@queue.periodic(cron='* * * * *')
@queue.task(name='retry_stalled', queueing_lock='retry_stalled', pass_context=True)
async def retry_stalled(context: procrastinate.JobContext, timestamp: int) -> None:
    """Jobs of a worker that was killed are not taken up again by themselves."""
    for job in await context.app.job_manager.get_stalled_jobs(seconds_since_heartbeat=STALLED):
        await context.app.job_manager.retry_job(job)


@queue.periodic(cron='17 3 * * *')
@queue.task(name='tidy', queueing_lock='tidy')
async def tidy(timestamp: int) -> None:
    """Forget sessions and attempts that are long over, and what nobody cared to read."""
    from sqlalchemy import text

    async with surroundings.database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.tidy(), app.tidy_unread(), app.tidy_challenges()'))


async def run(database: Database, settings: Settings) -> None:
    """Works until cancelled, then finishes what it holds; survives the loss of the database."""
    global surroundings
    surroundings = Surroundings(database, settings)
    import portal.jobs.access
    import portal.jobs.auditing
    import portal.jobs.exports
    import portal.jobs.imports
    import portal.jobs.letters
    import portal.jobs.reviews
    import portal.jobs.sweeping  # noqa: F401  bring their tasks

    while True:
        connector = procrastinate.PsycopgConnector(
            conninfo=database.conninfo('worker'), min_size=1, max_size=4, kwargs={'options': '-c search_path=jobs'}
        )
        try:
            with queue.replace_connector(connector) as app:
                async with app.open_async():
                    await app.run_worker_async(
                        concurrency=4, install_signal_handlers=False, listen_notify=True, shutdown_graceful_timeout=5,
                        delete_jobs='successful', fetch_job_polling_interval=2,
                    )  # fmt: skip
        except asyncio.CancelledError:
            raise
        except Exception as e:
            log.warning('the worker lost the database: %s', type(e).__name__)
        await asyncio.sleep(1)
