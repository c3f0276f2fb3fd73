"""A new password: asking for the letter, and the link in it."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from portal import links
from portal.db.cast import PASSWORD, Cast, Member
from portal.settings import Settings
from portal.visit import arriving
from tests.pages.auth.conftest import CLIENT, NEW, SET, STAFF, Sql, reset_link, sign_in
from tests.pages.auth.test_signin import plain

Browser = Callable[..., httpx.AsyncClient]
FORGOT = '/auth/client-portal/forgot-password'


async def link_of(settings: Settings, who: Member) -> str:
    return await reset_link(settings, who.tenant_id, who.user_id)


def letters(sql: Sql, cast: Cast) -> list[dict[str, Any]]:
    return [row[0] for row in sql("select args from jobs.procrastinate_jobs where task_name = 'reset_asked' and args ->> 'tenant' = %s", str(cast.northwind.id))]  # fmt: skip


# ---------- asking for the letter ----------


async def test_the_same_page_for_every_address(browser: Browser, cast: Cast, sql: Sql, questions: list[str]) -> None:
    seen: set[str] = set()
    asked: set[tuple[str, ...]] = set()
    for email in (cast.ada.email, 'nobody@acme.example', cast.tess.email):
        questions.clear()
        answer = await browser().post(FORGOT, data={'email': email.upper()})
        assert answer.status_code == 200
        assert email in answer.text
        seen.add(plain(answer, email))
        asked.add(tuple(question for question in questions if 'tenant_for' not in question))
    assert len(seen) == len(asked) == 1
    assert [letter['email'] for letter in letters(sql, cast)] == [cast.ada.email, 'nobody@acme.example', cast.tess.email]
    assert {letter['kind'] for letter in letters(sql, cast)} == {'password_reset'}


async def test_nobodys_mailbox_is_flooded(browser: Browser, cast: Cast, sql: Sql) -> None:
    """The page stays the same; only the letters stop."""
    seen = {plain(await browser().post(FORGOT, data={'email': cast.ada.email})) for _ in range(8)}
    assert len(seen) == 1
    assert len(letters(sql, cast)) == 4
    await browser().post(FORGOT, data={'email': cast.bea.email})
    assert len(letters(sql, cast)) == 5


@pytest.mark.usefixtures('long_waits')
async def test_asking_is_throttled_by_place(browser: Browser, cast: Cast) -> None:
    statuses = [(await browser().post(FORGOT, data={'email': f'nobody-{n}@x.example'})).status_code for n in range(32)]
    assert statuses == [200] * 31 + [429]


async def test_what_is_no_address_is_said_at_once(browser: Browser, cast: Cast, sql: Sql) -> None:
    answer = await browser().post(FORGOT, data={'email': 'ada'})
    assert answer.status_code == 422
    assert 'value="ada"' in answer.text
    assert letters(sql, cast) == []


# ---------- the link ----------


async def test_the_page_says_whose_password_it_is_and_tells_nobody_else(browser: Browser, cast: Cast, settings: Settings) -> None:
    token = await link_of(settings, cast.ada)
    answer = await browser().get(SET, params={'token': token})
    assert answer.status_code == 200
    assert cast.ada.email in answer.text
    assert cast.ada.name in answer.text
    assert answer.headers['referrer-policy'] == 'strict-origin'
    assert answer.headers['cache-control'] == 'no-store'


@pytest.mark.parametrize(('name', 'door'), [('ada', CLIENT), ('tess', STAFF)])
async def test_a_link_works_once_and_ends_every_session(
    browser: Browser, cast: Cast, settings: Settings, name: str, door: str
) -> None:
    who: Member = getattr(cast, name)
    token, someone = await link_of(settings, who), browser()
    answer = await someone.post(SET, data={'token': token, 'password': NEW})
    assert (answer.status_code, answer.headers['location']) == (303, f'{door}?why=set')
    assert await arriving(who.cookie) is None
    for again in (
        await someone.post(SET, data={'token': token, 'password': NEW + '-x'}),
        await someone.get(SET, params={'token': token}),
    ):
        assert again.status_code == 410
        assert who.email not in again.text
    assert (await sign_in(browser(), who.email, PASSWORD, door)).status_code == 401
    assert (await sign_in(browser(), who.email, NEW, door)).status_code == 303


async def test_of_many_at_once_exactly_one_wins(browser: Browser, cast: Cast, settings: Settings) -> None:
    token, someone = await link_of(settings, cast.ada), browser()
    passwords = [f'{NEW}-{n}' for n in range(6)]
    answers = await asyncio.gather(*(someone.post(SET, data={'token': token, 'password': p}) for p in passwords))
    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses) == [303] + [410] * 5
    winner = passwords[statuses.index(303)]
    assert (await sign_in(browser(), cast.ada.email, winner)).status_code == 303


async def test_older_links_die_with_the_password_they_were_made_for(browser: Browser, cast: Cast, settings: Settings) -> None:
    first, second = await link_of(settings, cast.ada), await link_of(settings, cast.ada)
    assert (await browser().post(SET, data={'token': second, 'password': NEW})).status_code == 303
    assert (await browser().post(SET, data={'token': first, 'password': NEW})).status_code == 410


async def test_a_link_gets_too_old(browser: Browser, cast: Cast, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    token = await link_of(settings, cast.ada)
    monkeypatch.setitem(links.AGES, 'reset', -1)
    assert (await browser().get(SET, params={'token': token})).status_code == 410


async def test_a_link_is_of_one_tenant_and_one_person(browser: Browser, cast: Cast, settings: Settings, sql: Sql) -> None:
    token = await link_of(settings, cast.ada)
    assert (await browser(host=cast.southgate.host).get(SET, params={'token': token})).status_code == 410
    bent = [token[:-3], token + 'x', token[1:], 'x', '', '\0', 'ä' * 50, 'a.b.c']
    for wrong in bent:
        assert (await browser().get(SET, params={'token': wrong})).status_code == 410
        assert (await browser().post(SET, data={'token': wrong, 'password': NEW})).status_code == 410
    sql('update users set disabled_at = now() where id = %s', cast.ada.user_id)
    assert (await browser().get(SET, params={'token': token})).status_code == 410


async def test_a_link_with_another_mark_is_none(browser: Browser, cast: Cast, settings: Settings) -> None:
    """Made by us and for this person, but for a password that is not the present one."""
    token = links.password_token(settings, cast.ada.tenant_id, cast.ada.user_id, 'reset', 'another mark')
    assert (await browser().get(SET, params={'token': token})).status_code == 410


@pytest.mark.parametrize(
    ('password', 'words'),
    [
        ('too-short', 'At least 15 characters'),
        ('passwordpassword', 'It repeats itself'),
        ('ada@acme.example.2026', 'leave your name'),
    ],
)
async def test_a_weak_one_is_refused_and_the_link_stays_good(
    browser: Browser, cast: Cast, settings: Settings, password: str, words: str
) -> None:  # fmt: skip
    token = await link_of(settings, cast.ada)
    answer = await browser().post(SET, data={'token': token, 'password': password})
    assert answer.status_code == 422
    assert words in answer.text
    assert f'value="{password}"' not in answer.text
    assert (await browser().post(SET, data={'token': token, 'password': NEW})).status_code == 303


async def test_who_else_was_signed_in_here_is_signed_out(browser: Browser, cast: Cast, settings: Settings) -> None:
    token = await link_of(settings, cast.ada)
    answer = await browser(cast.bea).post(SET, data={'token': token, 'password': NEW})
    assert answer.status_code == 303
    assert await arriving(cast.bea.cookie) is None


@pytest.mark.usefixtures('long_waits')
async def test_the_way_out_while_a_stranger_guesses(browser: Browser, cast: Cast, settings: Settings) -> None:
    """The browser that opened the letter is known from then on, so that nobody's guesses keep the person out."""
    while (await sign_in(browser(), cast.ada.email, 'wrong-wrong-wrong')).status_code == 401:
        pass
    ada = browser()
    assert (await sign_in(ada, cast.ada.email, PASSWORD)).status_code == 429
    await ada.post(SET, data={'token': await link_of(settings, cast.ada), 'password': NEW})
    assert (await sign_in(ada, cast.ada.email, NEW)).status_code == 303


@pytest.mark.usefixtures('long_waits')
async def test_false_links_are_throttled_by_place(browser: Browser) -> None:
    statuses = [(await browser().post(SET, data={'token': 'x', 'password': NEW})).status_code for _ in range(32)]
    assert statuses == [410] * 31 + [429]
