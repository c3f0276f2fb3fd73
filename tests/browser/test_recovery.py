"""A second factor that has to be there: set up before one comes in, lost and replaced, and nobody locked out by a stranger."""

import re
from typing import Any

import psycopg
from playwright.async_api import Page, expect
from pyotp.totp import TOTP

from portal import links
from portal.db.cast import PASSWORD, Cast, Member
from portal.settings import Settings
from tests.browser.conftest import PageAs, ready
from tests.browser.test_passkeys import NOT_IN_THE_FIELD, device_of, with_passkey


def must_have_one(maintenance: str, cast: Cast, role: str | None = 'ClientAdmin') -> None:
    """Client admins of Northwind, who all came a month ago, need a factor since today."""
    came_long_ago(maintenance, cast)
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute(
            'insert into factor_rule (id, tenant_id, user_type, role, from_on, made_by_id) '
            "values (gen_random_uuid(), %s, 'client', %s, current_date - 1, %s)", (cast.northwind.id, role, cast.mona.user_id),
        )  # fmt: skip


def came_long_ago(maintenance: str, cast: Cast) -> None:
    with psycopg.connect(maintenance, autocommit=True) as c:
        for table in ('users', 'membership'):
            c.execute(  # type: ignore[call-overload]
                f"update {table} set created_at = now() - interval '30 days' where tenant_id = %s "
                "and created_at > now() - interval '29 days'", (cast.northwind.id,),
            )  # fmt: skip


async def password(page: Page, who: Member) -> None:
    await page.context.clear_cookies(name='portal')
    await page.add_init_script(NOT_IN_THE_FIELD)
    if 'why=recovery' not in page.url:
        await page.goto('/auth/msp/signin' if who.side == 'staff' else '/auth/client-portal/signin')
    await page.get_by_label('E-mail').fill(who.email)
    await page.get_by_label('Password', exact=True).fill(PASSWORD)
    await page.get_by_role('button', name=re.compile('^Sign in( as staff)?$')).click()


