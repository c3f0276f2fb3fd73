"""Inviting people: one by a form, many from a list, and those who have not come yet. For a company, or the staff."""

from collections.abc import Sequence
from uuid import UUID

from markupsafe import Markup
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Column, Crumb, Option, Text
from portal.domain.access import Role, UserType, role_label
from portal.domain.base import NotFound, Wrong, now
from portal.domain.granting import roles
from portal.domain.invitations import (
    Invitation,
    Wanted,
    invite_all,
    invite_colleagues,
    invited,
    roles_to_give,
    send_again,
    send_colleague_again,
    withdraw,
    withdraw_colleague,
)
from portal.domain.inviting_many import MOST_LINES, Line, preview, read_list
from portal.domain.people import company_by_slug
from portal.i18n import LANGUAGES, _, _n, day
from portal.pages.screens import Here
from portal.pages.shared.people import in_short, role_hint, with_link


def invitation_state(invitation: Invitation) -> Markup:
    mark = macro('state')
    if invitation.declined_at:
        return mark(_('Declined {day}', day=day(invitation.declined_at)), icon_name='circle-slash')
    if invitation.expires_at <= now():
        return mark(_('Expired {day}', day=day(invitation.expires_at)), 'bad', icon_name='triangle-alert')
    return mark(_('Open until {day}', day=day(invitation.expires_at)), icon_name='mail')


