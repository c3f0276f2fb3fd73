"""All companies by name, with what waits."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from markupsafe import Markup
from sqlalchemy import exists, literal, or_, tuple_
from sqlalchemy import func as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from portal.components.frame import Primary
from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import Action, Column
from portal.domain.access import Permission
from portal.domain.people import Company, Membership, User
from portal.domain.tickets import Ticket
from portal.domain.tickets.model import OPEN_RANKS
from portal.i18n import _, _n
from portal.pages.screens import Here

PAGE = 50


@dataclass(frozen=True, slots=True)
class Line:
    """A company in the list, with what waits."""

    slug: str
    name: str
    people: int
    open: int
    ours: int  # open, and the MSP acts
    theirs: int  # open, and the client acts


@dataclass(frozen=True, slots=True)
class Found:
    """A page by name. `before` and `after` are slugs: where the pages on either side begin."""

    lines: list[Line]
    total: int
    before: str = ''
    after: str = ''


def _named(words: str) -> SelectOfScalar[Company]:
    """Companies of these words: in their name, or in name or address of somebody there (whoever calls says theirs)."""
    query = select(Company).where(col(Company.archived_at).is_(None))
    if not words:
        return query
    somebody = exists().where(
        col(Membership.company_id) == Company.id, col(Membership.ended_at).is_(None), col(Membership.user_id) == User.id,
        or_(col(User.name).icontains(words, autoescape=True), col(User.email).icontains(words, autoescape=True)),
    )  # fmt: skip
    return query.where(or_(col(Company.name).icontains(words, autoescape=True), somebody))


def is_slug(word: str) -> bool:
    """What comes from an address may be anything, also what no database can look for."""
    return re.fullmatch(r'[a-z0-9-]{1,60}', word) is not None


def _place(query: Mapping[str, str], name: str) -> str:
    return query[name] if is_slug(query.get(name, '')) else ''


async def _found(db: AsyncSession, words: str, *, after: str = '', before: str = '') -> Found:
    """A place that is not there (any more) counts as the beginning."""
    edge = (await db.exec(select(Company).where(Company.slug == (after or before)))).first() if after or before else None
    backwards = bool(before and not after and edge)
    by_name = (sql.lower(Company.name), col(Company.id))
    query = _named(words)
    total = (await db.exec(select(sql.count()).select_from(query.subquery()))).one()
    if edge:
        place, key = tuple_(sql.lower(literal(edge.name)), literal(edge.id)), tuple_(*by_name)
        query = query.where(key < place if backwards else key > place)
    query = query.order_by(*(c.desc() if backwards else c for c in by_name)).limit(PAGE + 1)
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
    return [Line(c.slug, c.name, people.get(c.id, 0), *tickets.get(c.id, (0, 0, 0))) for c in companies]


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

    async def _read(self) -> bool:
        """False if a later question overtook this answer."""
        self.asked += 1
        mine, query = self.asked, self.here.query
        async with self.here.visit.work() as db:
            found = await _found(db, self.words, after=_place(query, 'after'), before=_place(query, 'before'))
        if mine == self.asked:
            self.found = found
        return mine == self.asked

    async def _again(self) -> None:
        if await self._read():
            self.island.set(self._html())

    async def _act(self, act: Act) -> None:
        if act.name == 'search' and (words := act.text('q')[:200]) != self.here.query.get('q', ''):
            self.here.address(replace=True, q=words)
            await self._again()

    def _html(self) -> Markup:
        found, here, words = self.found, self.here, self.words
        new = Action(_('New company'), href=here.url('/companies/new'), kind='primary', icon='plus')
        return render(
            'staff/companies.html', here=here, query=here.query.get('q', ''), words=words, found=found,
            lines=[(line, _turn(line)) for line in found.lines], columns=self._columns(),
            before=here.url('/companies', q=words, before=found.before) if found.before else '',
            after=here.url('/companies', q=words, after=found.after) if found.after else '',
            first_step=[new] if self.manages else [], manages=self.manages,
        )  # fmt: skip

    def _columns(self) -> list[Column]:
        return [
            Column(_('Company')), Column(_('Whose turn')), Column(_('Open tickets'), right=True), Column(_('People'), right=True)
        ]  # fmt: skip


def _turn(line: Line) -> Markup:
    """The most urgent of what is open, from the staff's side."""
    mark = macro('turn')
    if line.ours:
        return mark('msp', _n('{n} waits for us', '{n} wait for us', line.ours), mine=True)
    if line.theirs:
        return mark('client', _n('{n} waits for them', '{n} wait for them', line.theirs))
    if line.open:
        return mark('away', _('With a supplier'))
    return Markup('<span class="faint">{}</span>').format(_('Nothing open'))


async def companies(here: Here) -> None:
    await Companies(here).build()
