"""Lists of tickets as files: a short one at once, a long one by a job. Kept for seven days, for whoever asked for it."""

import asyncio
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import IO, Any, cast
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import Column, ForeignKeyConstraint, LargeBinary, UniqueConstraint, delete, literal, update
from sqlalchemy import func as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, Side, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now, uuid7
from portal.domain.tickets.lists import Row, Where, listing
from portal.domain.tickets.private import saw_private
from portal.domain.tickets.sheets import FORMATS, columns
from portal.i18n import _

AT_ONCE = 1000  # rows; more are the work of a job
PART = 256 * 1024  # bytes
KEPT = timedelta(days=7)
SHOWN = MOST_KEPT = 20  # of one person; the oldest go first
WHERE: TypeAdapter[Where] = TypeAdapter(Where)


def _in_a_week() -> datetime:
    return now() + KEPT


class Export(SQLModel, table=True):
    """`wanted` is a Where. States: waiting, running, ready; failed, refused (no longer theirs to see), cancelled."""

    __table_args__ = (
        UniqueConstraint('tenant_id', 'user_id', 'id'),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID | None = None  # None: of staff
    user_id: UUID
    format: str  # csv, xlsx
    wanted: dict[str, Any] = Field(sa_column=Column(cast(Any, JSONB), nullable=False))
    language: str
    timezone: str
    state: str = 'waiting'
    done: int = 0  # rows
    size: int = 0  # bytes
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    expires_at: datetime = Field(default_factory=_in_a_week, sa_type=Moment)
    ready_at: datetime | None = Field(default=None, sa_type=Moment)
    seen_at: datetime | None = Field(default=None, sa_type=Moment)

    @property
    def filename(self) -> str:
        return f'tickets-{self.created_at:%Y-%m-%d}.{self.format}'


class ExportPart(SQLModel, table=True):
    __tablename__: str = 'export_part'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'user_id', 'export_id'], ['export.tenant_id', 'export.user_id', 'export.id']),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
    )
    export_id: UUID = Field(primary_key=True)
    n: int = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID | None = None
    user_id: UUID
    bytes: Any = Field(sa_column=Column(LargeBinary, nullable=False))


class Cancelled(Exception):
    """Whoever asked for it no longer wants it."""


@verb(Permission.TICKETS_SEE)
async def export_tickets(db: AsyncSession, by: Principal, where: Where, format: str) -> Export:
    """Ready when it comes back, if there are few tickets; else promised."""
    if format not in FORMATS:
        raise Wrong(format=_('Choose CSV or Excel.'))
    where = replace(where, cursor=None)
    export = Export(
        tenant_id=by.tenant.id, company_id=by.company.id if by.company else None, user_id=by.user_id, format=format,
        wanted=WHERE.dump_python(where, mode='json'), language=by.voice.language, timezone=by.voice.timezone,
    )  # fmt: skip
    await _make_room(db)
    db.add(export)
    await db.flush()
    page = await listing(db, where, most=AT_ONCE)
    if page.older:
        args = {'export': str(export.id), 'key': secrets.token_urlsafe(32)}
        await db.exec(select(sql.app.later('make_export', literal(args, JSONB))))
        return export
    with tempfile.TemporaryFile() as file:
        await _written(file, export, by.side, by.tenant.short_name, _only(page.rows))
        await keep(db, export, file, len(page.rows))
    if by.is_staff:
        await saw_private(db, by.user_id, page.rows, 'export')
    export.seen_at = now()  # it is on their screen
    return export


async def _make_room(db: AsyncSession) -> None:
    """Nobody fills the database by asking again and again: what is over goes, and one more may come."""
    mine = select(Export.id).where(col(Export.expires_at) > now()).order_by(col(Export.id).desc()).offset(MOST_KEPT - 1)
    over = list(await db.exec(mine))
    await db.exec(delete(ExportPart).where(col(ExportPart.export_id).in_(over)))
    unfinished = col(Export.state).in_(('waiting', 'running'))
    await db.exec(update(Export).where(col(Export.id).in_(over), unfinished).values(state='cancelled'))
    await db.exec(update(Export).where(col(Export.id).in_(over)).values(expires_at=now()))