class InvitedList:
    """Those who have not come yet, as an island of its own; also for other pages. `company_id` None: the staff."""

    def __init__(self, here: Here, company_id: UUID | None) -> None:
        self.here, self.by, self.company_id = here, here.visit.by, company_id

    async def build(self) -> None:
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        self.here.wakes(self.again, f'invitations:{self.company_id or self.by.tenant.id}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.rows = await invited(db, self.company_id)
            self.own_roles: dict[UUID, str] = dict(list(await db.exec(select(Role.id, Role.name))))

    async def again(self) -> None:
        await self._read()
        self.island.set(self._html())

    def _html(self) -> Markup:
        return render(
            'shared/invited.html', looks=bool(self.by.viewer), staff=self.company_id is None, columns=[Column(_('Person')), Column(_('Role')), Column(_('State')), Column(_('Actions'), unseen=True)],
            rows=[(i, self._role(i), self._by(i, name), invitation_state(i)) for i, name in self.rows],
        )  # fmt: skip

    def _role(self, invitation: Invitation) -> str:
        return (
            role_label(invitation.role)
            if invitation.role
            else self.own_roles.get(invitation.role_id, '')
            if invitation.role_id
            else ''
        )

    def _by(self, invitation: Invitation, name: str) -> str:
        if invitation.invited_by_id == self.by.user_id:
            return _('{name}, by you on {day}', name=invitation.name, day=day(invitation.sent_at))
        return _('{name}, by {inviter} on {day}', name=invitation.name, inviter=name, day=day(invitation.sent_at))

    async def _act(self, act: Act) -> None:
        invitation = next((i for i, _name in self.rows if str(i.id) == act.key), None)
        if invitation is None:
            raise NotFound
        words, bad = '', False
        try:
            async with self.here.visit.work() as db:
                if act.name == 'invite-again':
                    await self._send_again(db, invitation.id)
                    words = _('{name} gets another letter. The link in the one before works no more.', name=invitation.name)
                elif act.name == 'withdraw':
                    await self._withdraw(db, invitation.id)
                    words = _('The invitation of {name} is withdrawn.', name=invitation.name)
        except Wrong as wrong:
            words, bad = ' '.join(wrong.fields.values()), True
        await self.again()
        if words:
            self.here.say(words, bad=bad)

    async def _send_again(self, db: AsyncSession, invitation_id: UUID) -> None:
        if self.company_id:
            await send_again(db, self.by, self.company_id, invitation_id)
        else:
            await send_colleague_again(db, self.by, invitation_id)

    async def _withdraw(self, db: AsyncSession, invitation_id: UUID) -> None:
        if self.company_id:
            await withdraw(db, self.by, self.company_id, invitation_id)
        else:
            await withdraw_colleague(db, self.by, invitation_id)


class Inviting:
    def __init__(self, here: Here, company_id: UUID | None, company: str, crumbs: Sequence[Crumb]) -> None:
        self.here, self.by, self.company_id, self.company, self.crumbs = here, here.visit.by, company_id, company, crumbs
        self.user_type = UserType.CLIENT if company_id else UserType.INTERNAL
        self.errors: dict[str, Text] = {}
        self.list_errors: dict[str, str] = {}
        self.text, self.lines = '', list[Line]()
        self.values = self._nothing_typed()

    def _nothing_typed(self) -> dict[str, str]:
        return {'name': '', 'email': '', 'role': 'ClientUser' if self.company_id else 'Technician', 'language': ''}

    async def build(self) -> None:
        self.here.title(_('Invite people'))
        self.here.set_primary(None)
        async with self.here.visit.work() as db:
            self.roles = await roles_to_give(db, self.by, self.user_type)
            self.own_hints = {role.key: in_short(role) for role in await roles(db, self.user_type) if not role.role}
        self.island = self.here.island(self._html(), self._act)
        self.many = self.here.island(self._many(), self._act)
        self.list = InvitedList(self.here, self.company_id)
        await self.list.build()

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        return render(
            'shared/invite.html', crumbs=self.crumbs, company=self.company, msp=self.by.tenant.short_name, staff=self.company_id is None,
            values=self.values, errors=self.errors, role_options=[Option(value, label, self.own_hints.get(value) or role_hint(value)) for value, label in self.roles],
            languages=[Option(code, name) for code, name in LANGUAGES.items()], draft=f'invite:{self.company_id}:{self.by.user_id}',
            actions=[Action(_('Send the invitation'), type='submit', kind='primary')],
        )  # fmt: skip

    def _example(self) -> str:
        headings = ';'.join((_('Name'), _('E-mail'), _('Role')))
        return f'{headings}\n{_("Jana Hofmann;jana@example.com")};{self.roles[0][1] if self.roles else ""}'.rstrip(';')

    def _many(self) -> Markup:
        good = sum(line.is_good for line in self.lines)
        send = Action(_n('Send {n} invitation', 'Send {n} invitations', good), act='send-many', kind='primary')
        return render(
            'shared/invite_many.html', draft=f'invite-many:{self.company_id}:{self.by.user_id}', example=self._example(), text=self.text, errors=self.list_errors, most=MOST_LINES,
            rows=[(line, self._role_words(line.wanted.role), list(line.problems.values())) for line in self.lines],
            columns=[Column(_('Line'), right=True), Column(_('Person')), Column(_('Role')), Column(_('What happens'))], good=good,
            bad=len(self.lines) - good, look=[Action(_('Look at the list'), type='submit')],
            actions=[*([send] if good else []), Action(_('Start over'), act='forget-list', kind='quiet')],
        )  # fmt: skip

    def _role_words(self, role: str) -> str:
        return next((label for value, label in self.roles if value == role), '')

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'invite':
                await self._invite(act)
            case 'look':
                await self._look(act.text('list'))
            case 'send-many':
                await self._send_many()
            case 'forget-list':
                self.text, self.lines, self.list_errors = '', [], {}
                self.many.set(self._many())
                self._forget_list()
            case _:
                pass

    async def _invite(self, act: Act) -> None:
        self.values, self.errors = {name: act.text(name) for name in self.values}, {}
        try:
            await self._send([Wanted(**self.values)])
        except Wrong as wrong:
            self.errors = with_link(wrong, self.here)
            self.island.set(self._html())
            return
        email, self.values = self.values['email'], self._nothing_typed()
        self.island.set(self._html())
        self.island.forget_draft()
        await self.list.again()
        self.here.say(_('An invitation goes to {email}.', email=email))

    async def _send(self, wanted: list[Wanted]) -> None:
        async with self.here.visit.work() as db:
            if self.company_id:
                await invite_all(db, self.by, self.company_id, wanted)
            else:
                await invite_colleagues(db, self.by, wanted)

    async def _look(self, text: str) -> None:
        self.text, self.lines, self.list_errors = text, [], {}
        try:
            lines = read_list(text)
            async with self.here.visit.work() as db:
                self.lines = await preview(db, self.by, self.company_id, lines)
        except Wrong as wrong:
            self.list_errors = wrong.fields
        self.many.set(self._many())

    async def _send_many(self) -> None:
        """Those that were good when looked at; if one of them is no more, nothing is sent and the list is looked at anew."""
        wanted = [line.wanted for line in self.lines if line.is_good]
        if not wanted:
            return
        try:
            await self._send(wanted)
        except Wrong:
            await self._look(self.text)
            self.here.say(_('Something has changed meanwhile. Nothing was sent; please look again.'), bad=True)
            return
        left = [line for line in self.lines if not line.is_good]
        self.text, self.lines = '', left
        self.many.set(self._many())
        self._forget_list()
        await self.list.again()
        self.here.say(_n('{n} invitation is on its way.', '{n} invitations are on their way.', len(wanted)))

    def _forget_list(self) -> None:
        self.many.forget_draft(f'invite-many:{self.company_id}:{self.by.user_id}')


async def invite_to_company(here: Here) -> None:
    """A client admin, to the own company."""
    company = here.visit.by.company
    assert company
    crumbs = (
        Crumb(_('Settings'), here.url('/settings')),
        Crumb(_('People and roles'), here.url('/settings/people')),
        Crumb(_('Invite people')),
    )
    await Inviting(here, company.id, company.name, crumbs).build()


async def invite_to_client(here: Here) -> None:
    """Staff, to a client's."""
    async with here.visit.work() as db:
        company = await company_by_slug(db, here.parts['slug'])
    if company.archived_at:
        raise NotFound
    crumbs = (
        Crumb(_('Companies'), here.url('/companies')),
        Crumb(company.name, here.url(f'/companies/{company.slug}')),
        Crumb(_('Invite people')),
    )
    await Inviting(here, company.id, company.name, crumbs).build()


async def invite_to_staff(here: Here) -> None:
    await Inviting(here, None, '', (Crumb(_('Team'), here.url('/team')), Crumb(_('Invite people')))).build()
