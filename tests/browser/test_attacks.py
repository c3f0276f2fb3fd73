"""What each fence around the websocket catches, with raw frames, as somebody sends them who knows a page's client_id."""

import asyncio
import json
import re
from typing import Any

import httpx
import psycopg
import pytest
import websockets

from portal.db.cast import Cast, Member

pytestmark = pytest.mark.browser


class Attacker:
    """Speaks socket.io by hand. `origin` is where the portal is."""

    def __init__(self, port: int, host: str) -> None:
        self.origin = f'http://{host}:{port}'
        self.port, self.host = port, host

    async def page(self, who: Member, path: str) -> tuple[str, str]:
        """client_id and HTML of a page of theirs."""
        async with httpx.AsyncClient(cookies={'portal': who.cookie}, headers={'host': f'{self.host}:{self.port}'}) as http:
            html = (await http.get(f'http://127.0.0.1:{self.port}{path}')).text
        found = re.search(r'client_id.{1,12}?([0-9a-f-]{36})', html)
        assert found, html[:500]
        return found[1], html

    async def socket(self, client_id: str, *, cookie: str | None = None, origin: str | None = None) -> Any:
        """A socket for a page; raises where it is refused."""
        query = (
            f'client_id={client_id}&next_message_id=0&implicit_handshake=true&tab_id=t&document_id=d&EIO=4&transport=websocket'
        )
        socket = await websockets.connect(
            f'ws://{self.host}:{self.port}/_nicegui_ws/socket.io/?{query}', host='127.0.0.1', port=self.port,
            additional_headers={'Cookie': f'portal={cookie}'} if cookie else {}, origin=origin or self.origin,  # type: ignore[arg-type]
        )  # fmt: skip
        await socket.recv()
        await socket.send('40')
        answer = str(await asyncio.wait_for(socket.recv(), 5))
        if not answer.startswith('40'):
            raise ConnectionRefusedError(answer)
        return socket


@pytest.fixture
def attacker(port: int, cast: Cast) -> Attacker:
    return Attacker(port, cast.northwind.host)


async def drained(socket: Any, seconds: float = 0.8) -> list[str]:
    frames = []
    try:
        while True:
            frames.append(str(await asyncio.wait_for(socket.recv(), seconds)))
    except (TimeoutError, websockets.ConnectionClosed):
        return frames


def elements(html: str) -> dict[str, Any]:
    """The page's elements, as the browser gets them."""
    import html as entities

    found = re.search(r'parseElements\(String.raw`(.*?)`\)', html, re.S)
    assert found
    return json.loads(entities.unescape(found[1]).replace('&#36;', '$'))


def act(html: str, client_id: str, name: str, **values: str) -> str:
    """The frame that presses what carries this `data-act`."""
    island = next(n for n in re.findall(r'data-island="(\d+)"', html) if f'data-act="{name}"' in _island(html, n))
    listener = next(e['listener_id'] for e in elements(html)[island]['events'] if e['type'] == 'act')
    args = {'act': name, 'key': None, 'values': values, 'number': 1}
    return '42' + json.dumps(
        ['event', {'id': int(island), 'client_id': client_id, 'listener_id': listener, 'args': [json.dumps(args)]}]
    )


def _island(html: str, number: str) -> str:
    return html.split(f'data-island="{number}"', 1)[1].split('data-island="', 1)[0]


async def test_a_socket_needs_the_session_that_loaded_the_page(attacker: Attacker, cast: Cast) -> None:
    client_id, _html = await attacker.page(cast.tess, '/msp')
    for cookie in (None, 'nonsense', cast.ada.cookie, cast.mona.cookie):
        with pytest.raises((websockets.InvalidStatus, websockets.ConnectionClosed)):
            await attacker.socket(client_id, cookie=cookie)
    assert await attacker.socket(client_id, cookie=cast.tess.cookie)


@pytest.mark.parametrize('origin', ['https://evil.example', 'null', 'http://127.0.0.1.evil.example'])
async def test_a_socket_needs_our_origin(attacker: Attacker, cast: Cast, origin: str) -> None:
    client_id, _html = await attacker.page(cast.tess, '/msp')
    with pytest.raises((websockets.InvalidStatus, websockets.ConnectionClosed)):
        await attacker.socket(client_id, cookie=cast.tess.cookie, origin=origin)


