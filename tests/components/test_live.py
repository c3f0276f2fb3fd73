"""Islands in a real browser: what one does arrives, and nothing one has typed, opened or chosen is lost."""

import asyncio
import socket
import sys
from pathlib import Path

import httpx
import pytest
from playwright.async_api import async_playwright, expect

pytestmark = pytest.mark.browser

FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking']
CHROMIUM = next((path for path in ('/usr/bin/chromium', '/usr/bin/chromium-browser') if Path(path).exists()), None)


@pytest.fixture(scope='module')
async def address():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    arguments = ('-m', 'uvicorn', 'tests.components.live_app:app', '--port', str(port), '--log-level', 'critical')
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=Path(__file__).parents[2])
    address = f'http://127.0.0.1:{port}'
    async with httpx.AsyncClient() as client:
        for _attempt in range(150):
            try:
                await client.get(f'{address}/told')
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    yield address
    process.terminate()
    await process.wait()


@pytest.fixture(scope='module')
async def chromium():
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest.fixture
async def page(chromium, address):
    context = await chromium.new_context(viewport={'width': 1440, 'height': 900})
    context.set_default_timeout(8000)
    page = await context.new_page()
    await open_page(page, address)
    yield page
    await context.close()


async def open_page(page, address):
    await page.goto(address)
    await page.wait_for_function('window.did_handshake')


async def told(address):
    async with httpx.AsyncClient() as client:
        return (await client.get(f'{address}/told')).json()


async def test_a_click_arrives_with_its_key_and_values(page, address):
    await page.click('#counter')
    await expect(page.locator('#count')).to_have_text('1')
    assert (await told(address))[-1] == {'name': 'count', 'key': 'k1', 'values': {'by': '1'}}


async def test_morphing_keeps_what_one_typed_opened_and_chose(page):
    await page.fill('#f-body', 'typed before')
    await page.check('#ada')
    await page.click('#details summary')
    await page.fill('#f-subject', 'typed now')
    await page.evaluate("document.getElementById('menu').showPopover()")
    await page.focus('#f-subject')
    await page.evaluate("document.getElementById('f-subject').setSelectionRange(1, 3)")
    await page.evaluate("document.getElementById('counter').click()")
    await expect(page.locator('#count')).to_have_text('1')
    assert await page.input_value('#f-subject') == 'typed now'
    assert await page.input_value('#f-body') == 'typed before'
    assert await page.is_checked('#ada')
    assert await page.evaluate("document.getElementById('details').open")
    assert await page.evaluate("document.getElementById('menu').matches(':popover-open')")
    assert await page.evaluate('[document.activeElement.id, document.activeElement.selectionStart]') == ['f-subject', 1]


async def test_a_form_is_sent_once_and_keeps_what_was_wrong(page, address):
    before = len(await told(address))
    await page.fill('#f-body', 'The pages are blank')
    await page.check('#ada')
    await page.check('#bill')
    await page.click('#form [type=submit]')
    await page.evaluate("document.getElementById('form').requestSubmit()")
    await expect(page.locator('#form [type=submit]')).to_have_attribute('aria-busy', 'true')
    await expect(page.locator('#f-subject-wrong')).to_contain_text('Say what it is about.')
    await expect(page.locator('#form [type=submit]')).not_to_have_attribute('aria-busy', 'true')
    assert await page.input_value('#f-body') == 'The pages are blank'
    sent = (await told(address))[before:]
    values = {'subject': '', 'body': 'The pages are blank', 'copy': ['ada', 'bill'], 'secret': ''}
    assert sent == [{'name': 'send', 'key': 'row', 'values': values}]


async def test_ctrl_enter_sends_and_what_has_arrived_is_cleared(page):
    await page.fill('#f-subject', 'Printer')
    await page.fill('#f-body', 'Blank')
    assert await page.evaluate("sessionStorage.getItem('draft:t1')")
    await page.press('#f-body', 'Control+Enter')
    await expect(page.locator('#f-subject')).to_have_value('')
    await expect(page.locator('#f-body')).to_have_value('')
    assert await page.evaluate("sessionStorage.getItem('draft:t1')") is None


async def test_a_draft_survives_a_reload_but_a_password_is_not_kept(page):
    await page.fill('#f-body', 'half a sentence')
    await page.check('#bill')
    await page.fill('#f-secret', 'hunter2')
    await page.reload()
    await expect(page.locator('#f-body')).to_have_value('half a sentence')
    assert await page.is_checked('#bill')
    assert await page.input_value('#f-secret') == ''
    assert 'hunter2' not in await page.evaluate('JSON.stringify(sessionStorage)')


async def test_a_failing_handler_frees_the_button(page):
    await page.click('#failing')
    await page.wait_for_timeout(200)
    await expect(page.locator('#failing')).not_to_have_attribute('aria-busy', 'true')


async def test_typing_is_told_when_one_pauses(page, address):
    await page.fill('#search', 'kyocera')
    await expect(page.locator('#count')).to_have_text('1')
    assert (await told(address))[-1] == {'name': 'search', 'key': None, 'values': {'q': 'kyocera'}}


async def test_what_is_sent_without_a_connection_waits_and_arrives(page, address):
    await page.fill('#f-subject', 'Sent in a tunnel')
    await page.evaluate('window.socket.io.reconnection(false); window.socket.disconnect()')
    await page.click('#form [type=submit]')
    await expect(page.locator('#connection [data-lost]')).to_be_visible()
    await expect(page.locator('#form .waiting')).to_be_visible()
    await page.evaluate('window.socket.connect()')
    await expect(page.locator('#f-subject')).to_have_value('')
    await expect(page.locator('#connection [data-lost]')).to_be_hidden()
    assert (await told(address))[-1]['values']['subject'] == 'Sent in a tunnel'


async def test_the_first_paint_is_adopted(page, address):
    await open_page(page, f'{address}/?painted=true')
    await expect(page.locator('#main #counter')).to_be_visible()
    await expect(page.locator('#counter')).to_have_count(1)
    await page.click('#main #counter')
    await expect(page.locator('#main #count')).to_have_text('1')


async def test_text_of_others_stays_text(page):
    assert await page.inner_text('#hostile') != ''
    await page.click('#counter')
    await expect(page.locator('#count')).to_have_text('1')
    assert await page.evaluate('window.hacked') is None


async def test_the_keyboard_finds_the_search_and_the_theme_is_shown_at_once(page):
    await page.press('body', 'Control+k')
    assert await page.evaluate('document.activeElement.name') == 'q'
    await page.click('.person')
    await page.click('#person-menu [value=dark]')
    await expect(page.locator('html')).to_have_attribute('data-theme', 'dark')
    assert await page.evaluate('getComputedStyle(document.body).backgroundColor') == 'rgb(21, 19, 16)'


@pytest.mark.parametrize('painted', [False, True])
async def test_what_is_added_comes_alone_and_goes_again(page, address, painted):
    """Also back to the very content that was sent last."""
    await page.goto(f'{address}/?painted={painted}')
    await page.wait_for_function('window.did_handshake')
    lines = page.locator('#lines > p')
    for _round in range(2):
        await page.click('#growing')
        await page.click('#growing')
        await expect(lines).to_have_text(['line 0', 'line 1'])
        await page.click('#shrinking')
        await expect(lines).to_have_count(0)
