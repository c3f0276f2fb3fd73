"""From an invitation to the first ticket, a second company, a list, the yearly question, and another address."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from playwright.async_api import FilePayload, expect

from portal import links
from portal.db.cast import PASSWORD, Cast
from portal.settings import Settings
from tests.browser.conftest import PageAs, ready

pytestmark = pytest.mark.browser
NEW = 'moss-lantern-quarry-eleven'
Sql = Callable[..., list[Any]]


@pytest.fixture
def sql(maintenance: str) -> Sql:
    def ask(question: str, *values: Any) -> list[Any]:
        with psycopg.connect(maintenance, autocommit=True) as connection:
            cursor = connection.execute(question, values)  # pyright: ignore[reportArgumentType, reportCallIssue]
            return cursor.fetchall() if cursor.description else []

    return ask


def link(sql: Sql, settings: Settings, cast: Cast, email: str) -> str:
    """As the letter carries it."""
    [(id_, number)] = sql('select id, number from invitation where tenant_id = %s and email = %s', cast.northwind.id, email)
    return f'/auth/invitation?token={links.invitation_token(settings, cast.northwind.id, id_, number)}'


async def test_from_invitation_to_first_ticket(page_as: PageAs, cast: Cast, sql: Sql, settings: Settings) -> None:
    ada = await page_as(cast.ada)
    await ada.goto('/client-portal/acme/settings/people/invite')
    await ready(ada)
    await ada.get_by_label('Name', exact=True).fill('Jana Hofmann')
    await ada.get_by_label('E-mail', exact=True).fill('jana@acme.example')
    await ada.get_by_role('button', name='Send the invitation', exact=True).click()
    row = ada.get_by_role('row', name='jana@acme.example')
    await expect(row).to_contain_text('Open until')
    first = link(sql, settings, cast, 'jana@acme.example')
    await row.get_by_role('button', name='again').click()
    await expect(ada.get_by_text('gets another letter')).to_be_visible()

    jana = await page_as(host=cast.northwind.host)
    await jana.goto(first)
    await expect(jana.get_by_role('heading', level=1)).to_have_text('This invitation does not work any more')
    await jana.goto(link(sql, settings, cast, 'jana@acme.example'))
    await expect(jana.get_by_role('heading', level=1)).to_have_text('Ada Brandt invites you to the portal of Acme Dental')
    await jana.get_by_label('Choose a password').fill('short')
    await jana.get_by_role('button', name='Join Acme Dental').click()
    await expect(jana.get_by_label('Choose a password')).to_have_attribute('aria-invalid', 'true')
    await jana.get_by_label('Choose a password').fill(NEW)
    await jana.get_by_role('button', name='Join Acme Dental').click()
    await ready(jana)
    await expect(jana.get_by_role('heading', level=1)).to_have_text('Welcome, Jana')
    await expect(row).to_have_count(0)
    await jana.get_by_role('link', name='Ask for help').click()
    await jana.locator('input[name=subject]').fill('The door to the X-ray room is stuck')
    await jana.locator('textarea').first.fill('Since this morning.')
    await jana.locator('main form button[type=submit]').last.click()
    await expect(jana.get_by_role('heading', name='The door to the X-ray room is stuck')).to_be_visible()


async def test_bea_joins_a_second_company_and_leaves_it_with_an_open_page(
    page_as: PageAs, cast: Cast, sql: Sql, settings: Settings
) -> None:
    mona = await page_as(cast.mona)
    await mona.goto('/msp/companies/acme/invite')
    await ready(mona)
    await mona.get_by_label('Name', exact=True).fill('Bea')
    await mona.get_by_label('E-mail', exact=True).fill(cast.bea.email)
    await mona.get_by_role('button', name='Send the invitation', exact=True).click()
    await expect(mona.get_by_role('row', name=cast.bea.email)).to_be_visible()
    bea = await page_as(host=cast.northwind.host)
    await bea.goto(link(sql, settings, cast, cast.bea.email))
    await bea.get_by_role('link', name='Sign in and accept').click()
    await bea.get_by_label('E-mail').fill(cast.bea.email)
    await bea.get_by_label('Password', exact=True).fill(PASSWORD)
    await bea.get_by_role('button', name='Sign in', exact=True).click()
    await bea.get_by_role('button', name='Join Acme Dental').click()
    await bea.wait_for_url('**/client-portal/acme/welcome')
    await ready(bea)
    sql('update membership set ended_at = now() where user_id = %s', cast.bea.user_id)
    await expect(bea.get_by_role('heading', level=1)).to_have_text('Nothing to see yet')


async def test_many_from_a_file(page_as: PageAs, cast: Cast, sql: Sql) -> None:
    ada = await page_as(cast.ada)
    await ada.goto('/client-portal/acme/settings/people/invite')
    await ready(ada)
    text = 'Name;E-Mail;Rolle\nJürgen Möller;juergen@acme.example;Client billing\nUgo;ugo@acme.example;\n=cmd|x;f@acme.example;\n'
    await ada.get_by_label('Choose a CSV file').set_input_files(
        FilePayload(name='l.csv', mimeType='text/csv', buffer=text.encode('cp1252'))
    )
    await expect(ada.get_by_label('The list', exact=True)).to_have_value(text)
    await ada.get_by_role('button', name='Look at the list').click()
    await expect(ada.get_by_role('row', name='Ugo')).to_contain_text('belongs here already')
    assert sql('select 1 from invitation where email = %s and tenant_id = %s', 'juergen@acme.example', cast.northwind.id) == []
    await ada.get_by_role('button', name='Send 2 invitations').click()
    await expect(ada.get_by_role('table', name='Invited').get_by_role('row', name='juergen@acme.example')).to_contain_text(
        'Client billing'
    )
    await expect(ada.get_by_text('Jürgen Möller, by you')).to_be_visible()


async def test_ada_says_who_still_works_there(page_as: PageAs, cast: Cast, sql: Sql) -> None:
    sql(
        "insert into access_review (tenant_id, company_id, due_at) values (%s, %s, now() + interval '9 days')",
        cast.northwind.id,
        cast.acme.id,
    )
    ada, ugo = await page_as(cast.ada), await page_as(cast.ugo)
    await ugo.goto('/client-portal/acme')
    await ready(ugo)
    await ada.goto('/client-portal/acme')
    await ready(ada)
    await ada.get_by_role('link', name='Look at the list').click()
    row = ada.get_by_role('row', name='Ugo Marchetti')
    await row.get_by_text('Has left').click()
    await ada.get_by_role('button', name='Go on').click()
    await expect(ada.get_by_text('no longer belong to Acme Dental')).to_be_visible()
    await ada.get_by_role('button', name='Confirm, and remove them').click()
    await expect(ada.get_by_text('Nothing to do.')).to_be_visible()
    await expect(ugo.get_by_role('heading', level=1)).to_have_text('Nothing to see yet')
    mona = await page_as(cast.mona)
    await mona.goto('/msp/companies/acme')
    await expect(mona.get_by_text('People confirmed')).to_be_visible()


async def test_a_company_keeps_its_own_particulars(page_as: PageAs, cast: Cast) -> None:
    ada, mona = await page_as(cast.ada), await page_as(cast.mona)
    await ada.goto('/client-portal/acme/settings/company')
    await ready(ada)
    await ada.get_by_label('Phone').first.fill('0511 23125 0')
    await ada.get_by_role('button', name='Add a site').click()
    await ada.get_by_label('Name of the site').fill('Practice in Celle')
    await ada.locator('fieldset').get_by_label('City').fill('Celle')
    await ada.get_by_label('Person').nth(2).select_option(label='Bill Novak')
    await ada.get_by_role('button', name='Save changes').click()
    await expect(ada.get_by_text('Saved.')).to_be_visible()
    await expect(ada.get_by_label('Phone').first).to_have_value('+49 511 231250')
    await mona.goto('/msp/companies/acme')
    for words in ('+49 511 231250', 'Practice in Celle', 'In an emergency', 'Hafenstraße 2'):
        await expect(mona.locator('#main')).to_contain_text(words)


async def test_another_address_is_confirmed_at_both(page_as: PageAs, cast: Cast, sql: Sql, settings: Settings) -> None:
    ugo = await page_as(cast.ugo)
    await ugo.goto('/client-portal/acme/settings')
    await ready(ugo)
    await ugo.get_by_text('Change the address').click()
    await ugo.get_by_label('New e-mail address').fill('ugo.m@acme.example')
    await ugo.get_by_role('button', name='Send the letters').click()
    await expect(ugo.get_by_text('waits to be confirmed')).to_be_visible()
    [(change,)] = sql('select id from email_change where user_id = %s', cast.ugo.user_id)
    mailbox = await page_as(host=cast.northwind.host)
    for side, says in (('new', 'Confirmed here'), ('old', 'The address is changed')):
        await mailbox.goto(f'/auth/address?token={links.address_token(settings, cast.northwind.id, change, side)}')  # type: ignore[arg-type]
        await mailbox.get_by_role('button', name='Confirm the address').click()
        await expect(mailbox.get_by_role('heading', level=1)).to_have_text(says)
    await expect(ugo.get_by_role('heading', level=1)).to_have_text('Sign in')
    assert sql('select email from users where id = %s', cast.ugo.user_id) == [('ugo.m@acme.example',)]
