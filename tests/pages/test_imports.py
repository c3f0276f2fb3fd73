"""The import as Mona sees it, and whoever may not."""

import re
from html import unescape
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from portal.db.cast import Cast, Member
from portal.domain.imports.doing import take_chunk
from portal.domain.imports.reading import MOST_BYTES
from portal.visit import arriving
from tests.visitor import Page, Visitor

Someone = type[Visitor]
FILE = 'Kundennr.;Firma;Ort\nK-1;Garden Florist;Hannover\n;Acme Dental;Celle\nK-3;;\n'
HOSTILE = '<script>alert(1)</script>'


def words(page: Page) -> str:
    return re.sub(r'\s+', ' ', unescape(re.sub(r'<[^>]+>', ' ', page.shown)))


async def send(who: Visitor, text: str | bytes, *, kind: str = 'companies', name: str = 'clients.csv', **headers: str) -> Page:
    data = text if isinstance(text, bytes) else text.encode()
    return Page(
        await who.http.post('/msp/import/upload', data={'kind': kind}, files={'file': (name, data, 'text/csv')}, headers=headers)
    )


async def uploaded(who: Visitor, text: str | bytes, **more: str) -> Page:
    """Its page."""
    answer = (await send(who, text, **more)).answer
    assert answer.status_code == 303, answer.text
    return await who.get(answer.headers['location'])


async def wrong_with(who: Visitor, text: str | bytes) -> str:
    page = await who.get((await send(who, text)).answer.headers['location'])
    found = re.search(r'id="f-file-wrong".*?<span>(.*?)</span>', page.shown)
    return unescape(found[1]) if found else ''


async def run(page: Page, who: Member) -> None:
    """What the worker does."""
    found = re.search(r'/msp/import/([0-9a-f-]{36})', str(page.answer.url))
    arrival = await arriving(who.cookie)
    assert found and arrival
    visit = arrival.staff()
    more = True
    while more:
        async with visit.work() as db:
            more = await take_chunk(db, visit.by, UUID(found[1]))


async def test_from_the_file_to_the_list(visitor: Someone, cast: Cast) -> None:
    mona = visitor(cast.mona)
    page = await uploaded(mona, FILE)
    assert '1 to add 1 to change 0 to leave as they are 1 refused' in words(page)
    assert 'Name: Please enter a name.' in words(page)
    assert 'UTF-8, semicolons' in words(page)
    assert 'Garden Florist' not in words(await mona.get('/msp/companies'))  # nothing has happened
    await page.act('start')
    assert 'Running' in words(page)
    await run(page, cast.mona)
    done = await mona.get(str(page.answer.url))
    assert '1 added 1 changed 0 left as they were 1 refused' in words(done)
    assert 'Garden Florist' in words(await mona.get('/msp/companies'))
    again = await uploaded(mona, FILE)
    assert '0 to add 0 to change 2 to leave as they are 1 refused' in words(again)
    assert 'data-act="start"' not in again.shown


async def test_columns_are_matched_by_hand(visitor: Someone, cast: Cast) -> None:
    page = await uploaded(visitor(cast.mona), 'A;B\nGarden Florist;Hannover\n')
    assert '1 refused' in words(page)
    assert 'Choose a column.' in words(page)
    await page.act('match', **{'m-name': '0', 'm-city': '1', 'm-phone': '99', 'm-nonsense': '0', 'm-note': 'x'})
    assert '1 to add' in words(page)
    assert 'Hannover' in words(page)


async def test_refused_rows_come_back_with_the_reason_and_no_formula(visitor: Someone, cast: Cast) -> None:
    mona = visitor(cast.mona)
    page = await uploaded(mona, 'Name;Telefon\n=cmd|x;call me\n')
    answer = (await mona.get(urlsplit(str(page.answer.url)).path + '/refused.csv')).answer
    assert answer.status_code == 200
    assert answer.headers['content-disposition'].startswith('attachment')
    assert (
        answer.content.decode('utf-8-sig')
        == "Name;Telefon;Why it was refused\r\n'=cmd|x;call me;Phone: This does not look like a phone number.\r\n"
    )


