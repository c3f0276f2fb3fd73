"""Pages that show the same ticket from the same side: what one of them reads is shown by all whose people may see it.

A comment on a ticket that two hundred pages show is so read once, and rendered once for each language and time zone. Who may
see it is asked of the database in the same transaction, for the session of every page (`app.look`).
"""

from collections import defaultdict
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING

from markupsafe import Markup

from portal.domain.people import User
from portal.domain.tickets import Conversation, Visibility
from portal.domain.tickets.conversation import Seer
from portal.i18n import Voice

if TYPE_CHECKING:
    from portal.pages.shared.ticket_page import TicketPage

_seated: dict[Hashable, set['Seat']] = defaultdict(set)


class Seat:
    """A page's place in a room, until its screen closes."""

    def __init__(self, room: Hashable, token: bytes) -> None:
        self.room, self.token = room, token
        _seated[room].add(self)

    def close(self) -> None:
        _seated[self.room].discard(self)
        if not _seated[self.room]:
            del _seated[self.room]


def sessions(room: Hashable) -> set[bytes]:
    """Of the pages in it."""
    return {seat.token for seat in _seated.get(room, ())}


@dataclass(frozen=True)
class Spoken:
    """What was said: read first, shown first, the same for everyone who sees a ticket from one side."""

    talk: Conversation
    _said: dict[tuple[Voice, bool], Markup] = field(default_factory=dict[tuple[Voice, bool], Markup])

    def said(self, page: 'TicketPage') -> Markup:
        """The conversation as this page shows it."""
        key = (page.by.voice, page.only_said)
        if key not in self._said:
            self._said[key] = page.render_said()
        return self._said[key]

    @cached_property
    def about(self) -> str:
        """What of it is shown around the conversation: the same as before, nothing there need be shown anew."""
        talk = self.talk
        return repr((
            talk.ticket.model_dump(exclude={'last_comment_id', 'changed_at'}), (talk.company.name, talk.company.slug), sorted(talk.participants),
            [file.id for file in talk.files], sorted((id_, user.name, user.user_type) for id_, user in talk.people.items()),
            talk.follows, [(each.id, each.name, each.archived_at) for each in talk.categories],
        ))  # fmt: skip


@dataclass(frozen=True)
class Around:
    """What else stands around it, the same for everyone on that side."""

    sight: dict[Visibility, list[Seer]]
    colleagues: list[User]
    staff: list[User] = field(default_factory=list[User])  # for staff
    due: date | None = None  # for staff

    @cached_property
    def about(self) -> str:
        people = (self.colleagues, self.staff)
        return repr((self.due, self.sight, [[(user.id, user.name) for user in some] for some in people]))
