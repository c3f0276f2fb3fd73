"""The outbox: letters promised in a transaction, written and sent by a job afterwards."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.base import TENANT, Moment, Words, as_word, now, uuid7

AT_ONCE = 50  # letters of one job


class LetterState(StrEnum):
    WAITING = 'waiting'
    SENT = 'sent'
    KEPT = 'kept'  # no mail server is set: staff read it on a page
    DROPPED = 'dropped'  # the recipient may no longer have it, or switched it off meanwhile
    FAILED = 'failed'  # given up; the reason is in `error`


class Letter(SQLModel, table=True):
    """What to say to whom. The words are made when it is sent, in the recipient's language.

    `subject`, `text` and `html` are filled only for letters that are kept; of one that went out only the subject stays,
    since letters can carry links that open an account.
    """

    __tablename__: str = 'mail_outbox'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'to_user_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'actor_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(['tenant_id', 'invitation_id'], ['invitation.tenant_id', 'invitation.id']),
        ForeignKeyConstraint(['tenant_id', 'session_id'], ['session.tenant_id', 'session.id']),
        ForeignKeyConstraint(['tenant_id', 'company_id', 'ticket_id'], ['ticket.tenant_id', 'ticket.company_id', 'ticket.id']),
        ForeignKeyConstraint(
            ['tenant_id', 'company_id', 'ticket_id', 'comment_id'],
            ['ticket_comment.tenant_id', 'ticket_comment.company_id', 'ticket_comment.ticket_id', 'ticket_comment.id'],
        ),
        Index('mail_outbox_newest', 'tenant_id', 'id'),
    )
    # whoever promises a letter may insert it, not read it back: no RETURNING
    __mapper_args__ = {'eager_defaults': False}
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    kind: str
    to_user_id: UUID | None = None  # None: to whom the invitation is for, who is nobody here yet
    to_address: str | None = None  # where it goes, if not to their present address
    actor_id: UUID | None = None
    company_id: UUID | None = None
    ticket_id: UUID | None = None
    comment_id: UUID | None = None
    invitation_id: UUID | None = None
    session_id: UUID | None = None  # a sign-in that the letter is about
    state: LetterState = Field(default=LetterState.WAITING, sa_type=as_word(LetterState))
    subject: str | None = None
    text: str | None = Field(default=None, sa_type=Words)
    html: str | None = Field(default=None, sa_type=Words)
    error: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    sent_at: datetime | None = Field(default=None, sa_type=Moment)


@dataclass(frozen=True, slots=True)
class Promised:
    """What to say to whom, before it is a row."""

    kind: str
    to_user_id: UUID | None = None
    to_address: str | None = None  # where it goes, if not to their present address
    actor_id: UUID | None = None
    company_id: UUID | None = None
    ticket_id: UUID | None = None
    comment_id: UUID | None = None
    invitation_id: UUID | None = None
    session_id: UUID | None = None
    id: UUID = field(default_factory=uuid7)


_SAID = [part.name for part in fields(Promised)]


async def promise(db: AsyncSession, letters: Sequence[Promised]) -> None:
    """In this transaction; sent after it, or never if it is rolled back. Many letters are few statements and few jobs."""
    if not letters:
        return None
    await db.flush()
    connection = await db.connection()
    await connection.exec_driver_sql(
        f"""insert into mail_outbox ({', '.join(_SAID)}, state, created_at)
            select {', '.join(_SAID)}, 'waiting', now() from jsonb_populate_recordset(null::mail_outbox, %s::jsonb)""",  # noqa: S608
        (json.dumps([{name: getattr(letter, name) for name in _SAID} for letter in letters], default=str),),
    )
    ids = [str(letter.id) for letter in letters]
    if len(ids) == 1:
        return await later(db, 'send_letter', letter=ids[0])
    for n in range(0, len(ids), AT_ONCE):
        await later(db, 'send_letters', letters=ids[n : n + AT_ONCE])
    return None


async def later(db: AsyncSession, task: str, **arguments: str | list[str]) -> None:
    """Promise a job in this transaction. Its tenant is written by the database, not by us."""
    connection = await db.connection()
    await connection.exec_driver_sql('select app.later(%s, %s::jsonb)', (task, json.dumps(arguments)))


async def letters(db: AsyncSession, *, before: UUID | None = None, most: int = 50) -> list[Letter]:
    """Newest first."""
    query = select(Letter).order_by(col(Letter.id).desc()).limit(most)
    return list(await db.exec(query.where(col(Letter.id) < before) if before else query))
