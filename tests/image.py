"""Runs the steps of the Dockerfile without an engine: `python -m tests.image`, as root, with a system Python 3.11.

In a temporary folder, with its paths in place of the image's; the command is started as `nobody`, who cannot write to the code,
and has to become ready and end when told to. What an engine does itself (layers, users, volumes, networks) is not tried.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.browser.conftest import free_port

ROOT = Path(__file__).parent.parent
NOT_HERE = ('useradd',)  # a user of the image's own; here it is nobody


def instructions() -> list[tuple[str, str]]:
    """(`RUN`, what follows) …, with continued lines joined and comments left out."""
    text = '\n'.join(line for line in (ROOT / 'Dockerfile').read_text().splitlines() if not line.lstrip().startswith('#'))
    lines = [line for line in text.replace('\\\n', ' ').splitlines() if line.strip()]
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines]


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix='image-', dir='/var/tmp'))
    folder.chmod(0o755)
    try:
        _build_and_run(folder)
    finally:
        shutil.rmtree(folder)


def _build_and_run(folder: Path) -> None:
    def here(text: str) -> str:
        return text.replace('/opt/portal', f'{folder}/opt').replace('/var/lib/portal', f'{folder}/data')

    env = {'PATH': '/usr/local/bin:/usr/bin:/bin', 'HOME': str(folder / 'data')}
    where, command, check = folder, [''], ['']
    (folder / 'data').mkdir(mode=0o700)
    shutil.chown(folder / 'data', 'nobody', 'nogroup')
    for word, rest in instructions():
        print(word, rest[:110], flush=True)
        if word == 'WORKDIR':
            where = Path(here(rest))
            where.mkdir(exist_ok=True)
        elif word == 'ENV':
            env |= dict(here(pair).replace('$PATH', env['PATH']).split('=', 1) for pair in shlex.split(rest))
        elif word == 'RUN' and not rest.startswith(NOT_HERE):
            subprocess.run(
                ['/bin/sh', '-ec', here(rest).replace('python -m venv', 'python3.11 -m venv')], cwd=where, env=env, check=True
            )
        elif word == 'COPY' and not rest.startswith('--from'):
            *sources, target = rest.split()
            for source in sources:
                _copy(ROOT / source, where / target / source if target.endswith('/') else where / target)
        elif word == 'HEALTHCHECK':
            check = json.loads(rest[rest.index('[') :])
        elif word == 'CMD':
            command = json.loads(rest)
    size = sum(path.stat().st_size for path in (folder / 'opt').rglob('*') if path.is_file())
    print(f'{size / 1024**2:.0f} MB of code and packages')
    _run(command, check, where, env)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns('__pycache__', '*.mo'))
    else:
        shutil.copy(source, target)


def _run(command: list[str], check: list[str], where: Path, env: dict[str, str]) -> None:
    port = free_port()
    env = {**env, 'PORTAL_URL': 'https://portal.example', 'PORTAL_PORT': str(port)}
    as_nobody = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups', '--no-new-privs']
    program = shutil.which(command[0], path=env['PATH']) or command[0]
    process = subprocess.Popen([*as_nobody, program, *command[1:]], cwd=where, env=env)
    try:
        ends = time.monotonic() + 120
        while True:
            assert process.poll() is None, 'it ended by itself'
            assert time.monotonic() < ends, 'it is not ready'
            try:
                if httpx.get(f'http://127.0.0.1:{port}/readyz').status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.3)
        healthy = [part.replace(':8080', f':{port}') for part in check]
        subprocess.run([*as_nobody, program, *healthy[1:]], cwd=where, env=env, check=True)
        assert not [path for path in where.rglob('*') if path.stat().st_uid != os.getuid()], 'somebody wrote into the code'
    finally:
        process.terminate()
    print('ended with', process.wait(60))


if __name__ == '__main__':
    sys.exit(main())
