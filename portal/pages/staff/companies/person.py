"""One person of the clients: where they belong, how to reach them, their tickets."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Column, Fact, MenuItem, Option, Row, Text
from portal.domain import phones
from portal.domain.access import Permission, Role, role_label
from portal.domain.audit import Audit
from portal.domain.base import NotFound, Wrong
from portal.domain.clients import change_client, change_email, client, disable_client, enable_client, is_only_admin, memberships
from portal.domain.people import Company, Membership, User, add_person, change_role, companies, end_membership, send_welcome
from portal.domain.sessions import sign_out_person
from portal.domain.tickets import Listing, Visibility, Where, listing
from portal.domain.tickets.private import saw_private
from portal.i18n import _, day, when
from portal.pages.screens import Here
from portal.pages.shared.people import CLIENT_ROLES, client_roles, phone_link, presence, state_of, welcomed, with_link
from portal.pages.shared.recovering import Recovering
from portal.pages.shared.tickets import first_name, turn_mark

TICKETS, LATELY = 8, 8


class PersonPage:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        try:
            self.id = UUID(here.parts['id'])
        except ValueError:
            raise NotFound from None
        self.manages = here.visit.may(Permission.COMPANIES_MANAGE)
        self.recovering = Recovering(here, self._again)
        self.signs_out = here.visit.may(Permission.PEOPLE_MANAGE) or here.visit.may(Permission.ACCESS_MANAGE)
        self.errors: dict[str, Text] = {}
        self.values = {'company': '', 'role': CLIENT_ROLES[0]}

    async def build(self) -> None:
        await self._read()
        self.here.title(self.person.name)
        self.here.set_primary(None)
        self.island = self.here.island(self._html(), self._act)
        if self.manages or self.signs_out:
            self.dialog = ui.dialog()
            self.dialog.props['aria-labelledby'] = 'about-person-title'
            with self.dialog:
                self.asking = self.here.island(Markup(''), self._act)
        if 'looked' in self.here.query:
            self.here.address(replace=True)
            self.here.say(_('You no longer look as {name}.', name=self.person.name))
        self.here.wakes(self._again, f'companies:{self.by.tenant.id}', *(f'tickets:{company.id}' for _m, company in self.places))

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.person = await client(db, self.id)
            await self.recovering.read(db, [self.id])
            self.places = await memberships(db, self.id)
            self.own_roles: dict[UUID, str] = dict(list(await db.exec(select(Role.id, Role.name))))
            self.roles = await client_roles(db, self.by)
            self.presence = (await presence(db, [self.id]))[self.id]
            self.until = (await welcomed(db, [] if self.presence.has_password else [self.id])).get(self.id)
            self.tickets: Listing = await listing(db, Where(group='all', requester_id=self.id), most=TICKETS)
            await saw_private(db, self.by.user_id, self.tickets.rows, 'list')
            self.lately = await _lately(db, self.id)
            self.only_admin = await is_only_admin(db, self.id) if self.manages else set[UUID]()
            self.signed_in_at = await _signed_in_at(db, self.id)
            there = {company.id for _m, company in self.places}
            self.others = [c for c in await companies(db) if c.id not in there] if self.manages else []

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        here, person = self.here, self.person
        return render(
            'staff/person.html', here=here, recovery=self.recovering.state(self.id), person=person, manages=self.manages, first=self.places[0][1] if self.places else None,
            head=Markup('<a class="plain" href="mailto:{0}">{0}</a>').format(person.email),
            state=state_of(person.disabled_at, self.presence, self.until), actions=self._actions(),
            places=[
                (company, self._role(m), self._place_menu(company), self.here.url(f'/people/{self.id}/access', company=company.slug))
                for m, company in self.places
            ], columns=self._columns(),
            others=[Option(company.slug, company.name) for company in self.others], values=self.values, errors=self.errors,
            draft=f'add-place:{self.id}:{self.by.user_id}', role_options=self.roles, tickets=self._tickets(), facts=self._facts(),
            lately=[Row(words, note=words_by) for words, words_by in self.lately],
            add_actions=[Action(_('Add to the company'), type='submit', kind='primary')], more=self._more(),
        )  # fmt: skip

    def _role(self, membership: Membership) -> str:
        if membership.role:
            return role_label(membership.role)
        return self.own_roles.get(membership.role_id, '') if membership.role_id else ''

    def _actions(self) -> list[Action]:
        look = [Action(_('View as {name}', name=first_name(self.person.name)), href=self.here.url(f'/view-as/{self.id}'), icon='eye')] if (
            self.by.may(Permission.VIEW_AS) and not self.person.disabled_at and any(not c.archived_at for _m, c in self.places)) else []  # fmt: skip
        if not self.manages:
            return look
        edit = Action(_('Edit'), act='ask-edit', icon='pencil')
        if self.person.disabled_at:
            return [edit, Action(_('Enable'), act='ask-enable', icon='rotate-ccw')]
        return [*look, edit]

    def _more(self) -> list[MenuItem]:
        """What is seldom done, and needs no button of its own."""
        signs_out = [MenuItem(_('Sign out everywhere'), act='ask-sign-out', icon='log-out')] if self.signs_out else []
        if not self.manages or self.person.disabled_at:
            return signs_out if not self.person.disabled_at else []
        return [
            MenuItem(_('Change the e-mail address'), act='ask-email', icon='mail'),
            *self.recovering.actions(self.id),
            *signs_out,
            MenuItem(_('Disable'), act='ask-disable', icon='circle-slash', danger=True, divided=True),
        ]

    def _columns(self) -> list[Column]:
        columns = [Column(_('Company')), Column(_('Role'))]
        return [*columns, Column(_('Actions'), unseen=True)] if self.manages else columns

    def _place_menu(self, company: Company) -> list[MenuItem]:
        menu = [
            MenuItem(_('Change the role'), act='ask-role', icon='user-round-check'),
        ]
        if not company.archived_at and not self.person.disabled_at:
            menu.append(MenuItem(_('Send the welcome letter again'), act='welcome', icon='mail'))
        return [*menu, MenuItem(_('Remove from {company}', company=company.name), act='ask-remove', icon='circle-minus',
                                danger=True, divided=True)]  # fmt: skip

    def _tickets(self) -> list[Row]:
        line = Markup('{} <span class="faint"><span class="id">T-{}</span> {}</span>').format
        return [
            Row(
                line(t.subject, t.number, _('Private') if t.visibility is Visibility.PRIVATE else ''),
                end=turn_mark(t.status, 'staff', self.by.tenant.short_name), href=self.here.url(f'/tickets/T-{t.number}'),
            )
            for t in self.tickets.rows
        ]  # fmt: skip

    def _facts(self) -> list[Fact]:
        facts: list[Fact] = []
        if self.person.phone:
            facts.append(Fact(_('Phone'), phone_link(self.person.phone)))
        facts.append(Fact(_('Password'), _('chosen') if self.presence.has_password else _('not yet')))
        facts.append(
            Fact(
                _('Last sign-in'),
                when(self.signed_in_at) if self.signed_in_at else _('not known') if self.presence.has_password else _('never'),
            )
        )
        facts.append(Fact(_('In the portal'), _('since {day}', day=day(self.person.created_at, year=True))))
        return facts

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        if await self.recovering.act(act):
            return
        match act.name:
            case 'ask-edit' | 'ask-email' | 'ask-disable' | 'ask-enable' | 'ask-sign-out':
                if act.name == 'ask-email':
                    await self.here.prove()
                self._ask(act.name)
            case 'ask-role' | 'ask-remove':
                if act.name == 'ask-role':
                    await self.here.prove()
                self._ask(act.name, self._company(act))
            case 'edit':
                await self._edit(act)
            case 'email':
                await self._change_email(act)
            case 'disable':
                await self._change(
                    lambda db: disable_client(db, self.by, self.id), _('{name} is disabled now.', name=self.person.name)
                )
            case 'enable':
                await self._change(
                    lambda db: enable_client(db, self.by, self.id), _('{name} can sign in again.', name=self.person.name)
                )
            case 'add':
                await self._add(act)
            case 'role':
                await self._change_role(act)
            case 'welcome':
                company = self._company(act)
                await self._change(lambda db: send_welcome(db, self.by, company, self.id),
                                   _('{name} gets the welcome letter again.', name=self.person.name))  # fmt: skip
            case 'remove':
                company = self._company(act)
                await self._change(lambda db: end_membership(db, self.by, company, self.id),
                                   _('{name} no longer belongs to {company}.', name=self.person.name, company=company.name))  # fmt: skip
            case 'sign-out':
                async with self.here.visit.work() as db:
                    await sign_out_person(db, self.by, self.id)
                self.dialog.close()
                self.here.say(_('{name} is signed out everywhere.', name=self.person.name))
            case 'close':
                self.dialog.close()
            case _:
                pass

    def _company(self, act: Act) -> Company:
        found = next((company for _m, company in self.places if company.slug == act.key), None)
        if found is None:
            if self.manages:
                self.dialog.close()
            raise NotFound
        return found

    def _ask(
        self, about: str, company: Company | None = None, *, values: Mapping[str, str] | None = None,
        errors: Mapping[str, Text] | None = None,
    ) -> None:  # fmt: skip
        """Once, and naming the person."""
        if about != 'ask-sign-out':
            self.by.need(Permission.COMPANIES_MANAGE)
        name, place = self.person.name, company.name if company else ''
        key = {'data-key': company.slug} if company else {}
        does, title = {
            'ask-edit': (Action(_('Save'), type='submit', kind='primary', attrs={'form': 'person-form'}), _('Edit {name}', name=name)),
            'ask-email': (Action(_('Change the e-mail address'), type='submit', kind='primary', attrs={'form': 'person-form'}),
                          _('Change the e-mail address of {name}', name=name)),
            'ask-disable': (Action(_('Disable {name}', name=name), act='disable', kind='danger'), _('Disable {name}?', name=name)),
            'ask-sign-out': (Action(_('Sign out everywhere'), act='sign-out', kind='danger'),
                             _('Sign {name} out everywhere?', name=name)),
            'ask-enable': (Action(_('Enable {name}', name=name), act='enable', kind='primary'), _('Enable {name} again?', name=name)),
            'ask-role': (Action(_('Change the role'), type='submit', kind='primary', attrs={'form': 'person-form'}),
                         _('What may {name} do?', name=name)),
            'ask-remove': (Action(_('Remove {name}', name=name), act='remove', kind='danger', attrs=key),
                           _('Remove {name} from {company}?', name=name, company=place)),
        }[about]  # fmt: skip
        role = next((m.role or str(m.role_id) for m, c in self.places if company and c.id == company.id), '')
        phone = phones.shown(self.person.phone or '')
        shown = {'name': name, 'phone': phone, 'email': self.person.email, 'role': role, **(values or {})}
        self.asking.set(render(
            'staff/about_client.html', about=about, person=self.person, company=company, title=title, values=shown, errors=errors or {},
            role_options=self.roles, actions=[Action(_('Cancel'), act='close', kind='quiet'), does],
            alone=' · '.join(c.name for _m, c in self.places if c.id in self.only_admin and company in (None, c)),
        ))  # fmt: skip
        self.dialog.open()

    async def _edit(self, act: Act) -> None:
        values = {name: act.text(name) for name in ('name', 'phone')}
        try:
            async with self.here.visit.work() as db:
                await change_client(db, self.by, self.id, **values)
        except Wrong as wrong:
            return self._ask('ask-edit', values=values, errors=wrong.fields)
        return await self._done(_('{name} is saved.', name=values['name']))

    async def _change_email(self, act: Act) -> None:
        email = act.text('email')
        try:
            async with self.here.visit.work() as db:
                await change_email(db, self.by, self.id, email)
        except Wrong as wrong:
            return self._ask('ask-email', values={'email': email}, errors=with_link(wrong, self.here))
        return await self._done(
            _('{name} signs in with the new address now. Both addresses get a letter.', name=self.person.name)
        )

    async def _add(self, act: Act) -> None:
        self.values, self.errors = {name: act.text(name) for name in ('company', 'role')}, {}
        company = next((c for c in self.others if c.slug == self.values['company']), None)
        try:
            if company is None:
                raise Wrong(company=_('Choose a company.'))
            async with self.here.visit.work() as db:
                await add_person(db, self.by, company, name=self.person.name, email=self.person.email, role=self.values['role'])
        except Wrong as wrong:
            self.errors = {**wrong.fields, 'company': wrong.fields.get('company') or wrong.fields.get('email', '')}
            self.island.set(self._html())
            return
        self.values = {'company': '', 'role': CLIENT_ROLES[0]}
        await self._done(_('{name} belongs to {company} now, and gets a letter.', name=self.person.name, company=company.name))
        self.island.forget_draft(f'add-place:{self.id}:{self.by.user_id}')

    async def _change_role(self, act: Act) -> None:
        company, role = self._company(act), act.text('role')
        try:
            async with self.here.visit.work() as db:
                await change_role(db, self.by, company, self.id, role)
        except Wrong as wrong:
            return self._ask('ask-role', company, values={'role': role}, errors=wrong.fields)
        return await self._done(_('{name} is {role} now.', name=self.person.name, role=self._words_of(role)))

    def _words_of(self, role: str) -> str:
        return next((str(option.label) for option in self.roles if option.value == role), role)

    async def _change(self, verb: Callable[[AsyncSession], Awaitable[None]], done: str) -> None:
        try:
            async with self.here.visit.work() as db:
                await verb(db)
        except Wrong as wrong:
            await self._done(' '.join(wrong.fields.values()), bad=True)
            return
        await self._done(done)

    async def _done(self, words: str, *, bad: bool = False) -> None:
        self.dialog.close()
        await self._again()
        self.here.say(words, bad=bad)


def _happened(line: Audit) -> str:
    """Words for what is told of a person; '' for what is not."""
    role = line.detail.get('role') or line.detail.get('after') or ''
    return {
        'person.added': _('Added as {role}', role=role_label(str(role))),
        'role.changed': _('Role changed to {role}', role=role_label(str(role))),
        'person.removed': _('Removed from a company'),
        'person.welcomed': _('Welcome letter sent again'),
        'person.changed': _('Name or phone changed'),
        'person.email': _('Address changed'),
        'person.disabled': _('Disabled'),
        'person.enabled': _('Enabled again'),
        'password.set': _('Chose a password'),
        'passkey.added': _('Added a passkey'),
        'passkey.removed': _('Removed a passkey'),
        'recovery.started': _('Help with a lost factor began'),
        'recovery.stopped': _('Help with a lost factor was stopped'),
        'recovery.refused': _('Help with a lost factor was stopped by them'),
        'recovery.finished': _('Replaced a lost factor'),
    }.get(line.action, '')


async def _lately(db: AsyncSession, person: UUID) -> list[tuple[str, str]]:
    """What happened to their access, newest first: what, and by whom when."""
    told = ('person.', 'role.changed', 'password.set', 'passkey.', 'recovery.')
    asked = (
        select(Audit, User.name)
        .outerjoin(User, col(User.id) == Audit.actor_id)
        .where(Audit.subject_id == person, col(Audit.action).regexp_match(f'^({"|".join(told)})'.replace('.', r'\.')))
        .order_by(col(Audit.at).desc())
        .limit(LATELY)
    )
    return [
        (words, _('{name}, {day}', name=name, day=day(line.at)) if name else day(line.at))
        for line, name in await db.exec(asked) if (words := _happened(line))
    ]  # fmt: skip


async def _signed_in_at(db: AsyncSession, person: UUID) -> datetime | None:
    asked = (
        select(Audit.at)
        .where(Audit.subject_id == person, Audit.action == 'session.opened')
        .order_by(col(Audit.at).desc())
        .limit(1)
    )
    return (await db.exec(asked)).first()


async def person(here: Here) -> None:
    await PersonPage(here).build()
