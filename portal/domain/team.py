"""The MSP's own people: who is on the staff, in which role, and who may no longer come in.

The tenant always keeps somebody who can manage it: an MSP admin who is not disabled.
"""

from uuid import UUID

from sqlmodel import and_, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import NotAllowed, Permission, Principal, Role, UserType, permissions_of, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong, now
from portal.domain.granting import find_role, may_give, may_take
from portal.domain.mail import Promised, promise
from portal.domain.people import User, clean_email, clean_name
from portal.i18n import _

ADMIN = 'MspAdmin'


@verb(Permission.STAFF_MANAGE, fresh=True)
async def add_staff(db: AsyncSession, by: Principal, *, name: str, email: str, role: str) -> User:
    """Adds somebody to the staff and writes them a letter to set a password."""
    name, email = clean_name(name), clean_email(email)
    await _alone(db, by)
    given = await may_give(db, by, role, UserType.INTERNAL)
    if known := (await db.exec(select(User).where(User.email == email))).first():
        raise Wrong(email=_taken(known))
    user = User(tenant_id=by.tenant.id, email=email, name=name, user_type=UserType.INTERNAL.value, staff_role=given.role,
                staff_role_id=given.role_id)  # fmt: skip
    db.add(user)
    await db.flush()
    await record(db, 'staff.added', subject=user.id, role=given.name)
    await _write_to(db, by, user)
    return user


@verb(Permission.STAFF_MANAGE, fresh=True)
async def change_staff_role(db: AsyncSession, by: Principal, user_id: UUID, role: str) -> None:
    """Takes effect at once: every page the person has open loads anew. `role`: a built-in name, or the id of one's own."""
    admins = await _alone(db, by)
    given = await find_role(db, role, UserType.INTERNAL)
    person = await _colleague(db, user_id)
    if (person.staff_role, person.staff_role_id) == (given.role, given.role_id):
        return
    if person.id == by.user_id:
        raise Wrong(role=_('Nobody changes their own role. Another MSP admin can do it.'))
    if admins == {person.id}:
        raise Wrong(role=_('{name} is the only MSP admin. Make somebody else one first.', name=person.name))
    await may_give(db, by, role, UserType.INTERNAL)
    before = await may_take(db, by, person.staff_role, person.staff_role_id, name=person.name)
    person.staff_role, person.staff_role_id = given.role, given.role_id
    await record(db, 'staff.role', subject=person.id, before=before.name if before else '', after=given.name)


@verb(Permission.STAFF_MANAGE)
async def disable(db: AsyncSession, by: Principal, user_id: UUID) -> None:
    """Their sessions end with the commit, and they cannot sign in. What they wrote stays, and the tickets they have."""
    admins = await _alone(db, by)
    person = await _colleague(db, user_id)
    if person.id == by.user_id:
        raise Wrong(person=_('Nobody disables themselves. Another MSP admin can do it.'))
    if admins == {person.id}:
        raise Wrong(person=_('{name} is the only MSP admin. Make somebody else one first.', name=person.name))
    if person.disabled_at is None:
        await _not_above(db, by, person)
        person.disabled_at = now()
        await record(db, 'staff.disabled', subject=person.id)


@verb(Permission.STAFF_MANAGE, fresh=True)
async def enable(db: AsyncSession, by: Principal, user_id: UUID) -> None:
    """They sign in again with the password they had."""
    await _alone(db, by)
    person = await _colleague(db, user_id)
    if person.disabled_at is not None:
        await _not_above(db, by, person)
        person.disabled_at = None
        await record(db, 'staff.enabled', subject=person.id)


@verb(Permission.STAFF_MANAGE, fresh=True)
async def welcome_staff(db: AsyncSession, by: Principal, user_id: UUID) -> None:
    """Once more the letter to set a password."""
    person = await _colleague(db, user_id)
    if person.disabled_at is not None:
        raise Wrong(person=_('{name} is disabled and gets no letters.', name=person.name))
    await record(db, 'staff.welcomed', subject=person.id)
    await _write_to(db, by, person)


async def _write_to(db: AsyncSession, by: Principal, person: User) -> None:
    await promise(db, [Promised(kind='welcome', to_user_id=person.id, actor_id=by.user_id)])


async def _not_above(db: AsyncSession, by: Principal, person: User) -> None:
    try:
        await may_take(db, by, person.staff_role, person.staff_role_id, name=person.name)
    except Wrong as wrong:
        raise Wrong(person=wrong.fields['role']) from None


def _taken(known: User) -> str:
    if known.user_type != UserType.INTERNAL.value:
        return _('This is the address of {name}, a client. Staff need an address of their own.', name=known.name)
    if known.disabled_at is not None:
        return _('{name} is on your staff already, and disabled. Enable them in the list.', name=known.name)
    return _('{name} is on your staff already.', name=known.name)


async def _colleague(db: AsyncSession, user_id: UUID) -> User:
    asked = select(User).where(User.id == user_id, User.user_type == UserType.INTERNAL.value).with_for_update(key_share=True)
    found = (await db.exec(asked.execution_options(populate_existing=True))).first()
    if found is None:
        raise NotFound
    return found


async def _alone(db: AsyncSession, by: Principal) -> set[UUID]:
    """The active MSP admins. Until the commit nobody else changes the staff: of two who disable each other, one comes second.

    Whoever waited here may have lost what their page says they may do, so it is asked again.
    """
    is_admin = and_(col(User.staff_role) == ADMIN, col(User.disabled_at).is_(None))
    asked = select(User).where(or_(is_admin, col(User.id) == by.user_id)).order_by(col(User.id)).with_for_update(key_share=True)
    found = list(await db.exec(asked.execution_options(populate_existing=True)))
    me = next((user for user in found if user.id == by.user_id), None)
    if me is None or me.disabled_at is not None:
        raise NotAllowed(Permission.STAFF_MANAGE)
    own = await db.get(Role, me.staff_role_id) if me.staff_role_id else None
    if Permission.STAFF_MANAGE not in permissions_of(me.staff_role or '', own.permissions if own else None):
        raise NotAllowed(Permission.STAFF_MANAGE)
    return {user.id for user in found if user.staff_role == ADMIN and user.disabled_at is None}
