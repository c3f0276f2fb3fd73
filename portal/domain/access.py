"""Who may do what: permissions, the built-in roles as one table, and the principal who asks.

A tenant's own roles are rows (`Role`) made of the same permissions. The reach of a client in its company's tickets
(own and in copy, or all) is decided by TICKETS_SEE_COMPANY and enforced by the row security policies themselves.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar, cast
from uuid import UUID

from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel, Text

from portal.domain.base import TENANT, uuid7
from portal.i18n import L_, Voice

Side = Literal['staff', 'client']


class UserType(StrEnum):
    INTERNAL = 'internal'
    CLIENT = 'client'


class Permission(StrEnum):
    TICKETS_SEE = 'tickets.see'
    TICKETS_SEE_COMPANY = 'tickets.see_company'  # a client: all of the company's, not only own and in copy
    TICKETS_OPEN = 'tickets.open'
    TICKETS_REPLY = 'tickets.reply'
    TICKETS_CLOSE = 'tickets.close'
    TICKETS_WORK = 'tickets.work'  # take, assign, status, priority, category; internal notes
    COMPANIES_SEE = 'companies.see'
    COMPANIES_MANAGE = 'companies.manage'  # add and change companies and their people
    STAFF_MANAGE = 'staff.manage'  # add the MSP's own people, change their roles, shut them out
    TENANT_MANAGE = 'tenant.manage'  # the MSP's own settings and categories, and how the portal is doing
    DESK_OWN = 'desk.own'  # one's own saved views and canned replies, and to use those of the team
    DESK_TEAM = 'desk.team'  # those that the whole team has
    MONEY_SEE = 'money.see'
    MAIL_READ = 'mail.read'  # letters that wait or were kept because no mail server is set
    PROFILE_EDIT = 'profile.edit'
    PEOPLE_MANAGE = 'people.manage'  # invite, change roles, remove, help to a lost factor: at one's company; staff: everywhere
    COMPANY_EDIT = 'company.edit'  # a client: details, addresses and contacts of the company
    ROLES_MANAGE = 'roles.manage'  # the tenant's own roles
    ACCESS_MANAGE = 'access.manage'  # second factors, single sign-on, how long sessions last
    AUDIT_SEE = 'audit.see'  # the log; a client: what concerns the company
    VIEW_AS = 'view.as'  # look at the portal as a client does, reading only


P = Permission
_CLIENT = frozenset({P.TICKETS_SEE, P.TICKETS_OPEN, P.TICKETS_REPLY, P.TICKETS_CLOSE, P.PROFILE_EDIT})
_STAFF = frozenset({P.TICKETS_SEE, P.TICKETS_OPEN, P.TICKETS_REPLY, P.COMPANIES_SEE, P.DESK_OWN, P.PROFILE_EDIT})


@dataclass(frozen=True, slots=True)
class BuiltIn:
    user_type: UserType
    label: Any
    permissions: frozenset[Permission]


BUILT_IN: dict[str, BuiltIn] = {
    'ClientUser': BuiltIn(UserType.CLIENT, L_('Client user'), _CLIENT),
    'ClientBilling': BuiltIn(UserType.CLIENT, L_('Client billing'), _CLIENT | {P.MONEY_SEE}),
    'ClientAdmin': BuiltIn(
        UserType.CLIENT,
        L_('Client admin'),
        _CLIENT | {P.MONEY_SEE, P.TICKETS_SEE_COMPANY, P.PEOPLE_MANAGE, P.COMPANY_EDIT, P.AUDIT_SEE},
    ),
    'Technician': BuiltIn(UserType.INTERNAL, L_('Technician'), _STAFF | {P.TICKETS_WORK, P.TICKETS_CLOSE, P.VIEW_AS}),
    'Finance': BuiltIn(UserType.INTERNAL, L_('Finance'), _STAFF | {P.MONEY_SEE}),
    'MspAdmin': BuiltIn(
        UserType.INTERNAL,
        L_('MSP admin'),
        _STAFF
        | {
            P.TICKETS_WORK,
            P.TICKETS_CLOSE,
            P.COMPANIES_MANAGE,
            P.STAFF_MANAGE,
            P.TENANT_MANAGE,
            P.DESK_TEAM,
            P.MONEY_SEE,
            P.MAIL_READ,
            P.PEOPLE_MANAGE,
            P.ROLES_MANAGE,
            P.ACCESS_MANAGE,
            P.AUDIT_SEE,
            P.VIEW_AS,
        },
    ),
}


class Role(SQLModel, table=True):
    """A tenant's own role: a named set of permissions, for one user type."""

    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, foreign_key='tenant.id', sa_column_kwargs=TENANT)
    name: str
    user_type: str
    permissions: list[str] = Field(sa_type=cast(Any, ARRAY(Text)))
    based_on: str | None = None  # the built-in role it began with, and is compared with