@pytest.mark.parametrize('client_id', ['', '00000000-0000-0000-0000-000000000000'])
async def test_a_socket_needs_a_page(attacker: Attacker, cast: Cast, client_id: str) -> None:
    with pytest.raises((websockets.InvalidStatus, websockets.ConnectionClosed)):
        await attacker.socket(client_id, cookie=cast.tess.cookie)


async def test_a_socket_speaks_for_its_own_page_alone(attacker: Attacker, cast: Cast, maintenance: str) -> None:
    """Bea has a page of her own, and knows everything about Tess's: nothing is done there."""
    victim, html = await attacker.page(cast.tess, f'/msp/tickets/{cast.printer.label}')
    own, _html = await attacker.page(cast.bea, '/client-portal/bolt')
    socket = await attacker.socket(own, cookie=cast.bea.cookie)
    await drained(socket)
    await socket.send(act(html, victim, 'say', body='Hacked', kind='reply', do='reply'))
    for name in ('log', 'ack', 'javascript_response'):
        await socket.send(
            '42'
            + json.dumps(
                [
                    name,
                    {
                        'client_id': victim,
                        'level': 'error',
                        'message': 'forged',
                        'next_message_id': 99,
                        'request_id': 'x',
                        'result': 1,
                    },
                ]
            )
        )
    assert await drained(socket) == []
    with psycopg.connect(maintenance) as c:
        assert not c.execute(
            "select 1 from ticket_comment where ticket_id = %s and body = 'Hacked'", (cast.printer.id,)
        ).fetchone()


async def test_a_socket_does_not_join_another_page(attacker: Attacker, cast: Cast) -> None:
    """A second handshake, also from a socket that named both pages as it came: it hears nothing of the other one."""
    victim, html = await attacker.page(cast.tess, f'/msp/tickets/{cast.printer.label}')
    own, _html = await attacker.page(cast.bea, '/client-portal/bolt')
    tess = await attacker.socket(victim, cookie=cast.tess.cookie)
    for claimed in (own, f'{own}&client_id={victim}'):
        bea = await attacker.socket(claimed, cookie=cast.bea.cookie)
        await drained(bea)
        await bea.send(
            '42' + json.dumps(['handshake', {'client_id': victim, 'tab_id': 't', 'document_id': 'd', 'next_message_id': 0}])
        )
        await tess.send(act(html, victim, 'say', body='For Tess alone', kind='note', do='note'))
        assert any('For Tess alone' in frame for frame in await drained(tess, 2))
        assert not any('For Tess alone' in frame for frame in await drained(bea))
    with pytest.raises((websockets.InvalidStatus, websockets.ConnectionClosed)):
        await attacker.socket(f'{victim}&client_id={own}', cookie=cast.bea.cookie)


async def test_frames_that_are_no_frames(attacker: Attacker, cast: Cast) -> None:
    """Nonsense is refused and the page lives on."""
    own, html = await attacker.page(cast.tess, f'/msp/tickets/{cast.printer.label}')
    socket = await attacker.socket(own, cookie=cast.tess.cookie)
    await drained(socket)
    for message in ('x', None, 7, [], {}, {'client_id': own}, {'client_id': own, 'id': 'x'}):
        await socket.send('42' + json.dumps(['event', message]))
    await socket.send(act(html, own, 'say', body='Still here', kind='reply', do='reply'))
    assert any('Still here' in frame for frame in await drained(socket, 2))


async def test_a_dead_session_does_nothing_more(attacker: Attacker, cast: Cast, maintenance: str) -> None:
    """Revoked without a word to anybody: the next click finds out, and the browser is led to the door."""
    own, html = await attacker.page(cast.tess, f'/msp/tickets/{cast.printer.label}')
    socket = await attacker.socket(own, cookie=cast.tess.cookie)
    await drained(socket)
    with psycopg.connect(maintenance) as c:
        c.execute('alter table session disable trigger tell')
        c.execute('update session set revoked_at = now() where token_hash = %s', (cast.tess.token,))
        c.execute('alter table session enable trigger tell')
    await socket.send(act(html, own, 'say', body='From beyond', kind='reply', do='reply'))
    assert any('/auth/msp/signin' in frame for frame in await drained(socket, 2))
    with psycopg.connect(maintenance) as c:
        assert not c.execute(
            "select 1 from ticket_comment where body = 'From beyond' and ticket_id = %s", (cast.printer.id,)
        ).fetchone()


