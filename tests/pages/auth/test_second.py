"""The second step of signing in: the way through, and every way around it that one could try."""

import asyncio
import re
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest

from portal.db.cast import PASSWORD, Cast, Member
from portal.pages.auth import entering
from portal.pages.auth.sessions import Proof
from portal.settings import Settings
from tests.factors import Phone
from tests.pages.auth.conftest import CLIENT, NEW, SET, STAFF, Sql, reset_link, sign_in

Browser = Callable[..., httpx.AsyncClient]
SECOND, SECOND_STAFF = entering.SECOND['client'], entering.SECOND['staff']


@pytest.fixture
def phone(maintenance: str, settings: Settings, cast: Cast) -> Phone:
    return Phone(maintenance, settings, cast.ada)


def is_in(someone: httpx.AsyncClient) -> bool:
    return 'portal' in someone.cookies


async def half_in(browser: Browser, who: Member, door: str = CLIENT) -> httpx.AsyncClient:
    """The password is proved, the second factor is not."""
    someone = browser()
    answer = await sign_in(someone, who.email, PASSWORD, door)
    assert (answer.status_code, answer.headers['location']) == (303, SECOND_STAFF if 'msp' in door else SECOND)
    return someone


async def second(someone: httpx.AsyncClient, code: str, at: str = SECOND) -> httpx.Response:
    return await someone.post(at, data={'code': code})


# ---------- the way through ----------


async def test_the_password_alone_opens_nothing(browser: Browser, cast: Cast, phone: Phone, sql: Sql) -> None:
    someone = await half_in(browser, cast.ada)
    assert not is_in(someone)
    assert (await someone.get('/client-portal/acme')).headers['location'].startswith(CLIENT)
    assert sql("select count(*) from audit where action = 'session.opened' and actor_id = %s", cast.ada.user_id) == [(0,)]


async def test_the_code_lets_in_to_where_one_wanted_to_go(browser: Browser, cast: Cast, phone: Phone, sql: Sql) -> None:
    onward = '/client-portal/acme/tickets'
    someone = browser()
    answer = await sign_in(someone, cast.ada.email, PASSWORD, f'{CLIENT}?next={onward}')
    page = await someone.get(answer.headers['location'])
    assert 'Six digits from “Phone”' in page.text
    answer = await second(someone, phone.code())
    assert (answer.status_code, answer.headers['location']) == (303, onward)
    assert is_in(someone)
    assert entering.COOKIE not in someone.cookies
    proofs = sql("select detail from audit where action = 'session.opened' and actor_id = %s", cast.ada.user_id)
    assert proofs == [({'proofs': ['password', 'totp']},)]


async def test_staff_have_a_second_step_of_their_own(browser: Browser, cast: Cast, maintenance: str, settings: Settings) -> None:
    phone = Phone(maintenance, settings, cast.tess)
    someone = await half_in(browser, cast.tess, STAFF)
    assert (await someone.get(SECOND)).headers['location'].startswith(CLIENT)  # not at the other side's
    someone = await half_in(browser, cast.tess, STAFF)
    assert (await second(someone, phone.code(), SECOND_STAFF)).headers['location'] == '/'
    assert is_in(someone)


async def test_a_wrong_code_is_said_at_its_field(browser: Browser, cast: Cast, phone: Phone, sql: Sql) -> None:
    someone = await half_in(browser, cast.ada)
    for typed in ('', '12345', 'abcdef', phone.code(40)):
        answer = await second(someone, typed)
        assert answer.status_code == 422
        assert re.search(r'<input[^>]*name="code"[^>]*aria-invalid="true"', answer.text)
    assert not is_in(someone)
    refused = sql("select detail from audit where action = 'proof.refused' and actor_id = %s", cast.ada.user_id)
    assert refused == [({'method': 'totp'},)] * 3  # an empty field is none


async def test_the_cookie_between_the_steps_is_kept_close(browser: Browser, cast: Cast, phone: Phone) -> None:
    answer = await sign_in(browser(), cast.ada.email, PASSWORD)
    cookie = next(c for c in answer.headers.get_list('set-cookie') if c.startswith(entering.COOKIE))
    assert {'HttpOnly', 'Path=/auth', 'SameSite=lax', 'Max-Age=600'} <= set(cookie.split('; '))


# ---------- a code works once ----------


