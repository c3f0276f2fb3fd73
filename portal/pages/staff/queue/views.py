"""Views that staff have saved for themselves or for the team, above the queue."""

from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, MenuItem, Tab
from portal.domain.access import Permission
from portal.domain.base import NotFound, Wrong
from portal.domain.tickets.lists import how_many
from portal.domain.views import SavedView, begin_with, change_view, default_view, delete_view, save_view, saved_views
from portal.i18n import _
from portal.pages.screens import Here
from portal.pages.shared.lists import KEPT, ListSpec, TicketList

COUNTED = 12  # saved views with a number


class ViewedList(TicketList):
    """Views of one's own, and a dialog about them."""

    def __init__(self, spec: ListSpec, here: Here) -> None:
        super().__init__(spec, here)
        self.by = here.visit.by
        self.saved: list[SavedView] = []
        self.saved_counts: dict[UUID, int] = {}
        self.begins_with: UUID | None = None

    async def build(self) -> None:
        await super().build()
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = 'about-queue-title'
        with self.dialog:
            self.asking = self.here.island(Markup(''), self._act)

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

    async def views_woken(self) -> None:
        """Saved views came, went or are called otherwise."""
        async with self.here.visit.work() as db:
            await self._read_views(db)
        await self._woken()

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

    def _ask_for(self, about: str, title: str, action: Action, cancel: Action | None = None, **values: Any) -> None:
        """A dialog about the view, or about what is to be done with the picked ones."""
        given: dict[str, Any] = {
            'name': '',
            'shared': False,
            'error': '',
            'words': '',
            'failed': [],
            'waiting': [],
            'day': '',
            **values,
        }
        self.asking.set(render(
            'staff/about_queue.html', about=about, title=title, may_share=self.here.visit.may(Permission.DESK_TEAM),
            actions=[action] if about in ('failed', 'done') else [cancel or Action(_('Cancel'), act='close', kind='quiet'), action], **given,
        ))  # fmt: skip
        self.dialog.open()

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
                self.here.go(self.here.url(self.spec.path, view=self.spec.views[0].key))
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
                self.here.say(
                    _('The queue begins with “{name}”.', name=view.name if self.begins_with else str(self.spec.views[0].label))
                )
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
