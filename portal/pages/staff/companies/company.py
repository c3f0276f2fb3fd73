"""One company: what waits, and its people."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlalchemy import func as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal import links
from portal.components.frame import Primary
from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Column, Fact, MenuItem, Row, Someone, Text
from portal.domain.access import Permission, Principal, Role, role_label
from portal.domain.base import NotFound, Wrong
from portal.domain.companies import archive_company, restore_company
from portal.domain.people import (
    Company,
    CompanyNote,
    Membership,
    User,
    add_person,
    change_role,
    company_by_slug,
    end_membership,
    send_welcome,
)
from portal.domain.tickets import Counts, Listing, Visibility, Where, counts, listing
from portal.domain.tickets.lists import COUNT_MOST
from portal.i18n import _, _m, _mn, _n, capped, day, spelled, when
from portal.markdown import to_text
from portal.pages.screens import Here
from portal.pages.shared.people import (
    CLIENT_ROLES,
    PersonRow,
    Presence,
    phone_link,
    presence,
    role_options,
    state_of,
    with_link,
)
from portal.pages.shared.tickets import first_name, turn_mark
from portal.pages.staff.companies.directory import is_slug
from portal.pages.staff.companies.room import Room

TICKETS, LATELY, ALL = 8, 5, 50


def exactly(n: int) -> str:
    """Counts are exact up to COUNT_MOST."""
    return capped(n, COUNT_MOST - 1)


def in_words(n: int) -> str:
    """At the beginning of a sentence."""
    return spelled(n) if n < COUNT_MOST else exactly(n)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the company, ready to be shown."""

    id: UUID
    name: str
    email: str
    role: str  # a built-in one, or '' for one of the tenant's own
    role_words: str
    disabled_at: datetime | None
    presence: Presence


async def _people(db: AsyncSession, company: Company) -> list[Person]:
    asked = (
        select(User, Membership, Role.name)
        .join(Membership, col(Membership.user_id) == User.id)
        .outerjoin(Role, col(Role.id) == Membership.role_id)
        .where(Membership.company_id == company.id, col(Membership.ended_at).is_(None))
        .order_by(col(User.disabled_at).is_not(None), sql.lower(User.name), col(User.id))
    )
    rows = list(await db.exec(asked))
    here = await presence(db, [user.id for user, _m, _own in rows])
    return [
        Person(user.id, user.name, user.email, m.role or '', role_label(m.role) if m.role else own or '', user.disabled_at,
               here.get(user.id, Presence()))
        for user, m, own in rows
    ]  # fmt: skip


