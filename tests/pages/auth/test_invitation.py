"""The page an invitation leads to: from the link to the first screen, and every way in which it does not work."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

import httpx
import pytest

from portal import links, visit
from portal.db.cast import PASSWORD, Cast, Member
from portal.domain.base import uuid7
from portal.domain.invitations import Invitation, Wanted, invite, send_again, withdraw
from portal.settings import Settings
from portal.visit import Visit, arriving
from tests.pages.auth.conftest import CLIENT, NEW, Sql, sign_in

Browser = Callable[..., httpx.AsyncClient]
VisitAs = Callable[[Member], Awaitable[Visit]]
Invites = Callable[..., Awaitable[tuple[Invitation, str]]]
PAGE = '/auth/invitation'


@pytest.fixture
def invites(visit_as: VisitAs, settings: Settings) -> Invites:
    """Somebody invites; with the token that the letter carries."""

    async def do(
        by: Member, email: str = 'jana@acme.example', name: str = 'Jana Hofmann', role: str = 'ClientUser'
    ) -> tuple[Invitation, str]:
        visit = await visit_as(by)
        assert by.company_id
        async with visit.work() as db:
            made = await invite(db, visit.by, by.company_id, Wanted(name, email, role))
        return made, links.invitation_token(settings, made.tenant_id, made.id, made.number)

    return do


def form(token: str, **more: str) -> dict[str, str]:
    return {'token': token, 'do': 'accept', 'name': 'Jana Hofmann', 'language': 'de', 'password': NEW, **more}


async def test_from_the_link_into_the_portal(browser: Browser, cast: Cast, invites: Invites) -> None:
    _made, token = await invites(cast.ada)
    jana = browser()
    page = await jana.get(PAGE, params={'token': token})
    assert page.status_code == 200
    for words in (
        'Ada Brandt invites you to the portal of Acme Dental',
        'value="jana@acme.example"',
        'Ask for help',
        'Client user',
    ):
        assert words in page.text
    assert page.headers['referrer-policy'] == 'strict-origin'
    answer = await jana.post(PAGE, data=form(token))
    assert (answer.status_code, answer.headers['location']) == (303, '/client-portal/acme/welcome')
    arrival = await arriving(jana.cookies.get('portal'))
    assert arrival
    assert (arrival.facts['name'], arrival.facts['email'], arrival.slugs) == ('Jana Hofmann', 'jana@acme.example', ['acme'])
    again = await browser().post(PAGE, data=form(token))
    assert (again.status_code, 'You have accepted already' in again.text) == (410, True)
    assert (await sign_in(browser(), 'jana@acme.example', NEW)).status_code == 303


async def test_the_same_link_many_times_at_once(browser: Browser, cast: Cast, invites: Invites, sql: Sql) -> None:
    _made, token = await invites(cast.ada)
    answers = await asyncio.gather(*(browser().post(PAGE, data=form(token)) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers if answer.status_code != 503)[0] == 303
    assert [answer.status_code for answer in answers].count(303) == 1
    assert len(sql("select id from users where email = 'jana@acme.example' and tenant_id = %s", cast.northwind.id)) == 1


async def test_what_is_missing_is_said_at_its_field_and_the_link_lives_on(browser: Browser, cast: Cast, invites: Invites) -> None:
    _made, token = await invites(cast.ada)
    answer = await browser().post(PAGE, data=form(token, name=' ', password='short'))
    assert answer.status_code == 422
    assert 'Please enter a name.' in answer.text
    answer = await browser().post(PAGE, data=form(token, password='short'))
    assert answer.status_code == 422
    assert 'value="short"' not in answer.text
    assert (await browser().post(PAGE, data=form(token, email='me@evil.example'))).status_code == 303


async def test_the_address_stays_the_invited_one(browser: Browser, cast: Cast, invites: Invites) -> None:
    _made, token = await invites(cast.ada)
    jana = browser()
    await jana.post(PAGE, data=form(token, email='me@evil.example'))
    arrival = await arriving(jana.cookies.get('portal'))
    assert arrival
    assert arrival.facts['email'] == 'jana@acme.example'


async def test_dead_links_say_so(
    browser: Browser, cast: Cast, invites: Invites, visit_as: VisitAs, settings: Settings, sql: Sql
) -> None:
    made, token = await invites(cast.ada)
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        await send_again(db, ada.by, cast.acme.id, made.id)
    second = links.invitation_token(settings, made.tenant_id, made.id, 2)
    forged = [links.invitation_token(settings, cast.southgate.id, made.id, 2), 'x' * 3000, '', token[:-2], links.password_token(settings, made.tenant_id, made.id, 'reset', '')]  # fmt: skip
    for dead in (token, *forged):
        for answer in (await browser().get(PAGE, params={'token': dead}), await browser().post(PAGE, data=form(dead))):
            assert answer.status_code == 410
            assert 'Acme' not in answer.text
    assert (await browser(host=cast.southgate.host).get(PAGE, params={'token': second})).status_code == 410
    assert (await browser().get(PAGE, params={'token': second})).status_code == 200
    sql('update invitation set expires_at = now() where id = %s', made.id)
    assert 'This invitation is too old' in (await browser().get(PAGE, params={'token': second})).text
    sql("update invitation set expires_at = now() + interval '1 day' where id = %s", made.id)
    async with ada.work() as db:
        await withdraw(db, ada.by, cast.acme.id, made.id)
    assert (await browser().post(PAGE, data=form(second))).status_code == 410


async def test_bea_joins_acme_with_the_login_she_has(browser: Browser, cast: Cast, invites: Invites) -> None:
    _made, token = await invites(cast.ada, cast.bea.email, 'Bea')
    bea = browser()
    page = await bea.get(PAGE, params={'token': token})
    assert 'You have a login already' in page.text
    assert 'name="password"' not in page.text
    stolen = await browser().post(PAGE, data=form(token))
    assert (stolen.status_code, 'set-cookie' in stolen.headers and 'portal=' in stolen.headers['set-cookie'].replace('portal-invitation=', '')) == (403, False)  # fmt: skip
    answer = await bea.post(f'{CLIENT}?next=%2Fauth%2Finvitation', data={'email': cast.bea.email, 'password': PASSWORD})
    assert answer.headers['location'] == PAGE
    page = await bea.get(PAGE)  # which it is, the cookie knows
    assert 'You are signed in as' in page.text
    answer = await bea.post(PAGE, data={'token': token, 'do': 'accept'})
    assert (answer.status_code, answer.headers['location']) == (303, '/client-portal/acme/welcome')
    arrival = await arriving(bea.cookies.get('portal'))
    assert arrival
    assert set(arrival.slugs) == {'acme', 'bolt'}


async def test_somebody_else_is_told_who_they_are(browser: Browser, cast: Cast, invites: Invites) -> None:
    for email in ('jana@acme.example', cast.bea.email):
        _made, token = await invites(cast.ada, email)
        page = await browser(cast.ugo).get(PAGE, params={'token': token})
        assert 'You are signed in as <b>Ugo Marchetti</b>' in page.text
        answer = await browser(cast.ugo).post(PAGE, data=form(token))
        assert answer.status_code == 403


async def test_declined_is_over(browser: Browser, cast: Cast, invites: Invites) -> None:
    _made, token = await invites(cast.ada)
    answer = await browser().post(PAGE, data={'token': token, 'do': 'decline'})
    assert 'Declined' in answer.text
    assert (await browser().post(PAGE, data=form(token))).status_code == 410


async def test_names_stay_text(browser: Browser, cast: Cast, invites: Invites, sql: Sql) -> None:
    sql('update users set name = %s where id = %s', '<img src=x onerror=alert(1)>', cast.ada.user_id)
    _made, token = await invites(cast.ada, name='<script>alert(2)</script>')
    page = await browser().get(PAGE, params={'token': token})
    assert '<img src=x' not in page.text
    assert '<script>alert' not in page.text


async def test_invitations_to_the_staff_cannot_be_taken_by_a_client(browser: Browser, cast: Cast, invites: Invites) -> None:
    _made, token = await invites(cast.ada, cast.tess.email)
    assert (await browser(cast.tess).get(PAGE, params={'token': token})).status_code == 410
    assert (await browser(cast.tess).post(PAGE, data=form(token))).status_code in (403, 410)


# ---------- companies with single sign-on ----------


@pytest.fixture
def provider(cast: Cast, sql: Sql) -> str:
    """Acme's, on."""
    id = uuid7()
    sql("insert into identity_provider (id, tenant_id, company_id, side, kind, name, issuer, client_id, enabled) "
        "values (%s, %s, %s, 'client', 'other', 'Acme account', 'https://login.example', 'portal', true)",
        id, cast.northwind.id, cast.acme.id)  # fmt: skip
    return str(id)


