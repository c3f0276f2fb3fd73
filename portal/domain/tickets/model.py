"""The tables, and the words that are stored (the words on screen follow from them)."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Computed, ForeignKeyConstraint, Index, Integer, SmallInteger, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Column, Field, SQLModel

from portal.domain.base import TENANT, Moment, Words, as_word, now, uuid7

SUBJECT_MOST = 200
TEXT_MOST = 50_000  # characters of one comment


class Status(StrEnum):
    NEW = 'new'
    OPEN = 'open'
    WAITING_CLIENT = 'waiting_client'
    WAITING_SUPPLIER = 'waiting_supplier'
    SOLVED = 'solved'
    CLOSED = 'closed'


class Turn(StrEnum):
    """Who acts next; follows from the status."""

    NEW = 'new'  # the MSP, and nobody has looked yet
    MSP = 'msp'
    CLIENT = 'client'
    AWAY = 'away'  # a supplier
    DONE = 'done'
    CLOSED = 'closed'


_TURNS = {
    Status.NEW: Turn.NEW,
    Status.OPEN: Turn.MSP,
    Status.WAITING_CLIENT: Turn.CLIENT,
    Status.WAITING_SUPPLIER: Turn.AWAY,
    Status.SOLVED: Turn.DONE,
    Status.CLOSED: Turn.CLOSED,
}


def turn_of(status: Status) -> Turn:
    return _TURNS[status]


class Priority(StrEnum):
    LOW = 'low'
    NORMAL = 'normal'
    HIGH = 'high'
    URGENT = 'urgent'


class Visibility(StrEnum):
    COMPANY = 'company'  # whoever may see the company's tickets
    PRIVATE = 'private'  # of the clients only requester and participants


#: First by whose turn it is, then by priority; below OPEN_RANKS the ticket is open. The same in migration 0001.
QUEUE_RANK = """
    CASE status WHEN 'new' THEN 0 WHEN 'open' THEN 0 WHEN 'waiting_supplier' THEN 10 WHEN 'waiting_client' THEN 20
                WHEN 'solved' THEN 30 ELSE 40 END
  + CASE priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'normal' THEN 2 ELSE 3 END"""
OPEN_RANKS = 30


class Ticket(SQLModel, table=True):
    __table_args__ = (
        UniqueConstraint('tenant_id', 'company_id', 'id'),
        UniqueConstraint('tenant_id', 'number'),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        # the requester belongs, or belonged, to the company
        ForeignKeyConstraint(
            ['tenant_id', 'company_id', 'requester_id'], ['membership.tenant_id', 'membership.company_id', 'membership.user_id']
        ),
        ForeignKeyConstraint(['tenant_id', 'author_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'assignee_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'category_id'], ['category.tenant_id', 'category.id']),
        ForeignKeyConstraint(
            ['tenant_id', 'company_id', 'follows_id'],
            ['ticket.tenant_id', 'ticket.company_id', 'ticket.id'],
            name='ticket_follows_fkey',
            use_alter=True,
        ),
        ForeignKeyConstraint(
            ['tenant_id', 'company_id', 'id', 'last_comment_id'],
            ['ticket_comment.tenant_id', 'ticket_comment.company_id', 'ticket_comment.ticket_id', 'ticket_comment.id'],
            name='ticket_last_comment_fkey',
            use_alter=True,
            deferrable=True,
            initially='DEFERRED',
        ),
        Index('ticket_changed', 'tenant_id', text('changed_at DESC'), text('id DESC')),
        Index('ticket_company_changed', 'tenant_id', 'company_id', text('changed_at DESC'), text('id DESC')),
        Index(
            'ticket_company_open',
            'tenant_id',
            'company_id',
            text('changed_at DESC'),
            text('id DESC'),
            postgresql_where=text('queue_rank < 40'),
        ),
        Index('ticket_queue', 'tenant_id', 'queue_rank', 'changed_at', 'id', postgresql_where=text('queue_rank < 40')),
        Index(
            'ticket_assigned',
            'tenant_id',
            'assignee_id',
            'queue_rank',
            'changed_at',
            'id',
            postgresql_where=text('queue_rank < 30'),
        ),
        Index('ticket_requested', 'tenant_id', 'company_id', 'requester_id', text('changed_at DESC'), text('id DESC')),
        Index(
            'ticket_category',
            'tenant_id',
            'category_id',
            text('changed_at DESC'),
            text('id DESC'),
            postgresql_where=text('category_id IS NOT NULL'),
        ),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID
    number: int  # T-1042
    subject: str = Field(max_length=SUBJECT_MOST)
    status: Status = Field(default=Status.NEW, sa_type=as_word(Status))
    priority: Priority = Field(default=Priority.NORMAL, sa_type=as_word(Priority))
    visibility: Visibility = Field(default=Visibility.COMPANY, sa_type=as_word(Visibility))
    requester_id: UUID  # whose ticket it is
    author_id: UUID  # who typed it: staff open tickets for callers
    assignee_id: UUID | None = None
    category_id: UUID | None = None  # what it is about
    follows_id: UUID | None = None  # the closed ticket that this one goes on with
    last_comment_id: UUID | None = None  # the last one that clients see
    outside_ref: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    changed_at: datetime = Field(default_factory=now, sa_type=Moment)  # an internal note does not count
    closed_at: datetime | None = Field(default=None, sa_type=Moment)
    queue_rank: int = Field(default=None, sa_column=Column(SmallInteger, Computed(QUEUE_RANK, persisted=True), nullable=False))

    @property
    def label(self) -> str:
        return f'T-{self.number}'

    @property
    def turn(self) -> Turn:
        return turn_of(self.status)


class Participant(SQLModel, table=True):
    """Somebody of the company in copy."""

    __tablename__: str = 'ticket_participant'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'company_id', 'ticket_id'], ['ticket.tenant_id', 'ticket.company_id', 'ticket.id']),
        ForeignKeyConstraint(
            ['tenant_id', 'company_id', 'user_id'], ['membership.tenant_id', 'membership.company_id', 'membership.user_id']
        ),
        ForeignKeyConstraint(['tenant_id', 'added_by_id'], ['users.tenant_id', 'users.id']),
        Index('ticket_participant_user', 'tenant_id', 'user_id', 'ticket_id'),
    )
    ticket_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID
    added_by_id: UUID
    added_at: datetime = Field(default_factory=now, sa_type=Moment)


class Unread(SQLModel, table=True):
    """Somebody else said something on the ticket, and the person has not had it open since. Written by the database."""

    __tablename__: str = 'ticket_unread'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'company_id', 'ticket_id'], ['ticket.tenant_id', 'ticket.company_id', 'ticket.id']),
        Index('ticket_unread_of', 'tenant_id', 'user_id', 'company_id', 'ticket_id'),
    )
    user_id: UUID = Field(primary_key=True)
    ticket_id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID
    since: datetime = Field(default_factory=now, sa_type=Moment)


class Due(SQLModel, table=True):
    """Until when the staff want it done: a day in the tenant's time zone. Clients cannot read it."""

    __tablename__: str = 'ticket_due'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'company_id', 'ticket_id'], ['ticket.tenant_id', 'ticket.company_id', 'ticket.id']),
        Index('ticket_due_open', 'tenant_id', 'due_on', 'ticket_id', postgresql_where=text('is_open')),
    )
    ticket_id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID
    due_on: date
    is_open: bool  # follows the ticket


