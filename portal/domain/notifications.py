"""What waits under a person's bell."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, Select, bindparam, literal_column, text, update
from sqlalchemy.orm import aliased
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.base import TENANT, Moment, now, uuid7

if TYPE_CHECKING:
    from portal.domain.tickets.model import Ticket

SHOWN = 12


class Notification(SQLModel, table=True):
    """A ticket event for one person."""

    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'actor_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'company_id', 'ticket_id'], ['ticket.tenant_id', 'ticket.company_id', 'ticket.id']),
        Index('notification_newest', 'tenant_id', 'user_id', text('id DESC')),
        Index('notification_unseen', 'tenant_id', 'user_id', postgresql_where=text('seen_at IS NULL')),
    )
    # whoever tells somebody else may not read their bell: no RETURNING
    __mapper_args__ = {'eager_defaults': False}
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    user_id: UUID
    company_id: UUID
    ticket_id: UUID
    actor_id: UUID
    kind: str  # new_ticket, reply, status, note; copy, requester, assigned
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    seen_at: datetime | None = Field(default=None, sa_type=Moment)


async def put_under_bells(db: AsyncSession, by: Principal, people: Sequence[UUID], kind: str, ticket: 'Ticket') -> None:
    """A line for each of them, in one statement."""
    await db.flush()
    connection = await db.connection()
    await connection.exec_driver_sql(
        """insert into notification (id, user_id, company_id, ticket_id, actor_id, kind, created_at)
           select line, person, %s, %s, %s, %s, now() from unnest(%s::uuid[], %s::uuid[]) told (line, person)""",
        (ticket.company_id, ticket.id, by.user_id, kind, [uuid7() for _person in people], list(people)),
    )


@dataclass(frozen=True, slots=True)
class Told:
    """A line under the bell."""

    kind: str
    number: int
    subject: str
    company_slug: str
    actor: str
    at: datetime
    seen: bool


async def unseen(db: AsyncSession, by: Principal) -> int:
    """How many lines are new, exact up to 100. Only of tickets the person can still see (the join goes through row security)."""
    from portal.domain.tickets.exporting import fresh

    new = (await cast(Any, db).exec(_statements()[1], params={'me': by.user_id})).all()
    return len(new) + len(await fresh(db))


async def bell(db: AsyncSession, by: Principal) -> list[Told]:
    """The newest lines, of what the person can still see."""
    from portal.domain.tickets.exporting import fresh

    rows = await cast(Any, db).exec(_statements()[0], params={'me': by.user_id})
    files = [
        Told(f'export-{e.state}', e.done, e.filename, '', '', e.ready_at or e.created_at, seen=False) for e in await fresh(db)
    ]
    return files + [Told(*row[:6], seen=row[6] is not None) for row in rows]


@cache
def _statements() -> tuple[Select[Any], Select[Any]]:
    """The lines, and those not seen. Made once: every page asks."""
    from portal.domain.people import Company, User
    from portal.domain.tickets.model import Ticket

    mine = col(Notification.user_id) == bindparam('me', type_=cast(Any, Notification.user_id).type)
    # the newest first, and only then what they are about: joined at once, all there ever were would be read
    some = select(Notification).where(mine).order_by(col(Notification.id).desc()).limit(literal_column(str(4 * SHOWN)))
    newest = aliased(Notification, some.cte('newest').prefix_with('MATERIALIZED'))
    lines: Select[Any] = (
        cast(Any, select)(newest.kind, Ticket.number, Ticket.subject, Company.slug, User.name, newest.created_at, newest.seen_at)
        .join(Ticket, col(Ticket.id) == newest.ticket_id)
        .join(Company, col(Company.id) == newest.company_id)
        .join(User, col(User.id) == newest.actor_id)
        .order_by(col(newest.id).desc()).limit(literal_column(str(SHOWN)))
    )  # fmt: skip
    unseen: Select[Any] = (
        cast(Any, select)(Notification.id)
        .join(Ticket, col(Ticket.id) == Notification.ticket_id)
        .where(mine, col(Notification.seen_at).is_(None))
        .limit(literal_column('100'))
    )
    return lines, unseen


@verb(Permission.TICKETS_SEE)
async def mark_seen(db: AsyncSession, by: Principal, ticket_id: UUID | None = None) -> None:
    """All of the person's lines are seen, or those of one ticket, which they have open: it is read."""
    from portal.domain.tickets.exporting import see_exports

    change = update(Notification).where(col(Notification.user_id) == by.user_id, col(Notification.seen_at).is_(None))
    if ticket_id:
        from portal.domain.tickets.waiting import mark_read

        change = change.where(col(Notification.ticket_id) == ticket_id)
        await mark_read(db, by, ticket_id)
    else:
        await see_exports(db)
    await db.exec(change.values(seen_at=now()))
