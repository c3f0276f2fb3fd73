"""The list of tickets, as the staff work through it."""

from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, MenuItem, Tab
from portal.domain.access import Permission
from portal.domain.base import NotFound, Wrong
from portal.domain.people import companies, staff
from portal.domain.tickets import Counts, Where, counts, take, ticket_by_number
from portal.domain.tickets.bulk import MOST, Change
from portal.domain.tickets.lists import how_many, numbers_of
from portal.domain.tickets.waiting import parse_due, today
from portal.domain.views import SavedView, begin_with, change_view, default_view, delete_view, save_view, saved_views
from portal.i18n import L_, _, _n
from portal.pages.screens import Here
from portal.pages.shared.lists import KEPT, ListSpec, TicketList, View
from portal.pages.shared.tickets import number_of
from portal.pages.staff.queue.bulk import Run, change_from, described, menus

SURE = 25  # picked tickets, from which on one is asked again
COUNTED = 12  # saved views with a number


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


class Queue(TicketList):
    """Beside what every list does: picking and changing many, views of one's own."""

    def __init__(self, spec: ListSpec, here: Here) -> None:
        super().__init__(spec, here)
        self.by = here.visit.by
        self.picked: set[int] = set()
        self.run: Run | None = None
        self.saved: list[SavedView] = []
        self.saved_counts: dict[UUID, int] = {}
        self.begins_with: UUID | None = None

    async def build(self) -> None:
        await super().build()
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = 'about-queue-title'
        with self.dialog:
            self.asking = self.here.island(Markup(''), self._act)

    def _build_between(self) -> None:
        self.bar = self.here.island(Markup(''), self._act, classes='picking')

    def _show(self) -> None:
        self.bar.set(self._picking())
        super()._show()

    async def _begin(self, db: AsyncSession) -> None:
        await self._read_views(db)
        if not self.here.query and not self.here.path and (view := self._saved(str(self.begins_with))):
            self.here.query = _query_of(view)

    async def _read_views(self, db: AsyncSession) -> None:
        self.saved = await saved_views(db, self.by)
        self.begins_with = await default_view(db, self.by)

    async def _count_more(self, db: AsyncSession) -> None:
        self.saved_counts = {}
        for view in self.saved[:COUNTED]:
            where = self._where(view.query)
            if not where.words and where.group not in ('all', 'closed'):
                self.saved_counts[view.id] = await how_many(db, where)

    @property
    def works(self) -> bool:
        return self.here.visit.may(Permission.TICKETS_WORK)

    @property
    def is_held(self) -> bool:
        return self.is_attended or bool(self.picked)

    async def _woken(self) -> None:
        if self.run is None:  # else what comes is our own doing, and shown at its end
            await super()._woken()

    async def views_woken(self) -> None:
        """Saved views came, went or are called otherwise."""
        async with self.here.visit.work() as db:
            await self._read_views(db)
        await self._woken()

    # ---------- what is shown ----------

    def _more(self) -> dict[str, Any]:
        numbers = {number for number, _group in self.shown}
        return {
            'works': self.works, 'picked': {f'T-{number}' for number in self.picked}, 'all_picked': bool(numbers) and numbers <= self.picked,
        }  # fmt: skip

    def _picking(self) -> Markup:
        if self.run:
            run = self.run
            words = _('{done} of {most} tickets', done=run.done, most=len(run.numbers))
            return macro('progress')(words, run.done, len(run.numbers), actions=[Action(_('Stop'), act='bulk-stop')])
        if not self.picked:
            return Markup('')
        words = _n('{n} picked', '{n} picked', len(self.picked))
        if len(self.picked) >= MOST:
            words = _('{n} picked, the most at once', n=MOST)
        return macro('bulk')(
            words, [Action(_('Unpick'), act='unpick', kind='quiet')], menus=menus(self.by, self.choices),
            extra=macro('text_button')(_('Pick all that match'), act='pick-all') if len(self.picked) < MOST else '',
        )  # fmt: skip

    def _tabs(self) -> list[Tab]:
        tabs, on = super()._tabs(), self._current()
        if on:
            tabs = [Tab(tab.label, tab.href, tab.count) for tab in tabs]
        here = self.here
        return tabs + [
            Tab(view.name, here.url(self.spec.path, **_query_of(view)), count=self.saved_counts.get(view.id) or None,
                current=view is on, icon='users' if view.is_shared else 'star')
            for view in self.saved
        ]  # fmt: skip

    def _saved(self, view_id: str) -> SavedView | None:
        return next((view for view in self.saved if str(view.id) == view_id), None)

    def _current(self) -> SavedView | None:
        return self._saved(self.here.query.get('saved', ''))

    def _asked_for(self) -> dict[str, str]:
        return {k: v for k, v in self.here.query.items() if k in KEPT and k != 'saved' and v}

    def _menu(self) -> list[MenuItem]:
        view, items = self._current(), list[MenuItem]()
        if view and self._may_change(view):
            if self._asked_for() != view.query:
                items.append(MenuItem(_('Save the changes'), act='view-update', icon='check'))
            items.append(MenuItem(_('Name and sharing'), act='ask-change', icon='pencil'))
        if view:
            begins = view.id == self.begins_with
            items.append(MenuItem(_('Do not begin with it') if begins else _('Begin with this view'),
                                  act='view-end' if begins else 'view-begin', icon='star'))  # fmt: skip
        if self.here.visit.may(Permission.DESK_OWN):
            items.append(MenuItem(_('Save as a view'), act='ask-save', icon='plus', divided=bool(items)))
        if view and self._may_change(view):
            items.append(MenuItem(_('Delete the view'), act='ask-delete', icon='trash-2', danger=True))
        read = super()._menu()
        return items + [MenuItem(item.label, act=item.act, icon=item.icon, divided=bool(items)) for item in read]

    def _may_change(self, view: SavedView) -> bool:
        may = self.here.visit.may
        return may(Permission.DESK_TEAM) if view.is_shared else may(Permission.DESK_OWN) and view.owner_id == self.by.user_id

    def _ask_for(self, about: str, title: str, action: Action, **values: Any) -> None:
        """A dialog about the view, or about what is to be done with the picked ones."""
        given: dict[str, Any] = {'name': '', 'shared': False, 'error': '', 'words': '', 'failed': [], 'day': '', **values}
        self.asking.set(render(
            'staff/about_queue.html', about=about, title=title, may_share=self.here.visit.may(Permission.DESK_TEAM),
            actions=[Action(_('Cancel'), act='close', kind='quiet'), action] if about != 'failed' else [action], **given,
        ))  # fmt: skip
        self.dialog.open()

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
                                 words=what + (' ' + _('The people of each ticket get a letter.') if change.field == 'status' else ''))  # fmt: skip
        self.dialog.close()
        return await self._change(change)

    async def _change(self, change: Change) -> None:
        self.run = run = Run(change, sorted(self.picked))
        try:
            await run.go(self.here, self._progress)
        finally:
            self.run = None
        self.picked = {number for number, _why in run.failed} | set(run.numbers[run.done :])
        if self.island.is_deleted:
            return
        await self._again()
        self.here.say(_n('{n} ticket changed.', '{n} tickets changed.', run.changed))
        if run.failed:
            title = _n('{n} ticket could not be changed', '{n} tickets could not be changed', len(run.failed))
            self._ask_for('failed', title, Action(_('Close'), act='close', kind='primary'),
                          failed=[(f'T-{number}', self.here.url(f'/tickets/T-{number}'), why) for number, why in run.failed])  # fmt: skip

    async def _progress(self) -> None:
        """How far it is; the rows stay as they are meanwhile."""
        if not self.bar.is_deleted:
            self.bar.set(self._picking())

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

    # ---------- views of one's own ----------

    async def _about_view(self, act: Act) -> None:
        view = self._current()
        match act.name:
            case 'ask-save':
                self._ask_for('view-save', _('Save as a view'), self._submit(_('Save the view')))
            case 'view-save':
                await self._save(act)
            case _ if view is None:
                raise NotFound
            case 'ask-change':
                self._ask_for(
                    'view-change', _('Name and sharing'), self._submit(_('Save')), name=view.name, shared=view.is_shared
                )
            case 'view-change':
                await self._change_view(view, act)
            case 'ask-delete':
                action = Action(_('Delete the view'), act='view-delete', kind='danger')
                words = _('It is gone for the whole team.') if view.is_shared else _('The tickets stay as they are.')
                self._ask_for('delete', _('Delete “{name}”?', name=view.name), action, words=words)
            case 'view-delete':
                async with self.here.visit.work() as db:
                    await delete_view(db, self.by, view.id)
                self.dialog.close()
                self.here.say(_('“{name}” is deleted.', name=view.name))
                self.here.go(self.here.url(self.spec.path, view=VIEWS[0].key))
            case 'view-update':
                async with self.here.visit.work() as db:
                    await change_view(db, self.by, view.id, name=view.name, query=self._asked_for())
                    await self._read_views(db)
                self.here.say(_('“{name}” is saved.', name=view.name))
                await self._again()
            case 'view-begin' | 'view-end':
                async with self.here.visit.work() as db:
                    await begin_with(db, self.by, view.id if act.name == 'view-begin' else None)
                    await self._read_views(db)
                self.here.say(_('The queue begins with “{name}”.', name=view.name if self.begins_with else str(VIEWS[0].label)))
                await self._woken()
            case _:
                pass

    @staticmethod
    def _submit(words: str) -> Action:
        return Action(words, type='submit', kind='primary', attrs={'form': 'view-form'})

    async def _save(self, act: Act) -> None:
        name, shared = act.text('name'), 'shared' in act
        try:
            async with self.here.visit.work() as db:
                view = await save_view(db, self.by, name=name, query=self._asked_for(), shared=shared)
                await self._read_views(db)
        except Wrong as wrong:
            self._ask_for('view-save', _('Save as a view'), self._submit(_('Save the view')), name=name, shared=shared,
                          error=wrong.fields['name'])  # fmt: skip
            return
        self.dialog.close()
        self.here.address(replace=True, **{**self.here.query, 'saved': str(view.id)})
        await self._again()
        self.here.say(_('“{name}” is saved.', name=view.name))

    async def _change_view(self, view: SavedView, act: Act) -> None:
        name, shared = act.text('name'), 'shared' in act if self.here.visit.may(Permission.DESK_TEAM) else None
        try:
            async with self.here.visit.work() as db:
                await change_view(db, self.by, view.id, name=name, shared=shared)
                await self._read_views(db)
        except Wrong as wrong:
            self._ask_for('view-change', _('Name and sharing'), self._submit(_('Save')), name=name, shared=bool(shared),
                          error=wrong.fields['name'])  # fmt: skip
            return
        self.dialog.close()
        await self._again()


def _query_of(view: SavedView) -> dict[str, str]:
    """What is in the database came from somebody's address once."""
    return {k: v for k, v in view.query.items() if k in KEPT and isinstance(v, str)} | {'saved': str(view.id)}  # pyright: ignore


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
