"""The queue of the staff and the list of a client: picks, bulk changes, views, and rows that stay where they are."""

import re
from collections.abc import Awaitable, Callable

import psycopg

from portal import live
from portal.db.cast import SECRET, Cast, Member
from portal.domain.base import uuid7
from portal.domain.tickets import bulk
from portal.visit import Visit
from tests.pages.test_live import say, shows
from tests.visitor import Page, Visitor

Someone = type[Visitor]
VisitAs = Callable[[Member], Awaitable[Visit]]


def rows(page: Page) -> list[str]:
    return re.findall(r'<tr data-key="(T-\d+)"', page.shown)


async def named(page: Page, act: str, name: str) -> None:
    """The form in the dialog is sent."""
    island = next(i for i in page.islands if f'data-act="{act}"' in str(i.content))
    await page.send(island, {'act': act, 'key': None, 'values': {'name': name}, 'number': 1})


def status(maintenance: str, cast: Cast) -> dict[int, str]:
    with psycopg.connect(maintenance) as c:
        return dict(c.execute('select number, status from ticket where tenant_id = %s', (cast.northwind.id,)).fetchall())


async def test_several_filters_at_once_stand_in_the_address(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.tess).get('/msp?status=new,solved')
    assert set(rows(page)) == {cast.scanners.label, cast.calendar.label}
    assert 'Status: 2 chosen' in page.shown
    await page.act('filter', filter='company', company=['acme'])
    assert rows(page) == [cast.calendar.label]
    await page.act('filter', filter='company')
    assert len(rows(page)) == 2
    await page.act('filter', filter='view', view='closed')  # no filter
    assert len(rows(page)) == 2
    nonsense = await visitor(cast.tess).get('/msp?status=x,y&person=1&company=nobody&sort=due%27&after=~~~~&category=none')
    assert nonsense.status == 200
    since, nobody = '2026-01-01T00:00:00%2B00:00', '00000000-0000-0000-0000-000000000000'
    for address in (
        f'sort=turn&after=99999~{since}~{nobody}', f'sort=company&after=a%00b~1~{since}~{nobody}', f'sort=priority&before=99999~1~{since}~{nobody}',
        'q=a%00b', 'q=' + '%F0%9D%85%A0' * 200, '&'.join(f'a{n}=1' for n in range(40)),
    ):  # fmt: skip
        hostile = await visitor(cast.tess).get(f'/msp/tickets?view=turn&{address}')
        assert hostile.status == 200, address
        assert any('data-act="export-csv"' in str(island.content) for island in hostile.islands), address