async def test_what_people_called_their_things_stays_words(visitor: Someone, cast: Cast) -> None:
    page = await uploaded(visitor(cast.mona), f'{HOSTILE};Telefon\n{HOSTILE};{HOSTILE}\n', name=f'{HOSTILE}.csv')
    await page.act('match', **{'m-name': '0', 'm-phone': '1'})
    assert HOSTILE in words(page) or HOSTILE in unescape(page.shown)
    assert HOSTILE not in page.shown
    assert HOSTILE not in page.html


@pytest.mark.parametrize(
    ('text', 'said'),
    [(b'', 'There is nothing in this file.'), (b'PK\x03\x04', 'This is a spreadsheet.'), (b'Name\nA\x00\n', 'Line 2 has a character'),
     (b'Name\n"A\n', 'quotes do not fit'), (b'x' * (MOST_BYTES + 1), 'At most 5 MB'), (b'x' * (MOST_BYTES + 3_000_000), 'At most 5 MB')],
)  # fmt: skip
async def test_what_is_wrong_with_a_file_is_said_at_its_field(visitor: Someone, cast: Cast, text: bytes, said: str) -> None:
    assert said in await wrong_with(visitor(cast.mona), text)


async def test_the_portal_says_only_what_it_said_itself(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.mona).get('/msp/import?wrong=Call+0900+123')
    assert '0900' not in words(page)


async def test_no_file_and_half_a_file(visitor: Someone, cast: Cast) -> None:
    mona = visitor(cast.mona)
    broken = 'multipart/form-data; boundary=x'
    answer = await mona.http.post('/msp/import/upload', content=b'--x\r\nbroken', headers={'content-type': broken})
    assert answer.status_code == 303
    assert '/msp/import?' in answer.headers['location']
    for kind in ('application/x-www-form-urlencoded', 'multipart/form-data', 'text/csv', ''):
        answer = await mona.http.post('/msp/import/upload', content=b'', headers={'content-type': kind} if kind else {})
        assert answer.status_code == 400
        assert 'Choose a CSV file' in answer.text


# ---------- who may not ----------


async def test_only_who_manages_companies_and_only_from_here(visitor: Someone, cast: Cast) -> None:
    mona = visitor(cast.mona)
    page = await uploaded(mona, FILE)
    path = urlsplit(str(page.answer.url)).path
    for who in (cast.tess, cast.finn):
        assert (await send(visitor(who), FILE)).status == 403
        for get in (path, path + '/refused.csv', '/msp/import', '/msp/import/template/people.csv'):
            assert (await visitor(who).get(get)).status == 403, get
    for get in (path, path + '/refused.csv'):
        assert (await visitor(cast.stan).get(get)).status == 404
        assert (await visitor(cast.ada).get(get)).answer.headers['location'] == '/client-portal/acme'
    assert (await send(visitor(cast.ada), FILE)).answer.headers['location'] == '/client-portal/acme'
    assert (await send(visitor(cast.mona), FILE, origin='https://evil.example')).status == 403
    stranger = await send(visitor(host=cast.northwind.host), FILE)
    assert stranger.status in (303, 403) and 'import' not in stranger.answer.headers.get('location', '').partition('?')[0]


async def test_templates_are_understood_as_they_are(visitor: Someone, cast: Cast) -> None:
    mona = visitor(cast.mona)
    for kind, needed in (('companies', 'Name'), ('people', 'E-mail')):
        answer = (await mona.get(f'/msp/import/template/{kind}.csv')).answer
        headings = answer.content.decode('utf-8-sig').strip()
        assert needed in headings.split(';')
        page = await uploaded(mona, f'{headings}\n' + ';'.join(['x'] * (headings.count(';') + 1)), kind=kind)
        assert page.shown.count(' selected>') == len(headings.split(';'))
    assert (await mona.get('/msp/import/template/nonsense.csv')).status == 404


async def test_an_upload_is_thrown_away(visitor: Someone, cast: Cast) -> None:
    mona = visitor(cast.mona)
    page = await uploaded(mona, FILE)
    await page.act('throw')
    assert (await mona.get(urlsplit(str(page.answer.url)).path)).status == 404
