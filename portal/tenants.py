"""The tenant of a host name. Asked for every page, so remembered for a few seconds."""

import time
from urllib.parse import urlsplit
from uuid import UUID

from portal import visit
from portal.domain.access import TenantCard
from portal.settings import Settings

REMEMBERED = 5.0  # seconds
_MOST = 200
_known: dict[str, tuple[float, TenantCard | None]] = {}


async def tenant_at(host: str, settings: Settings) -> TenantCard | None:
    """By the Host header (port left out): the tenant of this host, else the default one; None while there is none at all."""
    name = host.rsplit(':', 1)[0].lower() if not host.endswith(']') else host.lower()
    at, card = _known.get(name, (0.0, None))
    if card is None or time.monotonic() - at > REMEMBERED:
        row = await visit.database.ask('select app.tenant_for(:host, :default)', host=name[:255], default=settings.tenant)
        card = visit.tenant_card(row[0]) if row and row[0] else None
        if len(_known) >= _MOST:
            _known.clear()
        _known[name] = (time.monotonic(), card)
    return card


async def taken(settings: Settings, but: UUID) -> set[str]:
    """Where the tenant answers to which the portal's own address leads, if it is another."""
    ours = urlsplit(settings.origin).hostname or ''
    there = await tenant_at(ours, settings)
    return {name for name in (ours, settings.tenant) if name} if there and there.id != but else set()


def forget() -> None:
    """A tenant was made or changed."""
    _known.clear()
