"""Files come and go by plain requests: what is believed of them, and who gets them."""

import asyncio
import io
import json
import re
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from PIL import Image

from portal.db.cast import Cast, Member
from portal.domain.tickets.drafts import NEW_TICKET, reply_to
from portal.pages.files import disposition, numbered
from portal.settings import Settings
from portal.storage import Store
from tests.visitor import Visitor

ACME = '/client-portal/acme'


def picture() -> bytes:
    out = io.BytesIO()
    Image.new('RGB', (30, 20), '#24527a').save(out, 'PNG')
    return out.getvalue()


@pytest.fixture
def stored(settings: Settings) -> Iterator[Any]:
    """Names of the files that lie in the store and were not there before."""
    store = Store(settings)

    def now() -> set[Path]:
        return {path for path in store.folder.rglob('*') if path.is_file()}

    before = now()
    yield lambda: now() - before
    for path in now() - before:
        path.unlink()


async def send(visitor: Visitor, root: str, place: str, content: Any, name: str = 'page.txt', **more: Any) -> httpx.Response:
    return await visitor.http.post(f'{root}/files', params={'place': place, 'name': name}, content=content, **more)


async def sent(visitor: Visitor, root: str, ticket: Any, content: bytes, name: str, act: str = 'reply', **values: str) -> str:
    """Uploaded, and sent with a reply. The file's id."""
    answer = await send(visitor, root, reply_to(ticket.id), content, name)
    assert answer.status_code == 201, answer.text
    page = await visitor.get(f'{root}/tickets/{ticket.label}')
    await page.act(act, body='Look', file=answer.json()['id'], **values)
    return answer.json()['id']


async def test_a_picture_is_seen_in_the_conversation(visitor: type[Visitor], cast: Cast, stored: Any) -> None:
    ugo = visitor(cast.ugo)
    answer = await send(ugo, ACME, reply_to(cast.printer.id), picture(), 'leere-seite.png')
    told = answer.json()
    assert (answer.status_code, told['name'], told['size']) == (201, 'leere-seite.png', '91 bytes')
    page = await ugo.get(f'{ACME}/tickets/{cast.printer.label}')
    await page.act('reply', body='Like this', file=told['id'])
    assert f'src="{told["preview"]}"' in page.shown

    tess = await visitor(cast.tess).get(f'/msp/tickets/{cast.printer.label}')
    assert f'src="/msp/files/{told["id"]}/preview" width="30" height="20" alt="leere-seite.png"' in tess.html
    shown = await visitor(cast.tess).http.get(f'/msp/files/{told["id"]}/preview')
    assert (shown.status_code, shown.headers['content-type']) == (200, 'image/webp')
    assert shown.headers['cache-control'] == 'private, no-cache'
    again = await visitor(cast.tess).http.get(
        f'/msp/files/{told["id"]}/preview', headers={'if-none-match': shown.headers['etag']}
    )
    assert again.status_code == 304
    (bytes_of_it,) = [path for path in stored() if path.name]
    assert bytes_of_it.read_bytes() == picture()


async def test_a_download_is_an_attachment_and_is_recorded(
    visitor: type[Visitor], cast: Cast, stored: Any, maintenance: str
) -> None:  # fmt: skip
    evil = b'<html><script>alert(1)</script>'
    file = await sent(visitor(cast.ugo), ACME, cast.printer, evil, 'Bericht "ä".html')
    answer = await visitor(cast.tess).http.get(f'/msp/files/{file}', headers={'accept-encoding': 'gzip'})
    assert answer.content == evil
    assert answer.headers['content-type'].startswith('text/plain')
    assert answer.headers['x-content-type-options'] == 'nosniff'
    assert answer.headers['content-disposition'] == (
        'attachment; filename="Bericht ___.html"; filename*=UTF-8\'\'Bericht%20_%C3%A4_.html'
    )
    assert 'sandbox' in answer.headers['content-security-policy']
    assert (await visitor(cast.tess).http.get(f'/msp/files/{file}/preview')).status_code == 404
    part = await visitor(cast.tess).http.get(f'/msp/files/{file}', headers={'range': 'bytes=0-5'})
    assert (part.status_code, part.content) == (206, b'<html>')
    with psycopg.connect(maintenance) as c:
        told = c.execute("select actor_id from audit where action = 'file.downloaded' and subject_id = %s", (file,)).fetchall()
    assert {row[0] for row in told} == {cast.tess.user_id}


