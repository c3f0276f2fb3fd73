"""One change to many tickets: each in a transaction of its own, and what could not be changed is told.

The page works through them. Of a large change a row says which tickets still wait, written with each of them: if the process
ends on the way, whoever asked for it finds what was changed and what was not, and can go on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args
from uuid import UUID

from sqlalchemy import delete, literal, update
from sqlalchemy import func as sql
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.base import Wrong, now
from portal.domain.people import Tenant
from portal.domain.tickets.conversation import ticket_by_number
from portal.domain.tickets.model import BulkChange, Status, Ticket
from portal.domain.tickets.waiting import change_due, due_of, parse_due
from portal.domain.tickets.working import ClosedForGood, assign, change_category, change_priority, change_status
from portal.i18n import _

MOST = 500  # tickets at once
QUIET = timedelta(seconds=10)  # a ticket takes milliseconds: after so long nobody works on it any more
Field = Literal['assign', 'status', 'priority', 'category', 'due']
FIELDS: tuple[Field, ...] = get_args(Field)


@dataclass(frozen=True, slots=True)
class Change:
    """`to` as it comes from the screen: a word, an id, a day; '' for nobody, none."""

    field: Field
    to: str


@verb(Permission.TICKETS_WORK)
async def begin_bulk(db: AsyncSession, by: Principal, change: Change, numbers: Sequence[int]) -> BulkChange:
    bulk = BulkChange(
        tenant_id=by.tenant.id, user_id=by.user_id, field=change.field, value=change.to, numbers=list(numbers), total=len(numbers)
    )
    db.add(bulk)
    await db.flush()
    return bulk


@verb(Permission.TICKETS_WORK)
async def dealt_with(
    db: AsyncSession, by: Principal, bulk_id: UUID, number: int, *, changed: bool = False, why: str = ''
) -> None:  # fmt: skip
    """One of them waits no more; `why` it could not be changed."""
    failed = [[number, why]] if why else []
    await db.exec(
        update(BulkChange).where(col(BulkChange.id) == bulk_id).values(
            numbers=sql.array_remove(BulkChange.numbers, number), changed=BulkChange.changed + int(changed),
            failed=col(BulkChange.failed).concat(literal(failed, JSONB)), touched_at=now(),
        ).execution_options(synchronize_session=False)
    )  # fmt: skip


async def bulk_changes(db: AsyncSession) -> list[BulkChange]:
    """One's own whose end one has not seen, the oldest first."""
    return list(await db.exec(select(BulkChange).order_by(col(BulkChange.id))))


def is_left(bulk: BulkChange) -> bool:
    """Nobody works on it: it is done, or was interrupted."""
    return not bulk.numbers or bulk.touched_at < now() - QUIET


@verb(Permission.TICKETS_WORK)
async def forget_bulk(db: AsyncSession, by: Principal, bulk_id: UUID) -> None:
    """What was changed stays so."""
    await db.exec(delete(BulkChange).where(col(BulkChange.id) == bulk_id))


@verb(Permission.TICKETS_WORK)
async def change_one(db: AsyncSession, by: Principal, number: int, change: Change) -> bool:
    """Tells whether there was anything to change. Raises NotFound, Wrong, ClosedForGood."""
    ticket = await ticket_by_number(db, number, lock=True)
    if await _is_so(db, ticket, change):
        return False
    match change.field:
        case 'assign':
            await assign(db, by, ticket, _id(change), by_mail=False)  # or one person got hundreds of letters
        case 'status':
            await _not_closed_for_good(db, by, ticket)
            await change_status(db, by, ticket, change.to)
        case 'priority':
            await change_priority(db, by, ticket, change.to)
        case 'category':
            await change_category(db, by, ticket, _id(change))
        case 'due':
            await change_due(db, by, ticket, _day(change))
    return True


async def _is_so(db: AsyncSession, ticket: Ticket, change: Change) -> bool:
    match change.field:
        case 'assign':
            return ticket.assignee_id == _id(change)
        case 'category':
            return ticket.category_id == _id(change)
        case 'due':
            return await due_of(db, ticket.id) == _day(change)
        case 'status' | 'priority':
            return getattr(ticket, change.field).value == change.to


async def _not_closed_for_good(db: AsyncSession, by: Principal, ticket: Ticket) -> None:
    if ticket.status is not Status.CLOSED or ticket.closed_at is None:
        return
    tenant = await db.get_one(Tenant, by.tenant.id)
    if ticket.closed_at < now() - timedelta(days=tenant.reopen_days):
        raise ClosedForGood


def _id(change: Change) -> UUID | None:
    try:
        return UUID(change.to) if change.to else None
    except ValueError:
        raise Wrong(**{change.field: _('Choose one of the list.')}) from None


def _day(change: Change) -> date | None:
    return parse_due(change.to)
