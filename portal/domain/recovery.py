"""Help for who has lost what they sign in with. It takes nothing away before the person acts themselves: they hear of it at once, can
stop it, and after a time of waiting get a link with which, and with their password, they set up a new factor.

Who may help whom is decided in the database (`app.may_recover`): nobody helps above their own rights, and a client admin only people
of the own company; where the person belongs to another one as well, staff let it through.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import NotAllowed, Permission, Principal, verb
from portal.domain.base import Moment, NotFound, Words, Wrong, now
from portal.i18n import _

REASON_MOST = 500  # letters


class Recovery(SQLModel, table=True):
    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        Index('recovery_open', 'tenant_id', 'user_id', 'company_id', unique=True),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'started_by_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'spoken_by_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(primary_key=True)
    tenant_id: UUID
    company_id: UUID | None = None  # of the client admin who began it
    user_id: UUID
    started_by_id: UUID
    reason: str = Field(sa_type=Words)
    started_at: datetime = Field(default_factory=now, sa_type=Moment)
    ready_at: datetime = Field(sa_type=Moment)
    needs_staff: bool = False
    spoken_by_id: UUID | None = None  # who of the staff has spoken to the person
    told_at: datetime | None = Field(default=None, sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    stopped_at: datetime | None = Field(default=None, sa_type=Moment)
    used_at: datetime | None = Field(default=None, sa_type=Moment)


@dataclass(frozen=True, slots=True)
class UnderWay:
    user_id: UUID
    started_by_id: UUID | None
    reason: str
    started_at: datetime
    ready_at: datetime
    needs_staff: bool
    told_at: datetime | None  # since when the person has the link


async def under_way(db: AsyncSession) -> dict[UUID, UnderWay]:
    """By person, as far as whoever asks may help them; empty for who helps nobody."""
    connection = await db.connection()
    rows = (await connection.exec_driver_sql('select * from app.recoveries()')).all()
    return {row[0]: UnderWay(*row) for row in rows}


async def may_help(db: AsyncSession, user_id: UUID) -> bool:
    return await _say(db, 'select app.may_recover(%s)', user_id) == ''


@verb(Permission.PEOPLE_MANAGE, fresh=True)
async def start_recovery(db: AsyncSession, by: Principal, user_id: UUID, reason: str, *, spoken: bool = False) -> None:
    """`spoken`: staff say that they have spoken to the person, who then does not wait. Raises Wrong, NotFound, NotAllowed."""
    reason = ' '.join(reason.split())
    if not reason:
        raise Wrong(reason=_('Please say what has happened.'))
    if len(reason) > REASON_MOST:
        raise Wrong(reason=_('At most {n} letters, please.', n=REASON_MOST))
    _refuse(await _say(db, 'select app.start_recovery(%s, %s, %s)', user_id, reason, spoken and by.is_staff))


@verb(Permission.PEOPLE_MANAGE, fresh=True)
async def hurry_recovery(db: AsyncSession, by: Principal, user_id: UUID) -> None:
    """Staff have spoken to the person: the link goes out now."""
    if not by.is_staff:
        raise NotAllowed(Permission.PEOPLE_MANAGE)
    _refuse(await _say(db, 'select app.hurry_recovery(%s)', user_id))


@verb(Permission.PEOPLE_MANAGE, fresh=True)
async def stop_recovery(db: AsyncSession, by: Principal, user_id: UUID) -> None:
    _refuse(await _say(db, 'select app.stop_recovery(%s)', user_id))


def _refuse(why: str) -> None:
    match why:
        case '':
            return
        case 'gone':
            raise NotFound
        case 'self':
            raise Wrong(reason=_('Nobody helps themselves here. Use a recovery code, or ask somebody else.'))
        case 'open':
            raise Wrong(reason=_('They are being helped already.'))
        case 'none':
            raise Wrong(
                reason=_('They have no second factor that could be lost. For a new password, “Forgot your password?” is enough.')
            )
        case 'often':
            raise Wrong(reason=_('They were written to three times today. Try again tomorrow, or speak to them.'))
        case _:
            raise Wrong(reason=_('They may do more than you: somebody with their rights has to help them.'))


async def _say(db: AsyncSession, question: str, *values: Any) -> str:
    await db.flush()
    connection = await db.connection()
    return (await connection.exec_driver_sql(question, values)).scalar_one()
