"""How long sessions last: of staff, of clients, and of the people of a company that asks for less."""

from uuid import UUID

from markupsafe import Markup

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Option
from portal.domain.base import NotFound, Wrong
from portal.domain.limits import (
    IDLE_MINUTES,
    PAIRS,
    SESSION_HOURS,
    SessionLimit,
    change_limits,
    limit_company,
    limits,
    unlimit_company,
)
from portal.domain.people import Company, Tenant, companies
from portal.i18n import _, _n
from portal.pages.screens import Here

FIELDS = tuple(name for pair in PAIRS for name in pair)
NOTHING = {'company': '', 'company_idle': '', 'company_hours': ''}


class Limits:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.errors: dict[str, str] = {}
        self.added = dict(NOTHING)

    async def build(self) -> None:
        await self._read()
        self.island = self.here.island(self._html(), self._act)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            tenant = await db.get_one(Tenant, self.by.tenant.id)
            self.rules = await limits(db)
            self.companies = await companies(db)
        self.saved = {name: str(getattr(tenant, name)) for name in FIELDS}
        self.values = dict(self.saved)

    def _html(self) -> Markup:
        ruled = {company.id for company, _rule in self.rules}
        return render(
            'staff/access_limits.html', user=self.by.user_id, values=self.values, errors=self.errors, added=self.added, idle=IDLE_MINUTES, hours=SESSION_HOURS,
            rules=[(company.id, company.name, self._words(rule)) for company, rule in self.rules],
            companies=[Option(str(company.id), company.name) for company in self._without(ruled)],
            opened=bool(self.errors.keys() & NOTHING.keys()),
            actions=[Action(_('Save changes'), type='submit', kind='primary')],
            add_actions=[Action(_('Add the rule'), type='submit', kind='primary')],
        )  # fmt: skip

    def _without(self, ruled: set[UUID]) -> list[Company]:
        return [company for company in self.companies if company.id not in ruled]

    @staticmethod
    def _words(rule: SessionLimit) -> str:
        parts: list[str] = []
        if rule.idle_minutes:
            parts.append(_n('{n} minute without use', '{n} minutes without use', rule.idle_minutes))
        if rule.session_hours:
            parts.append(_n('{n} hour in any case', '{n} hours in any case', rule.session_hours))
        return ' · '.join(parts)

    async def _act(self, act: Act) -> None:
        self.errors = {}
        try:
            match act.name:
                case 'save-limits':
                    self.values = {name: act.text(name) for name in FIELDS}
                    changed = {name: value for name, value in self.values.items() if value != self.saved[name]}
                    async with self.here.visit.work() as db:
                        await change_limits(db, self.by, **changed)
                    await self._done(_('Saved. It holds from now on, also for sessions that are open.'), 'limits')
                case 'limit-company':
                    self.added = {name: act.text(name) for name in NOTHING}
                    await self._limit()
                case 'unlimit':
                    async with self.here.visit.work() as db:
                        await unlimit_company(db, self.by, self._id(act.key or ''))
                    await self._done(_('The rule is removed.'))
                case _:
                    pass
        except Wrong as wrong:
            self.errors = {**self.errors, **wrong.fields}
            self.island.set(self._html())

    async def _limit(self) -> None:
        try:
            async with self.here.visit.work() as db:
                await limit_company(
                    db, self.by, self._id(self.added['company']), self.added['company_idle'], self.added['company_hours']
                )
        except NotFound:
            raise Wrong(company=_('Choose a company.')) from None
        except Wrong as wrong:
            named = {'idle_minutes': 'company_idle', 'session_hours': 'company_hours'}
            raise Wrong(**{named.get(name, name): words for name, words in wrong.fields.items()}) from None
        self.added = dict(NOTHING)
        await self._done(_('The rule holds from now on.'), 'limit-company')

    @staticmethod
    def _id(word: str) -> UUID:
        try:
            return UUID(word)
        except ValueError:
            raise NotFound from None

    async def _done(self, words: str, form: str = '') -> None:
        await self._read()
        self.island.set(self._html())
        if form:
            self.island.forget_draft(f'{form}:{self.by.user_id}')
        self.here.say(words)


async def build(here: Here) -> None:
    await Limits(here).build()
