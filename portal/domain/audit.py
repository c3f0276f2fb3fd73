"""What happened, for whoever has to answer for it. Written in the transaction of what happened, by one function of the
database; nobody can change or delete a line."""

import json
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Column
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.base import Moment


class Audit(SQLModel, table=True):
    id: UUID = Field(primary_key=True)
    tenant_id: UUID
    company_id: UUID | None = None
    at: datetime = Field(sa_type=Moment)
    actor_id: UUID | None = None
    action: str  # noun.happened
    subject_id: UUID | None = None
    detail: dict[str, Any] = Field(sa_column=Column(cast(Any, JSONB), nullable=False))
    session: UUID | None = None
    network: str | None = None
    as_user_id: UUID | None = None  # a client, in whose place somebody of the staff looked


async def record(
    db: AsyncSession, action: str, *, company_id: UUID | None = None, subject: UUID | None = None, **detail: Any
) -> None:
    """Who and when are written by the database. `detail` holds words and ids, never secrets or message texts."""
    connection = await db.connection()
    await connection.exec_driver_sql(
        'select app.record(%s, %s, %s, %s::jsonb)', (action, company_id, subject, json.dumps(detail, default=str))
    )
