"""Working through the queue: by keyboard, with rows that stay under the hand, and answers that are written already."""

import re

import psycopg
import pytest
from playwright.async_api import expect

from portal.db.cast import Cast
from tests.browser.conftest import PageAs, ready

pytestmark = pytest.mark.browser


async def test_by_keyboard(page_as: PageAs, cast: Cast) -> None:
    """j and k move, x picks, Enter opens, n and r write; none of them while one types."""
    tess = await page_as(cast.tess)
    await tess.goto('/msp?view=turn')
    await ready(tess)
    await tess.keyboard.press('j')
    await expect(tess.get_by_role('link', name=re.compile('Handheld'))).to_be_focused()
    await tess.keyboard.press('x')
    await expect(tess.get_by_text('1 picked')).to_be_visible()
    await expect(tess.get_by_role('link', name=re.compile('Handheld'))).to_be_focused()
    await tess.keyboard.press('a')
    await expect(tess.get_by_role('row', name=re.compile('Handheld'))).to_contain_text('Tess Okafor')
    field = tess.get_by_role('searchbox', name='Search tickets')
    await field.fill('')
    await field.press_sequentially('xn')
    await expect(field).to_have_value('xn')
    await field.fill('')
    await expect(tess.get_by_role('link', name=re.compile('Handheld'))).to_be_visible()
    await field.blur()
    await tess.keyboard.press('?')
    await expect(tess.get_by_role('dialog', name='Keyboard')).to_contain_text('In the queue')
    await tess.keyboard.press('Escape')
    await tess.keyboard.press('j')
    await tess.keyboard.press('n')
    await expect(tess.get_by_role('heading', level=1)).to_have_text(re.compile('Handheld'))
    await expect(tess.get_by_label('Reply', exact=True)).to_be_focused()
    await expect(tess.get_by_role('button', name='Save internal note')).to_be_visible()
    await tess.keyboard.type('arn')
    await expect(tess.get_by_label('Reply', exact=True)).to_have_value('arn')
    await tess.locator('body').click(position={'x': 5, 'y': 5})
    await tess.keyboard.press('r')
    await expect(tess.get_by_role('button', name='Send reply')).to_be_visible()


async def test_no_row_moves_under_the_pointer(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    tess = await page_as(cast.tess)
    await tess.goto('/msp?view=turn')
    await ready(tess)
    row = tess.get_by_role('row', name=re.compile('Kyocera'))
    await row.hover()
    await expect(tess.locator('[data-attended]')).to_be_visible()
    before = await row.bounding_box()
    with psycopg.connect(maintenance) as c:
        c.execute("update ticket set priority = 'urgent', status = 'open' where id = %s", (cast.payroll.id,))
        c.execute("update ticket set status = 'closed', closed_at = now() where id = %s", (cast.scanners.id,))
    news = tess.get_by_role('button', name=re.compile('change'))
    await expect(news).to_be_visible()
    await expect(tess.get_by_role('row', name=re.compile('Handheld'))).to_contain_text('Closed')
    assert await row.bounding_box() == before
    await tess.mouse.move(20, 600)
    await expect(tess.get_by_role('row', name=re.compile('Handheld'))).to_have_count(0)
    await expect(news).to_have_count(0)


async def test_several_are_picked_and_changed(page_as: PageAs, cast: Cast) -> None:
    tess = await page_as(cast.tess)
    await tess.goto('/msp?view=turn')
    await ready(tess)
    await tess.get_by_label(f'Pick {cast.printer.label}').check()
    await tess.get_by_label(f'Pick {cast.payroll.label}').check()
    bar = tess.get_by_role('group', name='The picked ones')
    await expect(bar).to_contain_text('2 picked')
    await bar.get_by_role('button', name='Priority').click()
    await tess.locator('#bulk-priority').get_by_role('button', name='High').click()
    await expect(tess.get_by_text('2 tickets changed.')).to_be_visible()
    await expect(bar).to_have_count(0)
    for name in ('Kyocera', 'payroll'):
        await expect(tess.get_by_role('row', name=re.compile(name))).to_contain_text('High')
        await expect(tess.get_by_label(re.compile(f'Pick {cast.printer.label}'))).not_to_be_checked()


async def test_a_canned_reply_goes_where_the_cursor_is(page_as: PageAs, cast: Cast) -> None:
    tess = await page_as(cast.tess)
    await tess.goto(f'/msp/tickets/{cast.printer.label}')
    await ready(tess)
    field = tess.get_by_label('Reply', exact=True)
    await field.click()
    await tess.keyboard.press('/')
    await expect(tess.get_by_role('searchbox', name='Search replies')).to_be_focused()
    await tess.keyboard.press('Escape')
    await field.fill('Before. After.')
    await field.press('Home')
    for _sign in 'Before. ':
        await field.press('ArrowRight')
    await tess.get_by_role('button', name='Insert a reply').click()
    await expect(tess.get_by_role('searchbox', name='Search replies')).to_be_focused()
    await tess.keyboard.type('rest')
    await tess.keyboard.press('Enter')
    await expect(field).to_have_value(re.compile(r'^Before\. Hello Ugo, please restart it\. .*After\.$'))
    await expect(field).to_be_focused()
