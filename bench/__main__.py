"""`python -m bench [--quick] [--only NAME]`: one table, made in one run."""

import argparse
import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from bench import browser, crowd, data, database, pages, signin, start, trail, writing
from bench.measure import Line, table
from bench.serve import serving
from portal.db import server
from tests.browser.conftest import free_port

PARTS = ('database', 'writing', 'pages', 'browser', 'crowd', 'signin', 'start', 'trail')


def main() -> None:
    parser = argparse.ArgumentParser(prog='python -m bench', description=__doc__)
    parser.add_argument('--quick', action='store_true', help='fewer repetitions')
    parser.add_argument('--minutes', type=float, default=10, help='how long each working day of the crowd lasts')
    parser.add_argument('--only', choices=PARTS, help='one part of the table')
    options = parser.parse_args()
    times = 15 if options.quick else 60
    running = server.open_cluster(data.settings())
    try:
        found = asyncio.run(
            _measure(running, {options.only} if options.only else set(PARTS), times, 0.5 if options.quick else options.minutes)
        )
    finally:
        running.stop()
    load = ', '.join(f'{n:.1f}' for n in os.getloadavg())
    print(f'{os.cpu_count()} processors, load {load}; medians of {times}')
    if os.getloadavg()[1] > 2 * (os.cpu_count() or 1):
        print('Others kept the processors busy: believe the ratios, not the milliseconds.')
    print()
    print(table(found))
    sys.exit(0)


async def _measure(running: server.Cluster, parts: set[str], times: int, minutes: float) -> list[Line]:
    people = await asyncio.to_thread(data.ready, running)
    found: list[Line] = []
    if 'database' in parts:
        found += await database.lines(running, people, times)
    if 'writing' in parts:
        found += await writing.lines(running, people, times)
    if 'trail' in parts:
        found += await trail.lines(running, people, times)
    if parts & {'pages', 'browser', 'crowd', 'signin'}:
        number = await database.a_number(running, people)
        everybody, workers = await asyncio.to_thread(data.crowd, running), await asyncio.to_thread(data.workers, running)
        emails = await asyncio.to_thread(data.with_password, running, 500)
        with serving(free_port()) as served:
            todo: dict[str, Callable[[], Awaitable[list[Line]]]] = {
                'pages': lambda: pages.lines(served, people, times, number),
                'browser': lambda: browser.lines(served, people, times),
                'crowd': lambda: crowd.lines(served, people, everybody, workers, running.admin() or '', times, minutes),
                'signin': lambda: signin.lines(served, workers, emails, min(minutes / 5, 1), 40 if times < 40 else 500),
            }
            for name, measure in todo.items():
                if name in parts:
                    found += await measure()
    if 'start' in parts:
        found += await asyncio.to_thread(start.lines)
    return found


if __name__ == '__main__':
    main()
