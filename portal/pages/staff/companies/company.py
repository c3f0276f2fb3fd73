"""One company: what waits, and its people."""

from collections.abc import Awaitable, Callable
from typing import Any
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
from portal.domain.base import NotFound
from portal.domain.colleagues import managers
from portal.domain.companies import archive_company, restore_company
from portal.domain.particulars import CONTACTS, CompanyAddress, CompanyContact, addresses, contacts
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
from portal.domain.reviews import Standing, standing
from portal.domain.tickets import Counts, Listing, Visibility, Where, counts, listing
from portal.domain.tickets.lists import COUNT_MOST
from portal.domain.tickets.private import saw_private
from portal.i18n import _, _m, _mn, _n, capped, day, spelled, when
from portal.markdown import to_text
from portal.pages.screens import Here
from portal.pages.shared.company_details import contact_words
from portal.pages.shared.inviting import InvitedList
from portal.pages.shared.people import (
    PersonRow,
    Presence,
    client_roles,
    phone_link,
    presence,
    state_of,
    welcomed,
)
from portal.pages.shared.people_list import PeopleList, Person
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


async def _people(db: AsyncSession, company: Company, *, manages: bool) -> list[Person]:
    asked = (
        select(User, Membership, Role.name)
        .join(Membership, col(Membership.user_id) == User.id)
        .outerjoin(Role, col(Role.id) == Membership.role_id)
        .where(Membership.company_id == company.id, col(Membership.ended_at).is_(None))
        .order_by(col(User.disabled_at).is_not(None), sql.lower(User.name), col(User.id))
    )
    rows = list(await db.exec(asked))
    here = await presence(db, [user.id for user, _m, _own in rows])
    new = [user.id for user, _m, _own in rows if not here.get(user.id, Presence()).has_password]
    until = await welcomed(db, new)
    return [
        Person(user.id, user.name, user.email, m.role or str(m.role_id), role_label(m.role) if m.role else own or '',
               state_of(user.disabled_at, here.get(user.id, Presence()), until.get(user.id),
                        again=user.name if manages and not company.archived_at else ''), active=user.disabled_at is None)
        for user, m, own in rows
    ]  # fmt: skip


