"""Roles: the built-in ones, and the tenant's own for staff and for clients. One of them: what it allows, and who has it."""

from collections.abc import Sequence
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlmodel import col, select

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Column, Option, Row, Someone
from portal.domain.access import BUILT_IN, Permission, UserType
from portal.domain.audit import Audit
from portal.domain.base import NotFound, Wrong
from portal.domain.granting import Given, built_in, missing, own, roles
from portal.domain.people import User
from portal.domain.rights import ALWAYS, FOR, GROUPS, completed, label_of, labels
from portal.domain.roles import NAME_MOST, Holder, add_role, change_own_role, holders, numbers, own_role, remove_role
from portal.i18n import _, _n, day
from portal.pages.screens import Here, Screen
from portal.pages.shared.people import reach_words

TITLES = {UserType.CLIENT: lambda: _('For clients'), UserType.INTERNAL: lambda: _('For staff')}
VERSIONS = 8


async def role_list(here: Here) -> None:
    async def read() -> Markup:
        async with here.visit.work() as db:
            all_of = {user_type: await roles(db, user_type) for user_type in (UserType.INTERNAL, UserType.CLIENT)}
            people = await numbers(db)
        groups = [
            (TITLES[user_type](), [(r, here.url(f'/roles/{r.key}'), reach_words(r), people.get(r.key, 0)) for r in some],
             here.url('/roles/new', **{'for': user_type.value}))
            for user_type, some in all_of.items()
        ]  # fmt: skip
        columns = [Column(_('Role')), Column(_('Tickets seen')), Column(_('People'), right=True)]
        return render('staff/roles.html', groups=groups, columns=columns)

    async def again() -> None:
        island.set(await read())

    here.title(_('Roles'))
    here.set_primary(None)
    island = here.island(await read())
    here.wakes(again, f'roles:{here.visit.by.tenant.id}')


