"""Who is writing on which ticket right now. Told over NOTIFY, kept in the memory of each process for some seconds, shown to
staff alone: only their screens ask for the topic."""

import time
from uuid import UUID

STAYS = 12.0  # seconds after the last sign of it
AGAIN = 4.0  # seconds until the same person tells again that they are still writing
_until: dict[str, dict[UUID, tuple[str, float]]] = {}


def heard(payload: str) -> str | None:
    """`<ticket>:<person>:<what>` with what they write (`reply`, `note`), or nothing when they stopped; returns the ticket's id.
    None for what is not understood."""
    ticket, _sep, rest = payload.partition(':')
    person, _sep, what = rest.partition(':')
    try:
        who = UUID(person)
    except ValueError:
        return None
    if what:
        _until.setdefault(ticket, {})[who] = (what, time.monotonic() + STAYS)
    else:
        _until.get(ticket, {}).pop(who, None)
    _forget()
    return ticket


def _forget() -> None:
    """Tickets on which nobody writes any more: there may be no page of staff that asks."""
    now = time.monotonic()
    for key in [key for key, entries in _until.items() if all(ends <= now for _what, ends in entries.values())]:
        del _until[key]


def writers(ticket_id: UUID) -> dict[UUID, str]:
    """What each of them writes."""
    now, key = time.monotonic(), str(ticket_id)
    left = {who: entry for who, entry in _until.get(key, {}).items() if entry[1] > now}
    if left:
        _until[key] = left
    else:
        _until.pop(key, None)
    return {who: what for who, (what, _ends) in left.items()}
