"""Beside the doors: alive and ready, the mark, languages, what people choose, and what goes wrong."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from portal import guard, tenants, visit
from portal.db import engine, server
from portal.db.cast import Cast
from portal.db.engine import Database
from portal.pages.auth import doors, faults
from portal.settings import Settings
from tests.pages.auth.conftest import CLIENT, Sql

Browser = Callable[..., httpx.AsyncClient]


async def test_alive_ready_and_not_for_robots(browser: Browser) -> None:
    assert (await browser().get('/healthz')).text == 'ok'
    assert (await browser().get('/readyz')).status_code == 200
    assert (await browser().get('/robots.txt')).text == 'User-agent: *\nDisallow: /\n'


async def test_the_mark_is_the_first_letter_of_the_msp(browser: Browser, sql: Sql, cast: Cast) -> None:
    sql("update tenant set name = '<&' || name where id = %s", cast.southgate.id)
    for host, letter in ((cast.northwind.host, '>N</text>'), (cast.southgate.host, '>&lt;</text>')):
        answer = await browser(host=host).get('/favicon.ico')
        assert answer.headers['content-type'] == 'image/svg+xml'
        assert letter in answer.text
    assert '<link rel="icon" href="/favicon.ico"' in (await browser().get(CLIENT)).text


# ---------- language and look ----------


async def test_a_language_is_chosen_before_one_signs_in(browser: Browser) -> None:
    someone = browser()
    answer = await someone.get('/language', params={'to': 'de', 'back': CLIENT + '?next=/client-portal/acme'})
    assert (answer.status_code, answer.headers['location']) == (303, CLIENT + '?next=/client-portal/acme')
    assert 'Max-Age=31536000' in answer.headers['set-cookie']
    assert '<html lang="de"' in (await someone.get(CLIENT)).text


@pytest.mark.parametrize('back', ['//evil.example', 'https://evil.example', '/\\evil', None])
async def test_a_language_leads_nowhere_else(browser: Browser, back: str | None) -> None:
    answer = await browser().get('/language', params={'to': 'de'} | ({'back': back} if back else {}))
    assert answer.headers['location'] == '/'


@pytest.mark.parametrize('to', ['xx', 'en-XA', '', 'de; path=/x'])
async def test_a_language_that_is_none_is_not_kept(browser: Browser, to: str) -> None:
    assert 'set-cookie' not in (await browser().get('/language', params={'to': to})).headers


@pytest.mark.parametrize('name', ['tess', 'ada', 'mel_acme'])
async def test_people_choose_their_look_and_language(browser: Browser, cast: Cast, sql: Sql, name: str) -> None:
    who = getattr(cast, name)
    me = browser(who)
    page = f'http://{who.host}{who.root}/settings?tab=look'
    answer = await me.post('/me/theme', data={'theme': 'dark'}, headers={'referer': page})
    assert (answer.status_code, answer.headers['location']) == (303, f'{who.root}/settings?tab=look')
    answer = await me.post('/me/language', data={'language': 'de'}, headers={'sec-fetch-mode': 'cors'})
    assert answer.status_code == 204
    assert sql('select theme, language from users where id = %s', who.user_id) == [('dark', 'de')]


async def test_what_cannot_be_chosen_changes_nothing(browser: Browser, cast: Cast, sql: Sql) -> None:
    me = browser(cast.ada)
    assert (await me.post('/me/theme', data={'theme': 'pink'})).status_code == 422
    assert (await me.post('/me/language', data={'language': 'xx'})).status_code == 422
    assert (await me.post('/me/language', data={})).status_code == 422
    assert sql('select theme, language from users where id = %s', cast.ada.user_id) == [('auto', None)]


async def test_nobody_is_sent_back_to_another_site(browser: Browser, cast: Cast) -> None:
    for referer in ('https://evil.example/msp', 'nonsense', ''):
        answer = await browser(cast.tess).post('/me/theme', data={'theme': 'dark'}, headers={'referer': referer})
        assert answer.headers['location'] == '/'


async def test_signed_out_chooses_nothing(browser: Browser) -> None:
    answer = await browser().post('/me/theme', data={'theme': 'dark'})
    assert answer.headers['location'] == CLIENT


# ---------- what goes wrong ----------


async def broken(_request: Request) -> Response:
    raise RuntimeError('the secret is forty-two')


@pytest.fixture
async def small(pages: Any, portal: Database, cast: Cast, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """A portal that is all doors, one of which breaks."""
    api = FastAPI(openapi_url=None)
    api.include_router(doors.router)
    api.add_route('/auth/broken', broken)
    faults.install(api)
    origin = f'http://{cast.northwind.host}'
    tenants.forget()
    app = httpx.ASGITransport(guard.Guard(api, settings))
    async with httpx.AsyncClient(transport=app, base_url=origin, headers={'origin': origin}) as http:
        yield http


async def test_a_fault_has_a_number_that_the_log_has_too(small: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    answer = await small.get('/auth/broken')
    assert answer.status_code == 500
    assert 'forty-two' not in answer.text
    assert 'RuntimeError' not in answer.text
    assert "default-src 'none'" in answer.headers['content-security-policy']
    record = next(record for record in caplog.records if record.name == 'portal.faults')
    assert record.getMessage()[:8] in answer.text


async def test_what_is_not_there_is_a_page(small: httpx.AsyncClient) -> None:
    for address, status in (('/auth/nowhere', 404), ('/auth/msp/register', 404), ('/auth/signout', 405)):
        answer = await small.get(address)
        assert answer.status_code == status, address
        assert '<!doctype html>' in answer.text
        assert '_nicegui' not in answer.text


async def test_signed_out_an_unknown_address_leads_to_signing_in(small: httpx.AsyncClient) -> None:
    assert (await small.get('/nowhere')).headers['location'].startswith(CLIENT + '?next=')


async def test_without_a_database_the_page_says_so(
    small: httpx.AsyncClient, cluster: server.Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    await small.get(CLIENT)  # the tenant is known now
    away = engine.connect(replace(cluster, database='a_database_that_is_not_there'))
    monkeypatch.setattr(visit, 'database', away)
    answer = await small.post(CLIENT, data={'email': 'ada@acme.example', 'password': 'x'})
    assert answer.status_code == 503
    assert answer.headers['retry-after'] == '5'
    assert 'The portal cannot reach its database right now.' in answer.text
    assert (await small.get('/readyz')).status_code == 503
    assert (await small.get('/healthz')).status_code == 200
    await away.close()


async def test_who_belongs_nowhere_can_sign_out(browser: Browser, cast: Cast, sql: Sql) -> None:
    sql('update membership set ended_at = now() where user_id = %s', cast.ada.user_id)
    answer = await browser(cast.ada).get('/')
    assert answer.status_code == 403
    assert '<form method="post" action="/auth/signout">' in answer.text
    assert 'type="submit"' in answer.text
