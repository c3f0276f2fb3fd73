"""Questions that answer with many tickets: pages by keyset, search, and counts that wait.

Row security decides what is found; nothing here repeats it. Words are looked for by `searching`.
"""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any, Literal, cast
from uuid import UUID

import sqlalchemy
from sqlalchemy import ColumnElement, Date, Select, Uuid, any_, bindparam, case, literal, literal_column, null, or_, tuple_
from sqlalchemy import func as sql
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.categories import Category
from portal.domain.people import Company, User
from portal.domain.tickets.model import OPEN_RANKS, Comment, Due, File, Priority, Status, Ticket, Unread, Visibility
from portal.domain.tickets.searching import Found, names_as_text, search

select: Any = sqlalchemy.select  # SQLModel's is typed for four columns at most

PAGE = 25
COUNT_MOST = 100  # counts are exact up to here
MOST_KINDS = 200  # of questions whose statements are kept: whoever asks, chooses among millions

Sort = Literal['changed', '-changed', 'number', '-number', 'turn', 'mine', 'company', 'priority', 'due', 'best']


def _rank(text: str) -> int:
    """A smallint."""
    if abs(number := int(text)) >= 2**15:
        raise ValueError
    return number


def _slug(text: str) -> str:
    if '\x00' in text:
        raise ValueError
    return text


#: What each sorts by, as it stands in a cursor. `turn` begins with what the MSP has to do, `mine` with what the client has to do. `company`, `priority` and `due` are for staff, who have few enough open ones.
_KINDS: dict[Sort, tuple[Any, ...]] = {
    '-changed': (datetime.fromisoformat, UUID), 'changed': (datetime.fromisoformat, UUID), '-number': (int,), 'number': (int,),
    'turn': (_rank, datetime.fromisoformat, UUID), 'mine': (_rank, datetime.fromisoformat, UUID), 'company': (_slug, _rank, datetime.fromisoformat, UUID),
    'priority': (_rank, _rank, datetime.fromisoformat, UUID), 'due': (date.fromisoformat, UUID),
    'best': (int,),
}  # fmt: skip
SORTS = tuple(_KINDS)
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
        return '~'.join(v.isoformat() if isinstance(v, date) else str(v) for v in self.values)

    @classmethod
    def parse(cls, text: str, sort: Sort, *, backwards: bool = False) -> 'Cursor | None':
        """None for what is no cursor of this sort: the list then begins at its beginning."""
        kinds = _KINDS[sort]
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
    status: Status | tuple[Status, ...] | None = None
    priority: Priority | tuple[Priority, ...] | None = None
    company_id: UUID | tuple[UUID, ...] | None = None
    requester_id: UUID | tuple[UUID, ...] | None = None
    assignee_id: UUID | tuple[UUID, ...] | None = None
    category_id: UUID | tuple[UUID, ...] | None = None
    number: int | tuple[int, ...] | None = None
    unassigned: bool = False  # beside assignees: one of them, or nobody
    unread: bool = False  # for whoever asks
    due: bool = False  # has a day until which it is to be done
    inside: bool = False  # staff ask: with what clients may not know
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
    last_word: str | None  # Markdown of the last comment that clients see, or the names of its files
    last_by: str | None
    category: str | None
    unread: bool
    due_on: date | None  # for staff alone
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
    where, found = await _found(db, where)
    cursor = where.cursor
    values = {**_values(where), 'found': found.ids if found else []}
    values |= {f'edge_{n}': value for n, value in enumerate(cursor.values)} if cursor else {}
    direction = '' if cursor is None else 'newer' if cursor.backwards else 'older'
    statement = _page(where.group, where.sort, _asked(where), direction, found is not None, most + 1, where.inside)
    rows = [Row(*row) for row in (await cast(Any, db).exec(statement, params=values)).all()]
    more, backwards = len(rows) > most, direction == 'newer'
    if more:
        rows = rows[1:] if backwards else rows[:most]
    before = Cursor(_key(rows[0], where.sort, found), backwards=True) if rows and (more if backwards else cursor) else None
    after = Cursor(_key(rows[-1], where.sort, found)) if rows and (backwards or more) else None
    return Listing(rows, before, after, where.sort, found)


