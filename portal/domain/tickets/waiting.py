"""What waits: a ticket is unread for a person, and is due."""

from datetime import date
from typing import Any, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, TenantCard, verb
from portal.domain.base import Wrong, now
from portal.domain.tickets.history import happened, not_overtaken
from portal.domain.tickets.model import Due, EventKind, Status, Ticket, Unread
from portal.i18n import _


async def mark_read(db: AsyncSession, by: Principal, ticket_id: UUID) -> None:
    """They have it open."""
    await db.exec(delete(Unread).where(col(Unread.user_id) == by.user_id, col(Unread.ticket_id) == ticket_id))


@verb(Permission.TICKETS_SEE)
async def mark_unread(db: AsyncSession, by: Principal, ticket: Ticket) -> None:
    """To come back to it later."""
    row = insert(Unread).values(
        user_id=by.user_id, ticket_id=ticket.id, tenant_id=by.tenant.id, company_id=ticket.company_id, since=now()
    )
    await cast(Any, db).exec(row.on_conflict_do_nothing())


@verb(Permission.TICKETS_SEE)
async def mark_all_read(db: AsyncSession, by: Principal) -> None:
    """Of a client: in the company they are in."""
    await db.exec(delete(Unread).where(col(Unread.user_id) == by.user_id))


# ---------- until when ----------


def today(tenant: TenantCard) -> date:
    """Where the tenant is."""
    return now().astimezone(ZoneInfo(tenant.timezone)).date()


def parse_due(text: str) -> date | None:
    """A day as a date field sends it, or None for none. Raises Wrong."""
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise Wrong(due=_('Choose a day.')) from None
    if not 2000 <= found.year < 2100:
        raise Wrong(due=_('Choose a day.'))
    return found


async def due_of(db: AsyncSession, ticket_id: UUID) -> date | None:
    """For staff; clients cannot ask."""
    found = (await db.exec(select(Due).where(Due.ticket_id == ticket_id))).first()
    return found.due_on if found else None


@verb(Permission.TICKETS_WORK)
async def change_due(db: AsyncSession, by: Principal, ticket: Ticket, to: date | None, *, shown: str | None = None) -> None:
    """Until when it is to be done, or no day. Nothing of it is seen by clients."""
    before = await due_of(db, ticket.id)
    if before == to:
        return
    await not_overtaken(db, ticket, EventKind.DUE, shown, before.isoformat() if before else '')
    if to is None:
        await db.exec(delete(Due).where(col(Due.ticket_id) == ticket.id))
    else:
        row = insert(Due).values(ticket_id=ticket.id, tenant_id=by.tenant.id, company_id=ticket.company_id, due_on=to,
                                 is_open=ticket.status not in (Status.SOLVED, Status.CLOSED))  # fmt: skip
        await cast(Any, db).exec(row.on_conflict_do_update(index_elements=['ticket_id'], set_={'due_on': to}))
    happened(db, by, ticket, EventKind.DUE, before.isoformat() if before else None, to.isoformat() if to else None, internal=True)
    await db.flush()
