"""Words in tickets. The search function of the database answers with ids, the best first; what it may find is decided there, with
the predicates of row security written out (`@@` is not leakproof, see architecture)."""

import unicodedata
from dataclasses import dataclass
from typing import Any, Literal, cast
from uuid import UUID

import sqlalchemy
from sqlalchemy import Text, Uuid, bindparam, literal, literal_column
from sqlalchemy import func as sql
from sqlalchemy.dialects.postgresql import ARRAY, aggregate_order_by
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.people import Company, User
from portal.domain.tickets.model import Comment, File

select: Any = sqlalchemy.select

SEARCH_MOST = 500
SNIPPET_FROM = 20_000  # characters of a comment that are looked through for a snippet

How = Literal['all', 'alike', 'some']


@dataclass(frozen=True, slots=True)
class Found:
    """`words` is what was looked for in the end: other than asked for where `how` is `alike` (typing errors put right)."""

    ids: list[UUID]
    words: str
    how: How

    @property
    def at_most(self) -> bool:
        """There may be more than are looked through."""
        return len(self.ids) >= SEARCH_MOST


async def search(db: AsyncSession, words: str, *, company_id: UUID | None = None, most: int = SEARCH_MOST) -> Found:
    """Tickets with all the words; if there are none, with words that are nearly the same; if there are none, with some."""
    words = clean(words)
    if ids := await _search(db, words, company_id, most):
        return Found(ids, words, 'all')
    near = (await cast(Any, db).exec(_NEAR, params={'words': words})).scalar_one()
    if near and (ids := await _search(db, near, company_id, most)):
        return Found(ids, near, 'alike')
    return Found(await _search(db, near or words, company_id, most, any_word=True), near or words, 'some')


def clean(words: str) -> str:
    """Without what PostgreSQL takes for no text; composed, or some signs would grow threefold there, and a word become too long."""
    return unicodedata.normalize('NFC', words.replace('\x00', '').encode(errors='ignore').decode())


_SEARCH = select(
    sql.app.search_tickets(bindparam('words', type_=Text()), bindparam('most'), bindparam('company_id', type_=Uuid()), bindparam('any_word'))
)  # fmt: skip
_NEAR = select(sql.app.nearest_words(bindparam('words', type_=Text())))


async def _search(db: AsyncSession, words: str, company_id: UUID | None, most: int, *, any_word: bool = False) -> list[UUID]:
    values = {'words': words, 'most': most, 'company_id': company_id, 'any_word': any_word}
    return [row[0] for row in await cast(Any, db).exec(_SEARCH, params=values)]


async def passages(db: AsyncSession, ids: list[UUID], words: str) -> dict[UUID, tuple[str, bool]]:
    """For each ticket the text in which most of the words stand, as Markdown, and whether it is an internal note. Where no text
    has any of them, the names of files that do.

    By row security: a client's passages come from what they may read.
    """
    wanted = sql.app.words_in(bindparam('words', type_=Text()), type_=ARRAY(Text()))
    body = sql.left(Comment.body, SNIPPET_FROM)
    met = sql.app.words_met(body, wanted)
    statement = (
        select(Comment.ticket_id, body, Comment.is_internal)
        .where(col(Comment.ticket_id).in_(ids), met > 0)
        .distinct(Comment.ticket_id)
        .order_by(Comment.ticket_id, met.desc(), col(Comment.id).desc())
    )
    found = {row[0]: (row[1], row[2]) for row in await cast(Any, db).exec(statement, params={'words': words})}
    rest = [id_ for id_ in ids if id_ not in found]
    if not rest:
        return found
    files = (
        select(File.ticket_id, names_as_text(), File.is_internal)
        .where(col(File.ticket_id).in_(rest), sql.app.words_met(File.name, wanted) > 0)
        .group_by(File.ticket_id, File.is_internal)
        .order_by(col(File.is_internal).desc())
    )
    return found | {row[0]: (row[1], row[2]) for row in await cast(Any, db).exec(files, params={'words': words})}


def names_as_text() -> Any:
    """An SQL expression: the names of files, as Markdown that shows them as they are."""
    between = cast(Any, literal_column)("', '")
    return sql.string_agg(literal('`').concat(File.name).concat('`'), aggregate_order_by(between, col(File.id)))


@dataclass(frozen=True, slots=True)
class Named:
    """A company, or a person in one."""

    company: str
    company_slug: str
    person: str | None
    email: str | None
    person_id: UUID | None = None


async def find_names(db: AsyncSession, words: str, *, most: int = 5) -> list[Named]:
    """For staff: companies first, then people."""
    found = sql.app.find_names(bindparam('words', type_=Text()), most).table_valued('company_id', 'user_id', name='found')
    statement = (
        select(Company.name, Company.slug, User.name, User.email, User.id)
        .select_from(found)
        .join(Company, col(Company.id) == sqlalchemy.cast(found.c.company_id, Uuid()))
        .outerjoin(User, col(User.id) == sqlalchemy.cast(found.c.user_id, Uuid()))
    )
    return [Named(*row) for row in await cast(Any, db).exec(statement, params={'words': clean(words)})]
