"""Something is said."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import OnlyLooking, Permission, Principal, verb
from portal.domain.base import NotFound, Wrong, now
from portal.domain.people import Tenant
from portal.domain.tickets.drafts import reply_to
from portal.domain.tickets.files import attach
from portal.domain.tickets.model import Comment, Status, Ticket, Visibility
from portal.domain.tickets.opening import open_ticket, wrong_text
from portal.domain.tickets.telling import tell
from portal.domain.tickets.working import set_status


class Answered(Exception):
    """Others said something that the writer had not been shown when they began; nothing was sent."""

    def __init__(self, comments: list[Comment]) -> None:
        super().__init__(len(comments))
        self.comments = comments  # oldest first


@verb(Permission.TICKETS_REPLY)
async def reply(
    db: AsyncSession, by: Principal, ticket: Ticket, text: str, *, then: str | None = None, sending: UUID | None = None,
    seen: UUID | None = None, files: Sequence[UUID] = (),
) -> Ticket:  # fmt: skip
    """Says something that the client can read; returns the ticket on which it stands.

    A client's reply puts the ticket back with the MSP, also a solved one. On a ticket closed longer ago than the tenant
    allows it opens a new one that goes on with it. Staff say whose turn it is `then` (a status; by default the client's).

    `sending` names this reply as it was composed: sent again, it is not said again. With `seen`, the last comment that the
    writer knew, it raises Answered if others have said something since. Files need no text.
    """
    if words := wrong_text(text, files_enough=bool(files)):
        raise Wrong(text=words)
    sending, said = await _said_before(db, by, text, sending)
    if said:
        return await db.get_one(Ticket, said.ticket_id)
    if seen and (comments := await _since(db, by, ticket, seen)):
        raise Answered(comments)
    if ticket.status is Status.CLOSED and await _closed_for_good(db, by, ticket):
        return await _follow_up(db, by, ticket, text, sending, files)
    comment = Comment(
        tenant_id=by.tenant.id, company_id=ticket.company_id, ticket_id=ticket.id, author_id=by.user_id, body=text.strip(),
        sending=sending,
    )  # fmt: skip
    db.add(comment)
    await db.flush()
    await attach(db, by, reply_to(ticket.id), comment, files)
    ticket.last_comment_id, ticket.changed_at = comment.id, now()
    await set_status(db, by, ticket, _status_after(by, ticket, then))
    await tell(db, by, ticket, 'reply', comment_id=comment.id)
    return ticket


@verb(Permission.TICKETS_WORK)
async def note(
    db: AsyncSession, by: Principal, ticket: Ticket, text: str, *, sending: UUID | None = None, files: Sequence[UUID] = ()
) -> None:
    """An internal note: changes nothing that a client could notice, not even when the ticket changed last."""
    if words := wrong_text(text, files_enough=bool(files)):
        raise Wrong(text=words)
    sending, said = await _said_before(db, by, text, sending)
    if said:
        return
    comment = Comment(
        tenant_id=by.tenant.id, company_id=ticket.company_id, ticket_id=ticket.id, author_id=by.user_id, body=text.strip(),
        is_internal=True, sending=sending,
    )  # fmt: skip
    db.add(comment)
    await db.flush()
    await attach(db, by, reply_to(ticket.id), comment, files)
    await tell(db, by, ticket, 'note', comment_id=comment.id, clients=False, by_mail=False)


async def _said_before(
    db: AsyncSession, by: Principal, text: str, sending: UUID | None
) -> tuple[UUID | None, Comment | None]:  # fmt: skip
    """The comment that this sending has made already. Other words under the same name are something new, without a name."""
    if sending is None:
        return None, None
    found = (await db.exec(select(Comment).where(Comment.author_id == by.user_id, Comment.sending == sending))).first()
    if found and found.body != text.strip():
        return None, None
    return sending, found


async def _since(db: AsyncSession, by: Principal, ticket: Ticket, seen: UUID) -> list[Comment]:
    """What others have said after that comment, oldest first; the newest few."""
    later = select(Comment).where(Comment.ticket_id == ticket.id, col(Comment.id) > seen, Comment.author_id != by.user_id)
    return list(await db.exec(later.order_by(col(Comment.id).desc()).limit(5)))[::-1]


@verb(Permission.TICKETS_REPLY)
async def tell_writing(db: AsyncSession, by: Principal, ticket_id: UUID, what: Literal['reply', 'note', '']) -> None:
    """Tells open pages of staff that somebody is writing, or has stopped (''). Nothing of it is kept."""
    if by.viewer:
        raise OnlyLooking
    if not (await db.exec(select(Ticket.id).where(Ticket.id == ticket_id))).first():
        raise NotFound
    await db.exec(select(func.pg_notify('live', f'writing:{ticket_id}:{by.user_id}:{what}')))


def _status_after(by: Principal, ticket: Ticket, then: str | None) -> Status:
    if not by.is_staff:
        return Status.NEW if ticket.status is Status.NEW else Status.OPEN
    if then and then in set(Status) and by.may(Permission.TICKETS_WORK):
        return Status(then)
    return Status.WAITING_CLIENT


async def _closed_for_good(db: AsyncSession, by: Principal, ticket: Ticket) -> bool:
    tenant = await db.get_one(Tenant, by.tenant.id)
    return bool(ticket.closed_at and ticket.closed_at < now() - timedelta(days=tenant.reopen_days))


async def _follow_up(
    db: AsyncSession, by: Principal, ticket: Ticket, text: str, sending: UUID | None, files: Sequence[UUID]
) -> Ticket:
    return await open_ticket(
        db, by, company_id=ticket.company_id, requester_id=ticket.requester_id if by.is_staff else by.user_id,
        subject=ticket.subject, text=text, priority=ticket.priority.value, follows=ticket,
        visibility=Visibility(ticket.visibility).value, sending=sending, files=files, place=reply_to(ticket.id),
    )  # fmt: skip
