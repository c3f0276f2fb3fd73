"""Invitations by e-mail: into a company, or onto the staff. Whoever is invited is nobody here until they accept.

A client admin learns nothing by inviting: the same answer, whether or not the address is known anywhere else in the tenant.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, UserType, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now, uuid7
from portal.domain.granting import may_give, offered, roles
from portal.domain.mail import Promised, promise
from portal.domain.people import Company, Membership, Taken, User, clean_email, clean_name
from portal.i18n import LANGUAGES, _

DAYS = 7  # that a link works
MOST_A_DAY = {'client': 100, 'staff': 1000}  # letters of one company, or the tenant's staff
MOST_TO_ONE = 3  # letters a day to one address
KEPT_DAYS = 30  # that an invitation which came to nothing is shown


class Invitation(SQLModel, table=True):
    """`number` grows with every letter: only the link of the newest one works."""

    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(['tenant_id', 'invited_by_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'accepted_by_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'role_id'], ['role.tenant_id', 'role.id']),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID | None = None  # None: onto the staff
    email: str
    name: str
    role: str | None = None
    role_id: UUID | None = None
    language: str | None = None
    invited_by_id: UUID
    number: int = 1
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    sent_at: datetime = Field(default_factory=now, sa_type=Moment)
    expires_at: datetime = Field(default_factory=lambda: now() + timedelta(days=DAYS), sa_type=Moment)
    accepted_at: datetime | None = Field(default=None, sa_type=Moment)
    accepted_by_id: UUID | None = None
    withdrawn_at: datetime | None = Field(default=None, sa_type=Moment)
    declined_at: datetime | None = Field(default=None, sa_type=Moment)

    @property
    def is_over(self) -> bool:
        """Accepted, withdrawn or declined."""
        return any((self.accepted_at, self.withdrawn_at, self.declined_at))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whom to invite, as it was typed. `role`: a built-in one by name, one of the tenant's own by id."""

    name: str
    email: str
    role: str
    language: str = ''


# ---------- questions ----------


async def invited(db: AsyncSession, company_id: UUID | None) -> list[tuple[Invitation, str]]:
    """Those that are open, expired or declined, newest first, and who invited."""
    asked = (
        select(Invitation, User.name)
        .join(User, col(User.id) == Invitation.invited_by_id)
        .where(
            col(Invitation.company_id) == company_id if company_id else col(Invitation.company_id).is_(None),
            col(Invitation.accepted_at).is_(None), col(Invitation.withdrawn_at).is_(None),
            Invitation.sent_at > now() - timedelta(days=KEPT_DAYS),
        )
        .order_by(col(Invitation.sent_at).desc(), col(Invitation.id).desc())
    )  # fmt: skip
    return list(await db.exec(asked))


async def roles_to_give(db: AsyncSession, by: Principal, user_type: UserType) -> list[tuple[str, str]]:
    """Value and name of every role that this person may give: built-in ones, then the tenant's own."""
    return [(role.key, role.label) for role, may in offered(by, await roles(db, user_type)) if may]


# ---------- verbs ----------


@verb(Permission.PEOPLE_MANAGE, fresh=True)
async def invite(db: AsyncSession, by: Principal, company_id: UUID, wanted: Wanted) -> Invitation:
    """Into a company. Raises Wrong for every field, Taken (staff only: with the way to them) where somebody belongs already."""
    return (await invite_all(db, by, company_id, [wanted]))[0]


@verb(Permission.PEOPLE_MANAGE, fresh=True)
async def invite_all(db: AsyncSession, by: Principal, company_id: UUID, wanted: Sequence[Wanted]) -> list[Invitation]:
    """All of them or none: Wrong of the first that cannot be."""
    company = await _company(db, by, company_id)
    await _one_after_the_other(db, by, company_id)
    return [await _invite(db, by, company, each) for each in wanted]


@verb(Permission.STAFF_MANAGE, fresh=True)
async def invite_colleagues(db: AsyncSession, by: Principal, wanted: Sequence[Wanted]) -> list[Invitation]:
    """Onto the staff."""
    await _one_after_the_other(db, by, None)
    return [await _invite(db, by, None, each) for each in wanted]