async def _found(db: AsyncSession, where: Where) -> tuple[Where, Found | None]:
    """What a search for the words finds, if there are any; without them there is no best match."""
    if not where.words:
        return (replace(where, sort='-changed', cursor=None) if where.sort == 'best' else where), None
    company = _values(where).get('company_id')
    return where, await search(db, where.words, company_id=company if isinstance(company, UUID) else None)


async def numbers_of(db: AsyncSession, where: Where, *, most: int) -> list[int]:
    """The numbers of all that is asked for, in its order, wherever the page begins."""
    where, found = await _found(db, where)
    statement = _numbers(where.group, where.sort, _asked(where), found is not None, most)
    values = {**_values(where), 'found': found.ids if found else []}
    return [row[0] for row in await cast(Any, db).exec(statement, params=values)]


@lru_cache(MOST_KINDS)
def _numbers(group: Group, sort: Sort, asked: frozenset[str], searching: bool, most: int) -> Select[Any]:
    query = _placed(_narrowed([Ticket.number], group, sort, asked, searching), sort, '')
    return query.limit(literal_column(str(most)))


async def how_many(db: AsyncSession, where: Where) -> int:
    """Exact up to COUNT_MOST. Not for words: to count what a search finds is to search."""
    statement = _how_many(where.group, _asked(where))
    return (await cast(Any, db).exec(statement, params=_values(where))).one()[0]


@lru_cache(MOST_KINDS)
def _how_many(group: Group, asked: frozenset[str]) -> Select[Any]:
    return select(_count(_filtered(select(literal(1)).select_from(Ticket), group, asked)))


def _count(query: Select[Any]) -> Any:
    limited = query.limit(literal_column(str(COUNT_MOST)))
    return select(sql.count()).select_from(limited.subquery()).scalar_subquery()


#: What may be asked for of a column; in the statement it is a parameter of the same name, and `name*` one of several.
_ASKED: tuple[str, ...] = ('status', 'priority', 'company_id', 'requester_id', 'assignee_id', 'category_id', 'number')
_FLAGS: tuple[str, ...] = ('unassigned', 'unread', 'due')


def _values(where: Where) -> dict[str, Any]:
    """One of several is one: an equation keeps the order of an index."""
    given = {name: getattr(where, name) for name in _ASKED}
    return {
        name: list(value) if _several(value) else value[0] if isinstance(value, tuple) else value
        for name, value in given.items() if value is not None and value != ()
    }  # fmt: skip


def _several(value: Any) -> bool:
    return isinstance(value, tuple) and len(cast(tuple[Any, ...], value)) > 1


def _asked(where: Where) -> frozenset[str]:
    columns = (f'{name}*' if isinstance(value, list) else name for name, value in _values(where).items())
    return frozenset(columns) | frozenset(flag for flag in _FLAGS if getattr(where, flag))


def _filtered(query: Select[Any], group: Group, asked: frozenset[str]) -> Select[Any]:
    if group != 'all':
        low, high = _RANKS[group]
        # written into the statement, not bound: only then can partial indexes serve
        query = query.where(col(Ticket.queue_rank) < literal_column(str(high)))
        if low:
            query = query.where(col(Ticket.queue_rank) >= literal_column(str(low)))
    for name in _ASKED:
        if condition := _condition(name, asked):
            query = query.where(*condition)
    if 'unassigned' in asked and not {'assignee_id', 'assignee_id*'} & asked:
        query = query.where(col(Ticket.assignee_id).is_(None))
    if 'unread' in asked:
        query = query.where(col(Ticket.id).in_(select(Unread.ticket_id)))  # row security: of whoever asks
    if 'due' in asked:
        query = query.where(col(Ticket.id).in_(select(Due.ticket_id).where(col(Due.is_open))))
    return query


