"""One change to many tickets: each in a transaction of its own, and what could not be changed is told."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, get_args
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.base import Wrong, now
from portal.domain.people import Tenant
from portal.domain.tickets.conversation import ticket_by_number
from portal.domain.tickets.model import Status, Ticket
from portal.domain.tickets.waiting import change_due, due_of, parse_due
from portal.domain.tickets.working import ClosedForGood, assign, change_category, change_priority, change_status
from portal.i18n import _

MOST = 500  # tickets at once
Field = Literal['assign', 'status', 'priority', 'category', 'due']
FIELDS: tuple[Field, ...] = get_args(Field)


@dataclass(frozen=True, slots=True)
class Change:
    """`to` as it comes from the screen: a word, an id, a day; '' for nobody, none."""

    field: Field
    to: str


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
