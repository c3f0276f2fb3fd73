"""The list of tickets, as the staff work through it."""

from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import macro
from portal.components.values import Action
from portal.domain.access import Permission
from portal.domain.base import Wrong
from portal.domain.people import companies, staff
from portal.domain.tickets import Counts, Where, counts, take, ticket_by_number
from portal.domain.tickets.bulk import MOST, QUIET, Change, begin_bulk, bulk_changes, forget_bulk, is_left
from portal.domain.tickets.lists import numbers_of
from portal.domain.tickets.model import BulkChange
from portal.domain.tickets.waiting import parse_due, today
from portal.i18n import L_, _, _n
from portal.pages.screens import Here
from portal.pages.shared.lists import ListSpec, View
from portal.pages.shared.tickets import number_of
from portal.pages.staff.queue.bulk import Run, change_from, described, menus
from portal.pages.staff.queue.unfinished import banner, labels, refused, tally
from portal.pages.staff.queue.views import ViewedList
from portal.visit import unasked

SURE = 25  # picked tickets, from which on one is asked again


def _mine(here: Here) -> Where:
    return Where(group='open', sort='turn', assignee_id=here.visit.by.user_id)


VIEWS = (
    View('turn', L_('Our turn first'), lambda here: Where(group='open', sort='turn'), lambda n: n.theirs),
    View(
        'unassigned', L_('Nobody has it'), lambda here: Where(group='open', sort='turn', unassigned=True), lambda n: n.unassigned
    ),
    View('mine', L_('Mine'), _mine, lambda n: n.assigned_to_me),
    View(
        'unread',
        L_('Unread'),
        lambda here: Where(group='all', unread=True, assignee_id=here.visit.by.user_id, unassigned=True),
        lambda n: n.unread,
    ),
    View('due', L_('Due'), lambda here: Where(group='open', sort='due', due=True), lambda n: n.due),
    View('company', L_('By company'), lambda here: Where(group='open', sort='company')),
    View('priority', L_('By priority'), lambda here: Where(group='open', sort='priority')),
    View('waiting', L_('With clients'), lambda here: Where(group='mine', sort='changed'), lambda n: n.mine),
    View('done', L_('Solved'), lambda here: Where(group='done'), lambda n: n.done),
    View('closed', L_('Closed'), lambda here: Where(group='closed')),
)


