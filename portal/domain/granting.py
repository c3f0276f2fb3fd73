"""Nobody gives more than they have: one rule for every verb that gives a role, takes one away, or makes one.

The database holds the same rule (`app.keep_to_rights`, for memberships and for staff); here it gets its words. A role is named by
a built-in name, or by the id of one of the tenant's own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import BUILT_IN, Permission, Principal, Role, UserType, permissions_of, role_label
from portal.domain.base import Wrong
from portal.domain.rights import STANDS_FOR, labels
from portal.i18n import _


@dataclass(frozen=True, slots=True)
class Given:
    """A role as one gives it: `role` or `role_id` for the row of a person, and what it is called."""

    role: str | None
    role_id: UUID | None
    label: str
    user_type: UserType
    permissions: frozenset[Permission]

    @property
    def key(self) -> str:
        """By which forms and imports name it."""
        return self.role or str(self.role_id)

    @property
    def name(self) -> str:
        """For the log, whatever its language and whether the role is still there."""
        return self.role or self.label


def missing(by: Principal, permissions: Iterable[Permission]) -> frozenset[Permission]:
    """What of it `by` does not have, and cannot give. What exists for clients alone stands for what staff need to give it."""
    have = by.permissions
    return frozenset(p for p in permissions if p not in have and not (by.is_staff and STANDS_FOR.get(p) in have))


def built_in(name: str) -> Given:
    role = BUILT_IN[name]
    return Given(name, None, role_label(name), role.user_type, role.permissions)


def own(role: Role) -> Given:
    return Given(None, role.id, role.name, UserType(role.user_type), permissions_of('', role.permissions))


async def roles(db: AsyncSession, user_type: UserType) -> list[Given]:
    """All there are for one user type: the built-in ones, then the tenant's own by name."""
    asked = select(Role).where(Role.user_type == user_type.value).order_by(func.lower(Role.name), col(Role.id))
    return [built_in(n) for n, r in BUILT_IN.items() if r.user_type is user_type] + [own(r) for r in await db.exec(asked)]


async def role_of(db: AsyncSession, role: str | None, role_id: UUID | None) -> Given | None:
    """Of somebody's row."""
    if role:
        return built_in(role) if role in BUILT_IN else None
    found = await db.get(Role, role_id) if role_id else None
    return own(found) if found else None


async def find_role(db: AsyncSession, role: str | UUID, user_type: UserType) -> Given:
    """Raises Wrong(role=…) where there is none such for this user type."""
    if isinstance(role, str) and role in BUILT_IN and BUILT_IN[role].user_type is user_type:
        return built_in(role)
    try:
        role_id = role if isinstance(role, UUID) else UUID(role)
    except ValueError:
        raise Wrong(role=_('Choose a role.')) from None
    # no lock: a role that is removed meanwhile is refused by the key, and one that gets more by the database
    asked = select(Role).where(Role.id == role_id, Role.user_type == user_type.value)
    found = (await db.exec(asked.execution_options(populate_existing=True))).first()
    if found is None:
        raise Wrong(role=_('Choose a role.'))
    return own(found)


async def may_give(db: AsyncSession, by: Principal, role: str | UUID, user_type: UserType) -> Given:
    """The role, if `by` may give it; raises Wrong(role=…) if there is none such, or it allows more than they may themselves."""
    given = await find_role(db, role, user_type)
    if lacking := missing(by, given.permissions):
        raise Wrong(role=_('{role} allows more than you may yourself: {rights}.', role=given.label,
                           rights=', '.join(labels(lacking, user_type))))  # fmt: skip
    return given


async def may_take(db: AsyncSession, by: Principal, role: str | None, role_id: UUID | None, *, name: str) -> Given | None:
    """Whoever may do more than `by` is changed and removed by somebody else. Raises Wrong(role=…); answers the present role."""
    present = await role_of(db, role, role_id)
    if present and missing(by, present.permissions):
        raise Wrong(role=_('{name} may do more than you. Somebody with the same rights can change that.', name=name))
    return present


def offered(by: Principal, among: Sequence[Given]) -> list[tuple[Given, bool]]:
    """Roles, and whether `by` may give each."""
    return [(role, not missing(by, role.permissions)) for role in among]
