"""Staff look at the portal as a client does: on screen, under a banner, and unable to change anything by any road."""

import re
from html import unescape
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from starlette.routing import Route

from portal.db.cast import Cast, Member
from portal.pages import client, drafts, exports, files, import_files, trail_files
from portal.pages import me as mine
from portal.settings import Settings
from tests.pages.test_walk import addresses
from tests.visitor import Page, Visitor

Someone = type[Visitor]
BANNER = 'banner-staff'


def words(page: Page) -> str:
    return re.sub(r'\s+', ' ', unescape(re.sub(r'<[^>]+>', ' ', page.shown)))


def ask(maintenance: str, question: str, *values: Any) -> list[Any]:
    with psycopg.connect(maintenance) as c:
        return c.execute(question, values).fetchall()  # type: ignore[arg-type]


async def begins(visitor: Someone, staff: Member, client: Member, reason: str = 'She cannot find her ticket') -> Visitor:
    """As on screen: by the form."""
    me = visitor(staff)
    page = await me.get(f'/msp/view-as/{client.user_id}')
    assert page.status == 200
    await page.act('look', company=client.slug, reason=reason)
    return me


def snapshot(maintenance: str, tenant: UUID) -> dict[str, Any]:
    """Every row of the tenant, but for the log and for what notes that a session is used."""
    tables = [t for (t,) in ask(maintenance, """select table_name::text from information_schema.columns
        where table_schema = 'public' and column_name = 'tenant_id' and table_name not like 'audit%%' and table_name <> 'session'""")]  # fmt: skip
    return {t: ask(maintenance, f'select to_jsonb(t) from {t} t where tenant_id = %s order by 1', tenant) for t in tables}


async def test_from_the_persons_page_to_what_they_see(visitor: Someone, cast: Cast) -> None:
    me = visitor(cast.tess)
    person = await me.get(f'/msp/people/{cast.ugo.user_id}')
    assert f'href="/msp/view-as/{cast.ugo.user_id}"' in person.shown
    form = await me.get(f'/msp/view-as/{cast.ugo.user_id}')
    await form.act('look', company='acme', reason=' ')
    assert 'Say why' in words(form)
    await form.act('look', company='acme', reason='He misses a ticket')
    page = await me.get('/client-portal/acme')
    assert page.status == 200
    assert BANNER in page.html
    assert 'You see what Ugo Marchetti sees.' in words(page)
    assert 'Reading only, 30 minutes left.' in words(page)
    assert 'action="/auth/viewing/stop"' in page.shown
    assert 'New ticket' not in words(page)
    assert '/client-portal/acme/settings' not in page.shown
    for screen in ('/tickets', f'/tickets/{cast.printer.label}'):
        page = await me.get(f'/client-portal/acme{screen}')
        assert page.status == 200
        assert BANNER in page.html
        assert 'data-act="reply"' not in page.shown
    assert (await me.get('/msp')).status == 200  # their other tabs go on


async def test_what_is_closed_looks_as_if_it_were_not_there(visitor: Someone, cast: Cast) -> None:
    me = await begins(visitor, cast.mona, cast.ada)
    for path, status in (
        (f'/tickets/{cast.payroll.label}', 404), (f'/tickets/{cast.salary.label}', 404), ('/settings', 403), ('/settings/security', 403),
        ('/tickets/new', 403), ('/exports', 403), ('/settings/log', 200),
    ):  # fmt: skip
        page = await me.get(f'/client-portal/acme{path}')
        assert page.status == status, path
        assert BANNER in page.html, path
    listed = await me.get('/client-portal/acme/tickets?view=all')
    assert cast.printer.label in listed.shown
    assert cast.payroll.label not in listed.html
    assert (await me.get('/client-portal/bolt')).answer.headers['location'] == '/msp'


async def test_who_may_not_gets_no_further(visitor: Someone, cast: Cast) -> None:
    assert (await visitor(cast.finn).get(f'/msp/view-as/{cast.ugo.user_id}')).status == 403
    assert 'view-as' not in (await visitor(cast.finn).get(f'/msp/people/{cast.ugo.user_id}')).shown
    for somebody in (cast.cleo.user_id, cast.mona.user_id, uuid4(), 'x'):
        assert (await visitor(cast.tess).get(f'/msp/view-as/{somebody}')).status == 404
    assert (await visitor(cast.tess).get('/client-portal/acme')).answer.headers['location'] == '/msp'


async def test_without_a_fresh_proof_the_browser_is_led_to_it(visitor: Someone, cast: Cast, maintenance: str) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute("update session set proved_at = now() - interval '1 hour' where user_id = %s", (cast.tess.user_id,))
    me = await begins(visitor, cast.tess, cast.ugo)
    assert (await me.get('/client-portal/acme')).answer.headers['location'] == '/msp'


