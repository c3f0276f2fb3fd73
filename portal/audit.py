"""`python -m portal audit verify`: whether the audit log is whole, read by the role of the backup and computed here anew.

It does not believe the functions of the database. What is proven: since a line was sealed (within a minute or so), it was not
changed, removed, moved or put between; unless somebody with the whole database in hand made the rest of the chain anew. Against that
helps `--noted`: a block's number and fingerprint that was written down elsewhere before.
"""

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql

#: A line may be committed so much later than it was written; what comes later has been put in.
LATE = timedelta(hours=1)
FULL = 1000  # lines of a block; what follows a full one may have waited already when it was made
NO, SEP = '\x1e', '\x1f'
_LINE = """a.id::text, a.tenant_id::text, a.company_id::text, to_char(a.at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), a.actor_id::text,
    a.action, a.subject_id::text, a.detail::text, a.session::text, a.network, a.as_user_id::text"""


@dataclass
class Verified:
    """Of one tenant. `problems`: the first break, in words; more where several kinds can be told apart."""

    tenant: UUID
    name: str
    blocks: int = 0
    lines: int = 0
    removed: int = 0
    waiting: int = 0
    until: datetime | None = None
    fingerprint: str = ''
    problems: list[str] = field(default_factory=list[str])


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--tenant', metavar='NAME', help='only this one, by name, host or id')
    parser.add_argument(
        '--noted', metavar='BLOCK:FINGERPRINT', help='a block that was written down before: it must still be there'
    )


def verify_all(conninfo: str, tenant: str | None = None, noted: str | None = None) -> list[Verified]:
    """`conninfo` as portal_backup, which reads every row. One snapshot: what is sealed meanwhile is not missed."""
    with psycopg.connect(conninfo) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        found = connection.execute('select id, name, host from tenant order by created_at, id').fetchall()
        wanted = [(id_, name) for id_, name, host in found if tenant is None or tenant in (name, host, str(id_))]
        return [_verify(connection, id_, name, noted) for id_, name in wanted]


def _verify(db: psycopg.Connection[Any], tenant: UUID, name: str, noted: str | None) -> Verified:
    told = Verified(tenant, name)
    waiting = {row[0] for row in db.execute('select line from audit_waiting where tenant_id = %s', (tenant,))}
    removed = dict(db.execute('select line, run from audit_removed where tenant_id = %s', (tenant,)).fetchall())
    told.waiting, told.removed = len(waiting), len(removed)
    sealed: set[UUID] = set()
    before: Any = None
    drained: Any = None  # the last block after which nothing waited
    for block in _blocks(db, tenant):
        if problem := _wrong_block(tenant, block, before) or _wrong_lines(db, tenant, block, drained, removed, sealed):
            told.problems.append(problem)
            break
        sealed.update(block.lines)
        told.blocks, told.lines = block.seq, told.lines + len(block.lines)
        told.until, told.fingerprint, before = block.last_at, block.hash.hex(), block
        drained = block if len(block.lines) < FULL else drained
    if not told.problems:
        told.problems += _outside(db, tenant, sealed, waiting) + _wrong_runs(db, tenant, removed, sealed)
    if noted and not told.problems:
        told.problems += _noted(db, tenant, noted)
    return told


@dataclass(frozen=True)
class _Block:
    seq: int
    made_at: datetime
    made: str
    last_at: datetime
    lines: list[UUID]
    digests: list[bytes]
    previous: bytes | None
    hash: bytes


def _blocks(db: psycopg.Connection[Any], tenant: UUID) -> Iterator[_Block]:
    with db.cursor(name='blocks') as cursor:
        cursor.itersize = 20
        cursor.execute(
            """select seq, made_at, to_char(made_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), last_at, lines, digests, previous,
            hash from audit_seal where tenant_id = %s order by seq""", (tenant,))  # fmt: skip
        for row in cursor:
            yield _Block(*row)


def _wrong_block(tenant: UUID, block: _Block, before: _Block | None) -> str:
    number = before.seq + 1 if before else 1
    if block.seq != number:
        return f'block {number} is missing: after it comes {block.seq}'
    if block.previous != (before.hash if before else None):
        return f'block {block.seq} does not follow the block before it'
    packed = b''.join(line.bytes + digest for line, digest in zip(block.lines, block.digests, strict=True))
    if block.hash != hashlib.sha256((block.previous or b'') + f'{tenant}|{block.seq}|{block.made}'.encode() + packed).digest():
        return f'block {block.seq} was changed'
    return ''


