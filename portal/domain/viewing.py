"""Staff look at the portal as a client does: with a reason, for half an hour, reading only. What it closes is in the policies."""

from datetime import datetime, timedelta
from uuid import UUID

from psycopg.errors import NoDataFound
from sqlalchemy import ForeignKeyConstraint
from sqlalchemy.exc import DBAPIError
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now
from portal.i18n import _

LASTS = timedelta(minutes=30)
REASON = (3, 300)  # characters


class Viewing(SQLModel, table=True):
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'staff_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(
            ['tenant_id', 'company_id', 'user_id'], ['membership.tenant_id', 'membership.company_id', 'membership.user_id']
        ),
    )
    id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    session: UUID
    staff_id: UUID
    user_id: UUID
    company_id: UUID
    reason: str
    begun_at: datetime = Field(default_factory=now, sa_type=Moment)
    ends_at: datetime = Field(sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


@verb(Permission.VIEW_AS, fresh=True)
async def begin_viewing(db: AsyncSession, by: Principal, person: UUID, company: UUID, reason: str) -> None:
    """In this session, in place of the one before; the company's log says so. Raises NotFound for somebody who does not belong there."""
    reason = ' '.join(reason.split())
    if not REASON[0] <= len(reason) <= REASON[1]:
        raise Wrong(reason=_('Say why, in at most {n} characters. The company reads it in its log.', n=REASON[1]))
    connection = await db.connection()
    try:
        await connection.exec_driver_sql('select app.begin_viewing(%s, %s, %s)', (person, company, reason))
    except DBAPIError as e:
        if isinstance(e.orig, NoDataFound):
            raise NotFound from None
        raise
