"""The main path, as people go it: with the mouse, by keyboard alone, on a phone."""

import re

import psycopg
import pytest
from playwright.async_api import Page, Route, expect

from portal.db.cast import SECRET, Cast
from portal.domain.base import uuid7
from tests.browser.conftest import PageAs, ready

pytestmark = pytest.mark.browser


async def go(page: Page, path: str) -> None:
    await page.goto(path)
    await ready(page)


async def test_from_a_new_ticket_to_a_live_answer(page_as: PageAs, cast: Cast) -> None:
    """Ada asks, Tess sees it appear, notes and answers; Ada reads the answer without reloading, and never the note."""
    ada, tess, bea = await page_as(cast.ada), await page_as(cast.tess), await page_as(cast.bea)
    await go(tess, '/msp')
    await go(bea, '/client-portal/bolt/tickets')
    await go(ada, '/client-portal/acme')
    await ada.get_by_role('link', name='New ticket').first.click()
    await ada.get_by_label('In one sentence').fill('The coffee machine blinks')
    await ada.get_by_label('What happens, and since when?').fill('Since **today**.\n\n- red\n- green')
    await ada.get_by_text('Preview', exact=True).click()
    await expect(ada.locator('.markdown-preview strong')).to_have_text('today')
    await ada.get_by_role('button', name='Send to Northwind').click()
    await expect(ada.get_by_role('heading', level=1)).to_have_text('The coffee machine blinks')

    row = tess.get_by_role('row', name=re.compile('The coffee machine blinks'))
    await expect(row).to_be_visible()
    await row.get_by_role('link').click()
    await tess.get_by_role('button', name='Take it').click()
    await expect(tess.get_by_text('Tess Okafor took the ticket')).to_be_visible()
    await expect(ada.get_by_text('Tess Okafor took the ticket')).to_be_visible()
    await tess.get_by_text('Internal note', exact=True).first.click()
    await tess.get_by_label('Reply', exact=True).fill('Sell them a new one')
    await tess.get_by_role('button', name='Save internal note').click()
    await expect(tess.locator('.said.is-note')).to_contain_text('Sell them a new one')
    await tess.get_by_text('Reply to Acme Dental').click()
    await tess.get_by_label('Reply', exact=True).fill('Does it blink **fast**?')
    await tess.get_by_role('button', name='Send reply').click()

    await expect(ada.locator('.said').last).to_contain_text('Does it blink fast?')
    await expect(ada.locator('.ticket-line')).to_contain_text('Waiting for you')
    assert 'Sell them' not in await ada.content()
    await ada.get_by_label('Reply', exact=True).fill('Very.')
    await ada.get_by_role('button', name='Send reply').click()
    await expect(tess.locator('.said').last).to_contain_text('Very.')
    await expect(ada.get_by_label('Reply', exact=True)).to_have_value('')
    assert 'coffee' not in await bea.content()
    for path in (await ada.evaluate('location.pathname'), re.sub('acme', 'bolt', await ada.evaluate('location.pathname'))):
        answer = await bea.goto(path)
        assert answer
        assert answer.status == 404
        assert 'coffee' not in await bea.content()


async def test_by_keyboard_alone(page_as: PageAs, cast: Cast) -> None:
    """Every step with Tab, Enter, Space and the shortcuts; what has the focus is always to be seen."""
    ada = await page_as(cast.ada)
    await go(ada, '/client-portal/acme')
    await tab_to(ada, 'New ticket')
    await ada.keyboard.press('Enter')
    await expect(ada.get_by_role('heading', level=1)).to_have_text('New ticket')
    await tab_to(ada, 'In one sentence')
    await ada.keyboard.type('No sound in room 2')
    await tab_to(ada, 'What happens, and since when?')
    await ada.keyboard.type('Since yesterday.')
    await ada.keyboard.press('Control+Enter')
    await expect(ada.get_by_role('heading', level=1)).to_have_text('No sound in room 2')
    await expect(ada.get_by_role('heading', level=1)).to_be_focused()
    await tab_to(ada, 'Reply')
    await ada.keyboard.type('Also in room 3.')
    await ada.keyboard.press('Control+Enter')
    await expect(ada.locator('.said').last).to_contain_text('Also in room 3.')
    await ada.locator('body').click(position={'x': 5, 'y': 5})
    await ada.keyboard.press('Control+k')
    await ada.keyboard.type('sound')
    await ada.keyboard.press('Enter')
    await expect(ada.get_by_role('link', name='No sound in room 2')).to_be_visible()
    await tab_to(ada, 'No sound in room 2')
    await ada.keyboard.press('Enter')
    await tab_to(ada, 'Close ticket')
    await ada.keyboard.press('Space')
    await expect(ada.get_by_text('Ada Brandt closed the ticket')).to_be_visible()


