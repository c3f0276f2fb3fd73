"""One person of one's company: their role there, whether they belong to it, and what they can see and do, and why.

Of what they are elsewhere nothing is said, not even that there is an elsewhere.
"""

from uuid import UUID

from markupsafe import Markup
from nicegui import ui

from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Crumb, Fact, Option
from portal.domain.access import Permission, UserType
from portal.domain.base import NotFound, Wrong
from portal.domain.colleagues import give_role, may_change, remove
from portal.domain.explaining import AboutTicket, about_ticket, role_of_membership, tickets_seen
from portal.domain.granting import offered, roles
from portal.domain.people import Around, User, around, membership_of
from portal.domain.sessions import sign_out_person
from portal.i18n import _, day, when
from portal.pages.screens import Here
from portal.pages.shared.explained import explained, statement
from portal.pages.shared.people import phone_link, ways_words
from portal.pages.shared.recovering import Recovering


class ColleaguePage:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        assert self.by.company
        self.company = self.by.company
        try:
            self.id = UUID(here.parts['id'])
        except ValueError:
            raise NotFound from None
        self.error, self.asked = '', ''
        self.draft = f'colleague-role:{self.id}:{self.by.user_id}'
        self.recovering = Recovering(here, self._again)
        self.about: AboutTicket | None = None

    async def build(self) -> None:
        await self._read()
        self.here.title(self.person.name)
        self.here.set_primary(None)
        self.island = self.here.island(self._html(), self._act)
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = 'about-colleague-title'
        with self.dialog:
            self.asking = self.here.island(Markup(''), self._act)
        self.here.wakes(self._again, f'companies:{self.by.tenant.id}', f'tickets:{self.company.id}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            membership = await membership_of(db, self.company.id, self.id)
            self.since = membership.created_at
            self.person = await db.get_one(User, self.id)
            self.roles = await roles(db, UserType.CLIENT)
            self.role = role_of_membership(membership, self.roles)
            self.around = (await around(db, [self.id])).get(self.id, Around())
            await self.recovering.read(db, [self.id])
            self.why_not = await may_change(db, self.by, membership, self.person.name)
            reaches = bool(self.role and Permission.TICKETS_SEE_COMPANY in self.role.permissions)
            self.seen = await tickets_seen(db, self.company.id, self.id, reaches=reaches)
            if self.asked:
                self.about = await about_ticket(db, self.asked, self.id, self.person.name)

    async def _again(self) -> None:
        try:
            await self._read()
        except NotFound:  # removed meanwhile
            self.here.go(self.here.url('/settings/people'))
            return
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        here, person = self.here, self.person
        seen = (
            macro('moment')(self.around.seen_at, _('Here {when}', when=when(self.around.seen_at))) if self.around.seen_at else ''
        )
        head = Markup('<span>{}</span> <span>{}</span> <span class="faint">{}</span>').format(
            person.email, self.role.label if self.role else '', seen
        )
        return render(
            'client/person.html', here=here, draft=self.draft, person=person, company=self.company, head=head,
            crumbs=[Crumb(_('Settings'), here.url('/settings')), Crumb(_('People and roles'), here.url('/settings/people')), Crumb(person.name)],
            statement=statement(person.name, self.role, self.seen), facts=self._facts(), recovery=self.recovering.state(self.id),
            helps=[] if self.person.disabled_at else [*self.recovering.buttons(self.id), *self._signs_out()], error=self.error, why_not=self.why_not,
            options=[Option(r.key, r.label, disabled=not may) for r, may in offered(self.by, self.roles)],
            role=self.role.key if self.role else '', give=Action(_('Change the role'), type='submit'),
            remove=None if self.why_not else Action(_('Remove {name}', name=person.name), act='ask-remove', kind='danger'),
            explained=explained(person.name, self.role, self.roles, UserType.CLIENT, asked=self.asked, about=self.about,
                                note=_('Counted are the tickets that you see yourself.')),
        )  # fmt: skip

    def _signs_out(self) -> list[Action]:
        """Of others; for oneself the security screen does it."""
        if self.id == self.by.user_id:
            return []
        return [Action(_('Sign out everywhere'), act='ask-sign-out', kind='quiet', icon='log-out')]

    def _facts(self) -> list[Fact]:
        facts = [Fact(_('Phone'), phone_link(self.person.phone))] if self.person.phone else []
        return [
            *facts,
            Fact(_('Password'), _('chosen') if self.around.has_password else _('not yet')),
            Fact(_('Second factor'), ways_words(self.around.ways) or _('password only')),
            Fact(_('At {company}', company=self.company.name), _('since {day}', day=day(self.since, year=True))),
        ]

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        if await self.recovering.act(act):
            return
        match act.name:
            case 'why':
                self.asked, self.about = act.text('ticket')[:20], None
                await self._again()
            case 'role':
                await self._give(act.text('role'))
            case 'ask-remove':
                self._ask_remove()
            case 'ask-sign-out':
                self._ask_sign_out()
            case 'sign-out':
                self.dialog.close()
                async with self.here.visit.work() as db:
                    await sign_out_person(db, self.by, self.id)
                self.here.say(_('{name} is signed out everywhere.', name=self.person.name))
            case 'remove':
                await self._remove()
            case 'close':
                self.dialog.close()
            case _:
                pass

    async def _give(self, role: str) -> None:
        self.error = ''
        try:
            async with self.here.visit.work() as db:
                await give_role(db, self.by, self.id, role)
        except Wrong as wrong:
            self.error = ' '.join(wrong.fields.values())
            self.island.set(self._html())
            return
        if self.id == self.by.user_id:
            return  # the page comes anew, with what one may do now
        await self._again()
        self.island.forget_draft(self.draft)
        self.here.say(_('{name} is {role} now.', name=self.person.name, role=self.role.label if self.role else ''))

    def _ask_remove(self) -> None:
        name, company = self.person.name, self.company.name
        words = _(
            '{name} will no longer see anything of {company}; pages that are open close at once. What they wrote stays, and you can '
            'add them again.', name=name, company=company,
        )  # fmt: skip
        does = Action(_('Remove {name}', name=name), act='remove', kind='danger')
        body = Markup('<p>{}</p>').format(words)
        self._ask(_('Remove {name} from {company}?', name=name, company=company), body, does)

    def _ask_sign_out(self) -> None:
        name = self.person.name
        words = _('{name} is signed out in every browser and on every phone, also where somebody else is signed in as them. '
                  'They sign in again with what they have.', name=name)  # fmt: skip
        does = Action(_('Sign out {name}', name=name), act='sign-out', kind='danger')
        self._ask(_('Sign out {name} everywhere?', name=name), Markup('<p>{}</p>').format(words), does)

    def _ask(self, title: str, body: Markup, does: Action) -> None:
        self.asking.set(Markup('<section>{}</section>').format(
            macro('dialog_body')(title, body, [Action(_('Cancel'), act='close', kind='quiet'), does], id='about-colleague')))  # fmt: skip
        self.dialog.open()

    async def _remove(self) -> None:
        self.dialog.close()
        name = self.person.name
        try:
            async with self.here.visit.work() as db:
                await remove(db, self.by, self.id)
        except Wrong as wrong:
            self.error = ' '.join(wrong.fields.values())
            await self._again()
            return
        if self.id != self.by.user_id:
            self.here.go(self.here.url('/settings/people'))
            self.here.say(_('{name} no longer belongs to {company}.', name=name, company=self.company.name))


async def person(here: Here) -> None:
    await ColleaguePage(here).build()
