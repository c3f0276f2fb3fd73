"""An import from its upload to its end. The rows are taken in chunks: each is whole or not there, and what was taken stays
when somebody stops it, or its worker dies. A row that was done is not done again."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import delete as sql_delete
from sqlalchemy import func as sql
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlmodel import col, insert, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, Role, TenantCard, permissions_of, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong, now
from portal.domain.clients import change_client
from portal.domain.companies import locked, write_changes
from portal.domain.imports.deciding import (
    Companies,
    Decision,
    People,
    decide_all,
    decide_company,
    decide_person,
    known_companies,
    known_people,
    names_in,
    values_of,
)
from portal.domain.imports.fields import fields_of, guess
from portal.domain.imports.model import Batch, ImportRow, Kind, Outcome, State
from portal.domain.imports.reading import Table
from portal.domain.mail import later
from portal.domain.people import Company, Membership, Tenant, User, add_company, bring_in, set_role
from portal.i18n import Voice, _, known_language, known_timezone

CHUNK = 100  # rows in a transaction
STUCK = timedelta(minutes=10)  # a chunk takes seconds, a dead worker is noticed after one minute


# ---------- questions ----------


async def batch_by_id(db: AsyncSession, batch_id: UUID, *, lock: bool = False) -> Batch:
    asked = select(Batch).where(Batch.id == batch_id)
    if lock:
        asked = asked.with_for_update(key_share=True).execution_options(populate_existing=True)
    found = (await db.exec(asked)).first()
    if found is None:
        raise NotFound
    return found


async def batches(db: AsyncSession, most: int = 20) -> list[tuple[Batch, str]]:
    """The newest first, each with the name of who uploaded it."""
    asked = select(Batch, User.name).join(User, col(User.id) == Batch.author_id).order_by(col(Batch.id).desc()).limit(most)
    return list(await db.exec(asked))


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows by what they do, or did."""

    total: int = 0
    done: int = 0
    add: int = 0
    change: int = 0
    leave: int = 0
    refuse: int = 0

    @property
    def to_do(self) -> int:
        return self.total - self.refuse


async def tally(db: AsyncSession, batch: Batch) -> Tally:
    asked = select(ImportRow.outcome, sql.count(), sql.count(col(ImportRow.done_at))).where(ImportRow.batch_id == batch.id)
    rows: list[tuple[Outcome | None, int, int]] = list(await cast(Any, db).exec(asked.group_by(col(ImportRow.outcome))))
    numbers = {outcome.value: n for outcome, n, _done in rows if outcome}
    return Tally(total=sum(n for _o, n, _d in rows), done=sum(done for _o, _n, done in rows), **numbers)


async def refused_rows(db: AsyncSession, batch: Batch, most: int | None = None) -> list[ImportRow]:
    asked = select(ImportRow).where(ImportRow.batch_id == batch.id, ImportRow.outcome == Outcome.REFUSE)
    return list(await db.exec(asked.order_by(col(ImportRow.number)).limit(most)))


async def sample(db: AsyncSession, batch: Batch, most: int = 5) -> list[tuple[int, Decision]]:
    """The first rows, as they will be."""
    rows = list(
        await db.exec(select(ImportRow).where(ImportRow.batch_id == batch.id).order_by(col(ImportRow.number)).limit(most))
    )
    return await _decisions(db, batch, rows)


async def _decisions(db: AsyncSession, batch: Batch, rows: list[ImportRow]) -> list[tuple[int, Decision]]:
    cells = [(row.number, row.cells) for row in rows]
    known, people = await _companies_of(db, batch, rows), await _people_of(db, batch, rows)
    return await asyncio.to_thread(decide_all, batch, cells, known, people)  # ten thousand rows take a second


async def _companies_of(db: AsyncSession, batch: Batch, rows: list[ImportRow]) -> Companies:
    return await known_companies(db, names_in(batch, (row.cells for row in rows)), str(batch.options.get('company') or ''))


async def _people_of(db: AsyncSession, batch: Batch, rows: list[ImportRow]) -> People:
    if batch.kind is Kind.COMPANIES:
        return {}
    return await known_people(db, (values_of(batch, row.cells).get('email', '') for row in rows))


def is_stuck(batch: Batch) -> bool:
    """It runs, but nobody works on it: its job was lost."""
    return batch.state is State.RUNNING and batch.touched_at < now() - STUCK


