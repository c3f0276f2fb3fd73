"""The client companies: all of them, a new one, and one with its people."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlalchemy import Select, exists, literal, or_, tuple_
from sqlalchemy import func as sql
from sqlmodel import col, select

from portal import links
from portal.components.frame import Primary
from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Column, Fact, MenuItem, Option, Row
from portal.domain.access import BUILT_IN, Permission, Role, UserType, role_label
from portal.domain.base import NotFound, Wrong
from portal.domain.people import (
    Company, Membership, User, add_company, add_person, change_role, company_by_slug, end_membership, send_welcome,
)  # fmt: skip
from portal.domain.tickets import Counts, Listing, Ticket, Where, counts, listing
from portal.domain.tickets.lists import COUNT_MOST
from portal.domain.tickets.model import OPEN_RANKS
from portal.i18n import _, _m, _mn, _n, capped, day, spelled
from portal.pages.screens import Here, Screen
from portal.pages.shared.tickets import turn_mark

PAGE = 50
TICKETS = 8
CLIENT_ROLES = [name for name, role in BUILT_IN.items() if role.user_type is UserType.CLIENT]


def role_hint(role: str) -> str:
    return {
        'ClientUser': _('Own tickets, and those they are in copy of'),
        'ClientBilling': _('The same, and everything about money'),
        'ClientAdmin': _('All tickets of the company, and money'),
    }.get(role, '')


def role_options() -> list[Option]:
    return [Option(role, role_label(role), role_hint(role)) for role in CLIENT_ROLES]


# ---------- all of them ----------


@dataclass(frozen=True, slots=True)
class Line:
    """A company in the list, with what waits."""

    slug: str
    name: str
    people: int
    open: int
    ours: int  # open, and the MSP acts
    theirs: int  # open, and the client acts


@dataclass(frozen=True, slots=True)
class Found:
    """A page by name. `before` and `after` are slugs: where the pages on either side begin."""

    lines: list[Line]
    total: int
    before: str = ''
    after: str = ''


def _named(words: str) -> Select[Any]:
    """Companies of these words: in their name, or in name or address of somebody there (whoever calls says theirs)."""
    query: Select[Any] = select(Company).where(col(Company.archived_at).is_(None))
    if not words:
        return query
    somebody = exists().where(
        col(Membership.company_id) == Company.id, col(Membership.ended_at).is_(None), col(Membership.user_id) == User.id,
        or_(col(User.name).icontains(words, autoescape=True), col(User.email).icontains(words, autoescape=True)),
    )  # fmt: skip
    return query.where(or_(col(Company.name).icontains(words, autoescape=True), somebody))


async def _found(db: Any, words: str, *, after: str = '', before: str = '') -> Found:
    """A place that is not there (any more) counts as the beginning."""
    edge = (await db.exec(select(Company).where(Company.slug == (after or before)))).first() if after or before else None
    backwards = bool(before and not after and edge)
    by_name = (sql.lower(Company.name), col(Company.id))
    query = _named(words)
    total = (await db.execute(select(sql.count()).select_from(query.subquery()))).scalar_one()
    if edge:
        place, key = tuple_(sql.lower(literal(edge.name)), literal(edge.id)), tuple_(*by_name)
        query = query.where(key < place if backwards else key > place)
    query = query.order_by(*(c.desc() if backwards else c for c in by_name)).limit(PAGE + 1)
    rows = list((await db.execute(query)).scalars())
    more, rows = len(rows) > PAGE, rows[:PAGE]
    if backwards:
        rows.reverse()
    lines = await _with_counts(db, rows)
    return Found(
        lines, total, before=rows[0].slug if rows and (more if backwards else edge) else '',
        after=rows[-1].slug if rows and (backwards or more) else '',
    )  # fmt: skip


async def _with_counts(db: Any, companies: list[Company]) -> list[Line]:
    ids = [c.id for c in companies]
    there = (
        select(Membership.company_id, sql.count())
        .join(User, col(User.id) == Membership.user_id)
        .where(col(Membership.company_id).in_(ids), col(Membership.ended_at).is_(None), col(User.disabled_at).is_(None))
        .group_by(col(Membership.company_id))
    )
    rank = col(Ticket.queue_rank)
    waiting = (
        select(Ticket.company_id, sql.count(), sql.count().filter(rank < 10), sql.count().filter(rank >= 20))
        # written into the statement, not bound: only then the index of open tickets serves
        .where(col(Ticket.company_id).in_(ids), rank < literal(OPEN_RANKS, literal_execute=True))
        .group_by(col(Ticket.company_id))
    )
    people = {company: n for company, n in (await db.execute(there)).all()}
    tickets = {company: numbers for company, *numbers in (await db.execute(waiting)).all()}
    return [Line(c.slug, c.name, people.get(c.id, 0), *tickets.get(c.id, (0, 0, 0))) for c in companies]


class Companies:
    def __init__(self, here: Here) -> None:
        self.here, self.manages, self.asked = here, here.visit.may(Permission.COMPANIES_MANAGE), 0

    async def build(self) -> None:
        self.here.title(_('Companies'))
        if self.manages:
            self.here.set_primary(Primary(_('New company'), href=self.here.url('/companies/new'), icon='plus'))
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        tenant = self.here.visit.by.tenant.id
        self.here.wakes(self._again, f'companies:{tenant}', f'queue:{tenant}')

    @property
    def words(self) -> str:
        return ' '.join(self.here.query.get('q', '').replace('\x00', '').split())

    async def _read(self) -> bool:
        """False if a later question overtook this answer."""
        self.asked += 1
        mine, query = self.asked, self.here.query
        async with self.here.visit.work() as db:
            found = await _found(db, self.words, after=query.get('after', ''), before=query.get('before', ''))
        if mine == self.asked:
            self.found = found
        return mine == self.asked

    async def _again(self) -> None:
        if await self._read():
            self.island.set(self._html())

    async def _act(self, act: Act) -> None:
        if act.name == 'search' and (words := act.text('q')[:200]) != self.here.query.get('q', ''):
            self.here.address(replace=True, q=words)
            await self._again()

    def _html(self) -> Markup:
        found, here, words = self.found, self.here, self.words
        new = Action(_('New company'), href=here.url('/companies/new'), kind='primary', icon='plus')
        return render(
            'staff/companies.html', here=here, query=here.query.get('q', ''), words=words,
            lines=[(line, self._turn(line)) for line in found.lines], found=found,
            columns=[Column(_('Company')), Column(_('Whose turn')), Column(_('Open tickets'), right=True), Column(_('People'), right=True)],
            before=here.url('/companies', q=words, before=found.before) if found.before else '',
            after=here.url('/companies', q=words, after=found.after) if found.after else '',
            first_step=[new] if self.manages else [], manages=self.manages,
        )  # fmt: skip

    def _turn(self, line: Line) -> Markup | str:
        mark = macro('turn')
        if line.ours:
            return mark('msp', _n('{n} waits for us', '{n} wait for us', line.ours), mine=True)
        if line.theirs:
            return mark('client', _n('{n} waits for them', '{n} wait for them', line.theirs))
        return mark('away', _('With a supplier')) if line.open else Markup('<span class="faint">{}</span>').format(_('Nothing open'))


async def companies(here: Here) -> None:
    await Companies(here).build()


# ---------- a new one ----------


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


# ---------- one of them ----------


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the company, ready to be shown."""

    id: UUID
    name: str
    email: str
    role: str  # a built-in one, or '' for one of the tenant's own
    role_words: str
    since: Any


