"""Whom a change on a ticket concerns: a line under their bell, and a letter unless they switched it off.

What concerns one person alone (it came into their hands) is told once while it waits: the database keeps no second line
beside one that was not seen, and the job no second letter within minutes.

Never for an internal note, but to staff under their bell. The letter itself is written by a job, which asks again
whether the person may still see the ticket.
"""

from collections.abc import Iterable
from typing import Any, cast
from uuid import UUID

from sqlalchemy import func as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Principal
from portal.domain.mail import Promised, promise
from portal.domain.notifications import put_under_bells
from portal.domain.people import User, switch_of
from portal.domain.tickets.model import Participant, Ticket


async def tell(
    db: AsyncSession, by: Principal, ticket: Ticket, kind: str, *, comment_id: UUID | None = None, clients: bool = True,
    by_mail: bool = True,
) -> None:  # fmt: skip
    """`kind` is one of MAIL_EVENTS, or `note`."""
    people = await _concerned(db, ticket, clients=clients)
    await _tell(db, by, ticket, kind, people, comment_id=comment_id, by_mail=by_mail)


async def tell_only(
    db: AsyncSession, by: Principal, ticket: Ticket, kind: str, people: Iterable[UUID], *, by_mail: bool = True
) -> None:
    """`kind` is one of HANDED."""
    await _tell(db, by, ticket, kind, set(people), by_mail=by_mail)


async def _tell(
    db: AsyncSession, by: Principal, ticket: Ticket, kind: str, people: set[UUID], *, comment_id: UUID | None = None,
    by_mail: bool,
) -> None:  # fmt: skip
    people = people - {by.user_id}  # nobody is told what they did themselves
    if not people:
        return
    found = cast(Any, select)(User.id, User.mail_off).where(col(User.id).in_(people), col(User.disabled_at).is_(None))
    known: list[tuple[UUID, list[str]]] = list(await cast(Any, db).exec(found))
    await put_under_bells(db, by, [id_ for id_, _off in known], kind, ticket)
    if by_mail:
        await promise(db, [
            Promised(kind=kind, to_user_id=id_, actor_id=by.user_id, company_id=ticket.company_id, ticket_id=ticket.id,
                     comment_id=comment_id)
            for id_, off in known if switch_of(kind) not in off
        ])  # fmt: skip


async def _concerned(db: AsyncSession, ticket: Ticket, *, clients: bool) -> set[UUID]:
    people: set[UUID] = set()
    if clients:
        people |= {ticket.requester_id, *await db.exec(select(Participant.user_id).where(Participant.ticket_id == ticket.id))}
    return people | set(await _staff_concerned(db, ticket))


async def _staff_concerned(db: AsyncSession, ticket: Ticket) -> Iterable[UUID]:
    """Whoever has it; while nobody has, everyone who works the queue."""
    if ticket.assignee_id:
        return [ticket.assignee_id]
    working = sql.app.working_staff().table_valued('id')  # of own roles a client's side cannot read
    return await db.exec(select(working.c.id))