async def check(db: AsyncSession, by: Principal, company_id: UUID | None, wanted: Wanted) -> Wanted:
    """As it would be kept; raises Wrong with the words for every field. Writes nothing."""
    wrong: dict[str, str] = {}
    values = {'name': wanted.name, 'email': wanted.email}
    for field, clean in (('name', clean_name), ('email', clean_email)):
        try:
            values[field] = clean(values[field])
        except Wrong as e:
            wrong |= e.fields
    if 'name' not in wrong and re.search(r'://|@|www\.', values['name'], re.IGNORECASE):
        wrong['name'] = _('A name, please, without addresses.')
    user_type = UserType.CLIENT if company_id else UserType.INTERNAL
    try:
        await may_give(db, by, wanted.role, user_type)
    except Wrong as e:
        wrong |= e.fields
    if wanted.language and wanted.language not in LANGUAGES:
        wrong['language'] = _('Choose a language.')
    if wrong:
        raise Wrong(**wrong)
    await _not_there_yet(db, by, company_id, values['email'])
    return Wanted(values['name'], values['email'], wanted.role, wanted.language)


async def _not_there_yet(db: AsyncSession, by: Principal, company_id: UUID | None, email: str) -> None:
    """Of a client admin this asks only about people of their own company."""
    belongs = (
        select(User)
        .join(Membership, col(Membership.user_id) == User.id)
        .where(Membership.company_id == company_id, col(Membership.ended_at).is_(None))
    )
    if company_id and (known := (await db.exec(belongs.where(User.email == email))).first()):
        raise Taken(known.id, email=_('{name} belongs here already.', name=known.name))
    if by.is_staff and (known := (await db.exec(select(User).where(User.email == email))).first()):
        if company_id is None and known.user_type == UserType.CLIENT.value:
            raise Wrong(email=_('This is the address of {name}, a client. Staff need an address of their own.', name=known.name))
        if company_id is None:
            raise Wrong(email=_('{name} is on your staff already.', name=known.name))
        if known.user_type != UserType.CLIENT.value:
            raise Wrong(email=_('This is the address of somebody on your staff.'))
        if known.disabled_at is not None:
            raise Taken(known.id, email=_('{name} is disabled. Enable them first.', name=known.name))
    here = col(Invitation.company_id) == company_id if company_id else col(Invitation.company_id).is_(None)
    open_ones = select(Invitation.id).where(
        here, col(Invitation.email) == email, col(Invitation.accepted_at).is_(None), col(Invitation.withdrawn_at).is_(None),
        col(Invitation.declined_at).is_(None),
    )  # fmt: skip
    if (await db.exec(open_ones)).first():
        raise Wrong(email=_('They are invited already. Send the letter again in the list below.'))


async def _invite(db: AsyncSession, by: Principal, company: Company | None, wanted: Wanted) -> Invitation:
    company_id = company.id if company else None
    clean = await check(db, by, company_id, wanted)
    await _room_for(db, by, company_id, clean.email)
    given = await may_give(db, by, clean.role, UserType.CLIENT if company else UserType.INTERNAL)
    values = {
        'id': uuid7(), 'company_id': company_id, 'email': clean.email, 'name': clean.name, 'role': given.role, 'role_id': given.role_id,
        'language': clean.language or None, 'invited_by_id': by.user_id, 'expires_at': now() + timedelta(days=DAYS),
    }  # fmt: skip
    await db.exec(insert(Invitation).values(**values))
    invitation = await db.get_one(Invitation, values['id'])
    await record(db, 'invitation.sent', company_id=company_id, subject=invitation.id, email=clean.email, name=clean.name,
                 role=given.name)  # fmt: skip
    await _write(db, by, invitation)
    return invitation


async def _write(db: AsyncSession, by: Principal, invitation: Invitation) -> None:
    letter = Promised(kind='invitation', company_id=invitation.company_id, actor_id=by.user_id, invitation_id=invitation.id)
    await promise(db, [letter])


@verb(Permission.PEOPLE_MANAGE, fresh=True)
async def send_again(db: AsyncSession, by: Principal, company_id: UUID, invitation_id: UUID) -> Invitation:
    """Another letter with another link, from whoever sends it now; the link of the one before works no more."""
    await _company(db, by, company_id)
    return await _again(db, by, company_id, invitation_id)


@verb(Permission.STAFF_MANAGE, fresh=True)
async def send_colleague_again(db: AsyncSession, by: Principal, invitation_id: UUID) -> Invitation:
    return await _again(db, by, None, invitation_id)


