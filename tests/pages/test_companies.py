"""Companies and their people, as staff see and change them."""

import re
from datetime import UTC, datetime
from html import unescape

import psycopg
import pytest

from portal.db import cast as casting
from portal.db.cast import Cast
from portal.domain.base import uuid7
from tests.visitor import Page, Visitor

HOSTILE = '<script>alert(1)</script>'
Someone = type[Visitor]


def words(page: Page) -> str:
    """What one reads on it."""
    return re.sub(r'\s+', ' ', unescape(re.sub(r'<[^>]+>', ' ', page.shown)))


async def do(page: Page, act: str, key: str | None = None, **values: str) -> None:
    """As `page.act`, for forms with a field called `name`."""
    island = next(i for i in page.islands if f'data-act="{act}"' in str(i.content))
    await page.send(island, {'act': act, 'key': key, 'values': values, 'number': 1})


async def acme(visitor: Someone, who: object) -> Page:
    return await visitor(who).get('/msp/companies/acme')


# ---------- the list ----------


async def test_the_list_says_what_waits_in_each_company(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.tess).get('/msp/companies')
    assert page.status == 200
    assert 'Acme Dental 2 wait for us 3 open 4 people' in words(page)
    assert 'Bolt Logistics 1 waits for us 1 open 2 people' in words(page)
    assert 'Corner Bakery' not in page.html


async def test_a_search_finds_companies_and_the_people_in_them(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.finn).get('/msp/companies?q=marchetti')
    assert 'Acme Dental' in words(page)
    assert 'Bolt Logistics' not in words(page)
    await do(page, 'search', q='BOLT')
    assert 'Bolt Logistics' in words(page)
    assert 'Acme Dental' not in words(page)
    await do(page, 'search', q='cleo@bakery.example')  # of another tenant
    assert 'No company matches' in words(page)


@pytest.mark.parametrize('asked', [HOSTILE, '{{7*7}}', '%', '_', "'; drop table company; --", '\\'])
async def test_a_search_for_something_odd_finds_nothing(visitor: Someone, cast: Cast, asked: str) -> None:
    page = await visitor(cast.mona).get('/msp/companies')
    await do(page, 'search', q=asked)
    assert 'No company matches' in words(page)
    assert asked in words(page)
    assert HOSTILE not in page.shown


async def test_long_lists_come_in_pages(visitor: Someone, cast: Cast, maintenance: str) -> None:
    more = [
        {'id': uuid7(), 'tenant_id': cast.northwind.id, 'slug': f'many-{n:02}', 'name': f'Many {n:02}', 'created_at': datetime.now(UTC)}
        for n in range(60)
    ]  # fmt: skip
    with psycopg.connect(maintenance) as connection:
        casting.insert(connection, {'company': more})
    first = await visitor(cast.mona).get('/msp/companies')
    assert 'Acme Dental' in words(first)
    assert '62 companies' in words(first)
    assert 'Many 59' not in words(first)
    second = await visitor(cast.mona).get(_link(first, 'Next'))
    assert 'Many 59' in words(second)
    assert 'Acme Dental' not in words(second)
    again = await visitor(cast.mona).get(_link(second, 'Previous'))
    assert _rows(again) == _rows(first)
    assert not set(_rows(first)) & set(_rows(second))
    assert len(_rows(first) + _rows(second)) == 62


def _rows(page: Page) -> list[str]:
    return re.findall(r'<tr data-key="([^"]+)"', page.shown)


def _link(page: Page, label: str) -> str:
    found = re.search(rf'href="([^"]+)"[^>]*>(?:<svg.*?</svg>)?{label}', page.shown)
    assert found, f'no link {label}'
    return unescape(found[1])


async def test_a_place_that_is_not_there_is_the_beginning(visitor: Someone, cast: Cast) -> None:
    for asked in ('after=bakery', 'before=nobody', 'after=%27', 'after=%00', 'after=a&before=b'):
        assert 'Acme Dental' in words(await visitor(cast.mona).get(f'/msp/companies?{asked}'))


# ---------- a new one ----------


async def test_mona_adds_a_company_and_its_first_person_who_gets_a_letter(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.mona).get('/msp/companies/new')
    await do(page, 'add', name='  Garden   Florist ')
    page = await visitor(cast.mona).get('/msp/companies/garden-florist')
    assert page.status == 200
    assert 'Garden Florist' in words(page)
    assert 'Nobody can come in yet.' in words(page)
    assert 'Add the first person' in words(page)
    await do(page, 'add', name='Flo Winter', email='Flo@Florist.example', role='ClientAdmin')
    assert 'Flo Winter flo@florist.example Client admin' in words(page)
    assert 'Nothing is open.' in words(page)
    mail = await visitor(cast.mona).get('/msp/mail')
    assert 'Welcome, with a link to choose a password Flo Winter flo@florist.example' in words(mail)


