"""Tickets and what is said on them."""

from portal.domain.tickets.conversation import Conversation, conversation, ticket_by_number
from portal.domain.tickets.history import Overtaken
from portal.domain.tickets.lists import Counts, Cursor, Listing, Row, Where, counts, listing
from portal.domain.tickets.model import (
    Comment,
    Event,
    EventKind,
    File,
    Participant,
    Priority,
    Status,
    Ticket,
    Turn,
    Visibility,
    turn_of,
)
from portal.domain.tickets.opening import open_ticket
from portal.domain.tickets.replying import Answered, note, reply, tell_writing
from portal.domain.tickets.sharing import (
    add_participants,
    change_requester,
    change_visibility,
    leave,
    may_correct,
    may_take_out,
    remove_participant,
)
from portal.domain.tickets.waiting import change_due, mark_all_read, mark_unread
from portal.domain.tickets.working import (
    assign,
    change_category,
    change_priority,
    change_status,
    change_subject,
    close,
    reopen,
    take,
)

__all__ = [
    'Answered', 'Comment', 'Conversation', 'Counts', 'Cursor', 'Event', 'EventKind', 'File', 'Listing', 'Overtaken', 'Participant', 'Priority',
    'Row', 'Status', 'Ticket', 'Turn', 'Visibility', 'Where', 'add_participants', 'assign', 'change_category', 'change_due', 'change_priority',
    'change_requester', 'change_status', 'change_subject', 'change_visibility', 'close', 'conversation', 'counts', 'leave', 'listing',
    'mark_all_read', 'mark_unread', 'may_correct', 'may_take_out', 'note', 'open_ticket', 'remove_participant', 'reopen', 'reply', 'take', 'tell_writing', 'ticket_by_number', 'turn_of',
]  # fmt: skip
