"""The audit log as people read it: newest first, filtered, page by page. What a client may see of it is in the policies."""

import re
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, and_, literal, or_, tuple_, union, union_all
from sqlalchemy import func as sql
from sqlalchemy import select as select_columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import Audit, record
from portal.domain.base import Wrong
from portal.domain.categories import Category
from portal.domain.people import Company, Membership, Tenant, User
from portal.domain.tickets import Ticket
from portal.domain.tickets.model import File
from portal.domain.trail_kinds import KINDS
from portal.i18n import _, local

PAGE = 50
MOST_NAMED = 20  # people or companies that words may mean
Cursor = tuple[datetime, UUID]


@dataclass(frozen=True, slots=True)
class Asked:
    """`person`: who did it, in whose place or with whom it was done. `older`: beyond this line; `newer`: before it."""

    person: UUID | None = None
    kind: str = ''
    company: UUID | None = None
    since: date | None = None
    until: date | None = None
    words: str = ''
    older: Cursor | None = None
    newer: Cursor | None = None


@dataclass(frozen=True)
class Trail:
    lines: list[Audit]
    older: Cursor | None = None
    newer: Cursor | None = None
    people: dict[UUID, User] = field(default_factory=dict[UUID, User])
    companies: dict[UUID, Company] = field(default_factory=dict[UUID, Company])
    tickets: dict[UUID, int] = field(default_factory=dict[UUID, int])
    files: dict[UUID, str] = field(default_factory=dict[UUID, str])
    categories: dict[UUID, str] = field(default_factory=dict[UUID, str])

    def name(self, id_: UUID | None) -> str:
        person = self.people.get(id_) if id_ else None
        return person.name if person else ''


async def trail(db: AsyncSession, by: Principal, asked: Asked, most: int = PAGE) -> Trail:
    """Raises NotAllowed without AUDIT_SEE. Every branch is led by an index, however many lines there are."""
    by.need(Permission.AUDIT_SEE)
    branches = await _branches(db, by, asked)
    if not branches:
        return Trail([])
    common = _common(asked)
    key, ascending = (col(Audit.at), col(Audit.id)), asked.newer is not None
    order = [c.asc() if ascending else c.desc() for c in key]
    if len(branches) == 1 and not branches[0].of_members and not branches[0].actions:
        where: list[Any] = [*common, branches[0].holds]
    else:
        parts = [_ids(branch, [*common, branch.holds], order, most + 1) for branch in branches]
        where = [col(Audit.id).in_(union_all(*parts))]
    asked_for = select_columns(*(getattr(Audit, name) for name in _seen(by))).where(*where).order_by(*order).limit(most + 1)
    rows: list[Any] = cast(Any, await db.exec(cast(Any, asked_for))).all()
    lines = [Audit(**dict(zip(_seen(by), row, strict=True))) for row in rows]
    more = len(lines) > most
    lines = lines[:most]
    if ascending:
        lines.reverse()
    first, last = ((lines[0].at, lines[0].id), (lines[-1].at, lines[-1].id)) if lines else (None, None)
    older = last if more or ascending else None
    newer = first if (more and ascending) or asked.older else None
    return await _named(db, Trail(lines, older=older, newer=newer))


def _seen(by: Principal) -> tuple[str, ...]:
    """Clients learn from no line in which network or session somebody was."""
    shared = ('id', 'tenant_id', 'company_id', 'at', 'actor_id', 'action', 'subject_id', 'detail', 'as_user_id')
    return (*shared, 'session', 'network') if by.is_staff else shared


def _common(asked: Asked) -> list[ColumnElement[bool]]:
    found: list[Any] = []
    key = tuple_(col(Audit.at), col(Audit.id))
    if asked.older:
        found.append(key < asked.older)
    if asked.newer:
        found.append(key > asked.newer)
    if asked.since:
        found.append(col(Audit.at) >= _midnight(asked.since))
    if asked.until:
        found.append(col(Audit.at) < _midnight(asked.until + timedelta(days=1)))
    return found