class Queue(ViewedList):
    """Picking and changing many."""

    def __init__(self, spec: ListSpec, here: Here) -> None:
        super().__init__(spec, here)
        self.picked: set[int] = set()
        self.run: Run | None = None
        self.unfinished: BulkChange | None = None

    async def build(self) -> None:
        await super().build()
        if self.looks_again:  # what another process works on, or worked on until it ended just now
            self.looking = ui.timer(QUIET.total_seconds(), self._look_again, immediate=False)

    def _build_between(self) -> None:
        self.left = self.here.island(self._unfinished(), self._act, classes='unfinished')
        self.bar = self.here.island(Markup(''), self._act, classes='picking')

    def _show(self) -> None:
        self.bar.set(self._picking())
        super()._show()

    async def _begin(self, db: AsyncSession) -> None:
        await super()._begin(db)
        await self._read_unfinished(db)

    async def _read_unfinished(self, db: AsyncSession) -> None:
        found = await bulk_changes(db) if self.works else []
        self.unfinished = next((bulk for bulk in found if is_left(bulk)), None)
        self.looks_again = self.unfinished is None and bool(found)

    async def _look_again(self) -> None:
        unasked.set(True)  # nobody is at it: this keeps no session alive
        try:
            async with self.here.visit.work() as db:
                await self._read_unfinished(db)
        except Exception as e:
            return await self.here.trouble(e, quietly=True)
        if not self.looks_again:
            self.looking.deactivate()
            self.left.set(self._unfinished())

    @property
    def works(self) -> bool:
        return self.here.visit.may(Permission.TICKETS_WORK)

    @property
    def is_held(self) -> bool:
        return self.is_attended or bool(self.picked)

    async def _woken(self) -> None:
        if self.run is None:  # else what comes is our own doing, and shown at its end
            await super()._woken()

    # ---------- what is shown ----------

    def _more(self) -> dict[str, Any]:
        numbers = {number for number, _group in self.shown}
        return {
            'works': self.works, 'picked': {f'T-{number}' for number in self.picked}, 'all_picked': bool(numbers) and numbers <= self.picked,
        }  # fmt: skip

    def _picking(self) -> Markup:
        if self.run:
            run = self.run
            words = _('{done} of {most} tickets', done=run.done, most=run.total)
            return macro('progress')(words, run.done, run.total, actions=[Action(_('Stop'), act='bulk-stop')])
        if not self.picked:
            return Markup('')
        words = _n('{n} picked', '{n} picked', len(self.picked))
        if len(self.picked) >= MOST:
            words = _('{n} picked, the most at once', n=MOST)
        return macro('bulk')(
            words, [Action(_('Unpick'), act='unpick', kind='quiet')], menus=menus(self.by, self.choices),
            extra=macro('text_button')(_('Pick all that match'), act='pick-all') if len(self.picked) < MOST else '',
        )  # fmt: skip

    def _unfinished(self) -> Markup:
        return banner(self.unfinished, self._described(self.unfinished)) if self.unfinished else Markup('')

    def _described(self, bulk: BulkChange) -> str:
        return described(change_from(bulk.field, bulk.value), menus(self.by, self.choices))

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'take' if act.key:
                await self._take(act.key)
            case 'pick' | 'pick-page' | 'pick-all' | 'unpick':
                await self._pick(act)
            case 'bulk' if self.picked and not self.run:
                await self._bulk(act)
            case 'bulk-stop' if self.run:
                self.run.is_stopped = True
            case 'ask-unfinished' if self.unfinished:
                self._ask_unfinished(self.unfinished)
            case 'bulk-go-on' if self.unfinished and not self.run:
                await self._go_on(self.unfinished)
            case 'bulk-forget' if self.unfinished:
                await self._forget(self.unfinished.id)
            case 'ask-due':
                self._ask_day()
            case 'bulk-due':
                await self._bulk_due(act.text('day'))
            case 'close':
                self.dialog.close()
            case name if name.startswith(('view-', 'ask-')):
                await self._about_view(act)
            case _:
                if act.name in ('search', 'filter'):
                    self.picked = set()  # what one no longer sees is not changed
                await super()._act(act)

    async def _take(self, label: str) -> None:
        async with self.here.visit.work() as db:
            await take(db, self.by, await ticket_by_number(db, number_of(label), lock=True))
        self.here.say(_('{ticket} is yours.', ticket=label))
        await self._woken()

    async def _pick(self, act: Act) -> None:
        shown = {number for number, _group in self.shown}
        match act.name:
            case 'pick' if act.key and (number := number_of(act.key)) in shown | self.picked:
                self.picked ^= {number}
            case 'pick-page':
                self.picked = self.picked - shown if shown <= self.picked else self.picked | shown
            case 'pick-all':
                async with self.here.visit.work() as db:
                    self.picked = set(await numbers_of(db, self.where, most=MOST))
            case 'unpick':
                self.picked = set()
            case _:
                return
        self.picked = set(sorted(self.picked)[-MOST:])
        await self._woken()

    async def _bulk(self, act: Act) -> None:
        try:
            change = change_from(act.text('field'), act.text('to'))
        except Wrong as wrong:
            return self.here.say(' '.join(wrong.fields.values()), bad=True)
        n = len(self.picked)
        if n > SURE and not act.text('sure'):
            sure = {'data-v-field': change.field, 'data-v-to': change.to, 'data-v-sure': '1'}
            words = _n('Change {n} ticket?', 'Change {n} tickets?', n)
            what = described(change, menus(self.by, self.choices))
            return self._ask_for('sure', words, Action(_n('Change {n} ticket', 'Change {n} tickets', n), act='bulk', kind='primary', attrs=sure),
                                 words=what + '.' + (' ' + _('The people of each ticket get a letter.') if change.field == 'status' else ''))  # fmt: skip
        self.dialog.close()
        return await self._change(change)

    async def _change(self, change: Change) -> None:
        run = Run(change, sorted(self.picked), len(self.picked))
        if run.total > SURE:
            async with self.here.visit.work() as db:
                run.kept = (await begin_bulk(db, self.by, change, run.numbers)).id
        await self._work(run)

    async def _work(self, run: Run) -> None:
        self.run = run
        try:
            await run.go(self.here, self._progress)
        finally:
            self.run = None
        self.picked = {number for number, _why in run.failed} | set(run.numbers)
        if self.island.is_deleted:
            return
        if run.kept:
            await self._forget(run.kept)
        await self._again()
        self.here.say(_n('{n} ticket changed.', '{n} tickets changed.', run.changed))
        if run.failed:
            title = _n('{n} ticket could not be changed', '{n} tickets could not be changed', len(run.failed))
            self._ask_for('failed', title, Action(_('Close'), act='close', kind='primary'),
                          failed=refused(run.failed, self.here))  # fmt: skip

    async def _progress(self) -> None:
        """How far it is; the rows stay as they are meanwhile."""
        if not self.bar.is_deleted:
            self.bar.set(self._picking())

    def _ask_unfinished(self, bulk: BulkChange) -> None:
        given: dict[str, Any] = {
            'words': f'{self._described(bulk)}. {tally(bulk)}', 'failed': refused(bulk.failed, self.here),
            'waiting': labels(bulk.numbers, self.here),
        }  # fmt: skip
        if not bulk.numbers:
            return self._ask_for('done', _('This change is done'), Action(_('Close'), act='bulk-forget', kind='primary'), **given)
        return self._ask_for(
            'unfinished', _('This change was interrupted'), Action(_('Change the rest'), act='bulk-go-on', kind='primary'),
            cancel=Action(_('Leave the rest'), act='bulk-forget', kind='quiet'), **given,
        )  # fmt: skip

    async def _go_on(self, bulk: BulkChange) -> None:
        self.dialog.close()
        self.unfinished = None
        self.left.set(Markup(''))
        change = change_from(bulk.field, bulk.value)
        await self._work(Run(change, bulk.numbers, bulk.total, bulk.changed, [(n, why) for n, why in bulk.failed], bulk.id))

    async def _forget(self, bulk_id: UUID) -> None:
        self.dialog.close()
        async with self.here.visit.work() as db:
            await forget_bulk(db, self.by, bulk_id)
            await self._read_unfinished(db)
        self.left.set(self._unfinished())

    def _ask_day(self, error: str = '', day: str = '') -> None:
        action = Action(_('Set the day'), type='submit', kind='primary', attrs={'form': 'due-form'})
        self._ask_for('due', _('Due on which day?'), action, error=error, day=day or today(self.by.tenant).isoformat())

    async def _bulk_due(self, day: str) -> None:
        try:
            if parse_due(day) is None:
                raise Wrong(due=_('Choose a day.'))
        except Wrong as wrong:
            return self._ask_day(wrong.fields['due'], day)
        return await self._bulk(Act('bulk', None, {'field': 'due', 'to': day}))


async def _companies(db: AsyncSession) -> list[tuple[UUID, str, str]]:
    return [(c.id, c.slug, c.name) for c in await companies(db)]


async def _staff(db: AsyncSession) -> list[tuple[UUID, str]]:
    return [(user.id, user.name) for user in await staff(db)]


async def _counts(db: AsyncSession, here: Here) -> Counts:
    by = here.visit.by
    return await counts(db, by.user_id, staff=True, today=today(by.tenant))


def _topics(here: Here) -> tuple[str, ...]:
    tenant = here.visit.by.tenant.id
    return f'queue:{tenant}', f'companies:{tenant}', f'due:{tenant}', f'unread:{here.visit.by.user_id}'


async def queue(here: Here) -> None:
    spec = ListSpec(
        'staff/queue.html', L_('Queue'), here.path, VIEWS, counts=_counts, topics=_topics, people=_staff,
        people_label=L_('Assigned'), companies=_companies,
    )  # fmt: skip
    screen = Queue(spec, here)
    await screen.build()
    here.wakes(screen.views_woken, f'views:{here.visit.by.tenant.id}')
