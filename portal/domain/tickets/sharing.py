"""Who is in a ticket: whose it is, who is in copy, and whether the company can see it."""

from collections.abc import Sequence
from uuid import UUID

from sqlmodel import delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import NotAllowed, Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong, now
from portal.domain.people import members
from portal.domain.tickets.history import happened, not_overtaken
from portal.domain.tickets.model import EventKind, Participant, Ticket, Visibility
from portal.domain.tickets.telling import tell_only
from portal.i18n import _


def participant(by: Principal, ticket: Ticket, person: UUID) -> Participant:
    return Participant(
        tenant_id=by.tenant.id, company_id=ticket.company_id, ticket_id=ticket.id, user_id=person, added_by_id=by.user_id
    )


def may_take_out(by: Principal, ticket: Ticket) -> bool:
    """Whose ticket it is, whoever sees all of the company's, and the staff who work on it. Oneself: anyone (`leave`)."""
    if by.is_staff:
        return by.may(Permission.TICKETS_WORK)
    return by.may(Permission.TICKETS_REPLY) and (ticket.requester_id == by.user_id or by.may(Permission.TICKETS_SEE_COMPANY))


def may_correct(by: Principal, ticket: Ticket) -> bool:
    """Subject and visibility: whose ticket it is, and the staff who work on it."""
    if by.is_staff:
        return by.may(Permission.TICKETS_WORK)
    return by.may(Permission.TICKETS_REPLY) and ticket.requester_id == by.user_id


@verb(Permission.TICKETS_REPLY)
async def add_participants(db: AsyncSession, by: Principal, ticket: Ticket, people: Sequence[UUID]) -> None:
    """Puts people of the company in copy: they see the ticket, also a private one, and hear of replies."""
    known = {person.id for person in await members(db, ticket.company_id)}
    if not people:
        raise Wrong(copy=_('Choose at least one person.'))
    if not set(people) <= known:
        raise Wrong(copy=_('Only people of the company can be in copy.'))
    there = {ticket.requester_id, *await in_copy(db, ticket)}
    new = [person for person in dict.fromkeys(people) if person not in there]
    for person in new:
        await _add(db, by, ticket, person)
    await db.flush()
    await tell_only(db, by, ticket, 'copy', new)


async def in_copy(db: AsyncSession, ticket: Ticket) -> list[UUID]:
    return list(await db.exec(select(Participant.user_id).where(Participant.ticket_id == ticket.id)))


async def _add(db: AsyncSession, by: Principal, ticket: Ticket, person: UUID) -> None:
    db.add(participant(by, ticket, person))
    happened(db, by, ticket, EventKind.PARTICIPANT, None, str(person))
    await record(db, 'ticket.shared', company_id=ticket.company_id, subject=ticket.id, with_user=person)


@verb(Permission.TICKETS_REPLY)
async def remove_participant(db: AsyncSession, by: Principal, ticket: Ticket, person: UUID) -> None:
    """Takes somebody out of copy. Raises NotAllowed, and NotFound when they are not in it."""
    if person != by.user_id and not may_take_out(by, ticket):
        raise NotAllowed(Permission.TICKETS_REPLY)
    await _remove(db, by, ticket, person)


@verb(Permission.TICKETS_SEE)
async def leave(db: AsyncSession, by: Principal, ticket: Ticket) -> None:
    """Takes oneself out of copy; raises NotFound for who is not in it."""
    await _remove(db, by, ticket, by.user_id)


async def _remove(db: AsyncSession, by: Principal, ticket: Ticket, person: UUID) -> None:
    if person not in await in_copy(db, ticket):
        raise NotFound
    # first the line and the record: whoever has left sees the ticket no more, and may not write on it
    happened(db, by, ticket, EventKind.PARTICIPANT, str(person), None)
    await db.flush()
    await record(db, 'ticket.unshared', company_id=ticket.company_id, subject=ticket.id, with_user=person)
    await db.exec(delete(Participant).where(Participant.ticket_id == ticket.id, Participant.user_id == person))  # type: ignore[arg-type]


@verb(Permission.TICKETS_WORK)
async def change_requester(
    db: AsyncSession, by: Principal, ticket: Ticket, person: UUID, *, keep: bool = True, shown: str | None = None
) -> None:
    """Whose ticket it is; whoever it was before stays in copy, unless not to `keep` them."""
    if person == ticket.requester_id:
        return
    if not any(member.id == person for member in await members(db, ticket.company_id)):
        raise Wrong(requester=_('Choose somebody of the company.'))
    await not_overtaken(db, ticket, EventKind.REQUESTER, shown, str(ticket.requester_id))
    before, ticket.requester_id, ticket.changed_at = ticket.requester_id, person, now()
    happened(db, by, ticket, EventKind.REQUESTER, str(before), str(person))
    await db.exec(delete(Participant).where(Participant.ticket_id == ticket.id, Participant.user_id == person))  # type: ignore[arg-type]
    if keep and any(member.id == before for member in await members(db, ticket.company_id)):
        await _add(db, by, ticket, before)
    await db.flush()
    await record(db, 'ticket.requester', company_id=ticket.company_id, subject=ticket.id, before=before, after=person)
    await tell_only(db, by, ticket, 'requester', [person])


@verb(Permission.TICKETS_REPLY)
async def change_visibility(
    db: AsyncSession, by: Principal, ticket: Ticket, visibility: str, *, shown: str | None = None
) -> None:
    """Private, or for everyone of the company with tickets. Raises NotAllowed for whose ticket it is not."""
    if not may_correct(by, ticket):
        raise NotAllowed(Permission.TICKETS_REPLY)
    if visibility not in set(Visibility):
        raise Wrong(visibility=_('Choose who can see it.'))
    if ticket.visibility.value == visibility:
        return
    before = ticket.visibility.value
    await not_overtaken(db, ticket, EventKind.VISIBILITY, shown, before)
    happened(db, by, ticket, EventKind.VISIBILITY, before, visibility)
    ticket.visibility, ticket.changed_at = Visibility(visibility), now()
    await db.flush()
    await record(db, 'ticket.visibility', company_id=ticket.company_id, subject=ticket.id, before=before, after=visibility)
