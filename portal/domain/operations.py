"""How the portal is doing, as far as it concerns one tenant; and a failed job, begun again.

What belongs to the installation is said where it tells nothing about other tenants. `app.health()` in the database decides.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sqlalchemy import func as sql
from sqlalchemy import text
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, now
from portal.domain.mail import Letter, LetterState

STUCK = timedelta(minutes=15)  # a letter that waits longer has been refused, or nobody works
LATELY = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class FailedJob:
    id: int
    task: str
    attempts: int
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    alone: bool  # whether this tenant is the only one
    server: str
    clock: timedelta  # how far the database's clock is ahead of ours
    database_bytes: int | None  # None: there are other tenants
    last_backup: datetime | None
    worker_silence: timedelta | None  # since a worker was last heard of; None: never
    waiting: int  # jobs
    late: int  # that wait for more than five minutes, and not for a second try
    failed: list[FailedJob]
    letters_stuck: int
    letters_failed: int  # in the last seven days


async def health(db: AsyncSession, by: Principal) -> Health:
    by.need(Permission.TENANT_MANAGE)
    before = datetime.now(UTC)
    facts = cast(dict[str, Any], (await db.exec(select(sql.app.health()))).one())
    ours = before + (datetime.now(UTC) - before) / 2
    stuck, failed = (
        await db.exec(
            select(
                sql.count().filter(col(Letter.state) == LetterState.WAITING, col(Letter.created_at) < now() - STUCK),
                sql.count().filter(col(Letter.state) == LetterState.FAILED, col(Letter.created_at) > now() - LATELY),
            ).select_from(Letter)
        )
    ).one()
    silence = facts['worker_silence']
    return Health(
        alone=facts['alone'], server=facts['server'], clock=datetime.fromtimestamp(facts['now'], UTC) - ours,
        database_bytes=await _size(db) if facts['alone'] else None, last_backup=_moment(facts['last_backup']),
        worker_silence=None if silence is None else timedelta(seconds=silence), waiting=facts['waiting'], late=facts['late'],
        failed=[FailedJob(job['id'], job['task'], job['attempts'], _moment(job['at'])) for job in facts['failed']],
        letters_stuck=stuck, letters_failed=failed,
    )  # fmt: skip


async def _size(db: AsyncSession) -> int:
    """Of everybody's data together."""
    return (await db.exec(select(sql.pg_database_size(sql.current_database())))).one()


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


@verb(Permission.TENANT_MANAGE)
async def run_again(db: AsyncSession, by: Principal, job: int) -> None:
    """Raises NotFound if it is not there, not of this tenant, or does not stand as failed (any more)."""
    done = (await db.exec(text('select app.run_again(:job)'), params={'job': job})).scalar_one()  # pyright: ignore
    if not done:
        raise NotFound
    await record(db, 'job.repeated', job=job)