@pytest.fixture
def only(provider: str, cast: Cast, sql: Sql) -> str:
    sql('delete from sso_only where tenant_id = %s', cast.northwind.id)
    sql('insert into sso_only (id, tenant_id, company_id, created_by_id) values (%s, %s, %s, %s)', uuid7(), cast.northwind.id,
        cast.acme.id, cast.mona.user_id)  # fmt: skip
    return provider


async def test_with_single_sign_on_only_no_password_is_asked_for(
    browser: Browser, cast: Cast, invites: Invites, only: str, sql: Sql
) -> None:
    """Accepting makes a login without a password, and leads to the provider, where the address is proved."""
    sql("update session set proofs = '{sso}', revoked_at = null where user_id = %s", cast.ada.user_id)
    _made, token = await invites(cast.ada)
    jana = browser()
    page = (await jana.get(PAGE, params={'token': token})).text
    assert 'With Acme account' in page
    assert 'name="password"' not in page
    answer = await jana.post(PAGE, data=form(token, way='password'))  # typed or not, it counts for nothing
    assert answer.status_code == 200
    href = answer.headers['refresh'].partition('url=')[2]
    assert href == f'/auth/sso/{only}/start?next=%2Fclient-portal%2Facme%2Fwelcome&hint=jana%40acme.example'
    assert 'portal' not in jana.cookies
    made = sql("select u.id, c.user_id from users u left join credential c on c.user_id = u.id where u.email = 'jana@acme.example' and u.tenant_id = %s",
               cast.northwind.id)  # fmt: skip
    assert [row[1] for row in made] == [None]
    question = 'select app.sso_enter(:tenant, :provider, :issuer, :subject, :email, true, :name, :fresh)'
    came = await visit.database.ask(question, tenant=cast.northwind.id, provider=UUID(only), issuer='https://login.example', subject='j',
                                    email='jana@acme.example', name='Jana', fresh=uuid7())  # fmt: skip
    assert came[0] == made[0][0]


