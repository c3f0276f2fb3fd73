"""What the pages cost the server: time and processor for a request and an event, elements and memory for a page that stays open."""

import asyncio
import json
import re
import statistics
from typing import Any

import httpx
import websockets

from bench.data import Someone
from bench.measure import Line, in_turn, median, within
from bench.serve import COUNT, EMPTY, FORGET, Served

MOST_CPU, MOST_ELEMENTS, MOST_MEMORY = 8, 100, 200  # ms, elements, KB
BLOCK = 25  # requests between two looks at the clock of the processor, which ticks in 10 ms


def arrived(number: int) -> str:
    """The call of the stage's method, as it stands in a frame. Number 0 is the first screen, told when the socket opens."""
    return f'arrived\\", [{number}]'


class Open:
    """A page as its browser holds it: loaded, and with its socket."""

    def __init__(self, html: str, socket: Any) -> None:
        self.client, self.elements, self.socket, self.html = _client_of(html), _elements_of(html), socket, html
        self.number = 0

    async def go(self, path: str) -> None:
        """Follow a link in the frame, until the server says that the screen has arrived."""
        number = await self.send_go(path)
        async with asyncio.timeout(10):
            while arrived(number) not in (said := await self.socket.recv()):
                if said == '2':
                    await self.socket.send('3')  # or the server takes the page for dead

    async def send_go(self, path: str) -> int:
        self.number += 1
        stage, events = next((id_, e['events']) for id_, e in self.elements.items() if e['tag'] == 'nicegui-stage')
        listener = next(event['listener_id'] for event in events if event['type'] == 'go')
        message = {'id': int(stage), 'client_id': self.client, 'listener_id': listener,
                   'args': [json.dumps({'path': path, 'number': self.number})]}  # fmt: skip
        await self.socket.send('42' + json.dumps(['event', message]))
        return self.number


async def opened(served: Served, http: httpx.AsyncClient, who: Someone, path: str) -> Open:
    html = (await http.get(path)).text
    query = f'client_id={_client_of(html)}&next_message_id=0&implicit_handshake=true&tab_id=t&document_id=d'
    socket = await websockets.connect(
        f'ws://127.0.0.1:{served.port}/_nicegui_ws/socket.io/?{query}&EIO=4&transport=websocket',
        origin=served.origin,  # type: ignore[arg-type]
        additional_headers={'Cookie': f'portal={who.cookie}'},  # and compressed, as browsers do
    )
    await socket.recv()
    await socket.send('40')
    assert '"sid"' in str(await socket.recv()), 'the portal refused the socket'
    return Open(html, socket)


def _client_of(html: str) -> str:
    found = re.search(r"'client_id': '([0-9a-f-]{36})'", html)
    assert found, 'no page of NiceGUI'
    return found[1]


def _elements_of(html: str) -> dict[str, Any]:
    found = re.search(r'parseElements\(String\.raw`(.*?)`\)', html, re.DOTALL)
    assert found
    return json.loads(found[1])


def visitor(served: Served, who: Someone | None) -> httpx.AsyncClient:
    cookies = {'portal': who.cookie} if who else {}
    return httpx.AsyncClient(base_url=served.origin, cookies=cookies, headers={'origin': served.origin}, timeout=30)


async def lines(served: Served, people: dict[str, Someone], times: int, number: int) -> list[Line]:
    """`number`: of a ticket of the big company."""
    return [
        *await _memory(served, people['big'], 60 if times < 40 else 300),  # first: memory that was used before is used again
        *await _requests(served, people, times, number),
        *await _processor(served, people, times),
    ]


# ---------- time ----------


async def _requests(served: Served, people: dict[str, Someone], times: int, number: int) -> list[Line]:
    places = [
        ('client’s list', people['big'], f'{people["big"].root}/tickets'),
        ('client’s ticket', people['big'], f'{people["big"].root}/tickets/T-{number}'),
        ('staff’s queue', people['staff'], '/msp/tickets'),
    ]
    found: list[Line] = []
    for what, who, path in places:
        async with visitor(served, who) as http:
            page = await opened(served, http, who, who.root)

            async def load(http: httpx.AsyncClient = http, path: str = path) -> None:
                assert (await http.get(path)).status_code == 200

            async def event(page: Open = page, path: str = path) -> None:
                await page.go(path)

            taken = await in_turn({'page': load, 'event': event}, times)
            await page.socket.close()
        found.append(Line(f'{what}: whole page, to the last byte', ours=f'{median(taken["page"]):.1f} ms'))
        found.append(Line(f'{what}: within the open page, to the screen sent', ours=f'{median(taken["event"]):.1f} ms'))
    return found


# ---------- processor ----------


async def _processor(served: Served, people: dict[str, Someone], times: int) -> list[Line]:
    """Of the server's process, with the database's part left out, beside an empty page of NiceGUI in the same process."""
    paths = {'empty': (None, EMPTY), 'client’s list': (people['big'], f'{people["big"].root}/tickets'),
             'staff’s queue': (people['staff'], '/msp/tickets')}  # fmt: skip
    used: dict[str, list[float]] = {name: [] for name in paths}
    for _round in range(max(3, times // 10)):
        for name, (who, path) in paths.items():
            async with visitor(served, who) as http:
                await http.get(FORGET)  # each page that nobody came back for looks ten times a second whether somebody does
                await http.get(path)
                before = served.cpu()
                for _n in range(BLOCK):
                    await http.get(path)
                used[name].append((served.cpu() - before) / BLOCK)
    empty = median(used['empty'])
    return [
        within(f'{name}: processor time a page, beside an empty one', median(used[name]), MOST_CPU, unit='ms', digits=1,
               baseline=f'{empty:.1f} ms', value=f'{median(used[name]) / empty:.1f} ×')
        for name in paths if name != 'empty'
    ]  # fmt: skip


# ---------- memory ----------


async def _memory(served: Served, who: Someone, pages: int) -> list[Line]:
    path = f'{who.root}/tickets'
    async with visitor(served, who) as http:
        warm = [await opened(served, http, who, path) for _n in range(pages // 5)]
        before = served.rss()
        held = [await opened(served, http, who, path) for _n in range(pages)]
        await asyncio.sleep(0.5)
        counts = (await http.get(COUNT)).json()
        each = (served.rss() - before) / pages
        for page in (*warm, *held):
            await page.socket.close()
    elements = statistics.median(counts[path])
    return [
        within('client’s list: elements on the server', elements, MOST_ELEMENTS, unit=''),
        within(f'client’s list: memory a page, {pages} of them open', each, MOST_MEMORY, unit='KB'),
    ]
