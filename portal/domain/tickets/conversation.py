"""One ticket with everything that the one who asks may see of it."""

from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Integer, Uuid, bindparam
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Role, permissions_of, role_label
from portal.domain.base import NotFound
from portal.domain.categories import Category, categories
from portal.domain.people import Company, Membership, User
from portal.domain.tickets.model import Comment, Event, EventKind, File, Participant, Ticket, Visibility

MOST = 200  # entries, the newest
#: Of these events `before` and `after` are people.
OF_PEOPLE = (EventKind.ASSIGNEE, EventKind.PARTICIPANT, EventKind.REQUESTER)


@dataclass(frozen=True, slots=True)
class Conversation:
    ticket: Ticket
    company: Company
    comments: list[Comment]  # oldest first; internal ones only for staff, by row security
    events: list[Event]
    participants: list[UUID]
    files: list[File]  # oldest first; those of notes only for staff
    people: dict[UUID, User]  # everyone named in it
    follows: int | None  # number of the ticket it goes on with
    categories: list[Category]  # all, also archived ones
    earlier: bool  # there is more than was asked for

    def name(self, user_id: UUID | None) -> str:
        return self.people[user_id].name if user_id and user_id in self.people else ''

    def category(self, category_id: UUID | None) -> str:
        return next((c.name for c in self.categories if c.id == category_id), '')

    @property
    def newest(self) -> UUID | None:
        """The last comment there is for who asked."""
        return self.comments[-1].id if self.comments else None


async def ticket_by_number(db: AsyncSession, number: int, *, lock: bool = False) -> Ticket:
    """Raises NotFound for what is not there and for what is not theirs alike."""
    query = select(Ticket).where(Ticket.number == number)
    found = (await db.exec(query.with_for_update() if lock else query)).first()
    if found is None:
        raise NotFound
    return found


@cache
def _questions() -> dict[str, Any]:
    """Made once: to put a statement together takes longer than to run it."""
    of, most = bindparam('ticket', type_=Uuid()), bindparam('most', type_=Integer())
    return {
        'ticket': select(Ticket, Company)
        .join(Company, col(Company.id) == Ticket.company_id)
        .where(Ticket.number == bindparam('number', type_=Integer())),
        'comments': select(Comment).where(Comment.ticket_id == of).order_by(col(Comment.id).desc()).limit(most),
        'events': select(Event).where(Event.ticket_id == of).order_by(col(Event.id).desc()).limit(most),
        'participants': select(Participant.user_id).where(Participant.ticket_id == of),
        'files': select(File).where(File.ticket_id == of).order_by(col(File.id)),
        'people': select(User).where(col(User.id).in_(bindparam('ids', expanding=True))),
        'follows': select(Ticket.number).where(Ticket.id == of),
    }


async def conversation(db: AsyncSession, number: int, most: int = MOST) -> Conversation:
    """With the newest entries, comments and events together; raises NotFound as `ticket_by_number` does."""

    async def ask(question: str, **values: Any) -> list[Any]:
        return list(await cast(Any, db).exec(_questions()[question], params=values))

    found = await ask('ticket', number=number)
    if not found:
        raise NotFound
    ticket, company = found[0]
    comments = await ask('comments', ticket=ticket.id, most=most + 1)
    events = await ask('events', ticket=ticket.id, most=most + 1)
    entries = sorted([*comments, *events], key=lambda entry: entry.id)
    shown = {entry.id for entry in entries[-most:]}
    comments, events = [[e for e in some[::-1] if e.id in shown] for some in (comments, events)]
    participants = await ask('participants', ticket=ticket.id)
    files = await ask('files', ticket=ticket.id)
    named = {ticket.requester_id, ticket.author_id, ticket.assignee_id, *participants}
    named |= {c.author_id for c in comments} | {e.actor_id for e in events}
    named |= {UUID(word) for e in events if e.kind in OF_PEOPLE for word in (e.before, e.after) if word}
    people = {user.id: user for user in await ask('people', ids=[n for n in named if n])}
    follows = (await ask('follows', ticket=ticket.follows_id) or [None])[0] if ticket.follows_id else None
    return Conversation(
        ticket, company, comments, events, participants, files, people, follows, await categories(db, archived=True),
        earlier=len(entries) > most,
    )  # fmt: skip


async def can_see(db: AsyncSession, ticket: Ticket, client: UUID) -> bool:
    """Whether this client can see it now: the rule of `sight` for one person."""
    mine = select(Membership, Role).join(Role, col(Role.id) == Membership.role_id, isouter=True)
    own = Membership.company_id == ticket.company_id, Membership.user_id == client, col(Membership.ended_at).is_(None)
    found = (await db.exec(mine.where(*own))).first()
    if found is None:
        return False
    member, role = found
    if ticket.visibility is Visibility.COMPANY and _reaches(member, role.permissions if role else None):
        return True
    copied = select(Participant.user_id).where(Participant.ticket_id == ticket.id, Participant.user_id == client)
    return ticket.requester_id == client or (await db.exec(copied)).first() is not None


def _reaches(member: Membership, permissions: list[str] | None) -> bool:
    """Whether their role shows them every ticket of the company that is not private."""
    return Permission.TICKETS_SEE_COMPANY in permissions_of(member.role or '', permissions)


@dataclass(frozen=True, slots=True)
class Seer:
    """A client who sees a ticket, and why: `requester`, `copy` or `reach` (their role shows them all of the company's).

    `only_open`: they do as long as it is not private.
    """

    id: UUID
    name: str
    why: str
    added_by: str
    role: str
    only_open: bool


async def sight(db: AsyncSession, ticket: Ticket) -> dict[Visibility, list[Seer]]:
    """The clients who would see a ticket with either visibility, by name, as the database says it. Staff of the MSP can see every
    ticket."""
    connection = await db.connection()
    question = 'select user_id, name, why, added_by, role, own_role, only_open from app.who_sees(%s)'
    people = [
        Seer(
            row.user_id,
            row.name,
            row.why,
            row.added_by or '',
            role_label(row.role) if row.role else row.own_role or '',
            row.only_open,
        )
        for row in await connection.exec_driver_sql(question, (ticket.id,))
    ]
    return {Visibility.COMPANY: people, Visibility.PRIVATE: [person for person in people if not person.only_open]}


async def reaching(db: AsyncSession, company_id: UUID) -> list[tuple[UUID, str]]:
    """Who of a company sees all of its tickets that are not private: id and name."""
    connection = await db.connection()
    rows = await connection.exec_driver_sql('select user_id, name from app.who_reaches(%s)', (company_id,))
    return [(row.user_id, row.name) for row in rows]


async def lookers(db: AsyncSession, ticket_id: UUID, tokens: Collection[bytes]) -> set[bytes]:
    """Those of the sessions whose people may see the ticket now, on this side; what they were told of it is seen by them.

    What is read once for several open pages of one side may be shown to these, and to nobody else.
    """
    connection = await db.connection()
    rows = await connection.exec_driver_sql('select app.look(%s, %s)', (ticket_id, list(tokens)))
    return {bytes(row[0]) for row in rows}
