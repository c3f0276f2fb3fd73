"""Passkeys in a real browser, with an authenticator that Chromium plays."""

from typing import Any

import psycopg
from playwright.async_api import CDPSession, Page, expect

from portal.db.cast import Cast, Member
from tests.browser.conftest import PageAs, ready

OPTIONS = {
    'protocol': 'ctap2', 'ctap2Version': 'ctap2_1', 'transport': 'internal', 'hasResidentKey': True, 'hasUserVerification': True,
    'isUserVerified': True, 'automaticPresenceSimulation': True,
}  # fmt: skip


class Device:
    """The authenticator of one browser."""

    def __init__(self, cdp: CDPSession, id: str) -> None:
        self.cdp, self.id = cdp, id

    async def keys(self) -> list[dict[str, Any]]:
        return (await self.cdp.send('WebAuthn.getCredentials', {'authenticatorId': self.id}))['credentials']

    async def verifies(self, verified: bool) -> None:
        await self.cdp.send('WebAuthn.setUserVerified', {'authenticatorId': self.id, 'isUserVerified': verified})

    async def take(self, key: dict[str, Any]) -> None:
        await self.cdp.send('WebAuthn.addCredential', {'authenticatorId': self.id, 'credential': key})


async def device_of(page: Page) -> Device:
    cdp = await page.context.new_cdp_session(page)
    await cdp.send('WebAuthn.enable')
    return Device(cdp, (await cdp.send('WebAuthn.addVirtualAuthenticator', {'options': OPTIONS}))['authenticatorId'])


async def with_passkey(page_as: PageAs, who: Member) -> tuple[Page, Device]:
    """Signed in, with a passkey made on the screen about security."""
    page = await page_as(who)
    device = await device_of(page)
    await page.goto(f'{who.root}/settings/security')
    await ready(page)
    await page.get_by_role('button', name='Add a passkey').click()
    await expect(page.get_by_text('Your passkey is here.')).to_be_visible()
    return page, device


NOT_IN_THE_FIELD = 'PublicKeyCredential.isConditionalMediationAvailable = async () => false'


async def at_the_door(page: Page, path: str = '/auth/client-portal/signin') -> None:
    """Signed out, and asked to sign in. The authenticator would answer at once what is offered in the field for the address, so this
    browser is one that offers nothing there."""
    await page.context.clear_cookies(name='portal')
    await page.add_init_script(NOT_IN_THE_FIELD)
    await page.goto(path)


async def use_it(page: Page) -> None:
    await page.get_by_role('button', name='Sign in with a passkey').click()


async def test_made_and_enough_alone(page_as: PageAs, cast: Cast) -> None:
    page, device = await with_passkey(page_as, cast.ada)
    await expect(page.locator('#passkeys li')).to_contain_text('not used yet')
    assert len(await device.keys()) == 1
    await at_the_door(page, '/auth/client-portal/signin?next=/client-portal/acme/tickets')
    await use_it(page)
    await page.wait_for_url(lambda url: '?' not in url and url.endswith('/client-portal/acme/tickets'))
    await page.goto('/client-portal/acme/settings/security')
    await expect(page.locator('#passkeys li')).to_contain_text('used')


async def test_offered_in_the_field_for_the_address(page_as: PageAs, cast: Cast) -> None:
    """Without a button: the device answers as soon as somebody chooses it there."""
    page, _device = await with_passkey(page_as, cast.mona)
    await page.context.clear_cookies(name='portal')
    await page.goto('/auth/msp/signin')
    await page.wait_for_url('**/msp')


async def test_no_second_one_on_the_same_device(page_as: PageAs, cast: Cast) -> None:
    page, device = await with_passkey(page_as, cast.ada)
    await page.get_by_role('button', name='Add a passkey').click()
    await expect(page.get_by_text('This device has a passkey of yours already.')).to_be_visible()
    assert len(await device.keys()) == 1


async def test_a_client_s_passkey_does_not_open_the_staff_s_side(page_as: PageAs, cast: Cast) -> None:
    page, _device = await with_passkey(page_as, cast.ada)
    await at_the_door(page, '/auth/msp/signin')
    await use_it(page)
    await expect(page.get_by_text('This passkey opens nothing here.')).to_be_visible()


