"""The portal on the bench server, with what the bench asks of it: `python -m bench.serve PORT`. Started by `serving`."""

import gc
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import httpx
import psutil
import uvicorn
from nicegui import Client, ui
from starlette.responses import HTMLResponse, JSONResponse
from starlette.types import ASGIApp

import app
from bench import data
from portal.db import server

#: Below /auth/ the guard lets everybody through; the empty page and the counter are not the portal's.
EMPTY, COUNT, FORGET, PLAIN = '/auth/bench/empty', '/auth/bench/count', '/auth/bench/forget', '/auth/bench/plain'


@dataclass(frozen=True)
class Served:
    """A portal in a process of its own."""

    port: int
    process: psutil.Process

    @property
    def origin(self) -> str:
        return f'http://127.0.0.1:{self.port}'

    def cpu(self) -> float:
        """Milliseconds of processor time that the process has used."""
        times = self.process.cpu_times()
        return (times.user + times.system) * 1000

    def rss(self) -> float:
        """KB."""
        return self.process.memory_info().rss / 1024


@contextmanager
def serving(port: int, *arguments: str, ready: str = '/readyz', timeout: float = 60) -> Iterator[Served]:
    process = subprocess.Popen([sys.executable, '-m', 'bench.serve', str(port), *arguments], cwd=data.HERE.parent)
    try:
        wait_for(process, f'http://127.0.0.1:{port}{ready}', timeout)
        yield Served(port, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait(20)


def wait_for(process: subprocess.Popen[bytes], url: str, timeout: float) -> None:
    ends = time.monotonic() + timeout
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(url).status_code == 200:
                return
        if process.poll() is not None or time.monotonic() > ends:
            raise RuntimeError('the portal did not start')
        time.sleep(0.02)


def main() -> None:
    port = sys.argv[1]
    settings = data.settings(PORTAL_PORT=port, PORTAL_DEMO='0')
    cluster = server.open_cluster(settings, attach=True)

    @ui.page(EMPTY)
    def empty() -> None:
        """What NiceGUI itself costs."""

    built = app.build(cluster, settings, stop_cluster=False)
    uvicorn.run(_Extra(built), port=int(port), log_level='warning', access_log=False, proxy_headers=False)


class _Extra:
    """In front of the portal, so that nothing of it changes: the count of elements, and pages that the bench has written."""

    def __init__(self, portal: ASGIApp) -> None:
        self.portal = portal
        self.plain = data.FOLDER / 'plain.html'

    async def __call__(self, scope, receive, send) -> None:
        if scope['type'] == 'http' and scope['path'] == COUNT:
            gc.collect()
            counts: dict[str, list[int]] = {}
            for client in Client.instances.values():
                if client.has_socket_connection:
                    counts.setdefault(client.request.url.path, []).append(len(client.elements))
            return await JSONResponse(counts)(scope, receive, send)
        if scope['type'] == 'http' and scope['path'] == FORGET:
            Client.prune_instances(client_age_threshold=0)
            return await JSONResponse(None)(scope, receive, send)
        if scope['type'] == 'http' and scope['path'] == PLAIN:
            return await HTMLResponse(self.plain.read_bytes(), headers={'cache-control': 'no-store'})(scope, receive, send)
        await self.portal(scope, receive, send)


if __name__ == '__main__':
    main()
