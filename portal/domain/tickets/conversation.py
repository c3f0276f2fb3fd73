"""One ticket with everything that the one who asks may see of it."""

from dataclasses import dataclass
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Role, UserType, permissions_of
from portal.domain.base import NotFound
from portal.domain.people import Company, Membership, User
from portal.domain.tickets.model import Comment, Event, Participant, Ticket, Visibility

MOST = 200  # the newest of each kind


@dataclass(frozen=True, slots=True)
class Conversation:
    ticket: Ticket
    company: Company
    comments: list[Comment]  # oldest first; internal ones only for staff, by row security
    events: list[Event]
    participants: list[UUID]
    people: dict[UUID, User]  # everyone named in it
    follows: int | None  # number of the ticket it goes on with
    earlier: bool  # there is more than MOST

    def name(self, user_id: UUID | None) -> str:
        return self.people[user_id].name if user_id and user_id in self.people else ''


async def ticket_by_number(db: AsyncSession, number: int, *, lock: bool = False) -> Ticket:
    """Raises NotFound for what is not there and for what is not theirs alike."""
    query = select(Ticket).where(Ticket.number == number)
    found = (await db.exec(query.with_for_update() if lock else query)).first()
    if found is None:
        raise NotFound
    return found


async def conversation(db: AsyncSession, number: int) -> Conversation:
    ticket = await ticket_by_number(db, number)
    company = await db.get_one(Company, ticket.company_id)
    said = select(Comment).where(Comment.ticket_id == ticket.id).order_by(col(Comment.id).desc()).limit(MOST + 1)
    comments = list(await db.exec(said))
    happened = select(Event).where(Event.ticket_id == ticket.id).order_by(col(Event.id).desc()).limit(MOST)
    events = list(await db.exec(happened))
    participants = list(await db.exec(select(Participant.user_id).where(Participant.ticket_id == ticket.id)))
    named = {ticket.requester_id, ticket.author_id, ticket.assignee_id, *participants}
    named |= {c.author_id for c in comments} | {e.actor_id for e in events}
    named |= {UUID(word) for e in events if e.kind in ('assignee', 'participant') for word in (e.before, e.after) if word}
    people = {u.id: u for u in await db.exec(select(User).where(col(User.id).in_([n for n in named if n])))}
    follows = None
    if ticket.follows_id:
        follows = (await db.exec(select(Ticket.number).where(Ticket.id == ticket.follows_id))).first()
    return Conversation(
        ticket, company, comments[:MOST][::-1], events[::-1], participants, people, follows, earlier=len(comments) > MOST
    )  # fmt: skip


async def who_can_see(db: AsyncSession, ticket: Ticket) -> list[User]:
    """The clients who can see a ticket now: requester and people in copy, and for a company's ticket those whose role
    reaches all of them. Staff of the MSP can see every ticket."""
    members = select(Membership).where(Membership.company_id == ticket.company_id, col(Membership.ended_at).is_(None))
    own = {role.id: role.permissions for role in await db.exec(select(Role).where(Role.user_type == UserType.CLIENT.value))}
    named = {ticket.requester_id, *await db.exec(select(Participant.user_id).where(Participant.ticket_id == ticket.id))}

    def reaches(member: Membership) -> bool:
        permissions = permissions_of(member.role or '', own.get(member.role_id) if member.role_id else None)
        return ticket.visibility is Visibility.COMPANY and Permission.TICKETS_SEE_COMPANY in permissions

    seeing = {m.user_id for m in await db.exec(members) if m.user_id in named or reaches(m)}
    found = select(User).where(col(User.id).in_(seeing), col(User.disabled_at).is_(None)).order_by(User.name)
    return list(await db.exec(found))
