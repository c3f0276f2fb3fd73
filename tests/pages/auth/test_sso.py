"""Single sign-on through the real guard, with a provider that says whatever it likes."""

import asyncio
import base64
import hashlib
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import pytest

from portal import oidc, sealing, visit
from portal.db.cast import PASSWORD, Cast, Company, Member
from portal.domain.base import uuid7
from portal.settings import Settings
from portal.sso_links import start_linking
from portal.visit import token_of
from tests.pages.auth.conftest import CLIENT, STAFF, Sql, sign_in
from tests.pages.auth.provider import OTHER_KEY, Hostile

Browser = Callable[..., httpx.AsyncClient]
ADA = {'email': 'ada@acme.example', 'email_verified': True}


@pytest.fixture(scope='module')
def running() -> Iterator[Hostile]:
    made = Hostile()
    yield made
    made.server.should_exit = True


@pytest.fixture
def idp(running: Hostile, sql: Sql, cast: Cast) -> Hostile:
    running.calm()
    oidc.forget()
    sql('delete from sso_only where tenant_id = %s', cast.northwind.id)  # the cast's waits for a provider
    sql('delete from attempt')
    return running


Known = Callable[..., UUID]


@pytest.fixture
def known(idp: Hostile, sql: Sql, cast: Cast, settings: Settings) -> Known:
    """`known(company=cast.acme)`: a provider that is set up and on."""

    def make(side: str = 'client', company: Company | None = None, **more: Any) -> UUID:
        id, tenant = uuid7(), cast.northwind.id
        row = {'id': id, 'tenant_id': tenant, 'side': side, 'company_id': company.id if company else None, 'kind': 'other',
               'name': 'Directory', 'issuer': idp.issuer, 'client_id': 'portal', 'domains': [], 'enabled': True, **more}  # fmt: skip
        sql(f'insert into identity_provider ({", ".join(row)}) values ({", ".join(["%s"] * len(row))})', *row.values())
        sealed = sealing.seal(settings, sealing.Place('identity_secret', 'sealed', tenant, id), b'hush: %')
        sql('insert into identity_secret (id, tenant_id, sealed) values (%s, %s, %s)', id, tenant, sealed)
        return id

    return make


async def goes(browser: httpx.AsyncClient, provider: UUID, **asked: str) -> dict[str, str]:
    """To the provider: what it is asked."""
    answer = await browser.get(f'/auth/sso/{provider}/start', params=asked)
    assert answer.status_code == 303, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers['location']).query).items()}


async def back(browser: httpx.AsyncClient, idp: Hostile, asked: dict[str, str], **more: Any) -> httpx.Response:
    idp.claims = {'nonce': asked['nonce'], **idp.claims}
    values = {'code': 'c', 'state': asked['state'], 'iss': idp.issuer, **more}
    return await browser.get('/auth/sso/callback', params={name: value for name, value in values.items() if value is not None})


async def comes(browser: httpx.AsyncClient, idp: Hostile, provider: UUID, onward: str = '', **claims: Any) -> httpx.Response:
    idp.claims = claims
    return await back(browser, idp, await goes(browser, provider, **({'next': onward} if onward else {})))


def is_in(answer: httpx.Response) -> bool:
    return answer.status_code == 303 and 'portal=' in answer.headers.get('set-cookie', '')


# ---------- the way there and back ----------


async def test_the_way_is_by_the_book(browser: Browser, idp: Hostile, known: Known, cast: Cast, sql: Sql) -> None:
    provider, ada = known(), browser()
    asked = await goes(ada, provider, next='/client-portal/acme/tickets')
    assert asked['response_type'] == 'code'
    assert asked['code_challenge_method'] == 'S256'
    assert asked['redirect_uri'] == f'http://{cast.northwind.host}:8080/auth/sso/callback'
    cookie = next(c for c in ada.cookies.jar if c.name == 'portal-sso')
    assert cookie.path == '/auth/sso'
    idp.claims = ADA
    answer = await back(ada, idp, asked)
    assert is_in(answer)
    assert answer.headers['location'] == '/client-portal/acme/tickets'
    [form] = idp.asked
    digest = hashlib.sha256(form['code_verifier'].encode()).digest()
    assert base64.urlsafe_b64encode(digest).rstrip(b'=').decode() == asked['code_challenge']
    assert base64.b64decode(form['authorization'][6:]) == b'portal:hush%3A%20%25'
    # what is kept is no token
    assert sql('select count(*) from sso_flow where tenant_id = %s and provider_id = %s', cast.northwind.id, provider) == [(0,)]


