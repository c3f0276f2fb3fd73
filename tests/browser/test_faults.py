"""What breaks while people work: the database, the portal, the line, the session. Nothing they typed is lost, nothing is done twice."""

import re
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from playwright.async_api import Locator, Page, expect

from portal.db.cast import Cast
from tests.browser import portals
from tests.browser.conftest import ROOT, PageAs, ready
from tests.browser.portals import Portal, SignIn

pytestmark = pytest.mark.browser

AGAIN = 30_000  # milliseconds until everything is as before; the browser tries to reach us every few seconds


started, demo, sign_in = portals.FIXTURES


def field(page: Page) -> Locator:
    return page.get_by_label('Reply', exact=True)


def send(page: Page) -> Locator:
    return page.get_by_role('button', name='Send reply')


def said(page: Page, words: str) -> Locator:
    return page.locator('.said').filter(has_text=words)


def lost(page: Page) -> Locator:
    """The banner that says so."""
    return page.locator('#connection [data-lost]')


def bad_toast(page: Page) -> Locator:
    return page.locator('#toasts .toast[data-kind=bad]')


async def open_ticket(page: Page, label: str) -> None:
    root = '/msp' if '/msp' in page.url else '/client-portal/acme'
    await page.goto(f'{root}/tickets/{label}')
    await ready(page)
    await expect(field(page)).to_be_visible()


def ticket_of_ada(portal: Portal) -> str:
    number = portal.ask(
        "select t.number from ticket t join users u on u.id = t.requester_id where u.email = 'ada@acme.example' "
        "and t.status not in ('closed', 'solved') and t.visibility = 'company' order by t.number desc limit 1"
    )
    return f'T-{number}'


def times(portal: Portal, words: str) -> int:
    return portal.ask('select count(*) from ticket_comment where body = %s', words)


# ---------- the database ----------


async def test_the_database_restarts_between_two_clicks(demo: Portal, sign_in: SignIn) -> None:
    label = ticket_of_ada(demo)
    tess, ada, mona = await sign_in('Tess Okafor'), await sign_in('Ada Brandt'), await sign_in('Mona Reyes')
    await open_ticket(tess, label)
    await open_ticket(ada, label)
    await mona.goto('/msp/mail')
    await ready(mona)
    letters = await mona.locator('main tbody tr').first.get_attribute('data-key')
    await field(tess).fill('Said after the restart')
    demo.restart_database()

    await send(tess).click()
    await expect(said(tess, 'Said after the restart').or_(bad_toast(tess)).first).to_be_visible()
    if await bad_toast(tess).count():
        await expect(field(tess)).to_have_value('Said after the restart')
        await send(tess).click()
        await expect(said(tess, 'Said after the restart')).to_be_visible()
    await expect(field(tess)).to_have_value('')
    assert times(demo, 'Said after the restart') == 1

    await expect(said(ada, 'Said after the restart')).to_be_visible(timeout=AGAIN)  # what was missed is read again
    await field(ada).fill('Thank you, it works')
    await send(ada).click()
    await expect(said(tess, 'Thank you, it works')).to_be_visible(timeout=AGAIN)
    await expect(mona.locator(f'main tbody tr:has-text("{label}")').first).to_contain_text('Kept here', timeout=AGAIN)
    await expect(mona.locator('main tbody tr').first).not_to_have_attribute('data-key', letters or '')


async def test_the_database_is_away_for_a_moment(demo: Portal, sign_in: SignIn) -> None:
    """It is said so, what was typed stays, and the next click sends it."""
    label = ticket_of_ada(demo)
    tess = await sign_in('Tess Okafor')
    await open_ticket(tess, label)
    with demo.without_database():
        await field(tess).fill('Said while it was away')
        await send(tess).click()
        await expect(bad_toast(tess)).to_contain_text('The database cannot be reached right now')
        await expect(field(tess)).to_have_value('Said while it was away')
    await send(tess).click()
    await expect(said(tess, 'Said while it was away')).to_be_visible()
    assert times(demo, 'Said while it was away') == 1


async def test_a_page_asked_for_while_the_database_is_away_says_so(demo: Portal, sign_in: SignIn) -> None:
    tess = await sign_in('Tess Okafor')
    with demo.without_database():
        answer = await tess.goto('/msp/companies')
        assert answer
        assert answer.status == 503
        await expect(tess.get_by_role('heading', level=1)).to_contain_text('cannot reach its database')
    await tess.get_by_role('link', name='Try again').click()
    await expect(tess.get_by_role('heading', level=1)).to_have_text('Companies')


# ---------- the portal ----------


async def test_the_portal_is_killed_and_comes_back(demo: Portal, sign_in: SignIn) -> None:
    label = ticket_of_ada(demo)
    tess = await sign_in('Tess Okafor')
    await open_ticket(tess, label)
    await field(tess).fill('Half a sentence')
    demo.end(signal.SIGKILL)
    await expect(lost(tess)).to_be_visible()
    await field(tess).press_sequentially(' and the rest')
    demo.up()
    await tess.wait_for_function('window.did_handshake && window.socket.connected', timeout=AGAIN)
    await ready(tess)
    await expect(lost(tess)).to_be_hidden()
    await expect(field(tess)).to_have_value('Half a sentence and the rest')
    await send(tess).click()
    await expect(said(tess, 'Half a sentence and the rest')).to_be_visible()
    assert times(demo, 'Half a sentence and the rest') == 1


def test_it_ends_with_its_database_on_ctrl_c(demo: Portal) -> None:
    assert demo.database_processes()
    assert demo.server.socket.is_relative_to(demo.folder)  # it removes the folder of its socket
    before = len(demo.errors())
    assert demo.end(signal.SIGINT) in (0, 130)
    assert not demo.database_processes()
    assert 'Traceback' not in demo.errors()[before:]