async def test_every_screen_opened_stands_in_the_log_of_the_company(visitor: Someone, cast: Cast) -> None:
    me = await begins(visitor, cast.tess, cast.ugo, 'She <b>asked</b>')
    page = await me.get('/client-portal/acme')
    await page.go(f'/client-portal/acme/tickets/{cast.printer.label}')
    await page.go(f'/client-portal/acme/tickets/{cast.salary.label}')  # closed: not there, and not told
    await me.post('/auth/viewing/stop')
    told = words(await visitor(cast.ada).get('/client-portal/acme/settings/log'))
    for sentence in ('Began to look as Ugo Marchetti She <b>asked</b>', 'Looked at Home as Ugo Marchetti',
                     f'Looked at {cast.printer.label} as Ugo Marchetti', 'Stopped looking as Ugo Marchetti'):  # fmt: skip
        assert sentence in told
    assert 'Tess Okafor as Ugo Marchetti' in told
    assert cast.salary.label not in told
    bolt = words(await visitor(cast.bea).get('/client-portal/bolt/settings/log'))
    assert 'Ugo' not in bolt
    assert 'Began to look' not in bolt


async def test_the_way_out(visitor: Someone, cast: Cast) -> None:
    me = await begins(visitor, cast.tess, cast.ugo)
    assert (await me.get('/client-portal/acme')).status == 200
    stopped = await me.post('/auth/viewing/stop')
    assert stopped.answer.headers['location'] == f'/msp/people/{cast.ugo.user_id}?looked=over'
    assert (await me.get('/client-portal/acme')).answer.headers['location'] == '/msp'
    assert (await me.post('/auth/viewing/stop')).answer.headers['location'] == '/msp'


async def test_signing_out_ends_it(visitor: Someone, cast: Cast, maintenance: str) -> None:
    me = await begins(visitor, cast.tess, cast.ugo)
    await me.post('/auth/signout')
    assert ask(
        maintenance,
        'select ended_at is not null from viewing where staff_id = %s order by begun_at desc limit 1',
        cast.tess.user_id,
    ) == [(True,)]


async def test_no_post_and_no_other_route_writes_anything(visitor: Someone, cast: Cast, maintenance: str) -> None:
    """Every route that takes a POST below the company's address, whatever it is called."""
    me = await begins(visitor, cast.mona, cast.ada)
    routers = (drafts.router, exports.router, files.router, import_files.router, mine.router, trail_files.router)
    routes = [route for router in routers for route in router.routes if isinstance(route, Route)]
    assert any('POST' in (route.methods or ()) for route in routes)
    before = snapshot(maintenance, cast.northwind.id)
    tried = 0
    for route in routes:
        if not route.path.startswith('/client-portal/{company}'):
            continue
        path = route.path.replace('{company}', 'acme').replace('{label}', cast.printer.label).replace('{kind}', 'csv')
        path = re.sub(r'\{\w+(:\w+)?\}', str(uuid4()), path)
        for method in route.methods or ():
            answer = await me.http.request(method, path, data={'place': 'new-ticket', 'body': 'x'} if method == 'POST' else None)
            tried += 1
            if method == 'POST':
                assert answer.status_code == 403, path
            else:
                assert answer.status_code in (200, 303, 304, 400, 403, 404, 405, 422), path
    assert tried > 6
    assert snapshot(maintenance, cast.northwind.id) == before


#: What an island may offer to somebody who only reads: where they are in a list, and what they ask it.
READING = {'attend', 'leave', 'filter', 'search', 'why', 'unfold'}


@pytest.mark.parametrize('client_name', ['ada', 'ugo'])
async def test_no_screen_offers_a_form_that_writes(visitor: Someone, cast: Cast, settings: Settings, client_name: str) -> None:
    who: Member = getattr(cast, client_name)
    me = await begins(visitor, cast.mona, who)
    opened = 0
    for screen in client.spec(settings).screens:
        path = addresses(screen, who, cast)['own']
        page = await me.get(path)
        opened += page.status == 200
        assert BANNER in page.html, path
        offered = set(re.findall(r'data-act="([\w-]+)"', page.shown.split('<main', 1)[-1].split('</main>', 1)[0]))
        assert offered <= READING, path
    assert opened >= 4


async def test_plain_answers_of_that_address_have_the_banner(visitor: Someone, cast: Cast) -> None:
    me = await begins(visitor, cast.mona, cast.ada)
    for answer in (
        await me.http.request('POST', '/client-portal/acme/drafts', data={'place': 'new-ticket'}),
        await me.http.request('GET', '/client-portal/acme/settings/log/export.csv'),
        await me.http.request('GET', f'/client-portal/acme/files/{uuid4()}'),
    ):
        assert answer.status_code in (403, 404)
        assert BANNER in answer.text
        assert '/auth/viewing/stop' in answer.text
    own = await visitor(cast.ada).http.request('GET', f'/client-portal/acme/files/{uuid4()}')
    assert BANNER not in own.text