class Comment(SQLModel, table=True):
    """Something said on a ticket; the first one is what it was opened with."""

    __tablename__: str = 'ticket_comment'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'company_id', 'ticket_id'], ['ticket.tenant_id', 'ticket.company_id', 'ticket.id']),
        ForeignKeyConstraint(['tenant_id', 'author_id'], ['users.tenant_id', 'users.id']),
        UniqueConstraint('tenant_id', 'company_id', 'ticket_id', 'id'),
        Index('ticket_comment_order', 'tenant_id', 'ticket_id', 'id'),
        Index(
            'ticket_comment_sending',
            'tenant_id',
            'author_id',
            'sending',
            unique=True,
            postgresql_where=text('sending IS NOT NULL'),
        ),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID
    ticket_id: UUID
    author_id: UUID
    body: str = Field(sa_type=Words)  # Markdown
    is_internal: bool = False
    sending: UUID | None = None  # of one reply as it was composed: sent twice, it is said once
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


class EventKind(StrEnum):
    STATUS = 'status'
    PRIORITY = 'priority'
    ASSIGNEE = 'assignee'
    PARTICIPANT = 'participant'  # `before` left, `after` came
    CATEGORY = 'category'
    VISIBILITY = 'visibility'
    REQUESTER = 'requester'
    SUBJECT = 'subject'
    DUE = 'due'


