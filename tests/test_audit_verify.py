"""The chain that seals the audit log: whole as it is, and broken by whatever somebody with the database in hand does to it.

The chain of each test is that of its own tenant.
"""

import asyncio
from typing import Any
from uuid import UUID

import psycopg
import pytest

from portal import audit
from portal.__main__ import main
from portal.db.cast import Cast
from portal.db.engine import Database
from portal.db.server import Cluster
from portal.jobs.auditing import forget, seal


def add(connection: psycopg.Connection[Any], cast: Cast, action: str = 'session.opened', *, days_ago: int = 0) -> UUID:
    row = connection.execute(
        """insert into audit (tenant_id, company_id, actor_id, action, subject_id, detail, at)
        values (%s, %s, %s, %s, %s, '{"rows": 2, "name": "Zoë"}', clock_timestamp() - make_interval(days => %s)) returning id""",
        (cast.northwind.id, cast.acme.id, cast.ada.user_id, action, cast.ugo.user_id, days_ago),
    ).fetchone()
    assert row
    return row[0]


@pytest.fixture
async def chain(portal: Database, cast: Cast, maintenance: str) -> list[UUID]:
    """Three blocks: what the cast has done, three lines, three more."""
    lines: list[UUID] = []
    await seal(portal)
    for _block in range(2):
        with psycopg.connect(maintenance) as c:
            lines += [add(c, cast) for _n in range(3)]
        await seal(portal)
    return lines


def verify(cluster: Cluster, cast: Cast, noted: str | None = None) -> audit.Verified:
    (told,) = audit.verify_all(cluster.conninfo('portal_backup'), str(cast.northwind.id), noted)
    return told


def tamper(maintenance: str, *statements: str, **values: Any) -> None:
    """As a superuser, past every trigger and key."""
    with psycopg.connect(maintenance) as c:
        c.execute('set session_replication_role = replica')
        for statement in statements:
            assert c.execute(statement, values).rowcount  # type: ignore[arg-type]


async def test_it_is_whole_and_says_until_when(cluster: Cluster, cast: Cast, chain: list[UUID], maintenance: str) -> None:
    told = verify(cluster, cast)
    assert not told.problems
    assert (told.blocks, told.waiting) == (3, 0)
    with psycopg.connect(maintenance) as c:
        last = c.execute('select max(at), count(*) from audit where tenant_id = %s', (cast.northwind.id,)).fetchone()
        add(c, cast)
    assert (told.until, told.lines) == last
    assert verify(cluster, cast).waiting == 1
    assert f'3:{told.fingerprint}' in audit.as_words(told)


TAMPERED = {
    'changed': ("update audit set detail = '{}' where id = %(line)s", '({n} of block 2) was changed'),
    'another actor': ('update audit set actor_id = null where id = %(line)s', 'was changed'),
    'another time': ("update audit set at = at + interval '1 microsecond' where id = %(line)s", 'was changed'),
    'network added': ("update audit set network = '10.0.0.0/24' where id = %(line)s", 'was changed'),
    'missing': ('delete from audit where id = %(line)s', '({n} of block 2) is missing'),
    'inserted': (
        "insert into audit (tenant_id, action) values (%(tenant)s, 'session.opened')", 'was put in, or its block is missing'),
    'reordered': ('update audit_seal set lines = array[lines[2], lines[1], lines[3]], digests = array[digests[2], digests[1], digests[3]]'
                  ' where tenant_id = %(tenant)s and seq = 2', 'block 2 was changed'),
    'a digest follows the change': ("update audit_seal set digests[2] = sha256('x') where tenant_id = %(tenant)s and seq = 2", 'block 2 was changed'),
    'missing seal': ('delete from audit_seal where tenant_id = %(tenant)s and seq = 2', 'block 2 is missing'),
    'last seal missing': ('delete from audit_seal where tenant_id = %(tenant)s and seq = 3', 'was put in, or its block is missing'),
    'another block before': ("update audit_seal set previous = sha256('x') where tenant_id = %(tenant)s and seq = 3", 'block 3 does not follow'),
    'called removed': ('insert into audit_removed (line, tenant_id, run) values (%(line)s, %(tenant)s, gen_random_uuid())', 'although it was removed'),
}  # fmt: skip


