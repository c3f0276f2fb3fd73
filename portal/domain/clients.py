"""The people of the client companies, each a person of their own whatever companies they belong to."""

from functools import partial
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, Role, UserType, permissions_of, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong, now
from portal.domain.granting import may_take
from portal.domain.mail import Promised, promise
from portal.domain.people import Company, Membership, Taken, User, clean_email, clean_name
from portal.domain.phones import clean_phone, region_of
from portal.i18n import _


async def client(db: AsyncSession, user_id: UUID, *, lock: bool = False) -> User:
    """Raises NotFound, also for somebody of the staff."""
    asked = select(User).where(User.id == user_id, User.user_type == UserType.CLIENT.value)
    if lock:
        asked = asked.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = (await db.exec(asked)).first()
    if found is None:
        raise NotFound
    return found


async def memberships(db: AsyncSession, user_id: UUID) -> list[tuple[Membership, Company]]:
    """Those that have not ended, by name of the company; archived companies last."""
    asked = (
        select(Membership, Company)
        .join(Company, col(Company.id) == Membership.company_id)
        .where(Membership.user_id == user_id, col(Membership.ended_at).is_(None))
        .order_by(col(Company.archived_at).is_not(None), Company.name, col(Company.id))
    )
    return list(await db.exec(asked))


async def is_only_admin(db: AsyncSession, user_id: UUID) -> set[UUID]:
    """The companies in which nobody else who can come in manages people. Staff may change it, and should know."""
    admins = (
        select(Membership.company_id, Membership.user_id, Membership.role, Role)
        .join(User, col(User.id) == Membership.user_id)
        .outerjoin(Role, col(Role.id) == Membership.role_id)
        .where(col(Membership.ended_at).is_(None), col(User.disabled_at).is_(None))
    )
    theirs = select(Membership.company_id).where(Membership.user_id == user_id)
    by_company: dict[UUID, set[UUID]] = {}
    for company_id, admin, role, own in await db.exec(admins.where(col(Membership.company_id).in_(theirs))):
        if Permission.PEOPLE_MANAGE in permissions_of(role or '', own.permissions if own else None):
            by_company.setdefault(company_id, set()).add(admin)
    return {company_id for company_id, some in by_company.items() if some == {user_id}}


@verb(Permission.COMPANIES_MANAGE)
async def change_client(db: AsyncSession, by: Principal, user_id: UUID, *, name: str, phone: str) -> None:
    """Raises Wrong for each field."""
    wrong: dict[str, str] = {}
    after: dict[str, str] = {}
    region = region_of(None, by.tenant.timezone)
    for field, clean, value in (('name', clean_name, name), ('phone', partial(clean_phone, region=region), phone)):
        try:
            after[field] = clean(value)
        except Wrong as e:
            wrong |= e.fields
    if wrong:
        raise Wrong(**wrong)
    person = await client(db, user_id, lock=True)
    before = {'name': person.name, 'phone': person.phone or ''}
    if after != before:
        person.name, person.phone = after['name'], after['phone'] or None
        await record(db, 'person.changed', subject=person.id, before=before, after=after)


@verb(Permission.COMPANIES_MANAGE, fresh=True)
async def change_email(db: AsyncSession, by: Principal, user_id: UUID, email: str) -> None:
    """They sign in with the new address and the password they have. Their sessions end, links that went to the old address die,
    and both addresses get a letter."""
    email = clean_email(email)
    person = await client(db, user_id, lock=True)
    if email == person.email:
        return
    if other := (await db.exec(select(User).where(User.email == email))).first():
        raise taken(other)
    before, person.email, person.email_changed_at = person.email, email, now()
    try:
        await db.flush()
    except IntegrityError:
        raise Wrong(email=_('Somebody else has taken this address just now.')) from None
    await record(db, 'person.email', subject=person.id, before=before, after=email)
    await promise(db, [
        Promised(kind='email_changed', to_user_id=person.id, actor_id=by.user_id),
        Promised(kind='email_was', to_user_id=person.id, to_address=before, actor_id=by.user_id),
    ])  # fmt: skip


@verb(Permission.COMPANIES_MANAGE)
async def disable_client(db: AsyncSession, by: Principal, user_id: UUID) -> None:
    """Out of all companies at once: sessions end with the commit. What they wrote stays, and so do their companies."""
    person = await client(db, user_id, lock=True)
    if person.disabled_at is None:
        await _not_above(db, by, person)
        person.disabled_at = now()
        await record(db, 'person.disabled', subject=person.id)


@verb(Permission.COMPANIES_MANAGE, fresh=True)
async def enable_client(db: AsyncSession, by: Principal, user_id: UUID) -> None:
    """They sign in again with the password they had."""
    person = await client(db, user_id, lock=True)
    if person.disabled_at is not None:
        person.disabled_at = None
        await record(db, 'person.enabled', subject=person.id)


async def _not_above(db: AsyncSession, by: Principal, person: User) -> None:
    for membership, _company in await memberships(db, person.id):
        await may_take(db, by, membership.role, membership.role_id, name=person.name)


def taken(other: User) -> Wrong:
    """The address is somebody's already; of a client it says whose."""
    if other.user_type != UserType.CLIENT.value:
        return Wrong(email=_('This is the address of somebody on your staff.'))
    return Taken(other.id, email=_('This is the address of {name}.', name=other.name))
