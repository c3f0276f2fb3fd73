"""The MSP's own people: who they are, what they may do, and a new one."""

from markupsafe import Markup
from sqlalchemy import func as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Column, MenuItem, Row
from portal.domain.access import Permission, Role, UserType, role_label
from portal.domain.granting import roles
from portal.domain.people import Around, User, around
from portal.domain.sessions import sign_out_person
from portal.domain.team import add_staff, change_staff_role, disable, enable, welcome_staff
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.shared.inviting import InvitedList, invite_to_staff
from portal.pages.shared.people import PersonRow, not_come_yet, role_options, welcomed
from portal.pages.shared.people_list import PeopleList, Person
from portal.pages.shared.recovering import Recovering


def role_hint(role: str) -> str:
    return {
        'Technician': _('Works on the tickets of all companies'),
        'Finance': _('Reads and answers tickets, and sees everything about money'),
        'MspAdmin': _('Everything: also companies, the team, money and mail'),
    }.get(role, '')


def _state(active: bool) -> Markup:
    word, kind, icon = (_('Active'), 'ok', 'circle-check') if active else (_('Disabled'), '', 'circle-slash')
    return macro('state')(word, kind, icon_name=icon)


def _can_come(person: Around) -> bool:
    return person.has_password or bool(person.ways)


async def _colleagues(db: AsyncSession) -> list[Person]:
    """Those who may come in first, then by name."""
    asked = (
        select(User, Role.name)
        .outerjoin(Role, col(Role.id) == User.staff_role_id)
        .where(User.user_type == UserType.INTERNAL.value)
        .order_by(col(User.disabled_at).is_not(None), sql.lower(User.name), col(User.id))
    )
    rows = list(await db.exec(asked))
    ways = await around(db, [user.id for user, _own in rows])
    new = {user.id for user, _own in rows if user.disabled_at is None and not _can_come(ways.get(user.id, Around()))}
    until = await welcomed(db, sorted(new))
    return [
        Person(user.id, user.name, user.email, user.staff_role or str(user.staff_role_id), role_label(user.staff_role) if user.staff_role else own or '',
               not_come_yet(until.get(user.id), again=user.name) if user.id in new else _state(user.disabled_at is None), active=user.disabled_at is None)
        for user, own in rows
    ]  # fmt: skip


class Team(PeopleList):
    template = 'staff/about_colleague.html'

    def __init__(self, here: Here) -> None:
        super().__init__(here, 'Technician')
        self.draft = f'add-staff:{self.by.user_id}'
        self.recovering = Recovering(here, self._again)

    async def build(self) -> None:
        self.here.title(_('Team'))
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        await InvitedList(self.here, None).build()
        self.build_dialog('about-colleague-title')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.people = await _colleagues(db)
            await self.recovering.read(db, [person.id for person in self.people if person.active])
            self.roles = role_options(self.by, await roles(db, UserType.INTERNAL), role_hint)

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        return render(
            'staff/team.html', helped=[self.recovering.state(person.id) for person in self.people], people=[self._row(person) for person in self.people], columns=self._columns(),
            role_options=self.roles, values=self.values, errors=self.errors, draft=self.draft,
            roles=[Row(option.label, note=option.hint) for option in self.roles], invite_href=self.here.url('/team/invite'),
            add_actions=[Action(_('Add and write to them'), type='submit', kind='primary')],
        )  # fmt: skip

    @staticmethod
    def _columns() -> list[Column]:
        return [Column(_('Person')), Column(_('Role')), Column(_('State')), Column(_('Actions'), unseen=True)]

    def _row(self, person: Person) -> PersonRow:
        return PersonRow(
            person.id,
            person.name,
            person.email,
            person.role_words,
            person.state,
            menu=self._menu(person),
            msp=True,
            href=self.here.url(f'/team/{person.id}'),
            note=_('You'),
        )

    def _menu(self, person: Person) -> tuple[MenuItem, ...]:
        """Nothing for oneself: that takes another admin."""
        if person.id == self.by.user_id:
            return ()
        role = MenuItem(_('Change the role'), act='ask-role', icon='user-round-check')
        if not person.active:
            return role, MenuItem(_('Enable'), act='ask-enable', icon='rotate-ccw', divided=True)
        return (
            role,
            MenuItem(_('Send the welcome letter again'), act='welcome', icon='mail'),
            *self.recovering.actions(person.id),
            *self._signs_out(),
            MenuItem(_('Disable'), act='ask-disable', icon='circle-slash', danger=True, divided=True),
        )

    def _signs_out(self) -> list[MenuItem]:
        if not self.here.visit.may(Permission.ACCESS_MANAGE):
            return []
        return [MenuItem(_('Sign out everywhere'), act='ask-sign-out', icon='log-out')]

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        if await self.recovering.act(act):
            return
        match act.name:
            case 'add':
                if person := await self._add(act, lambda db, values: add_staff(db, self.by, **values)):
                    self.here.say(_('{name} is on your team now, and gets a letter.', name=person.name))
            case 'ask-role':
                await self.here.prove()
                self._ask_role(self._person(act))
            case 'ask-disable' | 'ask-enable' | 'ask-sign-out':
                self._ask_about(act.name, self._person(act))
            case 'role':
                await self._change_role(act, lambda db, person_id, role: change_staff_role(db, self.by, person_id, role))
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
            case 'sign-out':
                person = self._person(act)
                await self._change(lambda db: sign_out_person(db, self.by, person.id),
                                   _('{name} is signed out everywhere.', name=person.name))  # fmt: skip
            case 'close':
                self._close()
            case _:
                pass

    def _ask_about(self, about: str, person: Person) -> None:
        key, name = {'data-key': str(person.id)}, person.name
        if about == 'ask-disable':
            does = Action(_('Disable {name}', name=name), act='disable', kind='danger', attrs=key)
            title = _('Disable {name}?', name=name)
        elif about == 'ask-sign-out':
            does = Action(_('Sign out everywhere'), act='sign-out', kind='danger', attrs=key)
            title = _('Sign {name} out everywhere?', name=name)
        else:
            does = Action(_('Enable {name}', name=name), act='enable', kind='primary', attrs=key)
            title = _('Enable {name} again?', name=name)
        self._ask(about, title, does, person=person)


async def team(here: Here) -> None:
    await Team(here).build()


SCREENS = (
    Screen('/team/invite', invite_to_staff, Permission.STAFF_MANAGE, 'team'),
    Screen('/team', team, Permission.STAFF_MANAGE, 'team'),
)