@pytest.mark.parametrize('onward', ['//evil.example', 'https://evil.example', '/\\evil.example', '/msp', '/auth/signout'])
async def test_nobody_is_led_astray(browser: Browser, idp: Hostile, known: Known, onward: str) -> None:
    answer = await comes(browser(), idp, known(), onward, **ADA)
    assert is_in(answer)
    assert answer.headers['location'] == '/'


async def test_of_many_who_come_back_at_once_one_is_let_in(browser: Browser, idp: Hostile, known: Known) -> None:
    ada, idp.claims = browser(), dict(ADA)
    asked = await goes(ada, known())
    answers = await asyncio.gather(*(back(ada, idp, asked) for _ in range(8)))
    assert sorted(is_in(answer) for answer in answers) == [False] * 7 + [True]
    assert len(idp.asked) == 1


async def test_a_way_belongs_to_the_browser_that_began_it(browser: Browser, idp: Hostile, known: Known) -> None:
    """Also to nobody who has a cookie of another way, and not to another tenant."""
    provider, ada, thief = known(), browser(), browser()
    asked = await goes(ada, provider)
    await goes(thief, provider)
    idp.claims = dict(ADA)
    assert (await back(thief, idp, asked)).status_code == 400
    thief.cookies.delete('portal-sso', path='/auth/sso')
    assert (await back(thief, idp, asked)).status_code == 400
    assert is_in(await back(ada, idp, asked))


async def test_a_way_is_over_after_ten_minutes(browser: Browser, idp: Hostile, known: Known, sql: Sql) -> None:
    ada, provider = browser(), known()
    asked = await goes(ada, provider)
    sql("update sso_flow set expires_at = now() - interval '1 second' where provider_id = %s", provider)
    idp.claims = dict(ADA)
    assert (await back(ada, idp, asked)).status_code == 400


async def test_another_site_sends_nobody_on_the_way(browser: Browser, known: Known) -> None:
    answer = await browser().get(f'/auth/sso/{known()}/start', headers={'sec-fetch-site': 'cross-site'})
    assert answer.headers['location'] == CLIENT


async def test_a_foreign_provider_is_not_there(browser: Browser, known: Known, cast: Cast) -> None:
    provider = known()
    for id in (provider, uuid7(), 'x'):
        answer = await browser(host=cast.southgate.host).get(f'/auth/sso/{id}/start')
        assert answer.status_code == 404
    assert (await browser().get(f'/auth/sso/{known(enabled=False)}/start')).status_code == 404


# ---------- what is not believed ----------

NOW = int(time.time())


@pytest.mark.parametrize('claims', [
    {'iss': 'https://other.example'}, {'iss': None}, {'aud': 'somebody-else'}, {'aud': None}, {'aud': ['portal', 'other']},
    {'aud': ['portal', 'other'], 'azp': 'other'}, {'azp': 'other'}, {'exp': NOW - 3600}, {'exp': None}, {'exp': 'never'},
    {'iat': NOW + 3600}, {'iat': NOW - 7200}, {'iat': None}, {'nbf': NOW + 3600}, {'nonce': 'another'}, {'nonce': ''}, {'sub': None},
    {'sub': ''}, {'sub': 7}, {'sub': 's' * 300},
])  # fmt: skip
async def test_claims_that_prove_nothing(browser: Browser, idp: Hostile, known: Known, claims: dict[str, Any]) -> None:
    answer = await comes(browser(), idp, known(), **ADA, **claims)
    assert answer.status_code == 403
    assert not is_in(answer)


