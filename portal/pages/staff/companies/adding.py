"""A new company."""

from markupsafe import Markup

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action
from portal.domain.base import Wrong
from portal.domain.people import add_company
from portal.i18n import _
from portal.pages.screens import Here


class NewCompany:
    def __init__(self, here: Here) -> None:
        self.here, self.name, self.errors = here, '', dict[str, str]()

    async def build(self) -> None:
        self.here.title(_('New company'))
        self.island = self.here.island(self._html(), self._act)

    def _html(self) -> Markup:
        here = self.here
        return render(
            'staff/new_company.html', here=here, name=self.name, errors=self.errors, draft=f'new-company:{here.visit.by.user_id}',
            actions=[Action(_('Add company'), type='submit', kind='primary'),
                     Action(_('Cancel'), href=here.url('/companies'), kind='quiet')],
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        if act.name != 'add':
            return
        self.name, self.errors = act.text('name'), {}
        try:
            async with self.here.visit.work() as db:
                company = await add_company(db, self.here.visit.by, self.name)
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        self.island.forget_draft()
        self.here.say(_('{company} is here. Now its first person.', company=company.name))
        self.here.go(self.here.url(f'/companies/{company.slug}'))


async def new_company(here: Here) -> None:
    await NewCompany(here).build()
