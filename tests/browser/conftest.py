"""A real browser, and the portal in a process of its own; one of each for a worker, a fresh context for each visitor."""

import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright  # the sync one keeps a loop running

from portal.db.cast import Member
from portal.db.server import Cluster
from tests.peers import chromium

ROOT = Path(__file__).parent.parent.parent
ARGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
        '--disable-component-update', '--disable-sync']  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def start_portal(database: str, *more: str) -> tuple[subprocess.Popen[bytes], int]:
    """A portal on the test server; waits until it answers."""
    port = free_port()
    process = subprocess.Popen([sys.executable, '-m', 'tests.serve', database, str(port), *more], cwd=ROOT)
    ends = time.monotonic() + 60
    while True:
        try:
            if httpx.get(f'http://127.0.0.1:{port}/readyz').status_code == 200:
                return process, port
        except httpx.TransportError:
            pass
        assert process.poll() is None and time.monotonic() < ends, 'the portal did not start'
        time.sleep(0.05)


@pytest.fixture(scope='session')
def port(cluster: Cluster) -> Iterator[int]:
    process, port = start_portal(cluster.database, 'PORTAL_DEMO=0')
    yield port
    process.terminate()
    process.wait(20)


@pytest.fixture(scope='session')
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as p:
        started = await p.chromium.launch(executable_path=chromium(), args=ARGS)
        yield started
        await started.close()


PageAs = Callable[..., Awaitable[Page]]


@pytest.fixture
async def page_as(port: int, browser: Browser) -> AsyncIterator[PageAs]:
    """`page = await page_as(cast.ada)`: a browser of theirs, signed in. Errors of scripts fail the test."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    async def page(who: Member | None = None, *, host: str | None = None, **options: object) -> Page:
        origin = f'http://{host or (who.host if who else "localhost")}:{port}'
        context = await browser.new_context(**{'base_url': origin, 'viewport': {'width': 1440, 'height': 900}, **options})  # type: ignore[arg-type]
        if who:
            await context.add_cookies([{'name': 'portal', 'value': who.cookie, 'url': origin}])
        contexts.append(context)
        made = await context.new_page()
        made.on('pageerror', lambda error: faults.append(f'{made.url}: {error}'))
        made.on('console', lambda m: faults.append(f'{made.url}: {m.text}') if 'Content Security Policy' in m.text else None)
        return made

    yield page
    for context in contexts:
        await context.close()
    assert not faults, faults


async def ready(page: Page) -> None:
    """The page is alive: scripts are mounted and the socket has shaken hands."""
    await page.wait_for_function('window.did_handshake && !document.getElementById("ssr")')