async def test_a_revoked_session_is_shown_out_within_a_second(attacker: Attacker, cast: Cast, maintenance: str) -> None:
    own, _html = await attacker.page(cast.ada, '/client-portal/acme')
    socket = await attacker.socket(own, cookie=cast.ada.cookie)
    await drained(socket)
    with psycopg.connect(maintenance) as c:
        c.execute('update session set revoked_at = now() where token_hash = %s', (cast.ada.token,))
    assert any('/auth/client-portal/signin' in frame for frame in await drained(socket, 1))


async def test_an_act_that_the_screen_does_not_offer(attacker: Attacker, cast: Cast, maintenance: str) -> None:
    """Finn's page has no 'take' and no note; sent all the same, the verb refuses."""
    own, html = await attacker.page(cast.finn, f'/msp/tickets/{cast.printer.label}')
    socket = await attacker.socket(own, cookie=cast.finn.cookie)
    await drained(socket)
    forged = json.loads(act(html, own, 'say', body='A note of Finn', kind='note', do='note')[2:])
    await socket.send('42' + json.dumps(forged))
    for name in ('solve', 'take', 'assign'):
        forged[1]['args'] = [json.dumps({'act': name, 'key': None, 'values': {}, 'number': 2})]
        await socket.send('42' + json.dumps(forged))
    await drained(socket, 1.5)
    with psycopg.connect(maintenance) as c:
        assert not c.execute("select 1 from ticket_comment where body = 'A note of Finn'").fetchone()
        row = c.execute('select status, assignee_id from ticket where id = %s', (cast.printer.id,)).fetchone()
    assert row == ('open', cast.tess.user_id)


async def test_a_screen_of_another_company_through_ones_own_socket(attacker: Attacker, cast: Cast) -> None:
    """Navigation comes from the browser, too: foreign numbers, foreign roots and staff screens lead nowhere."""
    own, html = await attacker.page(cast.bea, '/client-portal/bolt')
    socket = await attacker.socket(own, cookie=cast.bea.cookie)
    await drained(socket)
    stage, events = next(
        (k, v['events']) for k, v in elements(html).items() if any(e['type'] == 'go' for e in v.get('events', []))
    )
    listener = next(e['listener_id'] for e in events if e['type'] == 'go')
    for number, path in enumerate((
        f'/client-portal/bolt/tickets/{cast.printer.label}', f'/client-portal/acme/tickets/{cast.printer.label}', '/msp', '/msp/companies',
        '/client-portal/bolt/companies', '/client-portal/bolt/mail', '//evil.example', '/client-portal/bolt/../acme', 'x' * 1999,
    ), 1):  # fmt: skip
        args = {'path': path, 'number': number}
        await socket.send(
            '42'
            + json.dumps(['event', {'id': int(stage), 'client_id': own, 'listener_id': listener, 'args': [json.dumps(args)]}])
        )
        frames = ''.join(await drained(socket, 1))
        assert 'Kyocera' not in frames and 'Copying works' not in frames, path
        assert 'There is nothing here' in frames, path


async def test_post_from_elsewhere_is_refused(attacker: Attacker, cast: Cast) -> None:
    async with httpx.AsyncClient(
        cookies={'portal': cast.ada.cookie}, headers={'host': f'{attacker.host}:{attacker.port}'}
    ) as http:
        for origin in ({}, {'origin': 'https://evil.example'}, {'origin': 'null'}):
            for path in ('/auth/signout', '/me/theme', '/auth/client-portal/signin', '/client-portal/acme'):
                answer = await http.post(f'http://127.0.0.1:{attacker.port}{path}', headers=origin)
                assert answer.status_code == 403, (origin, path)


async def test_every_answer_carries_the_headers(attacker: Attacker, cast: Cast) -> None:
    async with httpx.AsyncClient(
        cookies={'portal': cast.ada.cookie}, headers={'host': f'{attacker.host}:{attacker.port}'}
    ) as http:
        for path in (
            '/',
            '/client-portal/acme',
            '/client-portal/acme/nothing',
            '/auth/msp/signin',
            '/healthz',
            '/client-portal/bolt',
        ):
            answer = await http.get(f'http://127.0.0.1:{attacker.port}{path}')
            policy = answer.headers['content-security-policy']
            assert "frame-ancestors 'none'" in policy and "default-src 'none'" in policy, path
            assert ("'unsafe-inline'" in policy.split('script-src')[1].split(';')[0]) is False
            assert answer.headers['x-content-type-options'] == 'nosniff'
            assert answer.headers['cache-control'] == 'no-store', path
