"""Signing in: what it does to the clicks of everybody else, and whether its time tells if there is such an account.

Hashing a password takes a tenth of a second of a processor on purpose. Each attempt comes from a network of its own, so that nobody is
made to wait; the portal believes that because the bench stands where its proxy would.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence

import httpx

from bench.crowd import Person, _at  # pyright: ignore[reportPrivateUsage]
from bench.data import PASSWORD, Someone
from bench.measure import Line, median, p95, within
from bench.serve import Served

A_SECOND, PEOPLE, PAUSE = 5, 20, 0.5  # sign-ins; who clicks meanwhile; seconds between two clicks of one of them
MOST_FACTOR = 2  # the p95 of a click beside the sign-ins, of that without them
DOOR = '/auth/client-portal/signin'
_places = itertools.count()


async def lines(served: Served, workers: Sequence[Someone], emails: Sequence[str], minutes: float, pairs: int) -> list[Line]:
    """`emails`: of clients with PASSWORD; `pairs`: attempts with a known and with an unknown address."""
    return [*await _beside(served, workers, emails, minutes * 60), *await _told_apart(served, emails, pairs)]


async def _beside(served: Served, workers: Sequence[Someone], emails: Sequence[str], seconds: float) -> list[Line]:
    people = [await _at(served, who, who.root) for who in workers[:PEOPLE]]
    alone = await _clicks(people, seconds)
    coming = asyncio.create_task(_coming(served, emails, seconds))
    beside = await _clicks(people, seconds)
    taken = await coming
    for person in people:
        await person.close()
    return [
        Line(f'{A_SECOND} sign-ins a second for {seconds:.0f} s: each, p50 and p95', f'{median(taken):.0f} ms', f'{p95(taken):.0f} ms'),
        within('… p95 of a click of other people, without and beside them', p95(beside), round(MOST_FACTOR * p95(alone), 1), unit='ms', digits=1,
               baseline=f'{p95(alone):.1f} ms', value=f'{p95(beside) / p95(alone):.1f} ×'),
        Line('… p50 of it', f'{median(alone):.1f} ms', f'{median(beside):.1f} ms', f'{median(beside) / median(alone):.1f} ×'),
    ]  # fmt: skip


async def _clicks(people: Sequence[Person], seconds: float) -> list[float]:
    """Milliseconds of everybody's."""
    taken: list[float] = []
    ends = time.perf_counter() + seconds

    async def click(person: Person, first: float) -> None:
        await asyncio.sleep(first)
        for n in itertools.count():
            if time.perf_counter() > ends:
                return
            began = time.perf_counter()
            answered = await person.go(person.who.root + ('/tickets' if n % 2 else ''))
            taken.append((answered - began) * 1000)
            await asyncio.sleep(PAUSE)

    await asyncio.gather(*(click(person, PAUSE * n / len(people)) for n, person in enumerate(people)))
    return taken


async def _coming(served: Served, emails: Sequence[str], seconds: float) -> list[float]:
    """At their own times, however long the ones before take."""
    coming: list[asyncio.Task[float]] = []
    for n in range(int(seconds * A_SECOND)):
        coming.append(asyncio.create_task(_attempt(served, emails[n % len(emails)], PASSWORD, 303)))
        await asyncio.sleep(1 / A_SECOND)
    return list(await asyncio.gather(*coming))


async def _told_apart(served: Served, emails: Sequence[str], pairs: int) -> list[Line]:
    """A wrong password for both, in turn. Had the time something to tell, one would more often be the slower one."""
    known: list[float] = []
    unknown: list[float] = []
    for n in range(pairs):
        each = [(known, emails[n % len(emails)]), (unknown, f'nobody{n}-{time.time_ns()}@bench.example')]
        for taken, email in each if n % 2 else reversed(each):
            taken.append(await _attempt(served, email, 'not the password', 401))
    slower = sum(a > b for a in known for b in unknown) / (len(known) * len(unknown)) * 100
    # the standard error of this share, were there nothing to tell (Mann and Whitney 1947): three of them
    most = 300 * ((2 * pairs + 1) / (12 * pairs * pairs)) ** 0.5
    return [
        Line(f'a refused sign-in, {pairs} addresses each: unknown and known', f'{median(unknown):.1f} ms', f'{median(known):.1f} ms',
             f'{median(known) / median(unknown):.3f} ×'),
        within('… how far the known ones are from being the slower half of the time', abs(slower - 50), round(most, 1), unit='%', digits=1),
    ]  # fmt: skip


async def _attempt(served: Served, email: str, password: str, status: int) -> float:
    """Milliseconds; from a browser and a network that nobody has seen."""
    n = next(_places)
    headers = {'origin': served.origin, 'x-forwarded-for': f'10.{n >> 8 & 255}.{n & 255}.7'}
    async with httpx.AsyncClient(base_url=served.origin, headers=headers, timeout=30) as http:
        began = time.perf_counter()
        answer = await http.post(DOOR, data={'email': email, 'password': password})
        taken = (time.perf_counter() - began) * 1000
    assert answer.status_code == status, f'{email}: {answer.status_code}'
    return taken
