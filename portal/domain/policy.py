"""Who needs a second factor, and from when. Of several rules that somebody stands under the earliest counts; that it holds is seen to
by the database, which does not let a session without one do anything (`app.live_session`)."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint
from sqlalchemy import func as sql
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import BUILT_IN, Permission, Principal, Role, UserType, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now, uuid7
from portal.domain.people import Company, Tenant, User
from portal.i18n import _

GRACE_MOST, YEARS = 90, 2  # days; how far away the day may be
HOURS = (1, 168)  # that somebody waits who is helped to a lost factor


class FactorRule(SQLModel, table=True):
    """Staff or clients, of one company or of all, in one role or in any, need a second factor from a day on."""

    __tablename__: str = 'factor_rule'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'company_id', 'user_type', 'role', 'role_id'),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(['tenant_id', 'role_id'], ['role.tenant_id', 'role.id']),
        ForeignKeyConstraint(['tenant_id', 'made_by_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, foreign_key='tenant.id', sa_column_kwargs=TENANT)
    company_id: UUID | None = None
    user_type: str
    role: str | None = None
    role_id: UUID | None = None
    from_on: date
    grace_days: int = 0  # who comes later has so long
    sso_counts: bool = True  # a sign-in at the company's provider is enough
    made_by_id: UUID
    made_at: datetime = Field(default_factory=now, sa_type=Moment)


class FactorReminder(SQLModel, table=True):
    """Who was told of which day, so many days before: once."""

    __tablename__: str = 'factor_reminder'  # pyright: ignore
    __table_args__ = (ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),)
    tenant_id: UUID = Field(primary_key=True)
    user_id: UUID = Field(primary_key=True)
    due_on: date = Field(primary_key=True)
    days: int = Field(primary_key=True)


# ---------- questions ----------


@dataclass(frozen=True, slots=True)
class MyAccess:
    """How whoever looks comes in, and what is asked of them."""

    due_at: datetime | None  # from when they need a second factor
    has_factor: bool
    has_passkey: bool
    declined: bool  # they said that they want no passkey
    typed: bool  # this session began with a password

    @property
    def days_left(self) -> int | None:
        """Until they need one that they do not have."""
        if self.due_at is None or self.has_factor:
            return None
        return max(0, -(-(self.due_at - now()) // timedelta(days=1)))


async def my_access(db: AsyncSession) -> MyAccess:
    connection = await db.connection()
    found: dict[str, Any] = (await connection.exec_driver_sql('select app.my_access()')).scalar_one()
    due = datetime.fromtimestamp(found['due'], UTC) if found['due'] is not None else None
    return MyAccess(due, found['has'], found['passkey'], found['declined'], found['typed'])


@dataclass(frozen=True, slots=True)
class Bound:
    """Somebody who stands under a rule."""

    user_id: UUID
    name: str
    user_type: str
    due_at: datetime
    has_factor: bool


async def bound(db: AsyncSession) -> list[Bound]:
    """Everybody who needs a second factor now or later; those without one first, then by name."""
    states = sql.app.factor_states().table_valued('user_id', 'due_at', 'has')
    by_id = {row[0]: (row[1], row[2]) for row in await db.exec(select(states.c.user_id, states.c.due_at, states.c.has))}
    people = await db.exec(select(User).where(col(User.id).in_(by_id)))
    found = [Bound(user.id, user.name, user.user_type, *by_id[user.id]) for user in people]
    return sorted(found, key=lambda b: (b.has_factor, b.name.casefold()))


async def rules(db: AsyncSession) -> list[tuple[FactorRule, Company | None, str]]:
    """By day; with the company, and the name of a role of the tenant's own."""
    asked = (
        select(FactorRule, Company, Role.name)
        .outerjoin(Company, col(Company.id) == FactorRule.company_id)
        .outerjoin(Role, col(Role.id) == FactorRule.role_id)
        .order_by(FactorRule.from_on, col(FactorRule.id))  # pyright: ignore[reportArgumentType]
    )
    return [(rule, company, own or '') for rule, company, own in await db.exec(asked)]


# ---------- verbs ----------


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def add_rule(
    db: AsyncSession, by: Principal, *, user_type: str, role: str, company_id: UUID | None, from_on: date | None,
    grace_days: int | None, sso_counts: bool = True,
) -> FactorRule:  # fmt: skip
    """`role`: a built-in one, the id of the tenant's own, or '' for everybody. Raises Wrong for each field."""
    wrong: dict[str, str] = {}
    today = now().date()
    if from_on is None or not today - timedelta(days=1) <= from_on <= today + timedelta(days=365 * YEARS):
        wrong['from_on'] = _('Choose a day from today on.')
    if grace_days is None or not 0 <= grace_days <= GRACE_MOST:
        wrong['grace_days'] = _('A whole number from {least} to {most}, please.', least=0, most=GRACE_MOST)
    if user_type not in set(UserType):
        wrong['who'] = _('Choose for whom it holds.')
    built_in, own = await _role(db, role, user_type)
    if role and not built_in and own is None:
        wrong['role'] = _('Choose a role.')
    if company_id and (user_type != UserType.CLIENT.value or await db.get(Company, company_id) is None):
        wrong['company'] = _('Choose a company.')
    if wrong or from_on is None or grace_days is None:
        raise Wrong(**wrong)
    rule = FactorRule(
        tenant_id=by.tenant.id, user_type=user_type, role=built_in or None, role_id=own, company_id=company_id, from_on=from_on,
        grace_days=grace_days, sso_counts=sso_counts, made_by_id=by.user_id,
    )  # fmt: skip
    db.add(rule)
    try:
        await db.flush()
    except IntegrityError:
        raise Wrong(who=_('There is a rule for them already. Remove it first.')) from None
    await record(db, 'factor_rule.added', company_id=company_id, subject=rule.id, user_type=user_type, role=role, from_on=from_on,
                 grace_days=grace_days, sso_counts=sso_counts)  # fmt: skip
    return rule


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def remove_rule(db: AsyncSession, by: Principal, rule_id: UUID) -> None:
    rule = await db.get(FactorRule, rule_id, with_for_update=True)
    if rule is None:
        raise NotFound
    await record(db, 'factor_rule.removed', company_id=rule.company_id, subject=rule.id, user_type=rule.user_type,
                 role=rule.role or rule.role_id or '', from_on=rule.from_on)  # fmt: skip
    await db.delete(rule)
    await db.flush()


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def change_recovery_hours(db: AsyncSession, by: Principal, hours: str) -> None:
    """How long somebody waits who is helped to a lost factor, unless staff have spoken to them."""
    least, most = HOURS
    if not (hours.isascii() and hours.isdigit() and len(hours) < 5 and least <= int(hours) <= most):
        raise Wrong(recovery_hours=_('A whole number from {least} to {most}, please.', least=least, most=most))
    tenant = await db.get_one(Tenant, by.tenant.id, with_for_update={'key_share': True}, populate_existing=True)
    if tenant.recovery_hours != int(hours):
        before, tenant.recovery_hours = tenant.recovery_hours, int(hours)
        await record(db, 'tenant.recovery_hours', subject=tenant.id, before=before, after=int(hours))


async def _role(db: AsyncSession, role: str, user_type: str) -> tuple[str, UUID | None]:
    """The built-in one, or the id of the tenant's own; neither if it is none for these people."""
    if role in BUILT_IN and BUILT_IN[role].user_type.value == user_type:
        return role, None
    try:
        found = await db.get(Role, UUID(role))
    except ValueError:
        return '', None
    return '', found.id if found and found.user_type == user_type else None
