"""The list of tickets, for both sides. Its state is the address: a link, back, reload and a shared address lead to the same.

A change by somebody else is shown where the list stands. While somebody is at it (the pointer or the focus in it, a row picked),
no row comes, goes or moves: what is shown is kept up to date, and a button says what else there is.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from markupsafe import Markup
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act, Island
from portal.components.render import render
from portal.components.values import Column, Filter, FilterOption, MenuItem, Tab, Text
from portal.domain.categories import categories
from portal.domain.tickets import (
    Counts,
    Cursor,
    Listing,
    Priority,
    Row,
    Status,
    Where,
    listing,
    mark_all_read,
    mark_unread,
    ticket_by_number,
)
from portal.domain.tickets.exporting import export_tickets
from portal.domain.tickets.lists import SORTS, Sort
from portal.domain.tickets.private import saw_private
from portal.domain.tickets.searching import Found, passages
from portal.domain.tickets.words import priority_words, status_words
from portal.i18n import _, _m, _n
from portal.pages.screens import Here
from portal.pages.shared.tickets import line, number_of

KEPT = ('view', 'q', 'status', 'priority', 'company', 'person', 'category', 'sort', 'saved')
FILTERS = ('status', 'priority', 'company', 'person', 'category')
NOBODY = 'none'  # in the address: who has it
MANY = 8  # options, from which on one can search among them


@dataclass(frozen=True)
class View:
    """A tab: what it is called, which tickets, in what order if none is asked for, and its count."""

    key: str
    label: Any
    where: Callable[[Here], Where]
    count: Callable[[Counts], int] | None = None


@dataclass(frozen=True)
class ListSpec:
    """What one side's list consists of."""

    template: str
    title: Any
    path: str
    views: tuple[View, ...]
    counts: Callable[[AsyncSession, Here], Awaitable[Counts]]
    topics: Callable[[Here], tuple[str, ...]]
    people: Callable[[AsyncSession], Awaitable[list[tuple[UUID, str]]]]  # to filter by; none: no such filter
    people_label: Any
    companies: Callable[[AsyncSession], Awaitable[list[tuple[UUID, str, str]]]] | None = None  # id, slug, name


@dataclass
class Choices:
    """What one can filter by: in the address, what it stands for, and what it is called."""

    status: list[tuple[str, Status, str]] = field(default_factory=list[Any])
    priority: list[tuple[str, Priority, str]] = field(default_factory=list[Any])
    company: list[tuple[str, UUID, str]] = field(default_factory=list[Any])
    person: list[tuple[str, UUID, str]] = field(default_factory=list[Any])
    category: list[tuple[str, UUID, str]] = field(default_factory=list[Any])


