"""What tickets are about: the tenant's list, its order, and what is not offered any more."""

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

from markupsafe import Markup
from sqlalchemy import func as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Column, MenuItem
from portal.domain.access import Permission
from portal.domain.base import NotFound, Wrong
from portal.domain.categories import (
    NAME_MOST,
    Category,
    add_category,
    archive_category,
    categories,
    move_category,
    rename_category,
    restore_category,
)
from portal.domain.tickets.model import OPEN_RANKS, Ticket
from portal.i18n import _
from portal.pages.screens import Here, Screen


async def _open_tickets(db: AsyncSession) -> dict[UUID | None, int]:
    """How many open tickets each category has."""
    counted = select(Ticket.category_id, sql.count()).where(col(Ticket.queue_rank) < OPEN_RANKS).group_by(col(Ticket.category_id))
    return dict(list(await db.exec(counted)))


class Categories:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.errors: dict[str, str] = {}
        self.name = ''  # of the one to be added, as typed
        self.renaming: UUID | None = None
        self.renamed_to = ''

    async def build(self) -> None:
        self.here.title(_('Categories'))
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        self.here.wakes(self._again, f'categories:{self.by.tenant.id}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.all = await categories(db, archived=True)
            self.open = await _open_tickets(db)

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        offered = [c for c in self.all if c.archived_at is None]
        return render(
            'staff/categories.html', here=self.here, offered=[(c, self.open.get(c.id, 0), self._menu()) for c in offered],
            archived=[c for c in self.all if c.archived_at is not None], columns=self._columns(), name=self.name,
            errors=self.errors, renaming=self.renaming, renamed_to=self.renamed_to, most=NAME_MOST,
            draft=f'add-category:{self.by.user_id}', add_actions=[Action(_('Add it'), type='submit', kind='primary')],
        )  # fmt: skip

    @staticmethod
    def _columns() -> list[Column]:
        return [
            Column(_('Order')),
            Column(_('Category')),
            Column(_('Open tickets'), right=True),
            Column(_('Actions'), unseen=True),
        ]

    @staticmethod
    def _menu() -> list[MenuItem]:
        return [
            MenuItem(_('Rename'), act='ask-name', icon='pencil'),
            MenuItem(_('Archive'), act='archive', icon='archive', hint=_('Tickets keep it'), divided=True),
        ]

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        self.errors = {}
        match act.name:
            case 'add':
                await self._add(act)
            case 'ask-name':
                category = self._category(act)
                self.renaming, self.renamed_to = category.id, category.name
                self.island.set(self._html())
            case 'rename':
                await self._rename(act)
            case 'stop':
                self.renaming = None
                self.island.set(self._html())
            case 'up' | 'down':
                category = self._category(act)
                await self._change(lambda db: move_category(db, self.by, category.id, -1 if act.name == 'up' else 1))
            case 'archive':
                category = self._category(act)
                await self._change(lambda db: archive_category(db, self.by, category.id))
                self.here.say(_('{name} is not offered any more; tickets keep it.', name=category.name))
            case 'restore':
                category = self._category(act)
                await self._change(lambda db: restore_category(db, self.by, category.id))
                self.here.say(_('{name} can be chosen again.', name=category.name))
            case _:
                pass

    def _category(self, act: Act) -> Category:
        """Of the row something was done to; raises NotFound."""
        category = next((c for c in self.all if str(c.id) == act.key), None)
        if category is None:
            raise NotFound
        return category

    async def _add(self, act: Act) -> None:
        self.name = act.text('name')
        try:
            async with self.here.visit.work() as db:
                await add_category(db, self.by, self.name)
        except Wrong as wrong:
            self.errors = wrong.fields
            return self.island.set(self._html())
        self.name = ''
        await self._again()
        return self.island.forget_draft(f'add-category:{self.by.user_id}')

    async def _rename(self, act: Act) -> None:
        category, self.renamed_to = self._category(act), act.text('to')
        try:
            async with self.here.visit.work() as db:
                await rename_category(db, self.by, category.id, self.renamed_to)
        except Wrong as wrong:
            self.errors = {'to': wrong.fields['name']}
            return self.island.set(self._html())
        self.renaming = None
        return await self._again()

    async def _change(self, verb: Callable[[AsyncSession], Awaitable[Any]]) -> None:
        async with self.here.visit.work() as db:
            await verb(db)
        await self._again()


async def categories_screen(here: Here) -> None:
    await Categories(here).build()


SCREENS = (Screen('/categories', categories_screen, Permission.TENANT_MANAGE, 'categories'),)
