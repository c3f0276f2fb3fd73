"""Roles in several browsers: made by Mona, given by Ada, felt by Ugo at once."""

import pytest
from playwright.async_api import Page, expect

from portal.db.cast import Cast
from tests.browser.conftest import PageAs, ready

pytestmark = pytest.mark.browser


async def at(page: Page, path: str) -> Page:
    await page.goto(path)
    await ready(page)
    return page


async def make(mona: Page, name: str, *rights: str) -> None:
    await at(mona, '/msp/roles/new?for=client')
    await mona.get_by_label('Name', exact=True).fill(name)
    for right in rights:
        await mona.get_by_label(right, exact=True).check()
    await mona.get_by_role('button', name='Make the role').click()
    await expect(mona.get_by_role('heading', level=1)).to_have_text(name)


async def test_a_role_takes_effect_at_once_in_another_browser_and_is_taken_away(page_as: PageAs, cast: Cast) -> None:
    mona, ada, ugo = await page_as(cast.mona), await page_as(cast.ada), await page_as(cast.ugo)
    other = await page_as(cast.ugo)
    await make(mona, 'Practice lead', 'See the whole company’s tickets')
    await expect(mona.get_by_text('Nobody has it.')).to_be_visible()
    await at(ugo, '/client-portal/acme/settings')
    await at(other, '/client-portal/acme/tickets')
    await expect(ugo.get_by_role('link', name='Company', exact=True)).to_have_count(0)

    await at(ada, f'/client-portal/acme/settings/people/{cast.ugo.user_id}')
    await ada.get_by_label('Role', exact=True).select_option(label='Practice lead')
    await ada.get_by_role('button', name='Change the role').click()
    await expect(ada.get_by_role('heading', level=1)).to_have_text('Ugo Marchetti')
    await expect(ada.locator('.rights-why').first).to_contain_text('Role Practice lead')
    for page in (ugo, other):  # loaded anew by itself
        await expect(page.locator('.person, .nav-person, nav').get_by_text('Practice lead').first).to_be_visible()

    await expect(mona.get_by_role('complementary').get_by_text('Ugo Marchetti')).to_be_visible()
    await mona.get_by_label('Manage people', exact=True).check()
    await expect(mona.get_by_text('Ugo Marchetti can do this, too: Manage people.')).to_be_visible()
    await mona.get_by_role('button', name='Save role').click()
    await expect(ugo.get_by_role('link', name='People and roles')).to_be_visible()
    await at(ugo, '/client-portal/acme/settings/people')
    await expect(ugo.get_by_role('link', name='Ada Brandt')).to_be_visible()

    await mona.get_by_label('Manage people', exact=True).uncheck()
    await expect(mona.get_by_text('Ugo Marchetti can do this no more: Manage people.')).to_be_visible()
    await mona.get_by_role('button', name='Save role').click()
    await expect(ugo.get_by_text('Your role does not include this page')).to_be_visible()

    await mona.get_by_role('button', name='Remove this role').click()
    await mona.get_by_role('dialog').get_by_role('button', name='Remove this role').click()
    await expect(mona.get_by_text('Choose the role that they get instead.')).to_be_visible()
    await mona.get_by_label('They get instead').select_option(label='Client user')
    await mona.get_by_role('dialog').get_by_role('button', name='Remove this role').click()
    await mona.wait_for_url('**/msp/roles')
    await expect(other.get_by_text('Client user').first).to_be_visible()


async def test_ada_asks_why_and_gives_no_more_than_she_has(page_as: PageAs, cast: Cast) -> None:
    ada = await at(await page_as(cast.ada), f'/client-portal/acme/settings/people/{cast.ugo.user_id}')
    box = ada.get_by_label('A ticket, such as T-1047')
    await box.fill(cast.printer.label)
    await ada.get_by_role('button', name='Ask').click()
    await expect(ada.get_by_text(f'Ugo Marchetti can see {cast.printer.label}')).to_be_visible()
    for hidden in (cast.salary.label, cast.scanners.label, 'T-999999'):  # private, of another company, nowhere: the same words
        await box.fill(hidden)
        await ada.get_by_role('button', name='Ask').click()
        await expect(ada.get_by_text('There is no such ticket, or you do not see it yourself.')).to_be_visible()
        await box.fill(cast.printer.label)
        await ada.get_by_role('button', name='Ask').click()
        await expect(ada.get_by_text(f'Ugo Marchetti can see {cast.printer.label}')).to_be_visible()


async def test_the_last_who_manages_people_is_told_so(page_as: PageAs, cast: Cast) -> None:
    bea = await at(await page_as(cast.bea), f'/client-portal/bolt/settings/people/{cast.bea.user_id}')
    await expect(bea.get_by_text('You are the only one who manages people here.')).to_be_visible()
    await expect(bea.get_by_role('button', name='Remove Bea Lindqvist')).to_have_count(0)
    await at(bea, f'/client-portal/bolt/settings/people/{cast.mel_bolt.user_id}')
    await bea.get_by_role('button', name='Remove Mel Duarte').click()
    await bea.get_by_role('dialog').get_by_role('button', name='Remove Mel Duarte').click()
    await bea.wait_for_url('**/settings/people')
    await expect(bea.get_by_role('link', name='Mel Duarte')).to_have_count(0)