_FOUND: Any = bindparam('found', type_=ARRAY(Uuid()))


def _condition(name: str, asked: frozenset[str]) -> list[Any]:
    column: Any = getattr(Ticket, name)
    if name in asked:
        condition = column == bindparam(name, type_=column.type)
    elif f'{name}*' in asked:
        condition = column == any_(bindparam(name, type_=ARRAY(column.type)))
    else:
        return []
    return [or_(condition, column.is_(None))] if name == 'assignee_id' and 'unassigned' in asked else [condition]


def _columns(sort: Sort) -> tuple[tuple[Any, ...], bool]:
    """The columns of an order, and whether it runs downwards."""
    turn = (col(Ticket.queue_rank), col(Ticket.changed_at), col(Ticket.id))
    match sort:
        case 'turn':
            return turn, False
        case 'mine':
            rank, (low, high) = col(Ticket.queue_rank), _RANKS['mine']
            is_mine = rank.between(literal_column(str(low)), literal_column(str(high - 1)))
            return (case((is_mine, rank - literal_column(str(high))), else_=rank).label('place'), *turn[1:]), False
        case 'company':  # its slug: in the order of names as good as always, and fit for a cursor
            return (col(Company.slug), *turn), False
        case 'priority':
            return ((col(Ticket.queue_rank) % literal_column('10')).label('urgency'), *turn), False
        case 'due':
            return (col(Due.due_on), col(Ticket.id)), False
        case 'number' | '-number':
            return (col(Ticket.number),), sort.startswith('-')
        case 'best':
            return (sql.array_position(_FOUND, col(Ticket.id)).label('place'),), False
        case _:
            return (col(Ticket.changed_at), col(Ticket.id)), sort.startswith('-')


def _narrowed(columns: list[Any], group: Group, sort: Sort, asked: frozenset[str], searching: bool) -> Select[Any]:
    """From the tickets, and from what an order needs beside them."""
    query: Select[Any] = select(*columns).select_from(Ticket)
    if sort == 'company':
        query = query.join(Company, col(Company.id) == Ticket.company_id)
    if sort == 'due':
        query = query.join(Due, (col(Due.ticket_id) == Ticket.id) & col(Due.is_open))
        asked -= {'due'}
    if searching:
        query = query.where(col(Ticket.id) == any_(_FOUND))
    return _filtered(query, group, asked)


def _placed(query: Select[Any], sort: Sort, direction: str) -> Select[Any]:
    columns, downwards = _columns(sort)
    columns = tuple(getattr(c, 'element', c) for c in columns)  # a label has a name in what is selected alone
    if direction:
        key: ColumnElement[Any] = tuple_(*columns)
        edge = tuple_(*(bindparam(f'edge_{n}', type_=c.type) for n, c in enumerate(columns)))
        query = query.where(key < edge if downwards == (direction == 'older') else key > edge)
    if direction == 'newer':
        downwards = not downwards
    return query.order_by(*(c.desc() if downwards else c for c in columns))


def _key(row: Row, sort: Sort, found: Found | None) -> tuple[Any, ...]:
    turn = (row.queue_rank, row.changed_at, row.id)
    match sort:
        case 'turn':
            return turn
        case 'mine':
            low, high = _RANKS['mine']
            return (row.queue_rank - high if low <= row.queue_rank < high else row.queue_rank, *turn[1:])
        case 'company':
            return (row.company_slug, *turn)
        case 'priority':
            return (row.queue_rank % 10, *turn)
        case 'due':
            return (row.due_on, row.id)
        case 'number' | '-number':
            return (row.number,)
        case 'best' if found:
            return (found.ids.index(row.id) + 1,)
        case _:
            return (row.changed_at, row.id)


