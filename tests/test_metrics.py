"""Numbers for whoever runs the portal, and whether it is ready; neither tells anybody else anything."""

from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from portal import guard, tenants, visit
from portal.db import engine, server
from portal.db.cast import Cast
from portal.settings import Settings
from tests.visitor import Visitor

TOKEN = 'a-token-for-prometheus'


async def asked(pages: Any, settings: Settings, *, bearer: str = TOKEN, path: str = '/metrics', **more: str) -> httpx.Response:
    app = guard.Guard(pages.app, replace(settings, **{'metrics_token': TOKEN, **more}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url='http://localhost') as http:
        return await http.get(path, headers={'authorization': f'Bearer {bearer}'})


def values(answer: httpx.Response) -> dict[str, float]:
    """By name and labels, as they are written."""
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {sample.name + ''.join(f' {value}' for value in sample.labels.values()): sample.value for sample in samples}


async def test_without_a_token_there_are_none(visitor: type[Visitor], cast: Cast) -> None:
    assert (await visitor(cast.mona).http.get('/metrics')).status_code == 404


@pytest.mark.parametrize('bearer', ['', 'wrong', TOKEN[:-1], TOKEN + 'x', 'ä'])
async def test_with_another_token_nobody_gets_them(pages: Any, settings: Settings, bearer: str) -> None:
    app = guard.Guard(pages.app, replace(settings, metrics_token=TOKEN))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url='http://localhost') as http:
        answer = await http.get('/metrics', headers=[(b'authorization', b'Bearer ' + bearer.encode())])
    assert answer.status_code == 401
    assert 'portal_' not in answer.text


async def test_requests_are_counted_by_route_and_name_nobody(
    visitor: type[Visitor], pages: Any, cast: Cast, settings: Settings
) -> None:
    before = values(await asked(pages, settings))
    ada = visitor(cast.ada)
    await ada.get('/client-portal/acme/tickets?q=Wagenknecht')
    await ada.get('/secret-words-of-ada')
    answer = await asked(pages, settings)
    after = values(answer)
    assert after['portal_requests_total /client-portal/… 200'] == before.get('portal_requests_total /client-portal/… 200', 0) + 1
    assert after['portal_open_pages'] > 0
    assert after['portal_database_up'] == 1
    assert after['portal_jobs_failed'] >= 0
    assert {'portal_pool_connections staff used', 'portal_disk_free_bytes', 'portal_database_bytes'} <= after.keys()
    for word in ('acme', 'Wagenknecht', 'secret-words', cast.northwind.host, str(cast.ada.user_id)):
        assert word not in answer.text


async def test_a_backup_and_a_stuck_letter_are_seen(pages: Any, cast: Cast, settings: Settings, maintenance: str) -> None:
    before = values(await asked(pages, settings))
    with psycopg.connect(maintenance) as c:
        c.execute("""insert into app.fact values ('last_backup', '{}', '2026-01-02 03:04:05+00')
                     on conflict (name) do update set at = excluded.at""")
        c.execute(
            """insert into mail_outbox (id, tenant_id, kind, to_user_id, state, created_at)
               values (gen_random_uuid(), %s, 'welcome', %s, 'waiting', now() - interval '1 hour')""",
            (cast.northwind.id, cast.ada.user_id),
        )
    after = values(await asked(pages, settings))
    with psycopg.connect(maintenance) as c:
        c.execute("delete from app.fact where name = 'last_backup'")  # it is the installation's, not this test's
    assert after['portal_last_backup_timestamp_seconds'] == 1767323045
    assert after['portal_letters_stuck'] == before['portal_letters_stuck'] + 1


async def test_without_a_database_the_scrape_goes_on(
    pages: Any, settings: Settings, cluster: server.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = engine.connect(replace(cluster, database='a_database_that_is_not_there'))
    monkeypatch.setattr(visit, 'database', away)
    assert values(await asked(pages, settings))['portal_database_up'] == 0
    await away.close()


async def test_readiness_tells_each_part(pages: Any, settings: Settings, maintenance: str) -> None:
    tenants.forget()
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute('delete from jobs.procrastinate_workers')
        without = await asked(pages, settings, path='/readyz')
        c.execute('insert into jobs.procrastinate_workers default values')
        answer = await asked(pages, settings, path='/readyz')
        version = c.execute("update migration.alembic_version set version_num = '0001' returning version_num").fetchone()
        try:
            older = await asked(pages, settings, path='/readyz')
        finally:
            from portal.db.migrate import HEAD

            c.execute('update migration.alembic_version set version_num = %s', (HEAD,))
        c.execute('delete from jobs.procrastinate_workers')
    assert version
    assert (without.status_code, without.text.splitlines()[-1]) == (200, 'worker: late')
    assert answer.text == 'ok\ndatabase: ok\ntables: ok\ndisk: ok\nworker: ok\n'
    assert (older.status_code, older.text.splitlines()[0]) == (503, 'not ready')
