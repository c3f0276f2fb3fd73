"""Tickets and what is said on them."""

from portal.domain.tickets.conversation import Conversation, conversation, ticket_by_number
from portal.domain.tickets.lists import Counts, Cursor, Listing, Row, Where, counts, listing
from portal.domain.tickets.model import (
    Comment,
    Event,
    EventKind,
    Participant,
    Priority,
    Status,
    Ticket,
    Turn,
    Visibility,
    turn_of,
)
from portal.domain.tickets.opening import add_participants, open_ticket
from portal.domain.tickets.replying import note, reply
from portal.domain.tickets.working import assign, change_category, change_priority, change_status, close, reopen, take

__all__ = [
    'Comment', 'Conversation', 'Counts', 'Cursor', 'Event', 'EventKind', 'Listing', 'Participant', 'Priority', 'Row', 'Status',
    'Ticket', 'Turn', 'Visibility', 'Where', 'add_participants', 'assign', 'change_category', 'change_priority', 'change_status', 'close',
    'conversation', 'counts', 'listing', 'note', 'open_ticket', 'reopen', 'reply', 'take', 'ticket_by_number', 'turn_of',
]  # fmt: skip
