"""Tenants, companies, the people in them, and what they chose for themselves.

The table is called `users`, against the rule of singular names: `user` is a reserved word of SQL, and `select * from
user` silently answers something else.
"""

import re
import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, Index, UniqueConstraint, func, literal
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import UUID as PG_UUID
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel, Text, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from portal.domain.access import Permission, Principal, UserType, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Words, Wrong, now, uuid7
from portal.domain.granting import Given, may_give, may_take
from portal.domain.mail import Promised, promise
from portal.domain.phones import clean_phone, region_of
from portal.i18n import LANGUAGES, _, known_timezone

#: What mail a person may switch off, in the order of the page.
MAIL_EVENTS = ('new_ticket', 'reply', 'status')
#: A ticket comes into one person's hands: they are in copy, it is theirs, they are to work on it. To them it is a new ticket.
HANDED = ('copy', 'requester', 'assigned')


class Tenant(SQLModel, table=True):
    """One MSP."""

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    name: str
    short_name: str  # as one says it: "Northwind"
    host: str | None = None  # host name under which this tenant is found
    accent: str | None = None  # #rrggbb
    phone: str | None = None
    phone_hours: str | None = None
    language: str = 'en'
    timezone: str = 'UTC'
    idle_minutes: int = 8 * 60  # a client's session ends after so long without use
    session_hours: int = 7 * 24  # and after so long in any case
    review_days: int = 90  # so often a company is asked who still works there; 0: never
    staff_idle_minutes: int = 8 * 60  # the same for staff
    staff_session_hours: int = 7 * 24
    reopen_days: int = 14  # a closed ticket can be reopened so long; later a reply opens a linked new one
    recovery_hours: int = 24  # that somebody waits who is helped to a lost factor
    # how long lines of the audit log are kept: signing in; who read what; everything else
    keep_signins_days: int = 180
    keep_reading_days: int = 365
    keep_changes_days: int = 3 * 365
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


class Company(SQLModel, table=True):
    """A client business of the tenant. `slug` stands in the address."""

    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        UniqueConstraint('tenant_id', 'slug'),
        ForeignKeyConstraint(['tenant_id', 'manager_id'], ['users.tenant_id', 'users.id']),
        Index('company_outside_ref', 'tenant_id', 'outside_ref', unique=True),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, foreign_key='tenant.id', sa_column_kwargs=TENANT)
    slug: str
    name: str
    outside_ref: str | None = None  # under which it is known elsewhere
    phone: str | None = None
    website: str | None = None
    street: str | None = None
    postal_code: str | None = None
    city: str | None = None
    country: str | None = None
    manager_id: UUID | None = None  # who of the staff looks after it
    file_quota_mb: int | None = None  # what its files may take; None: as everywhere (PORTAL_COMPANY_QUOTA_MB)
    archived_at: datetime | None = Field(default=None, sa_type=Moment)
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


class CompanyNote(SQLModel, table=True):
    """What staff should know of a company. No client can read this table."""

    __tablename__: str = 'company_note'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(['tenant_id', 'author_id'], ['users.tenant_id', 'users.id']),
    )
    company_id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    body: str = Field(sa_type=Words)
    author_id: UUID
    changed_at: datetime = Field(default_factory=now, sa_type=Moment)


class CompanySlug(SQLModel, table=True):
    """An address that a company had before. It leads to the present one, and stays taken."""

    __tablename__: str = 'company_slug'  # pyright: ignore
    __table_args__ = (ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),)
    tenant_id: UUID = Field(default=None, primary_key=True, sa_column_kwargs=TENANT)
    slug: str = Field(primary_key=True)
    company_id: UUID