ACTS = (
    ('reply', {'body': 'As Ada'}), ('close', {}), ('reopen', {}), ('writing', {'body': 'x', 'what': 'reply'}), ('add', {'person': 'x'}),
    ('subject', {'subject': 'Mine', 'shown': ''}), ('visibility', {'visibility': 'private', 'to': 'private'}), ('leave', {}), ('take-out', {}),
    ('send', {'body': 'x', 'subject': 'y'}), ('open', {'body': 'x', 'subject': 'y', 'text': 'z'}), ('export-csv', {}), ('export-xlsx', {}),
    ('mark-unread', {}), ('mark-all-read', {}), ('notices', {}), ('notices-read', {}), ('save', {'name': 'X'}), ('save-view', {'name': 'X'}),
    ('unfold', {}), ('keep', {}), ('look', {}),
)  # fmt: skip


@pytest.mark.parametrize('path', ['', '/tickets', '/tickets/new', '/tickets/{printer}', '/settings', '/exports', '/settings/log'])
async def test_no_event_of_an_open_page_writes_anything(visitor: Someone, cast: Cast, maintenance: str, path: str) -> None:
    """Every island of every screen, with acts that are not offered on it as well."""
    me = await begins(visitor, cast.mona, cast.ada)
    page = await me.get('/client-portal/acme' + path.replace('{printer}', cast.printer.label))
    before = snapshot(maintenance, cast.northwind.id)
    for island in page.islands:
        acts = {*(act for act in re.findall(r'data-(?:act|on)="([\w-]+)"', str(island.content)))}
        for name, values in (*ACTS, *((act, {'body': 'x', 'name': 'y'}) for act in acts)):
            if any(e.type == 'act' for e in island._event_listeners.values()):  # pyright: ignore[reportPrivateUsage]
                await page.send(island, {'act': name, 'key': str(cast.bill.user_id), 'values': values, 'number': 1})
    assert snapshot(maintenance, cast.northwind.id) == before


async def test_the_same_event_of_the_person_writes(visitor: Someone, cast: Cast, maintenance: str) -> None:
    """So the walk above would see it."""
    page = await visitor(cast.ada).get(f'/client-portal/acme/tickets/{cast.printer.label}')
    before = snapshot(maintenance, cast.northwind.id)
    await page.act('reply', body='As Ada')
    assert snapshot(maintenance, cast.northwind.id) != before


async def test_an_open_page_learns_that_it_is_over(visitor: Someone, cast: Cast, maintenance: str) -> None:
    me = await begins(visitor, cast.tess, cast.ugo)
    page = await me.get('/client-portal/acme/tickets')
    with psycopg.connect(maintenance) as c:
        c.execute("update users set staff_role = 'Finance' where id = %s", (cast.tess.user_id,))
    await page.go('/client-portal/acme')
    assert page.client
    assert page.client.is_deleted


async def test_the_person_is_not_told_apart_and_nothing_of_theirs_is_seen_as_read(
    visitor: Someone, cast: Cast, maintenance: str
) -> None:
    unread = 'select count(*) from ticket_unread where user_id = %s'
    with psycopg.connect(maintenance) as c:
        c.execute('insert into ticket_unread (user_id, ticket_id, tenant_id, company_id) values (%s, %s, %s, %s) on conflict do nothing',
                  (cast.ugo.user_id, cast.printer.id, cast.northwind.id, cast.acme.id))  # fmt: skip
    before = ask(maintenance, unread, cast.ugo.user_id)
    me = await begins(visitor, cast.tess, cast.ugo)
    assert (await me.get(f'/client-portal/acme/tickets/{cast.printer.label}')).status == 200
    assert ask(maintenance, unread, cast.ugo.user_id) == before != [(0,)]


async def test_what_is_refused_stands_in_the_log_but_does_not_fill_it(visitor: Someone, cast: Cast, maintenance: str) -> None:
    ugo = visitor(cast.ugo)
    for n in range(30):
        assert (await ugo.get(f'/client-portal/bolt/tickets/T-{n}')).status == 404
    assert (await visitor(cast.tess).get('/msp/audit')).status == 403
    lines = ask(
        maintenance, "select detail from audit where action = 'access.denied' and actor_id = %s order by at", cast.ugo.user_id
    )
    assert len(lines) == 20
    assert lines[0][0] == {'what': '/client-portal/bolt/tickets/T-0'}
    assert lines[-1][0]['more'] is True
    assert ask(maintenance, "select detail from audit where action = 'access.denied' and actor_id = %s", cast.tess.user_id) == [
        ({'what': '/audit'},)
    ]
