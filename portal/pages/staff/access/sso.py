"""Single sign-on on the screen about access: the providers, and who comes in by them only."""

from uuid import UUID

from markupsafe import Markup

from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, MenuItem, Option, OptionGroup
from portal.domain.base import NotFound, Wrong
from portal.domain.people import Company, User, companies, staff
from portal.domain.sso import Only, Provider, allow_passwords, only, providers, require_sso, unready
from portal.i18n import _, _n
from portal.pages.screens import Here

STAFF = 'staff'


def kind_words(kind: str) -> str:
    return {'microsoft': _('Microsoft 365'), 'google': _('Google')}.get(kind, _('Another provider'))


def whose_words(here: Here, provider: Provider, company: Company | None) -> str:
    if company:
        return company.name
    return _('Staff of {msp}', msp=here.visit.by.tenant.short_name) if provider.side == STAFF else _('All clients')


def state_of(provider: Provider) -> Markup:
    if not provider.enabled:
        return macro('state')(_('Off'), '', icon_name='circle-slash')
    if provider.check_problem:
        return macro('state')(_('On, with a problem'), 'bad')
    return macro('state')(_('On'), 'ok')


class SingleSignOn:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.errors: dict[str, str] = {}
        self.values = {'whose': '', 'exempt': str(self.by.user_id)}
        self.asking: list[str] | None = None  # who would be left without a way in

    async def build(self) -> None:
        await self._read()
        self.island = self.here.island(self._html(), self._act)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.providers = await providers(db)
            self.rules = await only(db)
            self.companies = await companies(db)
            self.admins = [person for person in await staff(db) if person.staff_role == 'MspAdmin']

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        add = [MenuItem(words, href=self.here.url('/access/sso/new', kind=kind)) for kind, words in (
            ('microsoft', _('Microsoft 365')), ('google', _('Google')), ('other', _('Another provider (OpenID Connect)')))]  # fmt: skip
        return render(
            'staff/access_sso.html', here=self.here, add=add, rules=[self._rule(*rule) for rule in self.rules], whose=self._whose(),
            admins=[Option(str(person.id), person.name) for person in self.admins], values=self.values, errors=self.errors,
            asking=self._asking(), actions=self._actions(),
            rows=[(p, kind_words(p.kind), whose_words(self.here, p, c), state_of(p)) for p, c in self.providers],
        )  # fmt: skip

    def _rule(self, rule: Only, company: Company | None, exempt: User | None) -> tuple[str, str, str]:
        who = company.name if company else _('Staff of {msp}', msp=self.by.tenant.short_name)
        note = _('{name} can still come in with a password', name=exempt.name) if exempt else ''
        if not self._ways(rule.company_id):
            note = _('No provider for them is on: passwords count for now')
        return str(rule.company_id or STAFF), who, note

    def _ways(self, company_id: UUID | None) -> bool:
        side = 'client' if company_id else STAFF
        return any(p.enabled and p.side == side and p.company_id in (None, company_id) for p, _company in self.providers)

    def _whose(self) -> list[Option | OptionGroup]:
        """Those for whom it could be asked for."""
        ruled = {rule.company_id for rule, _company, _exempt in self.rules}
        some: list[Option | OptionGroup] = []
        if None not in ruled and self._ways(None):
            some.append(Option(STAFF, _('Staff of {msp}', msp=self.by.tenant.short_name)))
        left = tuple(Option(str(c.id), c.name) for c in self.companies if c.id not in ruled and self._ways(c.id))
        return [*some, OptionGroup(_('Companies'), left)] if left else some

    def _asking(self) -> str:
        if not self.asking:
            return ''
        some = ', '.join(self.asking[:6])
        more = len(self.asking) - 6
        if more > 0:
            return _n('{names} and {n} other have no account there that would let them in.',
                      '{names} and {n} others have no account there that would let them in.', more, names=some)  # fmt: skip
        return _n('{names} has no account there that would let them in.', '{names} have no account there that would let them in.',
                  len(self.asking), names=some)  # fmt: skip

    def _actions(self) -> list[Action]:
        words = _('Ask for it all the same') if self.asking else _('Ask for single sign-on')
        return [Action(words, type='submit', kind='danger' if self.asking else 'primary')]

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        self.errors = {}
        match act.name:
            case 'require':
                await self._require(act)
            case 'allow':
                company_id = None if act.key == STAFF else _id(act.key or '')
                try:
                    async with self.here.visit.work() as db:
                        await allow_passwords(db, self.by, company_id)
                except Wrong as wrong:
                    self.here.say(' '.join(wrong.fields.values()), bad=True)
                    return
                await self._again()
                self.here.say(_('Passwords count again.'))
            case 'whose':
                self.values, self.asking = {name: act.text(name) for name in self.values}, None
                self.island.set(self._html())
            case _:
                pass

    async def _require(self, act: Act) -> None:
        before, self.values = (
            self.values['whose'],
            {**self.values, **{name: act.text(name) for name in ('whose', 'exempt') if name in act}},
        )
        whose = self.values['whose']
        if not whose:
            self.errors = {'whose': _('Choose for whom.')}
            return self.island.set(self._html())
        company_id = None if whose == STAFF else _id(whose)
        exempt = _id(self.values['exempt']) if company_id is None else None
        try:
            async with self.here.visit.work() as db:
                left = await unready(db, company_id)
                if left and (self.asking is None or before != whose):
                    self.asking = left
                    return self.island.set(self._html())
                await require_sso(db, self.by, company_id, exempt)
        except Wrong as wrong:
            self.errors = wrong.fields
            return self.island.set(self._html())
        self.asking, self.values = None, {**self.values, 'whose': ''}
        await self._again()
        self.here.say(_('From now on they come in by single sign-on only. Sessions opened otherwise have ended.'))


def _id(word: str) -> UUID:
    try:
        return UUID(word)
    except ValueError:
        raise NotFound from None


async def build(here: Here) -> None:
    await SingleSignOn(here).build()
