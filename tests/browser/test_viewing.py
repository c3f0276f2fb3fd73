"""Staff look at the portal as a client does, in a real browser: the banner, what is refused, and how it ends."""

import psycopg
import pytest
from playwright.async_api import Page, expect

from portal.db.cast import Cast
from tests.browser.conftest import PageAs, ready

pytestmark = pytest.mark.browser


async def look(tess: Page, cast: Cast) -> None:
    await tess.goto(f'/msp/people/{cast.ugo.user_id}')
    await ready(tess)
    await tess.get_by_role('link', name='View as Ugo').click()
    await tess.get_by_label('Why').fill('He misses a ticket')
    await tess.get_by_role('button', name='Look as Ugo').click()
    await tess.wait_for_url('**/client-portal/acme')
    await ready(tess)
    await expect(tess.get_by_text('You see what Ugo Marchetti sees.')).to_be_visible()


async def test_from_reason_to_stop(page_as: PageAs, cast: Cast) -> None:
    tess, ada = await page_as(cast.tess), await page_as(cast.ada)
    other = await tess.context.new_page()
    await other.goto('/msp')
    await ready(other)
    await look(tess, cast)
    await expect(tess.get_by_role('link', name='New ticket')).to_have_count(0)
    await tess.get_by_role('link', name='Tickets').first.click()
    await tess.get_by_role('link', name='Kyocera').first.click()
    await expect(tess.get_by_role('heading', level=1)).to_contain_text('Kyocera')
    await expect(tess.get_by_text('You see what Ugo Marchetti sees.')).to_be_visible()
    await expect(tess.get_by_role('button', name='Send reply')).to_have_count(0)
    await other.reload()  # the other tab goes on as staff
    await ready(other)
    await expect(other.get_by_text('You see what')).to_have_count(0)
    await tess.set_viewport_size({'width': 390, 'height': 844})
    await expect(tess.get_by_role('button', name='Stop looking')).to_be_in_viewport()
    await tess.get_by_role('button', name='Stop looking').click()
    await tess.wait_for_url(f'**/msp/people/{cast.ugo.user_id}*')
    await ada.goto('/client-portal/acme/settings/log')
    await ready(ada)
    await expect(ada.get_by_role('cell', name='He misses a ticket')).to_be_visible()
    await expect(ada.get_by_role('cell', name=f'Looked at {cast.printer.label} as Ugo Marchetti')).to_be_visible()
    await expect(ada.get_by_role('cell', name='Stopped looking as Ugo Marchetti')).to_be_visible()


@pytest.mark.parametrize('how', ['signed out elsewhere', 'membership over', 'another role', 'stopped in another tab'])
async def test_an_open_page_leaves_when_it_is_over(page_as: PageAs, cast: Cast, maintenance: str, how: str) -> None:
    tess = await page_as(cast.tess)
    await look(tess, cast)
    if how == 'stopped in another tab':
        other = await tess.context.new_page()
        await other.goto('/client-portal/acme/tickets')
        await ready(other)
        await other.get_by_role('button', name='Stop looking').click()
    else:
        statement = {
            'signed out elsewhere': 'update session set revoked_at = now() where user_id = %(staff)s',
            'membership over': 'update membership set ended_at = now() where user_id = %(client)s',
            'another role': "update users set staff_role = 'Finance' where id = %(staff)s",
        }[how]
        with psycopg.connect(maintenance) as c:
            c.execute(statement, {'staff': cast.tess.user_id, 'client': cast.ugo.user_id})  # type: ignore[arg-type]
    await tess.wait_for_url(lambda url: '/client-portal/acme' not in url)
