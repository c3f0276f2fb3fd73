"""How long one waits for the demo, from the command to the first answer."""

import os
import signal
import subprocess
import sys
import tempfile
import time

from bench import data
from bench.measure import Line, within
from bench.serve import wait_for
from tests.browser.conftest import free_port

MOST = 5_000  # ms, for a second start


def lines() -> list[Line]:
    with tempfile.TemporaryDirectory(prefix='bench-') as folder:
        os.chmod(folder, 0o711)  # noqa: PTH101  (as root, PostgreSQL runs under another account)
        first, second = _start(folder), _start(folder)
    return [
        Line('start of the demo, the first one: to the first answer', ours=f'{first:.0f} ms'),
        within('start of the demo, a later one: to the first answer', second, MOST, unit='ms'),
    ]


def _start(folder: str) -> float:
    port = free_port()
    env = {**os.environ, 'PORTAL_DATA_DIR': folder, 'PORTAL_DEMO': '1', 'PORTAL_PORT': str(port)}
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, 'app.py'], cwd=data.HERE.parent, env=env, stdout=subprocess.DEVNULL)
    try:
        wait_for(process, f'http://127.0.0.1:{port}/auth/client-portal/signin', 60)
        return (time.perf_counter() - began) * 1000
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
