"""What somebody signs in with: the password, authenticator apps (TOTP, RFC 6238), and recovery codes for the day the phone is gone.

All of it is reached by functions of the database, each for the person of the context alone; no role of the portal reads the tables.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import pyotp
from pyotp.totp import TOTP
from sqlalchemy import ForeignKeyConstraint, LargeBinary, UniqueConstraint
from sqlalchemy.exc import DBAPIError
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from portal import sealing
from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now, uuid7
from portal.domain.people import clean_name
from portal.i18n import _
from portal.settings import Settings

STEP, DRIFT = 30, 1  # seconds; steps that a clock may be off
CODES, CODE_BYTES = 10, 15  # recovery codes at once; 120 bits each
RESTRICTED = '23001'  # SQLSTATE restrict_violation


class Totp(SQLModel, table=True):
    """An authenticator app. The secret is sealed (`portal.sealing`)."""

    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    user_id: UUID
    name: str
    secret: bytes = Field(sa_type=LargeBinary)
    last_step: int = 0  # of the last code that was used
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    confirmed_at: datetime | None = Field(default=None, sa_type=Moment)
    used_at: datetime | None = Field(default=None, sa_type=Moment)


class RecoveryCode(SQLModel, table=True):
    """Only a digest of it is kept. A used one is deleted."""

    __tablename__: str = 'recovery_code'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'user_id', 'digest'),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    user_id: UUID
    digest: bytes = Field(sa_type=LargeBinary)
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


# ---------- codes ----------


def step_of(secret: bytes, code: str, at: datetime) -> int | None:
    """The step of time whose code this is, of those that count now; None: of none."""
    digits = ''.join(code.split())
    if not (len(digits) == 6 and digits.isascii() and digits.isdigit()):
        return None
    app, present = TOTP(secret.decode()), int(at.timestamp()) // STEP
    near = range(present - DRIFT, present + DRIFT + 1)
    return next((step for step in near if hmac.compare_digest(app.generate_otp(step), digits)), None)


def secret_of(settings: Settings, tenant: UUID, id: UUID, sealed: bytes) -> bytes:
    """Raises `sealing.CannotUnseal`."""
    return sealing.unseal(settings, sealing.Place('totp', 'secret', tenant, id), sealed)


def new_code() -> str:
    """`8QF2-KX7M-…`, six times four signs of base32 (RFC 4648)."""
    word = base64.b32encode(secrets.token_bytes(CODE_BYTES)).decode()
    return '-'.join(word[n : n + 4] for n in range(0, len(word), 4))


def digest_of(tenant: UUID, user: UUID, code: str) -> bytes:
    """However it was typed. A plain digest is enough: there are 120 bits to guess."""
    plain = ''.join(c for c in code.upper() if c.isalnum()).translate(str.maketrans('018', 'OIB'))
    return hashlib.sha256(f'{tenant}|{user}|{plain}'.encode()).digest()


# ---------- one's own ----------


@dataclass(frozen=True, slots=True)
class App:
    id: UUID
    name: str
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class SigningIn:
    """`password_at`: when it was last changed; None: there is none. `has_factor`: something is asked after it."""

    password_at: datetime | None
    apps: tuple[App, ...]
    codes_left: int
    codes_at: datetime | None
    has_factor: bool
    must_keep: bool
    fresh: bool


async def signing_in(db: AsyncSession) -> SigningIn:
    """Of the person who looks. Raises NotFound for staff who look as somebody else."""
    found: Any = await _ask(db, 'my_signing_in')
    if found is None:
        raise NotFound
    apps = tuple(App(UUID(a['id']), a['name'], _moment(a['created_at']), _moment(a['used_at'])) for a in found['totp'])
    password, codes = found['password'], found['codes']
    return SigningIn(
        _moment(password['changed_at']) if password else None, apps, codes['left'], _moment(codes['created_at']),
        found['has_factor'], found['must_keep'], found['fresh'],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Begun:
    """An app that is being set up. `secret` is base32, as apps take it."""

    id: UUID
    secret: str


@verb(Permission.PROFILE_EDIT, fresh=True)
async def begin_totp(db: AsyncSession, by: Principal, settings: Settings) -> Begun:
    """Counts for nothing until it is confirmed with a code. Raises Wrong where somebody has too many."""
    begun = Begun(uuid7(), pyotp.random_base32())
    sealed = sealing.seal(settings, sealing.Place('totp', 'secret', by.tenant.id, begun.id), begun.secret.encode())
    if not await _ask(db, 'begin_totp', begun.id, _('Authenticator app'), sealed):
        raise Wrong(code=_('You have ten apps already. Remove one first.'))
    return begun


@verb(Permission.PROFILE_EDIT, fresh=True)
async def confirm_totp(db: AsyncSession, by: Principal, settings: Settings, begun: UUID, *, code: str, name: str) -> None:
    """From now on it is asked for. Raises Wrong, and NotFound for one that was begun anew elsewhere, or too long ago."""
    name = clean_name(name, most=60)
    sealed: bytes | None = await _ask(db, 'waiting_totp', begun)
    if sealed is None:
        raise NotFound
    step = step_of(secret_of(settings, by.tenant.id, begun, sealed), code, now())
    if step is None:
        raise Wrong(
            code=_('This is not what the app shows now. Check that the clock of the phone is right, and type the newest code.')
        )
    if not await _ask(db, 'confirm_totp', begun, name, step):
        raise NotFound
    await record(db, 'factor.added', subject=by.user_id, kind='totp', name=name)
    await _tell(db, 'factor_added')


@verb(Permission.PROFILE_EDIT, fresh=True)
async def remove_totp(db: AsyncSession, by: Principal, app: UUID) -> None:
    """With the last factor the recovery codes go. Raises Wrong(factor=…) where somebody may not be without it."""
    try:
        name: str | None = await _ask(db, 'remove_totp', app)
    except DBAPIError as e:
        if getattr(e.orig, 'sqlstate', None) != RESTRICTED:
            raise
        if e.orig.diag.message_primary == 'password':  # pyright: ignore
            raise Wrong(factor=_('Your password is too short to be all that is asked. Choose a longer one first.')) from None
        raise Wrong(factor=_('You need a second factor here. Add another one before you remove this.')) from None
    if name is None:
        raise NotFound
    await record(db, 'factor.removed', subject=by.user_id, kind='totp', name=name)
    await _tell(db, 'factor_removed')


@verb(Permission.PROFILE_EDIT, fresh=True)
async def new_recovery_codes(db: AsyncSession, by: Principal) -> list[str]:
    """Shown once; those there were before do not work any more. Raises NotFound for who has no factor to recover."""
    codes = [new_code() for _n in range(CODES)]
    if not await _ask(db, 'set_recovery_codes', [digest_of(by.tenant.id, by.user_id, code) for code in codes]):
        raise NotFound
    await record(db, 'recovery_codes.made', subject=by.user_id, count=len(codes))
    await _tell(db, 'recovery_codes_made')
    return codes


@verb(Permission.PROFILE_EDIT, fresh=True)
async def change_password(db: AsyncSession, by: Principal, hashed: str, *, alone: bool) -> None:
    """Ends every other session. `alone`: it is long enough to be all that is asked; raises Wrong(password=…) where it has to be."""
    if not await _ask(db, 'change_password', hashed, alone):
        raise Wrong(password=_('Without a second factor it has to be longer.'))
    await record(db, 'password.changed', subject=by.user_id)
    await _tell(db, 'password_changed')


async def _tell(db: AsyncSession, kind: str) -> None:
    """The person hears of every change, so that one they did not make does not stay unnoticed."""
    await _ask(db, 'letter_to_me', uuid7(), kind)


async def _ask(db: AsyncSession, function: str, *values: Any) -> Any:
    connection = await db.connection()
    places = ', '.join(['%s'] * len(values))
    return (await connection.exec_driver_sql(f'select app.{function}({places})', values)).scalar()


def _moment(said: str | None) -> Any:
    return datetime.fromisoformat(said) if said else None