class User(SQLModel, table=True):
    """A person who signs in. Passwords are kept elsewhere (`credential`), where only the door's functions reach."""

    __tablename__: str = 'users'  # pyright: ignore
    __table_args__ = (UniqueConstraint('tenant_id', 'id'), UniqueConstraint('tenant_id', 'email'))
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, foreign_key='tenant.id', sa_column_kwargs=TENANT)
    email: str  # lower case
    email_changed_at: datetime | None = Field(default=None, sa_type=Moment)
    devices_since: datetime | None = Field(default=None, sa_type=Moment)  # what browsers knew of them before counts no more
    name: str
    phone: str | None = None
    user_type: str
    staff_role: str | None = None  # of internal users; a client's role is in the membership
    staff_role_id: UUID | None = None
    language: str | None = None  # None: the tenant's
    timezone: str | None = None
    theme: str = 'auto'
    mail_off: list[str] = Field(default_factory=list, sa_type=cast(Any, ARRAY(Text)))
    disabled_at: datetime | None = Field(default=None, sa_type=Moment)
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


class Membership(SQLModel, table=True):
    """A client user in a company, with a role: a built-in one by name, or the tenant's own by id.

    Memberships end, they are not deleted: tickets go on naming who asked.
    """

    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        UniqueConstraint('tenant_id', 'company_id', 'user_id'),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    user_id: UUID
    company_id: UUID
    role: str | None = None
    role_id: UUID | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    ended_at: datetime | None = Field(default=None, sa_type=Moment)


class MembershipSeen(SQLModel, table=True):
    """When somebody was last at a company: apart for each, since nobody there should learn of the others. Written by a trigger."""

    __tablename__: str = 'membership_seen'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
    )
    tenant_id: UUID = Field(primary_key=True)
    company_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    at: datetime = Field(default_factory=now, sa_type=Moment)


class Credential(SQLModel, table=True):
    """Argon2id hash of a password. No role of the portal can read this table, only the door's definer functions."""

    __table_args__ = (ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),)
    user_id: UUID = Field(primary_key=True)
    tenant_id: UUID
    password_hash: str = Field(sa_type=Words)
    alone: bool = True  # long enough to be all that is asked
    changed_at: datetime = Field(default_factory=now, sa_type=Moment)


class Session(SQLModel, table=True):
    """A sign-in. Only the SHA-256 of its token is kept. Reached through the door's definer functions alone."""

    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
    )
    token_hash: bytes = Field(primary_key=True)
    id: UUID
    tenant_id: UUID
    user_id: UUID
    device: str
    device_key: bytes | None = None  # digest of the cookie by which the device is known
    device_known: bool = False  # its browser had proved before to be this person's
    network: str | None = None  # from where: /24 of IPv4, /64 of IPv6
    announced_at: datetime | None = Field(default=None, sa_type=Moment)  # when its person was told of a new device
    proofs: list[str] = Field(sa_type=cast(Any, ARRAY(Text)))  # password, totp, passkey, recovery, sso
    proved_at: datetime = Field(default_factory=now, sa_type=Moment)  # when the person last proved who they are
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    last_seen_at: datetime = Field(default_factory=now, sa_type=Moment)
    expires_at: datetime = Field(sa_type=Moment)
    revoked_at: datetime | None = Field(default=None, sa_type=Moment)


# ---------- questions ----------


def switch_of(kind: str) -> str:
    """Which of MAIL_EVENTS switches this kind of letter off."""
    return 'new_ticket' if kind in HANDED else kind


async def members(db: AsyncSession, company_id: UUID) -> list[User]:
    """Who belongs to the company now, by name; to an archived one nobody does. A client sees only its own company's."""
    found = select(User).where(col(User.id).in_(_belongs(company_id)), col(User.disabled_at).is_(None))
    return list(await db.exec(found.order_by(func.lower(User.name))))


async def members_of(db: AsyncSession, company_id: UUID, people: Collection[UUID]) -> set[UUID]:
    """Those of the people who belong to the company now."""
    found = select(User.id).where(
        col(User.id).in_(people), col(User.id).in_(_belongs(company_id)), col(User.disabled_at).is_(None)
    )
    return set(await db.exec(found))


