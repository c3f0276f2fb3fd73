"""A new ticket, by the person who needs something."""

from typing import Any
from uuid import UUID

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Option
from portal.domain.access import Permission
from portal.domain.base import Wrong
from portal.domain.categories import categories
from portal.domain.people import members
from portal.domain.tickets import open_ticket
from portal.domain.tickets.conversation import reaching
from portal.i18n import _
from portal.markdown import prepared, to_html
from portal.pages.screens import Here, Screen
from portal.pages.shared.files import chosen_files
from portal.pages.shared.tickets import priority_options, visibility_options


class NewTicket:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        assert self.by.company
        self.company = self.by.company
        self.values: dict[str, Any] = {
            'priority': 'normal',
            'visibility': 'company',
            'category': '',
            'subject': '',
            'text': '',
            'copy': [],
        }
        self.errors: dict[str, str] = {}
        self.preview: Any = ''
        self.files: list[UUID] = []

    async def build(self) -> None:
        self.here.title(_('New ticket'))
        self.here.set_primary(None)  # one is on it
        async with self.here.visit.work() as db:
            self.people = [p for p in await members(db, self.company.id) if p.id != self.by.user_id]
            self.categories = await categories(db)
            self.reaching = [name for person, name in await reaching(db, self.company.id) if person != self.by.user_id]
        self.island = self.here.island(self._html(), self._act)

    def _html(self) -> Any:
        return render(
            'client/new_ticket.html', here=self.here, tenant=self.by.tenant, values=self.values, errors=self.errors, preview=self.preview,
            priorities=priority_options(), visibilities=visibility_options(self.company.name, self.by.tenant.short_name, self.reaching),
            categories=[Option(str(c.id), c.name) for c in self.categories], people=[Option(str(p.id), p.name) for p in self.people], draft=f'new-ticket:{self.company.id}:{self.by.user_id}',
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        self.values = {name: act.text(name) for name in ('subject', 'priority', 'visibility', 'category')}
        self.files = chosen_files(act)
        self.values |= {'text': act.text('text'), 'copy': act.all('copy')}
        if act.name == 'preview':
            await prepared([self.values['text']])
            self.preview = to_html(self.values['text']) if self.values['text'] else ''
            self.island.set(self._html())
        elif act.name == 'send':
            await self._send()

    async def _send(self) -> None:
        self.errors = {}
        try:
            copy = [UUID(word) for word in self.values['copy']]
            category = UUID(self.values['category']) if self.values['category'] else None
        except ValueError:
            copy, category = [], None
        try:
            async with self.here.visit.work() as db:
                ticket = await open_ticket(
                    db, self.by, company_id=self.company.id, requester_id=self.by.user_id, subject=self.values['subject'],
                    text=self.values['text'], priority=self.values['priority'], visibility=self.values['visibility'], copy=copy,
                    category_id=category, files=self.files,
                )  # fmt: skip
                label = ticket.label
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        self.island.forget_draft()
        self.here.say(_('{ticket} is with {msp}.', ticket=label, msp=self.by.tenant.short_name))
        self.here.go(self.here.url(f'/tickets/{label}'))


async def new_ticket(here: Here) -> None:
    await NewTicket(here).build()


SCREENS = (Screen('/tickets/new', new_ticket, Permission.TICKETS_OPEN, 'tickets'),)
