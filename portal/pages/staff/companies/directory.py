"""All companies by name, with what waits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from markupsafe import Markup
from sqlalchemy import ColumnElement, exists, literal, or_, tuple_
from sqlalchemy import func as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from portal.components.frame import Primary
from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Column, Filter, FilterOption
from portal.domain.access import Permission
from portal.domain.people import Company, Membership, User
from portal.domain.reviews import overdue
from portal.domain.tickets import Ticket
from portal.domain.tickets.model import OPEN_RANKS
from portal.i18n import _, _n
from portal.pages.screens import Here

PAGE = 50
SORTS = ('name', '-name', '-open', '-people')
SHOWS = ('active', 'archived', 'all')


@dataclass(frozen=True, slots=True)
class Line:
    """A company in the list, with what waits."""

    slug: str
    name: str
    people: int
    open: int
    ours: int  # open, and the MSP acts
    theirs: int  # open, and the client acts
    archived: bool = False
    late: bool = False  # with the answer who still works there


@dataclass(frozen=True, slots=True)
class Found:
    """A page by name. `before` and `after` are slugs: where the pages on either side begin."""

    lines: list[Line]
    total: int
    before: str = ''
    after: str = ''


def _named(words: str, show: str) -> SelectOfScalar[Company]:
    """Companies of these words: in their name, reference or city, or in name or address of somebody there (whoever calls says
    theirs)."""
    query = select(Company)
    if show != 'all':
        archived = col(Company.archived_at)
        query = query.where(archived.is_(None) if show == 'active' else archived.is_not(None))
    if not words:
        return query
    somebody = exists().where(
        col(Membership.company_id) == Company.id, col(Membership.ended_at).is_(None), col(Membership.user_id) == User.id,
        or_(col(User.name).icontains(words, autoescape=True), col(User.email).icontains(words, autoescape=True)),
    )  # fmt: skip
    own = (col(column).icontains(words, autoescape=True) for column in (Company.name, Company.outside_ref, Company.city))
    return query.where(or_(*own, somebody))


def is_slug(word: str) -> bool:
    """What comes from an address may be anything, also what no database can look for."""
    return re.fullmatch(r'[a-z0-9-]{1,60}', word) is not None


def _place(query: Mapping[str, str], name: str) -> str:
    return query[name] if is_slug(query.get(name, '')) else ''


def _key(sort: str) -> ColumnElement[Any]:
    """What a list is sorted by first, always downwards; by name it is nothing."""
    match sort:
        case '-open':
            open_ones = select(sql.count()).where(
                Ticket.company_id == Company.id, col(Ticket.queue_rank) < literal(OPEN_RANKS, literal_execute=True)
            )
            return open_ones.correlate(Company).scalar_subquery()
        case '-people':
            there = (
                select(sql.count())
                .join(User, col(User.id) == Membership.user_id)
                .where(Membership.company_id == Company.id, col(Membership.ended_at).is_(None), col(User.disabled_at).is_(None))
            )
            return there.select_from(Membership).correlate(Company).scalar_subquery()
        case _:
            return literal(0)


async def _found(
    db: AsyncSession, words: str, *, show: str = 'active', sort: str = 'name', after: str = '', before: str = ''
) -> Found:  # fmt: skip
    """A place that is not there (any more) counts as the beginning."""
    edge = (await db.exec(select(Company).where(Company.slug == (after or before)))).first() if after or before else None
    backwards = bool(before and not after and edge)
    # a row of values, all in the same direction, so that one comparison finds the place
    first, turned = _key(sort), sort == '-name'
    by_name = (-first, sql.lower(Company.name), col(Company.id))
    query = _named(words, show)
    total = (await db.exec(select(sql.count()).select_from(query.subquery()))).one()
    upwards = backwards == turned
    if edge:
        at = (await db.exec(select(*by_name).where(Company.id == edge.id))).one()
        key, place = tuple_(*by_name), tuple_(*(literal(value) for value in at))
        query = query.where(key > place if upwards else key < place)
    query = query.order_by(*(c if upwards else c.desc() for c in by_name)).limit(PAGE + 1)
    rows = list(await db.exec(query))
    more, rows = len(rows) > PAGE, rows[:PAGE]
    if backwards:
        rows.reverse()
    lines = await _with_counts(db, rows)
    return Found(
        lines, total, before=rows[0].slug if rows and (more if backwards else edge) else '',
        after=rows[-1].slug if rows and (backwards or more) else '',
    )  # fmt: skip


async def _with_counts(db: AsyncSession, companies: list[Company]) -> list[Line]:
    ids = [c.id for c in companies]
    there = (
        select(Membership.company_id, sql.count())
        .join(User, col(User.id) == Membership.user_id)
        .where(col(Membership.company_id).in_(ids), col(Membership.ended_at).is_(None), col(User.disabled_at).is_(None))
        .group_by(col(Membership.company_id))
    )
    rank = col(Ticket.queue_rank)
    waiting = (
        select(Ticket.company_id, sql.count(), sql.count().filter(rank < 10), sql.count().filter(rank >= 20))
        # written into the statement, not bound: only then the index of open tickets serves
        .where(col(Ticket.company_id).in_(ids), rank < literal(OPEN_RANKS, literal_execute=True))
        .group_by(col(Ticket.company_id))
    )
    people: dict[UUID, int] = dict(list(await db.exec(there)))
    tickets = {company: numbers for company, *numbers in await db.exec(waiting)}
    late = await overdue(db)
    return [
        Line(
            c.slug,
            c.name,
            people.get(c.id, 0),
            *tickets.get(c.id, (0, 0, 0)),
            archived=c.archived_at is not None,
            late=c.id in late and c.archived_at is None,
        )
        for c in companies
    ]


class Companies:
    def __init__(self, here: Here) -> None:
        self.here, self.manages, self.asked = here, here.visit.may(Permission.COMPANIES_MANAGE), 0

    async def build(self) -> None:
        self.here.title(_('Companies'))
        if self.manages:
            self.here.set_primary(Primary(_('New company'), href=self.here.url('/companies/new'), icon='plus'))
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        tenant = self.here.visit.by.tenant.id
        self.here.wakes(self._again, f'companies:{tenant}', f'queue:{tenant}')

    @property
    def words(self) -> str:
        return ' '.join(self.here.query.get('q', '').replace('\x00', '').split())

    @property
    def show(self) -> str:
        asked = self.here.query.get('show', '')
        return asked if asked in SHOWS else 'active'

    @property
    def sort(self) -> str:
        asked = self.here.query.get('sort', '')
        return asked if asked in SORTS else 'name'

    def _link(self, **more: str | None) -> str:
        kept = {name: self.here.query.get(name) for name in ('q', 'show', 'sort')}
        return self.here.url('/companies', **{**kept, **more})

    async def _read(self) -> bool:
        """False if a later question overtook this answer."""
        self.asked += 1
        mine, query = self.asked, self.here.query
        async with self.here.visit.work() as db:
            found = await _found(
                db, self.words, show=self.show, sort=self.sort, after=_place(query, 'after'), before=_place(query, 'before')
            )
        if mine == self.asked:
            self.found = found
        return mine == self.asked

    async def _again(self) -> None:
        if await self._read():
            self.island.set(self._html())

    async def _act(self, act: Act) -> None:
        if act.name == 'search' and (words := act.text('q')[:200]) != self.here.query.get('q', ''):
            self.here.address(replace=True, q=words, show=self.here.query.get('show'), sort=self.here.query.get('sort'))
            await self._again()

    def _html(self) -> Markup:
        found, here, words = self.found, self.here, self.words
        new = Action(_('New company'), href=here.url('/companies/new'), kind='primary', icon='plus')
        return render(
            'staff/companies.html', here=here, query=here.query.get('q', ''), words=words, found=found,
            lines=[(line, _turn(line)) for line in found.lines], columns=self._columns(),
            before=self._link(before=found.before) if found.before else '',
            after=self._link(after=found.after) if found.after else '',
            first_step=[new, Action(_('Import a list'), href=here.url('/import'), icon='upload')] if self.manages else [],
            manages=self.manages, filters=[self._filter()], filtered=bool(words) or self.show != 'active',
            keep={name: value for name, value in (('show', here.query.get('show')), ('sort', here.query.get('sort'))) if value},
        )  # fmt: skip

    def _columns(self) -> list[Column]:
        def column(label: str, key: str, down: bool, **more: Any) -> Column:
            now = {key: 'ascending', f'-{key}': 'descending'}.get(self.sort, '')
            to = f'-{key}' if down or now == 'ascending' else key
            return Column(label, href=self._link(sort='' if to == 'name' else to), sorted=now, **more)

        return [
            column(_('Company'), 'name', False), Column(_('Whose turn')), column(_('Open tickets'), 'open', True, right=True),
            column(_('People'), 'people', True, right=True),
        ]  # fmt: skip

    def _filter(self) -> Filter:
        words = {'active': _('Looked after'), 'archived': _('Archived'), 'all': _('All')}
        options = tuple(
            FilterOption(label, self._link(show='' if key == 'active' else key), current=key == self.show)
            for key, label in words.items()
        )
        on = self.show != 'active'
        return Filter(
            'show', _('State'), options, chosen=words[self.show] if on else '', clear_href=self._link(show='') if on else ''
        )


def _turn(line: Line) -> Markup:
    """The most urgent of what is open, from the staff's side."""
    mark = macro('turn')
    if line.archived:
        return macro('state')(_('Archived'), icon_name='archive')
    if line.ours:
        return mark('msp', _n('{n} waits for us', '{n} wait for us', line.ours), mine=True)
    if line.theirs:
        return mark('client', _n('{n} waits for them', '{n} wait for them', line.theirs))
    if line.open:
        return mark('away', _('With a supplier'))
    return Markup('<span class="faint">{}</span>').format(_('Nothing open'))


async def companies(here: Here) -> None:
    await Companies(here).build()
