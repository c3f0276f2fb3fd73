"""The MSP's own people: who they are, what they may do, and a new one."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlalchemy import func as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Column, MenuItem, Option, Row
from portal.domain.access import Permission, Role, UserType, role_label
from portal.domain.base import NotFound, Wrong
from portal.domain.people import User
from portal.domain.team import STAFF_ROLES, add_staff, change_staff_role, disable, enable, welcome_staff
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.shared.people import PersonRow


def role_hint(role: str) -> str:
    return {
        'Technician': _('Works on the tickets of all companies'),
        'Finance': _('Reads and answers tickets, and sees everything about money'),
        'MspAdmin': _('Everything: also companies, the team, money and mail'),
    }.get(role, '')


def role_options() -> list[Option]:
    return [Option(role, role_label(role), role_hint(role)) for role in STAFF_ROLES]


@dataclass(frozen=True, slots=True)
class Colleague:
    """Somebody on the staff, ready to be shown."""

    id: UUID
    name: str
    email: str
    role: str  # a built-in one, or '' for one of the tenant's own
    role_words: str
    active: bool

    @property
    def state(self) -> Markup:
        word, kind, icon = (_('Active'), 'ok', 'circle-check') if self.active else (_('Disabled'), '', 'circle-slash')
        return macro('state')(word, kind, icon_name=icon)


async def _colleagues(db: AsyncSession) -> list[Colleague]:
    """Those who may come in first, then by name."""
    asked = (
        select(User, Role.name)
        .outerjoin(Role, col(Role.id) == User.staff_role_id)
        .where(User.user_type == UserType.INTERNAL.value)
        .order_by(col(User.disabled_at).is_not(None), sql.lower(User.name), col(User.id))
    )
    return [
        Colleague(user.id, user.name, user.email, user.staff_role or '', role_label(user.staff_role) if user.staff_role else own or '',
                  user.disabled_at is None)
        for user, own in await db.exec(asked)
    ]  # fmt: skip


class Team:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.errors: dict[str, str] = {}
        self.values = self._nothing_typed()

    @staticmethod
    def _nothing_typed() -> dict[str, str]:
        return {'name': '', 'email': '', 'role': STAFF_ROLES[0]}

    async def build(self) -> None:
        self.here.title(_('Team'))
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = 'about-colleague-title'
        with self.dialog:
            self.asking = self.here.island(Markup(''), self._act)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.people = await _colleagues(db)

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        return render(
            'staff/team.html', people=[self._row(person) for person in self.people], columns=self._columns(),
            alone=len(self.people) < 2, role_options=role_options(), values=self.values, errors=self.errors, draft=self._draft,
            roles=[Row(option.label, note=option.hint) for option in role_options()],
            add_actions=[Action(_('Add and write to them'), type='submit', kind='primary')],
        )  # fmt: skip

    @property
    def _draft(self) -> str:
        return f'add-staff:{self.by.user_id}'

    @staticmethod
    def _columns() -> list[Column]:
        return [Column(_('Person')), Column(_('Role')), Column(_('State')), Column(_('Actions'), unseen=True)]

    def _row(self, person: Colleague) -> PersonRow:
        return PersonRow(
            person.id,
            person.name,
            person.email,
            person.role_words,
            person.state,
            menu=self._menu(person),
            msp=True,
            note=_('You'),
        )

    def _menu(self, person: Colleague) -> tuple[MenuItem, ...]:
        """Nothing for oneself: that takes another admin."""
        if person.id == self.by.user_id:
            return ()
        role = MenuItem(_('Change the role'), act='ask-role', icon='user-round-check')
        if not person.active:
            return role, MenuItem(_('Enable'), act='ask-enable', icon='rotate-ccw', divided=True)
        return (
            role,
            MenuItem(_('Send the welcome letter again'), act='welcome', icon='mail'),
            MenuItem(_('Disable'), act='ask-disable', icon='circle-slash', danger=True, divided=True),
        )

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'add':
                await self._add(act)
            case 'ask-role' | 'ask-disable' | 'ask-enable':
                self._ask(act.name, self._person(act))
            case 'role':
                await self._change_role(act)
            case 'welcome':
                person = self._person(act)
                await self._change(lambda db: welcome_staff(db, self.by, person.id),
                                   _('{name} gets the welcome letter again.', name=person.name))  # fmt: skip
            case 'disable':
                person = self._person(act)
                await self._change(lambda db: disable(db, self.by, person.id), _('{name} is disabled now.', name=person.name))
            case 'enable':
                person = self._person(act)
                await self._change(lambda db: enable(db, self.by, person.id), _('{name} can sign in again.', name=person.name))
            case 'close':
                self.dialog.close()
            case _:
                pass

    async def _add(self, act: Act) -> None:
        self.values = {name: act.text(name) for name in ('name', 'email', 'role')}
        self.errors = {}
        try:
            async with self.here.visit.work() as db:
                person = await add_staff(db, self.by, **self.values)
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        self.values = self._nothing_typed()
        await self._again()
        self.island.forget_draft(self._draft)
        self.here.say(_('{name} is on your team now, and gets a letter.', name=person.name))

    def _person(self, act: Act) -> Colleague:
        """Of the row something was done to; raises NotFound."""
        person = next((p for p in self.people if str(p.id) == act.key), None)
        if person is None:
            self.dialog.close()
            raise NotFound
        return person

    def _ask(self, about: str, person: Colleague, *, role: str = '', error: str = '') -> None:
        """Once, and naming the person."""
        key = {'data-key': str(person.id)}
        does, title = {
            'ask-role': (
                Action(_('Change the role'), type='submit', kind='primary', attrs={'form': 'role-form'}),
                _('What may {name} do?', name=person.name),
            ),
            'ask-disable': (
                Action(_('Disable {name}', name=person.name), act='disable', kind='danger', attrs=key),
                _('Disable {name}?', name=person.name),
            ),
            'ask-enable': (
                Action(_('Enable {name}', name=person.name), act='enable', kind='primary', attrs=key),
                _('Enable {name} again?', name=person.name),
            ),
        }[about]
        self.asking.set(render(
            'staff/about_colleague.html', about=about, person=person, title=title,
            actions=[Action(_('Cancel'), act='close', kind='quiet'), does], role_options=role_options(), role=role or person.role,
            error=error,
        ))  # fmt: skip
        self.dialog.open()

    async def _change_role(self, act: Act) -> None:
        person, role = self._person(act), act.text('role')
        try:
            async with self.here.visit.work() as db:
                await change_staff_role(db, self.by, person.id, role)
        except Wrong as wrong:
            self._ask('ask-role', person, role=role, error=wrong.fields['role'])
            return
        await self._done(_('{name} is {role} now.', name=person.name, role=role_label(role)))

    async def _change(self, verb: Callable[[AsyncSession], Awaitable[None]], done: str) -> None:
        """Beside no field: what cannot be is said in a toast, and the list shows how it stands."""
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


async def team(here: Here) -> None:
    await Team(here).build()


SCREENS = (Screen('/team', team, Permission.STAFF_MANAGE, 'team'),)