async def test_a_code_works_once(browser: Browser, cast: Cast, phone: Phone) -> None:
    code = phone.code()
    assert is_in(await through(browser, cast.ada, code))
    again = await half_in(browser, cast.ada)
    assert (await second(again, code)).status_code == 422
    assert (await second(again, phone.code(-1))).status_code == 422  # nor one from before it
    assert (await second(again, phone.code(1))).status_code == 303


async def through(browser: Browser, who: Member, code: str) -> httpx.AsyncClient:
    someone = await half_in(browser, who)
    await second(someone, code)
    return someone


async def test_the_same_code_from_many_browsers_at_once_lets_one_in(browser: Browser, cast: Cast, phone: Phone) -> None:
    them = [await half_in(browser, cast.ada) for _n in range(5)]  # as many as are not made to wait
    code = phone.code()
    answers = await asyncio.gather(*(second(each, code) for each in them))
    assert sorted(answer.status_code for answer in answers) == [303, 422, 422, 422, 422]
    assert sum(is_in(each) for each in them) == 1


async def test_a_recovery_code_works_once_and_is_told(browser: Browser, cast: Cast, phone: Phone, sql: Sql) -> None:
    code, other = phone.recovery_codes()
    them = [await half_in(browser, cast.ada) for _n in range(4)]
    answers = await asyncio.gather(*(each.post(f'{SECOND}?with=recovery', data={'recovery': code.lower()}) for each in them))
    assert sorted(answer.status_code for answer in answers) == [303, 422, 422, 422]
    good = next(answer for answer in answers if answer.status_code == 303)
    assert good.headers['location'] == '/client-portal/settings/security?recovery=used'
    me = cast.ada.user_id
    assert sql("select detail from audit where action = 'recovery_code.used' and actor_id = %s", me) == [({'left': 1},)]
    assert sql("select count(*) from mail_outbox where kind = 'recovery_code_used' and to_user_id = %s", me) == [(1,)]
    home = await next(each for each in them if is_in(each)).get(good.headers['location'], follow_redirects=True)
    assert home.url.path == '/client-portal/acme/settings/security'
    assert other not in home.text


async def test_anothers_recovery_code_is_none(
    browser: Browser, cast: Cast, phone: Phone, maintenance: str, settings: Settings
) -> None:
    phone.recovery_codes()
    theirs = Phone(maintenance, settings, cast.ugo).recovery_codes()[0]
    someone = await half_in(browser, cast.ada)
    assert (await someone.post(f'{SECOND}?with=recovery', data={'recovery': theirs})).status_code == 422


async def test_without_recovery_codes_they_are_not_offered(browser: Browser, cast: Cast, phone: Phone) -> None:
    someone = await half_in(browser, cast.ada)
    assert 'with=recovery' not in (await someone.get(SECOND)).text
    assert 'name="code"' in (await someone.get(f'{SECOND}?with=recovery')).text


# ---------- ways around ----------


async def test_nobody_begins_with_the_second_step(browser: Browser, cast: Cast, phone: Phone) -> None:
    for at, door in ((SECOND, CLIENT), (SECOND_STAFF, STAFF)):
        for answer in (await browser().get(at), await second(browser(), phone.code(), at)):
            assert (answer.status_code, answer.headers['location']) == (303, f'{door}?why=late')


async def taken(someone: httpx.AsyncClient, browser: Browser, **more: str) -> httpx.AsyncClient:
    """Another browser, with the cookie between the steps of this one."""
    thief = browser(**more)
    thief.cookies.set(entering.COOKIE, someone.cookies[entering.COOKIE], path='/auth')
    return thief


async def test_a_stolen_cookie_is_worth_nothing_in_another_browser(browser: Browser, cast: Cast, phone: Phone) -> None:
    someone = await half_in(browser, cast.ada)
    thief = await taken(someone, browser)
    assert (await second(thief, phone.code())).headers['location'] == f'{CLIENT}?why=late'
    assert not is_in(thief)
    assert (await second(someone, phone.code())).status_code == 303


async def test_it_counts_at_its_own_tenant_alone(browser: Browser, cast: Cast, phone: Phone) -> None:
    someone = await half_in(browser, cast.ada)
    thief = browser(host=cast.southgate.host)
    for name, value in someone.cookies.items():
        thief.cookies.set(name, value, path='/auth')
    assert (await second(thief, phone.code())).headers['location'] == f'{CLIENT}?why=late'
    assert not is_in(thief)