async def tab_to(page: Page, name: str) -> None:
    """Tab until the thing of this name has the focus; it must show that it has."""
    script = """() => { const e = document.activeElement, l = e.labels?.[0]?.textContent ?? ''; const s = getComputedStyle(e);
        return [(e.getAttribute('aria-label') ?? l) || e.textContent, s.outlineStyle !== 'none' || s.boxShadow !== 'none' ||
                getComputedStyle(e.closest('.composer, .find, .search') ?? e).boxShadow !== 'none']; }"""
    for _step in range(90):
        await page.keyboard.press('Tab')
        words, shows = await page.evaluate(script)
        if words.strip().startswith(name):
            assert shows, f'{name} does not show its focus'
            return
    pytest.fail(f'{name} is not reached by Tab')


async def test_moving_about(page_as: PageAs, cast: Cast) -> None:
    """No page loads inside the frame; back, forward, reload and a shared address lead to the same."""
    tess = await page_as(cast.tess)
    await go(tess, '/msp')
    await tess.evaluate('window.same = true')
    await tess.get_by_role('link', name='Solved').click()
    await expect(tess.get_by_role('link', name='Calendar of room 2')).to_be_visible()
    await tess.get_by_role('link', name='Calendar of room 2').click()
    await expect(tess.get_by_role('heading', level=1)).to_have_text('Calendar of room 2 shows nothing')
    await tess.wait_for_function("document.title.startsWith('T-')")
    here = tess.url
    await tess.go_back()
    await expect(tess.get_by_role('link', name='Calendar of room 2')).to_be_visible()
    assert 'view=done' in tess.url
    await tess.go_back()
    await expect(tess.get_by_role('link', name=re.compile('Kyocera'))).to_be_visible()
    await tess.go_forward()
    await expect(tess.get_by_role('link', name='Calendar of room 2')).to_be_visible()
    assert await tess.evaluate('window.same')
    await go(tess, here)
    await expect(tess.get_by_role('heading', level=1)).to_have_text('Calendar of room 2 shows nothing')


async def test_searching_keeps_the_address_and_the_focus(page_as: PageAs, cast: Cast) -> None:
    tess = await page_as(cast.tess)
    await go(tess, '/msp/tickets')
    field = tess.get_by_role('searchbox', name='Search tickets')
    await field.press_sequentially('scann', delay=20)
    await expect(tess.get_by_role('link', name=re.compile('Handheld'))).to_be_visible()
    await expect(tess.get_by_role('link', name=re.compile('Kyocera'))).to_have_count(0)
    await expect(field).to_be_focused()
    assert 'q=scann' in tess.url
    await tess.reload()
    await ready(tess)
    await expect(tess.get_by_role('searchbox', name='Search tickets')).to_have_value('scann')
    await expect(tess.get_by_role('link', name=re.compile('Handheld'))).to_be_visible()


async def test_mel_changes_the_company_by_a_link(page_as: PageAs, cast: Cast) -> None:
    """Two tabs, two companies, and each shows its own."""
    mel = await page_as(cast.mel_bolt)
    await go(mel, '/client-portal/bolt/tickets')
    assert 'Kyocera' not in await mel.content()
    await mel.locator('button.company').click()
    await mel.locator('#company-menu').get_by_role('link', name='Acme Dental').click()
    await mel.wait_for_url('**/client-portal/acme')
    await ready(mel)
    await expect(mel.locator('.answers')).to_contain_text('Kyocera')
    other = await mel.context.new_page()
    await go(other, '/client-portal/bolt')
    await expect(mel.locator('.answers')).to_contain_text('Kyocera')
    assert 'Kyocera' not in await other.content()


