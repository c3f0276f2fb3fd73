"""`app.py` as one starts it: a process with the demo and a database of its own, in a folder that goes with it.

A module takes the fixtures by `started, demo, sign_in = portals.FIXTURES`.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize

from portal.db import cast, embedded
from tests.browser.conftest import ROOT, free_port, ready


class Portal:
    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.env = {**os.environ, 'PORTAL_DATA_DIR': str(folder), 'PORTAL_DEMO': '1', 'PORTAL_PORT': str(self.port)}
        self.process: subprocess.Popen[str] | None = None

    @property
    def origin(self) -> str:
        return f'http://localhost:{self.port}'

    def up(self) -> None:
        """Starts it unless it runs; waits until it answers."""
        if self.process is None or self.process.poll() is not None:
            with (self.folder / 'output').open('a') as output, (self.folder / 'errors').open('w') as errors:
                self.process = subprocess.Popen(
                    [sys.executable, 'app.py'], cwd=ROOT, env=self.env, stdout=output, stderr=errors, text=True
                )
        ends = time.monotonic() + 60
        while not self.answers():
            assert self.process.poll() is None, self.errors()
            assert time.monotonic() < ends, 'the portal did not start'
            time.sleep(0.05)

    def errors(self) -> str:
        """What it said since it was started last."""
        return (self.folder / 'errors').read_text()

    def answers(self) -> bool:
        try:
            return httpx.get(f'{self.origin}/readyz').status_code == 200
        except httpx.TransportError:
            return False

    def end(self, how: signal.Signals) -> int:
        assert self.process
        self.process.send_signal(how)
        return self.process.wait(10)

    # ---------- its database ----------

    @property
    def server(self) -> embedded.Server:
        found = embedded.running(self.folder / 'demo')
        assert found
        return found

    def restart_database(self) -> None:
        self._pg_ctl(self.server, '-m', 'fast', 'restart')

    @contextmanager
    def without_database(self) -> Iterator[None]:
        server = self.server
        options = (server.home / 'pg/postmaster.opts').read_text().split('"pg"', 1)[1]  # by default it would listen in /tmp
        self._pg_ctl(server, '-m', 'fast', 'stop')
        try:
            yield
        finally:
            self._pg_ctl(server, '-o', options.strip(), 'start')
        assert self.server.socket == server.home / 'run'

    @staticmethod
    def _pg_ctl(server: embedded.Server, *words: str) -> None:
        subprocess.run(
            [str(server.programs / 'pg_ctl'), '-D', 'pg', '-l', 'pg/server.log', '-w', *words], cwd=server.home, check=True,
            stdout=subprocess.DEVNULL, **server.account.for_subprocess,
        )  # fmt: skip

    def ask(self, question: str, *values: Any) -> Any:
        """The first row, or its only value."""
        with psycopg.connect(self.server.conninfo(database='portal')) as connection:
            row = connection.execute(question, values).fetchone()  # pyright: ignore[reportArgumentType, reportCallIssue]
        return row[0] if row and len(row) == 1 else row

    def database_processes(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.process_iter():
            with suppress(psutil.Error, OSError):
                if process.name() == 'postgres' and Path(process.cwd()).is_relative_to(self.folder):
                    found.append(process)
        return found


@contextmanager
def portal_of_its_own(*, start: bool = True) -> Iterator[Portal]:
    folder = Path(tempfile.mkdtemp(prefix='test-')).resolve()
    folder.chmod(0o711)  # as root, PostgreSQL runs under another account
    portal = Portal(folder)
    try:
        if start:
            portal.up()
        yield portal
    finally:
        if portal.process and portal.process.poll() is None:
            portal.end(signal.SIGKILL)
        for process in portal.database_processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
                process.wait(10)
        shutil.rmtree(folder)


# ---------- fixtures ----------


@pytest.fixture(scope='module')
def started() -> Iterator[Portal]:
    with portal_of_its_own() as made:
        yield made


@pytest.fixture
def demo(started: Portal) -> Portal:
    started.up()
    return started


SignIn = Callable[..., Awaitable[Page]]


@pytest.fixture
async def sign_in(demo: Portal, browser: Browser) -> AsyncIterator[SignIn]:
    """`page = await sign_in('Tess Okafor', '/msp/mail')`: by the demo's button, in a browser of their own."""
    contexts: list[BrowserContext] = []

    async def come(name: str, path: str = '', *, narrow: bool = False) -> Page:
        is_staff = next(person.side == 'staff' for person in cast.PEOPLE.values() if person.name == name)
        viewport: ViewportSize = {'width': 390, 'height': 844} if narrow else {'width': 1440, 'height': 900}
        context = await browser.new_context(base_url=demo.origin, viewport=viewport, has_touch=narrow)
        contexts.append(context)
        page = await context.new_page()
        await page.goto(f'/auth/{"msp" if is_staff else "client-portal"}/signin')
        await page.get_by_role('button', name=name).click()
        await ready(page)
        if path:
            await page.goto(path)
            await ready(page)
        return page

    yield come
    for context in contexts:
        await context.close()


FIXTURES = (started, demo, sign_in)