def _belongs(company_id: UUID) -> SelectOfScalar[UUID]:
    return (
        select(Membership.user_id)
        .join(Company, col(Company.id) == Membership.company_id)
        .where(Membership.company_id == company_id, col(Membership.ended_at).is_(None), col(Company.archived_at).is_(None))
    )


async def staff(db: AsyncSession) -> list[User]:
    found = select(User).where(User.user_type == UserType.INTERNAL.value, col(User.disabled_at).is_(None))
    return list(await db.exec(found.order_by(func.lower(User.name))))


async def companies(db: AsyncSession) -> list[Company]:
    return list(await db.exec(select(Company).where(col(Company.archived_at).is_(None)).order_by(func.lower(Company.name))))


async def company_by_slug(db: AsyncSession, slug: str) -> Company:
    """Also by an address that it had before."""
    found = (await db.exec(select(Company).where(Company.slug == slug))).first()
    if found is None:
        formerly = select(CompanySlug.company_id).where(CompanySlug.slug == slug)
        found = (await db.exec(select(Company).where(col(Company.id).in_(formerly)))).first()
    if found is None:
        raise NotFound
    return found


class Taken(Wrong):
    """An address that somebody of the tenant's clients has already: whose."""

    def __init__(self, person_id: UUID, **fields: str) -> None:
        super().__init__(**fields)
        self.person_id = person_id


@dataclass(frozen=True, slots=True)
class Around:
    """What whoever manages somebody may know of how they come in: last here (at the company of a client who asks), a password, and
    other ways (totp, passkey, sso)."""

    seen_at: datetime | None = None
    has_password: bool = False
    ways: tuple[str, ...] = ()


async def around(db: AsyncSession, people: Collection[UUID]) -> dict[UUID, Around]:
    """By id; nothing of people that the asker does not manage."""
    asked = func.app.people_here(literal(list(people), ARRAY(PG_UUID(as_uuid=True))))
    rows = asked.table_valued('user_id', 'seen_at', 'has_password', 'ways')
    found = select(rows.c.user_id, rows.c.seen_at, rows.c.has_password, rows.c.ways)
    return {row[0]: Around(row[1], row[2], tuple(row[3])) for row in await db.exec(found)}


# ---------- verbs ----------

_EMAIL = re.compile(r'[^@\s<>"(),:;\\\[\]]+@[^@\s<>"(),:;\\\[\]]+\.[^@\s.<>"(),:;\\\[\]]+')


def clean_email(address: str) -> str:
    """Lower case; raises Wrong(email=…) for what cannot be an address (RFC 5321 length)."""
    address = unicodedata.normalize('NFKC', address).strip().lower()
    if not address:
        raise Wrong(email=_('Please enter an e-mail address.'))
    if len(address) > 254 or not address.isprintable() or not _EMAIL.fullmatch(address):
        raise Wrong(email=_('This does not look like an e-mail address.'))
    return address


_TURNS = {'LRE', 'RLE', 'LRO', 'RLO', 'PDF', 'LRI', 'RLI', 'FSI', 'PDI'}  # of Unicode's bidirectional classes


def clean_name(name: str, *, field: str = 'name', most: int = 120) -> str:
    """On one line; without marks of direction, which would turn around the words that stand beside it. Raises Wrong."""
    name = ' '.join(''.join(c for c in name if unicodedata.bidirectional(c) not in _TURNS).split())
    if not name:
        raise Wrong(**{field: _('Please enter a name.')})
    if any(unicodedata.category(c) == 'Cc' for c in name):
        raise Wrong(**{field: _('There is a sign in it that cannot be shown. Please type it anew.')})
    if len(name) > most:
        raise Wrong(**{field: _('At most {n} letters, please.', n=most)})
    return name


#: Words that stand in an address where a company's could.
RESERVED = {'new', 'tickets', 'settings', 'gallery'}


def slug_of(name: str) -> str:
    plain = unicodedata.normalize('NFKD', name).encode('ascii', 'ignore').decode().lower()
    return re.sub(r'[^a-z0-9]+', '-', plain).strip('-')[:40].strip('-') or 'company'