class NotAllowed(Exception):
    """The person's role does not include this."""


class OnlyLooking(Exception):
    """Whoever looks in a client's place changes nothing."""


class ProofNeeded(Exception):
    """This asks for a recent proof of who one is (`app.fresh()`): the page leads to where it is given, and back."""


@dataclass(frozen=True, slots=True)
class TenantCard:
    """What everybody of a tenant may know of it, signed in or not."""

    id: UUID
    name: str
    short_name: str
    host: str | None = None
    accent: str | None = None
    phone: str | None = None
    phone_hours: str | None = None
    language: str = 'en'
    timezone: str = 'UTC'


@dataclass(frozen=True, slots=True)
class CompanyCard:
    id: UUID
    slug: str
    name: str


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is looking right now. Made once, at the door, from the session."""

    tenant: TenantCard
    user_id: UUID
    name: str
    email: str
    side: Side
    role: str
    permissions: frozenset[Permission]
    company: CompanyCard | None = None  # the active one; None for staff
    companies: tuple[CompanyCard, ...] = ()  # all this login belongs to
    voice: Voice = field(default_factory=Voice)
    theme: str = 'auto'
    viewer: UUID | None = None  # of the staff, looking in this person's place

    @property
    def is_staff(self) -> bool:
        return self.side == 'staff'

    def may(self, what: Permission) -> bool:
        return what in self.permissions

    def need(self, what: Permission) -> None:
        if what not in self.permissions:
            raise NotAllowed(what)


def permissions_of(role: str, own: list[str] | None = None) -> frozenset[Permission]:
    """Of a built-in role by its name, or of a tenant's own (`own`: the words in its row; unknown ones give nothing)."""
    if own is not None:
        return frozenset(p for p in P if p.value in own)
    known = BUILT_IN.get(role)
    return known.permissions if known else frozenset()


def role_label(role: str) -> str:
    return str(BUILT_IN[role].label) if role in BUILT_IN else role


async def need_fresh(db: Any) -> None:
    """Raises ProofNeeded if the person of this context did not prove lately who they are."""
    connection = await db.connection()
    if not (await connection.exec_driver_sql('select app.fresh()')).scalar():
        raise ProofNeeded


Args = ParamSpec('Args')
Result = TypeVar('Result')
#: Every verb of the domain and the permission it needs; the access walk of the tests goes over it.
VERBS: dict[str, Permission] = {}


def verb(
    needs: Permission, *, fresh: bool = False
) -> Callable[[Callable[Concatenate[Any, Principal, Args], Any]], Callable[Concatenate[Any, Principal, Args], Any]]:
    """A change asked for by a principal: `async def close(db, by, …)`. Without the permission it does not begin.

    `fresh`: the person must have proved in the last 15 minutes who they are, else it raises ProofNeeded.
    """

    def mark(function: Callable[Concatenate[Any, Principal, Args], Any]) -> Callable[Concatenate[Any, Principal, Args], Any]:
        VERBS[f'{function.__module__.rsplit(".", 1)[-1]}.{function.__name__}'] = needs

        @functools.wraps(function)
        async def allowed(db: Any, by: Principal, *args: Args.args, **kwargs: Args.kwargs) -> Any:
            if by.viewer:
                raise OnlyLooking
            by.need(needs)
            if fresh:
                await need_fresh(db)
            return await function(db, by, *args, **kwargs)

        return allowed

    return mark