async def test_where_there_is_a_provider_too_one_chooses(
    browser: Browser, cast: Cast, invites: Invites, provider: str, sql: Sql
) -> None:
    sql('delete from sso_only where tenant_id = %s', cast.northwind.id)
    sql('update session set revoked_at = null where user_id = %s', cast.ada.user_id)
    _made, token = await invites(cast.ada)
    page = (await browser().get(PAGE, params={'token': token})).text
    assert f'name="way" value="{provider}"' in page
    assert 'name="password"' in page
    answer = await browser().post(PAGE, data=form(token, way=provider, password=''))
    assert f'/auth/sso/{provider}/start' in answer.headers['refresh']
    _made, token = await invites(cast.ada, 'jo@acme.example', 'Jo')
    assert (await browser().post(PAGE, data=form(token))).status_code == 303
    bolts = (await browser().get(PAGE, params={'token': (await invites(cast.bea, 'jo@bolt.example', 'Jo'))[1]})).text
    assert 'Acme account' not in bolts


async def test_bea_joins_where_only_a_provider_counts(
    browser: Browser, cast: Cast, invites: Invites, only: str, sql: Sql
) -> None:
    """She is told where to go on: what she was signed in by has ended."""
    sql("update session set proofs = '{sso}', revoked_at = null where user_id = %s", cast.ada.user_id)
    _made, token = await invites(cast.ada, cast.bea.email, 'Bea')
    bea = browser(cast.bea)
    answer = await bea.post(PAGE, data=form(token))
    assert answer.status_code == 403
    assert f'/auth/sso/{only}/start' in answer.text
    assert (await bea.get('/client-portal/acme')).status_code == 303
