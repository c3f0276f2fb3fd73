"""What people sign in with instead of a password. The tables are closed: all of it goes by functions of the database, which act for
the person of the context alone."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel, Text
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now, uuid7
from portal.domain.people import clean_name
from portal.i18n import _
from portal.passkeys import Made

NAME_MOST = 60  # letters


class Passkey(SQLModel, table=True):
    """The public half of a key that never leaves its device."""

    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        UniqueConstraint('tenant_id', 'credential_id'),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    user_id: UUID
    name: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str] = Field(sa_type=cast(Any, ARRAY(Text)))
    backed_up: bool
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    used_at: datetime | None = Field(default=None, sa_type=Moment)


class PasskeyOwner(SQLModel, table=True):
    """By which a passkey names its person: random, so that it says nothing of them."""

    __tablename__: str = 'passkey_owner'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'handle'),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
    )
    user_id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    handle: bytes
    declined_at: datetime | None = Field(default=None, sa_type=Moment)


class PasskeyChallenge(SQLModel, table=True):
    """One that was answered: it is answered once."""

    __tablename__: str = 'passkey_challenge'  # pyright: ignore
    digest: bytes = Field(primary_key=True)
    tenant_id: UUID = Field(foreign_key='tenant.id')
    expires_at: datetime = Field(sa_type=Moment)


class LastFactor(Wrong):
    """Without it they would have none, and they need one."""


@dataclass(frozen=True, slots=True)
class Mine:
    """A passkey of whoever looks."""

    id: UUID
    name: str
    credential: bytes
    transports: list[str]
    backed_up: bool
    created_at: datetime
    used_at: datetime | None


# ---------- questions ----------


async def mine(db: AsyncSession) -> list[Mine]:
    return [Mine(*row) for row in await _rows(db, 'select * from app.my_passkeys()')]


async def my_handle(db: AsyncSession) -> bytes:
    return (await _rows(db, 'select app.my_handle()'))[0][0]


# ---------- verbs ----------


@verb(Permission.PROFILE_EDIT, fresh=True)
async def add_passkey(db: AsyncSession, by: Principal, made: Made, name: str) -> None:
    """Raises Wrong(passkey=…) when it is known already, or there are as many as one may have. The person gets a letter."""
    added = await _rows(db, 'select app.add_passkey(%s::jsonb)', as_json(made, name))
    if not added[0][0]:
        raise Wrong(passkey=_('This passkey is here already.'))
    await record(db, 'passkey.added', subject=by.user_id, name=name)


@verb(Permission.PROFILE_EDIT)
async def rename_passkey(db: AsyncSession, by: Principal, passkey_id: UUID, name: str) -> None:
    """Raises Wrong(name=…), and NotFound."""
    name = clean_name(name, most=NAME_MOST)
    if not (await _rows(db, 'select app.rename_passkey(%s, %s)', passkey_id, name))[0][0]:
        raise NotFound
    await record(db, 'passkey.renamed', subject=by.user_id, name=name)


@verb(Permission.PROFILE_EDIT, fresh=True)
async def remove_passkey(db: AsyncSession, by: Principal, passkey_id: UUID) -> str:
    """Its name. Raises NotFound, and LastFactor. The person gets a letter."""
    try:
        async with db.begin_nested():
            name = (await _rows(db, 'select app.remove_passkey(%s)', passkey_id))[0][0]
    except IntegrityError as e:  # restrict_violation, which the function raises
        words = (
            _('Your password is too short to be all that is asked. Choose a longer one first.')
            if 'password' in str(e.orig) else _('You need a second factor, and this is your only one. Add another one first.')
        )  # fmt: skip
        raise LastFactor(passkey=words) from None
    if name is None:
        raise NotFound
    await record(db, 'passkey.removed', subject=by.user_id, name=name)
    return name


@verb(Permission.PROFILE_EDIT)
async def decline_passkey(db: AsyncSession, by: Principal) -> None:
    """They want none: it is not offered to them again."""
    await _rows(db, 'select app.decline_passkey()')


def as_json(made: Made, name: str) -> str:
    """As the functions of the database take it."""
    return json.dumps({
        'id': str(uuid7()), 'name': name, 'credential': made.credential.hex(), 'public': made.public_key.hex(),
        'count': made.sign_count, 'transports': list(made.transports), 'backed_up': made.backed_up,
    })  # fmt: skip


async def _rows(db: AsyncSession, question: str, *values: Any) -> list[Any]:
    connection = await db.connection()
    return list((await connection.exec_driver_sql(question, values)).all())