async def test_a_name_that_is_taken_or_empty_is_refused_beside_the_field(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.mona).get('/msp/companies/new')
    await do(page, 'add', name='ACME dental')
    assert 'A company of this name is here already.' in words(page)
    assert 'value="ACME dental"' in page.shown
    assert 'aria-invalid="true"' in page.shown
    await do(page, 'add', name=' ')
    assert 'Please enter a name.' in words(page)


async def test_very_long_names_are_refused_and_what_was_typed_stays(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.mona).get('/msp/companies/new')
    await do(page, 'add', name='x' * 121)
    assert 'At most 120 letters, please.' in words(page)
    assert 'x' * 121 in page.shown
    page = await acme(visitor, cast.mona)
    await do(page, 'add', name='y' * 121, email='y@acme.example', role='ClientUser')
    assert 'At most 120 letters, please.' in words(page)
    assert 'value="' + 'y' * 121 in page.shown
    assert 'value="y@acme.example"' in page.shown


@pytest.mark.parametrize('name', [HOSTILE, '{{7*7}}', '"><img src=x onerror=alert(1)>', '${7*7} & <b>Söhne</b>'])
async def test_hostile_names_are_words(visitor: Someone, cast: Cast, name: str) -> None:
    page = await visitor(cast.mona).get('/msp/companies/new')
    await do(page, 'add', name=name)
    listed = await visitor(cast.mona).get('/msp/companies')
    slug = next(slug for slug in _rows(listed) if slug not in ('acme', 'bolt'))
    page = await visitor(cast.mona).get(f'/msp/companies/{slug}')
    await do(page, 'add', name=name, email='h@hostile.example', role='ClientUser')
    await do(page, 'ask-remove', key=_rows(page)[0])
    for seen in (listed, page, await visitor(cast.mona).get(f'/msp/companies/{slug}')):
        assert name in words(seen) or name in unescape(seen.shown)
        assert not re.search(r'<script>alert|<img src=x|<b>Söhne', seen.shown)
        assert not re.search(r'<script>alert|<img src=x|<b>Söhne', seen.html)


# ---------- the people of one ----------


async def test_wrong_input_is_told_at_its_field(visitor: Someone, cast: Cast) -> None:
    page = await acme(visitor, cast.mona)
    await do(page, 'add', name='Petra', email='petra at acme', role='ClientBilling')
    assert 'This does not look like an e-mail address.' in words(page)
    assert 'value="Petra"' in page.shown
    assert re.search(r'value="ClientBilling" checked', page.shown)
    await do(page, 'add', name='Petra', email='petra@acme.example', role='MspAdmin')
    assert 'Choose a role.' in words(page)
    await do(page, 'add', name='Ada again', email='ada@acme.example', role='ClientUser')
    assert 'Ada Brandt belongs to Acme Dental already.' in words(page)
    await do(page, 'add', name='Tess', email='tess@northwind.example', role='ClientUser')
    assert 'This is the address of somebody on your staff.' in words(page)


async def test_a_role_is_changed_after_asking_and_takes_effect(visitor: Someone, cast: Cast) -> None:
    ticket = f'/client-portal/acme/tickets/{cast.certificate.label}'  # Ada's, for whoever sees the company's
    assert (await visitor(cast.ugo).get(ticket)).status == 404
    page = await acme(visitor, cast.mona)
    await do(page, 'ask-role', key=str(cast.ugo.user_id))
    assert 'What may Ugo Marchetti do?' in words(page)
    await do(page, 'role', key=str(cast.ugo.user_id), role='ClientAdmin')
    assert 'Ugo Marchetti ugo@acme.example Client admin' in words(page)
    assert (await visitor(cast.ugo).get(ticket)).status == 200


async def test_a_role_that_is_none_is_refused_where_it_was_asked(visitor: Someone, cast: Cast) -> None:
    page = await acme(visitor, cast.mona)
    await do(page, 'ask-role', key=str(cast.ugo.user_id))
    for role in ('Technician', 'King', ''):
        await do(page, 'role', key=str(cast.ugo.user_id), role=role)
        assert 'Choose a role.' in words(page)
    assert 'Ugo Marchetti ugo@acme.example Client user' in words(page)


