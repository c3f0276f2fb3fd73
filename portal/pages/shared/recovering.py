"""Helping somebody to a lost factor, from any page about a person: what is under way, and what one may do.

self.recovering = Recovering(here, self._again)          # makes its dialog where it is called
await self.recovering.read(db, [person.id, …])           # beside what the page reads itself
self.recovering.actions(person.id, name, disabled=…)     # MenuItems for a menu of the page, or …
self.recovering.state(person.id)                         # … Markup that says what is under way, with its buttons; or ''
if await self.recovering.act(act): return                # first thing in the page's own `_act`
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, MenuItem
from portal.domain.access import Permission
from portal.domain.base import NotFound, Wrong
from portal.domain.people import User
from portal.domain.recovery import REASON_MOST, UnderWay, hurry_recovery, may_help, start_recovery, stop_recovery, under_way
from portal.i18n import _, clock, day, when
from portal.pages.screens import Here

ASK = 'ask-recovery'


class Recovering:
    def __init__(self, here: Here, again: Callable[[], Awaitable[None]]) -> None:
        self.here, self.by, self.again = here, here.visit.by, again
        here.until_closed(self)
        self.helped: dict[UUID, UnderWay] = {}
        self.names: dict[UUID, str] = {}
        self.able: set[UUID] = set()
        if not self.by.may(Permission.PEOPLE_MANAGE):
            return
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = 'about-recovery-title'
        with self.dialog:
            self.asking = here.island(Markup(''), self._act)

    async def read(self, db: AsyncSession, people: Sequence[UUID]) -> None:
        """In the transaction of the page, about those it shows."""
        if not self.by.may(Permission.PEOPLE_MANAGE):
            return
        self.helped = await under_way(db)
        self.able = {person for person in people if await may_help(db, person)}
        named = {*people, *(h.started_by_id for h in self.helped.values() if h.started_by_id)}
        self.names = dict(list(await db.exec(select(User.id, User.name).where(col(User.id).in_(named)))))

    def actions(self, person: UUID) -> tuple[MenuItem, ...]:
        """For a menu; nothing where one may not help, or somebody is helped already."""
        if person not in self.able or person in self.helped:
            return ()
        return (MenuItem(_('Help with a lost factor'), act=ASK, icon='life-buoy', attrs={'data-key': str(person)}),)

    def buttons(self, person: UUID) -> list[Action]:
        """The same for the head of a page."""
        return [
            Action(str(item.label), act=ASK, kind='quiet', icon='life-buoy', attrs=item.attrs) for item in self.actions(person)
        ]

    def state(self, person: UUID) -> Markup:
        """What is under way for them."""
        helped = self.helped.get(person)
        if helped is None:
            return Markup()
        return render(
            'shared/recovery.html', key=str(person), helped=helped, name=self.names.get(person, ''), reason=helped.reason,
            by=self.names.get(helped.started_by_id, '') if helped.started_by_id else '', began=when(helped.started_at),
            ready=_moment(helped), able=person in self.able, staff=self.by.is_staff,
        )  # fmt: skip

    def close(self) -> None:
        """The screen ends: it names this, and is named no more."""
        self.again = _nothing

    # ---------- what is done ----------

    async def act(self, act: Act) -> bool:
        """Whether it was one of ours."""
        if act.name not in (ASK, 'ask-hurry-recovery', 'stop-recovery'):
            return False
        await self._act(act)
        return True

    async def _act(self, act: Act) -> None:
        if act.name == 'close':
            self.dialog.close()
            return
        person = _person(act)
        match act.name:
            case 'ask-recovery' | 'ask-hurry-recovery':
                await self.here.prove()
                self._ask(act.name, person)
            case 'start-recovery':
                await self._start(act, person)
            case 'hurry-recovery':
                await self._do(hurry_recovery, person, _('The link is on its way to {name}.', name=self._name(person)))
            case 'stop-recovery':
                await self._do(stop_recovery, person, _('It is stopped. {name} keeps what they have.', name=self._name(person)))
            case _:
                pass

    def _name(self, person: UUID) -> str:
        return self.names.get(person, '')

    def _ask(self, about: str, person: UUID, *, reason: str = '', error: str = '') -> None:
        if person not in self.able:
            raise NotFound
        starts = about == ASK
        form = {'form': 'recovery-form'}
        does = (
            Action(_('Write to {name}', name=self._name(person)), type='submit', kind='primary', attrs=form)
            if starts else Action(_('I have: send the link'), act='hurry-recovery', kind='primary', attrs={'data-key': str(person)})
        )  # fmt: skip
        title = (
            _('Has {name} lost a factor?', name=self._name(person))
            if starts
            else _('Have you spoken to {name}?', name=self._name(person))
        )
        self.asking.set(render(
            'shared/about_recovery.html', starts=starts, title=title, name=self._name(person), key=str(person), reason=reason,
            error=error, most=REASON_MOST, staff=self.by.is_staff,
            actions=[Action(_('Cancel'), act='close', kind='quiet'), does],
        ))  # fmt: skip
        self.dialog.open()

    async def _start(self, act: Act, person: UUID) -> None:
        reason = act.text('reason')
        try:
            async with self.here.visit.work() as db:
                await start_recovery(db, self.by, person, reason, spoken='spoken' in act)
        except Wrong as wrong:
            self._ask(ASK, person, reason=reason, error=wrong.fields['reason'])
            return
        self.dialog.close()
        await self.again()
        self.here.say(_('{name} gets a letter now. What they have goes on working until they act.', name=self._name(person)))

    async def _do(self, verb: Callable[..., Awaitable[None]], person: UUID, done: str) -> None:
        self.dialog.close()
        try:
            async with self.here.visit.work() as db:
                await verb(db, self.by, person)
        except Wrong as wrong:
            self.here.say(wrong.fields['reason'], bad=True)
            return
        await self.again()
        self.here.say(done)


async def _nothing() -> None:
    pass


def _person(act: Act) -> UUID:
    try:
        return UUID(act.key or '')
    except ValueError:
        raise NotFound from None


def _moment(helped: UnderWay) -> str:
    return f'{day(helped.ready_at)}, {clock(helped.ready_at)}'
