"""The first start, on an empty database of its own."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from portal import setup, tenants, visit
from portal.db import engine, server
from portal.settings import Settings
from tests import conftest
from tests.pages.auth.conftest import NEW, STAFF, sign_in

ORIGIN = 'http://127.0.0.1:8080'
FORM = {
    'house': 'Fjord IT', 'short': '', 'language': 'de', 'timezone': 'Europe/Berlin', 'name': 'Ida Holm', 'email': 'Ida@Fjord.example',
    'password': NEW,
}  # fmt: skip
Browser = Callable[[], httpx.AsyncClient]


@pytest.fixture
async def empty(pages: Any, cluster: server.Cluster, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A database nobody has set up; its superuser's conninfo."""
    name = f'{cluster.database}_empty'
    await asyncio.to_thread(conftest.clone, cluster, settings, name, conftest.template(cluster, settings))
    fresh = engine.connect(replace(cluster, database=name))
    monkeypatch.setattr(visit, 'database', fresh)
    tenants.forget()
    yield make_conninfo(cluster.admin() or '', dbname=name)
    await fresh.close()
    tenants.forget()


@pytest.fixture
def somebody(pages: Any, empty: str) -> Browser:
    return lambda: httpx.AsyncClient(transport=httpx.ASGITransport(pages), base_url=ORIGIN, headers={'origin': ORIGIN})


def rows(empty: str, question: str) -> list[Any]:
    with psycopg.connect(empty) as connection:
        return connection.execute(question).fetchall()  # pyright: ignore[reportArgumentType, reportCallIssue]


async def test_every_address_leads_to_the_first_start(somebody: Browser) -> None:
    for address in ('/', '/msp', STAFF, '/client-portal/acme'):
        answer = await somebody().get(address)
        assert (answer.status_code, answer.headers['location']) == (303, '/setup')
    assert (await somebody().get('/setup')).status_code == 200


async def test_the_portal_is_set_up_with_the_code(somebody: Browser, empty: str, settings: Settings) -> None:
    ida = somebody()
    answer = await ida.post('/setup', data={**FORM, 'code': setup.code(settings).lower().replace('-', ' ')})
    assert (answer.status_code, answer.headers['location']) == (303, '/msp')
    assert rows(empty, 'select name, short_name, language, timezone from tenant') == [
        ('Fjord IT', 'Fjord', 'de', 'Europe/Berlin')
    ]
    assert rows(empty, 'select name, email, user_type, staff_role from users') == [
        ('Ida Holm', 'ida@fjord.example', 'internal', 'MspAdmin')
    ]
    assert (await ida.get('/')).headers['location'] == '/msp'  # signed in
    assert (await sign_in(somebody(), 'ida@fjord.example', NEW, STAFF)).status_code == 303


async def test_a_wrong_code_is_said_at_its_field_and_the_rest_is_kept(somebody: Browser, empty: str) -> None:
    answer = await somebody().post('/setup', data={**FORM, 'code': 'AAAA-BBBB'})
    assert answer.status_code == 422
    wrong = re.findall(r'<input[^>]*aria-invalid="true"[^>]*>', answer.text)
    assert len(wrong) == 1
    assert 'name="code"' in wrong[0]
    assert 'autofocus' in wrong[0]
    assert 'value="Fjord IT"' in answer.text
    assert '<option value="Europe/Berlin" selected>' in answer.text
    assert 'It was strong. Please type it once more.' in answer.text
    assert NEW not in answer.text
    assert rows(empty, 'select count(*) from tenant') == [(0,)]


async def test_everything_that_is_wrong_is_said_at_once(somebody: Browser) -> None:
    answer = await somebody().post('/setup', data={'house': ' ', 'timezone': 'Mars/Olympus', 'email': 'x', 'password': 'kurz'})
    assert answer.status_code == 422
    wrong = re.findall(r'id="f-(\w+)-wrong"', answer.text)
    assert wrong == ['house', 'language', 'timezone', 'name', 'email', 'password', 'code']
    assert answer.text.count(' autofocus') == 1


async def test_codes_cannot_be_tried_for_long(somebody: Browser, empty: str, settings: Settings) -> None:
    statuses = [(await somebody().post('/setup', data={**FORM, 'code': f'AAAA-{n:04}'})).status_code for n in range(45)]
    assert statuses[:31] == [422] * 31
    assert statuses.count(429) > 5  # a slow machine lets some more through
    assert (await somebody().post('/setup', data={**FORM, 'code': setup.code(settings)})).status_code == 429
    assert rows(empty, 'select count(*) from tenant') == [(0,)]


async def test_of_two_at_once_one_sets_it_up_and_the_other_signs_in(somebody: Browser, empty: str, settings: Settings) -> None:
    form = {**FORM, 'code': setup.code(settings)}
    answers = await asyncio.gather(
        *(somebody().post('/setup', data={**form, 'email': f'ida{n}@fjord.example'}) for n in range(4))
    )
    assert [answer.status_code for answer in answers] == [303] * 4
    assert sorted(answer.headers['location'] for answer in answers) == [f'{STAFF}?why=ready'] * 3 + ['/msp']
    assert rows(empty, 'select count(*) from tenant') == [(1,)]
    assert rows(empty, 'select count(*) from users') == [(1,)]


async def test_afterwards_there_is_nothing_to_set_up(somebody: Browser, settings: Settings) -> None:
    form = {**FORM, 'code': setup.code(settings)}
    await somebody().post('/setup', data=form)
    assert (await somebody().get('/setup')).status_code == 404
    assert (await somebody().post('/setup', data=form)).headers['location'] == f'{STAFF}?why=ready'


async def test_another_site_cannot_set_it_up(somebody: Browser, empty: str, settings: Settings) -> None:
    form = {**FORM, 'code': setup.code(settings)}
    assert (await somebody().post('/setup', data=form, headers={'origin': 'https://evil.example'})).status_code == 403
    assert rows(empty, 'select count(*) from tenant') == [(0,)]
