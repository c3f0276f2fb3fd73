"""A ticket for somebody who called: requester and author differ."""

from typing import Any
from uuid import UUID

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Option
from portal.domain.access import Permission
from portal.domain.base import Wrong
from portal.domain.categories import categories
from portal.domain.people import Company, User, companies, members
from portal.domain.tickets import open_ticket, take
from portal.domain.tickets.conversation import reaching
from portal.i18n import _
from portal.markdown import prepared, to_html
from portal.pages.screens import Here, Screen
from portal.pages.shared.files import chosen_files
from portal.pages.shared.tickets import priority_options, visibility_options


class NewTicket:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.values: dict[str, Any] = {
            'company': here.query.get('company', ''), 'requester': '', 'priority': 'normal', 'visibility': 'company', 'category': '', 'subject': '',
            'text': '', 'copy': [], 'take': 'on' if here.visit.may(Permission.TICKETS_WORK) else '',
        }  # fmt: skip
        self.errors: dict[str, str] = {}
        self.preview: Any = ''
        self.files: list[UUID] = []
        self.people: list[User] = []

    async def build(self) -> None:
        self.here.title(_('New ticket'))
        self.here.set_primary(None)  # one is on it
        await self._read()
        self.island = self.here.island(self._html(), self._act)

    @property
    def company(self) -> Company | None:
        return next((c for c in self.companies if c.slug == self.values['company']), None)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.companies = await companies(db)
            self.categories = await categories(db)
            self.people = await members(db, self.company.id) if self.company else []
            self.reaching = [name for _id, name in await reaching(db, self.company.id)] if self.company else []

    def _html(self) -> Any:
        company = self.company
        return render(
            'staff/new_ticket.html', here=self.here, values=self.values, errors=self.errors, preview=self.preview,
            companies=[Option(c.slug, c.name) for c in self.companies], company=company,
            categories=[Option(str(c.id), c.name) for c in self.categories],
            people=[Option(str(p.id), p.name, p.email) for p in self.people], priorities=priority_options(),
            visibilities=visibility_options(
                company.name if company else '', self.by.tenant.short_name, self.reaching, mine=False
            ), may_take=self.here.visit.may(Permission.TICKETS_WORK),
            draft=f'new-ticket:{self.by.user_id}',
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        names = ('company', 'requester', 'subject', 'text', 'priority', 'visibility', 'category')
        self.files = chosen_files(act)
        # what the form does not show yet stays as it is; a box that is not ticked does not come along
        said = {name: act.text(name) for name in names if name in act}
        self.values = {**self.values, **said, 'take': act.text('take'), 'copy': act.all('copy')}
        if act.name == 'company':
            await self._read()
        elif act.name == 'preview':
            await prepared([self.values['text']])
            self.preview = to_html(self.values['text']) if self.values['text'] else ''
        elif act.name == 'send' and await self._send():
            return
        self.island.set(self._html())

    async def _send(self) -> bool:
        """False when something is to be put right first."""
        self.errors = {}
        await self._read()
        if self.company is None:
            self.errors = {'company': _('Choose the company first.')}
            return False
        try:
            requester = UUID(self.values['requester'])
            copy = [UUID(word) for word in self.values['copy']]
            category = UUID(self.values['category']) if self.values['category'] else None
        except ValueError:
            self.errors = {'requester': _('Choose who asked.')}
            return False
        try:
            async with self.here.visit.work() as db:
                ticket = await open_ticket(
                    db, self.by, company_id=self.company.id, requester_id=requester, subject=self.values['subject'],
                    text=self.values['text'], priority=self.values['priority'], visibility=self.values['visibility'], copy=copy,
                    category_id=category, files=self.files,
                )  # fmt: skip
                if self.values['take'] and self.here.visit.may(Permission.TICKETS_WORK):
                    await take(db, self.by, ticket)
                label = ticket.label
        except Wrong as wrong:
            self.errors = wrong.fields
            return False
        self.island.forget_draft()
        self.here.say(_('{ticket} is open.', ticket=label))
        self.here.go(self.here.url(f'/tickets/{label}'))
        return True


async def new_ticket(here: Here) -> None:
    await NewTicket(here).build()


SCREENS = (Screen('/tickets/new', new_ticket, Permission.TICKETS_OPEN, 'queue'),)