async def test_a_passkey_is_set_up_before_one_comes_in(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    must_have_one(maintenance, cast)
    page = await page_as(cast.ada)
    await device_of(page)
    await page.goto('/client-portal/acme')  # she is signed in, and it does not count any more
    await page.wait_for_url('**/auth/client-portal/signin*')
    await password(page, cast.ada)
    await page.wait_for_url('**/auth/client-portal/set-up')
    await page.goto('/client-portal/acme')  # there is no session yet
    await page.wait_for_url('**/auth/client-portal/signin*')
    await page.goto('/auth/client-portal/set-up')
    await page.get_by_role('button', name='Set up a passkey').click()
    await page.wait_for_url('**/client-portal/acme')
    await ready(page)


async def test_or_an_app(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    must_have_one(maintenance, cast)
    page = await page_as(host=cast.ada.host)
    await password(page, cast.ada)
    await page.get_by_text('Or use an app with codes').click()
    secret = (await page.locator('.copyable code').inner_text()).replace(' ', '')
    await page.get_by_label('Six digits').fill('123')
    await page.keyboard.press('Enter')
    await expect(page.get_by_text('These are not the digits')).to_be_visible()
    assert (await page.locator('.copyable code').inner_text()).replace(' ', '') == secret
    await page.get_by_label('Six digits').fill(TOTP(secret).now())
    await page.keyboard.press('Enter')
    await expect(page.locator('.codes li')).to_have_count(10)
    await page.get_by_role('link', name='I have put them in a safe place').click()
    await page.wait_for_url('**/client-portal/acme')
    await ready(page)


async def test_a_page_that_is_open_leaves_at_its_next_event(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    came_long_ago(maintenance, cast)  # whose role changes has their pages loaded anew, and that is not looked at here
    page = await page_as(cast.ada)
    await page.goto('/client-portal/acme/settings')
    await ready(page)
    must_have_one(maintenance, cast)
    await page.get_by_label('Name').fill('Ada B.')
    await page.get_by_role('button', name='Save changes').click()
    await page.wait_for_url('**/auth/client-portal/signin*')


async def test_second_factor_after_the_password(page_as: PageAs, cast: Cast) -> None:
    page, _device = await with_passkey(page_as, cast.ugo)
    await password(page, cast.ugo)
    await page.wait_for_url('**/auth/client-portal/second*')
    await page.get_by_role('button', name='Use a passkey').click()
    await page.wait_for_url('**/client-portal/acme')


async def test_who_has_one_sets_up_none_at_the_door(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    """The password alone, known to a thief, does not get around the second step by another address."""
    must_have_one(maintenance, cast, role=None)
    _page, _device = await with_passkey_at_bolt(page_as, cast, maintenance)
    thief = await page_as(host=cast.bea.host)
    await password(thief, cast.bea)
    await thief.wait_for_url('**/auth/client-portal/second*')
    await thief.goto('/auth/client-portal/set-up')
    await thief.wait_for_url('**/auth/client-portal/signin*')


async def with_passkey_at_bolt(page_as: PageAs, cast: Cast, maintenance: str) -> tuple[Page, Any]:
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update session set proofs = '{sso}' where user_id = %s", (cast.bea.user_id,))
    return await with_passkey(page_as, cast.bea)


async def test_confirmed_by_a_passkey(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    """The proof has grown old: it is given anew, and one is back where one was."""
    page, _device = await with_passkey(page_as, cast.ada)
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update session set proved_at = now() - interval '1 hour' where user_id = %s", (cast.ada.user_id,))
    await page.get_by_role('button', name=re.compile('^Remove ')).click()
    await page.get_by_role('button', name='Remove', exact=True).last.click()
    await page.wait_for_url('**/auth/confirm*')
    await page.get_by_role('button', name='Use a passkey').click()
    await page.wait_for_url('**/client-portal/acme/settings/security')
    await ready(page)
    await page.get_by_role('button', name=re.compile('^Remove ')).click()
    await page.get_by_role('button', name='Remove', exact=True).last.click()
    await expect(page.locator('#passkeys li')).to_have_count(0)


async def test_lost_helped_and_replaced(page_as: PageAs, cast: Cast, maintenance: str, settings: Settings) -> None:
    """Mona has spoken to Ugo: he gets the link, and with it and his password sets up a new passkey; the old one ends."""
    old, device = await with_passkey(page_as, cast.ugo)
    mona = await page_as(cast.mona)
    await mona.goto(f'/msp/people/{cast.ugo.user_id}')
    await ready(mona)
    await mona.get_by_role('button', name='More to do for').click()
    await mona.get_by_role('button', name='Help with a lost factor').click()
    await mona.get_by_label('What has happened?').fill('Phone lost, called from the practice')
    await mona.get_by_label(re.compile('I have spoken to')).check()
    await mona.get_by_role('button', name=re.compile('^Write to')).click()
    await expect(mona.get_by_text('Help with a lost factor is under way.')).to_be_visible()
    await old.add_init_script(NOT_IN_THE_FIELD)
    await old.reload()  # nothing has ended yet
    await ready(old)
    await expect(old.locator('#passkeys li')).to_have_count(1)

    page = await page_as(host=cast.ugo.host)
    await device_of(page)
    token = links.recovery_token(settings, recovery_of(maintenance, cast.ugo), 'use')
    await page.goto(f'/auth/recovery?token={token}')
    await page.get_by_role('button', name='Go on').click()
    await password(page, cast.ugo)
    await page.wait_for_url('**/auth/client-portal/set-up')
    await page.get_by_role('button', name='Set up a passkey').click()
    await page.wait_for_url('**/client-portal/acme')
    await page.goto('/client-portal/acme/settings/security')
    await expect(page.locator('#passkeys li')).to_have_count(1)

    await old.wait_for_url('**/auth/client-portal/signin*')  # signed out everywhere else
    await old.goto('/auth/client-portal/signin')
    assert len(await device.keys()) == 1
    await old.get_by_role('button', name='Sign in with a passkey').click()
    await expect(old.get_by_text('This passkey opens nothing here.')).to_be_visible()
    await page.goto(f'/auth/recovery?token={token}')
    await expect(page.get_by_text('It was used already.')).to_be_visible()


async def test_a_stranger_locks_nobody_out(page_as: PageAs, cast: Cast, maintenance: str, settings: Settings) -> None:
    """Somebody has talked Mona into it: Ugo stops it by the first letter, and all he has goes on working."""
    page, _device = await with_passkey(page_as, cast.ugo)
    mona = await page_as(cast.mona)
    await mona.goto(f'/msp/people/{cast.ugo.user_id}')
    await ready(mona)
    await mona.get_by_role('button', name='More to do for').click()
    await mona.get_by_role('button', name='Help with a lost factor').click()
    await mona.get_by_label('What has happened?').fill('Says his phone was stolen')
    await mona.get_by_role('button', name=re.compile('^Write to')).click()
    await expect(mona.get_by_text('Help with a lost factor is under way.')).to_be_visible()
    under_way = recovery_of(maintenance, cast.ugo)

    use = links.recovery_token(settings, under_way, 'use')
    await page.goto(f'/auth/recovery?token={use}')  # not before its time
    await expect(page.get_by_text('Its time has not come yet')).to_be_visible()
    stop = links.recovery_token(settings, under_way, 'stop')
    await page.goto(f'/auth/recovery/stop?token={stop}')
    await page.get_by_role('button', name='I have lost nothing: stop it').click()
    await expect(page.get_by_role('heading', name='It is stopped')).to_be_visible()
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute('update recovery set ready_at = now(), told_at = now() where id = %s', (under_way,))
    await page.goto(f'/auth/recovery?token={use}')
    await expect(page.get_by_text('It was stopped.')).to_be_visible()
    await password(page, cast.ugo)
    await page.get_by_role('button', name='Use a passkey').click()
    await page.wait_for_url('**/client-portal/acme')


def recovery_of(maintenance: str, who: Member) -> Any:
    with psycopg.connect(maintenance) as c:
        row = c.execute(
            'select id from recovery where user_id = %s and stopped_at is null and used_at is null', (who.user_id,)
        ).fetchone()
    assert row
    return row[0]
