"""Many people at once: a comment reaching many open pages, a thousand open pages, and a working day's load.

The crowd speaks the portal's websocket from this process, compressed, as browsers do; its own processor time is told beside the
portal's, since both share the machine. One real Chromium is among those who wait for the comment.
"""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
import psycopg
import websockets
from playwright.async_api import async_playwright

from bench.data import Someone
from bench.measure import Line, median, p95, within
from bench.pages import Open, arrived, opened, visitor
from bench.serve import Served
from tests.browser.conftest import ARGS
from tests.peers import chromium

WATCHERS, MOST_LAST = 200, 150  # pages that show the ticket; ms until the last of them has the comment
MANY = 1_000
ACTIONS_AN_HOUR = 20_000  # what 200 people do, by the load that a large help desk's maker publishes
SETTLED, PATIENCE = 1.0, 30  # seconds
APART = 3.0  # seconds between two comments, in which the letters about the first are written
ACKNOWLEDGED = 3.0  # seconds between two times that a browser tells what it has received, as NiceGUI's script does

#: Calls of the stage's methods, as they stand in a frame: go there; a toast.
LED = 'leadTo\\"'
_CALL = re.compile(r'return runMethod\(\d+, "(leadTo|say)", (\[.*\])\)$')
_FAULT = re.compile(r'class="nothing nothing-fault".*?<h1>(.*?)</h1>')
_NUMBERED = re.compile(r' \([0-9a-f]{8}\)$')  # a fault's number in the log

#: When the text is there, by the clock of the machine.
SEEN = """(words) => new Promise((done) => {
  const look = () => document.body.textContent.includes(words) && (watch.disconnect(), done(performance.timeOrigin + performance.now()));
  const watch = new MutationObserver(look);
  watch.observe(document.body, { childList: true, subtree: true, characterData: true });
})"""


