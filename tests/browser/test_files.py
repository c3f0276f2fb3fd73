"""Pictures and drafts, while the line, the portal and the disk fail. Nothing typed is lost, nothing half is kept."""

import base64
import io
import os
import resource
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image
from playwright.async_api import FilePayload, Locator, Page, expect

from tests.browser import portals
from tests.browser.conftest import ROOT, ready
from tests.browser.portals import Portal, SignIn, portal_of_its_own

pytestmark = pytest.mark.browser

AGAIN = 30_000  # milliseconds until everything is as before
PASTE = """(content) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0)), data = new DataTransfer();
  data.items.add(new File([bytes], 'image.png', { type: 'image/png' }));
  document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
}"""
DROP = """([name, content]) => {
  const data = new DataTransfer();
  data.items.add(new File([content], name, { type: 'text/plain' }));
  document.querySelector('h1').dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
NEW = '/client-portal/acme/tickets/new'


started, demo, sign_in = portals.FIXTURES


def screenshot() -> str:
    out = io.BytesIO()
    Image.new('RGB', (640, 400), '#24527a').save(out, 'PNG')
    return base64.b64encode(out.getvalue()).decode()


def text(page: Page) -> Locator:
    return page.get_by_label('What happens, and since when?')


def subject(page: Page) -> Locator:
    return page.get_by_label('In one sentence')


def arrived(page: Page) -> Locator:
    return page.locator('.file[data-state=there]')


def saved(page: Page) -> Locator:
    return page.get_by_text('Draft saved')


async def come_back(page: Page) -> None:
    """To the window, from another device."""
    await page.evaluate("dispatchEvent(new Event('focus'))")


def stored(portal: Portal, *, incoming: bool = False) -> list[Path]:
    folder = portal.folder / 'demo/files'
    return [path for path in folder.rglob('*') if path.is_file() and ('.incoming' in path.parts) == incoming]


async def test_a_screenshot_survives_a_lost_line_and_reaches_the_staff(demo: Portal, sign_in: SignIn) -> None:
    ada = await sign_in('Ada Brandt', NEW, narrow=True)
    await subject(ada).fill('The printer says an error')
    await text(ada).fill('Since this morning.')
    await ada.evaluate(PASTE, screenshot())
    await expect(arrived(ada)).to_be_visible()
    await ada.context.set_offline(True)
    await text(ada).fill('Since this morning. Now the line is gone, too.')
    await expect(ada.get_by_text('Kept in this tab until the connection is back')).to_be_visible()
    await ada.context.set_offline(False)
    await expect(saved(ada)).to_be_visible(timeout=AGAIN)
    await ada.get_by_role('button', name='Send to Northwind').click()
    await ada.wait_for_url('**/tickets/T-*', timeout=AGAIN)

    tess = await sign_in('Tess Okafor', f'/msp/tickets/{ada.url.rsplit("/", 1)[1]}')
    await expect(tess.get_by_text('Now the line is gone, too.')).to_be_visible()
    picture = tess.locator('.picture img')
    await expect(picture).to_be_visible()
    await expect(picture).to_have_js_property('naturalWidth', 640)


async def test_what_two_devices_write_is_both_kept(demo: Portal, sign_in: SignIn) -> None:
    phone, desk = await sign_in('Ada Brandt', NEW, narrow=True), await sign_in('Ada Brandt', NEW)
    await text(phone).fill('From the phone')
    await expect(saved(phone)).to_be_visible()
    await come_back(desk)
    await expect(text(desk)).to_have_value('From the phone')

    await phone.context.set_offline(True)
    await text(phone).fill('From the phone, on the train')
    async with desk.expect_response(lambda answer: answer.request.method == 'POST' and answer.url.endswith('/drafts')):
        await text(desk).fill('From the desk')
    await phone.context.set_offline(False)
    await expect(phone.get_by_text('You wrote something else elsewhere')).to_be_visible(timeout=AGAIN)
    await expect(text(phone)).to_have_value('From the phone, on the train')
    await phone.get_by_role('button', name='Use that').click()
    await expect(text(phone)).to_have_value('From the desk')
    await expect(phone.get_by_text('You wrote something else elsewhere')).to_be_visible()  # and the other way round
    await phone.get_by_role('button', name='Forget it').click()

    await phone.reload()
    await ready(phone)
    await expect(text(phone)).to_have_value('From the desk')
    await expect(phone.get_by_text('You wrote something else elsewhere')).to_be_hidden()
    await text(phone).fill('')
    await expect(saved(phone)).to_be_hidden()
    await come_back(desk)
    await expect(text(desk)).to_have_value('')


async def test_a_note_comes_back_as_a_note(demo: Portal, sign_in: SignIn) -> None:
    """Else it could be sent to the client by mistake."""
    label = demo.ask("select 'T-' || number from ticket where status = 'open' order by number desc limit 1")
    tess = await sign_in('Tess Okafor', f'/msp/tickets/{label}')
    await tess.get_by_text('Internal note', exact=True).first.click()
    await tess.locator('#composer textarea').fill('Only between us')
    await expect(saved(tess)).to_be_visible()
    elsewhere = await sign_in('Tess Okafor', f'/msp/tickets/{label}')
    await expect(elsewhere.locator('#composer textarea')).to_have_value('Only between us')
    await expect(elsewhere.get_by_role('button', name='Save internal note')).to_be_visible()
    await expect(elsewhere.get_by_role('button', name='Send reply')).to_be_hidden()
    await elsewhere.get_by_role('button', name='Save internal note').click()
    await expect(elsewhere.locator('.said.is-note').filter(has_text='Only between us')).to_be_visible()
    await come_back(tess)
    await expect(tess.locator('#composer textarea')).to_have_value('')


async def test_a_ticket_for_a_caller_comes_back_with_who_asked(demo: Portal, sign_in: SignIn) -> None:
    """Who can be chosen depends on the company: the server has to hear of it first."""
    tess = await sign_in('Tess Okafor', '/msp/tickets/new')
    await tess.get_by_label('Company').select_option(label='Acme Dental')
    await tess.get_by_label('Who asked?').select_option(label='Ugo Marchetti')
    async with tess.expect_response(lambda answer: answer.request.method == 'POST' and answer.url.endswith('/drafts')):
        await subject(tess).fill('He called')
    elsewhere = await sign_in('Tess Okafor', '/msp/tickets/new')
    for page in (elsewhere, tess):
        await expect(subject(page)).to_have_value('He called')
        await expect(page.get_by_label('Who asked?').locator('option:checked')).to_have_text('Ugo Marchetti')
        await page.reload()
        await ready(page)
        await expect(subject(page)).to_have_value('He called')
        await expect(page.get_by_label('Who asked?').locator('option:checked')).to_have_text('Ugo Marchetti')


async def slowed(page: Page, bytes_a_second: int) -> None:
    line = await page.context.new_cdp_session(page)
    await line.send('Network.enable')
    await line.send('Network.emulateNetworkConditions', {
        'offline': False, 'latency': 0, 'downloadThroughput': -1, 'uploadThroughput': bytes_a_second,
    })  # fmt: skip


async def test_a_file_can_be_cancelled_and_a_form_waits_for_the_others(demo: Portal, sign_in: SignIn) -> None:
    ada = await sign_in('Ada Brandt', NEW)
    before = len(stored(demo))
    await subject(ada).fill('Two files')
    await text(ada).fill('One is enough.')
    await ada.evaluate(DROP, ['small.txt', 'dropped onto the page'])
    await expect(arrived(ada)).to_have_count(1)
    await slowed(ada, 150_000)
    large = FilePayload(name='large.bin', mimeType='x/y', buffer=os.urandom(600_000))
    await ada.locator('#f-files').set_input_files([large, {**large, 'name': 'too-large.bin', 'buffer': b'x' * 25_000_001}])
    await expect(ada.locator('.file[data-state=failed]')).to_contain_text('Larger than 25 MB')
    await ada.get_by_role('button', name='Remove too-large.bin').click()
    await ada.get_by_role('button', name='Remove large.bin').click()
    await expect(ada.locator('.file')).to_have_count(1)

    await ada.locator('#f-files').set_input_files([{**large, 'name': 'second.bin'}])
    await ada.get_by_role('button', name='Send to Northwind').click()
    await expect(ada.get_by_text('It is sent as soon as the files have arrived.')).to_be_visible()
    await ada.wait_for_url('**/tickets/T-*', timeout=AGAIN)
    await expect(ada.locator('.attachments .file')).to_have_count(2)
    assert len(stored(demo)) == before + 2
    assert stored(demo, incoming=True) == []


async def test_a_disk_that_fills_up_is_said_and_keeps_nothing_half(demo: Portal, sign_in: SignIn) -> None:
    ada = await sign_in('Ada Brandt', NEW)
    before = stored(demo)
    await text(ada).fill('There is a film of it.')
    assert demo.process
    limits = resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE, (500_000, limits[1]))
    try:
        film = FilePayload(name='film.mov', mimeType='video/quicktime', buffer=b'x' * 2_000_000)
        await ada.locator('#f-files').set_input_files([film])
        await expect(ada.locator('.file[data-state=failed]')).to_contain_text('no room left for files at the moment')
        assert stored(demo) == before
        assert stored(demo, incoming=True) == []
        assert demo.ask("select count(*) from file where name = 'film.mov'") == 0
    finally:
        resource.prlimit(demo.process.pid, resource.RLIMIT_FSIZE, limits)
    await ada.get_by_role('button', name='Send film.mov again').click()
    await expect(arrived(ada)).to_be_visible()
    await expect(text(ada)).to_have_value('There is a film of it.')
    await ada.get_by_role('button', name='Remove film.mov').click()
    await text(ada).fill('')


async def begun(demo: Portal, page: Page) -> socket.socket:
    """An upload of theirs of which only the first part is sent."""
    cookies = '; '.join(f'{c["name"]}={c["value"]}' for c in await page.context.cookies())  # type: ignore[typeddict-item]
    line = socket.create_connection(('127.0.0.1', demo.port))
    line.sendall(
        f'POST /client-portal/acme/files?place=new-ticket&name=half.bin HTTP/1.1\r\nHost: localhost:{demo.port}\r\n'
        f'Origin: {demo.origin}\r\nCookie: {cookies}\r\nContent-Length: 5000000\r\n\r\n'.encode()
        + b'x' * 1_000_000
    )
    return line


def received(demo: Portal) -> int:
    """Bytes of files that are on their way."""
    return sum(path.stat().st_size for path in stored(demo, incoming=True))


async def test_the_line_or_the_portal_dies_in_the_middle_of_an_upload(demo: Portal, sign_in: SignIn) -> None:
    ada = await sign_in('Ada Brandt', NEW)
    await text(ada).fill('Before it died')
    await ada.evaluate(PASTE, screenshot())
    await expect(arrived(ada)).to_be_visible()
    before = stored(demo)
    with await begun(demo, ada):
        while not received(demo):
            await ada.wait_for_timeout(20)
    while stored(demo, incoming=True):  # the line was cut: nothing is left of it
        await ada.wait_for_timeout(20)
    half = await begun(demo, ada)
    while not received(demo):
        await ada.wait_for_timeout(20)
    demo.end(signal.SIGKILL)
    with suppress(OSError):
        half.close()
    await text(ada).fill('Before it died, and after')
    assert stored(demo) == before
    assert len(stored(demo, incoming=True)) == 1

    await ada.wait_for_timeout(1100)  # what is younger than a second may have a writer that is about to lock it
    demo.up()
    assert stored(demo, incoming=True) == []
    assert stored(demo) == before
    await ada.wait_for_event('load', timeout=AGAIN)  # the portal no longer knows the page
    await ready(ada)
    await expect(text(ada)).to_have_value('Before it died, and after')
    await expect(arrived(ada)).to_be_visible()
    await subject(ada).fill('It is back')
    await ada.get_by_role('button', name='Send to Northwind').click()
    await ada.wait_for_url('**/tickets/T-*', timeout=AGAIN)
    await expect(ada.locator('.picture img')).to_be_visible()


async def test_a_backup_after_a_kill_in_the_middle_of_an_upload_brings_back_what_was_whole(demo: Portal, sign_in: SignIn) -> None:
    """The portal dies with a half file; its archive goes to another machine, and Ada goes on there with her draft and picture."""
    ada = await sign_in('Ada Brandt', NEW)
    await text(ada).fill('Written before the machine died')
    await ada.evaluate(PASTE, screenshot())
    await expect(arrived(ada)).to_be_visible()
    await expect(saved(ada)).to_be_visible()
    whole = sorted(path.read_bytes() for path in stored(demo))
    half = await begun(demo, ada)
    while not received(demo):
        await ada.wait_for_timeout(20)
    demo.end(signal.SIGKILL)
    with suppress(OSError):
        half.close()
    await ada.context.close()

    def command(portal: Portal, *words: str | Path) -> None:
        done = subprocess.run([sys.executable, '-m', 'portal', *words], cwd=ROOT, env=portal.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    archive = demo.folder / 'after-the-kill.tar'
    command(demo, 'backup', archive)
    with portal_of_its_own(start=False) as other:
        command(other, 'restore', archive)
        assert sorted(path.read_bytes() for path in stored(other)) == whole
        assert stored(other, incoming=True) == []
        other.up()
        page = await (await ada.context.browser.new_context(base_url=other.origin)).new_page()  # type: ignore[union-attr]
        await page.goto('/auth/client-portal/signin')
        await page.get_by_role('button', name='Ada Brandt').click()
        await ready(page)
        await page.goto(NEW)
        await expect(text(page)).to_have_value('Written before the machine died', timeout=AGAIN)
        await expect(arrived(page)).to_have_count(1)
        await subject(page).fill('Sent from the other machine')
        await page.get_by_role('button', name='Send to Northwind').click()
        await page.wait_for_url('**/tickets/T-*', timeout=AGAIN)
        await expect(page.locator('.picture img')).to_have_js_property('naturalWidth', 640)
        await page.context.close()
