"""Companies and their people, as staff see and change them."""

import re
from datetime import UTC, datetime
from html import unescape

import psycopg
import pytest

from portal.db import cast as casting
from portal.db.cast import SECRET, Cast
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
    assert words(page).index('Invite people') < words(page).index('Add without an invitation')
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


async def test_what_the_files_take_is_said_once_whatever_was_done(visitor: Someone, cast: Cast) -> None:
    page = await acme(visitor, cast.mona)
    await do(page, 'welcome', str(cast.ugo.user_id))
    await do(page, 'ask-role', str(cast.bill.user_id))
    await do(page, 'role', str(cast.bill.user_id), role='ClientUser')
    assert page.shown.count('data-act="set-quota"') == 1


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


async def test_mona_edits_what_is_known_and_two_edits_meet(visitor: Someone, cast: Cast) -> None:
    mine, other = [await visitor(cast.mona).get('/msp/companies/acme/edit') for _n in range(2)]
    form = {'name': 'Acme Dental', 'slug': 'acme', 'phone': '0511 23125 0', 'city': 'Hannover', 'note': 'Ask for Petra.'}
    await do(other, 'save', **form)
    await do(mine, 'save', **{**form, 'city': 'Celle', 'phone': 'call me', 'note': ''})
    assert 'This does not look like a phone number.' in words(mine)
    await do(
        mine, 'save', **{**form, 'city': 'Celle', 'phone': '', 'note': f'Key at the reception. {SECRET}', 'street': 'Am Markt 1'}
    )
    assert 'Somebody changed this meanwhile to “Hannover”.' in words(mine)
    assert 'value="Celle"' in mine.shown and 'value="+49 511 231250"' in mine.shown and 'value="Am Markt 1"' in mine.shown
    await do(mine, 'save', **{**form, 'city': 'Celle', 'street': 'Am Markt 1'})
    shown = words(await acme(visitor, cast.tess))
    assert 'Ask for Petra.' in shown
    assert 'Am Markt 1' in shown and 'Celle' in shown and '+49 511 231250' in shown
    for who in (cast.ada, cast.ugo):
        for path in ('', '/tickets', f'/tickets/{cast.printer.label}', '/settings'):
            assert 'Ask for Petra.' not in (await visitor(who).get(who.root + path)).html


async def test_links_with_the_old_short_name_lead_on(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.mona).get('/msp/companies/acme/edit')
    await do(page, 'save', name='Acme Dental', slug='acme-dental', note=f'Key at the reception. {SECRET}')
    answer = (await visitor(cast.ada).get(f'/client-portal/acme/tickets/{cast.printer.label}?x=1')).answer
    assert answer.headers['location'] == f'/client-portal/acme-dental/tickets/{cast.printer.label}?x=1'
    assert (await visitor(cast.bea).get('/client-portal/acme')).status == 404
    assert 'Acme Dental' in words(await acme(visitor, cast.tess))


async def test_a_company_is_archived_after_asking_and_comes_back(visitor: Someone, cast: Cast) -> None:
    page = await acme(visitor, cast.mona)
    await do(page, 'ask-archive')
    assert 'Archive Acme Dental? Its 4 people are signed out of it at once' in words(page)
    assert '3 open tickets stay in the queue' in words(page)
    await do(page, 'archive')
    assert 'Archived on' in words(page)
    assert 'Kyocera' in words(page)  # and what is closed
    assert 'Certificate warning' in words(page)
    assert (await visitor(cast.ada).get('/client-portal/acme')).status == 403
    assert 'Acme' not in words(await visitor(cast.mona).get('/msp/companies'))
    assert 'Acme Dental Archived' in words(await visitor(cast.mona).get('/msp/companies?show=archived'))
    assert (await visitor(cast.tess).get(f'/msp/tickets/{cast.printer.label}')).status == 200
    await do(page, 'ask-restore')
    await do(page, 'restore')
    assert (await visitor(cast.ada).get('/client-portal/acme')).status == 200


@pytest.mark.parametrize(
    ('sort', 'first'), [('name', 'acme'), ('-name', 'bolt'), ('-open', 'acme'), ('-people', 'acme'), ('nonsense', 'acme')]
)
async def test_the_list_is_sorted_and_pages_on(visitor: Someone, cast: Cast, maintenance: str, sort: str, first: str) -> None:
    more = [
        {'id': uuid7(), 'tenant_id': cast.northwind.id, 'slug': f'b-many-{n:02}', 'name': f'B many {n:02}', 'created_at': datetime.now(UTC)}
        for n in range(60)
    ]  # fmt: skip
    with psycopg.connect(maintenance) as connection:
        casting.insert(connection, {'company': more})
    one = await visitor(cast.mona).get(f'/msp/companies?sort={sort}')
    two = await visitor(cast.mona).get(_link(one, 'Next'))
    assert _rows(one)[0] == first
    assert sorted(_rows(one) + _rows(two)) == sorted(['acme', 'bolt', *(row['slug'] for row in more)])
    assert _rows(await visitor(cast.mona).get(_link(two, 'Previous'))) == _rows(one)


# ---------- a person ----------