async def lines(
    served: Served,
    people: dict[str, Someone],
    crowd: Sequence[Someone],
    workers: Sequence[Someone],
    admin: str,
    times: int,
    minutes: float,
) -> list[Line]:
    """`crowd`: staff and clients of the big company; `workers`: staff, and clients of many. `admin`: conninfo of a superuser."""
    return [
        *await _reaching(served, people, crowd, admin, max(3, times // 6)),
        *await _many(served, crowd, 200 if minutes < 1 else MANY),
        *await _working(served, workers, minutes=minutes),
    ]


# ---------- a comment reaches everybody ----------


async def _reaching(served: Served, people: dict[str, Someone], crowd: Sequence[Someone], admin: str, times: int) -> list[Line]:
    number = await _ticket_of_all(admin, people['big'], crowd)
    watchers = [crowd[n % len(crowd)] for n in range(WATCHERS)]
    writer = await _open(served, people['staff'], number)
    pages = await _gather([_open(served, who, number) for who in watchers])
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGS)
        context = await browser.new_context(base_url=served.origin)
        await context.add_cookies([{'name': 'portal', 'value': people['big'].cookie, 'url': served.origin}])
        page = await context.new_page()
        await page.goto(f'{people["big"].root}/tickets/T-{number}')
        await page.wait_for_function('window.did_handshake && !document.getElementById("ssr")')
        await asyncio.sleep(SETTLED)
        lasts: list[float] = []
        halves: list[float] = []
        browsers: list[float] = []
        ours, theirs = served.cpu(), _cpu()
        for n in range(times):
            words = f'Reached everybody {number} {n} {random.randrange(10**9)}'
            seen = asyncio.create_task(page.evaluate(SEEN, words))
            heard = [asyncio.create_task(each.until(words)) for each in pages]
            await asyncio.sleep(0.2)
            began, wall = time.perf_counter(), time.time()
            await writer.act('say', body=words, kind='reply', do='reply')
            async with asyncio.timeout(60):
                taken = sorted(await asyncio.gather(*heard))
            lasts.append((taken[-1] - began) * 1000)
            halves.append((taken[len(taken) // 2] - began) * 1000)
            async with asyncio.timeout(30):
                browsers.append(await seen - wall * 1000)
            await asyncio.sleep(APART)
        ours, theirs = served.cpu() - ours, _cpu() - theirs
        await browser.close()
    for each in (writer, *pages):
        await each.close()
    people_count = len({who.user_id for who in watchers})
    return [
        within(f'a comment reaches {WATCHERS} open pages of {people_count} people: the last (p50 of pages {median(halves):.0f} ms)',
               median(lasts), MOST_LAST, unit='ms'),
        Line('… and is on screen in a Chromium among them', ours=f'{median(browsers):.0f} ms'),
        Line('… processor time a comment, portal beside the crowd', f'{theirs / times:.0f} ms', f'{ours / times:.0f} ms'),
    ]  # fmt: skip


async def _ticket_of_all(admin: str, big: Someone, crowd: Sequence[Someone]) -> int:
    """An open ticket of the big company with everybody of the crowd in copy."""
    clients = [who.user_id for who in crowd if who.slug == big.slug]
    async with await psycopg.AsyncConnection.connect(admin, autocommit=True) as db:
        row = await (await db.execute(
            """select id, number from ticket where tenant_id = %s and company_id = %s and queue_rank < 30 and visibility = 'company'
               order by changed_at desc limit 1""", (big.tenant_id, big.company_id),
        )).fetchone()  # fmt: skip
        assert row
        await db.execute(
            """insert into ticket_participant (ticket_id, user_id, tenant_id, company_id, added_by_id)
               select %s, u, %s, %s, u from unnest(%s::uuid[]) u on conflict do nothing""",
            (row[0], big.tenant_id, big.company_id, clients),
        )
    return row[1]


# ---------- many open pages ----------


async def _many(served: Served, crowd: Sequence[Someone], count: int) -> list[Line]:
    """A thousand pages at rest, and what somebody's click takes beside them."""
    who = crowd[0]
    probe = await _at(served, who, f'{who.root}/tickets')
    alone = await _clicks(probe, who, 30)
    before, began = served.rss(), time.perf_counter()
    pages = await _gather([_at(served, crowd[n % len(crowd)], f'{crowd[n % len(crowd)].root}/tickets') for n in range(count)])
    took = time.perf_counter() - began
    await asyncio.sleep(SETTLED)
    each = (served.rss() - before) / count
    idle = served.cpu()
    await asyncio.sleep(10)
    idle = (served.cpu() - idle) / 10_000 * 100
    beside = await _clicks(probe, who, 30)
    for page in (probe, *pages):
        await page.close()
    return [
        Line(f'{count:,} open pages in one process: opened', ours=f'{count / took:.0f} a second'),
        Line('… memory a page', ours=f'{each:.0f} KB', value=f'{count * each / 1024:.0f} MB'),
        Line('… processor while nobody does anything', ours=f'{idle:.1f} %'),
        Line('… a click beside them, and without them', f'{median(alone):.1f} ms', f'{median(beside):.1f} ms',
             f'{median(beside) / median(alone):.1f} ×'),
    ]  # fmt: skip


async def _clicks(page: 'Person', who: Someone, times: int) -> list[float]:
    taken: list[float] = []
    for n in range(times):
        began = time.perf_counter()
        await page.go(f'{who.root}/tickets' + ('?sort=number' if n % 2 else ''))
        taken.append((time.perf_counter() - began) * 1000)
    return taken


# ---------- a working day ----------


class Refused(Exception):
    """The portal said no, or did not show what was to be used; the words are the reason."""


@dataclass
class Tally:
    taken: dict[str, list[float]] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter[str])  # what, and why

    def add(self, what: str, ms: float) -> None:
        self.taken.setdefault(what, []).append(ms)

    @property
    def all(self) -> list[float]:
        return [ms for each in self.taken.values() for ms in each]


async def _working(served: Served, crowd: Sequence[Someone], *, minutes: float) -> list[Line]:
    found: list[Line] = []
    people = [await _at(served, crowd[n % len(crowd)], crowd[n % len(crowd)].root) for n in range(200)]
    numbers = {person.who.key: await _numbers(served, person.who) for person in people}
    for factor in (1, 10):
        tally, before, ours, theirs, began = Tally(), served.rss(), served.cpu(), _cpu(), time.perf_counter()
        rate = ACTIONS_AN_HOUR * factor / 3600  # a second, of all
        await asyncio.gather(*(_day(p, numbers[p.who.key], rate / len(people), minutes * 60, tally) for p in people))
        took = time.perf_counter() - began
        ours, theirs = (served.cpu() - ours) / took / 10, (_cpu() - theirs) / took / 10
        writing = tally.taken.get('reply', [0.0])
        what = f'200 people, {ACTIONS_AN_HOUR * factor:,} actions an hour, {minutes:g} minutes'
        found += [
            Line(f'{what}: from event to answer, p50 and p95', f'{median(tally.all):.0f} ms', f'{p95(tally.all):.0f} ms'),
            Line('… a reply, p50 and p95', f'{median(writing):.0f} ms', f'{p95(writing):.0f} ms'),
            Line('… actions done and failed', f'{len(tally.all):,}', f'{tally.failed.total()}'),
            *(Line(f'… failed: {reason}', ours=f'{count}') for reason, count in tally.failed.most_common()),
            Line('… processor, the crowd and the portal', f'{theirs:.0f} %', f'{ours:.0f} %'),
            Line('… memory of the portal, before and after', f'{before / 1024:.0f} MB', f'{served.rss() / 1024:.0f} MB'),
        ]
    for person in people:
        await person.close()
    return found


async def _day(person: 'Person', numbers: list[int], rate: float, seconds: float, tally: Tally) -> None:
    """Acts now and then, as people do, each at their own times; one thing after the other. `numbers`: of tickets that are open to
    them. Who has none writes one, instead of a reply, and has one then."""
    luck = random.Random(person.who.key + str(id(person)))
    ends = time.perf_counter() + seconds
    while (pause := luck.expovariate(rate)) + time.perf_counter() < ends:
        await asyncio.sleep(pause)
        what = luck.choices(['ticket', 'list', 'search', 'home', 'new', 'reply'], [36, 26, 10, 10, 4, 14])[0]
        if not numbers and what in ('ticket', 'reply'):
            what = 'list' if what == 'ticket' or person.who.slug is None else 'write'
        try:
            tally.add(what, await _done(person, what, numbers, luck))
        except (Refused, websockets.ConnectionClosed) as e:
            tally.failed[f'{what}: {e}'] += 1


async def _done(person: 'Person', what: str, numbers: list[int], luck: random.Random) -> float:
    """Milliseconds from the event to its answer."""
    root, words = person.who.root, f'It still happens, {luck.randrange(10**9)}'
    if what == 'reply':
        await person.go(f'{root}/tickets/T-{luck.choice(numbers)}')
        form = 'say' if person.who.slug is None else 'reply'
        return await person.tell(words, form, body=words, kind='reply', do='reply')
    if what == 'write':
        await person.go(f'{root}/tickets/new')
        took = await person.tell(LED, 'send', subject=words, text=words, priority='normal', visibility='company')
        numbers.append(int(person.led.rpartition('T-')[2]))
        return took
    places = {'list': '/tickets', 'home': '', 'new': '/tickets/new'}
    match what:
        case 'ticket':
            path = f'/tickets/T-{luck.choice(numbers)}'
        case 'search':
            path = f'/tickets?q={luck.choice(["printer", "laptop slow", "zebra", "mailbox"])}'
        case _:
            path = places[what]
    began = time.perf_counter()
    return (await person.go(root + path) - began) * 1000


async def _numbers(served: Served, who: Someone) -> list[int]:
    """Of open tickets that they see."""
    async with visitor(served, who) as http:
        html = (await http.get(f'{who.root}/tickets')).text
    return [int(n) for n in dict.fromkeys(re.findall(r'id="row-T-(\d+)"', html))]


# ---------- one of the crowd ----------


class Person:
    """An open page, read all the time, as a browser does: its elements as they change, and who waits for which words."""

    def __init__(self, who: Someone, page: Open, html: str) -> None:
        self.who, self.page = who, page
        self.islands = dict(re.findall(r'data-island="(\d+)">(.*?)(?=data-island="|<!-- first paint -->)', html, re.DOTALL))
        self.waiting: dict[str, asyncio.Future[float]] = {}  # words → when they came
        self.led = ''  # where the portal last sent them
        self.next = self.told = 0  # number of the message that comes next, and what the portal was told of it
        self.tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._acknowledge())]

    async def _read(self) -> None:
        with suppress(websockets.ConnectionClosed):
            async for said in self.page.socket:
                if said == '2':
                    await self.page.socket.send('3')
                    continue
                now, text = time.perf_counter(), str(said)
                if text.startswith('42['):
                    name, content = json.loads(text[2:])
                    self.next = content.get('_id', self.next - 1) + 1
                    if name == 'update':
                        self._update(content)
                    elif call := _CALL.match(content.get('code', '')):
                        self._called(call[1], json.loads(call[2]))
                for words in [words for words in self.waiting if words in text]:
                    if not (future := self.waiting.pop(words)).done():
                        future.set_result(now)

    async def _acknowledge(self) -> None:
        with suppress(websockets.ConnectionClosed):
            while True:
                await asyncio.sleep(ACKNOWLEDGED)
                if self.told < self.next:
                    self.told = self.next
                    message = {'client_id': self.page.client, 'next_message_id': self.next}
                    await self.page.socket.send('42' + json.dumps(['ack', message]))

    def _called(self, method: str, values: list[Any]) -> None:
        if method == 'leadTo':
            self.led = values[0]
        elif values[1] == 'bad':  # a toast that says why something was not done
            for future in self.waiting.values():
                if not future.done():
                    future.set_exception(Refused(_NUMBERED.sub('', values[0])))

    def _update(self, elements: dict[str, Any]) -> None:
        for key, element in elements.items():
            if key == '_id' or not isinstance(element, dict):
                self.page.elements.pop(key, None)
                self.islands.pop(key, None)
                continue
            self.page.elements[key] = element
            if html := element.get('props', {}).get('html'):
                self.islands[key] = html

    async def until(self, words: str) -> float:
        """When this came. Refused if the portal said no instead, or nothing for half a minute."""
        self.waiting[words] = future = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(future, PATIENCE)
        except TimeoutError:
            raise Refused('no answer') from None
        finally:
            self.waiting.pop(words, None)

    async def go(self, path: str) -> float:
        """When the screen had arrived. Refused if it says that something failed, or is not there."""
        there = asyncio.ensure_future(self.until(arrived(self.page.number + 1)))
        await asyncio.sleep(0)
        await self.page.send_go(path)
        at = await there
        if fault := next((found for html in self.islands.values() if (found := _FAULT.search(html))), None):
            raise Refused(fault[1])
        return at

    async def act(self, name: str, **values: str) -> None:
        """As the form with this act is sent, by somebody who does not mind what others have said meanwhile."""
        island = next(
            (key for key, html in self.islands.items() if f'data-act="{name}"' in html and key in self.page.elements), None
        )
        if island is None:
            raise Refused(f'no form “{name}” on the page')
        listener = next(e['listener_id'] for e in self.page.elements[island]['events'] if e['type'] == 'act')
        args = {'act': name, 'key': None, 'values': values, 'number': 1}
        message = {'id': int(island), 'client_id': self.page.client, 'listener_id': listener, 'args': [json.dumps(args)]}
        await self.page.socket.send('42' + json.dumps(['event', message]))

    async def tell(self, words: str, form: str, **values: str) -> float:
        """Sends a form; milliseconds until `words` came back."""
        came = asyncio.ensure_future(self.until(words))
        await asyncio.sleep(0)
        began = time.perf_counter()
        try:
            await self.act(form, **values)
        except Refused:
            came.cancel()
            raise
        return (await came - began) * 1000

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await self.page.socket.close()


async def _at(served: Served, who: Someone, path: str) -> Person:
    async with visitor(served, who) as http:
        page = await opened(served, http, who, path)
    return Person(who, page, page.html)


async def _open(served: Served, who: Someone, number: int) -> Person:
    return await _at(served, who, f'{who.root}/tickets/T-{number}')


async def _gather(opening: list[Any], at_once: int = 8) -> list[Person]:
    gate = asyncio.Semaphore(at_once)

    async def one(coroutine: Any) -> Person:
        async with gate:
            return await coroutine

    return await asyncio.gather(*(one(each) for each in opening))


def _cpu() -> float:
    """Milliseconds of processor time of this process."""
    times = psutil.Process().cpu_times()
    return (times.user + times.system) * 1000
