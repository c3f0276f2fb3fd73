"""The accounts people have at the providers: linked in advance, and no longer linked."""

from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, UserType, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong
from portal.domain.granting import may_take
from portal.domain.mail import Promised, promise
from portal.domain.people import Membership, User, clean_email
from portal.domain.sso.model import Identity, Provider
from portal.domain.sso.providers import provider
from portal.i18n import _


async def linked(db: AsyncSession, provider_id: UUID) -> list[tuple[Identity, User]]:
    asked = select(Identity, User).join(User, col(User.id) == Identity.user_id).where(Identity.provider_id == provider_id)
    return list(await db.exec(asked.order_by(func.lower(User.name), col(User.id)).limit(500)))


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def link_in_advance(db: AsyncSession, by: Principal, provider_id: UUID, user_id: UUID, account: str) -> Identity:
    """`account`: the address by which the provider knows them, or their subject there. Whoever has that account comes in as
    this person: so it is done by nobody who may do less. Raises Wrong(account=…, person=…)."""
    found = await provider(db, provider_id, lock=True)
    person = await _theirs(db, found, user_id)
    await _may_take(db, by, person)
    account = account.strip()
    if not account or len(account) > 255 or not account.isprintable():
        raise Wrong(account=_('Their e-mail address at the provider, or their id there.'))
    email = clean_email(account) if '@' in account and '|' not in account else None
    same = Identity.email == email if email else Identity.subject == account
    taken = select(Identity).where(Identity.provider_id == found.id, same, Identity.user_id != person.id)
    if (await db.exec(taken)).first():
        raise Wrong(account=_('This account belongs to somebody else already.'))
    for old in await db.exec(select(Identity).where(Identity.provider_id == found.id, Identity.user_id == person.id)):
        await db.delete(old)
    await db.flush()
    made = Identity(
        tenant_id=by.tenant.id, provider_id=found.id, user_id=person.id, issuer=found.issuer, subject=None if email else account,
        email=email, linked_by='staff',
    )  # fmt: skip
    db.add(made)
    await db.flush()
    await record(db, 'identity.linked', company_id=found.company_id, subject=person.id, provider=found.name, by='staff')
    await promise(db, [Promised(kind='identity_linked', to_user_id=person.id)])
    return made


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def unlink(db: AsyncSession, by: Principal, identity_id: UUID) -> None:
    """The account is no way in any more; its person may be known by address again, at the next coming."""
    found = await db.get(Identity, identity_id)
    if found is None:
        raise NotFound
    named = await provider(db, found.provider_id)
    await _may_take(db, by, await db.get_one(User, found.user_id))
    await record(db, 'identity.unlinked', company_id=named.company_id, subject=found.user_id, provider=named.name)
    await promise(db, [Promised(kind='identity_unlinked', to_user_id=found.user_id)])
    await db.delete(found)


@verb(Permission.PROFILE_EDIT, fresh=True)
async def unlink_own(db: AsyncSession, by: Principal, identity_id: UUID) -> None:
    """Raises NotFound, and Wrong where it is the last way in."""
    connection = await db.connection()
    named = (await connection.exec_driver_sql('select app.unlink_account(%s)', (identity_id,))).scalar()
    if named is None:
        raise NotFound
    if named == '':
        raise Wrong(account=_('This is your only way in. Set a password first, or link another account.'))


async def _may_take(db: AsyncSession, by: Principal, person: User) -> None:
    """Of all that they may at all their companies; raises Wrong(person=…)."""
    held = [(person.staff_role, person.staff_role_id)]
    if person.user_type == UserType.CLIENT.value:
        asked = select(Membership.role, Membership.role_id).where(
            Membership.user_id == person.id, col(Membership.ended_at).is_(None)
        )
        held = list(await db.exec(asked))
    for role, role_id in held:
        try:
            await may_take(db, by, role, role_id, name=person.name)
        except Wrong as wrong:
            raise Wrong(person=wrong.fields['role']) from None


async def _theirs(db: AsyncSession, to: Provider, user_id: UUID) -> User:
    """Somebody the provider can speak for; raises Wrong(person=…)."""
    person = await db.get(User, user_id)
    good = person is not None and person.user_type == (UserType.INTERNAL if to.side == 'staff' else UserType.CLIENT).value
    if good and to.company_id:
        belongs = select(Membership.id).where(
            Membership.user_id == user_id, Membership.company_id == to.company_id, col(Membership.ended_at).is_(None)
        )
        good = (await db.exec(belongs)).first() is not None
    if not good or person is None:
        raise Wrong(person=_('Choose somebody.'))
    return person