async def test_on_a_phone(page_as: PageAs, cast: Cast) -> None:
    ada = await page_as(cast.ada, viewport={'width': 390, 'height': 844}, has_touch=True, is_mobile=True)
    await go(ada, '/client-portal/acme')
    assert await ada.evaluate('document.documentElement.scrollWidth <= innerWidth')
    await ada.locator('.bottombar').get_by_role('link', name='Tickets').tap()
    await ada.get_by_role('button', name='Sort').tap()
    await ada.get_by_role('link', name='Your turn first').tap()
    await expect(ada.locator('.list-foot')).to_contain_text('your turn first')
    await ada.get_by_role('link', name=re.compile('Kyocera')).tap()
    await expect(ada.get_by_role('heading', level=1)).to_contain_text('Kyocera')
    assert await ada.evaluate('document.documentElement.scrollWidth <= innerWidth')
    await ada.get_by_label('Reply', exact=True).fill('From my phone')
    await ada.get_by_role('button', name='Send reply').tap()
    await expect(ada.locator('.said').last).to_contain_text('From my phone')
    await ada.get_by_role('button', name='More', exact=True).tap()
    await expect(ada.locator('#more-sheet')).to_be_visible()


async def test_what_was_typed_and_taken_back_is_no_draft(page_as: PageAs, cast: Cast) -> None:
    tess = await page_as(cast.tess)
    await go(tess, f'/msp/tickets/{cast.printer.label}')
    await tess.get_by_label('Reply', exact=True).fill('Half a thought')
    await expect(tess.locator('[data-draft-note]')).to_contain_text('Draft saved')
    await tess.get_by_label('Reply', exact=True).fill('')
    await expect(tess.locator('[data-draft-note]')).to_be_hidden()


async def test_what_is_wrong_is_said_and_shown_on_a_phone(page_as: PageAs, cast: Cast) -> None:
    page = await page_as(cast.ada, viewport={'width': 390, 'height': 844})
    await go(page, '/client-portal/acme/tickets/new')
    await page.get_by_role('button', name='Send to').click()
    await expect(page.get_by_text('Say in one sentence what it is about.')).to_be_in_viewport()
    await expect(page.get_by_label('In one sentence')).to_be_focused()
    await go(page, f'/client-portal/acme/tickets/{cast.printer.label}')
    await page.get_by_role('button', name='Send reply').click()
    await expect(page.locator('.composer .wrong')).to_be_visible()
    await expect(page.get_by_label('Reply', exact=True)).to_be_focused()


