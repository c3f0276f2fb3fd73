"""Two browsers of one person: the other one is ended, that was not me, and an end for want of use that loses nothing."""

import re
import time

import psycopg
import pytest
from playwright.async_api import Page, expect

from portal.db.cast import PASSWORD, Cast
from tests.browser.conftest import PageAs, ready

pytestmark = pytest.mark.browser
SECURITY = '/client-portal/acme/settings/security'


async def sign_in(page: Page, cast: Cast, next_: str = '/client-portal/acme') -> None:
    await page.goto(f'/auth/client-portal/signin?next={next_}')
    await page.get_by_label('E-mail').fill(cast.ada.email)
    await page.get_by_label('Password', exact=True).fill(PASSWORD)
    await page.keyboard.press('Enter')
    await ready(page)


async def wakes(page: Page) -> None:
    """The page comes back from where browsers keep pages that were left, without anything else being asked."""
    await page.evaluate('dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }))')


async def test_the_other_one_leaves_within_a_second(page_as: PageAs, cast: Cast) -> None:
    here, other = await page_as(cast.ada), await page_as(None, host=cast.ada.host)
    await here.goto(SECURITY)
    await ready(here)
    await expect(here.get_by_text('You are here')).to_be_visible()
    await sign_in(other, cast)
    await other.locator('nav').first.get_by_role('link', name='Tickets').click()  # a screen that was not loaded
    await other.wait_for_url('**/client-portal/acme/tickets')
    rows = here.locator('#sessions li')
    await expect(rows).to_have_count(2)  # without loading anew
    await rows.nth(1).get_by_role('button', name=re.compile('Sign out')).click()
    begun = time.monotonic()
    await other.wait_for_url(re.compile('/auth/client-portal/signin'), timeout=5000)
    assert time.monotonic() - begun < 5
    assert 'next=%2Fclient-portal%2Facme%2Ftickets' in other.url
    await expect(rows).to_have_count(1)
    await expect(here.get_by_text('You are here')).to_be_visible()


async def test_that_was_not_me(page_as: PageAs, cast: Cast) -> None:
    here, other = await page_as(cast.ada), await page_as(None, host=cast.ada.host)
    await sign_in(other, cast)
    await here.goto(SECURITY)
    await ready(here)
    await here.get_by_role('button', name='That was not me').click()
    await here.get_by_role('button', name='End everything').click()
    for page in (here, other):
        await page.wait_for_url(re.compile('/auth/client-portal/signin'), timeout=5000)
    await here.get_by_label('E-mail').fill(cast.ada.email)
    await here.get_by_label('Password', exact=True).fill(PASSWORD)
    await here.keyboard.press('Enter')
    await expect(here.get_by_text('do not belong together')).to_be_visible()


async def test_an_end_for_want_of_use_is_said_before_and_keeps_what_was_typed(
    page_as: PageAs, cast: Cast, maintenance: str
) -> None:
    def used(minutes: int) -> None:
        with psycopg.connect(maintenance) as c:
            c.execute(
                'update session set last_seen_at = now() - make_interval(mins => %s) where user_id = %s',
                (minutes, cast.ada.user_id),
            )

    page = await page_as(cast.ada)
    ticket = f'/client-portal/acme/tickets/{cast.printer.label}'
    await page.goto(ticket)
    await ready(page)
    async with page.expect_response(lambda answer: answer.request.method == 'POST' and answer.url.endswith('/drafts')):
        await page.get_by_label('Reply', exact=True).fill('A long answer that must not be lost')
    await expect(page.locator('#idle')).to_be_hidden()
    used(479)
    await wakes(page)
    await expect(page.get_by_text('You are signed out in 1 minute.')).to_be_visible()
    await page.get_by_role('button', name='Stay signed in').click()
    await expect(page.locator('#idle')).to_be_hidden()
    used(481)
    await wakes(page)
    await page.wait_for_url(re.compile('/auth/client-portal/signin'), timeout=5000)
    await page.get_by_label('E-mail').fill(cast.ada.email)
    await page.get_by_label('Password', exact=True).fill(PASSWORD)
    await page.keyboard.press('Enter')
    await ready(page)
    assert ticket in page.url
    await expect(page.get_by_label('Reply', exact=True)).to_have_value('A long answer that must not be lost')
