"""The audit log as a screen: staff see their tenant's, a client admin what concerns the company."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from markupsafe import Markup
from sqlalchemy import func as sql
from sqlmodel import select

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Column, Filter, FilterOption, MenuItem
from portal.domain.access import need_fresh
from portal.domain.audit import Audit
from portal.domain.people import Company, User
from portal.domain.trail import KINDS, Asked, Cursor, sealed, trail
from portal.domain.trail_words import changes, facts, note, sentence
from portal.i18n import _, clock, day, local, now
from portal.pages.screens import Here

MOST_CHOICES = 200
_NAMES = ('person', 'kind', 'company', 'days', 'q')


@dataclass(frozen=True, slots=True)
class Shown:
    """A line as it is shown. `ticket_href` and `href` only where whoever reads may follow them."""

    id: UUID
    at: datetime
    time: str
    who: str
    who_note: str
    what: str
    href: str
    note: str
    company: str
    network: str
    changes: list[tuple[str, str, str]]
    facts: list[tuple[str, str]]
    is_open: bool


def asked_in(query: dict[str, str]) -> Asked:
    """What the address asks for; what cannot be understood asks for nothing."""
    days = query.get('days', '')
    since = None
    if days in ('0', '7', '30', '365'):
        since = local(now()).date() - timedelta(days=int(days))
    return Asked(
        person=_uuid(query.get('person')), kind=query.get('kind', ''), company=_uuid(query.get('company')), since=since,
        until=_date(query.get('until')), words=query.get('q', '')[:100], older=_cursor(query.get('older')), newer=_cursor(query.get('newer')),
    )  # fmt: skip


def _uuid(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _date(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _cursor(text: str | None) -> Cursor | None:
    moment, _sep, id_ = (text or '').partition('_')
    found = _uuid(id_)
    try:
        return (datetime.fromtimestamp(int(moment) / 1_000_000, UTC), found) if found else None
    except (ValueError, OverflowError, OSError):
        return None


def cursor_words(cursor: Cursor) -> str:
    at = cursor[0] - datetime(1970, 1, 1, tzinfo=UTC)
    return f'{at // timedelta(microseconds=1)}_{cursor[1]}'


class TrailPage:
    path, label = '/audit', ''

    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.opened: set[str] = set()

    async def build(self) -> None:
        self._title()
        self.here.set_primary(None)
        self.island = self.here.island(await self._html(), self._act)

    def _title(self) -> None:
        self.here.title(_('Audit log'))

    # ---------- what is shown ----------

    async def _html(self) -> Markup:
        staff, query = self.by.is_staff, self.here.query
        async with self.here.visit.work() as db:
            self.trail = await trail(db, self.by, asked_in(query))
            self.chain = await sealed(db) if staff else None
            people = select(User.id, User.name).order_by(sql.lower(User.name)).limit(MOST_CHOICES)
            self.people = [(str(id_), name) for id_, name in await db.exec(people)]
            self.companies = []
            if staff:
                companies = select(Company.id, Company.name).order_by(sql.lower(Company.name)).limit(MOST_CHOICES)
                self.companies = [(str(id_), name) for id_, name in await db.exec(companies)]
            await self._read_more(db)
        found = self.trail
        return render(
            'shared/trail.html', here=self.here, staff=staff, lines=[self._shown(line) for line in found.lines], columns=self._columns(),
            filters=self._filters(), query=query, keep={k: v for k, v in query.items() if k in _NAMES and k != 'q'},
            clear=self.here.url(self.path) if any(query.get(name) for name in _NAMES) else '', path=self.here.url(self.path),
            older=self._link(older=cursor_words(found.older)) if found.older else '',
            newer=self._link(newer=cursor_words(found.newer)) if found.newer else '', chain=self.chain, exports=self._exports(),
            **self._more(),
        )  # fmt: skip

    async def _read_more(self, db: Any) -> None:
        """What else the screen of a side shows."""

    def _more(self) -> dict[str, Any]:
        return {'retention': None}

    def _columns(self) -> list[Column]:
        shared = [Column(_('When')), Column(_('Who')), Column(_('Did what'))]
        if self.by.is_staff:
            shared += [Column(_('Company'), wide=True), Column(_('From'), wide=True)]
        return [*shared, Column(_('Details'), unseen=True)]

    def _shown(self, line: Audit) -> Shown:
        found, staff = self.trail, self.by.is_staff
        who = found.people.get(line.actor_id) if line.actor_id else None
        company = found.companies.get(line.company_id) if line.company_id else None
        today = local(line.at).date() == local(now()).date()
        return Shown(
            line.id, line.at, clock(line.at) if today else f'{day(line.at)}, {clock(line.at)}',
            who.name if who else _('Portal') if line.actor_id is None else _('somebody'),
            self._note_of(line, who), sentence(line, found), self._href(line), note(line), company.name if company else '',
            line.network or '' if staff else '', changes(line, found), self._facts(line), str(line.id) in self.opened,
        )  # fmt: skip

    def _note_of(self, line: Audit, who: User | None) -> str:
        msp = self.by.tenant.short_name
        if line.as_user_id:
            return _('as {name}', name=self.trail.name(line.as_user_id) or _('somebody'))
        if who is None:
            return ''
        return (_('staff') if self.by.is_staff else msp) if who.user_type == 'internal' else ''

    def _facts(self, line: Audit) -> list[tuple[str, str]]:
        told = facts(line, staff=self.by.is_staff)
        if self.by.is_staff:
            told.append((_('Action'), line.action))
            if line.session:
                told.append((_('Session'), str(line.session)[:8]))
        return told

    def _href(self, line: Audit) -> str:
        ticket = _uuid(str(line.detail.get('ticket') or '')) or line.subject_id
        if ticket and ticket in self.trail.tickets:
            return self.here.url(f'/tickets/T-{self.trail.tickets[ticket]}')
        about = self.trail.people.get(line.subject_id) if line.subject_id and self.by.is_staff else None
        return self.here.url(f'/people/{about.id}') if about and about.user_type == 'client' else ''

    # ---------- what is asked for ----------

    def _link(self, **change: str) -> str:
        kept = {name: value for name, value in self.here.query.items() if name in _NAMES}
        return self.here.url(self.path, **{**kept, **change})

    def _filters(self) -> list[Filter]:
        query = self.here.query
        days = [('0', _('Today')), ('7', _('7 days')), ('30', _('30 days')), ('365', _('A year'))]
        found = [self._filter('days', _('Since'), days)]
        found.append(self._filter('person', _('Person'), self.people, searchable=True))
        found.append(
            self._filter(
                'kind',
                _('What'),
                [(key, str(label)) for key, (label, _s) in KINDS.items() if self.by.is_staff or key != 'settings'],
            )
        )
        if self.companies:
            found.append(self._filter('company', _('Company'), self.companies, searchable=True))
        return [f for f in found if f.options or query.get(f.key)]

    def _filter(self, key: str, label: str, options: list[tuple[str, str]], *, searchable: bool = False) -> Filter:
        chosen = self.here.query.get(key, '')
        words = dict(options).get(chosen, '')
        return Filter(
            key, label, tuple(FilterOption(name, self._link(**{key: value}), current=value == chosen) for value, name in options),
            chosen=words, clear_href=self._link(**{key: ''}) if words else '', searchable=searchable,
        )  # fmt: skip

    def _exports(self) -> list[MenuItem]:
        if self.here.visit.viewing:
            return []
        return [
            MenuItem(_('Excel'), act='export-xlsx', icon='file-spreadsheet'),
            MenuItem(_('CSV'), act='export-csv', icon='file-text'),
        ]

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'unfold' if act.key:
                self.opened ^= {act.key}
                self.island.set(await self._html())
            case 'search':
                kept = {name: value for name, value in self.here.query.items() if name in _NAMES}
                self.here.address(replace=True, **{**kept, 'q': act.text('q')})
                self.island.set(await self._html())
            case 'export-csv' | 'export-xlsx':
                async with self.here.visit.work() as db:
                    await need_fresh(db)
                kept = {name: value for name, value in self.here.query.items() if name in _NAMES}
                self.here.stage.download(self.here.url(f'{self.path}/export.{act.name.removeprefix("export-")}', **kept))
            case _:
                await self._own_act(act)

    async def _own_act(self, act: Act) -> None:
        """Of one side alone."""