async def test_a_copy_is_refused_and_the_person_told(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    page, device = await with_passkey(page_as, cast.ada)
    copy = (await device.keys())[0]
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute('update passkey set sign_count = 50 where user_id = %s', (cast.ada.user_id,))
    assert copy['signCount'] < 50
    await at_the_door(page)
    await use_it(page)
    await expect(page.get_by_text('there seems to be a copy of it')).to_be_visible()
    with psycopg.connect(maintenance) as c:
        lines = c.execute(
            "select count(*) from audit where actor_id = %s and action = 'passkey.cloned'", (cast.ada.user_id,)
        ).fetchone()
        jobs = c.execute("select count(*) from jobs.procrastinate_jobs where args ->> 'kind' = 'passkey_cloned' "
                         "and args ->> 'user' = %s", (str(cast.ada.user_id),)).fetchone()  # fmt: skip
    assert lines == (1,)
    assert jobs is not None


async def test_who_is_not_verified_does_not_come_in(page_as: PageAs, cast: Cast) -> None:
    page, device = await with_passkey(page_as, cast.ada)
    await device.verifies(False)
    await at_the_door(page)
    await use_it(page)
    await expect(page.get_by_text('That did not work.')).to_be_visible()


async def test_an_answer_is_good_once_also_in_parallel(page_as: PageAs, cast: Cast) -> None:
    """What the device has signed is sent five times at once: one of them comes in."""
    page, _device = await with_passkey(page_as, cast.ada)
    await at_the_door(page, '/auth/client-portal/forgot-password')  # where nothing is offered by itself
    statuses: list[str] = await page.evaluate("""async () => {
        const options = await (await fetch('/auth/client-portal/passkey-options', {method: 'POST'})).json();
        const made = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)});
        const body = () => new URLSearchParams({credential: JSON.stringify(made)});
        const sent = await Promise.all([1, 2, 3, 4, 5].map(() => fetch('/auth/client-portal/passkey', {method: 'POST', body: body(), redirect: 'manual'})));
        return sent.map((answer) => answer.type === 'opaqueredirect' ? 'in' : String(answer.status));
    }""")
    assert sorted(statuses) == ['401', '401', '401', '401', 'in']


async def test_an_answer_from_another_browser_proves_nothing(page_as: PageAs, cast: Cast) -> None:
    """The challenge belongs to the browser it was made for."""
    page, _device = await with_passkey(page_as, cast.ada)
    await at_the_door(page, '/auth/client-portal/forgot-password')  # where nothing is offered by itself
    said = await page.evaluate("""async () => {
        const options = await (await fetch('/auth/client-portal/passkey-options', {method: 'POST'})).json();
        const made = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)});
        return JSON.stringify(made);
    }""")
    thief = await page_as(host=cast.ada.host)
    await thief.goto('/auth/client-portal/signin')
    status = await thief.evaluate("""async (said) => (await fetch('/auth/client-portal/passkey',
        {method: 'POST', body: new URLSearchParams({credential: said}), redirect: 'manual'})).status""", said)  # fmt: skip
    assert status == 401


async def test_of_another_tenant_it_opens_nothing(page_as: PageAs, cast: Cast) -> None:
    """The browser binds it to the host; and were it taken along, the portal would not know it there."""
    _page, device = await with_passkey(page_as, cast.ada)
    key = {**(await device.keys())[0], 'rpId': cast.southgate.host}
    there = await page_as(host=cast.southgate.host)
    other = await device_of(there)
    await other.take(key)
    await there.goto('/auth/client-portal/forgot-password')
    status = await there.evaluate("""async () => {
        const options = await (await fetch('/auth/client-portal/passkey-options', {method: 'POST'})).json();
        const made = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options)});
        return (await fetch('/auth/client-portal/passkey', {method: 'POST', body: new URLSearchParams({credential: JSON.stringify(made)})})).status;
    }""")
    assert status == 401


async def test_named_and_removed(page_as: PageAs, cast: Cast) -> None:
    page, _device = await with_passkey(page_as, cast.ugo)
    await page.get_by_role('button', name='Rename').click()
    await page.get_by_role('textbox', name='Name').fill('Notebook')
    await page.get_by_role('button', name='Save').click()
    await expect(page.locator('#passkeys li')).to_contain_text('Notebook')
    await page.get_by_role('button', name='Remove Notebook').click()
    await page.get_by_role('button', name='Remove', exact=True).last.click()
    await expect(page.locator('#passkeys li')).to_have_count(0)
    await at_the_door(page)
    await use_it(page)
    await expect(page.get_by_text('This passkey opens nothing here.')).to_be_visible()