async def test_picked_ones_are_changed_and_what_could_not_be_is_told(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await visitor(cast.tess).get('/msp?view=all&status=solved,closed,new')
    for ticket in (cast.calendar, cast.certificate, cast.scanners):
        await page.act('pick', ticket.label)
    assert '3 picked' in page.shown
    await page.act('bulk', field='status', to='open')
    assert '1 ticket could not be changed' in page.shown
    assert 'closed too long ago' in page.shown
    assert '1 picked' in page.shown
    now = status(maintenance, cast)
    assert [now[t.number] for t in (cast.calendar, cast.certificate, cast.scanners)] == ['open', 'closed', 'open']


def many(maintenance: str, cast: Cast) -> None:
    """Thirty more tickets of Bolt's, from 5000."""
    with psycopg.connect(maintenance) as c:
        for n in range(30):
            c.execute("""insert into ticket (id, tenant_id, company_id, number, subject, status, priority, visibility, requester_id, author_id)
                         values (%s, %s, %s, %s, 'Many', 'new', 'low', 'company', %s, %s)""",
                      (uuid7(), cast.northwind.id, cast.bolt.id, 5000 + n, cast.bea.user_id, cast.bea.user_id))  # fmt: skip


async def all_of_bolt(visitor: Someone, cast: Cast) -> Page:
    """Tess has picked them."""
    page = await visitor(cast.tess).get('/msp?view=unassigned&company=bolt')
    await page.act('pick', rows(page)[0])
    await page.act('pick-all')
    assert '31 picked' in page.shown
    return page


async def test_more_than_a_few_are_asked_about_first(visitor: Someone, cast: Cast, maintenance: str) -> None:
    many(maintenance, cast)
    page = await all_of_bolt(visitor, cast)
    await page.act('bulk', field='priority', to='high')
    assert 'Change 31 tickets?' in page.shown
    assert 'Priority: High.' in page.shown
    with psycopg.connect(maintenance) as c:
        assert c.execute("select count(*) from ticket where number >= 5000 and priority = 'high'").fetchone() == (0,)
    await page.act('bulk', field='priority', to='high', sure='1')
    with psycopg.connect(maintenance) as c:
        query = "select count(*) from ticket where number >= 5000 and priority = 'high' and tenant_id = %s"
        assert c.execute(query, (cast.northwind.id,)).fetchone() == (30,)


def high(maintenance: str, cast: Cast) -> int:
    with psycopg.connect(maintenance) as c:
        query = "select count(*) from ticket where number >= 5000 and priority = 'high' and tenant_id = %s"
        return (c.execute(query, (cast.northwind.id,)).fetchone() or (0,))[0]


async def test_a_change_whose_process_ended_is_told_and_goes_on(
    visitor: Someone, visit_as: VisitAs, cast: Cast, maintenance: str
) -> None:
    """As a killed process leaves it: some tickets changed, one refused, the others waiting, and nobody at work."""
    many(maintenance, cast)
    tess = await visit_as(cast.tess)
    numbers = [cast.certificate.number, *range(5000, 5030)]
    async with tess.work() as db:
        left = await bulk.begin_bulk(db, tess.by, bulk.Change('priority', 'high'), numbers)
    for number in numbers[:11]:
        async with tess.work() as db:
            changed = number >= 5000 and await bulk.change_one(db, tess.by, number, bulk.Change('priority', 'high'))
            await bulk.dealt_with(db, tess.by, left.id, number, changed=changed, why='' if changed else 'It was not there.')
    assert 'was interrupted' not in (await visitor(cast.tess).get('/msp')).shown  # somebody may be at work
    with psycopg.connect(maintenance) as c:
        c.execute("update bulk_change set touched_at = touched_at - interval '11 seconds' where id = %s", (left.id,))
    assert 'was interrupted' not in (await visitor(cast.mona).get('/msp')).shown
    page = await visitor(cast.tess).get('/msp')
    assert 'A change of 31 tickets was interrupted' in page.shown
    assert 'Priority: High' in page.shown
    await page.act('ask-unfinished')
    assert 'Changed: 10, not yet: 20, not possible: 1' in page.shown
    assert page.shown.split('Not changed yet:')[1].split('</p>')[0].count('<a ') == 20
    assert 'It was not there.' in page.shown
    await page.act('bulk-go-on')
    assert high(maintenance, cast) == 30
    assert 'was interrupted' not in page.shown
    assert '1 ticket could not be changed' in page.shown
    async with tess.work() as db:
        assert await bulk.bulk_changes(db) == []


async def test_what_was_left_can_be_left(visitor: Someone, visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    many(maintenance, cast)
    tess = await visit_as(cast.tess)
    async with tess.work() as db:
        await bulk.begin_bulk(db, tess.by, bulk.Change('priority', 'high'), [5000])
        await bulk.begin_bulk(db, tess.by, bulk.Change('due', '2030-05-04'), [])
    with psycopg.connect(maintenance) as c:
        c.execute("update bulk_change set touched_at = now() - interval '1 hour' where user_id = %s", (cast.tess.user_id,))
    page = await visitor(cast.tess).get('/msp')
    await page.act('ask-unfinished')
    await page.act('bulk-forget')
    assert 'A change of 0 tickets is done</b> (Due: 4 May 2030)' in page.shown  # the page was left, and this is its end
    await page.act('bulk-forget')
    assert 'A change of' not in page.shown
    assert high(maintenance, cast) == 0


async def test_finn_picks_nothing(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await visitor(cast.finn).get('/msp?view=turn')
    assert 'Pick T-' not in page.shown
    island = next(i for i in page.islands if 'data-act="attend"' in str(i.content))
    await page.send(island, {'act': 'pick', 'key': cast.scanners.label, 'values': {}, 'number': 1})
    await page.send(island, {'act': 'bulk', 'key': None, 'values': {'field': 'status', 'to': 'solved'}, 'number': 2})
    assert status(maintenance, cast)[cast.scanners.number] == 'new'


async def test_while_somebody_is_at_it_no_row_moves(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await visitor(cast.tess).get('/msp?view=turn')
    before = rows(page)
    await page.act('attend')
    with psycopg.connect(maintenance) as c:
        c.execute("update ticket set priority = 'low', status = 'waiting_client' where id = %s", (cast.scanners.id,))
    await live.heard(f'queue:{cast.northwind.id}')
    await shows(page, ': show')
    assert rows(page) == before
    assert 'With client' in page.shown.split(cast.scanners.label, 1)[1].split('</tr>')[0]  # as it is now, where it was
    await page.act('leave')
    assert rows(page) != before
    assert set(rows(page)) == set(before)


async def test_a_saved_view_is_opened_changed_and_begun_with(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.tess).get('/msp?view=turn&priority=urgent')
    await page.act('ask-save')
    await named(page, 'view-save', '')
    assert 'Give it a name.' in page.shown
    await named(page, 'view-save', 'Burning')
    assert '“Burning”' not in page.shown
    link = re.search(r'href="(/msp\?[^"]*saved=[^"]+)"[^>]*aria-current="page"', page.shown)
    assert link
    await page.act('view-begin')
    again = await visitor(cast.tess).get('/msp')
    assert rows(again) == [cast.scanners.label]
    await again.act('ask-change')
    await named(again, 'view-change', 'On fire')
    assert 'On fire' in again.shown
    await again.act('ask-delete')
    await again.act('view-delete')
    assert 'On fire' not in (await visitor(cast.tess).get('/msp')).html


async def test_what_the_tab_and_the_navigation_say(visitor: Someone, cast: Cast, maintenance: str) -> None:
    """A client's number is what is unread; a note changes neither it nor anything on the list."""
    ada = await visitor(cast.ada).get('/client-portal/acme/tickets')
    assert '<title>(1) Tickets' in ada.html
    assert re.search(r'class="count">1<span class="unseen"> unread', ada.html)
    seen = ada.shown
    say(maintenance, cast, SECRET, internal=True)
    for topic in (f'note:{cast.printer.id}', f'queue:{cast.northwind.id}', f'unread:{cast.tess.user_id}'):
        await live.heard(topic)
    assert ada.shown == seen
    await ada.act('all-read')
    assert '(unread)' not in ada.shown
    assert '<title>Tickets' in (await visitor(cast.ada).get('/client-portal/acme/tickets')).html


async def test_opening_a_ticket_reads_it(visitor: Someone, cast: Cast) -> None:
    await visitor(cast.ada).get(f'/client-portal/acme/tickets/{cast.printer.label}')
    assert '(unread)' not in (await visitor(cast.ada).get('/client-portal/acme/tickets')).shown


async def test_a_client_filters_by_person_only_beyond_their_own(visitor: Someone, cast: Cast) -> None:
    ada = await visitor(cast.ada).get(f'/client-portal/acme/tickets?view=closed&person={cast.ugo.user_id}')
    assert rows(ada) == []
    assert '>Person' in ada.shown
    for path in ('?sort=due', '?view=due', '?person=none', '?sort=company', '?saved=x'):
        assert (await visitor(cast.ada).get(f'/client-portal/acme/tickets{path}')).status == 200
    ugo = await visitor(cast.ugo).get('/client-portal/acme/tickets')
    assert '>Person' not in ugo.shown
    assert 'Due' not in ugo.shown


async def test_a_canned_reply_comes_filled_and_never_to_clients(visitor: Someone, cast: Cast) -> None:
    tess = await visitor(cast.tess).get(f'/msp/tickets/{cast.printer.label}')
    assert 'Restart it' in tess.shown
    with_it = next(i for i in tess.islands if 'data-act="canned"' in str(i.content))
    key = re.search(r'data-act="canned"[^>]*data-key="([^"]+)"', str(with_it.content))
    assert key
    assert tess.client
    await tess.act('canned', key[1])
    sent = repr(tess.client.outbox.messages)
    assert 'Hello Ugo, please restart it.' in sent
    ada = await visitor(cast.ada).get(f'/client-portal/acme/tickets/{cast.printer.label}')
    assert 'Restart it' not in ada.html


async def test_replies_are_looked_after(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.mona).get('/msp/replies')
    await page.act('save', title='', body='Dear {nobody}', language='', shared='on')
    assert 'Give it a title.' in page.shown
    assert 'Not known: {nobody}' in page.shown
    assert 'Dear {nobody}' in page.shown
    await page.act('save', title='Dear', body='Dear {first_name}', language='de', shared='on')
    assert 'Dear' in (await visitor(cast.tess).get('/msp/replies')).html


async def test_due_is_set_on_the_ticket_and_hidden_from_clients(visitor: Someone, cast: Cast) -> None:
    tess = await visitor(cast.tess).get(f'/msp/tickets/{cast.scanners.label}')
    await tess.act('due', due='2099-05-01', shown='')
    assert '2099' in tess.shown
    assert 'set it due on' in tess.shown
    await tess.act('due', due='nonsense', shown='2099-05-01')
    assert 'Choose a day.' in tess.shown
    bea = await visitor(cast.bea).get(f'/client-portal/bolt/tickets/{cast.scanners.label}')
    assert '2099' not in bea.html
    assert 'due' not in bea.shown.lower().replace('reply due', '')