async def _again(db: AsyncSession, by: Principal, company_id: UUID | None, invitation_id: UUID) -> Invitation:
    await _one_after_the_other(db, by, company_id)
    invitation = await _locked(db, company_id, invitation_id)
    if invitation.is_over:
        raise NotFound
    await may_give(db, by, invitation.role or str(invitation.role_id), UserType.CLIENT if company_id else UserType.INTERNAL)
    await _room_for(db, by, company_id, invitation.email)
    invitation.number += 1
    invitation.invited_by_id, invitation.sent_at, invitation.expires_at = by.user_id, now(), now() + timedelta(days=DAYS)
    await db.flush()
    await record(db, 'invitation.sent_again', company_id=company_id, subject=invitation.id, email=invitation.email)
    await _write(db, by, invitation)
    return invitation


@verb(Permission.PEOPLE_MANAGE)
async def withdraw(db: AsyncSession, by: Principal, company_id: UUID, invitation_id: UUID) -> None:
    """Its link works no more."""
    await _company(db, by, company_id)
    await _withdraw(db, company_id, invitation_id)


@verb(Permission.STAFF_MANAGE)
async def withdraw_colleague(db: AsyncSession, by: Principal, invitation_id: UUID) -> None:
    await _withdraw(db, None, invitation_id)


async def _withdraw(db: AsyncSession, company_id: UUID | None, invitation_id: UUID) -> None:
    invitation = await _locked(db, company_id, invitation_id)
    if invitation.accepted_at is not None:
        raise Wrong(invitation=_('{name} has accepted meanwhile.', name=invitation.name))
    if not invitation.is_over:
        invitation.withdrawn_at = now()
        await record(db, 'invitation.withdrawn', company_id=company_id, subject=invitation.id, email=invitation.email)


# ---------- what holds for all of them ----------


async def _company(db: AsyncSession, by: Principal, company_id: UUID) -> Company:
    """Raises NotFound for another than one's own, whatever the browser sent."""
    if not by.is_staff and (by.company is None or by.company.id != company_id):
        raise NotFound
    company = (await db.exec(select(Company).where(Company.id == company_id))).first()
    if company is None:
        raise NotFound
    if company.archived_at is not None:
        raise Wrong(email=_('{company} is archived. Bring it back first.', company=company.name))
    return company


async def _locked(db: AsyncSession, company_id: UUID | None, invitation_id: UUID) -> Invitation:
    here = col(Invitation.company_id) == company_id if company_id else col(Invitation.company_id).is_(None)
    asked = select(Invitation).where(Invitation.id == invitation_id, here).with_for_update()
    found = (await db.exec(asked.execution_options(populate_existing=True))).first()
    if found is None:
        raise NotFound
    return found


async def _one_after_the_other(db: AsyncSession, by: Principal, company_id: UUID | None) -> None:
    """Until the commit nobody else of the company invites: what is counted holds."""
    key = str(company_id or by.tenant.id)
    await db.exec(select(func.pg_advisory_xact_lock(func.hashtext('portal.invitations'), func.hashtext(key))))


async def room(db: AsyncSession, by: Principal, company_id: UUID | None) -> int:
    """How many letters may go out yet, within 24 hours. Those of withdrawn invitations count."""
    total = (await db.exec(select(func.count()).where(_lately(company_id)))).one()
    return max(0, MOST_A_DAY[by.side] - total)


async def _room_for(db: AsyncSession, by: Principal, company_id: UUID | None, email: str) -> None:
    asked = select(func.coalesce(func.sum(Invitation.number), 0)).where(_lately(company_id), Invitation.email == email)
    to_one = (await db.exec(asked)).one()
    if to_one >= MOST_TO_ONE:
        words = _('They have got {n} letters already. Wait until tomorrow, or ask them to look among unwanted mail.', n=to_one)
        raise Wrong(email=words)
    if await room(db, by, company_id) == 0:
        raise Wrong(email=too_many(by))


def too_many(by: Principal) -> str:
    return _('No more than {n} invitations a day. Go on tomorrow.', n=MOST_A_DAY[by.side])


def _lately(company_id: UUID | None) -> Any:
    here = col(Invitation.company_id) == company_id if company_id else col(Invitation.company_id).is_(None)
    return here & (col(Invitation.sent_at) > now() - timedelta(days=1))
