"""Two portals and a worker on one database, behind nginx as `deploy/nginx.conf` has it."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from psycopg.conninfo import make_conninfo

from portal.db import cast as casting
from portal.db import embedded
from tests.browser.conftest import ROOT, free_port
from tests.conftest import SECRET
from tests.db import servers
from tests.peers import nginx


class Several:
    """`a` and `b` serve; `worker` does the jobs."""

    def __init__(self, folder: Path, operator: servers.Operator) -> None:
        self.folder, self.operator, self.port = folder, operator, free_port()
        self.ports = {'a': free_port(), 'b': free_port()}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        more = {'PORTAL_NODE': name, 'PORTAL_PORT': str(self.ports[name])} if name in self.ports else {}
        env = {
            **os.environ, 'PORTAL_DATA_DIR': str(self.folder), 'PORTAL_SECRET_KEY': SECRET, 'PORTAL_WORKER': '0', 'PORTAL_DEMO': '0',
            'DATABASE_URL': self.operator.url(), 'PORTAL_URL': f'http://localhost:{self.port}', **more,
        }  # fmt: skip
        command = [sys.executable, 'app.py'] if name in self.ports else [sys.executable, '-m', 'portal', 'worker']
        with (self.folder / f'{name}.log').open('a') as log:
            self.processes[name] = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=log)

    def wait_for(self, name: str) -> None:
        ends = time.monotonic() + 60
        while not self.answers(self.ports[name]):
            assert self.processes[name].poll() is None, (self.folder / f'{name}.log').read_text()
            assert time.monotonic() < ends, f'{name} did not start'
            time.sleep(0.05)

    def wait_for_nginx(self, name: str) -> None:
        """Until it leads there again: for a while it leaves out who did not answer."""
        ends = time.monotonic() + 30
        while 'portal_node' in httpx.get(f'http://127.0.0.1:{self.port}/readyz', cookies={'portal_node': name}).cookies:
            assert time.monotonic() < ends
            time.sleep(0.2)

    @staticmethod
    def answers(port: int) -> bool:
        try:
            return httpx.get(f'http://127.0.0.1:{port}/readyz').status_code == 200
        except httpx.TransportError:
            return False

    def end(self, name: str, how: signal.Signals) -> None:
        self.processes[name].send_signal(how)
        self.processes[name].wait(30)

    def ask(self, question: str, *values: object) -> object:
        with psycopg.connect(self.operator.url('postgres')) as connection:
            row = connection.execute(question, values or None).fetchone()  # pyright: ignore[reportArgumentType, reportCallIssue]
        return row[0] if row else None

    def cast(self) -> casting.Cast:
        return casting.make(make_conninfo(self.operator.url('postgres'), application_name=self.folder.name))

    def start_nginx(self) -> None:
        (self.folder / 'nginx').mkdir()
        example = (ROOT / 'deploy/nginx.conf').read_text()
        example = re.sub(r'\n    ssl_\w+ .*', '', example).replace('listen 443 ssl', f'listen 127.0.0.1:{self.port}')
        example = example.replace(':8080', f':{self.ports["a"]}').replace(':8081', f':{self.ports["b"]}')
        paths = '\n'.join(
            f'{kind}_temp_path {self.folder}/nginx/{kind};' for kind in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi')
        )
        (self.folder / 'nginx.conf').write_text(
            f'pid {self.folder}/nginx.pid; daemon off; error_log {self.folder}/nginx.log;\n'
            f'events {{}}\nhttp {{ access_log off;\n{paths}\n{example} }}\n'
        )
        self.processes['nginx'] = subprocess.Popen(
            [str(nginx()), '-c', self.folder / 'nginx.conf', '-e', self.folder / 'nginx.log']
        )


@contextmanager
def several() -> Iterator[Several]:
    folder = Path(tempfile.mkdtemp(prefix='test-'))
    folder.chmod(0o755)  # nginx's own processes are somebody else's
    with servers.operator(embedded.installed()) as operator:
        operator.forget()
        made = Several(folder, operator)
        try:
            for name in ('a', 'b'):  # at once, on an empty database
                made.start(name)
            for name in ('a', 'b'):
                made.wait_for(name)
            made.start('worker')
            made.start_nginx()
            while not made.answers(made.port):
                assert made.processes['nginx'].poll() is None
                time.sleep(0.05)
            yield made
        finally:
            for process in made.processes.values():
                if process.poll() is None:
                    process.terminate()
            for process in made.processes.values():
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            shutil.rmtree(folder)