def _wrong_lines(
    db: psycopg.Connection[Any], tenant: UUID, block: _Block, drained: _Block | None, removed: dict[UUID, UUID], sealed: set[UUID]
) -> str:  # fmt: skip
    asked = sql.SQL('select a.id, a.at, {} from audit a where a.tenant_id = %s and a.id = any (%s)').format(sql.SQL(_LINE))
    there = {row[0]: row[1:] for row in db.execute(asked, (tenant, block.lines)).fetchall()}
    last: tuple[datetime, int] | None = None
    for n, (line, digest) in enumerate(zip(block.lines, block.digests, strict=True), 1):
        where = f'line {line} ({n} of block {block.seq})'
        row = there.get(line)
        if line in sealed:
            return f'{where} stands in two blocks'
        if row is None:
            if line not in removed:
                return f'{where} is missing'
            continue
        if line in removed:
            return f'{where} is there, although it was removed'
        if hashlib.sha256(SEP.join(NO if part is None else part for part in row[1:]).encode()).digest() != digest:
            return f'{where} was changed'
        key = (row[0], line.int)
        if last and key < last:
            return f'{where} stands in the wrong place'
        last = key
        if drained and row[0] < drained.made_at - LATE:
            return f'{where} was put in later: it says {row[0]:%Y-%m-%d %H:%M}, when block {drained.seq} was made long after'
    return ''


def _outside(db: psycopg.Connection[Any], tenant: UUID, sealed: set[UUID], waiting: set[UUID]) -> list[str]:
    """Lines in no block that do not wait for one, and lines that wait and are not there."""
    with db.cursor(name='lines') as cursor:
        cursor.execute('select id from audit where tenant_id = %s', (tenant,))
        left = set(waiting)
        for (line,) in cursor:
            if line not in sealed and line not in waiting:
                return [f'line {line} was put in, or its block is missing: no block has it, and it does not wait for one']
            left.discard(line)
    return [f'line {next(iter(left))} is missing: it waited for its block'] if left else []


def _wrong_runs(db: psycopg.Connection[Any], tenant: UUID, removed: dict[UUID, UUID], sealed: set[UUID]) -> list[str]:
    """What was removed by retention is what the sealed line about it says."""
    runs: dict[UUID, list[UUID]] = {}
    for line, run in removed.items():
        runs.setdefault(run, []).append(line)
    said = dict(
        db.execute("select id, detail from audit where tenant_id = %s and action = 'audit.removed'", (tenant,)).fetchall()
    )
    for run, lines in runs.items():
        digest = hashlib.sha256(b''.join(line.bytes for line in sorted(lines, key=lambda line: line.int))).hexdigest()
        detail = said.get(run)
        if detail is None or detail.get('digest') != digest or not sealed.issuperset(lines):
            return [f'{len(lines)} lines are gone that no run of retention ({run}) removed']
    return []


def _noted(db: psycopg.Connection[Any], tenant: UUID, noted: str) -> list[str]:
    seq, _colon, fingerprint = noted.partition(':')
    if not seq.isdigit() or not fingerprint:
        return ['what was noted is not BLOCK:FINGERPRINT']
    row = db.execute('select hash from audit_seal where tenant_id = %s and seq = %s', (tenant, int(seq))).fetchone()
    if row is None or not row[0].hex().startswith(fingerprint.lower()):
        return [f'block {seq} is not the one that was noted: the chain was made anew']
    return []


def as_words(told: Verified) -> str:
    lines = [f'{told.name} ({told.tenant})']
    if told.problems:
        lines += [f'  BROKEN: {problem}' for problem in told.problems]
        lines.append(
            f'  Proven before that: {told.lines} lines in {told.blocks} blocks'
            + (f', until {told.until:%Y-%m-%d %H:%M:%S} UTC' if told.until else '')
        )
    elif told.until:
        lines.append(f'  Whole: {told.lines} lines in {told.blocks} blocks, until {told.until:%Y-%m-%d %H:%M:%S} UTC.')
        lines.append(f'  To note: {told.blocks}:{told.fingerprint}')
    else:
        lines.append('  Nothing is sealed yet.')
    if told.removed:
        lines.append(f'  {told.removed} lines were removed by retention; their digests are in their blocks.')
    if told.waiting:
        lines.append(f'  {told.waiting} lines wait for the next block, and are not proven.')
    return '\n'.join(lines)