async def test_a_foreign_file_is_not_there(visitor: type[Visitor], cast: Cast, stored: Any) -> None:
    file = await sent(visitor(cast.ugo), ACME, cast.printer, b'hello', 'a.txt')
    waiting = (await send(visitor(cast.ugo), ACME, NEW_TICKET, b'hello')).json()['id']
    others: list[tuple[Member, str]] = [(cast.bea, '/client-portal/bolt'), (cast.mel_bolt, '/client-portal/bolt'),
                                        (cast.cleo, '/client-portal/bakery'), (cast.stan, '/msp')]  # fmt: skip
    for who, root in others:
        for path in (f'/files/{file}', f'/files/{file}/preview', f'/tickets/{cast.printer.label}/files.zip', '/files/x'):
            answer = await visitor(who).http.get(root + path)
            assert answer.status_code == 404, (who.name, path)
            assert 'a.txt' not in answer.text
        assert (await visitor(who).http.post(f'{root}/files/{file}/remove')).status_code == 404
    for who, root in (*others, (cast.ada, ACME), (cast.tess, '/msp')):
        assert (await visitor(who).http.get(f'{root}/files/{waiting}')).status_code == 404, 'not sent yet'
        assert (await visitor(who).http.post(f'{root}/files/{waiting}/remove')).status_code == 404
    assert (await visitor(cast.ugo).http.post(f'{ACME}/files/{file}/remove')).status_code == 404, 'sent is sent'
    stranger = await visitor(host=cast.northwind.host).http.get(f'/msp/files/{file}')
    assert stranger.status_code == 303


async def test_a_file_of_a_note_never_leaves_the_staff(visitor: type[Visitor], cast: Cast, stored: Any, maintenance: str) -> None:
    shared = await sent(visitor(cast.tess), '/msp', cast.printer, b'manual', 'page.txt', 'say', do='reply', kind='reply')
    file = await sent(visitor(cast.tess), '/msp', cast.printer, picture(), 'page.txt', 'say', do='note', kind='note')
    ada = visitor(cast.ada)
    for path in (f'/files/{file}', f'/files/{file}/preview'):
        assert (await ada.http.get(ACME + path)).status_code == 404
    page = await ada.get(f'{ACME}/tickets/{cast.printer.label}')
    assert file not in page.html
    assert shared in page.html

    names = {}
    for who, root in ((cast.ada, ACME), (cast.tess, '/msp')):
        answer = await visitor(who).http.get(f'{root}/tickets/{cast.printer.label}/files.zip')
        assert int(answer.headers['content-length']) == len(answer.content)
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            assert archive.testzip() is None
            names[who.name] = archive.namelist()
    assert names == {cast.ada.name: ['page.txt'], cast.tess.name: ['page.txt', 'page (2).txt']}
    with psycopg.connect(maintenance) as c:
        recorded = (
            "select actor_id, detail -> 'files' from audit where action = 'files.downloaded' and subject_id = %s order by at"
        )
        told = c.execute(recorded, (cast.printer.id,)).fetchall()
    assert told == [(cast.ada.user_id, 1), (cast.tess.user_id, 2)]


def test_no_two_names_in_an_archive_are_the_same() -> None:
    assert numbered(['a.txt', 'A.TXT', 'a (2).txt', 'a.txt', '.env', '.env', 'x', 'x']) == [
        'a.txt', 'A (2).TXT', 'a (2) (2).txt', 'a (3).txt', '.env', '.env (2)', 'x', 'x (2)',
    ]  # fmt: skip


@pytest.mark.parametrize('name', ['a"; x="b', 'ä\\b', 'a%0d%0a', 'файл.txt', 'a\u202eb', 'x' * 150])
def test_a_name_cannot_leave_its_header(name: str) -> None:
    found = re.fullmatch(r"attachment; filename=\"([ -!#-\[\]-~]*)\"; filename\*=UTF-8''([\w.%~-]+)", disposition(name))
    assert found
    assert '%' not in found[1]


# ---------- what is too much, or not meant ----------


