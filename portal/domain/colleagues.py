"""People of one company, for whoever manages them there (a client): their roles, and that they belong to it.

Nothing here says or changes anything of a person beyond the company. The company keeps somebody who manages its people: whoever is
the last cannot be demoted or removed from this side, not by themselves either; staff can.
"""

from uuid import UUID

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, Role, UserType, permissions_of, verb
from portal.domain.base import NotFound, Wrong
from portal.domain.granting import may_give, may_take
from portal.domain.people import Membership, User, end, give, membership_of
from portal.i18n import _


@verb(Permission.PEOPLE_MANAGE, fresh=True)
async def give_role(db: AsyncSession, by: Principal, user_id: UUID, role: str) -> None:
    """At once, also on pages that are open. Raises Wrong(role=…)."""
    managers = await _alone(db, by)
    given = await may_give(db, by, role, UserType.CLIENT)
    membership = await membership_of(db, _company(by), user_id)
    if managers == {user_id} and Permission.PEOPLE_MANAGE not in given.permissions:
        raise Wrong(role=await _last(db, by, user_id))
    await give(db, by, membership, given)


@verb(Permission.PEOPLE_MANAGE, fresh=True)
async def remove(db: AsyncSession, by: Principal, user_id: UUID) -> None:
    """They belong to the company no more, at once; their tickets stay, and so does what they are elsewhere. Raises Wrong(role=…)."""
    managers = await _alone(db, by)
    membership = await membership_of(db, _company(by), user_id)
    if managers == {user_id}:
        raise Wrong(role=await _last(db, by, user_id))
    await end(db, by, membership)


async def may_change(db: AsyncSession, by: Principal, membership: Membership, name: str) -> str:
    """Why `by` may not change this person's role, or remove them; '' if they may."""
    try:
        await may_take(db, by, membership.role, membership.role_id, name=name)
    except Wrong as wrong:
        return wrong.fields['role']
    return await _last(db, by, membership.user_id) if await managers(db, membership.company_id) == {membership.user_id} else ''


async def managers(db: AsyncSession, company_id: UUID) -> set[UUID]:
    """Who can come in and manages the people of the company."""
    asked = (
        select(Membership.user_id, Membership.role, Role)
        .join(User, col(User.id) == Membership.user_id)
        .outerjoin(Role, col(Role.id) == Membership.role_id)
        .where(Membership.company_id == company_id, col(Membership.ended_at).is_(None), col(User.disabled_at).is_(None))
    )
    return {
        user for user, role, own in await db.exec(asked)
        if Permission.PEOPLE_MANAGE in permissions_of(role or '', own.permissions if own else None)
    }  # fmt: skip


def _company(by: Principal) -> UUID:
    """Staff change people by verbs of their own."""
    if by.company is None:
        raise NotFound
    return by.company.id


async def _last(db: AsyncSession, by: Principal, user_id: UUID) -> str:
    if user_id == by.user_id:
        return _('You are the only one who manages people here. Give somebody else such a role first.')
    person = await db.get_one(User, user_id)
    return _('{name} is the only one who manages people here. Give somebody else such a role first.', name=person.name)


async def _alone(db: AsyncSession, by: Principal) -> set[UUID]:
    """Who manages people, as it is now. Until the commit nobody else of the company changes that (as in `app.keep_to_rights`)."""
    company = _company(by)
    await db.exec(select(func.pg_advisory_xact_lock(func.hashtext('portal.managers'), func.hashtext(str(company)))))
    found = await managers(db, company)
    if by.user_id not in found:
        raise NotFound  # removed or demoted while waiting
    return found