class RolePage:
    """A role, or a new one (`/roles/new?for=client`). Built-in ones are shown, and cannot be changed."""

    def __init__(self, here: Here) -> None:
        self.here, self.by, self.key = here, here.visit.by, here.parts.get('id', 'new')
        self.errors: dict[str, str] = {}
        self.is_new = self.key == 'new'
        self.instead = ''
        if self.is_new:
            self.user_type = UserType.INTERNAL if here.query.get('for') == 'internal' else UserType.CLIENT
            self.based_on = 'Technician' if self.user_type is UserType.INTERNAL else 'ClientUser'
            self.name, self.ticked = '', set(built_in(self.based_on).permissions & by_rights(self.by, self.user_type))

    async def build(self) -> None:
        await self._read()
        if not self.is_new:
            self._begin()
        self.here.title(self.role.label if self.role else _('New role'))
        self.here.set_primary(None)
        self.island = self.here.island(self._html(), self._act)
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = 'about-role-title'
        with self.dialog:
            self.asking = self.here.island(Markup(''), self._act)
        self.here.wakes(self._again, f'roles:{self.by.tenant.id}', f'companies:{self.by.tenant.id}')

    async def _read(self) -> None:
        self.role: Given | None = None
        self.people: list[Holder] = []
        self.versions: list[Row] = []
        async with self.here.visit.work() as db:
            if not self.is_new:
                if self.key in BUILT_IN:
                    self.role, self.based_on = built_in(self.key), self.key
                else:
                    try:
                        row = await own_role(db, UUID(self.key))
                    except ValueError:
                        raise NotFound from None
                    self.role = own(row)
                    self.based_on = row.based_on or ('ClientUser' if row.user_type == UserType.CLIENT.value else 'Technician')
                    asked = select(Audit, User.name).outerjoin(User, col(User.id) == Audit.actor_id)
                    asked = asked.where(Audit.subject_id == row.id).order_by(col(Audit.at).desc(), col(Audit.id).desc())
                    self.versions = [self._version(line, name or '') for line, name in await db.exec(asked.limit(VERSIONS))]
                self.user_type = self.role.user_type
                self.people = await holders(db, self.role)
            self.others = [r for r in await roles(db, self.user_type) if not self.role or r.key != self.role.key]

    def _begin(self) -> None:
        assert self.role
        self.name, self.ticked, self.shown = self.role.label, set(self.role.permissions), self.role.permissions

    async def _again(self) -> None:
        """What somebody else changes meanwhile: on a page on which nothing was changed it is shown."""
        touched = self.role is None or self.name != self.role.label or self.ticked != set(self.role.permissions)
        await self._read()
        if not touched:
            self._begin()
        self.island.set(self._html())

    # ---------- what is shown ----------

    @property
    def editable(self) -> bool:
        """A built-in role stays as it is, and one that allows more than one has oneself is changed by somebody else."""
        return self.is_new or bool(self.role and self.role.role_id and not missing(self.by, self.role.permissions))

    @property
    def draft(self) -> str:
        return f'role:{self.key}:{self.user_type}:{self.by.user_id}'

    def _html(self) -> Markup:
        base = built_in(self.based_on)
        groups = [
            (str(group.title), [
                (r.permission.value, str(r.label), str(r.line), r.permission in base.permissions, r.permission in self.ticked,
                 r.permission in ALWAYS or not self.editable or bool(missing(self.by, [r.permission])),
                 _('Every role has this') if r.permission in ALWAYS else
                 _('You may not do this yourself') if missing(self.by, [r.permission]) else '')
                for r in group.rights
            ])
            for group in GROUPS[self.user_type]
        ]  # fmt: skip
        bases = [Option(name, str(r.label)) for name, r in BUILT_IN.items() if r.user_type is self.user_type]
        return render(
            'staff/role.html', here=self.here, draft=self.draft, role=self.role, is_new=self.is_new, editable=self.editable, name=self.name,
            title=self.role.label if self.role else _('New role'), lead=self._lead(), most=NAME_MOST, errors=self.errors,
            base=base, bases=bases, based_on=self.based_on, groups=groups, compared=self.role is None or bool(self.role.role_id),
            in_words=self._in_words(), changes=self._changes(), people=self._people(), versions=self.versions, columns=self._columns(base),
            is_client=self.user_type is UserType.CLIENT, why_not=self._why_not(),
            actions=[Action(_('Make the role') if self.is_new else _('Save role'), type='submit', kind='primary')] if self.editable else [],
            remove=Action(_('Remove this role'), act='ask-remove', kind='danger') if self.editable and self.role else None,
        )  # fmt: skip

    def _columns(self, base: Given) -> list[Column]:
        mine = Column(self.name or _('New role'), classes='mark')
        if self.role and self.role.role:
            return [Column(_('Permission')), mine]
        return [Column(_('Permission')), Column(base.label, classes='mark'), mine]

    def _lead(self) -> str:
        if self.is_new:
            return (
                _('For clients: every company can give it to its people.')
                if self.user_type is UserType.CLIENT
                else _('For your staff.')
            )
        n = len({holder.person.id for holder in self.people})
        what = _('Your own role') if self.role and self.role.role_id else _('Built in')
        whose = _('for clients') if self.user_type is UserType.CLIENT else _('for staff')
        return f'{what}, {whose}. ' + (_n('{n} person has it.', '{n} people have it.', n) if n else _('Nobody has it.'))

    def _why_not(self) -> str:
        if self.is_new or self.editable or not self.role:
            return ''
        if self.role.role:
            return _('Built-in roles stay as they are. Make one of your own that begins with this one.')
        return _('It allows more than you may yourself. Somebody with the same rights can change it.')

    def _in_words(self) -> str:
        wanted = completed(self.ticked, self.user_type)
        reach = ''
        if self.user_type is UserType.CLIENT:
            whole = Permission.TICKETS_SEE_COMPANY in wanted
            reach = (_('Sees all tickets of the company but private ones of others.') if whole
                     else _('Sees own tickets and those in copy, and no others.'))  # fmt: skip
        may = labels(wanted - ALWAYS - {Permission.TICKETS_SEE_COMPANY}, self.user_type)
        cannot = labels(FOR[self.user_type] - wanted - {Permission.TICKETS_SEE_COMPANY}, self.user_type)
        parts = [reach, _('May: {what}.', what=', '.join(may)) if may else _('May only read.')]
        return ' '.join(filter(None, [*parts, _('Not: {what}.', what=', '.join(cannot)) if cannot else '']))

    def _changes(self) -> list[str]:
        """What saving does, and to whom."""
        if self.is_new or not self.role or not self.editable:
            return []
        wanted = completed(self.ticked, self.user_type)
        come, gone = (
            labels(wanted - self.role.permissions, self.user_type),
            labels(self.role.permissions - wanted, self.user_type),
        )
        if not come and not gone:
            return [_('Nothing yet.')]
        who = self._names()
        if not who:
            return [_('Nobody has this role, so it changes nothing for anybody yet.')]
        lines = [_('{who} can do this, too: {what}.', who=who, what=', '.join(come))] if come else []
        lines += (
            [_('{who} can do this no more: {what}.', who=who, what=', '.join(gone))]
            if gone
            else [_('Nothing is taken from anybody.')]
        )
        return [*lines, _('It takes effect at once, also on pages that are open.')]

    def _names(self) -> str:
        names = list(dict.fromkeys(holder.person.name for holder in self.people))
        if len(names) > 4:
            return _('{names} and {n} more', names=', '.join(names[:3]), n=len(names) - 3)
        return ', '.join(names)

    def _people(self) -> list[Someone]:
        return [
            Someone(h.person.name, h.company.name if h.company else '', msp=h.company is None,
                    href=self.here.url(f'/people/{h.person.id}') if h.company and self.here.visit.may(Permission.COMPANIES_SEE) else '')
            for h in self.people
        ]  # fmt: skip

    def _version(self, line: Audit, name: str) -> Row:
        detail, by = line.detail, _('{name}, {day}', name=name, day=day(line.at))
        if line.action == 'role.added':
            return Row(_('Made'), note=by)
        parts = [_('Called {name}', name=detail['after'])] if detail.get('before') != detail.get('after') else []
        for words, key in ((_('Given'), 'given'), (_('Taken'), 'taken')):
            found = [label_of(p, self.role.user_type) for p in Permission if p.value in detail.get(key, ())] if self.role else []
            parts += [f'{words}: {", ".join(found)}'] if found else []
        return Row('. '.join(parts) or _('Changed'), note=by)

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'tick' | 'save' if self.editable:
                self._take(act)
                if act.name == 'save':
                    return await self._save()
                self.errors = {}
                self.island.set(self._html())
            case 'ask-remove':
                self._ask()
            case 'remove':
                await self._remove(act)
            case 'close':
                self.dialog.close()
            case _:
                pass
        return None

    def _take(self, act: Act) -> None:
        self.name = act.text('name', NAME_MOST + 20)
        base = act.text('based_on')
        if self.is_new and base in BUILT_IN and BUILT_IN[base].user_type is self.user_type and base != self.based_on:
            self.based_on, self.ticked = base, set(BUILT_IN[base].permissions & by_rights(self.by, self.user_type))
            return
        sent = set(act.all('permissions'))
        # what this person cannot change is not sent by the browser, and stays
        kept = {p for p in self.ticked if p in ALWAYS or missing(self.by, [p])}
        self.ticked = kept | {p for p in FOR[self.user_type] if p.value in sent}

    async def _save(self) -> None:
        self.errors, made = {}, None
        try:
            async with self.here.visit.work() as db:
                if self.is_new:
                    made = await add_role(db, self.by, name=self.name, user_type=self.user_type, based_on=self.based_on,
                                          permissions=self.ticked)  # fmt: skip
                else:
                    await change_own_role(db, self.by, UUID(self.key), name=self.name, permissions=self.ticked,
                                          seen=[p.value for p in self.shown])  # fmt: skip
        except Wrong as wrong:
            self.errors = wrong.fields
            await self._read()
            if self.role:
                self.shown = self.role.permissions
            return self.island.set(self._html())
        self.island.forget_draft(self.draft)
        if made:
            self.here.say(_('The role is there now. Give it to somebody on the team, or at a company.'))
            return self.here.go(self.here.url(f'/roles/{made.id}'))
        await self._read()
        self._begin()
        self.island.set(self._html())
        return self.here.say(_('Saved.'))

    def _ask(self, error: str = '') -> None:
        if not self.role:
            raise NotFound
        does = Action(_('Remove this role'), type='submit', kind='danger', attrs={'form': 'remove-role'})
        self.asking.set(render(
            'staff/about_role.html', title=_('Remove {name}?', name=self.role.label), names=self._names(), error=error,
            options=[Option(r.key, r.label, disabled=bool(missing(self.by, r.permissions))) for r in self.others], instead=self.instead,
            actions=[Action(_('Cancel'), act='close', kind='quiet'), does],
        ))  # fmt: skip
        self.dialog.open()

    async def _remove(self, act: Act) -> None:
        self.instead = act.text('instead')
        name = self.role.label if self.role else ''
        try:
            async with self.here.visit.work() as db:
                await remove_role(db, self.by, UUID(self.key), self.instead)
        except Wrong as wrong:
            await self._read()
            return self._ask(' '.join(wrong.fields.values()))
        self.dialog.close()
        self.here.go(self.here.url('/roles'))
        return self.here.say(_('{name} is gone.', name=name))


def by_rights(by: object, user_type: UserType) -> frozenset[Permission]:
    """What `by` can put into a role."""
    return FOR[user_type] - missing(by, FOR[user_type])  # type: ignore[arg-type]


async def role_page(here: Here) -> None:
    await RolePage(here).build()


SCREENS: Sequence[Screen] = (
    Screen('/roles', role_list, Permission.ROLES_MANAGE, 'roles'),
    Screen('/roles/{id}', role_page, Permission.ROLES_MANAGE, 'roles'),
)