async def test_a_role_taken_away_takes_effect_on_the_open_page(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    ugo_private = cast.payroll  # Ada's own, private
    mel = await page_as(cast.mel_acme)
    await go(mel, f'/client-portal/acme/tickets/{cast.calendar.label}')
    with psycopg.connect(maintenance) as c:
        c.execute(
            "update membership set role = 'ClientUser' where user_id = %s and company_id = %s",
            (cast.mel_acme.user_id, cast.acme.id),
        )
    await expect(mel.get_by_text('There is nothing here, or it is not yours to see.')).to_be_visible()
    with psycopg.connect(maintenance) as c:
        c.execute(
            'update membership set ended_at = now() where user_id = %s and company_id = %s', (cast.mel_acme.user_id, cast.acme.id)
        )
    await expect(mel.get_by_text('Not found').first).to_be_visible()
    assert ugo_private


async def test_notes_live_for_staff_and_silent_for_clients(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    """A note comes to the colleague's screen; the client's socket receives not one frame."""
    ugo, mona = await page_as(cast.ugo), await page_as(cast.mona)
    frames: list[str] = []
    ugo.on('websocket', lambda ws: ws.on('framereceived', lambda data: frames.append(str(data))))
    await go(ugo, f'/client-portal/acme/tickets/{cast.printer.label}')
    await go(mona, f'/msp/tickets/{cast.printer.label}')
    frames.clear()
    with psycopg.connect(maintenance) as c:
        c.execute(
            """insert into ticket_comment (id, tenant_id, company_id, ticket_id, author_id, body, is_internal)
               values (%s, %s, %s, %s, %s, 'Between us', true)""",
            (uuid7(), cast.northwind.id, cast.acme.id, cast.printer.id, cast.tess.user_id),
        )
    await expect(mona.locator('.said.is-note').last).to_contain_text('Between us')
    assert not [frame for frame in frames if len(frame) > 3], frames  # socket.io's own heartbeat is one sign
    assert SECRET not in await ugo.content()


async def test_hostile_words_stay_words(page_as: PageAs, cast: Cast) -> None:
    """In every field, on every screen that shows them: nothing runs, nothing is interpreted."""
    hostile = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>{{7*7}} ${7*7} `x` </textarea> \' " &amp;'
    ada, tess = await page_as(cast.ada), await page_as(cast.tess)
    await go(ada, '/client-portal/acme/tickets/new')
    await ada.get_by_label('In one sentence').fill(hostile)
    await ada.get_by_label('What happens, and since when?').fill(
        hostile + '\n\n[x](javascript:window.hacked=1) <b onclick=alert(1)>b</b>'
    )
    await ada.get_by_text('Preview', exact=True).click()
    await expect(ada.locator('.markdown-preview')).to_contain_text('<script>window.hacked=1</script>')
    await ada.get_by_role('button', name='Send to Northwind').click()
    await expect(ada.get_by_role('heading', level=1)).to_contain_text('{{7*7}}')
    for page, path in ((ada, '/client-portal/acme'), (ada, '/client-portal/acme/tickets'), (tess, '/msp'), (tess, '/msp?q=7')):
        await go(page, path)
        await expect(page.locator('#main')).to_contain_text('{{7*7}}')
        assert await page.evaluate('window.hacked') is None
    await tess.get_by_role('link', name=re.compile('7')).filter(has_text='{{7*7}}').first.click()
    await expect(tess.get_by_role('heading', level=1)).to_contain_text('<script>')
    assert await tess.evaluate('window.hacked') is None


async def test_what_is_typed_survives(page_as: PageAs, cast: Cast) -> None:
    """A reload, an answer that arrives meanwhile, and a mistake at another field: the words are still there."""
    ada, tess = await page_as(cast.ada), await page_as(cast.tess)
    await go(ada, f'/client-portal/acme/tickets/{cast.printer.label}')
    await ada.get_by_label('Reply', exact=True).fill('Half a sent')
    await ada.reload()
    await ready(ada)
    await expect(ada.get_by_label('Reply', exact=True)).to_have_value('Half a sent')
    await go(tess, f'/msp/tickets/{cast.printer.label}')
    await tess.get_by_label('Reply', exact=True).fill('Meanwhile')
    await tess.get_by_role('button', name='Send reply').click()
    await expect(ada.locator('.said').last).to_contain_text('Meanwhile')
    await expect(ada.get_by_label('Reply', exact=True)).to_have_value('Half a sent')
    await go(ada, '/client-portal/acme/tickets/new')
    await ada.get_by_label('What happens, and since when?').fill('A long story')
    await ada.get_by_role('button', name='Send to Northwind').click()
    await expect(ada.get_by_text('Say in one sentence what it is about.')).to_be_visible()
    await expect(ada.get_by_label('What happens, and since when?')).to_have_value('A long story')


async def test_staff_open_a_ticket_for_a_caller(page_as: PageAs, cast: Cast) -> None:
    tess, ugo = await page_as(cast.tess), await page_as(cast.ugo)
    await go(ugo, '/client-portal/acme/tickets')
    await go(tess, '/msp/tickets/new')
    await tess.get_by_label('Company').select_option('Acme Dental')
    await tess.get_by_label('Who asked?').select_option('Ugo Marchetti')
    await tess.get_by_label('In one sentence').fill('Ugo called: the door is stuck')
    await tess.get_by_label('What happens, and since when?').fill('Since lunch.')
    await tess.get_by_role('button', name='Open ticket').click()
    await expect(tess.get_by_role('heading', level=1)).to_have_text('Ugo called: the door is stuck')
    await expect(ugo.get_by_role('link', name='Ugo called: the door is stuck')).to_be_visible()
    await ugo.get_by_role('link', name='Ugo called: the door is stuck').click()
    await expect(ugo.locator('.people:not(.who-sees)')).to_contain_text('Ugo Marchetti')


async def test_two_technicians_answer_at_once(page_as: PageAs, cast: Cast) -> None:
    """Mona sees that Tess is writing; Tess answers first; Mona is asked once, keeps her words, and sends them. A retry after a
    reload says nothing twice, and Ugo is told of none of it."""
    tess, mona, ugo = await page_as(cast.tess), await page_as(cast.mona), await page_as(cast.ugo)
    for page, root in ((tess, '/msp'), (mona, '/msp'), (ugo, '/client-portal/acme')):
        await go(page, f'{root}/tickets/{cast.printer.label}')
    await tess.get_by_label('Reply', exact=True).press_sequentially('I take care of it')
    await expect(mona.get_by_text('Tess Okafor is writing a reply')).to_be_visible()
    await mona.get_by_label('Reply', exact=True).press_sequentially('Hello Ugo')
    await expect(tess.get_by_text('Mona Reyes is writing a reply')).to_be_visible()
    await tess.get_by_role('button', name='Send reply').click()
    await expect(mona.locator('.said').last).to_contain_text('I take care of it')
    await expect(mona.get_by_text('Tess Okafor is writing a reply')).to_have_count(0)
    await mona.get_by_role('button', name='Send reply').click()
    await expect(mona.locator('.answered')).to_contain_text('I take care of it')
    await expect(mona.get_by_label('Reply', exact=True)).to_have_value('Hello Ugo')
    await mona.get_by_role('button', name='Send anyway').click()
    await expect(mona.locator('.said').last).to_contain_text('Hello Ugo')
    await expect(mona.locator('.answered')).to_have_count(0)
    await expect(mona.get_by_label('Reply', exact=True)).to_have_value('')
    await expect(ugo.locator('.said').last).to_contain_text('Hello Ugo')
    assert 'is writing' not in await ugo.content()


async def test_a_draft_that_was_sent_already_is_not_said_twice(page_as: PageAs, cast: Cast) -> None:
    """The answer got through, but the word of it did not: the draft comes back with the name under which it was sent."""
    ugo = await page_as(cast.ugo)
    await go(ugo, f'/client-portal/acme/tickets/{cast.printer.label}')
    await ugo.get_by_label('Reply', exact=True).press_sequentially('It prints again')
    draft = await ugo.evaluate('JSON.stringify(Object.entries(sessionStorage))')
    await ugo.get_by_role('button', name='Send reply').click()
    await expect(ugo.locator('.said').last).to_contain_text('It prints again')
    await ugo.evaluate('(kept) => { for (const [key, value] of JSON.parse(kept)) sessionStorage.setItem(key, value); }', draft)
    await go(ugo, f'/client-portal/acme/tickets/{cast.printer.label}')
    await expect(ugo.get_by_label('Reply', exact=True)).to_have_value('It prints again')
    await ugo.get_by_role('button', name='Send reply').click()
    await expect(ugo.get_by_label('Reply', exact=True)).to_have_value('')
    await expect(ugo.get_by_text('It prints again')).to_have_count(1)


async def test_bill_is_led_away_when_he_is_taken_out(page_as: PageAs, cast: Cast) -> None:
    ugo, bill = await page_as(cast.ugo), await page_as(cast.bill)
    for page in (ugo, bill):
        await go(page, f'/client-portal/acme/tickets/{cast.salary.label}')
    await ugo.get_by_role('button', name='Take Bill Novak out').click()
    await expect(bill).to_have_url(re.compile('/client-portal/acme/tickets$'))
    await expect(bill.get_by_text(f'You cannot see {cast.salary.label} any more.')).to_be_visible()
    await expect(bill.locator('#main')).not_to_contain_text('salary')


async def test_a_subject_being_typed_is_not_replaced(page_as: PageAs, cast: Cast) -> None:
    tess, ugo = await page_as(cast.tess), await page_as(cast.ugo)
    await go(tess, f'/msp/tickets/{cast.printer.label}')
    await go(ugo, f'/client-portal/acme/tickets/{cast.printer.label}')
    for page, words in ((tess, 'Hers'), (ugo, 'His')):
        await page.get_by_text('Correct the subject').click()
        await page.get_by_label('Subject').fill('')
        await page.get_by_label('Subject').press_sequentially(words)
    await tess.get_by_role('button', name='Change the subject').click()
    await expect(ugo.get_by_role('heading', level=1)).to_have_text('Hers')
    await expect(ugo.get_by_label('Subject')).to_have_value('His')
    await ugo.get_by_role('button', name='Change the subject').click()
    await expect(ugo.get_by_text('Tess Okafor set this to “Hers”')).to_be_visible()
    await ugo.get_by_role('button', name='Set it to “His” all the same').click()
    await expect(tess.get_by_role('heading', level=1)).to_have_text('His')


async def test_the_palette_finds_as_one_types(page_as: PageAs, cast: Cast) -> None:
    """By keyboard alone: words, a typing error, a person, a place; what was typed last is answered last."""
    tess = await page_as(cast.tess)
    await go(tess, '/msp')
    palette = tess.locator('#palette')
    await tess.keyboard.press('Control+k')
    await tess.keyboard.type('kyocrea')
    first = palette.get_by_role('option').first
    await expect(first).to_contain_text('Kyocera at reception')
    await expect(palette).to_contain_text('Showing results for kyocera')
    await expect(first).to_have_attribute('aria-selected', 'true')
    await palette.get_by_role('combobox').fill('lindqvist')
    await expect(palette.get_by_role('group', name='People')).to_contain_text('Bea Lindqvist')
    await palette.get_by_role('combobox').fill('settings')
    await expect(palette.get_by_role('option')).to_have_count(2)
    await tess.keyboard.press('ArrowDown')
    await expect(palette.get_by_role('option').nth(1)).to_have_attribute('aria-selected', 'true')
    await tess.keyboard.press('Enter')
    await expect(palette).to_be_hidden()
    await expect(tess.get_by_role('heading', level=1)).to_have_text('Settings')
    await tess.keyboard.press('Control+k')
    await tess.keyboard.press('Escape')
    await expect(palette).to_be_hidden()


async def test_the_bell(page_as: PageAs, cast: Cast) -> None:
    """What stands under it is read when it opens, also when that is before the scripts have come, and stays true while it is open."""
    ugo, tess = await page_as(cast.ugo), await page_as(cast.tess)
    held: list[Route] = []
    await ugo.route('**/island.js*', lambda route: held.append(route))
    await ugo.goto('/client-portal/acme', wait_until='commit')
    await ugo.locator('#ssr').get_by_role('button', name=re.compile('Notifications')).click()
    await ugo.wait_for_function('document.querySelector("#bell-panel:popover-open")')
    while not held:
        await ugo.wait_for_timeout(20)
    for route in held:
        await route.continue_()
    await ready(ugo)
    panel = ugo.locator('#bell-panel')
    await expect(panel).not_to_contain_text('Loading')
    await go(tess, f'/msp/tickets/{cast.printer.label}')
    await tess.get_by_label('Reply', exact=True).fill('Is it warm?')
    await tess.get_by_role('button', name='Send reply').click()
    newest = panel.get_by_role('link').first
    await expect(newest).to_contain_text(f'Tess Okafor replied on {cast.printer.label}')
    await expect(newest).to_contain_text('(new)')
    await newest.click()
    await expect(ugo.get_by_text('Is it warm?')).to_be_visible()
    await ugo.get_by_role('button', name='Notifications', exact=True).click()
    await expect(panel.get_by_role('link').first).not_to_contain_text('(new)')


async def test_what_came_while_the_page_was_open_counts_as_known(page_as: PageAs, cast: Cast) -> None:
    """Only what arrives after one began to write is shown before one's own words are sent."""
    ugo, tess = await page_as(cast.ugo), await page_as(cast.tess)
    for page, root in ((ugo, '/client-portal/acme'), (tess, '/msp')):
        await go(page, f'{root}/tickets/{cast.printer.label}')
    await ugo.get_by_label('Reply', exact=True).fill('It is warm.')
    await ugo.get_by_role('button', name='Send reply').click()
    await expect(tess.get_by_text('It is warm.')).to_be_visible()
    await tess.get_by_label('Reply', exact=True).fill('Then unplug it.')
    await tess.get_by_role('button', name='Send reply').click()
    await expect(ugo.get_by_text('Then unplug it.')).to_be_visible()
