"""What people are told of how they come in, and when: reminders, and the link for who has lost a factor."""

from uuid import UUID

import procrastinate
from sqlalchemy import func as sql
from sqlalchemy import text
from sqlmodel import select

from portal.domain.mail import Promised, promise
from portal.jobs import queue as jobs
from portal.jobs.queue import queue, work

AGAIN = procrastinate.RetryStrategy(max_attempts=8, exponential_wait=2)


@queue.task(name='access_letter', pass_context=True, retry=AGAIN)
async def access_letter(context: procrastinate.JobContext, kind: str, user: str, actor: str | None, tenant: str) -> None:
    """Promised by functions of the database, which cannot write to people themselves."""
    async with work(context) as db:
        await promise(db, [Promised(kind=kind, to_user_id=UUID(user), actor_id=UUID(actor) if actor else None)])


@queue.periodic(cron='5 6 * * *')
@queue.task(name='ask_for_reminders', queueing_lock='ask_for_reminders')
async def ask_for_reminders(timestamp: int) -> None:
    """Once a day: a job for each tenant that asks somebody for a second factor."""
    async with jobs.surroundings.database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.ask_for_reminders()'))


@queue.task(name='remind_factors', pass_context=True, retry=AGAIN)
async def remind_factors(context: procrastinate.JobContext, tenant: str) -> None:
    async with work(context) as db:
        people = list(await db.exec(select(sql.app.factor_reminders())))
        await promise(db, [Promised(kind='factor_due', to_user_id=person) for person in people])


@queue.periodic(cron='* * * * *')
@queue.task(name='send_recoveries', queueing_lock='send_recoveries')
async def send_recoveries(timestamp: int) -> None:
    """Whose time of waiting is over gets the letter with the link."""
    async with jobs.surroundings.database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.send_recoveries()'))