async def test_it_is_over_after_ten_minutes(browser: Browser, cast: Cast, phone: Phone, monkeypatch: pytest.MonkeyPatch) -> None:
    someone = await half_in(browser, cast.ada)
    kept = {name: str(value) for name, value in someone.cookies.items()}
    someone.cookies.clear()
    for name, value in kept.items():
        someone.cookies.set(name, value, path='/auth')  # a thief's browser does not forget it
    began = time.time()
    monkeypatch.setattr('itsdangerous.timed.time.time', lambda: began + 10 * 60 + 2)
    assert (await someone.get(SECOND)).headers['location'] == f'{CLIENT}?why=late'
    assert (await second(someone, phone.code())).headers['location'] == f'{CLIENT}?why=late'
    assert not is_in(someone)


async def test_it_dies_with_the_password(browser: Browser, cast: Cast, phone: Phone, settings: Settings) -> None:
    someone = await half_in(browser, cast.ada)
    token = await reset_link(settings, cast.ada.tenant_id, cast.ada.user_id)
    assert (await browser().post(SET, data={'token': token, 'password': NEW})).status_code == 303
    assert (await second(someone, phone.code())).headers['location'] == f'{CLIENT}?why=late'
    assert not is_in(someone)


async def test_it_dies_when_somebody_is_shut_out(browser: Browser, cast: Cast, phone: Phone, sql: Sql) -> None:
    someone = await half_in(browser, cast.ada)
    sql('update users set disabled_at = now() where id = %s', cast.ada.user_id)
    assert (await second(someone, phone.code())).headers['location'] == f'{CLIENT}?why=late'


async def test_altered_it_is_nothing(browser: Browser, cast: Cast, phone: Phone, settings: Settings) -> None:
    someone = await half_in(browser, cast.ada)
    good = someone.cookies[entering.COOKIE]
    forged = str(entering._serializer(settings, 'guessed').dumps(  # pyright: ignore[reportPrivateUsage]
        [str(cast.ada.tenant_id), str(cast.ada.user_id), 'client', ['password', 'totp'], None, '']))  # fmt: skip
    for value in (good[:-3] + 'AAA', 'x' + good, forged, '', '...', 'a' * 5000):
        someone.cookies.set(entering.COOKIE, value, path='/auth')
        assert (await second(someone, phone.code())).headers['location'] == f'{CLIENT}?why=late'


async def test_a_new_password_by_letter_does_not_get_around_it(
    browser: Browser, cast: Cast, phone: Phone, settings: Settings
) -> None:
    someone = browser()
    token = await reset_link(settings, cast.ada.tenant_id, cast.ada.user_id)
    answer = await someone.post(SET, data={'token': token, 'password': NEW})
    assert urlsplit(answer.headers['location']).path == CLIENT
    assert not is_in(someone)
    answer = await sign_in(someone, cast.ada.email, NEW)
    assert answer.headers['location'] == SECOND
    assert not is_in(someone)


async def test_a_secret_moved_to_another_account_opens_nothing(
    browser: Browser, cast: Cast, phone: Phone, maintenance: str, settings: Settings, sql: Sql
) -> None:
    """Whoever could write into the database still cannot put their own phone into the place of somebody else's."""
    mine = Phone(maintenance, settings, cast.ugo)
    sql('update totp set secret = (select secret from totp where id = %s) where id = %s', mine.id, phone.id)
    someone = await half_in(browser, cast.ada)
    assert (await second(someone, mine.code())).status_code == 422
    assert not is_in(someone)


# ---------- guessing ----------


@pytest.mark.usefixtures('long_waits')
async def test_guessing_is_slowed_down_also_from_many_browsers(browser: Browser, cast: Cast, phone: Phone) -> None:
    them = [await half_in(browser, cast.ada) for _n in range(3)]
    answers = [await second(them[n % 3], '000000') for n in range(9)]
    assert [answer.status_code for answer in answers] == [422] * 6 + [429] * 3
    assert int(answers[-1].headers['retry-after']) > 0
    assert (await second(them[0], phone.code())).status_code == 429  # nothing is looked at meanwhile
    at_once = await asyncio.gather(*(second(each, phone.code()) for each in them))
    assert {answer.status_code for answer in at_once} == {429}