@pytest.mark.parametrize('how', TAMPERED)
async def test_what_somebody_did_to_it_is_named(
    cluster: Cluster, cast: Cast, chain: list[UUID], maintenance: str, how: str
) -> None:
    statement, words = TAMPERED[how]
    tamper(maintenance, statement, line=chain[1], tenant=cast.northwind.id)
    (problem,) = verify(cluster, cast).problems
    assert words.format(n=2) in problem


async def test_a_line_removed_by_hand_is_no_retention(cluster: Cluster, cast: Cast, chain: list[UUID], maintenance: str) -> None:
    tamper(
        maintenance, 'delete from audit where id = %(line)s',
        'insert into audit_removed (line, tenant_id, run) values (%(line)s, %(tenant)s, gen_random_uuid())',
        line=chain[1], tenant=cast.northwind.id,
    )  # fmt: skip
    (problem,) = verify(cluster, cast).problems
    assert 'no run of retention' in problem


async def test_a_line_of_the_past_that_is_put_in_through_the_front_door(
    portal: Database, cluster: Cluster, cast: Cast, chain: list[UUID], maintenance: str
) -> None:
    """With its trigger, so that it waits and is sealed like others: its time gives it away."""
    with psycopg.connect(maintenance) as c:
        line = add(c, cast, days_ago=2)
    await seal(portal)
    (problem,) = verify(cluster, cast).problems
    assert f'line {line}' in problem
    assert 'was put in later' in problem


async def test_more_lines_than_a_block_takes_are_whole_however_old_they_are(
    cluster: Cluster, portal: Database, cast: Cast, maintenance: str
) -> None:
    """As after an upgrade, or in the demo, whose lines are of the past."""
    with psycopg.connect(maintenance) as c:
        c.execute(
            """insert into audit (tenant_id, actor_id, action, detail, at)
            select %s, %s, 'session.opened', '{}', now() - make_interval(mins => n * 90) from generate_series(1, 2500) n""",
            (cast.northwind.id, cast.ada.user_id),
        )
    await seal(portal)
    told = verify(cluster, cast)
    assert told.problems == []
    assert told.blocks >= 3
    with psycopg.connect(maintenance) as c:  # after that, the past is over
        add(c, cast, days_ago=2)
    await seal(portal)
    assert 'was put in later' in verify(cluster, cast).problems[0]


async def test_a_chain_that_was_made_anew_is_not_the_one_that_was_noted(
    portal: Database, cluster: Cluster, cast: Cast, chain: list[UUID], maintenance: str
) -> None:
    noted = f'3:{verify(cluster, cast).fingerprint}'
    assert not verify(cluster, cast, noted).problems
    tamper(
        maintenance, 'delete from audit where id = %(line)s', 'delete from audit_seal where tenant_id = %(tenant)s',
        'insert into audit_waiting (line, tenant_id) select id, tenant_id from audit where tenant_id = %(tenant)s',
        line=chain[1], tenant=cast.northwind.id,
    )  # fmt: skip
    await seal(portal)
    assert not verify(cluster, cast).problems
    assert 'made anew' in verify(cluster, cast, noted).problems[0]


async def test_who_commits_late_is_sealed_late(
    portal: Database, cluster: Cluster, cast: Cast, chain: list[UUID], maintenance: str
) -> None:
    """A transaction that wrote first and commits last does not slip through, nor is it taken for one that was put in."""
    with psycopg.connect(maintenance) as slow:
        late = add(slow, cast)
        with psycopg.connect(maintenance) as c:
            for _n in range(2):
                add(c, cast)
        await seal(portal)
        before = verify(cluster, cast)
        assert not before.problems
        slow.commit()
    assert verify(cluster, cast).waiting == 1
    await seal(portal)
    told = verify(cluster, cast)
    assert not told.problems
    assert (told.lines, told.waiting) == (before.lines + 1, 0)
    with psycopg.connect(maintenance) as c:
        seal_ = c.execute('select seq from audit_seal where %s = any (lines)', (late,)).fetchone()
    assert seal_ == (before.blocks + 1,)


