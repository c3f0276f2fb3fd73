"""Somebody has it; what it is called and about; how it stands; that it is over.

A change may carry the value that was `shown` when it was chosen: if that is no more, it raises Overtaken and changes nothing.
"""

from datetime import timedelta
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import NotAllowed, Permission, Principal, UserType, verb
from portal.domain.audit import record
from portal.domain.base import Wrong, now
from portal.domain.categories import offered
from portal.domain.people import Tenant, User
from portal.domain.tickets.history import happened, not_overtaken
from portal.domain.tickets.model import EventKind, Priority, Status, Ticket
from portal.domain.tickets.opening import clean_subject, wrong_subject
from portal.domain.tickets.sharing import may_correct
from portal.domain.tickets.telling import tell, tell_only
from portal.i18n import _


class AlreadyClosed(Exception):
    """The ticket is closed."""


class ClosedForGood(Exception):
    """Closed longer ago than the tenant allows to reopen; a reply opens a new ticket."""


@verb(Permission.TICKETS_WORK)
async def take(db: AsyncSession, by: Principal, ticket: Ticket, *, shown: str | None = None) -> None:
    await _assign(db, by, ticket, by.user_id, shown)


@verb(Permission.TICKETS_WORK)
async def assign(
    db: AsyncSession, by: Principal, ticket: Ticket, to: UUID | None, *, shown: str | None = None, by_mail: bool = True
) -> None:
    """To one of the staff, or to nobody. Unless not `by_mail`, whoever has it now gets a letter."""
    if to is not None:
        known = select(User.id).where(User.id == to, User.user_type == UserType.INTERNAL.value, col(User.disabled_at).is_(None))
        if not (await db.exec(known)).first():
            raise Wrong(assignee=_('Choose somebody on your staff.'))
    if await _assign(db, by, ticket, to, shown) and to is not None:
        await tell_only(db, by, ticket, 'assigned', [to], by_mail=by_mail)


async def _assign(db: AsyncSession, by: Principal, ticket: Ticket, to: UUID | None, shown: str | None) -> bool:
    """Tells whether it changed hands."""
    if ticket.assignee_id == to:
        return False
    await not_overtaken(db, ticket, EventKind.ASSIGNEE, shown, str(ticket.assignee_id or ''))
    happened(db, by, ticket, EventKind.ASSIGNEE, str(ticket.assignee_id or ''), str(to or ''))
    ticket.assignee_id, ticket.changed_at = to, now()
    if to and ticket.status is Status.NEW:
        await set_status(db, by, ticket, Status.OPEN)
    await db.flush()
    return True


@verb(Permission.TICKETS_WORK)
async def change_priority(db: AsyncSession, by: Principal, ticket: Ticket, priority: str, *, shown: str | None = None) -> None:
    if priority not in set(Priority):
        raise Wrong(priority=_('Choose a priority.'))
    if ticket.priority.value == priority:
        return
    await not_overtaken(db, ticket, EventKind.PRIORITY, shown, ticket.priority.value)
    happened(db, by, ticket, EventKind.PRIORITY, ticket.priority.value, priority)
    ticket.priority, ticket.changed_at = Priority(priority), now()
    await db.flush()


@verb(Permission.TICKETS_WORK)
async def change_category(
    db: AsyncSession, by: Principal, ticket: Ticket, category_id: UUID | None, *, shown: str | None = None
) -> None:
    """What it is about, or nothing; an archived category stays where it is, but cannot be chosen."""
    if ticket.category_id == category_id:
        return
    await offered(db, category_id)
    await not_overtaken(db, ticket, EventKind.CATEGORY, shown, str(ticket.category_id or ''))
    happened(db, by, ticket, EventKind.CATEGORY, str(ticket.category_id or ''), str(category_id or ''))
    ticket.category_id, ticket.changed_at = category_id, now()
    await db.flush()


@verb(Permission.TICKETS_REPLY)
async def change_subject(db: AsyncSession, by: Principal, ticket: Ticket, subject: str, *, shown: str | None = None) -> None:
    """Raises Wrong(subject=…), and NotAllowed for whose ticket it is not."""
    if not may_correct(by, ticket):
        raise NotAllowed(Permission.TICKETS_REPLY)
    if words := wrong_subject(subject):
        raise Wrong(subject=words)
    subject = clean_subject(subject)
    if ticket.subject == subject:
        return
    await not_overtaken(db, ticket, EventKind.SUBJECT, shown, ticket.subject)
    happened(db, by, ticket, EventKind.SUBJECT, ticket.subject, subject)
    ticket.subject, ticket.changed_at = subject, now()
    await db.flush()


@verb(Permission.TICKETS_WORK)
async def change_status(db: AsyncSession, by: Principal, ticket: Ticket, status: str, *, shown: str | None = None) -> None:
    if status not in set(Status):
        raise Wrong(status=_('Choose a status.'))
    if ticket.status.value != status:
        await not_overtaken(db, ticket, EventKind.STATUS, shown, ticket.status.value)
    if await set_status(db, by, ticket, Status(status)):
        await tell(db, by, ticket, 'status')


@verb(Permission.TICKETS_CLOSE)
async def close(db: AsyncSession, by: Principal, ticket: Ticket) -> None:
    if ticket.status is Status.CLOSED:
        raise AlreadyClosed
    await set_status(db, by, ticket, Status.CLOSED)
    await tell(db, by, ticket, 'status')


@verb(Permission.TICKETS_CLOSE)
async def reopen(db: AsyncSession, by: Principal, ticket: Ticket) -> None:
    """A solved or lately closed ticket is open again; nothing happens to one that is open."""
    if ticket.status not in (Status.SOLVED, Status.CLOSED):
        return
    tenant = await db.get_one(Tenant, by.tenant.id)
    if ticket.closed_at and ticket.closed_at < now() - timedelta(days=tenant.reopen_days):
        raise ClosedForGood
    await set_status(db, by, ticket, Status.OPEN)
    await tell(db, by, ticket, 'status')


async def set_status(db: AsyncSession, by: Principal, ticket: Ticket, status: Status) -> bool:
    """The one place where a status changes; tells whether it did."""
    if ticket.status is status:
        await db.flush()
        return False
    happened(db, by, ticket, EventKind.STATUS, ticket.status.value, status.value)
    before, ticket.status, ticket.changed_at = ticket.status, status, now()
    ticket.closed_at = now() if status is Status.CLOSED else None
    await db.flush()
    await record(db, 'ticket.status', company_id=ticket.company_id, subject=ticket.id, before=before, after=status)
    return True
