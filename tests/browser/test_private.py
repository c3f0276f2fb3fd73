"""A private ticket, from writing it to sharing it and taking it back: who may not see it meets it nowhere."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from portal.db.cast import Cast
from tests.browser.conftest import PageAs, ready

pytestmark = pytest.mark.browser
WORD = 'Zephyrine'


async def go(page: Page, path: str) -> None:
    await page.goto(path)
    await ready(page)


async def test_private_until_it_is_shared(page_as: PageAs, cast: Cast) -> None:
    ada, ugo = await page_as(cast.ada), await page_as(cast.ugo)
    await go(ada, '/client-portal/acme/tickets')
    counted = await ada.locator('nav.tabs').first.inner_text()
    await go(ugo, '/client-portal/acme/tickets/new')
    await expect(ugo.get_by_text(re.compile('Now that is Ada Brandt'))).to_be_visible()
    await ugo.get_by_label('In one sentence').fill(f'{WORD} about my salary')
    await ugo.get_by_label('What happens, and since when?').fill('Nobody else has to know.')
    await ugo.get_by_text('Only the people in it').first.click()
    await ugo.get_by_role('button', name='Send to Northwind').click()
    await expect(ugo.get_by_role('heading', level=1)).to_have_text(f'{WORD} about my salary')
    number = re.search(r'T-\d+', ugo.url)
    assert number
    panel = ugo.locator('.who-sees')
    await expect(panel).to_contain_text('Ugo Marchetti')
    await expect(panel).to_contain_text('whose ticket it is')
    await expect(panel).not_to_contain_text('Ada Brandt')

    # neither in the open list, nor anywhere where one could ask
    assert WORD not in await ada.content()
    for path in ('/tickets', f'/tickets?q={WORD}', '', f'/tickets?q={number[0]}'):
        await go(ada, f'/client-portal/acme{path}')
        assert f'{WORD} about' not in await ada.content()
    await go(ada, '/client-portal/acme/tickets')
    assert await ada.locator('nav.tabs').first.inner_text() == counted
    answer = await ada.goto(f'/client-portal/acme/tickets/{number[0]}')
    assert answer
    assert answer.status == 404
    await go(ada, '/client-portal/acme/tickets')
    await ada.keyboard.press('Control+k')
    await ada.get_by_role('combobox').fill(WORD)
    await expect(ada.locator('#palette-list')).to_have_attribute('data-query', WORD)
    await expect(ada.get_by_role('option', name=re.compile('salary'))).to_have_count(0)
    await ada.keyboard.press('Escape')
    await ada.get_by_role('button', name='Export').click()
    async with ada.expect_download() as download:
        await ada.get_by_role('button', name='CSV').click()
    exported = Path(await (await download.value).path()).read_text()  # noqa: ASYNC240
    assert 'Kyocera' in exported
    assert WORD not in exported
    assert f'{WORD} about' not in await ada.content()  # the bell; her own question stands in the palette

    # one click, and her open list has it; while somebody is at a list nothing in it moves
    await ada.mouse.move(2, 2)
    await ada.evaluate('document.activeElement.blur()')
    await ugo.get_by_role('button', name='Share with a person').click()
    await ugo.locator('#share-with').get_by_role('button', name='Ada Brandt').click()
    await expect(panel).to_contain_text('Ada Brandt')
    row = ada.get_by_role('link', name=re.compile(f'{WORD} about'))
    await expect(row).to_be_visible()
    await row.click()
    await expect(ada.get_by_role('heading', level=1)).to_have_text(f'{WORD} about my salary')
    await expect(ada.locator('.who-sees')).to_contain_text('in copy, added by Ugo Marchetti')
    await expect(ada.get_by_text('Show it to the company')).to_have_count(0)  # that is Ugo's to decide

    # and back
    await panel.get_by_role('button', name=re.compile('Ada Brandt')).click()
    await ada.wait_for_url(re.compile(r'/tickets$'), timeout=5000)
    await expect(ada.get_by_role('link', name=re.compile(f'{WORD} about'))).to_have_count(0)
    await expect(panel).not_to_contain_text('Ada Brandt')


async def test_staff_are_told_when_it_becomes_private(page_as: PageAs, cast: Cast) -> None:
    """Staff who have it open are told that their reading it is logged."""
    ugo, tess = await page_as(cast.ugo), await page_as(cast.tess)
    await go(ugo, f'/client-portal/acme/tickets/{cast.printer.label}')
    await go(tess, f'/msp/tickets/{cast.printer.label}')
    await expect(tess.locator('.who-sees')).not_to_contain_text('audit log')
    await ugo.get_by_text('Make it private').first.click()
    await ugo.get_by_role('button', name='Make it private').click()
    await expect(tess.locator('.who-sees')).to_contain_text('your reading it is in the audit log')
    await expect(tess.get_by_text('Ugo Marchetti made the ticket private')).to_be_visible()