def _midnight(day: date) -> datetime:
    zone = local(datetime.now().astimezone()).tzinfo
    return datetime(day.year, day.month, day.day, tzinfo=zone)


@dataclass(frozen=True, slots=True)
class _Branch:
    """A condition that an index leads to. `of_members`: asked for each person of a client's company, and each role that they have,
    without a company. `actions`: asked for each of them, so that a rare one is not looked for among the others."""

    holds: Any
    of_members: bool = False
    actions: tuple[str, ...] = ()


def _ids(branch: _Branch, where: list[Any], order: list[Any], most: int) -> Any:
    if branch.actions:
        names = select_columns(sql.unnest(literal(list(branch.actions), ARRAY(Text))).label('action')).subquery()
        mine = select(Audit.id).where(*where, col(Audit.action) == names.c.action).order_by(*order).limit(most).lateral()
        return select(mine.c.id).select_from(names.join(mine, literal(True)))
    if not branch.of_members:
        part = select(Audit.id).where(*where).order_by(*order).limit(most).subquery()
        return select(part.c.id)
    user: Any = col(Membership.user_id)
    role: Any = col(Membership.role_id)
    people, roles = select_columns(user.label('id')), select_columns(role.label('id')).where(role.is_not(None))
    members = union(people, roles).subquery()
    mine = select(Audit.id).where(*where, col(Audit.subject_id) == members.c.id).order_by(*order).limit(most).lateral()
    return select(mine.c.id).select_from(members.join(mine, literal(True)))


async def _branches(db: AsyncSession, by: Principal, asked: Asked) -> list[_Branch]:
    """Conditions of which one must hold. None: nothing can be found."""
    filters: list[Any] = []
    actions = KINDS[asked.kind][1] if asked.kind in KINDS else ()
    if asked.company:
        filters.append(col(Audit.company_id) == asked.company)
    leading: list[Any] = [True]
    of_kind = [col(Audit.action).in_(actions)] if actions else []
    if asked.person or asked.words.strip():
        filters, actions = filters + of_kind, ()
    if asked.person:
        leading = [
            col(Audit.actor_id) == asked.person,
            and_(col(Audit.subject_id) == asked.person, _differs(Audit.actor_id, asked.person)),
        ]
    if asked.words.strip():
        meant = await _meant(db, by, asked.words)
        leading = meant if leading == [True] else [and_(one, or_(*meant)) for one in leading] if meant else []
    filters += [] if filters else [literal(True)]
    found = [and_(*filters, *([] if one is True else [one])) for one in leading]
    if by.company is None:
        return [_Branch(holds, actions=actions) for holds in found]
    ours = [_Branch(and_(holds, col(Audit.company_id) == by.company.id), actions=actions) for holds in found]
    if actions:  # of one person there are not so many lines
        found = [and_(*filters, *of_kind)]
    return [*ours, *(_Branch(and_(holds, col(Audit.company_id).is_(None)), of_members=True) for holds in found)]


def _differs(column: Any, value: UUID) -> Any:
    return col(column).is_distinct_from(value)


async def _meant(db: AsyncSession, by: Principal, words: str) -> list[Any]:
    """What the words name: people, companies, a ticket, a network. The log is not read for it."""
    words = ' '.join(words.split())[:100]
    like = '%' + re.sub(r'([\\%_])', r'\\\1', words.lower()) + '%'
    people = list(await db.exec(
        select(User.id).where(or_(sql.lower(User.name).like(like), col(User.email).like(like))).limit(MOST_NAMED)
    ))  # fmt: skip
    found: list[Any] = []
    for person in people:
        found += [col(Audit.actor_id) == person, and_(col(Audit.subject_id) == person, _differs(Audit.actor_id, person))]
    if by.is_staff:
        companies = await db.exec(select(Company.id).where(sql.lower(Company.name).like(like)).limit(MOST_NAMED))
        found += [col(Audit.company_id) == company for company in companies]
        if network := _network(words):
            found.append(col(Audit.network) == network)
    if number := re.fullmatch(r'[Tt]-?(\d{1,9})|(\d{4,9})', words):
        ticket = (await db.exec(select(Ticket.id).where(Ticket.number == int(number[1] or number[2])))).first()
        if ticket:
            found.append(col(Audit.subject_id) == ticket)
    if re.fullmatch(r'[a-z]+\.[a-z_]+', words):
        found.append(col(Audit.action) == words)
    return found


