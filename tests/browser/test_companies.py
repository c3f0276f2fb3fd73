"""Companies, people and imports where a browser decides: open pages that leave, a file that is sent, a page one leaves."""

from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.async_api import FilePayload, expect

from portal.db.cast import Cast
from tests.browser.conftest import PageAs, ready

pytestmark = pytest.mark.browser
FILE = 'Kundennr.;Firma;Straße\nK-1;Garden Florist;Gartenweg 3\nK-2;;\n'


async def test_archiving_a_company_empties_its_open_pages(page_as: PageAs, cast: Cast) -> None:
    """Ada has nowhere to go; Mel, who looked at Acme, is at Bolt; Mel's page of Bolt loads anew and stays."""
    ada, mel, mona = await page_as(cast.ada), await page_as(cast.mel_acme), await page_as(cast.mona)
    await ada.goto(f'/client-portal/acme/tickets/{cast.printer.label}')
    await mel.goto('/client-portal/acme')
    await mona.goto('/msp/companies/acme')
    for page in (ada, mel, mona):
        await ready(page)
    await mona.get_by_role('button', name='Archive', exact=True).click()
    await expect(mona.get_by_role('dialog')).to_contain_text('Archive Acme Dental?')
    await mona.get_by_role('button', name='Archive Acme Dental').click()
    await expect(mona.get_by_text('Archived on')).to_be_visible()
    await expect(ada.get_by_role('heading', level=1)).to_have_text('Nothing to see yet')
    await expect(mel.get_by_text('Kyocera')).to_have_count(0)
    await mona.get_by_role('button', name='Bring it back').click()
    await mona.get_by_role('button', name='Bring Acme Dental back').click()
    await expect(mona.get_by_role('button', name='Archive', exact=True)).to_be_visible()
    await ada.goto('/client-portal/acme')
    await ready(ada)


async def test_a_file_becomes_companies_while_one_watches(page_as: PageAs, cast: Cast) -> None:
    mona = await page_as(cast.mona)
    await mona.goto('/msp/companies')
    await ready(mona)
    await mona.get_by_role('link', name='Import').click()
    file = FilePayload(name='kunden.csv', mimeType='text/csv', buffer=FILE.encode('cp1252'))
    spreadsheet = FilePayload(name='kunden.xlsx', mimeType='text/csv', buffer=b'PK\x03\x04')
    await mona.get_by_label('CSV file').set_input_files(spreadsheet)
    await mona.get_by_role('button', name='Upload').click()
    await expect(mona.get_by_label('CSV file')).to_have_attribute('aria-invalid', 'true')
    await mona.get_by_label('CSV file').set_input_files(file)
    await mona.get_by_role('button', name='Upload').click()
    await ready(mona)
    await expect(mona.get_by_role('status').first).to_contain_text('to add')
    await mona.get_by_label('Street and number').select_option(label='Not in the file')
    await expect(mona.get_by_role('columnheader', name='Street and number')).to_have_count(0)
    await mona.get_by_label('Street and number').select_option(label='Straße')
    await expect(mona.get_by_role('cell', name='Gartenweg 3')).to_be_visible()
    await mona.get_by_role('button', name='Import 1 row').click()
    await expect(mona.get_by_role('status').first).to_contain_text('added')
    await expect(mona.get_by_text('Import another file')).to_be_visible()
    async with mona.expect_download() as download:
        await mona.get_by_role('link', name='Download all refused rows').click()
    assert (await download.value).suggested_filename == 'refused.csv'
    await mona.goto('/msp/companies/garden-florist')
    await expect(mona.get_by_text('Gartenweg 3')).to_be_visible()


async def test_what_two_edit_at_once_is_asked_about_and_nothing_is_lost(page_as: PageAs, cast: Cast) -> None:
    one, two = await page_as(cast.mona), await page_as(cast.mona)
    for page in (one, two):
        await page.goto('/msp/companies/acme/edit')
        await ready(page)
    await one.get_by_label('City').fill('Hannover')
    await one.get_by_role('button', name='Save').click()
    await one.wait_for_url('**/msp/companies/acme')
    await two.get_by_label('City').fill('Celle')
    await two.get_by_label('Phone').fill('0511 23125 0')
    await two.get_by_role('button', name='Save').click()
    await expect(two.get_by_text('Somebody changed this meanwhile to “Hannover”')).to_be_visible()
    await expect(two.get_by_label('City')).to_have_value('Celle')
    await expect(two.get_by_label('Phone')).to_have_value('0511 23125 0')
    await two.get_by_role('button', name='Save').click()
    await two.wait_for_url('**/msp/companies/acme')
    await expect(two.get_by_text('+49 511 231250')).to_be_visible()
    assert urlsplit(two.url).path == '/msp/companies/acme'


async def test_on_a_phone_long_names_fit_and_a_card_is_one_link(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    name, email = (
        'Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft',
        f'{"a" * 60}@{"b" * 21}.example',
    )
    with psycopg.connect(maintenance, autocommit=True) as connection:
        connection.execute('update company set name = %s where id = %s', (name, cast.acme.id))
        connection.execute('update users set name = %s, email = %s where id = %s', (name, email, cast.bill.user_id))
    mona = await page_as(cast.mona)
    await mona.set_viewport_size({'width': 390, 'height': 844})
    await mona.goto('/msp/companies')
    await ready(mona)
    card = await mona.locator('tr[data-key=acme]').bounding_box()
    assert card
    await mona.mouse.click(card['x'] + card['width'] - 8, card['y'] + card['height'] - 8)
    await mona.wait_for_url('**/msp/companies/acme')
    await expect(mona.get_by_role('heading', level=1)).to_have_text(name)
    for leads_on in (mona.locator(f'tr[data-key="{cast.bill.user_id}"] a.subject'), None):
        assert await mona.evaluate('document.documentElement.scrollWidth') == 390
        if leads_on:
            await leads_on.click()
            await mona.wait_for_url('**/msp/people/*')
            await mona.get_by_role('button', name='More to do for').click()
            await expect(mona.get_by_role('button', name='Disable')).to_be_visible()
    await mona.get_by_role('button', name='Disable').click()
    buttons = mona.get_by_role('dialog').get_by_role('button')
    await expect(buttons).to_have_count(2)
    for button in await buttons.all():
        await expect(button).to_be_in_viewport(ratio=1)