async def test_a_token_without_the_nonce(browser: Browser, idp: Hostile, known: Known) -> None:
    ada, provider = browser(), known()
    asked = await goes(ada, provider)
    idp.claims = {**ADA, 'nonce': None}
    assert (await back(ada, idp, asked)).status_code == 403


@pytest.mark.parametrize('how', ['none', 'HS256', 'broken', 'foreign key'])
async def test_signatures_that_are_none(browser: Browser, idp: Hostile, known: Known, how: str) -> None:
    idp.how, idp.key = ('RS256', OTHER_KEY) if how == 'foreign key' else (how, idp.key)
    answer = await comes(browser(), idp, known(), **ADA)
    assert answer.status_code == 403


@pytest.mark.parametrize('issuer', [None, 'https://other.example'])
async def test_an_answer_of_another_provider(browser: Browser, idp: Hostile, known: Known, issuer: str | None) -> None:
    """RFC 9207."""
    ada = browser()
    asked = await goes(ada, known())
    idp.claims = dict(ADA)
    assert (await back(ada, idp, asked, iss=issuer)).status_code == 403


@pytest.mark.parametrize('said', [{'issuer': 'https://other.example'}, {'token_endpoint': 'file:///etc/passwd'}, {'jwks_uri': None},
                                  {'code_challenge_methods_supported': ['plain']}, {'id_token_signing_alg_values_supported': ['none', 'HS256']}])  # fmt: skip
async def test_a_provider_that_describes_itself_wrongly(
    browser: Browser, idp: Hostile, known: Known, said: dict[str, Any]
) -> None:
    idp.metadata = said
    answer = await browser().get(f'/auth/sso/{known()}/start')
    assert answer.status_code == 503
    assert 'Back to sign-in' in answer.text


async def test_what_the_provider_says_is_not_shown(browser: Browser, idp: Hostile, known: Known) -> None:
    ada = browser()
    asked = await goes(ada, known())
    answer = await back(ada, idp, asked, code=None, error='access_denied', error_description='<b>pay here</b>')
    assert answer.status_code == 403
    assert 'pay here' not in answer.text


# ---------- who comes in ----------


