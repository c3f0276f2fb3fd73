"""Who needs a second factor, and from when; who has none yet; and how long somebody waits who has lost theirs."""

from datetime import date
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlmodel import select

from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Option, OptionGroup, Row, Text
from portal.domain.access import BUILT_IN, Role, UserType, role_label
from portal.domain.base import NotFound, Wrong, now
from portal.domain.people import Company, Tenant, companies
from portal.domain.policy import HOURS, Bound, FactorRule, add_rule, bound, change_recovery_hours, remove_rule, rules
from portal.domain.recovery import UnderWay, under_way
from portal.i18n import _, _n, day
from portal.pages.screens import Here

SHOWN = 12
NOTHING = {'who': 'client', 'company': '', 'from_on': '', 'grace_days': '7', 'sso_counts': 'on'}


class Factors:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.values, self.errors = dict(NOTHING), dict[str, str]()
        self.all_shown = False

    async def build(self) -> None:
        await self._read()
        self.values['recovery_hours'] = str(self.hours)
        self.island = self.here.island(self._html(), self._act)
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = 'about-rule-title'
        with self.dialog:
            self.asking = self.here.island(Markup(''), self._act)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.rules = await rules(db)
            self.bound: list[Bound] = await bound(db)
            self.companies: list[Company] = await companies(db)
            self.roles = list(await db.exec(select(Role).order_by(Role.name)))
            self.hours = (await db.get_one(Tenant, self.by.tenant.id)).recovery_hours
            self.helped: dict[UUID, UnderWay] = await under_way(db)

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        lacking = [one for one in self.bound if not one.has_factor]
        return render(
            'staff/access_factors.html', rules=[(rule.id, *self._rule(rule, company, own)) for rule, company, own in self.rules],
            total=len(self.bound), lacking=len(lacking),
            people=[self._person(one) for one in (lacking if self.all_shown else lacking[:SHOWN])],
            more=0 if self.all_shown else max(0, len(lacking) - SHOWN), values=self.values, errors=self.errors, whos=self._whos(),
            companies=[Option(str(company.id), company.name) for company in self.companies], today=now().date().isoformat(),
            opened=not self.rules or bool(self.errors.keys() - {'recovery_hours'}), hours=HOURS,
        )  # fmt: skip

    def _rule(self, rule: FactorRule, company: Company | None, own: str) -> tuple[Text, str]:
        role = role_label(rule.role) if rule.role else own
        if rule.user_type == UserType.INTERNAL.value:
            who = _('Staff: {role}', role=role) if role else _('All staff')
        elif company:
            who = (
                _('{company}: {role}', company=company.name, role=role)
                if role
                else _('Everybody at {company}', company=company.name)
            )
        else:
            who = _('Clients: {role}', role=role) if role else _('All clients')
        begins = _('since {day}') if rule.from_on <= now().date() else _('from {day}')
        parts = [begins.replace('{day}', day(rule.from_on, year=True))]
        if rule.grace_days:
            parts.append(_n('who comes later has {n} day', 'who comes later has {n} days', rule.grace_days))
        parts.append(_('the company account is enough') if rule.sso_counts else _('also with the company account'))
        return who, ' · '.join(parts)

    def _whos(self) -> list[OptionGroup]:
        groups: list[OptionGroup] = []
        for kind, label, everybody in (('client', _('Clients'), _('All clients')), ('internal', _('Staff'), _('All staff'))):
            built_in = [
                Option(f'{kind}:{name}', role_label(name)) for name, role in BUILT_IN.items() if role.user_type.value == kind
            ]
            own = [Option(f'{kind}:{role.id}', role.name) for role in self.roles if role.user_type == kind]
            groups.append(OptionGroup(label, (Option(kind, everybody), *built_in, *own)))
        return groups

    def _person(self, one: Bound) -> Row:
        href = self.here.url(f'/people/{one.user_id}') if one.user_type == UserType.CLIENT.value else ''
        if helped := self.helped.get(one.user_id):
            words = _('is being helped since {day}', day=day(helped.started_at))
        elif one.due_at <= now():
            words = _('must set one up to come in')
        else:
            words = _('until {day}', day=day(one.due_at))
        kind = 'bad' if one.due_at <= now() else 'wait'
        return Row(one.name, end=macro('state')(words, kind=kind), href=href)

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'add-rule':
                await self._add(act)
            case 'ask-remove-rule':
                self._ask(act)
            case 'remove-rule':
                self.dialog.close()
                async with self.here.visit.work() as db:
                    await remove_rule(db, self.by, self._id(act))
                await self._again()
                self.here.say(_('The rule is removed.'))
            case 'recovery-hours':
                await self._hours(act)
            case 'all-lacking':
                self.all_shown = True
                await self._again()
            case 'close':
                self.dialog.close()
            case _:
                pass

    def _id(self, act: Act) -> UUID:
        try:
            return UUID(act.key or '')
        except ValueError:
            raise NotFound from None

    async def _add(self, act: Act) -> None:
        self.values |= {name: act.text(name) for name in NOTHING}
        self.errors = {}
        user_type, _colon, role = self.values['who'].partition(':')
        grace = self.values['grace_days']
        try:
            company = UUID(self.values['company']) if self.values['company'] else None
            async with self.here.visit.work() as db:
                await add_rule(
                    db, self.by, user_type=user_type, role=role, company_id=company, from_on=_day(self.values['from_on']),
                    grace_days=int(grace) if grace.isascii() and grace.isdigit() and len(grace) < 4 else None,
                    sso_counts=bool(self.values['sso_counts']),
                )  # fmt: skip
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        self.values |= NOTHING
        await self._again()
        self.here.say(_('The rule is there. Who needs a factor and has none gets letters before the day.'))

    def _ask(self, act: Act) -> None:
        rule = next(((r, c, own) for r, c, own in self.rules if str(r.id) == act.key), None)
        if rule is None:
            raise NotFound
        words = self._rule(*rule)[0]
        does = Action(_('Remove the rule'), act='remove-rule', kind='danger', attrs={'data-key': str(rule[0].id)})
        self.asking.set(render(
            'staff/about_rule.html', title=_('Remove “{rule}”?', rule=words), actions=[Action(_('Cancel'), act='close', kind='quiet'), does]
        ))  # fmt: skip
        self.dialog.open()

    async def _hours(self, act: Act) -> None:
        self.values['recovery_hours'] = act.text('recovery_hours')
        try:
            async with self.here.visit.work() as db:
                await change_recovery_hours(db, self.by, self.values['recovery_hours'])
            self.errors = {}
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        await self._again()
        self.here.say(_('Saved.'))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


async def build(here: Here) -> None:
    await Factors(here).build()
