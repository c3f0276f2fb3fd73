"""Who comes in by a provider only."""

from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong
from portal.domain.people import Company, User
from portal.domain.sso.model import Only, Provider
from portal.domain.sso.providers import alone, may_let_in
from portal.i18n import _


async def only(db: AsyncSession) -> list[tuple[Only, Company | None, User | None]]:
    """Who comes in by a provider only, the staff first."""
    asked = (
        select(Only, Company, User)
        .outerjoin(Company, col(Company.id) == Only.company_id)
        .outerjoin(User, col(User.id) == Only.exempt_id)
        .order_by(col(Only.company_id).is_not(None), func.lower(Company.name))
    )
    return [(rule, company, exempt) for rule, company, exempt in await db.exec(asked)]


async def unready(db: AsyncSession, company_id: UUID | None) -> list[str]:
    """The names of those who could not come in by a provider."""
    await db.flush()
    connection = await db.connection()
    return list((await connection.exec_driver_sql('select name from app.sso_unready(%s)', (company_id,))).scalars())


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def require_sso(db: AsyncSession, by: Principal, company_id: UUID | None, exempt_id: UUID | None = None) -> None:
    """From the commit on: sessions that were opened by a password end, but one's own must be good. For the staff (None) one
    account has to stay that comes in by its password, `exempt_id`: an MSP admin, for the day the provider is away."""
    await alone(db, by)
    side = 'client' if company_id else 'staff'
    may_let_in(by, side)
    usable = select(Provider.id).where(Provider.side == side, col(Provider.enabled), col(Provider.check_problem).is_(None))
    if company_id:
        if await db.get(Company, company_id) is None:
            raise NotFound
        usable = usable.where(col(Provider.company_id).is_(None) | (col(Provider.company_id) == company_id))
    if not (await db.exec(usable)).first():
        raise Wrong(whose=_('There is no provider for them yet that is on and works.'))
    if company_id is None:
        exempt = await db.get(User, exempt_id) if exempt_id else None
        if exempt is None or exempt.disabled_at is not None or exempt.staff_role != 'MspAdmin':
            raise Wrong(exempt=_('Choose an MSP admin who can still come in with a password when the provider is away.'))
        if by.user_id != exempt.id and not await _came_by_provider(db):
            raise Wrong(whose=_('First sign in by the provider yourself: so you know that it works.'))
    before = (await db.exec(select(Only).where(Only.company_id == company_id))).first()
    if before:
        if before.exempt_id == exempt_id:
            return
        await db.delete(before)
        await db.flush()
    db.add(Only(tenant_id=by.tenant.id, company_id=company_id, exempt_id=exempt_id, created_by_id=by.user_id))
    await db.flush()
    await record(db, 'sso.only', company_id=company_id, subject=company_id, exempt=exempt_id)


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def allow_passwords(db: AsyncSession, by: Principal, company_id: UUID | None) -> None:
    """Passwords and passkeys count again."""
    await alone(db, by)
    may_let_in(by, 'client' if company_id else 'staff')
    found = (await db.exec(select(Only).where(Only.company_id == company_id))).first()
    if found is None:
        return
    await db.delete(found)
    await record(db, 'sso.no_longer_only', company_id=company_id, subject=company_id)


async def _came_by_provider(db: AsyncSession) -> bool:
    connection = await db.connection()
    return bool((await connection.exec_driver_sql('select app.came_by_sso()')).scalar())
