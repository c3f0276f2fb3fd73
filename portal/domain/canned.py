"""Canned replies: texts with placeholders that staff put into an answer, their own and the team's."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy import func as sql
from sqlmodel import Field, SQLModel, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.base import TENANT, Moment, NotFound, Words, Wrong, now, uuid7
from portal.i18n import L_, LANGUAGES, _

TITLE_MOST, BODY_MOST = 80, 10_000  # characters
MOST = 500  # of one's own and the team's together
#: What stands in braces, and what it becomes.
PLACEHOLDERS: dict[str, Any] = {
    'requester': L_('whoever asked, with their whole name'),
    'first_name': L_('the first name of whoever asked'),
    'company': L_('their company'),
    'ticket': L_('the number of the ticket'),
    'subject': L_('the subject of the ticket'),
    'me': L_('your name'),
    'msp': L_('the name of your company'),
}
_PLACEHOLDER = re.compile(r'\{\s*([\w-]{1,40})\s*\}')


class CannedReply(SQLModel, table=True):
    """`language` is a word for whoever looks for one; it decides nothing."""

    __tablename__: str = 'canned_reply'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        ForeignKeyConstraint(['tenant_id', 'owner_id'], ['users.tenant_id', 'users.id']),
        Index('canned_reply_own', 'tenant_id', 'owner_id'),
        Index('canned_reply_shared', 'tenant_id', postgresql_where=text('is_shared')),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    owner_id: UUID
    title: str
    body: str = Field(sa_type=Words)  # Markdown with placeholders
    language: str | None = None
    is_shared: bool = False
    changed_at: datetime = Field(default_factory=now, sa_type=Moment)


def filled(body: str, values: Mapping[str, str]) -> str:
    """The text with its placeholders replaced, once: what stands in a value is never looked at again."""
    known: Callable[[re.Match[str]], str] = lambda found: values.get(found[1], found[0])  # noqa: E731
    return _PLACEHOLDER.sub(known, body)


def unknown_placeholders(body: str) -> list[str]:
    return [word for word in dict.fromkeys(_PLACEHOLDER.findall(body)) if word not in PLACEHOLDERS]


async def canned_replies(db: AsyncSession, by: Principal) -> list[CannedReply]:
    """One's own and the team's, by title."""
    mine = or_(CannedReply.owner_id == by.user_id, CannedReply.is_shared)
    found = select(CannedReply).where(mine).order_by(sql.lower(CannedReply.title), col(CannedReply.id)).limit(MOST)
    return list(await db.exec(found))


async def canned_reply(db: AsyncSession, by: Principal, reply_id: UUID) -> CannedReply:
    """Raises NotFound for what is not there and for what is a colleague's own alike."""
    mine = or_(CannedReply.owner_id == by.user_id, CannedReply.is_shared)
    found = (await db.exec(select(CannedReply).where(CannedReply.id == reply_id, mine))).first()
    if found is None:
        raise NotFound
    return found


@verb(Permission.DESK_OWN)
async def add_canned_reply(
    db: AsyncSession, by: Principal, *, title: str, body: str, language: str = '', shared: bool = False
) -> CannedReply:
    """Raises Wrong with words for each field; placeholders that are not known are named."""
    if shared:
        by.need(Permission.DESK_TEAM)
    title, body = _clean(title, body, language)
    if len(await canned_replies(db, by)) >= MOST:
        raise Wrong(title=_('There are {n} already. Delete one first.', n=MOST))
    reply = CannedReply(tenant_id=by.tenant.id, owner_id=by.user_id, title=title, body=body, language=language or None,
                        is_shared=shared)  # fmt: skip
    db.add(reply)
    await db.flush()
    return reply


@verb(Permission.DESK_OWN)
async def change_canned_reply(
    db: AsyncSession, by: Principal, reply_id: UUID, *, title: str, body: str, language: str = '', shared: bool = False
) -> None:
    reply = await _changeable(db, by, reply_id)
    if shared != reply.is_shared:
        by.need(Permission.DESK_TEAM)
    reply.title, reply.body = _clean(title, body, language)
    reply.language, reply.is_shared, reply.changed_at = language or None, shared, now()
    await db.flush()


@verb(Permission.DESK_OWN)
async def delete_canned_reply(db: AsyncSession, by: Principal, reply_id: UUID) -> None:
    await db.delete(await _changeable(db, by, reply_id))
    await db.flush()


async def _changeable(db: AsyncSession, by: Principal, reply_id: UUID) -> CannedReply:
    reply = await canned_reply(db, by, reply_id)
    if reply.is_shared:
        by.need(Permission.DESK_TEAM)
    return reply


def _clean(title: str, body: str, language: str) -> tuple[str, str]:
    title = ' '.join(''.join(c if c.isprintable() else ' ' for c in title).split())
    body = body.replace('\x00', '').strip()
    wrong: dict[str, str] = {}
    if not title:
        wrong['title'] = _('Give it a title.')
    elif len(title) > TITLE_MOST:
        wrong['title'] = _('At most {n} letters, please.', n=TITLE_MOST)
    if not body:
        wrong['body'] = _('Write something first.')
    elif len(body) > BODY_MOST:
        wrong['body'] = _('At most {n} characters, please.', n=BODY_MOST)
    elif unknown := unknown_placeholders(body):
        wrong['body'] = _(
            'Not known: {unknown}. These can be used: {known}.', unknown=', '.join(f'{{{word}}}' for word in unknown),
            known=', '.join(f'{{{word}}}' for word in PLACEHOLDERS),
        )  # fmt: skip
    if language and language not in LANGUAGES:
        wrong['language'] = _('Choose a language.')
    if wrong:
        raise Wrong(**wrong)
    return title, body
