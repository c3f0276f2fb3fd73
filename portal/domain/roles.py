"""Roles of a tenant's own, for staff and for clients: made of permissions, changed for everybody who has one at once."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import BUILT_IN, Permission, Principal, Role, UserType, role_label, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong
from portal.domain.granting import Given, may_give, missing, own
from portal.domain.people import Company, Membership, User, clean_name
from portal.domain.rights import completed, labels
from portal.i18n import _

NAME_MOST = 60
#: What somebody gets who had a role that is gone, and belongs nowhere any more.
LEAST = {UserType.CLIENT: 'ClientUser', UserType.INTERNAL: 'Finance'}


@dataclass(frozen=True, slots=True)
class Holder:
    """Somebody who has a role; clients at a company."""

    person: User
    company: Company | None = None


async def holders(db: AsyncSession, role: Given) -> list[Holder]:
    """By name; also those who are disabled, who have it again when they come back."""
    if role.user_type is UserType.INTERNAL:
        staff = select(User).where(_is(User.staff_role, User.staff_role_id, role), User.user_type == UserType.INTERNAL.value)
        return [Holder(user) for user in await db.exec(staff.order_by(func.lower(User.name), col(User.id)))]
    clients = (
        select(User, Company)
        .join(Membership, col(Membership.user_id) == User.id)
        .join(Company, col(Company.id) == Membership.company_id)
        .where(_is(Membership.role, Membership.role_id, role), col(Membership.ended_at).is_(None))
        .order_by(func.lower(User.name), func.lower(Company.name), col(User.id))
    )
    return [Holder(user, company) for user, company in await db.exec(clients)]


async def numbers(db: AsyncSession) -> dict[str, int]:
    """How many people have each role, by its key; somebody in two companies with the same role is one."""
    found: dict[str, int] = {}
    staff = select(User.staff_role, User.staff_role_id, func.count()).where(User.user_type == UserType.INTERNAL.value)
    clients = select(Membership.role, Membership.role_id, func.count(func.distinct(Membership.user_id)))
    clients = clients.where(col(Membership.ended_at).is_(None))
    for asked in (
        staff.group_by(col(User.staff_role), col(User.staff_role_id)),
        clients.group_by(col(Membership.role), col(Membership.role_id)),
    ):
        for name, role_id, n in await db.exec(asked):
            found[name or str(role_id)] = n
    return found


async def own_role(db: AsyncSession, role_id: UUID, *, lock: bool = False) -> Role:
    """Raises NotFound."""
    asked = select(Role).where(Role.id == role_id)
    if lock:
        asked = asked.with_for_update().execution_options(populate_existing=True)
    found = (await db.exec(asked)).first()
    if found is None:
        raise NotFound
    return found


@verb(Permission.ROLES_MANAGE, fresh=True)
async def add_role(
    db: AsyncSession, by: Principal, *, name: str, user_type: UserType, based_on: str, permissions: Collection[Permission]
) -> Role:
    """Raises Wrong(name=…, permissions=…). What every role needs is added to what was chosen."""
    wanted = _allowed(by, permissions, user_type)
    name = await _free_name(db, name)
    if based_on not in BUILT_IN or BUILT_IN[based_on].user_type is not user_type:
        raise Wrong(based_on=_('Choose a role.'))
    role = Role(tenant_id=by.tenant.id, name=name, user_type=user_type.value, permissions=_stored(wanted), based_on=based_on)
    db.add(role)
    await _keep(db)
    await record(db, 'role.added', subject=role.id, name=name, user_type=user_type.value, permissions=role.permissions)
    return role


@verb(Permission.ROLES_MANAGE, fresh=True)
async def change_own_role(
    db: AsyncSession, by: Principal, role_id: UUID, *, name: str, permissions: Collection[Permission], seen: Sequence[str]
) -> None:
    """Takes effect at the next event of every page that somebody who has it has open. `seen`: the permissions that the page showed;
    if somebody else changed them meanwhile it raises Wrong(permissions=…), and nothing is changed."""
    role = await own_role(db, role_id, lock=True)
    user_type = UserType(role.user_type)
    if set(role.permissions) != set(seen):
        raise Wrong(permissions=_('Somebody else has changed this role meanwhile. Look at it again, please.'))
    _allowed(by, own(role).permissions, user_type)  # a role above one's own rights is changed by somebody else
    wanted = _allowed(by, permissions, user_type)
    before = {'name': role.name, 'permissions': role.permissions}
    name = await _free_name(db, name, role.id)
    after = {'name': name, 'permissions': _stored(wanted)}
    if after == before:
        return
    role.name, role.permissions = name, _stored(wanted)
    await _keep(db)
    gone, come = (
        sorted(set(a) - set(b)) for a, b in ((before['permissions'], role.permissions), (role.permissions, before['permissions']))
    )
    await record(db, 'role.edited', subject=role.id, before=before['name'], after=name, given=come, taken=gone)


@verb(Permission.ROLES_MANAGE, fresh=True)
async def remove_role(db: AsyncSession, by: Principal, role_id: UUID, instead: str = '') -> None:
    """Whoever has it gets `instead`, which must be chosen if anybody has it. Raises Wrong(instead=…)."""
    role = await own_role(db, role_id, lock=True)
    mine = own(role)
    _allowed(by, mine.permissions, mine.user_type)
    people = await holders(db, mine)
    if people and (not instead or instead == mine.key):
        raise Wrong(instead=_('Choose the role that they get instead.'))
    try:
        given = await may_give(db, by, instead or LEAST[mine.user_type], mine.user_type)
    except Wrong as wrong:
        raise Wrong(instead=wrong.fields['role']) from None
    if mine.user_type is UserType.INTERNAL:
        for holder in people:
            holder.person.staff_role, holder.person.staff_role_id = given.role, given.role_id
            await record(db, 'staff.role', subject=holder.person.id, before=mine.name, after=given.name)
    else:
        for membership in await db.exec(select(Membership).where(Membership.role_id == role.id).with_for_update()):
            membership.role, membership.role_id = given.role, given.role_id
            if membership.ended_at is None:
                await record(db, 'role.changed', company_id=membership.company_id, subject=membership.user_id, before=mine.name,
                             after=given.name)  # fmt: skip
    await db.flush()
    await db.delete(role)
    try:
        await db.flush()
    except IntegrityError:
        raise Wrong(instead=_('Somebody is given this role just now, or invited with it. Please try again.')) from None
    await record(db, 'role.removed', subject=role.id, name=mine.name, instead=given.name if people else '')


def _is(name: Any, own_id: Any, role: Given) -> ColumnElement[bool]:
    return col(name) == role.role if role.role else col(own_id) == role.role_id


def _stored(permissions: Collection[Permission]) -> list[str]:
    """In the order of `Permission`."""
    return [p.value for p in Permission if p in permissions]


def _allowed(by: Principal, permissions: Collection[Permission], user_type: UserType) -> frozenset[Permission]:
    """Completed; raises Wrong(permissions=…) for what `by` does not have."""
    wanted = completed(permissions, user_type)
    if lacking := missing(by, wanted):
        words = ', '.join(labels(lacking, user_type))
        raise Wrong(permissions=_('A role cannot allow what you may not do yourself: {rights}.', rights=words))
    return wanted


async def _free_name(db: AsyncSession, name: str, but: UUID | None = None) -> str:
    name = clean_name(name, most=NAME_MOST)
    built_in = {words.lower() for key in BUILT_IN for words in (key, role_label(key))}
    asked = select(Role.id).where(func.lower(Role.name) == name.lower())
    taken = (await db.exec(asked if but is None else asked.where(Role.id != but))).first()
    if taken or name.lower() in built_in:
        raise Wrong(name=_('There is a role of this name already.'))
    return name


async def _keep(db: AsyncSession) -> None:
    try:
        await db.flush()
    except IntegrityError:
        raise Wrong(name=_('There is a role of this name already.')) from None
