"""Questions that answer with many tickets: pages by keyset, search, and counts that wait.

Row security decides what is found; nothing here repeats it. Words are looked for by `searching`.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any, Literal, cast
from uuid import UUID

import sqlalchemy
from sqlalchemy import ColumnElement, Select, Uuid, any_, bindparam, literal, literal_column, tuple_
from sqlalchemy import func as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.people import Company, User
from portal.domain.tickets.model import OPEN_RANKS, Comment, Priority, Status, Ticket, Visibility
from portal.domain.tickets.searching import Found, search

select: Any = sqlalchemy.select  # SQLModel's is typed for four columns at most

PAGE = 25
COUNT_MOST = 100  # counts are exact up to here

Sort = Literal['changed', '-changed', 'number', '-number', 'turn', 'best']
SORTS: tuple[Sort, ...] = ('-changed', 'changed', '-number', 'number', 'turn', 'best')
Group = Literal['open', 'mine', 'theirs', 'away', 'done', 'closed', 'all']
#: By whose turn it is, as the client sees it: mine = the client acts. Each is a range of queue ranks.
_RANKS: dict[str, tuple[int, int]] = {
    'open': (0, OPEN_RANKS), 'theirs': (0, 10), 'away': (10, 20), 'mine': (20, 30), 'done': (30, 40), 'closed': (40, 50),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in a list: the sort values of the row beside it. In the address as `value~id`."""

    values: tuple[Any, ...]
    backwards: bool = False

    def text(self) -> str:
        return '~'.join(v.isoformat() if isinstance(v, datetime) else str(v) for v in self.values)

    @classmethod
    def parse(cls, text: str, sort: Sort, *, backwards: bool = False) -> 'Cursor | None':
        """None for what is no cursor of this sort: the list then begins at its beginning."""
        kinds = {'turn': (int, datetime.fromisoformat, UUID)}.get(sort) or (
            (datetime.fromisoformat, UUID) if 'changed' in sort else (int,)
        )
        parts = text.split('~')
        if len(parts) != len(kinds):
            return None
        try:
            values = tuple(kind(part) for kind, part in zip(kinds, parts, strict=True))
        except ValueError:
            return None
        naive = any(isinstance(v, datetime) and v.tzinfo is None for v in values)
        too_big = any(isinstance(v, int) and abs(v) > 2**31 - 1 for v in values)
        return None if naive or too_big else cls(values, backwards)