@verb(Permission.COMPANIES_MANAGE)
async def add_company(db: AsyncSession, by: Principal, name: str) -> Company:
    """A slug is made from the name and stays; raises Wrong when the name is taken."""
    name = clean_name(name)
    await names_alone(db, by)
    if (await db.exec(select(Company.id).where(func.lower(Company.name) == name.lower()))).first():
        raise Wrong(name=_('A company of this name is here already.'))
    stem = slug_of(name)
    taken = set(await db.exec(select(Company.slug).where(col(Company.slug).startswith(stem, autoescape=True))))
    taken |= set(await db.exec(select(CompanySlug.slug).where(col(CompanySlug.slug).startswith(stem, autoescape=True))))
    slug = next(s for n in range(1, 10_000) if (s := stem if n == 1 else f'{stem}-{n}') not in taken | RESERVED)
    company = Company(tenant_id=by.tenant.id, name=name, slug=slug)
    db.add(company)
    await db.flush()
    await record(db, 'company.added', company_id=company.id, subject=company.id, name=name)
    return company


async def names_alone(db: AsyncSession, by: Principal) -> None:
    """Until the commit nobody else of the tenant names a company: of two who choose the same name, one comes second."""
    await db.exec(select(func.pg_advisory_xact_lock(func.hashtext('portal.companies'), func.hashtext(str(by.tenant.id)))))


@verb(Permission.COMPANIES_MANAGE, fresh=True)
async def add_person(db: AsyncSession, by: Principal, company: Company, *, name: str, email: str, role: str) -> User:
    """Adds a person to a company and writes them a letter to set a password.

    Somebody who is known by this address already (in another company of the tenant) gets one more membership. Raises Wrong,
    and Taken where the person belongs to the company already.
    """
    return await bring_in(db, by, company, name=name, email=email, role=role)


async def bring_in(
    db: AsyncSession, by: Principal, company: Company, *, name: str, email: str, role: str, write: bool = True
) -> User:
    """`add_person` without asking for a proof: of an import, whose start asked for it. No letter unless to `write`."""
    if company.archived_at is not None:
        raise Wrong(email=_('{company} is archived. Bring it back first.', company=company.name))
    name, email = clean_name(name), clean_email(email)
    given = await may_give(db, by, role, UserType.CLIENT)
    user = (await db.exec(select(User).where(User.email == email))).first()
    if user and user.user_type != UserType.CLIENT.value:
        raise Wrong(email=_('This is the address of somebody on your staff.'))
    if user and user.disabled_at is not None:
        raise Taken(user.id, email=_('{name} is disabled. Enable them first.', name=user.name))
    known = user is not None
    if user is None:
        user = User(tenant_id=by.tenant.id, email=email, name=name, user_type=UserType.CLIENT.value)
        db.add(user)
        try:
            await db.flush()
        except IntegrityError:
            raise Wrong(email=_('Somebody else has taken this address just now.')) from None
    before = (await db.exec(select(Membership).where(Membership.company_id == company.id, Membership.user_id == user.id))).first()
    if before and before.ended_at is None:
        raise Taken(user.id, email=_('{name} belongs to {company} already.', name=user.name, company=company.name))
    if before:
        before.ended_at, before.role, before.role_id = None, given.role, given.role_id
    else:
        db.add(Membership(tenant_id=by.tenant.id, user_id=user.id, company_id=company.id, role=given.role,
                          role_id=given.role_id))  # fmt: skip
    await db.flush()
    await record(db, 'person.added', company_id=company.id, subject=user.id, role=given.name)
    if write:
        await promise(db, [Promised(kind='welcome_again' if known else 'welcome', to_user_id=user.id, company_id=company.id,
                                  actor_id=by.user_id)])  # fmt: skip
    return user