def _network(words: str) -> str:
    try:
        if '/' in words:
            return str(ip_network(words, strict=False))
        address = ip_address(words)
        return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))
    except ValueError:
        return ''


async def _named(db: AsyncSession, found: Trail) -> Trail:
    """The names in the lines, as far as whoever reads may know them: by the policies of people, tickets and files."""
    ids: set[UUID] = set()
    for line in found.lines:
        ids |= {id_ for id_ in (line.actor_id, line.subject_id, line.as_user_id) if id_}
        ids |= {id_ for value in line.detail.values() if (id_ := _uuid(value))}
    if not ids:
        return found
    companies = {line.company_id for line in found.lines if line.company_id} | ids
    return replace(
        found,
        people={user.id: user for user in await db.exec(select(User).where(col(User.id).in_(ids)))},
        companies={c.id: c for c in await db.exec(select(Company).where(col(Company.id).in_(companies)))},
        tickets=dict(list(await db.exec(select(Ticket.id, Ticket.number).where(col(Ticket.id).in_(ids))))),
        files=dict(list(await db.exec(select(File.id, File.name).where(col(File.id).in_(ids))))),
        categories=dict(list(await db.exec(select(Category.id, Category.name).where(col(Category.id).in_(ids))))),
    )


def _uuid(value: object) -> UUID | None:
    if not isinstance(value, str) or len(value) != 36:
        return None
    try:
        return UUID(value)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Sealed:
    """How far the chain goes. `lines`: in it so far."""

    blocks: int
    lines: int
    until: datetime
    fingerprint: str


async def sealed(db: AsyncSession) -> Sealed | None:
    """For staff; None before the first block."""
    connection = await db.connection()
    row: Any = (await connection.exec_driver_sql(
        'select seq, last_at, hash, (select sum(count) from audit_seal) from audit_seal order by seq desc limit 1'
    )).first()  # fmt: skip
    return Sealed(row[0], int(row[3]), row[1], bytes(row[2]).hex()) if row else None


# ---------- what is done with it ----------

EXPORT_MOST = 100_000  # lines


@verb(Permission.AUDIT_SEE, fresh=True)
async def begin_export(db: AsyncSession, by: Principal, asked: Asked, format: str) -> None:
    """An export of the log is a line in it, written before its first byte leaves."""
    if format not in ('csv', 'xlsx'):
        raise Wrong(format=_('Choose CSV or Excel.'))
    filters = {name: value for name in ('person', 'kind', 'company', 'since', 'until') if (value := getattr(asked, name))}
    await record(db, 'audit.exported', format=format, filters=filters)


KEEP: dict[str, tuple[int, int]] = {  # days; the same as in the table
    'keep_signins_days': (30, 3650), 'keep_reading_days': (90, 3650), 'keep_changes_days': (365, 7300),
}  # fmt: skip


@verb(Permission.TENANT_MANAGE, fresh=True)
async def change_retention(db: AsyncSession, by: Principal, **days: str) -> None:
    """How long lines are kept. What is older by a shorter time goes in the night."""
    tenant = await db.get_one(Tenant, by.tenant.id, with_for_update={'key_share': True}, populate_existing=True)
    wrong: dict[str, str] = {}
    before: dict[str, int] = {}
    after: dict[str, int] = {}
    for name, value in days.items():
        least, most = KEEP[name]
        if not value.isascii() or not value.isdigit() or not least <= int(value) <= most:
            wrong[name] = _('A number of days from {least} to {most}.', least=least, most=most)
        elif int(value) != getattr(tenant, name):
            before[name], after[name] = getattr(tenant, name), int(value)
    if wrong:
        raise Wrong(**wrong)
    for name, value in after.items():
        setattr(tenant, name, value)
    if after:
        await record(db, 'audit.retention', subject=tenant.id, before=before, after=after)
