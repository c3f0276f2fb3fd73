"""What somebody has written and not sent, kept in their account, so that it is there after a reload and on another device.

A draft belongs to a place (`new-ticket`, `reply:<ticket>`) of one person, for a client in one company. Nobody else reads it.
Whoever saves says which version they began with. If another device has saved since, what it wrote is set aside, not lost.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Column, ForeignKeyConstraint, Index, UniqueConstraint, delete
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.base import TENANT, Moment, NotFound, now, uuid7
from portal.domain.tickets.model import Ticket

MOST_EARLIER = 5
NEW_TICKET = 'new-ticket'

Content = Mapping[str, str | list[str]]


class Draft(SQLModel, table=True):
    __table_args__ = (
        UniqueConstraint('tenant_id', 'user_id', 'company_id', 'place', postgresql_nulls_not_distinct=True),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        Index('draft_old', 'saved_at'),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID | None = None  # of a client; None for staff
    user_id: UUID
    place: str
    version: int = 1
    content: dict[str, Any] = Field(sa_column=Column(cast(Any, JSONB), nullable=False))  # values of the form by name
    #: {content, saved_at}, newest first: what was overwritten from elsewhere
    earlier: list[dict[str, Any]] = Field(
        default_factory=list[dict[str, Any]], sa_column=Column(cast(Any, JSONB), nullable=False)
    )
    saved_at: datetime = Field(default_factory=now, sa_type=Moment)


class Gone(Exception):
    """The draft was sent or cleared elsewhere since this version."""


def reply_to(ticket_id: UUID) -> str:
    """The place of replies and notes on a ticket."""
    return f'reply:{ticket_id}'


def needed_at(place: str) -> Permission:
    """What one has to be allowed to write there. Raises NotFound for a place that is none."""
    if place == NEW_TICKET:
        return Permission.TICKETS_OPEN
    ticket_of(place)
    return Permission.TICKETS_REPLY


def ticket_of(place: str) -> UUID | None:
    """The ticket that is written on; None for a new one. Raises NotFound for a place that is none."""
    kind, _sep, ticket = place.partition(':')
    if place == NEW_TICKET:
        return None
    try:
        found = UUID(ticket)
    except ValueError:
        raise NotFound from None
    if kind != 'reply' or str(found) != ticket:
        raise NotFound
    return found


async def draft_at(db: AsyncSession, by: Principal, place: str, *, lock: bool = False) -> Draft | None:
    query = select(Draft).where(Draft.user_id == by.user_id, Draft.place == place)
    return (await db.exec(query.with_for_update() if lock else query)).first()


@verb(Permission.TICKETS_SEE)
async def save_draft(
    db: AsyncSession, by: Principal, place: str, content: Content, *, began_with: int = 0, aside: bool = False
) -> Draft:  # fmt: skip
    """Keeps what is written now. `began_with`: the version it was made from, 0 for none; `aside` sets the text before it
    aside in any case. Raises Gone when there was a draft and it is no longer there, and NotFound for somebody else's ticket."""
    by.need(needed_at(place))
    if (ticket := ticket_of(place)) and await db.get(Ticket, ticket) is None:
        raise NotFound
    draft = await draft_at(db, by, place, lock=True)
    if draft is None:
        if began_with:
            raise Gone
        draft = Draft(company_id=by.company.id if by.company else None, user_id=by.user_id, place=place, content=dict(content))
        try:
            async with db.begin_nested():
                db.add(draft)
        except IntegrityError:  # two devices began at the same moment
            return await save_draft(db, by, place, content)
        return draft
    if draft.content == content:
        return draft
    if aside or began_with != draft.version:
        before = {'content': draft.content, 'saved_at': draft.saved_at.isoformat()}
        draft.earlier = [e for e in (before, *draft.earlier) if e['content'] not in (content, {})][:MOST_EARLIER]
    draft.content, draft.version, draft.saved_at = dict(content), draft.version + 1, now()
    await db.flush()
    return draft


@verb(Permission.TICKETS_SEE)
async def touch_draft(db: AsyncSession, by: Principal, place: str) -> None:
    """There is something at this place, also while it is only a file."""
    if await draft_at(db, by, place) is None:
        await save_draft(db, by, place, {})


@verb(Permission.TICKETS_SEE)
async def drop_earlier(db: AsyncSession, by: Principal, place: str) -> None:
    """What was set aside is not wanted."""
    if draft := await draft_at(db, by, place, lock=True):
        draft.earlier = []
        await db.flush()


@verb(Permission.TICKETS_SEE)
async def drop_draft(db: AsyncSession, by: Principal, place: str, *, began_with: int | None = None) -> None:
    """It was sent, or its text was cleared. With `began_with` only that version: not what another device wrote since."""
    mine = [col(Draft.user_id) == by.user_id, col(Draft.place) == place]
    if began_with is not None:
        mine.append(col(Draft.version) == began_with)
    await cast(Any, db).exec(delete(Draft).where(*mine))