class CompanyPage:
    def __init__(self, here: Here) -> None:
        self.here, self.by, self.slug = here, here.visit.by, here.parts['slug']
        if not is_slug(self.slug):
            raise NotFound
        self.manages = here.visit.may(Permission.COMPANIES_MANAGE)
        self.errors: dict[str, Text] = {}
        self.values = self._nothing_typed()

    @staticmethod
    def _nothing_typed() -> dict[str, str]:
        return {'name': '', 'email': '', 'role': CLIENT_ROLES[0]}

    async def build(self) -> None:
        await self._read()
        self.here.title(self.company.name)
        if self.company.slug != self.slug:  # an address it had before
            self.slug = self.company.slug
            self.here.path = f'/companies/{self.slug}'
            self.here.address(replace=True)
        self._show_primary()
        self.island = self.here.island(self._html(), self._act)
        if self.manages:
            await Room(self.here, self.slug).build()
            self.dialog = ui.dialog()
            self.dialog.props['aria-labelledby'] = 'about-person-title'
            with self.dialog:
                self.asking = self.here.island(Markup(''), self._act)
        self.here.wakes(self._again, f'companies:{self.by.tenant.id}', f'tickets:{self.company.id}')

    def _show_primary(self) -> None:
        may = self.here.visit.may(Permission.TICKETS_OPEN) and self.people and not self.company.archived_at
        new = Primary(_('New ticket'), href=self.here.url('/tickets/new', company=self.slug), icon='plus')
        self.here.set_primary(new if may else None)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.company = await company_by_slug(db, self.slug)
            self.people = await _people(db, self.company)
            self.counts: Counts = await counts(db, self.by.user_id, staff=True, company_id=self.company.id)
            archived = self.company.archived_at is not None
            some = Where(group='all' if archived else 'open', company_id=self.company.id, sort='-changed' if archived else 'turn')
            self.tickets: Listing = await listing(db, some, most=ALL if archived else TICKETS)
            self.lately: Listing = await listing(db, Where(group='all', company_id=self.company.id), most=LATELY)
            self.note = await db.get(CompanyNote, self.company.id)
            ids = {self.company.manager_id, self.note.author_id if self.note else None} - {None}
            found = await db.exec(select(User.id, User.name).where(col(User.id).in_(ids))) if ids else ()
            self.names: dict[UUID, str] = dict(list(found))

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        here, n = self.here, self.counts
        return render(
            'staff/company.html', here=here, company=self.company, head=self._head(), head_actions=self._head_actions(),
            restore=Action(_('Bring it back'), act='ask-restore') if self.manages else None, statement=self._statement(), counts=n,
            tickets=self._tickets(), lately=[] if self.company.archived_at else self._lately(), note=self._note(),
            note_by=self._note_by(), reach=self._reach(), manager=self._manager(),
            people=[self._row(person) for person in self.people], columns=self._columns(), manages=self.manages,
            open_words=_('{n} open', n=exactly(n.open)),
            ours_words=_n('{count} waits for us', '{count} wait for us', n.theirs, count=exactly(n.theirs)),
            all_href=here.url('/tickets', company=self.slug), closed_href=here.url('/tickets', view='closed', company=self.slug),
            facts=self._facts(), portal_href=self._portal_href(), role_options=role_options(), values=self.values,
            errors=self.errors, draft=self._draft, roles=[Row(option.label, note=option.hint) for option in role_options()],
            add_actions=[Action(_('Add and write to them'), type='submit', kind='primary')],
        )  # fmt: skip

    def _head(self) -> str:
        parts = [' '.join(filter(None, (self.company.postal_code, self.company.city)))]
        return ' · '.join(filter(None, [*parts, _('In the portal since {day}', day=day(self.company.created_at, year=True))]))

    def _head_actions(self) -> list[Action]:
        if not self.manages:
            return []
        edit = Action(_('Edit'), href=self.here.url(f'/companies/{self.slug}/edit'), icon='pencil')
        return (
            [edit] if self.company.archived_at else [edit, Action(_('Archive'), act='ask-archive', kind='quiet', icon='archive')]
        )

    def _note(self) -> Markup | None:
        return Markup('<p class="pre-line">{}</p>').format(self.note.body) if self.note else None

    def _note_by(self) -> str:
        if not self.note:
            return ''
        return _('{name}, {day}', name=self.names.get(self.note.author_id, ''), day=day(self.note.changed_at))

    def _manager(self) -> Someone | None:
        name = self.names.get(self.company.manager_id) if self.company.manager_id else None
        return Someone(name, msp=True) if name else None

    def _reach(self) -> list[Fact]:
        c, facts = self.company, list[Fact]()
        if c.phone:
            facts.append(Fact(_('Phone'), phone_link(c.phone)))
        if c.website:
            words = c.website.partition('://')[2].rstrip('/')
            facts.append(
                Fact(
                    _('Website'),
                    Markup('<a class="plain" href="{}" target="_blank" rel="noopener noreferrer">{}</a>').format(
                        c.website, words
                    ),
                )
            )
        place = [c.street, ' '.join(filter(None, (c.postal_code, c.city))), c.country]
        if any(place):
            facts.append(Fact(_('Address'), Markup('<br>').join(part for part in place if part)))
        return facts

    def _lately(self) -> list[Row]:
        return [
            Row(
                _m('<b>{name}</b> in <a class="plain" href="{href}">T-{number}</a>: {words}', name=first_name(r.last_by or r.requester),
                   href=self.here.url(f'/tickets/T-{r.number}'), number=r.number,
                   words=_('a private ticket') if r.visibility is Visibility.PRIVATE else to_text(r.last_word or r.subject, 110)),
                lead=when(r.changed_at),
            )
            for r in self.lately.rows
        ]  # fmt: skip

    @property
    def _draft(self) -> str:
        return f'add-person:{self.company.id}:{self.by.user_id}'

    def _statement(self) -> Markup:
        """What waits, for whom; the company's name stands above already."""
        n, href = self.counts, self.here.url('/tickets', company=self.slug)
        if not self.people and not n.open:
            return _m('Nobody can come in yet.')
        parts: list[Markup] = []
        if n.theirs:
            parts.append(_mn(
                '<a href="{href}">{count} ticket</a> waits for us.', '<a href="{href}">{count} tickets</a> wait for us.', n.theirs,
                count=in_words(n.theirs), href=href,
            ))  # fmt: skip
        if n.mine:
            parts.append(_mn('<b>{count}</b> waits for them.', '<b>{count}</b> wait for them.', n.mine, count=in_words(n.mine)))
        if n.away and not parts:
            parts.append(_mn('<b>{count} ticket</b> is with a supplier.', '<b>{count} tickets</b> are with a supplier.', n.away,
                             count=in_words(n.away)))  # fmt: skip
        return Markup(' ').join(parts) if parts else _m('Nothing is open.')

    def _tickets(self) -> list[Row]:
        """As everywhere: what, its number, whose turn."""
        lock = macro('icon')('lock', small=True, label=_('Private'))
        line = Markup('{} <span class="faint"><span class="id">T-{}</span> {}</span>').format
        return [
            Row(
                line(t.subject, t.number, lock if t.visibility is Visibility.PRIVATE else ''),
                end=turn_mark(t.status, 'staff', self.by.tenant.short_name), href=self.here.url(f'/tickets/T-{t.number}'),
            )
            for t in self.tickets.rows
        ]  # fmt: skip

    def _columns(self) -> list[Column]:
        columns = [Column(_('Person')), Column(_('Role')), Column(_('Last here'))]
        return [*columns, Column(_('Actions'), unseen=True)] if self.manages else columns

    def _row(self, person: Person) -> PersonRow:
        return PersonRow(
            person.id, person.name, person.email, person.role_words, state_of(person.disabled_at, person.presence),
            menu=self._menu(person) if self.manages else (), href=self.here.url(f'/people/{person.id}'),
        )  # fmt: skip

    def _menu(self, person: Person) -> tuple[MenuItem, ...]:
        welcome = MenuItem(_('Send the welcome letter again'), act='welcome', icon='mail')
        return (
            MenuItem(_('Change the role'), act='ask-role', icon='user-round-check'),
            *(() if person.disabled_at or self.company.archived_at else (welcome,)),
            MenuItem(_('Remove from {company}', company=self.company.name), act='ask-remove', icon='circle-minus', danger=True,
                     divided=True),
        )  # fmt: skip

    def _facts(self) -> list[Fact]:
        facts = [Fact(_('Short name'), self.company.slug)]
        if self.company.outside_ref:
            facts.append(Fact(_('Your reference'), self.company.outside_ref))
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
            case 'ask-archive' | 'ask-restore':
                self._ask_company(act.name)
            case 'archive':
                await self._change_company(archive_company)
                self.here.say(_('{company} is archived.', company=self.company.name))
            case 'restore':
                await self._change_company(restore_company)
                self.here.say(_('{company} is back.', company=self.company.name))
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
                person = await add_person(
                    db, self.by, company, name=self.values['name'], email=self.values['email'], role=self.values['role']
                )
        except Wrong as wrong:
            self.errors = with_link(wrong, self.here)
            self.island.set(self._html())
            return
        self.values = self._nothing_typed()
        await self._again()
        self.island.forget_draft(self._draft)
        self.here.say(_('{name} belongs to {company} now, and gets a letter.', name=person.name, company=self.company.name))

    def _person(self, act: Act) -> Person:
        """Of the row something was done to; raises NotFound."""
        person = next((p for p in self.people if str(p.id) == act.key), None)
        if person is None:
            if self.manages:
                self.dialog.close()  # it asked about somebody who is gone
            raise NotFound
        return person

    def _ask(self, about: str, person: Person, *, role: str = '', error: str = '') -> None:
        """Once, and naming the person."""
        self.by.need(Permission.COMPANIES_MANAGE)  # the verb says so, too; without it there is no dialog to open
        keep = Action(_('Cancel'), act='close', kind='quiet')
        if about == 'ask-role':
            does = Action(_('Change the role'), type='submit', kind='primary', attrs={'form': 'role-form'})
            title = _('What may {name} do?', name=person.name)
        else:
            does = Action(_('Remove {name}', name=person.name), act='remove', kind='danger', attrs={'data-key': str(person.id)})
            title = _('Remove {name} from {company}?', name=person.name, company=self.company.name)
        self.asking.set(render(
            'staff/about_person.html', about=about, person=person, company=self.company, title=title, actions=[keep, does],
            role_options=role_options(), role=role or person.role, error=error, alone=self._only_admin(person),
        ))  # fmt: skip
        self.dialog.open()

    def _only_admin(self, person: Person) -> bool:
        admins = {p.id for p in self.people if p.role == 'ClientAdmin' and not p.disabled_at}
        return admins == {person.id}

    def _ask_company(self, about: str) -> None:
        self.by.need(Permission.COMPANIES_MANAGE)
        name = self.company.name
        does, title = {
            'ask-archive': (Action(_('Archive {company}', company=name), act='archive', kind='danger'), _('Archive {company}?', company=name)),
            'ask-restore': (Action(_('Bring {company} back', company=name), act='restore', kind='primary'), _('Bring {company} back?', company=name)),
        }[about]  # fmt: skip
        self.asking.set(render(
            'staff/about_company.html', about=about, title=title, actions=[Action(_('Cancel'), act='close', kind='quiet'), does],
            people=sum(not person.disabled_at for person in self.people), open=self.counts.open,
        ))  # fmt: skip
        self.dialog.open()

    async def _change_company(self, verb: Callable[[AsyncSession, Principal, UUID], Awaitable[None]]) -> None:
        async with self.here.visit.work() as db:
            await verb(db, self.by, self.company.id)
        self.dialog.close()
        await self._again()
        self._show_primary()

    async def _change_role(self, act: Act) -> None:
        person, role = self._person(act), act.text('role')
        try:
            await self._change(person, lambda db, company: change_role(db, self.by, company, person.id, role))
        except Wrong as wrong:
            self._ask('ask-role', person, role=role, error=wrong.fields.get('role', ''))
            return
        self.here.say(_('{name} is {role} now.', name=person.name, role=role_label(role)))

    async def _change(self, person: Person, verb: Callable[[AsyncSession, Company], Awaitable[None]]) -> None:
        async with self.here.visit.work() as db:
            await verb(db, await company_by_slug(db, self.slug))
        if self.manages:
            await Room(self.here, self.slug).build()
            self.dialog.close()
        await self._again()


async def company(here: Here) -> None:
    await CompanyPage(here).build()
