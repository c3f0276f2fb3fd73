"""What a person can see and do, and why: permission by permission, and for one ticket."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

from sqlalchemy import func as sql
from sqlmodel import col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, UserType
from portal.domain.granting import Given
from portal.domain.people import Membership
from portal.domain.rights import GROUPS
from portal.domain.tickets.model import Participant, Ticket, Visibility
from portal.i18n import _


@dataclass(frozen=True, slots=True)
class Answer:
    """A permission: whether the person has it, and which role gives it, or would."""

    label: str
    line: str
    yes: bool
    why: str


@dataclass(frozen=True, slots=True)
class AboutTicket:
    """Whether somebody sees a ticket, told to somebody who sees it."""

    number: int
    subject: str
    yes: bool
    why: str


def answers(held: Given | None, among: Sequence[Given], user_type: UserType) -> list[tuple[str, list[Answer]]]:
    """By group, in the order of the screen. `among`: all roles there are for this user type."""
    return [(str(group.title), [_answer(right.permission, str(right.label), str(right.line), held, among) for right in group.rights])
            for group in GROUPS[user_type]]  # fmt: skip


def _answer(permission: Permission, label: str, line: str, held: Given | None, among: Sequence[Given]) -> Answer:
    if held and permission in held.permissions:
        return Answer(label, line, True, _('Role {role}', role=held.label))
    others = [role.label for role in among if permission in role.permissions]
    if not others:
        return Answer(label, line, False, _('No role gives it'))
    return Answer(label, line, False, _('Needs {roles}', roles=_(' or ').join(others)))


async def tickets_seen(db: AsyncSession, company_id: UUID, user_id: UUID, *, reaches: bool) -> int:
    """How many of the tickets that the asker sees the person sees, too: what is closed to the asker is not counted."""
    in_copy = select(Participant.ticket_id).where(Participant.user_id == user_id)
    whole = (Ticket.visibility == Visibility.COMPANY) if reaches else False
    asked = select(sql.count()).select_from(Ticket).where(Ticket.company_id == company_id)
    return (await db.exec(asked.where(or_(Ticket.requester_id == user_id, col(Ticket.id).in_(in_copy), whole)))).one()  # type: ignore[arg-type]


async def about_ticket(db: AsyncSession, words: str, user_id: UUID, name: str) -> AboutTicket | None:
    """`words`: a number, with or without `T-`. None where the asker finds no such ticket: what they cannot see is not there."""
    found = re.fullmatch(r'\s*(?:[tT]-?)?(\d{1,9})\s*', words)
    ticket = (await db.exec(select(Ticket).where(Ticket.number == int(found[1])))).first() if found else None
    if ticket is None:
        return None
    columns = ('sees', 'is_requester', 'in_copy', 'reaches', 'is_private', 'belongs')
    asked: Any = cast(Any, select)(*sql.app.why_sees(ticket.id, user_id).table_valued(*columns).c)
    row: Any = cast(Any, await db.exec(asked)).first()
    if row is None:
        return None
    return AboutTicket(ticket.number, ticket.subject, row.sees, _why(row, name))


def _why(row: Any, name: str) -> str:
    sees, is_requester, in_copy, reaches, is_private, belongs = row
    if not belongs:
        return _('It is a ticket of a company that {name} does not belong to.', name=name)
    if not sees and (is_requester or in_copy or (reaches and not is_private)):
        return _('The role of {name} does not include tickets.', name=name)
    if is_requester:
        return _('{name} asked for it.', name=name)
    if in_copy:
        return _('{name} is in copy.', name=name)
    if is_private:
        return _('It is private, {name} did not ask for it and is not in copy. No role would show it.', name=name)
    if reaches:
        return _('The role of {name} shows all tickets of the company.', name=name)
    return _('{name} did not ask for it and is not in copy, and their role shows own tickets and those in copy.', name=name)


def role_of_membership(membership: Membership, among: Sequence[Given]) -> Given | None:
    return next((r for r in among if (r.role, r.role_id) == (membership.role, membership.role_id)), None)


def role_of_staff(role: str | None, role_id: UUID | None, among: Sequence[Given]) -> Given | None:
    return next((r for r in among if (r.role, r.role_id) == (role, role_id)), None)
