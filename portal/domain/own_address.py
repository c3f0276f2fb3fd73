"""Another address to sign in with, asked for by the person: confirmed at both before it holds."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint, func
from sqlalchemy.exc import DBAPIError
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import Moment, Wrong, now
from portal.domain.people import clean_email
from portal.i18n import _

TOO_OFTEN = '54000'


class EmailChange(SQLModel, table=True):
    """One for each person. Reached by functions alone."""

    __tablename__: str = 'email_change'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'user_id'),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(primary_key=True)
    tenant_id: UUID
    user_id: UUID
    old_email: str
    new_email: str
    asked_at: datetime = Field(default_factory=now, sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    old_at: datetime | None = Field(default=None, sa_type=Moment)
    new_at: datetime | None = Field(default=None, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)
    began_at: datetime = Field(sa_type=Moment)
    times: int


@dataclass(frozen=True, slots=True)
class Wish:
    """A change that waits to be confirmed: at the old address, at the new one."""

    email: str
    until: datetime
    old_done: bool
    new_done: bool


async def wish(db: AsyncSession) -> Wish | None:
    """Of whoever asks."""
    asked = func.app.my_address_change().table_valued('new_email', 'expires_at', 'old_done', 'new_done')
    row = (await db.exec(select(asked.c.new_email, asked.c.expires_at, asked.c.old_done, asked.c.new_done))).first()
    return Wish(*row) if row else None


@verb(Permission.PROFILE_EDIT, fresh=True)
async def ask_for_address(db: AsyncSession, by: Principal, email: str) -> None:
    """Letters go to both addresses. Whether the new one is somebody's already only its owner hears. Raises Wrong(email=…)."""
    email = clean_email(email)
    if email == by.email:
        raise Wrong(email=_('This is your address already.'))
    try:
        await db.exec(select(func.app.ask_for_address(email)))
    except DBAPIError as e:
        if getattr(e.orig, 'sqlstate', '') == TOO_OFTEN:
            raise Wrong(email=_('That was the fifth time today. Go on tomorrow.')) from None
        raise
    await record(db, 'email.asked', subject=by.user_id, after=email)


@verb(Permission.PROFILE_EDIT)
async def call_off(db: AsyncSession, by: Principal) -> None:
    """The links in both letters work no more."""
    if (await db.exec(select(func.app.cancel_my_address_change()))).one():
        await record(db, 'email.cancelled', subject=by.user_id)
