"""Single sign-on in a real browser, with a certified OpenID provider (npm's `oidc-provider`)."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import psycopg
import pytest
from playwright.async_api import Page, expect

from portal import links, sealing
from portal.db.cast import PASSWORD, Cast, Company
from portal.db.server import Cluster
from portal.domain.base import uuid7
from portal.settings import Settings
from tests.browser.conftest import PageAs, free_port, ready, start_portal
from tests.peers import PROVIDER, node, oidc_provider

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(oidc_provider() is None, reason='npm’s oidc-provider is not here (python -m tests.peers)'),
]
CLIENT, STAFF = '/auth/client-portal/signin', '/auth/msp/signin'
SECRET = 'a-secret-of-the-portal-at-its-provider'
PEOPLE = {
    'ada': {'email': 'ada@acme.example', 'email_verified': True, 'name': 'Ada Brandt'},
    'unproven': {'email': 'ada@acme.example', 'email_verified': False, 'name': 'Ada Brandt'},
    'bea': {'email': 'bea@bolt.example', 'email_verified': True, 'name': 'Bea Lindqvist'},
    'mel': {'email': 'mel@both.example', 'email_verified': True, 'name': 'Mel Duarte'},
    'tess': {'email': 'tess@northwind.example', 'email_verified': True, 'name': 'Tess Okafor'},
    'nia': {'email': 'nia@acme.example', 'email_verified': True, 'name': 'Nia Weber'},
    'stranger': {'email': 'who@nowhere.example', 'email_verified': True, 'name': 'Somebody'},
    'ugo-elsewhere': {'email': 'u.marchetti@holding.example', 'email_verified': True, 'name': 'Ugo Marchetti'},
}


@pytest.fixture(scope='module')
def port(cluster: Cluster) -> Iterator[int]:
    """A portal of this module's own: how often one network begins is counted there."""
    process, port = start_portal(cluster.database, 'PORTAL_DEMO=0')
    yield port
    process.terminate()
    process.wait(20)