@dataclass(frozen=True, slots=True)
class Where:
    """Which tickets, in what order, from where."""

    group: Group = 'open'
    words: str = ''
    status: Status | None = None
    priority: Priority | None = None
    company_id: UUID | None = None
    requester_id: UUID | None = None
    assignee_id: UUID | None = None
    unassigned: bool = False
    sort: Sort = '-changed'
    cursor: Cursor | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a list."""

    id: UUID
    number: int
    subject: str
    status: Status
    priority: Priority
    visibility: Visibility
    changed_at: datetime
    queue_rank: int
    company_id: UUID
    company: str
    company_slug: str
    requester_id: UUID
    requester: str
    assignee_id: UUID | None
    assignee: str | None
    last_word: str | None  # Markdown of the last comment that clients see
    last_by: str | None
    created_at: datetime
    closed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Listing:
    rows: list[Row]
    newer: Cursor | None
    older: Cursor | None
    sort: Sort
    found: Found | None = field(default=None)  # where words were looked for


async def listing(db: AsyncSession, where: Where, *, most: int = PAGE) -> Listing:
    """One page and what lies on either side of it."""
    found = await search(db, where.words, company_id=where.company_id) if where.words else None
    if found is None and where.sort == 'best':
        where = replace(where, sort='-changed', cursor=None)
    cursor = where.cursor
    values = {**_values(where), 'found': found.ids if found else []}
    values |= {f'edge_{n}': value for n, value in enumerate(cursor.values)} if cursor else {}
    direction = '' if cursor is None else 'newer' if cursor.backwards else 'older'
    statement = _page(where.group, where.sort, _asked(where), direction, found is not None, most + 1)
    rows = [Row(*row) for row in (await cast(Any, db).exec(statement, params=values)).all()]
    more, backwards = len(rows) > most, direction == 'newer'
    if more:
        rows = rows[1:] if backwards else rows[:most]
    before = Cursor(_key(rows[0], where.sort, found), backwards=True) if rows and (more if backwards else cursor) else None
    after = Cursor(_key(rows[-1], where.sort, found)) if rows and (backwards or more) else None
    return Listing(rows, before, after, where.sort, found)


#: What may be asked for of a column; in the statement it is a parameter of the same name.
_ASKED: tuple[str, ...] = ('status', 'priority', 'company_id', 'requester_id', 'assignee_id')


def _values(where: Where) -> dict[str, Any]:
    return {name: value for name in _ASKED if (value := getattr(where, name)) is not None}


def _asked(where: Where) -> frozenset[str]:
    return frozenset(_values(where)) | (frozenset({'unassigned'}) if where.unassigned else frozenset[str]())


def _filtered(query: Select[Any], group: Group, asked: frozenset[str]) -> Select[Any]:
    if group != 'all':
        low, high = _RANKS[group]
        # written into the statement, not bound: only then can partial indexes serve
        query = query.where(col(Ticket.queue_rank) < literal_column(str(high)))
        if low:
            query = query.where(col(Ticket.queue_rank) >= literal_column(str(low)))
    for name in sorted(asked & set(_ASKED)):
        column: Any = getattr(Ticket, name)
        query = query.where(column == bindparam(name, type_=column.type))
    if 'unassigned' in asked:
        query = query.where(col(Ticket.assignee_id).is_(None))
    return query


_FOUND: Any = bindparam('found', type_=ARRAY(Uuid()))


def _columns(sort: Sort) -> tuple[tuple[Any, ...], bool]:
    """The columns of an order, and whether it runs downwards."""
    if sort == 'turn':
        return (col(Ticket.queue_rank), col(Ticket.changed_at), col(Ticket.id)), False
    if sort == 'best':
        return (sql.array_position(_FOUND, col(Ticket.id)).label('place'),), False
    if 'number' in sort:
        return (col(Ticket.number),), sort.startswith('-')
    return (col(Ticket.changed_at), col(Ticket.id)), sort.startswith('-')


def _placed(query: Select[Any], sort: Sort, direction: str) -> Select[Any]:
    columns, downwards = _columns(sort)
    if direction:
        key: ColumnElement[Any] = tuple_(*columns)
        edge = tuple_(*(bindparam(f'edge_{n}', type_=c.type) for n, c in enumerate(columns)))
        query = query.where(key < edge if downwards == (direction == 'older') else key > edge)
    if direction == 'newer':
        downwards = not downwards
    return query.order_by(*(c.desc() if downwards else c for c in columns))


def _key(row: Row, sort: Sort, found: Found | None) -> tuple[Any, ...]:
    if sort == 'turn':
        return row.queue_rank, row.changed_at, row.id
    if sort == 'best' and found:
        return (found.ids.index(row.id) + 1,)
    return (row.number,) if 'number' in sort else (row.changed_at, row.id)


@cache
def _page(group: Group, sort: Sort, asked: frozenset[str], direction: str, searching: bool, most: int) -> Select[Any]:
    """First the page by one index, then the names that it shows. Made once for each kind of question: to put a statement
    together takes longer than to run it."""
    t = Ticket
    narrowed: Select[Any] = select(
        t.id, t.number, t.subject, t.status, t.priority, t.visibility, t.changed_at, t.queue_rank, t.company_id, t.requester_id,
        t.assignee_id, t.last_comment_id, t.created_at, t.closed_at,
    )  # fmt: skip
    if sort == 'best':
        narrowed = narrowed.add_columns(*_columns(sort)[0])
    if searching:
        narrowed = narrowed.where(col(t.id) == any_(_FOUND))
    narrowed = _placed(_filtered(narrowed, group, asked), sort, direction)
    # a limit that the planner knows; and materialized, or it reads all tickets of a company to name those of a page
    page: Any = narrowed.limit(literal_column(str(most))).cte('page').prefix_with('MATERIALIZED').c
    requester, assignee, speaker = aliased(User), aliased(User), aliased(User)
    columns, downwards = _columns(sort)
    return (
        select(
            page.id, page.number, page.subject, page.status, page.priority, page.visibility, page.changed_at, page.queue_rank,
            page.company_id, Company.name, Company.slug, page.requester_id, requester.name, page.assignee_id, assignee.name,
            sql.left(Comment.body, 300), speaker.name, page.created_at, page.closed_at,
        )
        .join(Company, col(Company.id) == page.company_id)
        .join(requester, col(requester.id) == page.requester_id)
        .outerjoin(assignee, col(assignee.id) == page.assignee_id)
        .outerjoin(Comment, col(Comment.id) == page.last_comment_id)
        .outerjoin(speaker, col(speaker.id) == Comment.author_id)
        .order_by(*(page[c.key].desc() if downwards else page[c.key] for c in columns))
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Counts:
    """Each exact up to COUNT_MOST."""

    open: int
    mine: int  # the client acts
    theirs: int  # the MSP acts
    away: int
    done: int
    unassigned: int = 0
    assigned_to_me: int = 0
    requested_by_me: int = 0


async def counts(db: AsyncSession, me: UUID, *, staff: bool, company_id: UUID | None = None) -> Counts:
    """Of what the one who asks may see; `company_id` narrows it for staff."""
    statement = _counting(staff, company_id is not None)
    row = (await cast(Any, db).exec(statement, params={'requester_id': me, 'assignee_id': me, 'company_id': company_id})).one()
    return Counts(*row)


@cache
def _counting(staff: bool, one_company: bool) -> Select[Any]:
    of = frozenset({'company_id'} if one_company else ())

    def count(group: Group, *asked: str) -> Any:
        narrowed = _filtered(select(literal(1)).select_from(Ticket), group, of | set(asked))
        limited = narrowed.limit(literal_column(str(COUNT_MOST)))
        return select(sql.count()).select_from(limited.subquery()).scalar_subquery()

    parts: list[Any] = [count(group) for group in ('open', 'mine', 'theirs', 'away', 'done')]
    if staff:
        parts += [count('open', 'unassigned'), count('open', 'assignee_id'), literal(0)]
    else:
        parts += [literal(0), literal(0), count('open', 'requester_id')]
    return select(*parts)
