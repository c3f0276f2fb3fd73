"""The list of tickets, for both sides. Its state is the address: a link, back, reload and a shared address lead to the same."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from portal.components.island import Act, Island
from portal.components.render import render
from portal.components.values import Column, Filter, FilterOption, MenuItem, Tab, Text
from portal.domain.tickets import Counts, Cursor, Listing, Priority, Status, Where, listing
from portal.domain.tickets.exporting import export_tickets
from portal.domain.tickets.lists import SORTS, Sort
from portal.domain.tickets.searching import Found, passages
from portal.domain.tickets.words import priority_words, status_words
from portal.i18n import _, _m, _n
from portal.pages.screens import Here
from portal.pages.shared.tickets import Line, line

KEPT = ('view', 'q', 'status', 'priority', 'company', 'person', 'sort')


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
    counts: Callable[[Any, Here], Awaitable[Counts]]
    topics: Callable[[Here], tuple[str, ...]]
    companies: Callable[[Any], Awaitable[list[tuple[UUID, str, str]]]] | None = None  # id, slug, name


class TicketList:
    """An open list."""

    def __init__(self, spec: ListSpec, here: Here) -> None:
        self.spec, self.here, self.asked = spec, here, 0
        self.companies: list[tuple[UUID, str, str]] = []
        self.counts: Counts | None = None
        self.listing: Listing | None = None
        self.passages: dict[UUID, tuple[str, bool]] = {}

    async def build(self) -> None:
        self.here.title(str(self.spec.title))
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        self.here.wakes(self._again, *self.spec.topics(self.here))

    @property
    def view(self) -> View:
        wanted = self.here.query.get('view')
        return next((v for v in self.spec.views if v.key == wanted), self.spec.views[0])

    @property
    def where(self) -> Where:
        """What the address asks for; nonsense in it counts as not said."""
        query, where = self.here.query, self.view.where(self.here)
        if query.get('sort') in SORTS:
            where = replace(where, sort=_sort(query['sort']))
        if query.get('q'):
            where = replace(where, words=query['q'], group='all' if 'view' not in query else where.group,
                            sort=where.sort if query.get('sort') in SORTS else 'best')  # fmt: skip
        if query.get('status') in set(Status):
            where = replace(where, status=Status(query['status']), group='all' if 'view' not in query else where.group)
        if query.get('priority') in set(Priority):
            where = replace(where, priority=Priority(query['priority']))
        if company := next((c for c in self.companies if c[1] == query.get('company')), None):
            where = replace(where, company_id=company[0])
        cursor = Cursor.parse(query.get('after', ''), where.sort) or Cursor.parse(
            query.get('before', ''), where.sort, backwards=True
        )
        return replace(where, cursor=cursor)

    async def _read(self) -> bool:
        """False if a later question overtook this answer."""
        self.asked += 1
        mine = self.asked
        async with self.here.visit.work() as db:
            if self.spec.companies and not self.companies:
                self.companies = await self.spec.companies(db)
            found = await listing(db, self.where)
            texts = await passages(db, [row.id for row in found.rows], found.found.words) if found.found else {}
            counts = await self.spec.counts(db, self.here)
        if mine != self.asked:
            return False
        self.listing, self.counts, self.passages = found, counts, texts
        return True

    async def _again(self) -> None:
        if await self._read():
            self.island.set(self._html())

    async def _act(self, act: Act) -> None:
        if act.name == 'search':
            words = act.text('q')[:200]
            if words == self.here.query.get('q', ''):
                return
            kept = {k: v for k, v in self.here.query.items() if k in KEPT and k != 'q'}
            self.here.address(replace=True, **kept, q=words)
            await self._again()
        elif act.name in ('export-csv', 'export-xlsx'):
            await self._export(act.name.removeprefix('export-'))

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

    def _html(self) -> Any:
        assert self.listing
        found, query, here = self.listing, self.here.query, self.here
        self.listing = None  # an open page keeps what it shows, not the rows it was made from
        filtered = any(query.get(k) for k in ('q', 'status', 'priority', 'company', 'person'))
        searching = bool(query.get('q'))
        return render(
            self.spec.template, title=str(self.spec.title), here=here, tabs=self._tabs(searching), filters=self._filters(),
            query=query.get('q', ''), action=here.url(self.spec.path), lines=self._lines(found), search_note=search_note(found.found),
            rows=found.rows, columns=self._columns(found.sort), sort=found.sort,
            newer=self._link(before=found.newer.text()) if found.newer else '',
            older=self._link(after=found.older.text()) if found.older else '',
            words=self._words(found), filtered=filtered, clear=here.url(self.spec.path, view=query.get('view')), view=self.view.key,
            new_href=here.url('/tickets/new'), exports=self._exports(), keep={k: v for k, v in query.items() if k in KEPT and k != 'q'},
        )  # fmt: skip

    def _exports(self) -> list[MenuItem]:
        return [
            MenuItem(_('Excel'), act='export-xlsx', icon='file-spreadsheet'),
            MenuItem(_('CSV'), act='export-csv', icon='file-text'),
            MenuItem(_('Your exports'), href=self.here.url('/exports'), icon='download', divided=True),
        ]

    def _lines(self, found: Listing) -> list[Line]:
        words, texts = found.found.words if found.found else '', self.passages
        self.passages = {}
        return [line(row, self.here.visit, words, texts.get(row.id)) for row in found.rows]

    def _tabs(self, searching: bool) -> list[Tab]:
        assert self.counts
        anywhere = 'view' not in self.here.query and (searching or self.here.query.get('status'))
        tabs = [
            Tab(str(v.label), self._link(view=v.key, status=None, sort=None),
                count=(v.count(self.counts) or None) if v.count else None, current=v is self.view and not anywhere)
            for v in self.spec.views
        ]  # fmt: skip
        if anywhere:
            tabs.append(Tab(_('Found everywhere'), self._link(), current=True))
        return tabs

    def _filters(self) -> list[Filter]:
        by = self.here.visit.by
        filters = [
            self._filter('status', _('Status'), [(s.value, status_words(s, by.side, by.tenant.short_name)) for s in Status]),
            self._filter('priority', _('Priority'), [(p.value, priority_words(p)) for p in reversed(Priority)]),
        ]
        if len(self.companies) > 1:
            filters.insert(0, self._filter('company', _('Company'), [(slug, name) for _id, slug, name in self.companies]))
        return filters

    def _filter(self, key: str, label: str, options: list[tuple[str, str]]) -> Filter:
        chosen = self.here.query.get(key)
        words = dict(options).get(chosen or '', '')
        return Filter(
            key, label, tuple(FilterOption(w, self._link(**{key: value}), current=value == chosen) for value, w in options),
            chosen=words, clear_href=self._link(**{key: None}) if words else '',
        )  # fmt: skip

    def _columns(self, sort: Sort) -> dict[str, Column]:
        """By key: each with the link that sorts by it, or turns the order round."""

        def column(key: str, label: str, first: str, **more: Any) -> Column:
            now = {key: 'ascending', f'-{key}': 'descending'}.get(sort, '')
            to = (key if sort.startswith('-') else f'-{key}') if now else first
            return Column(label, href=self._link(sort=to), sorted=now, **more)

        return {
            'number': column('number', _('Ticket') if self.here.visit.by.is_staff else _('Subject'), '-number'),
            'turn': column('turn', _('Whose turn'), 'turn'),
            'changed': column('changed', _('Changed'), '-changed', right=True),
        }

    def _words(self, found: Listing) -> str:
        order = {
            '-changed': _('newest change first'), 'changed': _('oldest change first'), 'number': _('oldest first'),
            '-number': _('newest first'), 'turn': _('by whose turn it is'), 'best': _('best match first'),
        }[found.sort]  # fmt: skip
        shown = _n('{n} ticket, {order}', '{n} tickets, {order}', len(found.rows), order=order)
        return (
            shown
            if not (found.found and found.found.at_most)
            else shown + ' · ' + _('only the newest matches are looked through')
        )


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