class TicketList:
    """An open list."""

    def __init__(self, spec: ListSpec, here: Here) -> None:
        self.spec, self.here, self.asked = spec, here, 0
        self.choices = Choices()
        self.counts: Counts | None = None
        self.listing: Listing | None = None
        self.shown: list[tuple[int, str]] = []  # the rows as they stand, each with the group it stands in
        self.is_attended, self.news = False, 0
        self.passages: dict[UUID, tuple[str, bool]] = {}
        self.note: Text = ''  # that something else than the words that were typed is shown

    async def build(self) -> None:
        self.here.title(str(self.spec.title))
        async with self.here.visit.work() as db:
            self.choices = await self._choices(db)
            await self._begin(db)
        await self._read()
        self.head = self.here.island(self._head(), self._act)
        self._build_between()
        self.island = self.here.island(self._list(), self._act)
        self.here.wakes(self._woken, *self.spec.topics(self.here))

    async def _begin(self, db: AsyncSession) -> None:
        """What a side reads once, before the list is asked for."""

    def _build_between(self) -> None:
        """What a side shows between the head and the rows."""

    async def _choices(self, db: AsyncSession) -> Choices:
        by = self.here.visit.by
        companies = await self.spec.companies(db) if self.spec.companies else []
        return Choices(
            status=[(s.value, s, status_words(s, by.side, by.tenant.short_name)) for s in Status],
            priority=[(p.value, p, priority_words(p)) for p in reversed(Priority)],
            company=[(slug, company, name) for company, slug, name in companies] if len(companies) > 1 else [],
            person=[(str(person), person, name) for person, name in await self.spec.people(db)],
            category=[(str(c.id), c.id, c.name) for c in await categories(db)],
        )

    # ---------- what the address asks for ----------

    @property
    def view(self) -> View:
        wanted = self.here.query.get('view')
        return next((v for v in self.spec.views if v.key == wanted), self.spec.views[0])

    @property
    def where(self) -> Where:
        """Nonsense in the address counts as not said."""
        return self._where(self.here.query)

    def _where(self, query: Mapping[str, str]) -> Where:
        view = next((v for v in self.spec.views if v.key == query.get('view')), self.spec.views[0])
        where = replace(view.where(self.here), inside=self.here.visit.by.is_staff)
        if query.get('sort', '') in self._sorts():
            where = replace(where, sort=_sort(query['sort']))
        if not self._names_view(query) and (query.get('q') or self._chosen('status', query)):
            where = replace(where, group='all')
        if query.get('q') and query.get('sort', '') not in self._sorts():
            where = replace(where, sort='best')
        where = replace(where, words=query.get('q', ''), **self._filtered(query))
        cursor = Cursor.parse(query.get('after', ''), where.sort) or Cursor.parse(
            query.get('before', ''), where.sort, backwards=True
        )
        return replace(where, cursor=cursor)

    def _names_view(self, query: Mapping[str, str]) -> bool:
        return any(v.key == query.get('view') for v in self.spec.views)

    def _sorts(self) -> tuple[str, ...]:
        staff = self.here.visit.by.is_staff
        return tuple(s for s in SORTS if s not in (('mine',) if staff else ('company', 'priority', 'due')))

    def _filtered(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Parts of a `Where`; a filter by person takes the place of what the view says of people."""
        columns = {'status': 'status', 'priority': 'priority', 'company': 'company_id', 'category': 'category_id'}
        found: dict[str, Any] = {
            column: tuple(chosen) for key, column in columns.items() if (chosen := self._chosen(key, query))
        }  # fmt: skip
        person = self._chosen('person', query)
        nobody = self.here.visit.by.is_staff and NOBODY in query.get('person', '').split(',')
        if person or nobody:
            found['assignee_id' if self.here.visit.by.is_staff else 'requester_id'] = tuple(person)
        return found | ({'unassigned': nobody} if person or nobody else {})

    def _chosen(self, key: str, query: Mapping[str, str]) -> list[Any]:
        words = query.get(key, '').split(',')
        return [value for word, value, _label in getattr(self.choices, key) if word in words]

    # ---------- reading ----------

    async def _ask(self) -> tuple[Listing, Counts] | None:
        """None if a later question overtook this answer."""
        self.asked += 1
        mine = self.asked
        async with self.here.visit.work() as db:
            found = await listing(db, self.where)
            texts = await passages(db, [row.id for row in found.rows], found.found.words) if found.found else {}
            counts = await self.spec.counts(db, self.here)
            await self._count_more(db)
            if self.here.visit.by.is_staff:
                await saw_private(db, self.here.visit.by.user_id, found.rows, 'search' if self.where.words else 'list')
        if mine != self.asked:
            return None
        self.passages, self.note = texts, search_note(found.found)
        return found, counts

    async def _count_more(self, db: AsyncSession) -> None:
        """What a side counts beside."""

    async def _read(self) -> bool:
        """False if a later question overtook this answer."""
        answer = await self._ask()
        if answer is None:
            return False
        self.listing, self.counts = answer
        self.news = 0
        return True

    async def _again(self) -> None:
        if await self._read():
            self._show()

    def _show(self) -> None:
        self.head.set(self._head())
        self.island.set(self._list())

    @property
    def is_held(self) -> bool:
        """Nothing may move."""
        return self.is_attended

    async def _woken(self) -> None:
        if not self.is_held or not self.shown:
            return await self._again()
        answer = await self._ask()
        if answer is None:
            return None
        found, self.counts = answer
        before, after = [number for number, _group in self.shown], [row.number for row in found.rows]
        self.news = len(set(before) ^ set(after)) or sum(b != a for b, a in zip(before, after, strict=True))
        self.listing = found if not self.news else replace(found, rows=await self._as_they_stand())
        return self._show()

    async def _as_they_stand(self) -> list[Row]:
        """The rows that are shown, in their order, as they are now. What is theirs no longer is left out."""
        numbers = [number for number, _group in self.shown]
        async with self.here.visit.work() as db:
            where = Where(group='all', number=tuple(numbers), inside=self.here.visit.by.is_staff)
            rows = {row.number: row for row in (await listing(db, where, most=len(numbers))).rows}
        return [rows[number] for number in numbers if number in rows]

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'search':
                words = act.text('q')[:200]
                if words != self.here.query.get('q', ''):
                    await self._go(q=words)
            case 'filter' if act.text('filter') in FILTERS:
                key = act.text('filter')
                await self._go(**{key: ','.join(act.all(key))[:250]})
            case 'attend':
                self.is_attended = True
            case 'leave':
                self.is_attended = False
                if self.news and not self.is_held:
                    await self._again()
            case 'refresh':
                await self._again()
            case 'all-read':
                async with self.here.visit.work() as db:
                    await mark_all_read(db, self.here.visit.by)
                await self._woken()
            case 'unread' if act.key:
                async with self.here.visit.work() as db:
                    await mark_unread(db, self.here.visit.by, await ticket_by_number(db, number_of(act.key)))
                await self._woken()
            case 'export-csv' | 'export-xlsx':
                await self._export(act.name.removeprefix('export-'))
            case _:
                pass

    async def _go(self, **changes: str) -> None:
        """The same list asks for something else now, from its beginning."""
        kept = {k: v for k, v in self.here.query.items() if k in KEPT}
        self.here.address(replace=True, **{**kept, **changes})
        await self._again()

    async def _export(self, kind: str) -> None:
        async with self.here.visit.work() as db:
            export = await export_tickets(db, self.here.visit.by, self.where, kind)
        if export.ready_at:
            self.here.stage.download(self.here.url(f'/exports/{export.id}/file'))
            self.here.say(_('{file} is being downloaded. It is kept under Exports.', file=export.filename))
        else:
            self.here.say(_('This takes a moment. You can leave; the bell tells when the file is ready.'))
            self.here.go(self.here.url('/exports'))

    def _link(self, **changes: str | None) -> str:
        kept: dict[str, str | None] = {k: v for k, v in self.here.query.items() if k in KEPT}
        return self.here.url(self.spec.path, **{**kept, **changes})

    # ---------- what is shown ----------

    @property
    def is_filtered(self) -> bool:
        return any(self.here.query.get(key) for key in ('q', *FILTERS))

    def _head(self) -> Markup:
        query = self.here.query
        return render(
            'shared/list_head.html', title=str(self.spec.title), tabs=self._tabs(), filters=self._filters(), query=query.get('q', ''),
            action=self.here.url(self.spec.path), keep={k: v for k, v in query.items() if k in KEPT and k != 'q'},
            menu=self._menu(), exports=self._exports(), sorts=self._sort_menu(), search_note=self.note, clear=self.here.url(self.spec.path, view=query.get('view')) if self.is_filtered else '',
        )  # fmt: skip

    def _menu(self) -> list[MenuItem]:
        assert self.counts
        if not self.counts.unread or self.here.visit.viewing:
            return []
        return [MenuItem(_('Mark all as read'), act='all-read', icon='check')]

    def _list(self) -> Markup:
        assert self.listing
        found, query, here = self.listing, self.here.query, self.here
        self.listing = None  # an open page keeps what it shows, not the rows it was made from
        groups = dict(self.shown) if self.news else {}
        words, passages = found.found.words if found.found else '', self.passages
        lines = [line(row, here.visit, sort=found.sort, words=words, passage=passages.get(row.id)) for row in found.rows]
        lines = [replace(each, group=groups.get(row.number, each.group)) for each, row in zip(lines, found.rows, strict=True)]
        self.shown = [(row.number, each.group) for each, row in zip(lines, found.rows, strict=True)]
        return render(
            self.spec.template, title=str(self.spec.title), here=here, lines=lines, columns=self._columns(found.sort),
            sort=found.sort, newer=self._link(before=found.newer.text()) if found.newer else '',
            older=self._link(after=found.older.text()) if found.older else '', words=self._words(found), filtered=self.is_filtered,
            clear=here.url(self.spec.path, view=query.get('view')), view=self.view.key, new_href=here.url('/tickets/new'),
            news=_n('{n} change: show it', '{n} changes: show them', self.news) if self.news else '', **self._more(),
        )  # fmt: skip

    def _exports(self) -> list[MenuItem]:
        if self.here.visit.viewing:
            return []
        return [
            MenuItem(_('Excel'), act='export-xlsx', icon='file-spreadsheet'),
            MenuItem(_('CSV'), act='export-csv', icon='file-text'),
            MenuItem(_('Your exports'), href=self.here.url('/exports'), icon='download', divided=True),
        ]

    def _more(self) -> dict[str, Any]:
        """What a side's template needs beside."""
        return {}

    def _tabs(self) -> list[Tab]:
        assert self.counts
        query = self.here.query
        anywhere = not self._names_view(query) and bool(query.get('q') or query.get('status'))
        tabs = [
            Tab(str(v.label), self.here.url(self.spec.path, view=v.key, q=query.get('q')),
                count=(v.count(self.counts) or None) if v.count else None, current=v is self.view and not anywhere)
            for v in self.spec.views
        ]  # fmt: skip
        if anywhere:
            tabs.append(Tab(_('Found everywhere'), self._link(), current=True))
        return tabs

    def _filters(self) -> list[Filter]:
        nobody = [(NOBODY, None, _('Nobody'))] if self.here.visit.by.is_staff else []
        filters = [
            self._filter('company', _('Company'), self.choices.company),
            self._filter('status', _('Status'), self.choices.status),
            self._filter('person', str(self.spec.people_label), nobody + self.choices.person if self.choices.person else []),
            self._filter('priority', _('Priority'), self.choices.priority),
            self._filter('category', _('Category'), self.choices.category),
        ]
        return [f for f in filters if f.options]

    def _filter(self, key: str, label: str, options: Iterable[tuple[str, Any, str]]) -> Filter:
        chosen = self.here.query.get(key, '').split(',')
        shown = tuple(FilterOption(words, value=word, current=word in chosen) for word, _value, words in options)
        on = [str(option.label) for option in shown if option.current]
        return Filter(
            key, label, shown, chosen=on[0] if len(on) == 1 else _('{n} chosen', n=len(on)) if on else '',
            clear_href=self._link(**{key: None}) if on else '', act='filter', searchable=len(shown) > MANY,
        )  # fmt: skip

    def _sort_menu(self) -> list[MenuItem]:
        """For where there is no room for heads that sort."""
        sorts: tuple[Sort, ...] = ('turn', 'priority', 'company', '-changed', 'changed', '-number', 'number')
        if not self.here.visit.by.is_staff:
            sorts = ('-changed', 'changed', 'mine', '-number', 'number')
        now = self.where.sort
        return [MenuItem(_begin_large(_order(s)), href=self._link(sort=s), current=s == now) for s in sorts]

    def _columns(self, sort: Sort) -> dict[str, Column]:
        """By key: each with the link that sorts by it, or turns the order round."""

        def column(key: str, label: str, first: str, **more: Any) -> Column:
            now = {key: 'ascending', f'-{key}': 'descending'}.get(sort, '')
            to = (key if sort.startswith('-') else f'-{key}') if now and first.startswith('-') else first
            return Column(label, href=self._link(sort=to), sorted=now, **more)

        staff = self.here.visit.by.is_staff
        turn = 'turn' if staff else 'mine'
        return {
            'number': column('number', _('Ticket') if staff else _('Subject'), '-number'),
            'turn': column(turn, _('Whose turn'), turn),
            'priority': column('priority', _('Priority'), 'priority'),
            'changed': column('changed', _('Changed'), '-changed', right=True, classes='less' if staff else ''),
        }

    def _words(self, found: Listing) -> str:
        n, order = len(found.rows), _order(found.sort)
        shown = _n('{n} ticket, {order}', '{n} tickets, {order}', n, order=order)
        if found.newer or found.older:
            shown = _n('{n} ticket on this page, {order}', '{n} tickets on this page, {order}', n, order=order)
        return (
            shown
            if not (found.found and found.found.at_most)
            else shown + ' · ' + _('only the newest matches are looked through')
        )


def _order(sort: Sort) -> str:
    return {
        '-changed': _('newest change first'), 'changed': _('oldest change first'), 'number': _('oldest first'),
        '-number': _('newest first'), 'turn': _('by whose turn it is'), 'mine': _('your turn first'), 'company': _('by company'),
        'priority': _('by priority'), 'due': _('by the day they are due'), 'best': _('best match first'),
    }[sort]  # fmt: skip


def _begin_large(words: str) -> str:
    return words[:1].upper() + words[1:]


def search_note(found: Found | None) -> Text:
    """That something else than the words that were typed is shown."""
    if found is None or not found.ids or found.how == 'all':
        return ''
    if found.how == 'alike':
        return _m('Showing results for <b>{words}</b>.', words=found.words)
    return _('No ticket has all of these words. These have some of them.')


def _sort(word: str) -> Sort:
    return next(s for s in SORTS if s == word)


__all__ = ['Island', 'ListSpec', 'TicketList', 'View']