async def test_mona_sees_all_of_mel_and_changes_it(visitor: Someone, cast: Cast) -> None:
    mel = f'/msp/people/{cast.mel_bolt.user_id}'
    page = await visitor(cast.mona).get(mel)
    assert 'Acme Dental Client admin' in words(page)
    assert 'Bolt Logistics Client user' in words(page)
    await do(page, 'ask-edit')
    await do(page, 'edit', name='Mel', phone='call me')
    assert 'This does not look like a phone number.' in words(page)
    assert 'value="call me"' in page.shown
    await do(page, 'edit', name='Mel Duarte', phone='0511 23125 11')
    assert '+49 511 2312511' in words(page)
    await do(page, 'ask-email')
    await do(page, 'email', email='ada@acme.example')
    assert f'href="/msp/people/{cast.ada.user_id}"' in page.shown
    await do(page, 'ask-remove', key='bolt')
    await do(page, 'remove', key='bolt')
    assert 'Bolt Logistics Client user' not in words(page)
    await do(page, 'add', company='bolt', role='ClientBilling')
    assert 'Bolt Logistics Client billing' in words(page)
    await do(page, 'ask-disable')
    await do(page, 'disable')
    assert 'Disabled since' in words(page)
    assert (await visitor(cast.mel_bolt).get('/client-portal/bolt')).status == 303


async def test_removing_the_only_admin_is_warned_of(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.mona).get(f'/msp/people/{cast.bea.user_id}')
    await do(page, 'ask-remove', key='bolt')
    assert 'Bea Lindqvist is the only client admin who can come in: Bolt Logistics' in words(page)


async def test_whose_address_it_is_leads_to_them(visitor: Someone, cast: Cast) -> None:
    page = await acme(visitor, cast.mona)
    await do(page, 'add', name='Ada', email='ada@acme.example', role='ClientUser')
    assert f'<a href="/msp/people/{cast.ada.user_id}">Open their page</a>' in page.shown


async def test_staff_strangers_and_nobody_have_no_such_page(visitor: Someone, cast: Cast) -> None:
    for who in (cast.tess.user_id, cast.cleo.user_id, 'nobody', '%00'):
        assert (await visitor(cast.mona).get(f'/msp/people/{who}')).status == 404
    page = await visitor(cast.tess).get(f'/msp/people/{cast.ugo.user_id}')
    assert 'ugo@acme.example' in words(page)
    island = next(i for i in page.islands if 'ugo@acme.example' in str(i.content))
    assert 'data-act' not in str(island.content)
    for act in ('disable', 'email', 'edit', 'remove', 'ask-edit', 'add', 'role', 'welcome'):
        await page.send(
            island,
            {
                'act': act,
                'key': 'acme',
                'values': {'email': 'x@y.example', 'role': 'ClientAdmin', 'company': 'bolt'},
                'number': 1,
            },
        )
    assert 'ugo@acme.example' in words(await visitor(cast.mona).get(f'/msp/people/{cast.ugo.user_id}'))
    assert (await visitor(cast.ugo).get('/client-portal/acme')).status == 200


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


# ---------- who was written to, and what is late ----------


async def test_who_was_written_to_and_has_not_come_is_told_with_the_letter_again(
    visitor: Someone, cast: Cast, maintenance: str
) -> None:
    page = await acme(visitor, cast.mona)
    assert 'link good until' not in words(page)
    await do(page, 'add', name='Flo Winter', email='flo@acme.example', role='ClientUser')
    assert re.search('Flo Winter flo@acme.example Client user Invited, link good until .{3,20} Send again', words(page))
    tess = await acme(visitor, cast.tess)
    assert 'Invited, link good until' in words(tess)
    assert 'Send again' not in words(tess)
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("""update mail_outbox set created_at = now() - interval '8 days', sent_at = now() - interval '8 days'
                     where kind = 'welcome' and to_user_id = (select id from users where email = 'flo@acme.example' and tenant_id = %s)""",
                  (cast.northwind.id,))  # fmt: skip
    page = await acme(visitor, cast.mona)
    assert 'Client user Not come in yet Send a letter' in words(page)


async def test_companies_that_have_not_confirmed_their_people_in_time_are_marked(
    visitor: Someone, cast: Cast, maintenance: str
) -> None:
    late = 'Acme Dental People not confirmed in time'
    assert late not in words(await visitor(cast.tess).get('/msp/companies'))
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("insert into access_review (tenant_id, company_id, due_at) values (%s, %s, now() - interval '1 hour')",
                  (cast.northwind.id, cast.acme.id))  # fmt: skip
    assert late in words(await visitor(cast.tess).get('/msp/companies'))


async def test_looking_as_somebody_starts_from_the_list_too(visitor: Someone, cast: Cast) -> None:
    href = f'/msp/view-as/{cast.ugo.user_id}?company=acme'
    for who in (cast.mona, cast.tess):
        assert href in (await acme(visitor, who)).shown
    finn = await acme(visitor, cast.finn)
    assert 'view-as' not in finn.shown
    page = await visitor(cast.tess).get(href)
    assert page.status == 200