# ---------- before it begins ----------


@verb(Permission.COMPANIES_MANAGE)
async def upload(db: AsyncSession, by: Principal, kind: Kind, file_name: str, table: Table) -> Batch:
    """Keeps the rows, guesses the columns, and tries it."""
    batch = Batch(
        tenant_id=by.tenant.id, kind=kind, file_name=file_name[:200], encoding=table.encoding, delimiter=table.delimiter,
        columns=table.columns, mapping=guess(kind, table.columns), author_id=by.user_id,
    )  # fmt: skip
    db.add(batch)
    await db.flush()
    rows = [
        {'batch_id': batch.id, 'tenant_id': by.tenant.id, 'number': n, 'cells': cells, 'problems': []} for n, cells in table.rows
    ]
    await cast(Any, db).exec(insert(ImportRow), params=rows)
    await record(db, 'import.uploaded', subject=batch.id, kind=kind.value, file=batch.file_name, rows=len(rows))
    await _try(db, batch)
    return batch


@verb(Permission.COMPANIES_MANAGE)
async def match(db: AsyncSession, by: Principal, batch_id: UUID, mapping: dict[str, int], options: Mapping[str, Any]) -> Batch:
    """Other columns, or other rules for all rows; tried again."""
    batch = await batch_by_id(db, batch_id, lock=True)
    if batch.state is not State.READY:
        raise Wrong(file=_('It has begun already.'))
    names = {field.name for field in fields_of(batch.kind)}
    batch.mapping = {name: place for name, place in mapping.items() if name in names and 0 <= place < len(batch.columns)}
    batch.options = dict(options)
    await db.flush()
    await _try(db, batch)
    return batch


async def _try(db: AsyncSession, batch: Batch) -> None:
    """Writes to every row what it would do; nothing else changes."""
    rows = list(await db.exec(select(ImportRow).where(ImportRow.batch_id == batch.id).order_by(col(ImportRow.number))))
    decided = [
        {'n': number, 'outcome': d.outcome.value, 'problems': [[name, words] for name, words in d.problems.items()]}
        for number, d in await _decisions(db, batch, rows)
    ]  # fmt: skip
    statement = text("""
        update import_row r set outcome = d.outcome, problems = d.problems
        from jsonb_to_recordset(cast(:decided as jsonb)) as d(n integer, outcome text, problems jsonb)
        where r.batch_id = :batch and r.number = d.n""")
    await (await db.connection()).execute(statement, {'decided': json.dumps(decided), 'batch': batch.id})
    db.expire_all()
    await db.refresh(batch)


# ---------- beginning and ending ----------


@verb(Permission.COMPANIES_MANAGE, fresh=True)
async def start(db: AsyncSession, by: Principal, batch_id: UUID) -> None:
    """Begins, or goes on where it stopped. What is done is done as whoever started it."""
    batch = await batch_by_id(db, batch_id, lock=True)
    if batch.state is State.DONE or (batch.state is State.RUNNING and not is_stuck(batch)):
        return
    if batch.state is State.READY:
        await _try(db, batch)  # what is there may have changed since
    batch.state, batch.started_by_id, batch.touched_at = State.RUNNING, by.user_id, now()
    await db.flush()
    await record(db, 'import.started', subject=batch.id)
    await later(db, 'run_import', batch=str(batch.id))


@verb(Permission.COMPANIES_MANAGE)
async def stop(db: AsyncSession, by: Principal, batch_id: UUID) -> None:
    """After the chunk at hand. What was taken stays; it can go on."""
    batch = await batch_by_id(db, batch_id, lock=True)
    if batch.state is State.RUNNING:
        batch.state, batch.touched_at = State.STOPPED, now()
        await record(db, 'import.stopped', subject=batch.id)


@verb(Permission.COMPANIES_MANAGE)
async def throw_away(db: AsyncSession, by: Principal, batch_id: UUID) -> None:
    """The uploaded rows are forgotten. What was taken from them stays."""
    batch = await batch_by_id(db, batch_id, lock=True)
    if batch.state is State.RUNNING:
        raise Wrong(file=_('It runs. Stop it first.'))
    await record(db, 'import.forgotten', subject=batch.id)
    await db.exec(cast(Any, sql_delete(Batch).where(col(Batch.id) == batch.id)))


