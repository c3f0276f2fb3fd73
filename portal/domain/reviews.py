"""Do these people still work here? A question to the client admins of a company, opened by a job, confirmed once."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint, func
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, Role, permissions_of, role_label, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now
from portal.domain.people import Around, Membership, Tenant, User, around
from portal.i18n import _


class Review(SQLModel, table=True):
    __tablename__: str = 'access_review'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'company_id', 'id'),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(['tenant_id', 'confirmed_by_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID
    opened_at: datetime = Field(default_factory=now, sa_type=Moment)
    due_at: datetime = Field(sa_type=Moment)
    reminders: int = 0
    confirmed_at: datetime | None = Field(default=None, sa_type=Moment)
    confirmed_by_id: UUID | None = None

    @property
    def is_overdue(self) -> bool:
        return self.confirmed_at is None and self.due_at < now()


class ReviewItem(SQLModel, table=True):
    """What was answered about one of them."""

    __tablename__: str = 'access_review_item'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(
            ['tenant_id', 'company_id', 'review_id'], ['access_review.tenant_id', 'access_review.company_id', 'access_review.id']
        ),
        ForeignKeyConstraint(
            ['tenant_id', 'company_id', 'user_id'], ['membership.tenant_id', 'membership.company_id', 'membership.user_id']
        ),
    )
    review_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID
    kept: bool


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Somebody of the list. `fixed`: not for this person to remove: themselves, or somebody who may more."""

    id: UUID
    name: str
    email: str
    role: str
    seen_at: datetime | None
    fixed: bool
    is_me: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """How it is about the reviews of a company."""

    open: Review | None
    confirmed_at: datetime | None
    confirmed_by: str


async def standing(db: AsyncSession, company_id: UUID) -> Standing:
    waits = (await db.exec(select(Review).where(Review.company_id == company_id, col(Review.confirmed_at).is_(None)))).first()
    asked = (
        select(Review.confirmed_at, User.name)
        .join(User, col(User.id) == Review.confirmed_by_id)
        .where(Review.company_id == company_id)
        .order_by(col(Review.confirmed_at).desc())
        .limit(1)
    )
    last = (await db.exec(asked)).first()
    return Standing(waits, last[0] if last else None, last[1] if last else '')


async def overdue(db: AsyncSession) -> set[UUID]:
    """Companies that have not answered in time; for staff."""
    asked = select(Review.company_id).where(col(Review.confirmed_at).is_(None), Review.due_at < now())
    return set(await db.exec(asked))


async def people_to_review(db: AsyncSession, by: Principal) -> list[Reviewed]:
    """Everybody who can come in for the company of whoever asks, who are its client admins."""
    assert by.company
    asked = (
        select(User, Membership, Role)
        .join(Membership, col(Membership.user_id) == User.id)
        .outerjoin(Role, col(Role.id) == Membership.role_id)
        .where(Membership.company_id == by.company.id, col(Membership.ended_at).is_(None))
        .order_by(func.lower(User.name), col(User.id))
    )
    rows = list(await db.exec(asked))
    seen = await around(db, [user.id for user, _m, _role in rows])
    return [
        Reviewed(user.id, user.name, user.email, role_label(m.role) if m.role else role.name if role else '', seen.get(user.id, Around()).seen_at,
                 fixed=user.id == by.user_id or not permissions_of(m.role or '', role.permissions if role else None) <= by.permissions,
                 is_me=user.id == by.user_id)
        for user, m, role in rows
    ]  # fmt: skip


class Confirmed(Exception):
    """Somebody else was faster."""


@verb(Permission.PEOPLE_MANAGE)
async def confirm_review(
    db: AsyncSession, by: Principal, review_id: UUID, shown: Collection[UUID], leave: Collection[UUID]
) -> None:
    """Those who `leave` no longer belong to the company, at once. `shown`: all that were on the list; whoever came since is asked
    about first. Raises Confirmed if somebody else has answered, Wrong(people=…) where it cannot be so."""
    if by.company is None:
        raise NotFound
    people = {person.id: person for person in await people_to_review(db, by)}
    if people.keys() - set(shown):
        raise Wrong(people=_('Somebody has come meanwhile. Look at the list again.'))
    gone = [people[each] for each in leave if each in people]
    if any(person.fixed for person in gone):
        raise Wrong(people=_('You cannot remove yourself here, nor somebody who may more than you.'))
    done = (await db.exec(select(func.app.confirm_review(review_id, [person.id for person in gone])))).one()
    if not done:
        raise Confirmed
    for person in gone:
        await record(db, 'person.removed', company_id=by.company.id, subject=person.id)
    await record(db, 'review.confirmed', company_id=by.company.id, subject=review_id,
                 kept=[p.name for p in people.values() if p not in gone], removed=[p.name for p in gone])  # fmt: skip


async def next_review(db: AsyncSession, by: Principal, confirmed_at: datetime | None) -> datetime | None:
    """About when it is asked again."""
    tenant = await db.get_one(Tenant, by.tenant.id)
    return confirmed_at + timedelta(days=tenant.review_days) if confirmed_at and tenant.review_days else None
