"""From an empty database to a live conversation of real people: nothing of the demo is there."""

import html
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import ready
from tests.browser.portals import Portal

pytestmark = pytest.mark.browser
MONAS, ADAS = 'moss-lantern-quarry-eleven', 'bridge-walnut-piano-seven'


@pytest.fixture
def portal_of_ones_own(tmp_path: Path) -> Iterator[Portal]:
    portal = Portal(tmp_path / 'a folder with spaces')
    portal.folder.mkdir()
    portal.env['PORTAL_DEMO'] = '0'
    portal.up()
    yield portal
    portal.end(signal.SIGINT)


def code_of(portal: Portal) -> str:
    found = re.search(r'with the code\s+(\S+)', (portal.folder / 'output').read_text())
    assert found
    return found[1]


async def test_the_msp_its_first_company_and_its_first_person(portal_of_ones_own: Portal, browser: Browser) -> None:
    portal = portal_of_ones_own
    contexts = [await browser.new_context(base_url=portal.origin) for _ in range(2)]
    mona, ada = [await context.new_page() for context in contexts]
    await mona.goto('/')
    await expect(mona).to_have_url(re.compile('/setup$'))
    await mona.get_by_label('Name of your business').fill('Northwind IT')
    await mona.get_by_label('Time zone').select_option('Europe/Berlin')
    await mona.get_by_label('Your name').fill('Mona Reyes')
    await mona.get_by_label('E-mail').fill('mona@northwind.example')
    await mona.get_by_label('Password', exact=True).fill(MONAS)
    await mona.get_by_label(re.compile('[Cc]ode')).fill(code_of(portal))
    await mona.locator('form button[type=submit]').last.click()
    await expect(mona.get_by_role('heading', level=1)).to_have_text('Queue')
    await ready(mona)

    await mona.goto('/msp/companies/new')
    await ready(mona)
    await mona.get_by_label('Name').fill('Acme Dental')
    await mona.get_by_role('button', name=re.compile('[Aa]dd|[Cc]reate')).last.click()
    await expect(mona.get_by_role('heading', level=1)).to_have_text('Acme Dental')
    await invite(mona, 'Ada Brandt', 'ada@acme.example', 'Client admin')

    await mona.goto('/msp/mail')
    await ready(mona)
    letter = mona.get_by_role('link', name=re.compile('Your access to the client portal'))
    await letter.first.click()
    link = await mona.locator('a[href*="set-new-password"]').first.get_attribute('href')
    assert link
    await ada.goto(html.unescape(link))
    await ada.get_by_label(re.compile('[Pp]assword')).first.fill(ADAS)
    await ada.locator('form button[type=submit]').first.click()
    if '/signin' in ada.url:
        await ada.get_by_label('E-mail').fill('ada@acme.example')
        await ada.get_by_label('Password', exact=True).fill(ADAS)
        await ada.locator('form button[type=submit]').first.click()
    await ada.wait_for_url('**/client-portal/acme-dental')
    await ready(ada)
    await ada.get_by_role('link', name='New ticket').first.click()
    await ada.get_by_label('In one sentence').fill('Our first question')
    await ada.get_by_label('What happens, and since when?').fill('Hello?')
    await ada.get_by_role('button', name=re.compile('Send to')).click()
    await expect(ada.get_by_role('heading', level=1)).to_have_text('Our first question')
    await mona.goto('/msp')
    await ready(mona)
    await mona.get_by_role('link', name='Our first question').click()
    await mona.get_by_label('Reply', exact=True).fill('Welcome.')
    await mona.get_by_role('button', name='Send reply').click()
    await expect(ada.locator('.said').last).to_contain_text('Welcome.')
    assert (await mona.goto('/setup')).status == 404  # type: ignore[union-attr]
    for context in contexts:
        await context.close()


async def invite(page: Page, name: str, email: str, role: str) -> None:
    if await page.locator('.add-person:not([open])').count():
        await page.locator('.add-person > summary').click()
    form = page.locator('form[data-act=add]')
    await form.locator('[name=name]').fill(name)
    await form.locator('[name=email]').fill(email)
    await form.get_by_text(role).first.click()
    await form.locator('button[type=submit]').click()
    await expect(page.get_by_role('table').get_by_text(email)).to_be_visible()