# ---------- while it runs ----------


async def who_started(db: AsyncSession, batch: Batch) -> Principal:
    """As they are now: a role that was taken away meanwhile counts."""
    user, tenant = await db.get_one(User, batch.started_by_id), await db.get_one(Tenant, batch.tenant_id)
    own = await db.get(Role, user.staff_role_id) if user.staff_role_id else None
    card = TenantCard(
        tenant.id, tenant.name, tenant.short_name, host=tenant.host, language=tenant.language, timezone=tenant.timezone
    )
    return Principal(
        tenant=card, user_id=user.id, name=user.name, email=user.email, side='staff', role=user.staff_role or '',
        permissions=permissions_of(user.staff_role or '', own.permissions if own else None),
        voice=Voice(known_language(user.language) or tenant.language, known_timezone(user.timezone) or tenant.timezone),
    )  # fmt: skip


@verb(Permission.COMPANIES_MANAGE)
async def take_chunk(db: AsyncSession, by: Principal, batch_id: UUID) -> bool:
    """The next rows, in the transaction at hand. False: there is nothing more to do."""
    batch = await batch_by_id(db, batch_id, lock=True)
    if batch.state is not State.RUNNING:
        return False
    asked = (
        select(ImportRow)
        .where(ImportRow.batch_id == batch.id, col(ImportRow.done_at).is_(None), ImportRow.outcome != Outcome.REFUSE)
        .order_by(col(ImportRow.number))
        .limit(CHUNK)
    )
    rows = list(await db.exec(asked))
    batch.touched_at = now()
    if not rows:
        batch.state, batch.key_hash = State.DONE, None
        await record(db, 'import.done', subject=batch.id)
        return False
    known, people = await _companies_of(db, batch, rows), await _people_of(db, batch, rows)
    for row in rows:
        await _take(db, by, batch, row, known, people)
    return True


async def _take(db: AsyncSession, by: Principal, batch: Batch, row: ImportRow, known: Companies, people: People) -> None:
    values = values_of(batch, row.cells)
    if batch.kind is Kind.COMPANIES:
        decision = decide_company(values, known)
    else:
        decision = decide_person(values, batch.options, known, people)
    problems = dict(decision.problems)
    try:
        async with db.begin_nested():
            if decision.outcome in (Outcome.ADD, Outcome.CHANGE):
                await (_company if batch.kind is Kind.COMPANIES else _person)(db, by, batch, decision)
    except Wrong as wrong:
        problems = wrong.fields
    except IntegrityError:
        problems = {'': _('Somebody else changed the same at this moment. Import this row again.')}
    row.outcome = Outcome.REFUSE if problems else decision.outcome
    row.problems = [[name, words] for name, words in problems.items()]
    row.done_at = now()
    await db.flush()
    if batch.kind is Kind.PEOPLE and decision.outcome is Outcome.ADD:  # a later row may name them for another company
        people |= await known_people(db, [decision.values['email']])


async def _company(db: AsyncSession, by: Principal, batch: Batch, decision: Decision) -> None:
    if decision.target:
        company = await locked(db, decision.target)
    else:
        company = await add_company(db, by, decision.values['name'])
    await write_changes(db, by, company, {f: v for f, v in decision.changes.items() if decision.target or f != 'name'})


async def _person(db: AsyncSession, by: Principal, batch: Batch, decision: Decision) -> None:
    company, values, changes = await db.get_one(Company, decision.company), decision.values, decision.changes
    person = decision.target
    here = person and 'role' in changes and await _belongs(db, person, company.id)
    if person is None or ('role' in changes and not here):
        added = await bring_in(
            db,
            by,
            company,
            name=values['name'],
            email=values['email'],
            role=changes['role'],
            write=bool(batch.options.get('invite')),
        )
        person = added.id
    elif 'role' in changes:
        await set_role(db, by, company, person, changes['role'])
    if {'name', 'phone'} & set(changes):
        user = await db.get_one(User, person)
        await change_client(db, by, person, name=changes.get('name', user.name), phone=changes.get('phone', user.phone or ''))


async def _belongs(db: AsyncSession, person: UUID, company: UUID) -> bool:
    asked = select(Membership.id).where(
        Membership.user_id == person, Membership.company_id == company, col(Membership.ended_at).is_(None)
    )
    return (await db.exec(asked)).first() is not None