class Event(SQLModel, table=True):
    """A change, as a line in the conversation. `before` and `after` are stored words or ids."""

    __tablename__: str = 'ticket_event'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'company_id', 'ticket_id'], ['ticket.tenant_id', 'ticket.company_id', 'ticket.id']),
        ForeignKeyConstraint(['tenant_id', 'actor_id'], ['users.tenant_id', 'users.id']),
        Index('ticket_event_order', 'tenant_id', 'ticket_id', 'id'),
        Index('ticket_event_lately', 'tenant_id', 'company_id', text('id DESC')),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID
    ticket_id: UUID
    actor_id: UUID
    kind: EventKind = Field(sa_type=as_word(EventKind))
    before: str | None = None
    after: str | None = None
    is_internal: bool = False
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


class BulkChange(SQLModel, table=True):
    """One change on its way through many tickets. It goes when whoever asked for it has seen its end, not with its process."""

    __tablename__: str = 'bulk_change'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
        Index('bulk_change_of', 'tenant_id', 'user_id'),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    user_id: UUID
    field: str
    value: str
    numbers: list[int] = Field(sa_type=cast(Any, ARRAY(Integer)))  # of the tickets that still wait
    total: int
    changed: int = 0
    failed: list[tuple[int, str]] = Field(default_factory=list, sa_column=Column(cast(Any, JSONB), nullable=False))  # number, why
    touched_at: datetime = Field(default_factory=now, sa_type=Moment)


class File(SQLModel, table=True):
    """Something attached. The bytes lie in the file store under a random name.

    Until it is sent it belongs to a `place` where its author writes (see drafts), and nobody else sees it. Then it is as
    internal as the comment it came with, by a trigger.
    """

    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'company_id', 'ticket_id'], ['ticket.tenant_id', 'ticket.company_id', 'ticket.id']),
        ForeignKeyConstraint(
            ['tenant_id', 'company_id', 'ticket_id', 'comment_id'],
            ['ticket_comment.tenant_id', 'ticket_comment.company_id', 'ticket_comment.ticket_id', 'ticket_comment.id'],
        ),
        ForeignKeyConstraint(['tenant_id', 'author_id'], ['users.tenant_id', 'users.id']),
        Index('file_of_ticket', 'tenant_id', 'ticket_id', 'id'),
        Index('file_waiting', 'tenant_id', 'author_id', 'place', postgresql_where=text('ticket_id is null')),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID | None = None  # None: staff have not chosen the company of a new ticket yet
    ticket_id: UUID | None = None
    comment_id: UUID | None = None
    place: str | None = None
    author_id: UUID
    name: str
    media_type: str  # by content, not by name
    size: int  # bytes
    sha256: str
    stored_as: str  # below the folder of files
    width: int | None = None  # of the preview, in pixels; None: there is none
    height: int | None = None
    is_internal: bool = False
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