class Idp:
    """The provider, and what the portal knows of it."""

    def __init__(self, cast: Cast, settings: Settings, maintenance: str, port: int) -> None:
        self.cast, self.settings, self.maintenance = cast, settings, maintenance
        self.port = free_port()
        self.issuer = f'http://localhost:{self.port}'
        self.redirect = f'http://{cast.northwind.host}:{port}/auth/sso/callback'
        self.process: subprocess.Popen[str] | None = None
        self.sql('delete from sso_only where tenant_id = %s', cast.northwind.id)  # the cast's waits for a provider

    def up(self) -> None:
        self.process = subprocess.Popen(
            [str(node()), str(PROVIDER / 'provider.mjs'), str(self.port), json.dumps(PEOPLE), self.redirect], cwd=oidc_provider(),
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout
        assert self.process.stdout.readline().strip() == 'ready'

    def down(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            assert self.process.stdout
            self.process.stdout.close()
            self.process = None

    def sql(self, question: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.maintenance, autocommit=True) as connection:
            cursor = connection.execute(question, values)  # pyright: ignore[reportArgumentType, reportCallIssue]
            return cursor.fetchall() if cursor.description else []

    def known(self, side: str = 'client', company: Company | None = None, **more: Any) -> UUID:
        """As an MSP admin sets it up and turns it on."""
        id, tenant = uuid7(), self.cast.northwind.id
        row = {'id': id, 'tenant_id': tenant, 'side': side, 'company_id': company.id if company else None, 'kind': 'other',
               'name': 'Directory', 'issuer': self.issuer, 'client_id': 'portal', 'domains': [], 'default_role': None,
               'enabled': True, **more}  # fmt: skip
        names = ', '.join(row)
        self.sql(f'insert into identity_provider ({names}) values ({", ".join(["%s"] * len(row))})', *row.values())
        sealed = sealing.seal(self.settings, sealing.Place('identity_secret', 'sealed', tenant, id), SECRET.encode())
        self.sql('insert into identity_secret (id, tenant_id, sealed) values (%s, %s, %s)', id, tenant, sealed)
        return id


@pytest.fixture
async def idp(cast: Cast, settings: Settings, maintenance: str, port: int) -> AsyncIterator[Idp]:
    made = Idp(cast, settings, maintenance, port)
    made.up()
    yield made
    made.down()


async def as_whom(page: Page, who: str) -> None:
    """At the provider's own form."""
    await page.get_by_label('Who').fill(who)
    await page.get_by_role('button', name='Sign in at the provider').click()


async def comes(page: Page, who: str, door: str = CLIENT, button: str = 'Sign in with Directory') -> None:
    await page.goto(door)
    await page.get_by_role('link', name=button).click()
    await as_whom(page, who)


async def by_company(page: Page, email: str) -> None:
    await page.goto(CLIENT)
    await page.get_by_role('link', name='Sign in with your company').click()
    await page.get_by_label('E-mail at your company').fill(email)
    await page.get_by_role('button', name='Go on').click()


async def nobody(page: Page) -> None:
    """The one page for everybody who may not come in."""
    await expect(page.get_by_role('heading', name='No access with this account')).to_be_visible()
    assert 'portal' not in {cookie.get('name') for cookie in await page.context.cookies()}


# ---------- coming in ----------


async def test_ada_is_known_by_her_verified_address_and_then_by_her_account(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    idp.known()
    ada = await page_as(host=cast.northwind.host)
    await comes(ada, 'ada', f'{CLIENT}?next=/client-portal/acme/tickets')
    await ready(ada)
    assert ada.url.endswith('/client-portal/acme/tickets')
    linked = idp.sql(
        'select user_id, subject, linked_by from identity where tenant_id = %s and issuer = %s', cast.northwind.id, idp.issuer
    )
    assert linked == [(cast.ada.user_id, 'ada', 'email')]
    assert idp.sql("select proofs from session where user_id = %s and proofs = '{sso}'", cast.ada.user_id)
    # her address there is another one now: she is still she
    idp.sql("update users set email = 'a.brandt@acme.example' where id = %s", cast.ada.user_id)
    again = await page_as(host=cast.northwind.host)
    await comes(again, 'ada')
    await ready(again)
    await expect(again.get_by_text('Ada Brandt').first).to_be_visible()


async def test_her_company_is_found_by_her_address(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    idp.known(company=cast.acme, domains=['acme.example'])
    ada = await page_as(host=cast.northwind.host)
    await by_company(ada, 'nobody@elsewhere.example')
    await expect(ada.get_by_text('No company sign-in is set up for addresses of elsewhere.example')).to_be_visible()
    await by_company(ada, 'ada@acme.example')
    await as_whom(ada, 'ada')
    await ready(ada)
    assert '/client-portal/acme' in ada.url


async def test_tess_comes_in_as_staff(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    idp.known('staff')
    tess = await page_as(host=cast.northwind.host)
    await tess.goto(CLIENT)
    await expect(tess.get_by_role('link', name='Sign in with Directory')).to_have_count(0)
    await comes(tess, 'tess', STAFF)
    await ready(tess)
    assert '/msp' in tess.url
    client = await page_as(host=cast.northwind.host)
    await comes(client, 'ada', STAFF)
    await nobody(client)


async def test_nia_is_made_at_her_first_coming(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    idp.known(company=cast.acme, domains=['acme.example'], default_role='ClientUser')
    nia = await page_as(host=cast.northwind.host)
    await by_company(nia, 'nia@acme.example')
    await as_whom(nia, 'nia')
    await ready(nia)
    await expect(nia.get_by_text('Nia Weber').first).to_be_visible()
    made = idp.sql('select m.role, m.company_id from users u join membership m on m.user_id = u.id where u.email = %s and u.tenant_id = %s',
                   'nia@acme.example', cast.northwind.id)  # fmt: skip
    assert made == [('ClientUser', cast.acme.id)]


async def test_ugo_was_linked_in_advance(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    """By Mona, on screen: he has another address there."""
    provider = idp.known(company=cast.acme)
    mona = await page_as(cast.mona)
    await mona.goto(f'/msp/access/sso/{provider}')
    await ready(mona)
    await mona.get_by_text('Link an account in advance').click()
    await mona.get_by_label('Person').select_option(label='Ugo Marchetti')
    await mona.get_by_label('Their address or id at the provider').fill('u.marchetti@holding.example')
    await mona.get_by_role('button', name='Link it').click()
    await expect(mona.get_by_text('not used yet')).to_be_visible()
    ugo = await page_as(host=cast.northwind.host)
    await ugo.goto(f'/auth/sso/{provider}/start')
    await as_whom(ugo, 'ugo-elsewhere')
    await ready(ugo)
    await expect(ugo.get_by_text('Ugo Marchetti').first).to_be_visible()


async def test_nia_is_invited_where_only_the_provider_counts(idp: Idp, cast: Cast, settings: Settings, page_as: PageAs) -> None:
    """She accepts without a password, is led to her company's provider, and her address there is the invited one."""
    idp.known(company=cast.acme)
    invitation = uuid7()
    idp.sql('insert into sso_only (id, tenant_id, company_id, created_by_id) values (%s, %s, %s, %s)', uuid7(), cast.northwind.id,
            cast.acme.id, cast.mona.user_id)  # fmt: skip
    idp.sql("insert into invitation (id, tenant_id, company_id, email, name, role, invited_by_id, expires_at) "
            "values (%s, %s, %s, 'nia@acme.example', 'Nia Weber', 'ClientUser', %s, now() + interval '7 days')",
            invitation, cast.northwind.id, cast.acme.id, cast.mona.user_id)  # fmt: skip
    nia = await page_as(host=cast.northwind.host)
    await nia.goto(f'/auth/invitation?token={links.invitation_token(settings, cast.northwind.id, invitation, 1)}')
    await expect(nia.get_by_label('With Directory')).to_be_checked()
    await expect(nia.get_by_label('Choose a password')).to_have_count(0)
    await nia.get_by_role('button', name='Join Acme Dental').click()
    await as_whom(nia, 'nia')
    await nia.wait_for_url('**/client-portal/acme/welcome')
    await expect(nia.get_by_text('Nia Weber').first).to_be_visible()
    linked = idp.sql(
        "select i.linked_by from identity i join users u on u.id = i.user_id where u.email = 'nia@acme.example' and u.tenant_id = %s",
        cast.northwind.id,
    )
    assert linked == [('email',)]


# ---------- set up ----------


async def test_mona_sets_it_up_and_ada_comes_in(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    mona = await page_as(cast.mona)
    await mona.goto('/msp/access')
    await ready(mona)
    await mona.get_by_role('button', name='Add a provider').click()
    await mona.get_by_role('link', name='Another provider').click()
    await expect(mona.get_by_text(idp.redirect)).to_be_visible()
    await mona.get_by_label('For whom').select_option(label='Acme Dental')
    await mona.get_by_label('Name on the button').fill('Acme account')
    await mona.get_by_label('Issuer').fill(idp.issuer + '/')
    await mona.get_by_label('Client id').fill('portal')
    await mona.get_by_label('Client secret').fill('wrong')
    await mona.get_by_label('Domains of its addresses').fill('acme.example')
    await mona.get_by_role('button', name='Save and check').click()
    await expect(mona.get_by_text('It calls itself by another address')).to_be_visible()
    await mona.get_by_label('Issuer').fill(idp.issuer)
    await mona.get_by_role('button', name='Save and check').click()
    await expect(mona.get_by_text('It does not know the portal by this client id and secret')).to_be_visible()
    await mona.get_by_label('Client secret').fill(SECRET)
    await mona.get_by_role('button', name='Save and check').click()
    await expect(mona.get_by_text('The check went well.')).to_be_visible()
    assert SECRET not in await mona.content()
    await mona.get_by_role('button', name='Turn it on').click()
    await expect(mona.get_by_role('button', name='Turn it off')).to_be_visible()
    ada = await page_as(host=cast.northwind.host)
    await by_company(ada, 'ada@acme.example')
    await as_whom(ada, 'ada')
    await ready(ada)
    assert '/client-portal/acme' in ada.url


# ---------- who does not come in ----------


@pytest.mark.parametrize('who', ['stranger', 'unproven', 'tess'])
async def test_one_page_for_everybody_who_may_not(idp: Idp, cast: Cast, page_as: PageAs, who: str) -> None:
    idp.known()
    page = await page_as(host=cast.northwind.host)
    await comes(page, who)
    await nobody(page)


@pytest.mark.parametrize('what', ['disabled', 'ended'])
async def test_whoever_was_shut_out_meanwhile(idp: Idp, cast: Cast, page_as: PageAs, what: str) -> None:
    idp.known()
    first = await page_as(host=cast.northwind.host)
    await comes(first, 'ada')
    await ready(first)
    if what == 'disabled':
        idp.sql('update users set disabled_at = now() where id = %s', cast.ada.user_id)
    else:
        idp.sql('update membership set ended_at = now() where user_id = %s', cast.ada.user_id)
    page = await page_as(host=cast.northwind.host)
    await comes(page, 'ada')
    await nobody(page)


async def test_the_provider_of_bolt_speaks_for_nobody_of_acme(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    """Whoever runs Bolt's provider names Ada, with a verified address; and Mel, who belongs to both."""
    provider = idp.known(company=cast.bolt, domains=['bolt.example'])
    for who in ('ada', 'mel', 'tess'):
        page = await page_as(host=cast.northwind.host)
        await page.goto(f'/auth/sso/{provider}/start')
        await as_whom(page, who)
        await nobody(page)
    bea = await page_as(host=cast.northwind.host)
    await bea.goto(f'/auth/sso/{provider}/start')
    await as_whom(bea, 'bea')
    await ready(bea)


async def test_a_provider_that_calls_itself_otherwise(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    idp.known(issuer=idp.issuer.replace('localhost', '127.0.0.1'))
    page = await page_as(host=cast.northwind.host)
    await page.goto(CLIENT)
    await page.get_by_role('link', name='Sign in with Directory').click()
    await expect(page.get_by_role('heading', name='That sign-in does not work right now')).to_be_visible()


async def test_what_came_back_once_does_not_come_back_twice(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    """State and code are used up; and they are of no use to another browser."""
    idp.known()
    seen: list[str] = []
    ada = await page_as(host=cast.northwind.host)
    ada.on('request', lambda request: seen.append(request.url) if '/auth/sso/callback' in request.url else None)
    await comes(ada, 'ada')
    await ready(ada)
    assert len(seen) == 1
    thief = await page_as(host=cast.northwind.host)
    for page in (ada, thief):
        await page.goto(seen[0])
        await expect(page.get_by_role('heading', name='This sign-in does not work any more')).to_be_visible()
    await nobody_signed_in(thief)


async def nobody_signed_in(page: Page) -> None:
    assert 'portal' not in {cookie.get('name') for cookie in await page.context.cookies()}


async def test_a_code_of_somebody_else(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    """Put into a way of one's own."""
    provider = idp.known()
    seen: list[str] = []
    ada = await page_as(host=cast.northwind.host)
    ada.on('request', lambda request: seen.append(request.url) if '/auth/sso/callback' in request.url else None)
    await comes(ada, 'ada')
    await ready(ada)
    thief = await page_as(host=cast.northwind.host)
    asked: list[str] = []
    thief.on('request', lambda request: asked.append(request.url) if request.url.startswith(f'{idp.issuer}/auth?') else None)
    await thief.goto(f'/auth/sso/{provider}/start')
    state = parse_qs(urlsplit(asked[0]).query)['state'][0]
    stolen = parse_qs(urlsplit(seen[0]).query)
    await thief.goto('/auth/sso/callback?' + urlencode({'code': stolen['code'][0], 'iss': stolen['iss'][0], 'state': state}))
    await expect(thief.get_by_role('heading', name='You were not signed in')).to_be_visible()
    await nobody_signed_in(thief)


async def test_the_provider_is_down_and_the_password_stays(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    idp.known()
    idp.down()
    page = await page_as(host=cast.northwind.host)
    await page.goto(CLIENT)
    await page.get_by_role('link', name='Sign in with Directory').click()
    await expect(page.get_by_text('Directory cannot be reached right now')).to_be_visible()
    await page.get_by_role('link', name='Back to sign-in').click()
    await page.get_by_label('E-mail').fill(cast.ada.email)
    await page.get_by_label('Password', exact=True).fill(PASSWORD)
    await page.get_by_role('button', name='Sign in', exact=True).click()
    await page.wait_for_url('**/client-portal/acme')


# ---------- only so, linking, proving anew ----------


async def test_acme_comes_in_by_its_provider_only(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    idp.known(company=cast.acme, domains=['acme.example'])
    ada = await page_as(cast.ada)
    await ada.goto('/client-portal/acme')
    await ready(ada)
    mona = await page_as(cast.mona)
    await mona.goto('/msp/access')
    await ready(mona)
    await mona.get_by_label('Who comes in by single sign-on only?').select_option(label='Acme Dental')
    await mona.get_by_role('button', name='Ask for single sign-on').click()
    await expect(mona.get_by_text('Mel Duarte')).to_be_visible()  # of two companies: has no way in yet
    await mona.get_by_role('button', name='Ask for it all the same').click()
    await expect(mona.get_by_role('button', name='Allow passwords')).to_be_visible()
    await ada.wait_for_url('**/signin**')  # her session was opened without the provider
    for password, words in (
        ('wrong-password-for-her', 'E-mail and password do not belong together'),
        (PASSWORD, 'Sign in through your company'),
    ):
        await ada.goto(CLIENT)
        await ada.get_by_label('E-mail').fill(cast.ada.email)
        await ada.get_by_label('Password', exact=True).fill(password)
        await ada.get_by_role('button', name='Sign in', exact=True).click()
        await expect(ada.get_by_text(words).first).to_be_visible()
    await ada.get_by_role('link', name='Go on to that sign-in').click()
    await as_whom(ada, 'ada')
    await ready(ada)
    assert '/client-portal/acme' in ada.url


async def test_mel_links_her_account_and_takes_it_away(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    provider = idp.known(company=cast.bolt)
    mel = await page_as(cast.mel_bolt)
    await mel.goto('/client-portal/bolt/settings/security')
    await ready(mel)
    await mel.get_by_role('button', name='Link now').click()
    await as_whom(mel, 'mel')
    await ready(mel)
    await expect(mel.get_by_text('Directory, mel@both.example')).to_be_visible()
    other = await page_as(host=cast.northwind.host)
    await other.goto(f'/auth/sso/{provider}/start')
    await as_whom(other, 'mel')
    await ready(other)
    await mel.get_by_role('button', name='Unlink').click()
    await expect(mel.get_by_role('button', name='Link now')).to_be_visible()
    assert not idp.sql('select 1 from identity where provider_id = %s', provider)


async def test_ada_proves_anew_who_she_is_at_her_provider(idp: Idp, cast: Cast, page_as: PageAs) -> None:
    provider = idp.known()
    ada = await page_as(host=cast.northwind.host)
    await comes(ada, 'ada')
    await ready(ada)
    idp.sql("update session set proved_at = now() - interval '1 hour' where user_id = %s", cast.ada.user_id)
    for who, good in (('bea', False), ('ada', True)):
        await ada.goto(f'/auth/sso/{provider}/start?for=confirm&next=/client-portal/acme/settings/security')
        await as_whom(ada, who)  # asked, although she is signed in there
        if good:
            await ready(ada)
        else:
            await expect(ada.get_by_role('heading', name='This was not you')).to_be_visible()
        fresh = idp.sql("select 1 from session where user_id = %s and proofs = '{sso}' and proved_at > now() - interval '1 minute'",
                        cast.ada.user_id)  # fmt: skip
        assert bool(fresh) is good
