"""What happened on a ticket: a line for each change, written in its transaction; and changes made against what is no more."""

from datetime import datetime
from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Principal
from portal.domain.tickets.model import Event, EventKind, Ticket


class Overtaken(Exception):
    """Somebody else changed it after it was shown; nothing was overwritten."""

    def __init__(self, kind: EventKind, actor_id: UUID | None, at: datetime | None) -> None:
        super().__init__(kind.value)
        self.kind, self.actor_id, self.at = kind, actor_id, at


def happened(
    db: AsyncSession, by: Principal, ticket: Ticket, kind: EventKind, before: str | None, after: str | None, *,
    internal: bool = False,
) -> None:  # fmt: skip
    """`before` and `after` are stored words or ids. An internal line is for staff alone."""
    db.add(Event(tenant_id=by.tenant.id, company_id=ticket.company_id, ticket_id=ticket.id, actor_id=by.user_id, kind=kind,
                 before=before or None, after=after or None, is_internal=internal))  # fmt: skip


async def not_overtaken(db: AsyncSession, ticket: Ticket, kind: EventKind, shown: str | None, real: str) -> None:
    """Raises Overtaken when a change was made against a value (`shown`) that is not the real one any more; None: unasked."""
    if shown is None or shown == real:
        return
    latest = select(Event).where(Event.ticket_id == ticket.id, Event.kind == kind).order_by(col(Event.id).desc()).limit(1)
    event = (await db.exec(latest)).first()
    raise Overtaken(kind, event.actor_id if event else None, event.created_at if event else None)