async def write(
    db: AsyncSession, export: Export, file: IO[bytes], side: Side, msp: str, progress: Callable[[int], Awaitable[None]]
) -> int:
    """All rows that whoever `db` works as may see; how many. `progress` may raise, to end it."""
    person = export.user_id if side == 'staff' else None
    return await _written(file, export, side, msp, _pages(db, WHERE.validate_python(export.wanted), progress, person))


async def _pages(
    db: AsyncSession, where: Where, progress: Callable[[int], Awaitable[None]], staff: UUID | None
) -> AsyncIterator[list[Row]]:
    done, more = 0, True
    while more:
        page = await listing(db, where, most=AT_ONCE)
        done += len(page.rows)
        await progress(done)
        if staff:
            await saw_private(db, staff, page.rows, 'export')
        yield page.rows
        db.expunge_all()
        more, where = page.older is not None, replace(where, cursor=page.older)


async def _only(rows: list[Row]) -> AsyncIterator[list[Row]]:
    yield rows


async def _written(file: IO[bytes], export: Export, side: Side, msp: str, pages: AsyncIterator[list[Row]]) -> int:
    sheet, done = FORMATS[export.format](file, columns(side, msp)), 0
    async for rows in pages:
        await asyncio.to_thread(sheet.add, rows)
        done += len(rows)
    await asyncio.to_thread(sheet.close)
    return done


async def keep(db: AsyncSession, export: Export, file: IO[bytes], rows: int) -> None:
    """The whole file and the word that it is ready, in one transaction."""
    await db.exec(delete(ExportPart).where(col(ExportPart.export_id) == export.id))
    file.seek(0)
    size = n = 0
    while part := await asyncio.to_thread(file.read, PART):
        row = ExportPart(
            export_id=export.id, n=n, tenant_id=export.tenant_id, company_id=export.company_id, user_id=export.user_id, bytes=part
        )
        db.add(row)
        await db.flush()
        db.expunge(row)  # or the whole file would stay in memory
        size, n = size + len(part), n + 1
    change = update(Export).where(col(Export.id) == export.id, col(Export.state).in_(('waiting', 'running')))
    changed = await db.exec(change.values(state='ready', done=rows, size=size, ready_at=now()))
    if cast(Any, changed).rowcount != 1:
        raise Cancelled
    await record(db, 'tickets.exported', subject=export.id, rows=rows, format=export.format, wanted=export.wanted)


@verb(Permission.TICKETS_SEE)
async def cancel_export(db: AsyncSession, by: Principal, export_id: UUID) -> None:
    change = update(Export).where(col(Export.id) == export_id, col(Export.state).in_(('waiting', 'running')))
    await db.exec(change.values(state='cancelled'))


async def exports(db: AsyncSession) -> list[Export]:
    """One's own, the newest first."""
    mine = select(Export).where(col(Export.expires_at) > now()).order_by(col(Export.id).desc()).limit(SHOWN)
    return list(await db.exec(mine))


async def finished(db: AsyncSession, export_id: UUID) -> Export:
    """Raises NotFound for what is not ready, over, or not theirs."""
    found = select(Export).where(Export.id == export_id, Export.state == 'ready', col(Export.expires_at) > now())
    export = (await db.exec(found)).first()
    if export is None:
        raise NotFound
    return export


async def part(db: AsyncSession, export_id: UUID, n: int) -> bytes | None:
    return (await db.exec(select(ExportPart.bytes).where(ExportPart.export_id == export_id, ExportPart.n == n))).first()


async def fresh(db: AsyncSession) -> list[Export]:
    """Made since they last looked, or given up."""
    over = col(Export.state).in_(('ready', 'failed', 'refused'))
    found = select(Export).where(over, col(Export.seen_at).is_(None), col(Export.expires_at) > now())
    return list(await db.exec(found.order_by(col(Export.id).desc()).limit(3)))


async def see_exports(db: AsyncSession) -> None:
    await db.exec(update(Export).where(col(Export.seen_at).is_(None), col(Export.state) != 'running').values(seen_at=now()))