class CompanyPage(PeopleList):
    template = 'staff/about_person.html'

    def __init__(self, here: Here) -> None:
        super().__init__(here, 'ClientUser')
        self.slug = here.parts['slug']
        if not is_slug(self.slug):
            raise NotFound
        self.manages, self.looks = here.visit.may(Permission.COMPANIES_MANAGE), here.visit.may(Permission.VIEW_AS)

    async def build(self) -> None:
        await self._read()
        self.draft = f'add-person:{self.company.id}:{self.by.user_id}'
        self.here.title(self.company.name)
        if self.company.slug != self.slug:  # an address it had before
            self.slug = self.company.slug
            self.here.path = f'/companies/{self.slug}'
            self.here.address(replace=True)
        self._show_primary()
        self.island = self.here.island(self._html(), self._act)
        if self.manages and not self.company.archived_at:
            await InvitedList(self.here, self.company.id).build()
        if self.manages:
            await Room(self.here, self.slug).build()
            self.build_dialog('about-person-title')
        self.here.wakes(self._again, f'companies:{self.by.tenant.id}', f'tickets:{self.company.id}')

    def _show_primary(self) -> None:
        may = self.here.visit.may(Permission.TICKETS_OPEN) and self.people and not self.company.archived_at
        new = Primary(_('New ticket'), href=self.here.url('/tickets/new', company=self.slug), icon='plus')
        self.here.set_primary(new if may else None)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.company = await company_by_slug(db, self.slug)
            self.people = await _people(db, self.company, manages=self.manages)
            self.roles = await client_roles(db, self.by)
            self.managers = await managers(db, self.company.id)
            self.counts: Counts = await counts(db, self.by.user_id, staff=True, company_id=self.company.id)
            archived = self.company.archived_at is not None
            some = Where(group='all' if archived else 'open', company_id=self.company.id, sort='-changed' if archived else 'turn')
            self.tickets: Listing = await listing(db, some, most=ALL if archived else TICKETS)
            self.lately: Listing = await listing(db, Where(group='all', company_id=self.company.id), most=LATELY)
            await saw_private(db, self.here.visit.by.user_id, (*self.tickets.rows, *self.lately.rows), 'list')
            self.note = await db.get(CompanyNote, self.company.id)
            self.places: list[CompanyAddress] = await addresses(db, self.company.id)
            self.contacts: dict[str, CompanyContact] = await contacts(db, self.company.id)
            self.review: Standing = await standing(db, self.company.id)
            theirs = {contact.user_id for contact in self.contacts.values()}
            ids = {self.company.manager_id, self.note.author_id if self.note else None, *theirs} - {None}
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
            facts=self._facts(), details_href=here.url(f'/companies/{self.slug}/details') if self.manages else '', portal_href=self._portal_href(), role_options=self.roles, values=self.values,
            errors=self.errors, draft=self.draft, roles=[Row(option.label, note=option.hint) for option in self.roles],
            add_actions=[Action(_('Add and write to them'), type='submit', kind='primary')],
            invite_href=here.url(f'/companies/{self.slug}/invite'),
        )  # fmt: skip

    def _head(self) -> str:
        parts = [' '.join(filter(None, (self.company.postal_code, self.company.city)))]
        return ' · '.join(filter(None, [*parts, _('In the portal since {day}', day=day(self.company.created_at, year=True))]))

    def _head_actions(self) -> list[Action]:
        if not self.manages:
            return []
        invite = Action(_('Invite people'), href=self.here.url(f'/companies/{self.slug}/invite'), icon='mail')
        edit = Action(_('Edit'), href=self.here.url(f'/companies/{self.slug}/edit'), icon='pencil')
        return (
            [edit]
            if self.company.archived_at
            else [invite, edit, Action(_('Archive'), act='ask-archive', kind='quiet', icon='archive')]
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
        facts += [self._place(place) for place in self.places]
        facts += [self._contact(kind, self.contacts[kind]) for kind in CONTACTS if kind in self.contacts]
        return facts

    @staticmethod
    def _place(place: CompanyAddress) -> Fact:
        lines = [place.name, place.street, ' '.join(filter(None, (place.postal_code, place.city))), place.country]
        words = _('For invoices') if place.kind == 'billing' else _('Site')
        return Fact(words, Markup('<br>').join(line for line in lines if line))

    def _contact(self, kind: str, contact: CompanyContact) -> Fact:
        if contact.user_id:
            href, name = self.here.url(f'/people/{contact.user_id}'), self.names.get(contact.user_id, '')
            return Fact(contact_words(kind)[0], Markup('<a class="plain" href="{}">{}</a>').format(href, name))
        lines = [Markup('{}').format(contact.name or '')]
        if contact.phone:
            lines.append(phone_link(contact.phone))
        if contact.email:
            lines.append(Markup('<a class="plain" href="mailto:{0}">{0}</a>').format(contact.email))
        return Fact(contact_words(kind)[0], Markup('<br>').join(lines))

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
        return [*columns, Column(_('Actions'), unseen=True)] if self.manages or self.looks else columns

    def _row(self, person: Person) -> PersonRow:
        return PersonRow(
            person.id, person.name, person.email, person.role_words, person.state,
            menu=self._menu(person), href=self.here.url(f'/people/{person.id}'),
        )  # fmt: skip

    def _menu(self, person: Person) -> tuple[MenuItem, ...]:
        look: tuple[MenuItem, ...] = ()
        if self.looks and person.active and not self.company.archived_at:
            href = self.here.url(f'/view-as/{person.id}', company=self.slug)
            look = (MenuItem(_('View as {name}', name=first_name(person.name)), href=href, icon='eye'),)
        if not self.manages:
            return look
        welcome = MenuItem(_('Send the welcome letter again'), act='welcome', icon='mail')
        return (
            *look,
            MenuItem(_('Change the role'), act='ask-role', icon='user-round-check'),
            *(() if not person.active or self.company.archived_at else (welcome,)),
            MenuItem(_('Remove from {company}', company=self.company.name), act='ask-remove', icon='circle-minus', danger=True,
                     divided=True),
        )  # fmt: skip

    def _facts(self) -> list[Fact]:
        facts = [Fact(_('Short name'), self.company.slug)]
        if self.company.outside_ref:
            facts.append(Fact(_('Your reference'), self.company.outside_ref))
        facts.append(Fact(_('People confirmed'), *self._reviewed()))
        return facts

    def _reviewed(self) -> tuple[Text, str]:
        """When a client admin last said who still works there; and that they are late."""
        known = self.review.confirmed_at
        said = _('{name}, {day}', name=self.review.confirmed_by, day=day(known, year=True)) if known else _('never yet')
        waits = self.review.open
        if waits is None:
            return said, ''
        if waits.is_overdue:
            late = _('Overdue since {day}', day=day(waits.due_at))
            return Markup('{} {}').format(said, macro('state')(late, 'bad', icon_name='triangle-alert')), ''
        return said, _('Asked again on {day}', day=day(waits.opened_at))

    def _portal_href(self) -> str:
        """For telling them where it is. From the settings, as in letters; never from the request."""
        origin = links.origin_of(self.by.tenant.host, ui.context.client.request.state.settings)
        return f'{origin}/client-portal/{self.company.slug}'

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'add':
                if person := await self._add(act, self._add_to_it):
                    said = _('{name} belongs to {company} now, and gets a letter.', name=person.name, company=self.company.name)
                    self.here.say(said)
            case 'ask-role':
                person = self._person(act)
                await self.here.prove()
                self._ask_role(person, **self._around(person))
            case 'ask-remove':
                self._ask_remove(self._person(act))
            case 'ask-archive' | 'ask-restore':
                self._ask_company(act.name)
            case 'archive':
                await self._change_company(archive_company, _('{company} is archived.', company=self.company.name))
            case 'restore':
                await self._change_company(restore_company, _('{company} is back.', company=self.company.name))
            case 'welcome':
                person = self._person(act)
                await self._change(lambda db: send_welcome(db, self.by, self.company, person.id),
                                   _('{name} gets the welcome letter again.', name=person.name))  # fmt: skip
            case 'role':
                await self._change_role(
                    act,
                    lambda db, person_id, role: change_role(db, self.by, self.company, person_id, role),
                    **self._around(self._person(act)),
                )
            case 'remove':
                person = self._person(act)
                await self._change(lambda db: end_membership(db, self.by, self.company, person.id),
                                   _('{name} no longer belongs to {company}.', name=person.name, company=self.company.name))  # fmt: skip
            case 'close' if self.manages:
                self._close()
            case _:
                pass

    async def _add_to_it(self, db: AsyncSession, values: dict[str, str]) -> User:
        company = await company_by_slug(db, self.slug)
        return await add_person(db, self.by, company, name=values['name'], email=values['email'], role=values['role'])

    def _around(self, person: Person) -> dict[str, Any]:
        """What the questions about somebody say besides."""
        return {'company': self.company, 'alone': self.managers == {person.id}}

    def _ask_remove(self, person: Person) -> None:
        does = Action(_('Remove {name}', name=person.name), act='remove', kind='danger', attrs={'data-key': str(person.id)})
        title = _('Remove {name} from {company}?', name=person.name, company=self.company.name)
        self._ask('ask-remove', title, does, person=person, **self._around(person))

    def _ask_company(self, about: str) -> None:
        name = self.company.name
        does, title = {
            'ask-archive': (Action(_('Archive {company}', company=name), act='archive', kind='danger'), _('Archive {company}?', company=name)),
            'ask-restore': (Action(_('Bring {company} back', company=name), act='restore', kind='primary'), _('Bring {company} back?', company=name)),
        }[about]  # fmt: skip
        self._ask(
            about, title, does, 'staff/about_company.html', people=sum(p.active for p in self.people), open=self.counts.open
        )

    async def _change_company(self, verb: Callable[[AsyncSession, Principal, UUID], Awaitable[None]], done: str) -> None:
        await self._change(lambda db: verb(db, self.by, self.company.id), done)
        self._show_primary()


async def company(here: Here) -> None:
    await CompanyPage(here).build()
