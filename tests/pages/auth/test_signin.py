"""Coming in and going out, through the real guard."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import httpx
import pytest

from portal import guard, proxies, tenants
from portal.db.cast import PASSWORD, Cast, Member
from portal.pages.auth import throttle
from portal.settings import Settings
from portal.visit import arriving, token_of
from tests.pages.auth.conftest import CLIENT, STAFF, Sql, sign_in

Browser = Callable[..., httpx.AsyncClient]


def plain(answer: httpx.Response, *differs: str) -> str:
    """A page without what differs at every request."""
    text = re.sub(r'nonce="[^"]*"', '', answer.text)
    for word in differs:
        text = text.replace(word, '…')
    return text


# ---------- coming in ----------


async def test_a_client_comes_in(browser: Browser, cast: Cast) -> None:
    ada = browser()
    answer = await sign_in(ada, ' Ada@ACME.example', PASSWORD)
    assert (answer.status_code, answer.headers['location']) == (303, '/')
    home = await ada.get('/', follow_redirects=True)
    assert home.status_code == 200
    assert home.url.path == '/client-portal/acme'


async def test_staff_come_in_at_their_own_door(browser: Browser, cast: Cast) -> None:
    answer = await sign_in(browser(), cast.tess.email, PASSWORD, STAFF + '?next=/msp/tickets/T-1001')
    assert (answer.status_code, answer.headers['location']) == (303, '/msp/tickets/T-1001')


@pytest.mark.parametrize('onward', ['//evil.example', 'https://evil.example', '/\\evil.example', '/msp/queue', '/auth/signout'])
async def test_nobody_is_led_astray(browser: Browser, cast: Cast, onward: str) -> None:
    """Neither to another site nor to the other side; and no link on the page leads there."""
    someone = browser()
    page = await someone.get(CLIENT, params={'next': onward})
    assert 'evil' not in page.text
    answer = await someone.post(CLIENT, params={'next': onward}, data={'email': cast.ada.email, 'password': PASSWORD})
    assert (answer.status_code, answer.headers['location']) == (303, '/')


async def test_who_is_signed_in_is_sent_home(browser: Browser, cast: Cast) -> None:
    assert (await browser(cast.ada).get(CLIENT)).headers['location'] == '/'
    assert (await browser(cast.ada).get(STAFF + '?next=/msp')).headers['location'] == '/msp'  # where the guard turns her round
    assert (await browser(cast.ada).get('/msp')).headers['location'] == '/client-portal/acme'


@pytest.mark.parametrize(('email', 'password', 'field'), [('', PASSWORD, 'email'), ('ada@acme.example', '', 'password')])
async def test_what_is_missing_is_said_at_its_field(browser: Browser, email: str, password: str, field: str) -> None:
    answer = await sign_in(browser(), email, password)
    assert answer.status_code == 422
    wrong = re.search(r'<input[^>]*aria-invalid="true"[^>]*>', answer.text)
    assert wrong
    assert f'name="{field}"' in wrong[0]
    assert f'aria-describedby="f-{field}-wrong"' in wrong[0]
    assert 'autofocus' in wrong[0]


async def test_a_password_is_never_echoed(browser: Browser, cast: Cast) -> None:
    answer = await sign_in(browser(), cast.ada.email, 'a-wrong-one-to-look-for')
    assert answer.status_code == 401
    assert cast.ada.email in answer.text
    assert 'a-wrong-one-to-look-for' not in answer.text


async def test_hostile_input_is_only_text(browser: Browser) -> None:
    answer = await sign_in(browser(), '"><script>alert(1)</script>@x.example\0', 'x\0y')
    assert answer.status_code == 401
    assert '<script>alert' not in answer.text
    assert (await browser().post(CLIENT, content=b'email=' + b'a' * 40_000)).status_code == 413


async def test_somebody_elses_form_is_refused(browser: Browser, cast: Cast) -> None:
    fields = {'email': cast.ada.email, 'password': PASSWORD}
    for origin in ('https://evil.example', 'null', ''):
        answer = await browser().post(CLIENT, data=fields, headers={'origin': origin})
        assert answer.status_code == 403
        assert 'set-cookie' not in answer.headers


# ---------- known and unknown ----------


async def test_known_unknown_and_wrong_side_get_the_same_answer(
    browser: Browser, cast: Cast, questions: list[str]
) -> None:  # fmt: skip
    """To the letter, and by the same questions to the database."""
    seen: set[str] = set()
    asked: set[tuple[str, ...]] = set()
    for email in (cast.ada.email, 'nobody@acme.example', cast.tess.email, cast.cleo.email):
        questions.clear()
        answer = await sign_in(browser(), email, 'wrong-wrong-wrong')
        assert answer.status_code == 401
        seen.add(plain(answer, email))
        asked.add(tuple(question for question in questions if 'tenant_for' not in question))  # remembered by the guard
    assert len(seen) == 1
    assert len(asked) == 1


async def test_the_log_keeps_failures_but_not_what_was_typed(browser: Browser, cast: Cast, sql: Sql) -> None:
    await sign_in(browser(), cast.ada.email, 'wrong-wrong-wrong')
    await sign_in(browser(), 'my-password-typed-into-the-wrong-field', 'wrong-wrong-wrong')
    rows = sql(
        "select actor_id, detail from audit where action = 'session.refused' and tenant_id = %s order by at", cast.northwind.id
    )
    assert rows == [(cast.ada.user_id, {}), (None, {})]


async def test_a_person_who_is_gone_cannot_come_in(browser: Browser, cast: Cast, sql: Sql) -> None:
    sql('update users set disabled_at = now() where id = %s', cast.ada.user_id)
    assert (await sign_in(browser(), cast.ada.email, PASSWORD)).status_code == 401


# ---------- throttling ----------


@pytest.mark.usefixtures('long_waits')
async def test_waits_grow_and_are_the_same_for_everybody(browser: Browser, cast: Cast) -> None:
    seen: set[str] = set()
    for email in (cast.ada.email, 'nobody@acme.example'):
        statuses = [(await sign_in(browser(), email, 'wrong-wrong-wrong')).status_code for _ in range(6)]
        assert statuses == [401] * 6
        answer = await sign_in(browser(), email, PASSWORD)
        assert answer.status_code == 429
        assert answer.headers['retry-after'] == '60'
        assert 'Too many attempts. Try again in 60 seconds.' in answer.text
        seen.add(plain(answer, email))
    assert len(seen) == 1


async def test_the_wait_doubles_up_to_a_minute(browser: Browser, cast: Cast, sql: Sql) -> None:
    bucket = throttle.account(cast.northwind.id, 'client', cast.ada.email).digest
    waits: list[int] = []
    for _ in range(12):
        await sign_in(browser(), cast.ada.email, 'wrong-wrong-wrong')
        waits += [round(row[0]) for row in sql('select extract(epoch from blocked_until - touched_at) from attempt where bucket = %s', bucket)]  # fmt: skip
        sql('update attempt set blocked_until = now() where bucket = %s', bucket)
    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60]


async def test_attempts_are_reserved_before_the_hash_is_computed(browser: Browser, cast: Cast) -> None:
    """Twenty at once get no more than one after the other."""
    someone = browser()
    answers = await asyncio.gather(*(sign_in(someone, cast.ada.email, f'guess-number-{n:04}') for n in range(20)))
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(401) == 6
    assert statuses.count(429) == 14


@pytest.mark.usefixtures('long_waits')
async def test_a_known_device_does_not_wait_for_strangers(browser: Browser, cast: Cast) -> None:
    at_home, stranger = browser(), browser()
    assert (await sign_in(at_home, cast.ada.email, PASSWORD)).status_code == 303
    await at_home.post('/auth/signout')
    while (await sign_in(stranger, cast.ada.email, 'wrong-wrong-wrong')).status_code == 401:
        pass
    assert (await sign_in(stranger, cast.ada.email, PASSWORD)).status_code == 429
    assert (await sign_in(at_home, cast.ada.email, PASSWORD)).status_code == 303


@pytest.mark.usefixtures('long_waits')
async def test_a_known_device_has_attempts_of_its_own_only_for_its_people(browser: Browser, cast: Cast) -> None:
    """A client's own device cookie opens no fresh attempts at a colleague's account, and its own run out as well."""
    ada = browser()
    assert (await sign_in(ada, cast.ada.email, PASSWORD)).status_code == 303
    ada.cookies.delete('portal')
    for email in (cast.bill.email, cast.ada.email):
        statuses = [(await sign_in(ada, email, 'wrong-wrong-wrong')).status_code for _ in range(7)]
        assert statuses == [401] * 6 + [429]
    assert (await sign_in(browser(), cast.bill.email, PASSWORD)).status_code == 429


@pytest.mark.usefixtures('long_waits')
async def test_many_addresses_from_one_place_wait_as_well(browser: Browser, cast: Cast) -> None:
    statuses = [(await sign_in(browser(), f'nobody-{n}@x.example', 'wrong-wrong-wrong')).status_code for n in range(33)]
    assert statuses[:31] == [401] * 31
    assert statuses[31:] == [429] * 2
    assert (await sign_in(browser(), cast.ada.email, PASSWORD)).status_code == 429


@pytest.mark.usefixtures('long_waits')
async def test_own_success_does_not_wash_a_place_clean(browser: Browser, cast: Cast, sql: Sql) -> None:
    """Who has an account here cannot sign in to it between guesses at others."""
    for n in range(31):
        await sign_in(browser(), f'nobody-{n}@x.example', 'wrong-wrong-wrong')
    sql('update attempt set blocked_until = now()')
    assert (await sign_in(browser(), cast.bea.email, PASSWORD)).status_code == 303
    assert (await sign_in(browser(), cast.ada.email, 'wrong-wrong-wrong')).status_code == 429


async def test_success_forgets_the_failures(browser: Browser, cast: Cast) -> None:
    for _ in range(2):
        for _ in range(4):
            assert (await sign_in(browser(), cast.ada.email, 'wrong-wrong-wrong')).status_code == 401
        assert (await sign_in(browser(), cast.ada.email, PASSWORD)).status_code == 303


async def test_at_a_hundred_failures_a_letter_is_promised_once(browser: Browser, cast: Cast, sql: Sql) -> None:
    def letters() -> list[Any]:
        return sql("select args from jobs.procrastinate_jobs where task_name = 'reset_asked' and args ->> 'tenant' = %s", str(cast.northwind.id))  # fmt: skip

    await sign_in(browser(), cast.ada.email, 'wrong-wrong-wrong')
    sql('update attempt set failures = 98, blocked_until = now()')
    for expected in (0, 1, 1):
        assert (await sign_in(browser(), cast.ada.email, 'wrong-wrong-wrong')).status_code == 401
        assert len(letters()) == expected
        sql('update attempt set blocked_until = now()')
    assert letters()[0][0] | {'kind': 'many_failures', 'email': cast.ada.email, 'user_type': 'client'} == letters()[0][0]


# ---------- the session ----------


async def test_the_session_is_new_and_the_one_before_ends(browser: Browser, cast: Cast) -> None:
    someone = browser()
    await sign_in(someone, cast.ada.email, PASSWORD)
    first = someone.cookies['portal']
    await sign_in(someone, cast.bea.email, PASSWORD)
    second = someone.cookies['portal']
    assert first != second
    assert len(second) >= 43
    assert await arriving(first) is None
    arrival = await arriving(second)
    assert arrival
    assert arrival.facts['email'] == cast.bea.email


async def test_only_a_digest_of_the_token_is_kept(browser: Browser, cast: Cast, sql: Sql) -> None:
    someone = browser()
    await someone.post(
        CLIENT, data={'email': cast.ada.email, 'password': PASSWORD}, headers={'user-agent': 'Firefox/130 (Windows)'}
    )
    token = someone.cookies['portal']
    assert sql('select device from session where token_hash = %s', token_of(token)) == [('Firefox · Windows',)]


async def test_a_hash_of_older_parameters_is_renewed(browser: Browser, cast: Cast, sql: Sql) -> None:
    before = sql('select password_hash from credential where user_id = %s', cast.ada.user_id)[0][0]
    assert (await sign_in(browser(), cast.ada.email, PASSWORD)).status_code == 303
    after = sql('select password_hash from credential where user_id = %s', cast.ada.user_id)[0][0]
    assert before != after
    assert after.startswith('$argon2id$v=19$m=47104,t=1,p=1$')
    assert (await sign_in(browser(), cast.ada.email, PASSWORD)).status_code == 303


async def test_cookies_on_loopback(browser: Browser, cast: Cast) -> None:
    answer = await sign_in(browser(), cast.ada.email, PASSWORD)
    session, device = answer.headers.get_list('set-cookie')
    assert re.fullmatch(r'portal=[\w-]{43}; HttpOnly; Path=/; SameSite=lax', session)
    assert re.fullmatch(r'portal-device=[\w.-]+; HttpOnly; Max-Age=31536000; Path=/auth; SameSite=lax', device)


async def test_cookies_behind_tls(pages: Any, cast: Cast, settings: Settings) -> None:
    tenants.forget()
    app = guard.Guard(pages.app, replace(settings, url='https://portal.example'))
    origin = f'https://{cast.northwind.host}'
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=origin, headers={'origin': origin}) as http:
        answer = await sign_in(http, cast.ada.email, PASSWORD)
        session, device = answer.headers.get_list('set-cookie')
        assert re.fullmatch(r'__Host-portal=[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure', session)
        assert device.endswith('; Secure')
        assert (await http.get('/')).headers['location'] == '/client-portal/acme'
        out = await http.post('/auth/signout')
        assert any(
            re.match(r'__Host-portal="?"?; .*Max-Age=0; Path=/; SameSite=lax; Secure', c)
            for c in out.headers.get_list('set-cookie')
        )


@pytest.mark.parametrize(('name', 'door'), [('ada', CLIENT), ('tess', STAFF)])
async def test_signing_out_ends_the_session_and_clears_the_browser(browser: Browser, cast: Cast, name: str, door: str) -> None:
    who: Member = getattr(cast, name)
    answer = await browser(who).post('/auth/signout')
    assert (answer.status_code, answer.headers['location']) == (303, f'{door}?why=out')
    assert answer.headers['clear-site-data'] == '"storage"'
    cleared = [cookie.split('=')[0] for cookie in answer.headers.get_list('set-cookie') if 'Max-Age=0' in cookie]
    assert cleared == ['portal', 'portal-company']
    assert await arriving(who.cookie) is None
    assert 'You are signed out.' in (await browser().get(answer.headers['location'])).text


async def test_signing_out_twice_is_no_fault(browser: Browser) -> None:
    assert (await browser().post('/auth/signout')).status_code == 303
    assert (await browser().get('/auth/signout')).status_code in (404, 405)


async def test_the_other_door_is_named(browser: Browser) -> None:
    assert 'A client of Northwind IT?' in (await browser().get(STAFF)).text
    assert STAFF in (await browser().get(CLIENT)).text
    assert 'register' not in (await browser().get(CLIENT)).text.lower()


async def test_head_is_answered(browser: Browser) -> None:
    for address in (CLIENT, STAFF, '/auth/client-portal/forgot-password', '/healthz', '/robots.txt'):
        answer = await browser().head(address)
        assert answer.status_code == 200, address


async def test_a_session_is_of_one_tenant(browser: Browser, cast: Cast) -> None:
    """A session of Northwind is none at Southgate, and an address of Northwind is unknown there."""
    assert (await sign_in(browser(host=cast.southgate.host), cast.ada.email, PASSWORD)).status_code == 401
    assert (await browser(cast.ada, host=cast.southgate.host).get('/client-portal/acme')).status_code == 303


@pytest.mark.usefixtures('long_waits')
async def test_guesses_from_one_place_wait_whatever_they_claim(pages: Any, cast: Cast, settings: Settings) -> None:
    """Thirty are free. A liar changes the header each time and is one place; behind a proxy of ours each place counts alone."""
    tenants.forget()
    app = proxies.Proxies(pages, replace(settings, trusted_proxies=(ip_network('10.0.0.0/8'),)))
    origin = f'http://{cast.northwind.host}'

    async def guess(n: int, peer: str) -> int:
        transport = httpx.ASGITransport(app, client=(peer, 1))
        async with httpx.AsyncClient(transport=transport, base_url=origin, headers={'origin': origin}) as http:
            headers = {'x-forwarded-for': f'9.9.{n}.9'}
            return (await http.post(CLIENT, data={'email': f'{n}@acme.example', 'password': 'x'}, headers=headers)).status_code

    assert [await guess(n, '198.51.100.4') for n in range(32)].count(429) >= 1
    assert 429 not in [await guess(n, '10.0.0.2') for n in range(32)]


@pytest.mark.parametrize('door', [CLIENT, STAFF])
async def test_a_passkey_that_opens_nothing_is_refused_in_words(browser: Browser, cast: Cast, door: str) -> None:
    answer = await browser().post(door.replace('signin', 'passkey'), data={'credential': '{}'})
    assert answer.status_code == 401
    assert 'name="email"' in answer.text