async def _people(db: Any, company: Company) -> list[Person]:
    asked = (
        select(User, Membership, Role.name)
        .join(Membership, col(Membership.user_id) == User.id)
        .outerjoin(Role, col(Role.id) == Membership.role_id)
        .where(Membership.company_id == company.id, col(Membership.ended_at).is_(None), col(User.disabled_at).is_(None))
        .order_by(sql.lower(User.name), col(User.id))
    )
    return [
        Person(user.id, user.name, user.email, there.role or '', role_label(there.role) if there.role else own or '', there.created_at)
        for user, there, own in (await db.execute(asked)).all()
    ]


class CompanyPage:
    def __init__(self, here: Here) -> None:
        self.here, self.by, self.slug = here, here.visit.by, here.parts['slug']
        self.manages = here.visit.may(Permission.COMPANIES_MANAGE)
        self.errors: dict[str, str] = {}
        self.values = self._nothing_typed()

    @staticmethod
    def _nothing_typed() -> dict[str, str]:
        return {'name': '', 'email': '', 'role': CLIENT_ROLES[0]}

    async def build(self) -> None:
        await self._read()
        self.here.title(self.company.name)
        if self.here.visit.may(Permission.TICKETS_OPEN) and self.people:
            self.here.set_primary(Primary(_('New ticket'), href=self.here.url('/tickets/new', company=self.slug), icon='plus'))
        self.island = self.here.island(self._html(), self._act)
        if self.manages:
            self.dialog = ui.dialog()
            self.dialog.props['aria-labelledby'] = 'about-person-title'
            with self.dialog:
                self.asking = self.here.island(Markup(''), self._act)
        self.here.wakes(self._again, f'companies:{self.by.tenant.id}', f'tickets:{self.company.id}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.company = await company_by_slug(db, self.slug)
            self.people = await _people(db, self.company)
            self.counts: Counts = await counts(db, self.by.user_id, staff=True, company_id=self.company.id)
            self.tickets: Listing = await listing(db, Where(group='open', company_id=self.company.id, sort='turn'), most=TICKETS)

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        here, n = self.here, self.counts
        return render(
            'staff/company.html', here=here, company=self.company, statement=self._statement(), counts=n, manages=self.manages,
            people=[(person, self._menu(person)) for person in self.people], columns=self._columns(), tickets=self._tickets(),
            open_words=_('{n} open', n=capped(n.open, COUNT_MOST - 1)), ours_words=_('{n} wait for us', n=capped(n.theirs, COUNT_MOST - 1)),
            all_href=here.url('/tickets', company=self.slug), closed_href=here.url('/tickets', view='closed', company=self.slug),
            facts=self._facts(), portal_href=self._portal_href(), roles=[Row(o.label, note=o.hint) for o in role_options()],
            role_options=role_options(), values=self.values, errors=self.errors, draft=f'add-person:{self.company.id}:{self.by.user_id}',
            add_actions=[Action(_('Add and write to them'), type='submit', kind='primary' if not self.people else '')],
        )  # fmt: skip

    def _statement(self) -> Markup:
        """What waits, for whom; the company's name stands above already."""
        n, most, href = self.counts, COUNT_MOST - 1, self.here.url('/tickets', company=self.slug)
        if not self.people and not n.open:
            return _m('Nobody can come in yet.')
        parts: list[Markup] = []
        if n.theirs:
            parts.append(_mn('<a href="{href}">{count} ticket</a> waits for us.', '<a href="{href}">{count} tickets</a> wait for us.',
                             n.theirs, count=spelled(n.theirs) if n.theirs <= most else capped(n.theirs, most), href=href))  # fmt: skip
        if n.mine:
            parts.append(_mn('<b>{count}</b> waits for them.', '<b>{count}</b> wait for them.', n.mine,
                             count=spelled(n.mine) if n.mine <= most else capped(n.mine, most)))  # fmt: skip
        if n.away and not parts:
            parts.append(_mn('<b>{count} ticket</b> is with a supplier.', '<b>{count} tickets</b> are with a supplier.', n.away,
                             count=spelled(n.away) if n.away <= most else capped(n.away, most)))  # fmt: skip
        return Markup(' ').join(parts) if parts else _m('Nothing is open.')

    def _tickets(self) -> list[Row]:
        """As everywhere: what, its number, whose turn."""
        lock = macro('icon')('lock', small=True, label=_('Private'))
        return [
            Row(
                Markup('{} <span class="faint id">T-{}</span> {}').format(t.subject, t.number, lock if t.visibility == 'private' else ''),
                end=turn_mark(t.status, 'staff', self.by.tenant.short_name), href=self.here.url(f'/tickets/T-{t.number}'),
            )
            for t in self.tickets.rows
        ]  # fmt: skip

    def _columns(self) -> list[Column]:
        columns = [Column(_('Person')), Column(_('Role')), Column(_('Since'), right=True)]
        return [*columns, Column(_('Actions'), unseen=True)] if self.manages else columns

    def _menu(self, person: Person) -> list[MenuItem]:
        return [
            MenuItem(_('Change the role'), act='ask-role', icon='user-round-check'),
            MenuItem(_('Send the welcome letter again'), act='welcome', icon='mail'),
            MenuItem(_('Remove from {company}', company=self.company.name), act='ask-remove', icon='circle-minus', danger=True, divided=True),
        ]  # fmt: skip

    def _facts(self) -> list[Fact]:
        facts = [Fact(_('In the portal'), _('since {day}', day=day(self.company.created_at, year=True)))]
        if self.company.archived_at:
            facts.append(Fact(_('Archived'), day(self.company.archived_at, year=True)))
        if self.company.outside_ref:
            facts.append(Fact(_('Elsewhere'), self.company.outside_ref))
        return facts

    def _portal_href(self) -> str:
        """For telling them where it is. From the settings, as in letters; never from the request."""
        origin = links.origin_of(self.by.tenant.host, ui.context.client.request.state.settings)
        return f'{origin}/client-portal/{self.company.slug}'

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'add':
                await self._add(act)
            case 'ask-role' | 'ask-remove':
                self._ask(act.name, self._person(act))
            case 'welcome':
                person = self._person(act)
                await self._change(person, lambda db, company: send_welcome(db, self.by, company, person.id))
                self.here.say(_('{name} gets the welcome letter again.', name=person.name))
            case 'role':
                await self._change_role(act)
            case 'remove':
                person = self._person(act)
                await self._change(person, lambda db, company: end_membership(db, self.by, company, person.id))
                self.here.say(_('{name} no longer belongs to {company}.', name=person.name, company=self.company.name))
            case 'close':
                self.dialog.close()
            case _:
                pass

    async def _add(self, act: Act) -> None:
        self.values = {name: act.text(name) for name in ('name', 'email', 'role')}
        self.errors = {}
        try:
            async with self.here.visit.work() as db:
                company = await company_by_slug(db, self.slug)
                person = await add_person(db, self.by, company, **self.values)
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        self.values = self._nothing_typed()
        await self._again()
        self.island.forget_draft(f'add-person:{self.company.id}:{self.by.user_id}')
        self.here.say(_('{name} belongs to {company} now, and gets a letter.', name=person.name, company=self.company.name))

    def _person(self, act: Act) -> Person:
        """Of the row something was done to; raises NotFound."""
        person = next((p for p in self.people if str(p.id) == act.key), None)
        if person is None:
            raise NotFound
        return person

    def _ask(self, about: str, person: Person, *, role: str = '', error: str = '') -> None:
        """Once, and naming the person."""
        if not self.manages:  # the verb would say so, too; here there is no dialog to open
            self.by.need(Permission.COMPANIES_MANAGE)
        keep = Action(_('Cancel'), act='close', kind='quiet')
        if about == 'ask-role':
            does = Action(_('Change the role'), type='submit', kind='primary', attrs={'form': 'role-form'})
            title = _('What may {name} do?', name=person.name)
        else:
            does = Action(_('Remove {name}', name=person.name), act='remove', kind='danger', attrs={'data-key': str(person.id)})
            title = _('Remove {name} from {company}?', name=person.name, company=self.company.name)
        self.asking.set(
            render('staff/about_person.html', about=about, person=person, company=self.company, title=title, actions=[keep, does],
                   role_options=role_options(), role=role or person.role, error=error)  # fmt: skip
        )
        self.dialog.open()

    async def _change_role(self, act: Act) -> None:
        person, role = self._person(act), act.text('role')
        try:
            await self._change(person, lambda db, company: change_role(db, self.by, company, person.id, role))
        except Wrong as wrong:
            self._ask('ask-role', person, role=role, error=wrong.fields.get('role', ''))
            return
        self.here.say(_('{name} is {role} now.', name=person.name, role=role_label(role)))

    async def _change(self, person: Person, verb: Callable[[Any, Company], Awaitable[None]]) -> None:
        async with self.here.visit.work() as db:
            await verb(db, await company_by_slug(db, self.slug))
        if self.manages:
            self.dialog.close()
        await self._again()


async def company(here: Here) -> None:
    await CompanyPage(here).build()


SCREENS = (
    Screen('/companies', companies, Permission.COMPANIES_SEE, 'companies'),
    Screen('/companies/new', new_company, Permission.COMPANIES_MANAGE, 'companies'),
    Screen('/companies/{slug}', company, Permission.COMPANIES_SEE, 'companies'),
)