def test_a_port_in_use_is_said_in_one_sentence(demo: Portal, tmp_path: Path) -> None:
    """Before anything is started: the database of the running one is left alone."""
    second = subprocess.run(
        [sys.executable, 'app.py'], cwd=ROOT, env={**demo.env, 'PORTAL_DATA_DIR': str(tmp_path)}, capture_output=True,
        text=True, timeout=30,
    )  # fmt: skip
    assert second.returncode == 2
    assert second.stderr == f'PORTAL_PORT {demo.port} on 127.0.0.1 cannot be used: Address already in use.\n'
    assert second.stdout == ''
    assert demo.answers()


async def test_a_change_of_many_tickets_is_cut_short_and_goes_on(demo: Portal, sign_in: SignIn) -> None:
    tess = await sign_in('Tess Okafor')
    await tess.goto('/msp?view=closed')
    await ready(tess)
    await tess.get_by_label('Pick all on this page').check()
    await tess.get_by_role('button', name='Pick all that match').click()
    bar = tess.get_by_role('group', name='The picked ones')
    await bar.get_by_role('button', name='Priority').click()
    await tess.locator('#bulk-priority').get_by_role('button', name='Urgent').click()
    await tess.get_by_role('button', name=re.compile('^Change ')).click()
    await expect(tess.locator('.picking progress')).not_to_have_js_property('value', 0)
    demo.end(signal.SIGKILL)
    done, waiting = demo.ask('select total - cardinality(numbers), cardinality(numbers) from bulk_change')
    assert demo.ask("select count(*) from ticket where priority = 'urgent' and status = 'closed'") >= done > 0 < waiting
    demo.up()
    await expect(tess.get_by_text('A change of')).to_contain_text('was interrupted', timeout=AGAIN)
    await ready(tess)
    await tess.get_by_role('button', name='See and go on').click()
    await expect(tess.get_by_role('dialog')).to_contain_text(f'not yet: {waiting}')
    await tess.get_by_role('button', name='Change the rest').click()
    await expect(tess.get_by_text(re.compile('tickets changed'))).to_be_visible()
    assert demo.ask("""select count(*) from ticket k join tenant t on t.id = k.tenant_id
                       where t.host = 'localhost' and k.status = 'closed' and k.priority <> 'urgent'""") == 0  # fmt: skip
    assert demo.ask('select count(*) from bulk_change') == 0


# ---------- the line, and the session ----------


async def test_the_line_is_lost_and_comes_back(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    """What is sent meanwhile arrives once, after a look at what somebody else has said since."""
    tess, ugo = await page_as(cast.tess), await page_as(cast.ugo)
    for page, who in ((tess, cast.tess), (ugo, cast.ugo)):
        await page.goto(f'{who.root}/tickets/{cast.printer.label}')
        await ready(page)
    await tess.context.set_offline(True)
    await expect(lost(tess)).to_be_visible()
    await field(tess).fill('Sent into the void')
    await send(tess).click()
    await expect(tess.get_by_text('Waiting for the connection')).to_be_visible()
    await ugo.get_by_label('Reply', exact=True).fill('Said meanwhile')
    await send(ugo).click()
    await expect(said(ugo, 'Said meanwhile')).to_be_visible()

    await tess.context.set_offline(False)
    await expect(tess.locator('.answered')).to_contain_text('Said meanwhile', timeout=AGAIN)
    await expect(field(tess)).to_have_value('Sent into the void')
    await tess.get_by_role('button', name='Send anyway').click()
    await expect(said(tess, 'Sent into the void')).to_be_visible(timeout=AGAIN)
    await expect(lost(tess)).to_be_hidden()
    await expect(said(tess, 'Said meanwhile')).to_be_visible()
    await expect(said(ugo, 'Sent into the void')).to_be_visible()
    await expect(field(tess)).to_have_value('')
    with psycopg.connect(maintenance) as connection:
        bodies = connection.execute('select body from ticket_comment where ticket_id = %s', (cast.printer.id,)).fetchall()
    assert [body for (body,) in bodies].count('Sent into the void') == 1


async def test_what_is_typed_without_a_line_is_kept(page_as: PageAs, cast: Cast) -> None:
    tess = await page_as(cast.tess)
    await tess.goto(f'/msp/tickets/{cast.printer.label}')
    await ready(tess)
    await field(tess).fill('Before')
    await tess.context.set_offline(True)
    await expect(lost(tess)).to_be_visible()
    await field(tess).press_sequentially(' and without')
    await tess.context.set_offline(False)
    await expect(tess.locator('#connection [data-back]')).to_be_visible(timeout=AGAIN)
    await expect(field(tess)).to_have_value('Before and without')


async def test_signed_out_in_another_tab(page_as: PageAs, cast: Cast) -> None:
    first = await page_as(cast.ada)
    await first.goto(f'/client-portal/acme/tickets/{cast.printer.label}')
    await ready(first)
    second = await first.context.new_page()
    await second.goto('/client-portal/acme')
    await ready(second)
    await second.locator('[popovertarget=person-menu]').click()
    await second.get_by_role('button', name='Sign out').click()
    await first.wait_for_url('**/auth/client-portal/signin?why=over*', timeout=1000)
    await second.wait_for_url('**/auth/client-portal/signin?why=out', timeout=1000)
    await expect(second.get_by_text('You are signed out.')).to_be_visible()
    await first.go_back()
    await expect(first.get_by_role('heading', level=1)).to_have_text('Sign in')