async def test_somebody_is_removed_after_asking_once_by_name(visitor: Someone, cast: Cast) -> None:
    page = await acme(visitor, cast.mona)
    assert 'Remove Ugo Marchetti' not in words(page)
    await do(page, 'ask-remove', key=str(cast.ugo.user_id))
    assert 'Remove Ugo Marchetti from Acme Dental?' in words(page)
    assert 'ugo@acme.example' in words(page)
    await do(page, 'remove', key=str(cast.ugo.user_id))
    assert 'ugo@acme.example' not in words(page)
    gone = await visitor(cast.ugo).get('/client-portal/acme')
    assert 'Kyocera' not in gone.html
    await do(page, 'add', name='Ugo Marchetti', email='ugo@acme.example', role='ClientUser')
    assert (await visitor(cast.ugo).get('/client-portal/acme')).status == 200


async def test_the_welcome_letter_is_sent_again(visitor: Someone, cast: Cast) -> None:
    page = await acme(visitor, cast.mona)
    await do(page, 'welcome', key=str(cast.bill.user_id))
    mail = await visitor(cast.mona).get('/msp/mail')
    assert 'Welcome, with a link to choose a password Bill Novak bill@acme.example' in words(mail)


@pytest.mark.parametrize('key', ['bea', 'nobody', '', None])
async def test_only_people_of_this_company_can_be_changed_here(visitor: Someone, cast: Cast, key: str | None) -> None:
    page = await acme(visitor, cast.mona)
    await do(page, 'ask-remove', key=str(cast.ugo.user_id))  # so that the dialog's actions are there
    for act in ('remove', 'welcome', 'ask-role'):
        await do(page, act, key=str(cast.bea.user_id) if key == 'bea' else key)
    assert (await visitor(cast.bea).get('/client-portal/bolt')).status == 200
    assert 'Ada Brandt' in words(await acme(visitor, cast.mona))


async def test_the_tickets_are_those_of_the_company(visitor: Someone, cast: Cast) -> None:
    page = await acme(visitor, cast.tess)
    assert 'Two tickets wait for us. One waits for them.' in words(page)
    assert '3 open, 2 wait for us' in words(page)
    assert f'Kyocera at reception prints blank pages {cast.printer.label} In work' in words(page)
    assert 'Handheld scanners' not in page.html
    assert 'Certificate warning' not in page.html  # closed


# ---------- who may not ----------


async def test_tess_and_finn_read_and_find_no_button_that_lies(visitor: Someone, cast: Cast) -> None:
    for who in (cast.tess, cast.finn):
        page = await acme(visitor, who)
        assert 'Ada Brandt ada@acme.example Client admin' in words(page)
        company = next(i for i in page.islands if 'people-table' in str(i.content))
        assert 'data-act' not in str(company.content)
        assert (await visitor(who).get('/msp/companies/new')).status == 403
        assert '/companies/new' not in (await visitor(who).get('/msp/companies')).shown


async def test_tess_cannot_do_it_without_a_button_either(visitor: Someone, cast: Cast) -> None:
    page = await acme(visitor, cast.tess)
    company = next(i for i in page.islands if 'people-table' in str(i.content))
    ugo = str(cast.ugo.user_id)
    for act, key, values in (
        ('add', None, {'name': 'Eve', 'email': 'eve@acme.example', 'role': 'ClientAdmin'}),
        ('role', ugo, {'role': 'ClientAdmin'}), ('welcome', ugo, {}), ('ask-remove', ugo, {}), ('remove', ugo, {}), ('close', None, {}),
    ):  # fmt: skip
        await page.send(company, {'act': act, 'key': key, 'values': values, 'number': 1})
    now = words(await acme(visitor, cast.mona))
    assert 'eve@acme.example' not in now
    assert 'Ugo Marchetti ugo@acme.example Client user' in now


async def test_clients_have_no_such_page(visitor: Someone, cast: Cast) -> None:
    answer = await visitor(cast.ada).get('/msp/companies')
    assert answer.status == 303
    assert answer.answer.headers['location'].startswith('/client-portal/')
    for path in ('/companies', '/companies/acme', '/companies/new', '/mail'):
        assert (await visitor(cast.ada).get('/client-portal/acme' + path)).status == 404


async def test_another_tenants_company_is_not_there(visitor: Someone, cast: Cast) -> None:
    assert (await visitor(cast.mona).get('/msp/companies/bakery')).status == 404
    assert (await visitor(cast.stan).get('/msp/companies/acme')).status == 404
    for nobody in ('nobody', '%00', '%27', 'ACME', 'a' * 500):
        assert (await visitor(cast.mona).get(f'/msp/companies/{nobody}')).status == 404
    assert (await visitor(host=cast.northwind.host).get('/msp/companies/acme')).status == 303
