"""A second factor from setting it up to losing the phone, in a browser."""

import re
import time

import psycopg
import pyotp
import pytest
from playwright.async_api import Page, expect

from portal.db.cast import PASSWORD, Cast
from tests.browser.conftest import PageAs, ready

pytestmark = pytest.mark.browser


async def sign_in(page: Page, email: str) -> None:
    await page.goto('/auth/client-portal/signin')
    await page.get_by_label('E-mail').fill(email)
    await page.get_by_label('Password', exact=True).fill(PASSWORD)
    await page.get_by_role('button', name='Sign in', exact=True).click()


async def set_up(page: Page) -> tuple[pyotp.TOTP, list[str]]:  # pyright: ignore
    """The app, and the recovery codes."""
    await page.goto('/client-portal/acme/settings/security')
    await ready(page)
    await page.get_by_role('link', name='Add an authenticator app').click()
    await expect(page.get_by_role('img', name='QR code for the authenticator app')).to_be_visible()
    app = pyotp.TOTP((await page.locator('.secret').inner_text()).replace(' ', ''))  # pyright: ignore
    await page.get_by_label('Six digits').fill(app.now())
    await page.get_by_label('Call it').fill('Ada’s Pixel')
    await page.get_by_role('button', name='Turn on the second factor').click()
    await expect(page.locator('.codes li')).to_have_count(10)
    async with page.expect_download() as download:
        await page.get_by_role('button', name='Save as text').click()
    saved = (await (await download.value).path()).read_text()
    codes = await page.locator('.codes li').all_inner_texts()
    assert all(code in saved for code in codes)
    await page.get_by_role('button', name='I have put them in a safe place').click()
    await expect(page.get_by_text('10 of 10 left')).to_be_visible()
    return app, codes


async def test_from_setting_it_up_to_losing_the_phone(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    ada = await page_as(cast.ada)
    app, codes = await set_up(ada)
    with psycopg.connect(maintenance, autocommit=True) as c:  # as if some time had passed since
        c.execute('update totp set last_step = 0 where user_id = %s', (cast.ada.user_id,))

    await ada.context.clear_cookies()
    await sign_in(ada, cast.ada.email)
    await expect(ada.get_by_role('heading', level=1)).to_have_text('Is it you, Ada?')
    await ada.goto('/client-portal/acme')  # straight past it
    await expect(ada.get_by_role('heading', level=1)).to_have_text('Sign in')
    await ada.goto('/auth/client-portal/second')
    code = app.now()
    await ada.get_by_label('Six digits from “Ada’s Pixel”').fill(code)
    await ada.get_by_role('button', name='Continue').click()
    await ready(ada)

    await ada.context.clear_cookies()
    await sign_in(ada, cast.ada.email)
    await ada.get_by_label(re.compile('Six digits')).fill(code)
    await ada.get_by_role('button', name='Continue').click()
    await expect(ada.get_by_label(re.compile('Six digits'))).to_have_attribute('aria-invalid', 'true')
    await ada.get_by_role('link', name='Use a recovery code').click()
    await ada.get_by_label('Recovery code').fill(codes[3].lower().replace('-', ' '))
    await ada.get_by_role('button', name='Continue').click()
    await ready(ada)
    await expect(ada.get_by_text('You came in with a recovery code. 9 are left.')).to_be_visible()

    await ada.context.clear_cookies()
    await sign_in(ada, cast.ada.email)
    await ada.goto('/auth/client-portal/second?with=recovery')
    await ada.get_by_label('Recovery code').fill(codes[3])
    await ada.get_by_role('button', name='Continue').click()
    await expect(ada.get_by_label('Recovery code')).to_have_attribute('aria-invalid', 'true')


async def test_before_a_delicate_action_one_proves_it_anew_and_comes_back(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    ada = await page_as(cast.ada)
    app, _codes = await set_up(ada)
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update session set proved_at = now() - interval '16 minutes' where user_id = %s", (cast.ada.user_id,))
    await ada.get_by_role('button', name='Remove Ada’s Pixel').click()
    await expect(ada.get_by_role('heading', level=1)).to_have_text('Is it you, Ada?')
    await ada.get_by_label(re.compile('Six digits')).fill(app.at(int(time.time()) + 30))  # the one that set it up is used
    await ada.get_by_role('button', name='Continue').click()
    await ready(ada)
    await ada.get_by_role('button', name='Remove Ada’s Pixel').click()
    await ada.get_by_role('dialog').get_by_role('button', name='Remove', exact=True).click()
    await expect(ada.get_by_text('None yet.')).to_be_visible()


async def test_a_password_is_changed_and_other_browsers_are_signed_out(page_as: PageAs, cast: Cast) -> None:
    here, elsewhere = await page_as(cast.ugo), await page_as(cast.ugo)
    await elsewhere.context.clear_cookies()
    await sign_in(elsewhere, cast.ugo.email)
    await ready(elsewhere)
    await here.goto('/client-portal/acme/settings/security')
    await ready(here)
    await here.get_by_role('button', name='Change', exact=True).click()
    await here.get_by_label('Present password').fill(PASSWORD)
    await here.get_by_label('New password').fill('moss-lantern-quarry-eleven')
    await here.get_by_role('button', name='Change password').click()
    await expect(here.get_by_text('Your password is changed.')).to_be_visible()
    await expect(elsewhere.get_by_role('heading', level=1)).to_have_text('Sign in')
    await here.reload()
    await ready(here)
