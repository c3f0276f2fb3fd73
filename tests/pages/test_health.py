"""What Mona sees of how the portal is doing, and that it tells her nothing about Southgate."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from portal.db.cast import Cast
from portal.domain.base import NotFound, now
from portal.domain.operations import FailedJob, Health, health, run_again
from portal.pages.staff.health import GIGABYTE, lines
from tests.visitor import Visitor

WELL = Health(
    alone=True, server='18.4', clock=timedelta(), database_bytes=1, last_backup=now() - timedelta(hours=3),
    worker_silence=timedelta(seconds=4), waiting=3, late=0, failed=[], letters_stuck=0, letters_failed=0,
)  # fmt: skip
ROOM = {'free': 50 * GIGABYTE, 'total': 100 * GIGABYTE, 'mail_href': '/msp/mail'}


def kinds(found: Health, **around: Any) -> list[str]:
    return [line.kind for line in lines(found, **{**ROOM, **around})]


def test_when_all_is_well_nothing_has_to_be_done() -> None:
    assert set(kinds(WELL)) == {'ok'}


@pytest.mark.parametrize(
    ('change', 'kind'),
    [
        ({'worker_silence': None}, 'bad'),
        ({'worker_silence': timedelta(minutes=5)}, 'bad'),
        ({'failed': [FailedJob(1, 'send_letter', 3, None)]}, 'bad'),
        ({'late': 2}, 'wait'),
        ({'letters_failed': 1}, 'bad'),
        ({'letters_stuck': 1}, 'wait'),
        ({'last_backup': None}, 'wait'),
        ({'last_backup': now() - timedelta(days=2)}, 'wait'),
        ({'last_backup': now() - timedelta(days=9)}, 'bad'),
        ({'clock': timedelta(seconds=-40)}, 'wait'),
    ],
)
def test_each_trouble_is_told_by_colour(change: dict[str, Any], kind: str) -> None:
    assert sorted(kinds(replace(WELL, **change)))[-1 if kind == 'wait' else 0] == kind


def test_the_disk() -> None:
    assert 'bad' in kinds(WELL, free=GIGABYTE // 4)
    assert 'wait' in kinds(WELL, free=3 * GIGABYTE)
    assert set(kinds(WELL, free=3 * GIGABYTE, total=10 * GIGABYTE)) == {'ok'}
    shared = replace(WELL, alone=False)
    assert not any('GB' in line.word for line in lines(shared, **ROOM))


@pytest.fixture
def failed(cast: Cast, maintenance: str) -> Iterator[dict[str, int]]:
    """A failed job of each tenant, and one of the installation."""
    with psycopg.connect(maintenance) as c:
        made = {
            name: c.execute(
                """insert into jobs.procrastinate_jobs (queue_name, task_name, args, status, attempts)
                   values ('default', 'reset_asked', %s, 'failed', 8) returning id""",
                (json.dumps({'tenant': tenant, 'email': 'ada@acme.example'}),),
            ).fetchone()[0]  # type: ignore[index]
            for name, tenant in (('northwind', str(cast.northwind.id)), ('southgate', str(cast.southgate.id)), ('nobody', None))
        }
    yield made
    with psycopg.connect(maintenance) as c:
        c.execute('set search_path = jobs')
        c.execute('delete from jobs.procrastinate_jobs where id = any(%s)', (list(made.values()),))


async def test_mona_sees_her_own_failed_jobs_and_runs_them_again(
    visitor: type[Visitor], cast: Cast, maintenance: str, failed: dict[str, int]
) -> None:
    page = await visitor(cast.mona).get('/msp/health')
    assert f'Job {failed["northwind"]}' in page.shown
    assert f'Job {failed["southgate"]}' not in page.shown
    assert 'ada@acme.example' not in page.html
    await page.act('run-again', str(failed['northwind']))
    assert f'Job {failed["northwind"]}' not in page.shown
    with psycopg.connect(maintenance) as c:
        states = dict(
            c.execute(
                'select id, status::text from jobs.procrastinate_jobs where id = any(%s)', (list(failed.values()),)
            ).fetchall()
        )
    assert states == {failed['northwind']: 'todo', failed['southgate']: 'failed', failed['nobody']: 'failed'}


@pytest.mark.parametrize('whose', ['southgate', 'nobody'])
async def test_nobody_runs_jobs_of_others(visit_as: Any, cast: Cast, failed: dict[str, int], whose: str) -> None:
    mona = await visit_as(cast.mona)
    with pytest.raises(NotFound):
        async with mona.work() as db:
            await run_again(db, mona.by, failed[whose])


async def test_with_other_tenants_their_size_is_not_told(visit_as: Any, cast: Cast) -> None:
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        found = await health(db, mona.by)
    assert (found.alone, found.database_bytes) == (False, None)
    assert abs(found.clock) < timedelta(seconds=5)


async def test_open_pages_of_others_are_not_counted(visitor: type[Visitor], cast: Cast) -> None:
    mona = await visitor(cast.mona).get('/msp/health')
    before = mona.shown
    await visitor(cast.stan).get('/msp')
    await mona.act('look')
    assert mona.shown.split('Open pages')[1] == before.split('Open pages')[1]
    await visitor(cast.ada).get('/client-portal/acme')
    await mona.act('look')
    assert mona.shown.split('Open pages')[1] != before.split('Open pages')[1]
