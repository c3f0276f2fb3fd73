"""Changing what is known of a company. Two people may do it at once: neither loses what they typed."""

from dataclasses import asdict

from markupsafe import Markup
from sqlmodel import select

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Option
from portal.domain.base import NotFound, Wrong
from portal.domain.companies import FIELDS, ChangedMeanwhile, Details, change_company, details
from portal.domain.people import User, company_by_slug, staff
from portal.domain.phones import shown
from portal.i18n import _
from portal.pages.screens import Here
from portal.pages.staff.companies.directory import is_slug


class EditCompany:
    def __init__(self, here: Here) -> None:
        self.here, self.slug, self.errors = here, here.parts['slug'], dict[str, str]()
        if not is_slug(self.slug):
            raise NotFound

    async def build(self) -> None:
        async with self.here.visit.work() as db:
            self.company = await company_by_slug(db, self.slug)
            self.before = self.typed = await details(db, self.company)
            self.staff = [Option(str(person.id), person.name) for person in await staff(db)]
            if self.before.manager and self.before.manager not in {option.value for option in self.staff}:
                name = (await db.exec(select(User.name).where(User.id == self.company.manager_id))).one()
                self.staff.append(Option(self.before.manager, _('{name} (disabled)', name=name)))
        self.here.title(_('Edit {company}', company=self.company.name))
        self.island = self.here.island(self._html(), self._act)

    def _html(self) -> Markup:
        here = self.here
        return render(
            'staff/edit_company.html', here=here, company=self.company, values={**asdict(self.typed), 'phone': shown(self.typed.phone)}, errors=self.errors,
            staff=self.staff, slug_changes=self.typed.slug != self.company.slug, draft=f'edit-company:{self.company.id}:{here.visit.by.user_id}',
            actions=[Action(_('Save'), type='submit', kind='primary'),
                     Action(_('Cancel'), href=here.url(f'/companies/{self.company.slug}'), kind='quiet')],
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        if act.name != 'save':
            return
        self.typed, self.errors = Details(**{field: act.text(field) for field in FIELDS}), {}
        try:
            async with self.here.visit.work() as db:
                company = await change_company(db, self.here.visit.by, self.company.id, self.before, self.typed)
        except ChangedMeanwhile as changed:
            # what only they changed is shown as it is now; what both changed is asked about once
            mine = {f: getattr(self.typed, f) for f in FIELDS if getattr(self.typed, f) != getattr(self.before, f)}
            self.before = changed.now
            self.typed, self.errors = Details(**{**asdict(changed.now), **mine}), changed.fields
            self.island.set(self._html())
            return
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        self.island.forget_draft()
        self.here.say(_('{company} is saved.', company=company.name))
        self.here.go(self.here.url(f'/companies/{company.slug}'))


async def edit_company(here: Here) -> None:
    await EditCompany(here).build()