@pytest.mark.parametrize('said', ['access_denied', 'x\x1b[2J\x07', 'a\r\nb', 'X' * 41, ''])
async def test_of_what_the_provider_says_only_a_word_is_written_down(
    browser: Browser, idp: Hostile, known: Known, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    ada = browser()
    asked = await goes(ada, known())
    with caplog.at_level('INFO', 'portal.sso'):
        await back(ada, idp, asked, code=None, error=said)
    [line] = [record.getMessage() for record in caplog.records if record.name == 'portal.sso']
    assert line.isprintable()
    assert (said in line) is (said in ('access_denied', ''))


async def nobody(answer: httpx.Response) -> str:
    assert answer.status_code == 403
    assert not is_in(answer)
    assert 'No access with this account' in answer.text
    return answer.text.split('<main', 1)[1]


@pytest.mark.parametrize('claims', [
    {'email': 'ada@acme.example'}, {'email': 'ada@acme.example', 'email_verified': False}, {'email': 'ada@acme.example', 'email_verified': 'true'},
    {'email': 'ada@acme.example', 'email_verified': 1}, {}, {'email': 'tess@northwind.example', 'email_verified': True},
    {'email': 'nobody@acme.example', 'email_verified': True}, {'email': 'cleo@bakery.example', 'email_verified': True},
    {'email': ['ada@acme.example'], 'email_verified': True}, {'preferred_username': 'ada@acme.example'},
])  # fmt: skip
async def test_an_address_that_nobody_vouches_for(browser: Browser, idp: Hostile, known: Known, claims: dict[str, Any]) -> None:
    """And unknown ones, of staff, of another tenant: word for word the same page."""
    page = await nobody(await comes(browser(), idp, known(), **claims))
    other = await nobody(await comes(browser(), idp, known(), sub='x', email='zoe@zoe.example', email_verified=True))
    assert page == other


@pytest.mark.parametrize(('kind', 'claims', 'good'), [
    ('microsoft', {'email_verified': True}, False), ('microsoft', {'xms_edov': True}, True), ('microsoft', {'xms_edov': '0'}, False),
    ('google', {'email_verified': True}, False), ('google', {'email_verified': True, 'hd': 'acme.example'}, True),
    ('google', {'email_verified': True, 'hd': 'other.example'}, False), ('other', {'email_verified': True}, True),
])  # fmt: skip
async def test_whose_word_counts_for_an_address(
    browser: Browser, idp: Hostile, known: Known, kind: str, claims: dict[str, Any], good: bool
) -> None:
    """Not that of a Microsoft directory, whose admin writes any address into it ("nOAuth")."""
    answer = await comes(browser(), idp, known(kind=kind), email='ada@acme.example', **claims)
    assert is_in(answer) is good


async def test_the_authority_for_a_domain(browser: Browser, idp: Hostile, known: Known, cast: Cast) -> None:
    provider = known(company=cast.acme, kind='microsoft', domains=['acme.example'])
    assert is_in(await comes(browser(), idp, provider, email='Ada@Acme.example'))
    await nobody(await comes(browser(), idp, provider, sub='2', email='mel@both.example'))


@pytest.mark.parametrize('who', ['ada', 'ugo', 'mel_bolt', 'tess', 'cleo'])
async def test_a_company_s_provider_speaks_for_its_people_alone(
    browser: Browser, idp: Hostile, known: Known, cast: Cast, who: str
) -> None:
    """Whoever runs Bolt's names people of Acme, Mel of both, staff, somebody of another MSP."""
    someone: Member = getattr(cast, who)
    provider = known(company=cast.bolt, domains=['bolt.example'], default_role='ClientUser')
    await nobody(await comes(browser(), idp, provider, email=someone.email, email_verified=True))


async def test_ada_is_invited_by_bolt_and_stays_hers(browser: Browser, idp: Hostile, known: Known, cast: Cast, sql: Sql) -> None:
    """She belongs to both now; Bolt's provider still does not speak for her. Nor does it after it did alone."""
    provider = known(company=cast.bolt, domains=['bolt.example'])
    bea = browser()
    assert is_in(await comes(bea, idp, provider, email='bea@bolt.example', email_verified=True))
    assert (await bea.get('/client-portal/bolt')).status_code == 200
    for who, company in ((cast.ada, cast.bolt), (cast.bea, cast.acme)):
        sql('insert into membership (id, tenant_id, user_id, company_id, role) values (%s, %s, %s, %s, %s)',
            uuid7(), cast.northwind.id, who.user_id, company.id, 'ClientAdmin')  # fmt: skip
    await nobody(await comes(browser(), idp, provider, sub='2', email='ada@acme.example', email_verified=True))
    assert is_in(
        await comes(browser(), idp, provider, email='bea@bolt.example', email_verified=True)
    )  # of a domain that is Bolt's
    sql("update users set email = 'bea@private.example' where id = %s", cast.bea.user_id)
    await nobody(await comes(browser(), idp, provider, email='bea@bolt.example', email_verified=True))


async def test_joining_a_second_company_ends_what_the_first_one_opened(
    browser: Browser, idp: Hostile, known: Known, cast: Cast, sql: Sql
) -> None:
    ugo = browser()
    assert is_in(await comes(ugo, idp, known(company=cast.acme), email=cast.ugo.email, email_verified=True))
    assert (await ugo.get('/client-portal/acme')).status_code == 200
    sql('insert into membership (id, tenant_id, user_id, company_id, role) values (%s, %s, %s, %s, %s)',
        uuid7(), cast.northwind.id, cast.ugo.user_id, cast.bolt.id, 'ClientUser')  # fmt: skip
    assert (await ugo.get('/client-portal/bolt')).headers['location'].startswith(CLIENT)


@pytest.mark.parametrize('what', [
    'update users set disabled_at = now() where id = %s', 'update membership set ended_at = now() where user_id = %s',
    "update company set archived_at = now() where id in (select company_id from membership where user_id = %s)",
    "update identity_provider set enabled = false where name = 'Directory' and tenant_id = (select tenant_id from users where id = %s)",
])  # fmt: skip
async def test_whoever_is_out_stays_out(browser: Browser, idp: Hostile, known: Known, cast: Cast, sql: Sql, what: str) -> None:
    """Also when it happens while they are at the provider."""
    provider, ada = known(), browser()
    assert is_in(await comes(browser(), idp, provider, **ADA))
    asked = await goes(ada, provider)
    sql(what, cast.ada.user_id)
    idp.claims = dict(ADA)
    assert not is_in(await back(ada, idp, asked))


async def test_people_are_made_once_and_as_said(browser: Browser, idp: Hostile, known: Known, cast: Cast, sql: Sql) -> None:
    provider = known(company=cast.acme, domains=['acme.example'], default_role='ClientBilling')
    browsers = [browser() for _ in range(5)]
    ways = [await goes(b, provider) for b in browsers]

    async def one(at: httpx.AsyncClient, asked: dict[str, str]) -> bool:
        return is_in(
            await at.get('/auth/sso/callback', params={'code': asked['nonce'], 'state': asked['state'], 'iss': idp.issuer})
        )

    idp.claims = {'email': 'nia@acme.example', 'name': 'Nia <b>Weber</b>\u202e'}
    original = idp._token

    outcomes: list[bool] = []
    for at, asked in zip(browsers, ways, strict=True):  # the nonce belongs to each way
        idp.claims['nonce'] = asked['nonce']
        outcomes.append(await one(at, asked))
    assert outcomes == [True] * 5
    assert original
    made = sql('select u.name, u.user_type, m.role, m.company_id from users u join membership m on m.user_id = u.id '
               'where u.email = %s and u.tenant_id = %s', 'nia@acme.example', cast.northwind.id)  # fmt: skip
    assert made == [('Nia <b>Weber</b>', 'client', 'ClientBilling', cast.acme.id)]


async def test_two_first_comings_at_once_make_one_person(known: Known, idp: Hostile, cast: Cast, sql: Sql, portal: Any) -> None:
    provider = known(company=cast.acme, domains=['acme.example'], default_role='ClientUser')
    question = 'select app.sso_enter(:tenant, :provider, :issuer, :subject, :email, true, :name, :fresh)'

    async def first() -> UUID:
        return (await visit.database.ask(question, tenant=cast.northwind.id, provider=provider, issuer=idp.issuer, subject='n',
                                         email='nia@acme.example', name='Nia', fresh=uuid7()))[0]  # fmt: skip

    assert len(set(await asyncio.gather(*(first() for _ in range(6))))) == 1
    assert sql('select count(*) from users where email = %s and tenant_id = %s', 'nia@acme.example', cast.northwind.id) == [(1,)]


@pytest.mark.parametrize('role', ['ClientAdmin', 'MspAdmin', 'Technician'])
def test_nobody_is_made_an_admin(known: Known, cast: Cast, role: str) -> None:
    import psycopg

    with pytest.raises(psycopg.errors.CheckViolation):
        known(company=cast.acme, default_role=role)


async def test_a_provider_with_another_issuer_is_another_one(
    browser: Browser, idp: Hostile, known: Known, cast: Cast, sql: Sql
) -> None:
    """Subjects of the old one mean nothing at the new one."""
    provider = known()
    sql("insert into identity (id, tenant_id, provider_id, user_id, issuer, subject, linked_by) values (%s, %s, %s, %s, 'https://old.example', 's-1', 'staff')",
        uuid7(), cast.northwind.id, provider, cast.ada.user_id)  # fmt: skip
    await nobody(await comes(browser(), idp, provider, email='zoe@zoe.example', email_verified=True))


# ---------- the doors ----------


async def test_the_doors_offer_what_is_set_up(browser: Browser, known: Known, cast: Cast) -> None:
    assert 'Directory' not in (await browser().get(CLIENT)).text
    provider = known()
    page = (await browser().get(CLIENT + '?next=/client-portal/acme')).text
    assert f'/auth/sso/{provider}/start?next=%2Fclient-portal%2Facme' in page
    assert page.index('Sign in with Directory') < page.index('name="password"')
    assert 'Directory' not in (await browser().get(STAFF)).text
    assert 'Directory' not in (await browser(host=cast.southgate.host).get(CLIENT)).text
    known(company=cast.acme, name='Acme account')
    page = (await browser().get(CLIENT)).text
    assert 'Sign in with your company' in page
    assert 'Acme account' not in page  # who the clients are is nobody's business


async def test_a_company_is_found_by_domain_and_tells_no_account(browser: Browser, known: Known, cast: Cast) -> None:
    provider = known(company=cast.acme, domains=['acme.example'])
    answers = [
        await browser().post('/auth/client-portal/company', data={'email': email})
        for email in ('ada@acme.example', 'zoe@acme.example')
    ]
    assert [a.headers['refresh'].split('?')[0] for a in answers] == [f'0; url=/auth/sso/{provider}/start'] * 2
    answer = await browser().post('/auth/client-portal/company', data={'email': 'bea@bolt.example'})
    assert (answer.status_code, 'refresh' in answer.headers) == (404, False)


@pytest.fixture
def acme_only(known: Known, cast: Cast, sql: Sql) -> UUID:
    provider = known(company=cast.acme)
    sql('insert into sso_only (id, tenant_id, company_id, created_by_id) values (%s, %s, %s, %s)', uuid7(), cast.northwind.id, cast.acme.id,
        cast.mona.user_id)  # fmt: skip
    return provider


async def test_by_the_provider_only(browser: Browser, idp: Hostile, acme_only: UUID, cast: Cast, questions: list[str]) -> None:
    wrong, unknown = (
        await sign_in(browser(), cast.ada.email, 'not-her-password'),
        await sign_in(browser(), 'zoe@acme.example', PASSWORD),
    )
    assert wrong.status_code == unknown.status_code == 401
    assert 'Sign in through your company' not in wrong.text + unknown.text  # before the right password nothing is told
    right = await sign_in(browser(), cast.ada.email, PASSWORD)
    assert (right.status_code, is_in(right)) == (403, False)
    assert f'/auth/sso/{acme_only}/start' in right.text
    assert (await browser(cast.ada).get('/client-portal/acme')).status_code == 303  # what was opened before has ended
    assert is_in(await sign_in(browser(), cast.bea.email, PASSWORD))
    assert is_in(await comes(browser(), idp, acme_only, **ADA))


async def test_no_page_at_all_opens_another_session(acme_only: UUID, cast: Cast, portal: Any) -> None:
    """The database has the last word: passkeys, invitations, whatever comes."""
    question = 'select app.open_session(:token, :tenant, :user, :device, :proofs, null)'
    for proofs, opened in ((['passkey'], False), (['password', 'totp'], False), (['sso'], True)):
        row = await visit.database.ask(
            question, token=uuid7().bytes * 2, tenant=cast.northwind.id, user=cast.ada.user_id, device='x', proofs=proofs
        )
        assert row[0] is opened


async def test_who_joins_later_comes_by_the_provider(browser: Browser, acme_only: UUID, cast: Cast, sql: Sql) -> None:
    """What Bea opened with a password ends when she belongs to Acme too."""
    bea = browser()
    assert is_in(await sign_in(bea, cast.bea.email, PASSWORD))
    assert (await bea.get('/client-portal/bolt')).status_code == 200
    sql('insert into membership (id, tenant_id, user_id, company_id, role) values (%s, %s, %s, %s, %s)',
        uuid7(), cast.northwind.id, cast.bea.user_id, cast.acme.id, 'ClientUser')  # fmt: skip
    for path in ('/client-portal/bolt', '/client-portal/acme'):
        assert (await bea.get(path)).headers['location'].startswith(CLIENT)


async def test_when_the_provider_is_on_again_passwords_have_had_their_time(
    browser: Browser, acme_only: UUID, cast: Cast, sql: Sql
) -> None:
    sql('update identity_provider set enabled = false where id = %s', acme_only)
    ada = browser()
    assert is_in(await sign_in(ada, cast.ada.email, PASSWORD))
    sql('update identity_provider set enabled = true where id = %s', acme_only)
    assert (await ada.get('/client-portal/acme')).headers['location'].startswith(CLIENT)


async def test_without_a_provider_passwords_count_again(browser: Browser, acme_only: UUID, cast: Cast, sql: Sql) -> None:
    sql('update identity_provider set enabled = false where id = %s', acme_only)
    assert is_in(await sign_in(browser(), cast.ada.email, PASSWORD))


async def test_one_of_the_staff_keeps_a_way_in(browser: Browser, known: Known, cast: Cast, sql: Sql) -> None:
    known('staff')
    sql('insert into sso_only (id, tenant_id, exempt_id, created_by_id) values (%s, %s, %s, %s)', uuid7(), cast.northwind.id,
        cast.mona.user_id, cast.mona.user_id)  # fmt: skip
    assert is_in(await sign_in(browser(), cast.mona.email, PASSWORD, STAFF))
    assert not is_in(await sign_in(browser(), cast.tess.email, PASSWORD, STAFF))


# ---------- linking, and proving anew ----------


async def test_nobody_links_for_somebody_else(
    browser: Browser, idp: Hostile, known: Known, cast: Cast, settings: Settings, sql: Sql
) -> None:
    """Another site knows no ticket; a ticket is of one session; signed in as another meanwhile it is over."""
    provider, ada = known(), browser(cast.ada)
    assert (await ada.get(f'/auth/sso/{provider}/start', params={'for': 'link'})).status_code == 400
    foreign = start_linking(settings, token_of(cast.bea.cookie), provider, '/client-portal/acme')
    assert (await ada.get(foreign)).status_code == 400
    own = start_linking(settings, token_of(cast.ada.cookie), provider, '/client-portal/acme/settings/security')
    asked = parse_qs(urlsplit((await ada.get(own)).headers['location']).query)
    way = {name: values[0] for name, values in asked.items()}
    ada.cookies.clear()
    ada.cookies.set('portal', cast.bea.cookie)
    idp.claims = {'sub': 'mine', 'email': 'any@any.example'}
    assert (await back(ada, idp, way)).status_code == 400
    assert sql('select count(*) from identity where provider_id = %s', provider) == [(0,)]


async def links(browser: Browser, idp: Hostile, settings: Settings, who: Member, provider: UUID, subject: str) -> httpx.Response:
    at = browser(who)
    there = (await at.get(start_linking(settings, token_of(who.cookie), provider, who.root))).headers['location']
    idp.claims = {'sub': subject, 'email': 'any@any.example'}
    return await back(at, idp, {name: values[0] for name, values in parse_qs(urlsplit(there).query).items()})


async def test_an_account_is_one_person_s(
    browser: Browser, idp: Hostile, known: Known, cast: Cast, settings: Settings, sql: Sql
) -> None:
    provider = known()
    assert (await links(browser, idp, settings, cast.ada, provider, 'a')).status_code == 303
    assert (await links(browser, idp, settings, cast.bea, provider, 'a')).status_code == 409
    assert (await links(browser, idp, settings, cast.ada, provider, 'b')).status_code == 409  # she has one there
    sql("update session set proved_at = now() - interval '1 hour' where user_id = %s", cast.bea.user_id)
    assert (await links(browser, idp, settings, cast.bea, provider, 'c')).status_code == 409  # whoever sits at her open page
    assert sql('select user_id, subject from identity where provider_id = %s', provider) == [(cast.ada.user_id, 'a')]
    assert sql("select kind from mail_outbox where to_user_id = %s and kind like 'identity%%'", cast.ada.user_id) == [
        ('identity_linked',)
    ]
    assert is_in(await comes(browser(), idp, provider, sub='a'))


@pytest.mark.parametrize(('ago', 'fresh'), [(60, True), (3600, False), (None, False), (1e300, False), (-3600, True)])
async def test_a_sign_in_is_as_fresh_as_the_provider_says(
    browser: Browser, idp: Hostile, known: Known, cast: Cast, sql: Sql, ago: Any, fresh: bool
) -> None:
    """Whoever was signed in there since Monday has proved nothing now, and is sent there once more before a delicate action."""
    ada = browser()
    since = time.time() - ago if isinstance(ago, int | float) else ago
    assert is_in(await comes(ada, idp, known(), **ADA, auth_time=since))
    proved = sql("select proved_at > now() - interval '15 minutes', proved_at <= now() from session where user_id = %s and proofs = '{sso}'",
                 cast.ada.user_id)  # fmt: skip
    assert proved == [(fresh, True)]


async def test_who_comes_by_a_provider_confirms_there(browser: Browser, idp: Hostile, acme_only: UUID, cast: Cast) -> None:
    """And not by the password that is no way in any more."""
    ada = browser()
    assert is_in(await comes(ada, idp, acme_only, **ADA))
    page = (await ada.get('/auth/confirm', params={'next': '/client-portal/acme/settings/security'})).text
    assert f'/auth/sso/{acme_only}/start?next=%2Fclient-portal%2Facme%2Fsettings%2Fsecurity&amp;for=confirm' in page
    assert 'name="password"' not in page
    assert 'Use your password' not in page


@pytest.mark.parametrize('counts', [True, False])
async def test_a_rule_says_whether_a_provider_is_enough(
    browser: Browser, idp: Hostile, known: Known, cast: Cast, sql: Sql, counts: bool
) -> None:
    sql('delete from factor_rule where tenant_id = %s', cast.northwind.id)
    sql("insert into factor_rule (id, tenant_id, user_type, company_id, from_on, sso_counts, made_by_id) values (%s, %s, 'client', %s, current_date - 9, %s, %s)",
        uuid7(), cast.northwind.id, cast.acme.id, counts, cast.mona.user_id)  # fmt: skip
    answer = await comes(browser(), idp, known(), **ADA)
    assert (answer.status_code, is_in(answer)) == (303, counts)
    if not counts:
        assert answer.headers['location'] in ('/auth/client-portal/set-up', '/auth/client-portal/second')


@pytest.mark.parametrize(('claims', 'good'), [
    ({'auth_time': 30}, True), ({'auth_time': -3600}, False), ({}, False), ({'auth_time': 'now'}, False),
    ({'auth_time': 30, 'sub': 'somebody'}, False),
])  # fmt: skip
async def test_a_proof_must_be_fresh_and_one_s_own(
    browser: Browser, idp: Hostile, known: Known, cast: Cast, sql: Sql, claims: dict[str, Any], good: bool
) -> None:
    provider, ada = known(), browser()
    assert is_in(await comes(ada, idp, provider, **ADA))
    sql("update session set proved_at = now() - interval '1 hour' where user_id = %s", cast.ada.user_id)
    asked = await goes(ada, provider, **{'for': 'confirm', 'next': '/client-portal/acme'})
    assert (asked['prompt'], asked['max_age']) == ('login', '0')
    if isinstance(after := claims.get('auth_time'), int):  # seconds from now
        claims = {**claims, 'auth_time': int(time.time()) + after}
    idp.claims = {**ADA, **claims}
    answer = await back(ada, idp, asked)
    assert (answer.status_code == 303) is good
    fresh = sql("select count(*) from session where user_id = %s and proved_at > now() - interval '1 minute'", cast.ada.user_id)
    assert fresh == [(int(good),)]