@verb(Permission.COMPANIES_MANAGE, fresh=True)
async def send_welcome(db: AsyncSession, by: Principal, company: Company, user_id: UUID) -> None:
    """Once more the letter to set a password."""
    if not any(m.id == user_id for m in await members(db, company.id)):
        raise NotFound
    await record(db, 'person.welcomed', company_id=company.id, subject=user_id)
    await promise(db, [Promised(kind='welcome', to_user_id=user_id, company_id=company.id, actor_id=by.user_id)])


@verb(Permission.COMPANIES_MANAGE, fresh=True)
async def change_role(db: AsyncSession, by: Principal, company: Company, user_id: UUID, role: str) -> None:
    """Takes effect at the next event of every page the person has open. `role`: a built-in name, or the id of one's own."""
    await set_role(db, by, company, user_id, role)


async def set_role(db: AsyncSession, by: Principal, company: Company, user_id: UUID, role: str) -> None:
    """`change_role` without asking for a proof: of an import, whose start asked for it."""
    given = await may_give(db, by, role, UserType.CLIENT)
    membership = await membership_of(db, company.id, user_id)
    await give(db, by, membership, given)


@verb(Permission.COMPANIES_MANAGE)
async def end_membership(db: AsyncSession, by: Principal, company: Company, user_id: UUID) -> None:
    """The person no longer belongs to the company; their pages close. What they wrote stays."""
    await end(db, by, await membership_of(db, company.id, user_id))


async def give(db: AsyncSession, by: Principal, membership: Membership, given: Given) -> None:
    """Of a verb that has asked `may_give`; raises Wrong(role=…) for somebody who may do more than `by`."""
    person = await db.get_one(User, membership.user_id)
    before = await may_take(db, by, membership.role, membership.role_id, name=person.name)
    if (membership.role, membership.role_id) == (given.role, given.role_id):
        return
    membership.role, membership.role_id = given.role, given.role_id
    await db.flush()
    await record(db, 'role.changed', company_id=membership.company_id, subject=person.id,
                 before=before.name if before else '', after=given.name)  # fmt: skip


async def end(db: AsyncSession, by: Principal, membership: Membership) -> None:
    """Raises Wrong(role=…) for somebody who may do more than `by`."""
    person = await db.get_one(User, membership.user_id)
    await may_take(db, by, membership.role, membership.role_id, name=person.name)
    membership.ended_at = now()
    await db.flush()
    await record(db, 'person.removed', company_id=membership.company_id, subject=person.id)


async def membership_of(db: AsyncSession, company_id: UUID, user_id: UUID) -> Membership:
    """The one that has not ended, as it is now; raises NotFound."""
    asked = select(Membership).where(
        Membership.company_id == company_id, Membership.user_id == user_id, col(Membership.ended_at).is_(None)
    )
    found = (await db.exec(asked.execution_options(populate_existing=True))).first()
    if found is None:
        raise NotFound
    return found


THEMES = ('auto', 'light', 'dark')


@verb(Permission.PROFILE_EDIT)
async def change_profile(
    db: AsyncSession, by: Principal, *, name: str | None = None, language: str | None = None, timezone: str | None = None,
    theme: str | None = None, mail_off: list[str] | None = None, phone: str | None = None,
) -> None:  # fmt: skip
    """What a person chooses for themselves; None leaves a thing as it is."""
    me = await db.get_one(User, by.user_id)
    if name is not None:
        me.name = clean_name(name)
    if phone is not None:
        me.phone = clean_phone(phone, region_of(None, me.timezone or by.tenant.timezone)) or None
    if language is not None:
        if language not in LANGUAGES:
            raise Wrong(language=_('Choose a language.'))
        me.language = language
    if timezone is not None:
        if not known_timezone(timezone):
            raise Wrong(timezone=_('Choose a time zone.'))
        me.timezone = timezone
    if theme is not None:
        if theme not in THEMES:
            raise Wrong(theme=_('Choose light, dark or automatic.'))
        me.theme = theme
    if mail_off is not None:
        me.mail_off = [event for event in MAIL_EVENTS if event in mail_off]
