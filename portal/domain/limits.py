"""How long sessions last: without use, and in any case. For staff, for clients, and stricter for a company."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint
from sqlmodel import Field, SQLModel, col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now
from portal.domain.people import Company, Tenant
from portal.domain.tenants import whole_number
from portal.i18n import _

IDLE_MINUTES = (5, 30 * 24 * 60)
SESSION_HOURS = (1, 90 * 24)
PAIRS = (('staff_idle_minutes', 'staff_session_hours'), ('idle_minutes', 'session_hours'))


class SessionLimit(SQLModel, table=True):
    """What a company asks for beyond the rule for all clients. Of somebody in several companies the strictest holds."""

    __tablename__: str = 'session_limit'  # pyright: ignore
    __table_args__ = (ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),)
    company_id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    idle_minutes: int | None = None
    session_hours: int | None = None
    changed_at: datetime = Field(default_factory=now, sa_type=Moment)


async def limits(db: AsyncSession) -> list[tuple[Company, SessionLimit]]:
    """Of companies with a rule of their own, by name."""
    asked = select(Company, SessionLimit).join(SessionLimit, col(SessionLimit.company_id) == Company.id).order_by(Company.name)
    return list(await db.exec(asked))


def _clean(wanted: Mapping[str, Any]) -> tuple[dict[str, int], dict[str, str]]:
    """What can be taken, and what is wrong, by field."""
    good: dict[str, int] = {}
    wrong: dict[str, str] = {}
    for name, value in wanted.items():
        bounds = IDLE_MINUTES if name.endswith('idle_minutes') else SESSION_HOURS
        try:
            good[name] = whole_number(name, *bounds)(value)
        except Wrong as e:
            wrong |= e.fields
    return good, wrong


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def change_limits(db: AsyncSession, by: Principal, **wanted: str) -> None:
    """Of staff and of clients: `staff_idle_minutes`, `staff_session_hours`, `idle_minutes`, `session_hours`; what is named. Holds
    at once, also for sessions that are open. Raises Wrong with every field that cannot be taken."""
    tenant = await db.get_one(Tenant, by.tenant.id, with_for_update={'key_share': True}, populate_existing=True)
    good, wrong = _clean(wanted)
    changed = {name: value for name, value in good.items() if value != getattr(tenant, name)}
    for name, value in changed.items():
        setattr(tenant, name, value)
    for idle, hours in PAIRS:
        if not wrong.keys() & {idle, hours} and getattr(tenant, idle) > getattr(tenant, hours) * 60:
            wrong[idle] = _('A session is over after {n} hours in any case: choose less.', n=getattr(tenant, hours))
    if wrong:
        raise Wrong(**wrong)
    if changed:
        await record(db, 'limits.changed', subject=tenant.id, **dict[str, Any](changed))


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def limit_company(db: AsyncSession, by: Principal, company: UUID, idle_minutes: str, session_hours: str) -> None:
    """A rule of its own for a company, stricter than that for all clients; '' for what it does not ask. Raises Wrong."""
    tenant = await db.get_one(Tenant, by.tenant.id, with_for_update={'key_share': True}, populate_existing=True)
    if await db.get(Company, company) is None:
        raise Wrong(company=_('Choose a company.'))
    said = {'idle_minutes': idle_minutes.strip(), 'session_hours': session_hours.strip()}
    good, wrong = _clean({name: value for name, value in said.items() if value})
    for name, value in good.items():
        if value >= getattr(tenant, name):
            wrong[name] = _('For all clients it is {n}: choose less, or leave it empty.', n=getattr(tenant, name))
    if not good and not wrong:
        wrong['idle_minutes'] = _('Say at least one of the two.')
    if wrong:
        raise Wrong(**wrong)
    rule = await db.get(SessionLimit, company, with_for_update=True, populate_existing=True)
    rule = rule or SessionLimit(company_id=company, tenant_id=by.tenant.id)
    rule.idle_minutes, rule.session_hours, rule.changed_at = good.get('idle_minutes'), good.get('session_hours'), now()
    db.add(rule)
    await db.flush()
    await record(db, 'limits.company', company_id=company, subject=company, **good)


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def unlimit_company(db: AsyncSession, by: Principal, company: UUID) -> None:
    """Back to the rule for all clients. Raises NotFound where there is none of its own."""
    gone = await db.exec(
        delete(SessionLimit).where(col(SessionLimit.company_id) == company).returning(col(SessionLimit.company_id))
    )
    if gone.first() is None:
        raise NotFound
    await record(db, 'limits.company', company_id=company, subject=company)


async def lasting(db: AsyncSession) -> tuple[int, int]:
    """Minutes without use after which a session of whoever asks ends, and in any case."""
    connection = await db.connection()
    row = (await connection.exec_driver_sql('select idle, whole from app.my_limits()')).one()
    return int(row.idle.total_seconds() // 60), int(row.whole.total_seconds() // 60)
