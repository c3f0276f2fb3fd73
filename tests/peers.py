"""The programs the tests meet that pip cannot install. `python -m tests.peers` makes sure that they are here."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

DEBIAN_CHROMIUM = Path('/usr/bin/chromium')
HERE = Path(__file__).parent
PROVIDER, KEPT = HERE / 'peers', HERE / '.peers'  # what is wanted from npm; where it is
POSTGRES_15 = (Path('/usr/lib/postgresql/15/bin'), Path('/opt/homebrew/opt/postgresql@15/bin'))  # Debian, macOS


def chromium() -> str | None:
    """The browser's path; None: the one that Playwright brings."""
    return str(DEBIAN_CHROMIUM) if DEBIAN_CHROMIUM.exists() else None


def postgres_15() -> Path | None:
    """The programs of the oldest PostgreSQL the portal promises to work with, where they are installed."""
    return next((folder for folder in POSTGRES_15 if (folder / 'initdb').exists()), None)


def nginx() -> str | None:
    return shutil.which('nginx', path=f'{os.environ.get("PATH", "")}:/usr/sbin')


def node() -> str | None:
    return shutil.which('node') or shutil.which('nodejs')


def oidc_provider() -> Path | None:
    """Where `node provider.mjs` finds the certified OpenID provider of npm, if it is here."""
    wanted, found = PROVIDER / 'package-lock.json', KEPT / 'package-lock.json'
    if node() and (KEPT / 'installed').exists() and found.read_bytes() == wanted.read_bytes():
        return KEPT
    return None


def main() -> int:
    if not postgres_15():
        print('PostgreSQL 15 is not installed here: the tests of the roles run on the private server alone.')
    if not nginx() and not _from_debian('nginx-light'):
        print('nginx is not installed here: the tests of several processes are left out.')
    if not oidc_provider() and not _from_npm():
        print('node and npm, or npm’s registry, are not there: the tests of single sign-on with a real provider are left out.')
    if chromium() or (_from_debian('chromium') and chromium()) or _from_playwright():
        return 0
    print('The tests need a browser: install chromium, or run `python -m playwright install chromium`.', file=sys.stderr)
    return 2


def _from_debian(package: str) -> bool:
    if os.geteuid() != 0 or not shutil.which('apt-get'):
        return False
    install = ['apt-get', 'install', '-y', '--no-install-recommends', package]
    env = {**os.environ, 'DEBIAN_FRONTEND': 'noninteractive'}
    quiet = subprocess.DEVNULL
    return all(subprocess.run(command, env=env, stdout=quiet).returncode == 0 for command in (['apt-get', 'update'], install))


def _from_npm() -> bool:
    """Exactly what the lock file names, checked by its digests; no script of a package runs."""
    if not (node() and shutil.which('npm')) and not (_from_debian('nodejs') and _from_debian('npm') and node()):
        return False
    KEPT.mkdir(exist_ok=True)
    for name in ('package.json', 'package-lock.json'):
        shutil.copyfile(PROVIDER / name, KEPT / name)
    command = ['npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--silent']
    if subprocess.run(command, cwd=KEPT, stdout=subprocess.DEVNULL).returncode:
        return False
    (KEPT / 'installed').touch()  # written last: half an installation is none
    return True


def _from_playwright() -> bool:
    """Says itself what it does; does nothing if it is there."""
    return subprocess.run([sys.executable, '-m', 'playwright', 'install', 'chromium'], stdout=subprocess.DEVNULL).returncode == 0


if __name__ == '__main__':
    sys.exit(main())
