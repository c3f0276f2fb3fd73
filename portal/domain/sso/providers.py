"""The providers: setting them up, turning them on and off."""

from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, UserType, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong, now
from portal.domain.granting import missing
from portal.domain.mail import Promised, promise
from portal.domain.people import Company
from portal.domain.rights import FOR, labels
from portal.domain.sso.model import Identity, Only, Provider
from portal.domain.sso.wishes import Wish, cleaned, wish_of
from portal.i18n import _


async def providers(db: AsyncSession) -> list[tuple[Provider, Company | None]]:
    """Of the staff first, then of all clients, then by company."""
    asked = (
        select(Provider, Company)
        .outerjoin(Company, col(Company.id) == Provider.company_id)
        .order_by(
            col(Provider.side).desc(),
            col(Company.id).is_not(None),
            func.lower(Company.name),
            func.lower(Provider.name),
            col(Provider.id),
        )
    )
    return [(provider, company) for provider, company in await db.exec(asked)]


async def provider(db: AsyncSession, provider_id: UUID, *, lock: bool = False) -> Provider:
    """Raises NotFound."""
    asked = select(Provider).where(Provider.id == provider_id)
    found = (await db.exec(asked.with_for_update().execution_options(populate_existing=True) if lock else asked)).first()
    if found is None:
        raise NotFound
    return found


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def add_provider(db: AsyncSession, by: Principal, wish: Wish) -> Provider:
    """Off at first. Raises Wrong for each field."""
    await alone(db, by)
    may_let_in(by, wish.side)
    good = cleaned(wish)
    company = await _company(db, wish)
    await _domains_free(db, None, good)
    made = Provider(tenant_id=by.tenant.id, company_id=company, created_by_id=by.user_id, **good)
    db.add(made)
    await db.flush()
    await record(db, 'sso.added', company_id=company, subject=made.id, name=made.name, issuer=made.issuer, domains=made.domains)
    return made


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def change_provider(db: AsyncSession, by: Principal, provider_id: UUID, wish: Wish) -> Provider:
    """For whom it is stays. With another issuer it is another provider: nobody's account counts any more. The secret was for the
    issuer and client id before: with another of them it is gone (the database takes it away), and is to be entered anew."""
    await alone(db, by)
    found = await provider(db, provider_id, lock=True)
    may_let_in(by, found.side)
    good = cleaned(Wish(wish_of(found).whose, wish.kind, wish.name, wish.directory, wish.issuer, wish.client_id, wish.domains,
                         wish.default_role))  # fmt: skip
    await _domains_free(db, found, good)
    before = {name: getattr(found, name) for name in good}
    changed = {name: value for name, value in good.items() if value != before[name]}
    if not changed:
        return found
    for name, value in changed.items():
        setattr(found, name, value)
    if 'issuer' in changed or 'client_id' in changed:
        found.checked_at = found.check_problem = None
    await record(db, 'sso.changed', company_id=found.company_id, subject=found.id, name=found.name,
                 before={name: before[name] for name in changed}, after=changed)  # fmt: skip
    return found


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def keep_secret(db: AsyncSession, by: Principal, provider_id: UUID, sealed: bytes) -> None:
    """The client secret, sealed by the caller for this provider."""
    found = await provider(db, provider_id)
    may_let_in(by, found.side)
    await db.flush()  # a changed issuer takes the old one away
    connection = await db.connection()
    await connection.exec_driver_sql('select app.keep_identity_secret(%s, %s)', (found.id, sealed))
    await record(db, 'sso.secret', company_id=found.company_id, subject=found.id, name=found.name)


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def enable_provider(db: AsyncSession, by: Principal, provider_id: UUID, enabled: bool) -> None:
    """Without a provider that is on, passwords count again for those who should come in by one only."""
    await alone(db, by)
    found = await provider(db, provider_id, lock=True)
    may_let_in(by, found.side)
    if found.enabled == enabled:
        return
    if not enabled:
        await _still_needed(db, found)
    found.enabled = enabled
    await record(db, 'sso.on' if enabled else 'sso.off', company_id=found.company_id, subject=found.id, name=found.name)


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def remove_provider(db: AsyncSession, by: Principal, provider_id: UUID) -> None:
    """With everybody's accounts there."""
    await alone(db, by)
    found = await provider(db, provider_id, lock=True)
    may_let_in(by, found.side)
    await _still_needed(db, found)
    theirs = await db.exec(select(Identity.user_id).where(Identity.provider_id == found.id))
    await promise(db, [Promised(kind='identity_unlinked', to_user_id=person) for person in theirs])
    await record(db, 'sso.removed', company_id=found.company_id, subject=found.id, name=found.name, issuer=found.issuer)
    await db.delete(found)


@verb(Permission.ACCESS_MANAGE)
async def note_check(db: AsyncSession, by: Principal, provider_id: UUID, problem: str | None) -> None:
    """What the last try to reach it has shown."""
    found = await provider(db, provider_id)
    found.checked_at, found.check_problem = now(), problem


# ---------- what they share ----------


async def alone(db: AsyncSession, by: Principal) -> None:
    """Until the commit nobody else of the tenant changes providers: of two who name the same domain, one comes second."""
    await db.exec(select(func.pg_advisory_xact_lock(func.hashtext('portal.sso'), func.hashtext(str(by.tenant.id)))))


def may_let_in(by: Principal, side: str) -> None:
    """Whoever runs a provider can come in as anybody it speaks for: so nobody sets one up, or asks for it, who may do less than
    some of them. Raises Wrong(whose=…)."""
    user_type = UserType.INTERNAL if side == 'staff' else UserType.CLIENT
    if lacking := missing(by, FOR[user_type]):
        raise Wrong(whose=_('It lets people in who may do more than you: {rights}. Somebody with all rights can set it up.',
                            rights=', '.join(labels(lacking, user_type))))  # fmt: skip


async def _company(db: AsyncSession, wish: Wish) -> UUID | None:
    if wish.whose in ('staff', 'client'):
        return None
    try:
        found = await db.get(Company, UUID(wish.whose))
    except ValueError:
        found = None
    if found is None or found.archived_at is not None:
        raise Wrong(whose=_('Choose for whom.'))
    return found.id


async def _domains_free(db: AsyncSession, me: Provider | None, good: dict[str, Any]) -> None:
    """A domain leads to one provider of a side."""
    asked = select(Provider).where(Provider.side == good['side'])
    for other in await db.exec(asked):
        if (me is None or other.id != me.id) and (twice := set(other.domains) & set(good['domains'])):
            raise Wrong(domains=_('{domain} belongs to {name} already.', domain=min(twice), name=other.name))


async def _still_needed(db: AsyncSession, me: Provider) -> None:
    """Raises Wrong if people have no other provider, and must come by one."""
    others = select(Provider.company_id).where(Provider.side == me.side, col(Provider.enabled), Provider.id != me.id)
    left = set(await db.exec(others))
    asked = select(Only.company_id).where(col(Only.company_id).is_(None) == (me.side == 'staff'))
    for company_id in await db.exec(asked):
        concerned = me.side == 'staff' or me.company_id in (None, company_id)
        if me.enabled and concerned and company_id not in left and None not in left:
            raise Wrong(provider=_('People come in by this alone. Allow passwords first, under Access.'))
