"""Permissions in words everybody understands, in groups, and which of them exist for whom.

`FOR` is mirrored in the database (`app.permissions_for`), which refuses a role with anything else; a test compares the two.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from portal.domain.access import Permission, UserType
from portal.i18n import L_

P = Permission
#: Without these nobody can use the portal: every role has them.
ALWAYS = frozenset({P.TICKETS_SEE, P.PROFILE_EDIT})
FOR: dict[UserType, frozenset[Permission]] = {
    UserType.CLIENT: ALWAYS
    | {
        P.TICKETS_SEE_COMPANY,
        P.TICKETS_OPEN,
        P.TICKETS_REPLY,
        P.TICKETS_CLOSE,
        P.MONEY_SEE,
        P.PEOPLE_MANAGE,
        P.COMPANY_EDIT,
        P.AUDIT_SEE,
    },
    UserType.INTERNAL: frozenset(P) - {P.TICKETS_SEE_COMPANY, P.COMPANY_EDIT},
}
#: What exists for clients alone, and what somebody of the staff must have to give it to one.
STANDS_FOR = {P.TICKETS_SEE_COMPANY: P.TICKETS_SEE, P.COMPANY_EDIT: P.COMPANIES_MANAGE}
#: Useless without the other.
NEEDS = {P.COMPANIES_MANAGE: P.COMPANIES_SEE, P.DESK_TEAM: P.DESK_OWN, P.VIEW_AS: P.COMPANIES_SEE}


@dataclass(frozen=True, slots=True)
class Right:
    """A permission on a screen: what it is called there, and one line about it."""

    permission: Permission
    label: Any
    line: Any


@dataclass(frozen=True, slots=True)
class Group:
    title: Any
    rights: tuple[Right, ...]


_CLIENT = (
    Group(
        L_('Tickets'),
        (
            Right(P.TICKETS_SEE, L_('See tickets'), L_('Own ones, and those one is in copy of')),
            Right(P.TICKETS_SEE_COMPANY, L_('See the whole company’s tickets'), L_('All but private ones of others')),
            Right(P.TICKETS_OPEN, L_('Open tickets'), L_('Ask for help, also in the name of a colleague')),
            Right(P.TICKETS_REPLY, L_('Reply'), L_('On every ticket one sees; add files and people in copy')),
            Right(P.TICKETS_CLOSE, L_('Close and reopen tickets'), L_('Every ticket one sees')),
        ),
    ),
    Group(L_('Money'), (Right(P.MONEY_SEE, L_('See invoices and payments'), L_('Also quotes, and what services cost')),)),
    Group(
        L_('Company'),
        (
            Right(
                P.PEOPLE_MANAGE, L_('Manage people'), L_('Invite and remove them, change their roles, help with a lost factor')
            ),
            Right(P.COMPANY_EDIT, L_('Edit the company’s details'), L_('Addresses, and whom to call about what')),
            Right(P.AUDIT_SEE, L_('Read the log'), L_('Who did what at the company, and who of us looked')),
        ),
    ),
    Group(L_('Own account'), (Right(P.PROFILE_EDIT, L_('Own profile'), L_('Name, language, letters and ways to sign in')),)),
)
_STAFF = (
    Group(
        L_('Tickets'),
        (
            Right(P.TICKETS_SEE, L_('See tickets'), L_('Of all companies')),
            Right(P.TICKETS_OPEN, L_('Open tickets'), L_('In the name of a client')),
            Right(P.TICKETS_REPLY, L_('Reply'), L_('To clients, on every ticket')),
            Right(P.TICKETS_WORK, L_('Work on tickets'), L_('Take and assign them, set status and priority, write notes')),
            Right(P.TICKETS_CLOSE, L_('Close and reopen tickets'), L_('Every ticket')),
            Right(P.DESK_OWN, L_('Own views and canned replies'), L_('And to use those of the team')),
            Right(P.DESK_TEAM, L_('Views and canned replies of the team'), L_('Change what everybody has')),
        ),
    ),
    Group(
        L_('Clients'),
        (
            Right(P.COMPANIES_SEE, L_('See companies and their people'), L_('Addresses, notes and who works there')),
            Right(
                P.COMPANIES_MANAGE, L_('Manage companies'), L_('Add, change and archive companies and their people; import them')
            ),
            Right(P.PEOPLE_MANAGE, L_('Help people to sign in'), L_('Invite them, and help with a lost factor')),
            Right(P.VIEW_AS, L_('Look as a client does'), L_('Reading only, for half an hour, with a reason')),
        ),
    ),
    Group(L_('Money'), (Right(P.MONEY_SEE, L_('See invoices and payments'), L_('Of all companies')),)),
    Group(
        L_('Your MSP'),
        (
            Right(P.STAFF_MANAGE, L_('Manage the team'), L_('Add people to it, change their roles, shut them out')),
            Right(P.ROLES_MANAGE, L_('Manage roles'), L_('Make roles of your own, for staff and for clients')),
            Right(P.ACCESS_MANAGE, L_('Rules of signing in'), L_('Second factors, single sign-on, how long sessions last')),
            Right(P.AUDIT_SEE, L_('Read the log'), L_('Who did what, everywhere')),
            Right(P.MAIL_READ, L_('Read waiting letters'), L_('Also links that open an account, while no mail server is set')),
            Right(P.TENANT_MANAGE, L_('The portal itself'), L_('Name, color and categories, and how it is doing')),
        ),
    ),
    Group(L_('Own account'), (Right(P.PROFILE_EDIT, L_('Own profile'), L_('Name, language, letters and ways to sign in')),)),
)
GROUPS: dict[UserType, tuple[Group, ...]] = {UserType.CLIENT: _CLIENT, UserType.INTERNAL: _STAFF}


def label_of(permission: Permission, user_type: UserType) -> str:
    return next((str(r.label) for g in GROUPS[user_type] for r in g.rights if r.permission is permission), permission.value)


def labels(permissions: Iterable[Permission], user_type: UserType) -> list[str]:
    """In the order of the screen."""
    wanted = set(permissions)
    return [str(right.label) for group in GROUPS[user_type] for right in group.rights if right.permission in wanted]


def completed(permissions: Iterable[Permission], user_type: UserType) -> frozenset[Permission]:
    """With what every role has, and what the others are useless without; nothing that does not exist for them."""
    wanted = set(permissions) & FOR[user_type] | ALWAYS
    return frozenset(wanted | {NEEDS[p] for p in wanted if p in NEEDS and NEEDS[p] in FOR[user_type]})
