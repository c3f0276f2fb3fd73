"""The people of one's company, for whoever manages them there: who they are, what they may do, and how they come in."""

from dataclasses import dataclass
from uuid import UUID

from markupsafe import Markup
from sqlalchemy import func as sql
from sqlmodel import col, select

from portal.components.frame import Primary
from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Column, Filter, FilterOption
from portal.domain.access import Permission, UserType
from portal.domain.explaining import role_of_membership
from portal.domain.granting import Given, roles
from portal.domain.people import Around, Membership, User, around
from portal.i18n import _, _n, when
from portal.pages.screens import Here, Screen
from portal.pages.settings.person import person
from portal.pages.settings.tabs import head
from portal.pages.shared.inviting import InvitedList
from portal.pages.shared.people import in_short, reach_words, role_hint, ways_words


@dataclass(frozen=True, slots=True)
class Line:
    id: UUID
    name: str
    email: str
    disabled: bool
    role: Given | None
    around: Around


class People:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        assert self.by.company
        self.company = self.by.company
        self.words, self.chosen = here.query.get('q', '')[:100], here.query.get('role', '')

    async def build(self) -> None:
        self.here.title(_('People and roles'))
        if not self.by.viewer:
            self.here.set_primary(Primary(_('Invite people'), self.here.url('/settings/people/invite'), icon='mail'))
        await self._read()
        self.here.island(head(self.here.visit, '/settings/people'))
        self.island = self.here.island(self._html(), self._act)
        await InvitedList(self.here, self.company.id).build()
        self.here.wakes(self._again, f'companies:{self.by.tenant.id}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.roles = await roles(db, UserType.CLIENT)
            asked = (
                select(User, Membership)
                .join(Membership, col(Membership.user_id) == User.id)
                .where(Membership.company_id == self.company.id, col(Membership.ended_at).is_(None))
                .order_by(sql.lower(User.name), col(User.id))
            )
            rows = list(await db.exec(asked))
            ways = await around(db, [user.id for user, _m in rows])
        self.people = [
            Line(u.id, u.name, u.email, u.disabled_at is not None, role_of_membership(m, self.roles), ways.get(u.id, Around()))
            for u, m in rows
        ]

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        words = self.words.lower().split()
        shown = [
            p for p in self.people
            if all(w in f'{p.name} {p.email}'.lower() for w in words) and (not self.chosen or (p.role and p.role.key == self.chosen))
        ]  # fmt: skip
        counts = {r.key: sum(p.role is not None and p.role.key == r.key for p in self.people) for r in self.roles}
        return render(
            'client/people.html', here=self.here, company=self.company, people=[self._row(p) for p in shown], columns=self._columns(),
            words=self.words, keep={'role': self.chosen} if self.chosen else {}, filters=[self._filter(counts)],
            clear=self.here.url('/settings/people') if self.words or self.chosen else '', total=len(self.people),
            roles=[(r, self._about(r), _n('{n} person', '{n} people', counts[r.key]) if counts[r.key] else '–')
                   for r in self.roles],
            msp=self.by.tenant.short_name,
        )  # fmt: skip

    @staticmethod
    def _columns() -> list[Column]:
        return [Column(_('Person')), Column(_('Role')), Column(_('Tickets seen')), Column(_('Second factor')),
                Column(_('Last here'), right=True)]  # fmt: skip

    def _row(self, p: Line) -> tuple[Line, str, str, str, Markup, Markup]:
        mark = macro('state')
        ways = ways_words(p.around.ways)
        factor = mark(ways, 'ok', icon_name='circle-check') if ways else mark(_('Password only'), icon_name='minus')
        seen = (
            macro('moment')(p.around.seen_at, when(p.around.seen_at))
            if p.around.seen_at
            else Markup('<span class="faint">{}</span>').format(_('Not yet'))
        )
        if p.disabled:
            seen = mark(_('Disabled'), icon_name='circle-slash')
        return (
            p,
            self.here.url(f'/settings/people/{p.id}'),
            p.role.label if p.role else '',
            reach_words(p.role) if p.role else '',
            factor,
            seen,
        )

    def _filter(self, counts: dict[str, int]) -> Filter:
        query = {'q': self.words} if self.words else {}
        options = tuple(
            FilterOption(
                r.label, self.here.url('/settings/people', role=r.key, **query), current=r.key == self.chosen, count=counts[r.key]
            )
            for r in self.roles
        )
        chosen = next((r.label for r in self.roles if r.key == self.chosen), '')
        return Filter('role', _('Role'), options, chosen, self.here.url('/settings/people', **query) if chosen else '')

    @staticmethod
    def _about(role: Given) -> str:
        return role_hint(role.role) if role.role else in_short(role)

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        if act.name == 'search':
            self.words = act.text('q')[:100]
            self.here.address(replace=True, q=self.words, role=self.chosen)
            self.island.set(self._html())


async def people(here: Here) -> None:
    await People(here).build()


SCREENS = (
    Screen('/settings/people', people, Permission.PEOPLE_MANAGE, 'settings'),
    Screen('/settings/people/{id}', person, Permission.PEOPLE_MANAGE, 'settings'),
)