@pytest.mark.usefixtures('long_waits')
async def test_who_guesses_elsewhere_does_not_make_one_wait_at_the_own_computer(
    browser: Browser, cast: Cast, phone: Phone
) -> None:
    mine = await through(browser, cast.ada, phone.code())
    phone.unused()
    thief = await half_in(browser, cast.ada)
    assert [(await second(thief, '000000')).status_code for _n in range(7)][-1] == 429
    await mine.post('/auth/signout')
    assert (await sign_in(mine, cast.ada.email, PASSWORD)).headers['location'] == SECOND
    assert (await second(mine, phone.code())).status_code == 303


@pytest.mark.usefixtures('long_waits')
async def test_a_link_by_mail_gives_nobody_guesses_of_their_own(
    browser: Browser, cast: Cast, phone: Phone, settings: Settings, sql: Sql
) -> None:
    """Whoever reads the mailbox sets a password, again and again: each new browser still counts as a stranger."""
    statuses: list[int] = []
    for n in range(3):
        someone, password = browser(), f'{NEW}-{n}'
        token = await reset_link(settings, cast.ada.tenant_id, cast.ada.user_id)
        await someone.post(SET, data={'token': token, 'password': password})
        assert (await sign_in(someone, cast.ada.email, password)).headers['location'] == SECOND
        statuses += [(await second(someone, '000000')).status_code for _n in range(4)]
    assert statuses.count(429) >= 4


async def test_ten_failures_over_all_browsers_are_told(browser: Browser, cast: Cast, phone: Phone, sql: Sql) -> None:
    mine = await through(browser, cast.ada, phone.code())
    await mine.post('/auth/signout')
    await sign_in(mine, cast.ada.email, PASSWORD)
    thief = await half_in(browser, cast.ada)
    for someone in (mine, thief):
        for _n in range(5):
            await second(someone, '000000')
    assert sql("select count(*) from mail_outbox where kind = 'proof_refused' and to_user_id = %s", cast.ada.user_id) == [(1,)]


async def test_a_browser_is_a_stranger_after_a_new_password(browser: Browser, cast: Cast, phone: Phone, sql: Sql) -> None:
    mine = await through(browser, cast.ada, phone.code())
    await mine.post('/auth/signout')
    sql('update credential set changed_at = now() where user_id = %s', cast.ada.user_id)
    phone.unused()
    await sign_in(mine, cast.ada.email, PASSWORD)
    await second(mine, phone.code())
    known = "select device_known from session where user_id = %s and device <> 'Test' order by created_at desc limit 1"
    assert sql(known, cast.ada.user_id) == [(False,)]


async def test_after_ten_failures_the_person_is_told_once(browser: Browser, cast: Cast, phone: Phone, sql: Sql) -> None:
    someone = await half_in(browser, cast.ada)
    for _n in range(12):
        sql('update attempt set blocked_until = now()')
        assert (await second(someone, '000000')).status_code == 422
    assert sql("select count(*) from mail_outbox where kind = 'proof_refused' and to_user_id = %s", cast.ada.user_id) == [(1,)]


async def test_before_the_right_password_nothing_of_the_factor_is_asked(
    browser: Browser, cast: Cast, phone: Phone, questions: list[str]
) -> None:
    asked: list[list[str]] = []
    for email in (cast.ada.email, cast.bill.email, 'nobody@acme.example'):
        questions.clear()
        answer = await sign_in(browser(), email, 'a wrong password')
        assert answer.status_code == 401
        asked.append([question for question in questions if 'tenant_for' not in question])
    assert asked[0] == asked[1] == asked[2]
    assert not any('factor' in question or 'totp' in question for question in asked[0])


async def test_a_passkey_or_a_provider_is_enough_alone(cast: Cast, phone: Phone) -> None:
    who = (cast.ada.tenant_id, cast.ada.user_id)
    assert await entering.asks_more(*who, ('password',))
    enough: list[tuple[Proof, ...]] = [
        ('passkey',),
        ('sso',),
        ('password', 'totp'),
        ('password', 'recovery'),
        ('password', 'passkey'),
    ]
    for proofs in enough:
        assert not await entering.asks_more(*who, proofs)
    assert await entering.asks_more(*who, ('password', 'password'))
    assert not await entering.asks_more(cast.bill.tenant_id, cast.bill.user_id, ('password',))
