"""Before one looks at the portal as a client does: as whom, at which company, and why."""

from uuid import UUID

from markupsafe import Markup
from nicegui import ui

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Option
from portal.domain.access import Permission, role_label
from portal.domain.base import NotFound, Wrong
from portal.domain.clients import client, memberships
from portal.domain.viewing import begin_viewing
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.shared.tickets import first_name


class ViewAs:
    def __init__(self, here: Here) -> None:
        self.here = here
        try:
            self.id = UUID(here.parts['id'])
        except ValueError:
            raise NotFound from None
        self.errors: dict[str, str] = {}

    async def build(self) -> None:
        async with self.here.visit.work() as db:
            self.person = await client(db, self.id)
            self.places = [(m, c) for m, c in await memberships(db, self.id) if not c.archived_at]
        if self.person.disabled_at or not self.places:
            raise NotFound
        self.values = {'company': self.here.query.get('company', ''), 'reason': ''}
        if self.values['company'] not in {c.slug for _m, c in self.places}:
            self.values['company'] = self.places[0][1].slug
        self.here.title(_('View as {name}', name=self.person.name))
        self.here.set_primary(None)
        self.island = self.here.island(self._html(), self._act)

    def _html(self) -> Markup:
        name = first_name(self.person.name)
        return render(
            'staff/view_as.html', here=self.here, person=self.person, values=self.values, errors=self.errors,
            places=[Option(c.slug, c.name, role_label(m.role) if m.role else '') for m, c in self.places],
            draft=f'view-as:{self.id}:{self.here.visit.by.user_id}',
            actions=[Action(_('Look as {name}', name=name), type='submit', kind='primary', icon='eye'),
                     Action(_('Cancel'), href=self.here.url(f'/people/{self.id}'), kind='quiet')],
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        if act.name != 'look':
            return
        self.values, self.errors = {'company': act.text('company') or self.places[0][1].slug, 'reason': act.text('reason')}, {}
        company = next((c for _m, c in self.places if c.slug == self.values['company']), None)
        try:
            if company is None:
                raise Wrong(company=_('Choose a company.'))
            async with self.here.visit.work() as db:
                await begin_viewing(db, self.here.visit.by, self.id, company.id, self.values['reason'])
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        self.island.forget_draft(f'view-as:{self.id}:{self.here.visit.by.user_id}')
        ui.navigate.to(f'/client-portal/{company.slug}')


async def view_as(here: Here) -> None:
    await ViewAs(here).build()


SCREENS = (Screen('/view-as/{id}', view_as, Permission.VIEW_AS, 'companies'),)
