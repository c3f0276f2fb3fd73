"""An uploaded file of companies or people, its rows, and what became of them. Kept for thirty days, for staff alone."""

from datetime import datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Column, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlmodel import Field, SQLModel, Text

from portal.domain.base import TENANT, Moment, as_word, now, uuid7

KEPT_DAYS = 30


class Kind(StrEnum):
    COMPANIES = 'companies'
    PEOPLE = 'people'


class State(StrEnum):
    READY = 'ready'  # uploaded; columns are being matched
    RUNNING = 'running'
    STOPPED = 'stopped'  # by somebody; can go on
    DONE = 'done'
    FAILED = 'failed'  # by itself; can go on


class Outcome(StrEnum):
    """What a row does, or did."""

    ADD = 'add'
    CHANGE = 'change'
    LEAVE = 'leave'  # everything is so already
    REFUSE = 'refuse'


def _json(default: str) -> Any:
    return Column(cast(Any, JSONB), nullable=False, server_default=text(f"'{default}'"))


class Batch(SQLModel, table=True):
    """`mapping` leads from a field to the place of its column; `options` holds what holds for all rows (`invite`, `role`,
    `company`)."""

    __tablename__: str = 'import_batch'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        ForeignKeyConstraint(['tenant_id', 'author_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'started_by_id'], ['users.tenant_id', 'users.id']),
        Index('import_batch_newest', 'tenant_id', text('id DESC')),
        Index('import_batch_key', 'tenant_id', 'key_hash', unique=True),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, foreign_key='tenant.id', sa_column_kwargs=TENANT)
    kind: Kind = Field(sa_type=as_word(Kind))
    file_name: str
    encoding: str
    delimiter: str
    columns: list[str] = Field(sa_type=cast(Any, ARRAY(Text)))
    mapping: dict[str, int] = Field(default_factory=dict[str, int], sa_column=_json('{}'))
    options: dict[str, Any] = Field(default_factory=dict[str, Any], sa_column=_json('{}'))
    state: State = Field(default=State.READY, sa_type=as_word(State))
    author_id: UUID
    started_by_id: UUID | None = None
    key_hash: bytes | None = None  # SHA-256 of what only its running job knows
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    touched_at: datetime = Field(default_factory=now, sa_type=Moment)


class ImportRow(SQLModel, table=True):
    """A row of the file. `problems` are pairs of a column's name ('' for the whole row) and words."""

    __tablename__: str = 'import_row'  # pyright: ignore
    __table_args__ = (ForeignKeyConstraint(['tenant_id', 'batch_id'], ['import_batch.tenant_id', 'import_batch.id']),)
    batch_id: UUID = Field(primary_key=True)
    number: int = Field(primary_key=True)  # of its line in the file
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    cells: list[str] = Field(sa_type=cast(Any, ARRAY(Text)))
    outcome: Outcome | None = Field(default=None, sa_type=as_word(Outcome))
    problems: list[list[str]] = Field(default_factory=list[list[str]], sa_column=_json('[]'))
    done_at: datetime | None = Field(default=None, sa_type=Moment)