async def test_many_who_seal_at_once_seal_every_line_once(
    portal: Database, cluster: Cluster, cast: Cast, maintenance: str
) -> None:
    async def works(n: int) -> None:
        def write() -> None:
            with psycopg.connect(maintenance) as c:
                for _n in range(20):
                    add(c, cast)

        await asyncio.gather(asyncio.to_thread(write), seal(portal))

    await asyncio.gather(*(works(n) for n in range(3)))
    await seal(portal)
    told = verify(cluster, cast)
    assert not told.problems
    assert told.lines >= 60


async def test_nobody_of_the_portal_changes_a_line_or_a_seal(cluster: Cluster, cast: Cast, chain: list[UUID]) -> None:
    for role in ('portal_staff', 'portal_client', 'portal_door', 'portal_worker', 'portal_backup', 'portal_owner'):
        for table in ('audit', 'audit_seal', 'audit_removed'):
            for statement in (f'delete from {table}', f'update {table} set tenant_id = tenant_id', f'truncate {table} cascade'):
                with psycopg.connect(cluster.conninfo(role)) as c, pytest.raises(psycopg.errors.InsufficientPrivilege):
                    c.execute("select set_config('app.forgetting', 'audit', true)")
                    c.execute(statement)  # type: ignore[arg-type]


async def test_retention_takes_what_is_over_and_the_chain_stays_whole(
    portal: Database, cluster: Cluster, cast: Cast, maintenance: str
) -> None:
    with psycopg.connect(maintenance) as c:
        old = add(c, cast, 'session.opened', days_ago=181)
        read = add(c, cast, 'file.downloaded', days_ago=366)
        changed = add(c, cast, 'role.changed', days_ago=1096)
        kept = [
            add(c, cast, 'session.opened', days_ago=179),
            add(c, cast, 'file.downloaded', days_ago=364),
            add(c, cast, 'role.changed', days_ago=1094),
        ]
    await seal(portal)
    with psycopg.connect(maintenance) as c:
        waits = add(c, cast, 'session.opened', days_ago=181)  # not sealed: it stays
    await forget(portal)
    with psycopg.connect(maintenance) as c:
        left = {row[0] for row in c.execute('select id from audit where tenant_id = %s', (cast.northwind.id,))}
        assert {*kept, waits} <= left
        assert not {old, read, changed} & left
        told = c.execute(
            "select detail ->> 'lines' from audit where tenant_id = %s and action = 'audit.removed'", (cast.northwind.id,)
        ).fetchall()
        assert told == [('3',)]
        c.execute('alter table audit disable trigger keep')  # the test's own mess: a line that waits is of the past
        c.execute('delete from audit where id = %s', (waits,))
        c.execute('delete from audit_waiting where line = %s', (waits,))
        c.execute('alter table audit enable trigger keep')
    await seal(portal)
    found = verify(cluster, cast)
    assert not found.problems
    assert found.removed == 3
    assert '3 lines were removed by retention' in audit.as_words(found)
    tamper(maintenance, 'delete from audit_removed where line = %(line)s', line=old)
    assert 'is missing' in verify(cluster, cast).problems[0]


def test_the_command_says_it_and_exits_so(
    cluster: Cluster,
    cast: Cast,
    chain: list[UUID],
    maintenance: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr('portal.__main__.with_cluster', lambda _settings, use: use(cluster))
    monkeypatch.setattr('sys.argv', ['portal', 'audit', 'verify', '--tenant', str(cast.northwind.id)])
    assert main() == 0
    assert 'Whole:' in capsys.readouterr().out
    tamper(maintenance, 'delete from audit where id = %(line)s', line=chain[1])
    assert main() == 1
    assert 'BROKEN: line' in capsys.readouterr().out
    monkeypatch.setattr('sys.argv', ['portal', 'audit', 'verify', '--tenant', 'nobody of that name'])
    assert main() == 1
