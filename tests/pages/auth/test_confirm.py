"""A fresh proof of somebody who is signed in."""

from collections.abc import Callable

import httpx
import pytest

from portal.db.cast import PASSWORD, Cast, Member
from portal.settings import Settings
from tests.factors import Phone, stale
from tests.pages.auth.conftest import CLIENT, STAFF, Sql

Browser = Callable[..., httpx.AsyncClient]
CONFIRM, HERE = '/auth/confirm', '/client-portal/acme/settings/security'


def fresh(sql: Sql, who: Member) -> bool:
    return sql("select bool_or(proved_at > now() - interval '15 minutes') from session where user_id = %s", who.user_id)[0][0]


async def test_the_password_is_asked_of_who_has_nothing_stronger(
    browser: Browser, cast: Cast, maintenance: str, sql: Sql
) -> None:
    stale(maintenance, cast.bill)
    bill = browser(cast.bill)
    page = await bill.get(CONFIRM, params={'next': HERE})
    assert 'name="password"' in page.text
    assert 'Bill' in page.text
    before = bill.cookies['portal']
    answer = await bill.post(CONFIRM, params={'next': HERE}, data={'password': 'wrong'})
    assert answer.status_code == 422
    assert not fresh(sql, cast.bill)
    answer = await bill.post(CONFIRM, params={'next': HERE}, data={'password': PASSWORD})
    assert (answer.status_code, answer.headers['location']) == (303, HERE)
    assert fresh(sql, cast.bill)
    assert bill.cookies['portal'] == before
    proved = sql("select detail from audit where action = 'session.proved' and actor_id = %s", cast.bill.user_id)
    assert proved == [({'by': 'password'},)]


async def test_who_has_a_factor_proves_by_it_and_not_by_the_password(
    browser: Browser, cast: Cast, maintenance: str, settings: Settings, sql: Sql
) -> None:
    phone = Phone(maintenance, settings, cast.ada)
    stale(maintenance, cast.ada)
    ada = browser(cast.ada)
    for query in ({'next': HERE}, {'next': HERE, 'with': 'password'}):
        page = await ada.get(CONFIRM, params=query)
        assert 'name="code"' in page.text
        assert 'name="password"' not in page.text
        assert (await ada.post(CONFIRM, params=query, data={'password': PASSWORD})).status_code == 422
    assert not fresh(sql, cast.ada)
    code = phone.code()
    answer = await ada.post(CONFIRM, params={'next': HERE}, data={'code': code})
    assert (answer.status_code, answer.headers['location']) == (303, HERE)
    assert fresh(sql, cast.ada)
    stale(maintenance, cast.ada)
    assert (await ada.post(CONFIRM, params={'next': HERE}, data={'code': code})).status_code == 422
    assert not fresh(sql, cast.ada)


async def test_a_recovery_code_confirms_once(
    browser: Browser, cast: Cast, maintenance: str, settings: Settings, sql: Sql
) -> None:
    code = Phone(maintenance, settings, cast.ada).recovery_codes()[0]
    ada = browser(cast.ada)
    query = {'next': HERE, 'with': 'recovery'}
    assert [(await ada.post(CONFIRM, params=query, data={'recovery': code})).status_code for _n in range(2)] == [303, 422]


@pytest.mark.parametrize(
    'onward', ['//evil.example', 'https://evil.example', '/\\evil.example', '/msp', '/auth/signout', '/client-portal/../msp', '']
)
async def test_nobody_is_led_astray(browser: Browser, cast: Cast, onward: str) -> None:
    ada = browser(cast.ada)
    assert 'evil' not in (await ada.get(CONFIRM, params={'next': onward})).text
    answer = await ada.post(CONFIRM, params={'next': onward}, data={'password': PASSWORD})
    assert (answer.status_code, answer.headers['location']) == (303, '/client-portal')


async def test_who_is_not_signed_in_signs_in(browser: Browser, cast: Cast) -> None:
    for onward, door in ((HERE, CLIENT), ('/msp/settings', STAFF), ('//evil.example', CLIENT)):
        for answer in (
            await browser().get(CONFIRM, params={'next': onward}),
            await browser().post(CONFIRM, params={'next': onward}, data={'password': PASSWORD}),
        ):
            assert answer.status_code == 303
            assert answer.headers['location'].split('?')[0] == door
            assert 'evil' not in answer.headers['location']


async def test_only_the_own_session_is_proved(browser: Browser, cast: Cast, maintenance: str, sql: Sql) -> None:
    for who in (cast.ada, cast.bill):
        stale(maintenance, who)
    await browser(cast.bill).post(CONFIRM, data={'password': PASSWORD})
    assert (fresh(sql, cast.bill), fresh(sql, cast.ada)) == (True, False)


@pytest.mark.usefixtures('long_waits')
async def test_guessing_is_slowed_down(browser: Browser, cast: Cast) -> None:
    bill = browser(cast.bill)
    assert [(await bill.post(CONFIRM, data={'password': f'wrong {n}'})).status_code for n in range(8)] == [422] * 6 + [429] * 2
    assert (await bill.post(CONFIRM, data={'password': PASSWORD})).status_code == 429


async def test_who_has_nothing_to_prove_with_signs_in_anew(browser: Browser, cast: Cast, sql: Sql) -> None:
    sql('delete from credential where user_id = %s', cast.bill.user_id)
    answer = await browser(cast.bill).get(CONFIRM, params={'next': HERE})
    assert answer.status_code == 403
    assert 'action="/auth/signout"' in answer.text


async def test_another_site_cannot_send_the_form(browser: Browser, cast: Cast) -> None:
    bill = browser(cast.bill)
    bill.headers['origin'] = 'https://evil.example'
    assert (await bill.post(CONFIRM, data={'password': PASSWORD})).status_code == 403