async def slowly(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def test_more_than_the_limit_is_refused_while_it_comes(visitor: type[Visitor], cast: Cast, stored: Any) -> None:
    ugo, mb = visitor(cast.ugo), b'x' * 1_000_000
    honest = await send(ugo, ACME, NEW_TICKET, b'', headers={'content-length': '25000001'})
    unannounced = await send(ugo, ACME, NEW_TICKET, slowly(*[mb] * 25, b'x'))
    lying = await send(ugo, ACME, NEW_TICKET, slowly(*[mb] * 25, b'x'), headers={'content-length': '5'})
    assert [a.status_code for a in (honest, unannounced, lying)] == [413] * 3
    assert honest.json()['error'] == 'This file is larger than 25 MB, the most that can be sent.'
    assert stored() == set()


async def test_a_company_has_so_much_room(visitor: type[Visitor], cast: Cast, stored: Any, maintenance: str) -> None:
    mona = await visitor(cast.mona).get('/msp/companies/acme')
    await mona.act('set-quota', quota='1')
    assert '10 bytes of 1 MB' in mona.shown
    ugo = visitor(cast.ugo)
    for content in (b'x' * 1_000_001, slowly(b'x' * 600_000, b'x' * 600_000)):
        answer = await send(ugo, ACME, NEW_TICKET, content)
        assert (answer.status_code, answer.json()['error']) == (
            413, 'There is no room left for files of your company. Please tell Northwind.',
        )  # fmt: skip
    assert stored() == set()
    await mona.act('set-quota', quota='a lot')
    assert 'A number of megabytes, please' in mona.shown
    assert 'value="a lot"' in mona.shown
    await mona.act('set-quota', quota='')
    assert (await send(ugo, ACME, NEW_TICKET, b'x' * 1_000_001)).status_code == 201
    assert 'set-quota' not in (await visitor(cast.tess).get('/msp/companies/acme')).html


async def test_room_is_held_for_what_is_still_coming(visitor: type[Visitor], cast: Cast, stored: Any, maintenance: str) -> None:
    """Of several at once, who finds no room is refused before the disk has taken a byte. What staff send does not tell clients."""
    with psycopg.connect(maintenance) as c:
        c.execute('update company set file_quota_mb = 1 where id = %s', (cast.acme.id,))
    goes_on = asyncio.Event()

    async def paused(begun: asyncio.Event) -> AsyncIterator[bytes]:
        yield b'x' * 1000
        begun.set()  # the first bytes were taken
        await goes_on.wait()
        yield b'x' * 599_000

    place, under_way = reply_to(cast.printer.id), list[asyncio.Task[httpx.Response]]()
    for who, root in ((cast.tess, '/msp'), (cast.ada, ACME)):
        begun = asyncio.Event()
        content, length = paused(begun), {'content-length': '600000'}
        under_way.append(asyncio.create_task(send(visitor(who), root, place, content, headers=length)))
        await begun.wait()
    ugo = visitor(cast.ugo)
    assert (await send(ugo, ACME, place, b'x' * 600_000)).status_code == 413
    assert (await send(ugo, ACME, place, slowly(b'x' * 300_000, b'x' * 200_000))).status_code == 413
    assert (await send(ugo, ACME, place, b'x' * 300_000)).status_code == 201
    goes_on.set()
    await asyncio.wait(under_way)
    assert under_way[1].result().status_code == 201  # whether there is room for Tess, too, is a matter of who ends first
    assert not [path for path in stored() if '.incoming' in path.parts]


async def test_who_is_signed_out_meanwhile_sends_nothing(
    visitor: type[Visitor], cast: Cast, stored: Any, maintenance: str
) -> None:  # fmt: skip
    async def until_revoked() -> AsyncIterator[bytes]:
        yield b'first'
        with psycopg.connect(maintenance) as c:
            c.execute('update session set revoked_at = now() where token_hash = %s', (cast.ugo.token,))
        yield b'second'

    answer = await send(visitor(cast.ugo), ACME, NEW_TICKET, until_revoked())
    assert answer.status_code == 401
    assert stored() == set()
    with psycopg.connect(maintenance) as c:
        assert not c.execute('select 1 from file where author_id = %s and place = %s', (cast.ugo.user_id, NEW_TICKET)).fetchone()


async def test_only_our_own_pages_send_files(visitor: type[Visitor], cast: Cast, stored: Any) -> None:
    for origin in ({'origin': 'https://evil.example'}, {'origin': 'null'}):
        assert (await send(visitor(cast.ugo), ACME, NEW_TICKET, b'x', headers=origin)).status_code == 403
        for path in ('/drafts', f'/files/{cast.printer.id}/remove'):
            assert (await visitor(cast.ugo).http.post(ACME + path, headers=origin)).status_code == 403
    assert stored() == set()


async def test_a_role_that_only_reads_sends_nothing(visitor: type[Visitor], cast: Cast, stored: Any, maintenance: str) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute(
            "update membership set role = null, role_id = (select id from role where tenant_id = %s and name = 'Reader') where user_id = %s",
            (cast.northwind.id, cast.ugo.user_id),
        )
    ugo = visitor(cast.ugo)
    for place in (NEW_TICKET, reply_to(cast.printer.id)):
        assert (await send(ugo, ACME, place, b'x')).status_code == 403
        assert (await ugo.http.post(f'{ACME}/drafts', content=draft(place, 'x'))).status_code == 403
    assert stored() == set()


async def test_a_file_that_is_gone_is_not_silently_left_out(visitor: type[Visitor], cast: Cast, stored: Any) -> None:
    ugo = visitor(cast.ugo)
    file = (await send(ugo, ACME, reply_to(cast.printer.id), b'x')).json()['id']
    page = await ugo.get(f'{ACME}/tickets/{cast.printer.label}')
    assert (await ugo.http.post(f'{ACME}/files/{file}/remove')).status_code == 204
    assert stored() == set()
    for wrong in (file, 'nonsense'):
        await page.act('reply', body='With a picture', file=wrong)
        assert 'A file is not there any more' in page.shown
        assert 'With a picture</textarea>' in page.shown


# ---------- drafts ----------


def draft(place: Any, words: Any, **more: Any) -> str:
    return json.dumps({'place': place, 'content': {'body': words}, 'began_with': 0, **more})


async def test_a_draft_and_its_files_come_back(visitor: type[Visitor], cast: Cast, stored: Any) -> None:
    ugo, place = visitor(cast.ugo), reply_to(cast.printer.id)
    empty = (await ugo.http.get(f'{ACME}/drafts', params={'place': place})).json()
    assert empty == {'version': 0, 'content': {}, 'earlier': [], 'files': []}
    assert (await ugo.http.post(f'{ACME}/drafts', content=draft(place, 'Copying\x00 \ud800works'))).json()['version'] == 1
    file = (await send(ugo, ACME, place, b'x', 'page.txt')).json()
    there = (await visitor(cast.ugo).http.get(f'{ACME}/drafts', params={'place': place})).json()
    assert (there['content'], there['files']) == ({'body': 'Copying ?works'}, [file])
    for who, root in ((cast.ada, ACME), (cast.tess, '/msp')):
        assert (await visitor(who).http.get(f'{root}/drafts', params={'place': place})).json() == empty
    gone = await ugo.http.post(f'{ACME}/drafts', content=draft(place, '', began_with=1, empty=True))
    assert gone.json()['version'] == 0
    assert (await ugo.http.post(f'{ACME}/drafts', content=draft(place, 'late', began_with=1))).status_code == 409


@pytest.mark.parametrize(
    'body',
    [b'', b'[]', b'{"place": "new-ticket"}', b'\xff', draft(3, 'x').encode(), draft(NEW_TICKET, 3).encode(),
     draft(NEW_TICKET, {'x': 1}).encode(), json.dumps({'place': NEW_TICKET, 'content': {}, 'began_with': '1'}).encode(),
     draft(NEW_TICKET, 'x', began_with=10**30).encode(), b'[' * 200_000],
)  # fmt: skip
async def test_what_is_no_draft_is_refused(visitor: type[Visitor], cast: Cast, body: bytes) -> None:
    assert (await visitor(cast.ugo).http.post(f'{ACME}/drafts', content=body)).status_code == 422


async def test_a_draft_has_an_end(visitor: type[Visitor], cast: Cast) -> None:
    answer = await visitor(cast.ugo).http.post(f'{ACME}/drafts', content=draft(NEW_TICKET, 'x' * 600_000))
    assert answer.status_code == 413
