"""Live updates: one listener per process; a committed change wakes the screens that show it.

Notifications carry ids only; whoever is woken reads anew as its own principal. A subscription belongs to a screen and ends
with it, not with the browser's tab.

What pages read by themselves stands behind what people do: few of them read at a time, so that connections are left for
clicks, and what several pages of one person need is read once (`together`).
"""

import asyncio
import logging
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Hashable
from itertools import count
from typing import Any, TypeVar

import psycopg
from nicegui import Client, background_tasks, ui

from portal import i18n, writing
from portal.guard import address_of, leave, over
from portal.visit import unasked, visit_of

log = logging.getLogger('portal.live')
Wake = Callable[[], Awaitable[None]]
T = TypeVar('T')
REMEMBERED = 10_000  # topics: more than change while a page is built
AT_ONCE = 3  # pages that read by themselves; fewer than a pool has connections
_screens: dict[str, set['Subscription']] = defaultdict(set)
_changes = count(1)
_changed: OrderedDict[str, int] = OrderedDict()  # topic → which of all changes was its last, oldest first
_turns: dict[bool, asyncio.Semaphore] = {}
_waiting: dict[Hashable, asyncio.Task[Any]] = {}
_reading: dict[Hashable, asyncio.Task[Any]] = {}


def turn(*, patient: bool = False) -> asyncio.Semaphore:
    """Whose turn it is to read. The patient ones (the frame with its counts) come one at a time, and never before the others."""
    if patient not in _turns:
        _turns[patient] = asyncio.Semaphore(1 if patient else AT_ONCE)
    return _turns[patient]


async def together(key: Hashable, read: Callable[[], Awaitable[T]], *, patient: bool = False) -> T:
    """One reading for everyone who asks for the same `key` before it has begun."""
    if key not in _waiting:

        async def one() -> T:
            if before := _reading.get(key):
                await asyncio.wait([before])  # who asks meanwhile is one more for this reading
            async with turn(patient=patient):
                _reading[key] = _waiting.pop(key)
                try:
                    return await read()
                finally:
                    del _reading[key]

        _waiting[key] = asyncio.create_task(one(), name='reading together')
    return await asyncio.shield(_waiting[key])


def moment() -> int:
    """Now, as `Subscription` counts it: take it before reading what is shown."""
    return next(_changes)


class Subscription:
    """Calls `wake` when something about a topic was committed, until it is closed. A burst becomes one reading.

    What changed after the moment `since`, while the screen read and was built, wakes it at once.
    `pause`: seconds to wait for more before reading. `shares`: `wake` reads by `together`, which has its turn for all of them.
    """

    def __init__(
        self, place: ui.element, wake: Wake, *topics: str, since: int, pause: float = 0, shares: bool = False
    ) -> None:  # fmt: skip
        self.place, self.wake, self.topics, self.due, self.again = place, wake, topics, False, False
        self.pause, self.shares = pause, shares
        for topic in topics:
            _screens[topic].add(self)
        if any(_changed.get(topic, 0) > since for topic in topics):
            self.ring()

    def ring(self) -> None:
        if self.due:
            self.again = True
        elif not self.place.is_deleted:
            self.due = True
            background_tasks.create(self._answer(), name='live', context=self.place.default_slot)

    async def _answer(self) -> None:
        unasked.set(True)
        if owner := visit_of(self.place.client):
            i18n.speak(owner.by.voice)
        try:
            while not self.place.is_deleted:
                if self.pause:
                    await asyncio.sleep(self.pause)
                self.again = False
                if self.shares:
                    await self.wake()
                else:
                    async with turn():
                        await self.wake()
                if not self.again:
                    break
        finally:
            self.due = False

    def close(self) -> None:
        for topic in self.topics:
            _screens[topic].discard(self)
            if not _screens[topic]:
                del _screens[topic]


def subscribers() -> int:
    """How many subscriptions there are, for tests and metrics."""
    return sum(len(each) for each in _screens.values())


async def heard(topic: str) -> None:
    kind, _sep, key = topic.partition(':')
    if kind in ('session', 'person', 'viewing'):
        for client in list(Client.instances.values()):
            owner = visit_of(client)
            if (owner and kind == 'session' and owner.token.hex() == key) or (
                owner and owner.viewing and key == str(owner.viewing.id if kind == 'viewing' else owner.viewing.staff_id)
            ):
                await leave(client, over(client))
            elif owner and kind == 'person' and str(owner.by.user_id) == key:
                await leave(client, address_of(client))  # what they may do has changed: the page loads anew
    if kind == 'writing' and (ticket := writing.heard(key)):
        _ring(f'writing:{ticket}')
        asyncio.get_running_loop().call_later(writing.STAYS + 0.1, _ring, f'writing:{ticket}')
    _ring(topic)


def _ring(topic: str) -> None:
    _changed[topic] = next(_changes)
    _changed.move_to_end(topic)
    if len(_changed) > REMEMBERED:
        _changed.popitem(last=False)
    for screen in list(_screens.get(topic, ())):
        screen.ring()


async def listen(conninfo: str) -> None:
    """Runs for ever; after a lost connection everything shown is read again, since notifications were missed."""
    first = True
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(conninfo, autocommit=True) as connection:
                await connection.execute('listen live')
                if not first:
                    log.info('listening again')
                    for screen in {s for screens in _screens.values() for s in screens}:
                        screen.ring()
                first = False
                async for notification in connection.notifies():
                    try:
                        await heard(notification.payload)
                    except Exception:
                        log.exception('a live update failed')
        except (psycopg.OperationalError, psycopg.InterfaceError) as e:
            log.warning('the listener lost the database: %s', type(e).__name__)
            await asyncio.sleep(1)
