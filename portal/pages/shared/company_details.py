"""What a company says of itself, as a form: for its client admins, and for staff."""

from markupsafe import Markup
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Crumb, Option
from portal.domain.base import Wrong, uuid7
from portal.domain.particulars import CONTACTS, MOST_SITES, PLACE, MovedOn, change_own_company, change_particulars, particulars
from portal.domain.people import Company, company_by_slug, members
from portal.i18n import _
from portal.pages.screens import Here
from portal.pages.settings.tabs import head


def contact_words(kind: str) -> tuple[str, str]:
    return {
        'billing': (_('About invoices'), _('Who gets them, and whom to ask')),
        'technical': (_('About technical things'), _('Who knows the rooms and the devices')),
        'emergency': (_('In an emergency'), _('Who can open the door, also at night')),
    }[kind]


class CompanyDetails:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.sites: list[str] = []  # keys, with those that were added and not saved
        self.errors: dict[str, str] = {}

    async def build(self) -> None:
        await self._read()
        self.here.title(_('Company') if not self.by.is_staff else self.company.name)
        if not self.by.is_staff:
            self.here.island(head(self.here.visit, '/settings/company'))
        self.here.set_primary(None)
        self.island = self.here.island(self._html(), self._act)

    async def _company(self, db: AsyncSession) -> Company:
        if self.by.company:
            return await db.get_one(Company, self.by.company.id)
        return await company_by_slug(db, self.here.parts['slug'])

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.company = await self._company(db)
            self.people = [Option(str(person.id), person.name) for person in await members(db, self.company.id)]
            self.before = await particulars(db, self.company)
        self.typed = dict(self.before)
        self.sites = sorted({field.rpartition('-')[0] for field in self.before if field.startswith('site:')})

    def _html(self) -> Markup:
        staff = self.by.is_staff
        crumbs = [Crumb(_('Companies'), self.here.url('/companies')), Crumb(self.company.name, self.here.url(f'/companies/{self.company.slug}')),
                  Crumb(_('Addresses and contacts'))]  # fmt: skip
        return render(
            'shared/company_details.html', staff=staff, crumbs=crumbs, company=self.company, msp=self.by.tenant.short_name, values=self.typed,
            errors=self.errors, sites=self.sites, people=self.people, contacts=[(kind, *contact_words(kind)) for kind in CONTACTS],
            more=len(self.sites) < MOST_SITES, draft=f'company-details:{self.company.id}:{self.by.user_id}',
            actions=[Action(_('Save changes'), type='submit', kind='primary')],
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        self.typed = {field: act.text(field) for field in self._fields()}
        self.errors = {}
        match act.name:
            case 'add-site' if len(self.sites) < MOST_SITES:
                self.sites.append(f'site:{uuid7()}')
            case 'remove-site' if act.key in self.sites:
                self.typed |= {f'{act.key}-{part}': '' for part in ('name', *PLACE)}
                self.sites.remove(act.key)
            case 'save':
                return await self._save()
            case _:
                pass
        self.island.set(self._html())
        return None

    def _fields(self) -> set[str]:
        return set(self.before) | set(self.typed) | {f'{site}-{part}' for site in self.sites for part in ('name', *PLACE)}

    async def _save(self) -> None:
        try:
            async with self.here.visit.work() as db:
                if self.by.is_staff:
                    await change_particulars(db, self.by, self.company.id, self.before, self.typed)
                else:
                    await change_own_company(db, self.by, self.before, self.typed)
        except MovedOn as moved:
            # what only they changed is shown as it is now; what both changed is asked about once
            mine = {field: value for field, value in self.typed.items() if value != self.before.get(field, '')}
            self.before = moved.now
            self.typed, self.errors = {**moved.now, **mine}, moved.fields
            self.island.set(self._html())
            return
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        await self._read()
        self.island.set(self._html())
        self.island.forget_draft()
        self.here.say(_('Saved.'))


async def company_details(here: Here) -> None:
    await CompanyDetails(here).build()