@lru_cache(MOST_KINDS)
def _page(
    group: Group, sort: Sort, asked: frozenset[str], direction: str, searching: bool, most: int, inside: bool
) -> Select[Any]:
    """First the page by one index, then the names that it shows. Made once for each kind of question: to put a statement
    together takes longer than to run it."""
    t = Ticket
    columns, downwards = _columns(sort)
    shown = [
        t.id, t.number, t.subject, t.status, t.priority, t.visibility, t.changed_at, t.queue_rank, t.company_id, t.requester_id,
        t.assignee_id, t.last_comment_id, t.category_id, t.created_at, t.closed_at,
    ]  # fmt: skip
    beside = [c for c in columns if c.key not in {cast(Any, s).key for s in shown}]
    narrowed = _placed(_narrowed([*shown, *beside], group, sort, asked, searching), sort, direction)
    # a limit that the planner knows; and materialized, or it reads all tickets of a company to name those of a page
    page: Any = narrowed.limit(literal_column(str(most))).cte('page').prefix_with('MATERIALIZED').c
    requester, assignee, speaker = aliased(User), aliased(User), aliased(User)
    of_last = (col(File.ticket_id) == page.id, col(File.comment_id) == page.last_comment_id)
    names: Any = select(names_as_text()).where(*of_last).scalar_subquery()
    due: Any = col(Due.due_on) if inside or sort == 'due' else null().cast(Date)
    query = (
        select(
            page.id, page.number, page.subject, page.status, page.priority, page.visibility, page.changed_at, page.queue_rank,
            page.company_id, Company.name, Company.slug, page.requester_id, requester.name, page.assignee_id, assignee.name,
            sql.coalesce(sql.nullif(sql.left(Comment.body, 300), ''), names), speaker.name, Category.name, col(Unread.ticket_id).is_not(None), due, page.created_at, page.closed_at,
        )
        .join(Company, col(Company.id) == page.company_id)
        .join(requester, col(requester.id) == page.requester_id)
        .outerjoin(assignee, col(assignee.id) == page.assignee_id)
        .outerjoin(Comment, col(Comment.id) == page.last_comment_id)
        .outerjoin(speaker, col(speaker.id) == Comment.author_id)
        .outerjoin(Category, col(Category.id) == page.category_id)
        .outerjoin(Unread, col(Unread.ticket_id) == page.id)
        .order_by(*(page[c.key].desc() if downwards else page[c.key] for c in columns))
    )  # fmt: skip
    return query.outerjoin(Due, col(Due.ticket_id) == page.id) if inside or sort == 'due' else query


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
    unread: int = 0  # of staff: on what they have or nobody has
    due: int = 0  # today or before


async def counts(db: AsyncSession, me: UUID, *, staff: bool, company_id: UUID | None = None, today: date | None = None) -> Counts:
    """Of what the one who asks may see; `company_id` narrows it for staff. `today`: by which day something is due."""
    statement = _counting(staff, company_id is not None, today is not None)
    values = {'requester_id': me, 'assignee_id': me, 'company_id': company_id, 'today': today}
    row = (await cast(Any, db).exec(statement, params=values)).one()
    return Counts(*row)


@lru_cache(MOST_KINDS)
def _counting(staff: bool, one_company: bool, by_day: bool) -> Select[Any]:
    of = frozenset({'company_id'} if one_company else ())

    def count(group: Group, *asked: str, where: tuple[Any, ...] = ()) -> Any:
        return _count(_filtered(select(literal(1)).select_from(Ticket), group, of | set(asked)).where(*where))

    parts: list[Any] = [count(group) for group in ('open', 'mine', 'theirs', 'away', 'done')]
    if staff:
        due = count('open', where=(col(Ticket.id).in_(select(Due.ticket_id).where(
            col(Due.is_open), col(Due.due_on) <= bindparam('today', type_=Date()))),))  # fmt: skip
        parts += [count('open', 'unassigned'), count('open', 'assignee_id'), literal(0)]
        parts += [count('all', 'unread', 'assignee_id', 'unassigned'), due if by_day else literal(0)]
    else:
        parts += [literal(0), literal(0), count('open', 'requester_id'), count('all', 'unread'), literal(0)]
    return select(*parts)
