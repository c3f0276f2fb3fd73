"""Portals with an operator's own server, and with the private one, whose cast has said and attached things."""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from portal import settings as portal_settings
from portal.db import cast as casting
from portal.db import migrate, server
from portal.settings import Settings
from tests.conftest import SECRET
from tests.db import servers

ROOT = Path(__file__).parent.parent.parent
SCHEMAS = ('public', 'app', 'jobs', 'migration')
#: What is not the same after a restore, on purpose; and what the backup itself writes.
OWN = ('app.secret', 'public.session', 'app.fact', 'jobs.procrastinate_workers')


@dataclass(frozen=True)
class Place:
    """A portal's data folder and database."""

    folder: Path
    admin: Callable[[], str]
    database_url: str | None = None

    @property
    def env(self) -> dict[str, str]:
        url = {'DATABASE_URL': self.database_url} if self.database_url else {}
        return {'PORTAL_DATA_DIR': str(self.folder), 'PORTAL_SECRET_KEY': SECRET, **url}

    @property
    def settings(self) -> Settings:
        return portal_settings.load(self.env)

    def run(self, *words: str | Path, key: str = '', **more: Any) -> subprocess.CompletedProcess[str]:
        usual = {'env': self.whole_env(key), 'cwd': ROOT, 'capture_output': True, 'text': True, 'timeout': 120}
        return subprocess.run(self.command(*words), **{**usual, **more})

    def whole_env(self, key: str = '') -> dict[str, str]:
        return {**os.environ, **self.env, 'PORTAL_BACKUP_KEY': key}

    @staticmethod
    def command(*words: str | Path) -> list[str]:
        return [sys.executable, '-m', 'portal', *map(str, words)]

    def backup(self, *words: str | Path, key: str = '') -> Path:
        """The archive it says it made."""
        done = self.run('backup', *words, key=key)
        assert done.returncode == 0, done.stderr
        return Path(done.stdout.partition(': ')[0])

    def ask(self, question: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.admin()) as connection:
            return connection.execute(question, values or None).fetchall()  # type: ignore[arg-type]

    def rows(self) -> dict[str, list[str]]:
        """All there is, row by row as text."""
        names = self.ask(
            "select c.oid::regclass::text, n.nspname || '.' || c.relname from pg_class c join pg_namespace n "
            "on n.oid = c.relnamespace where n.nspname = any (%s) and c.relkind = 'r' order by 2",
            list(SCHEMAS),
        )  # fmt: skip
        return {
            str(whole): [str(row) for (row,) in self.ask(f'select t::text from {name} t order by 1')]
            for name, whole in names if whole not in OWN
        }  # fmt: skip

    def files(self) -> dict[str, bytes]:
        folder = self.folder / 'files'
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*') if path.is_file()}

    def write_files(self) -> None:
        """One for each row that names one, with more in it than fits a buffer."""
        for number, (stored_as,) in enumerate(self.ask('select stored_as from file order by stored_as')):
            content = f'file {number} '.encode() * (300_000 if number == 0 else 3)
            path = self.folder / 'files' / str(stored_as)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            with psycopg.connect(self.admin()) as connection:
                connection.execute(
                    'update file set size = %s, sha256 = %s where stored_as = %s',
                    (len(content), hashlib.sha256(content).hexdigest(), stored_as),
                )


@pytest.fixture(scope='session')
def operators() -> Iterator[dict[str, servers.Operator]]:
    """The servers an operator may have, by version."""
    contexts = {version: servers.operator(programs) for version, programs in servers.PROGRAMS.items()}
    contexts['northwind'] = servers.operator(servers.PROGRAMS['18'])  # one portal on a server
    yield {version: context.__enter__() for version, context in contexts.items()}
    for context in contexts.values():
        context.__exit__(None, None, None)


@pytest.fixture
def folders() -> Iterator[Callable[[], Path]]:
    """Open to every account, unlike `tmp_path`: as root, PostgreSQL runs under another one."""
    made: list[Path] = []

    def folder() -> Path:
        made.append(Path(tempfile.mkdtemp(prefix='test-')))
        made[-1].chmod(0o711)
        return made[-1]

    yield folder
    for path in made:
        shutil.rmtree(path)


Own = Callable[..., Place]


@pytest.fixture
def own(operators: dict[str, servers.Operator], folders: Callable[[], Path]) -> Own:
    """`place = own('18')`: an empty database on the operator's server of that version, and an empty data folder."""

    def place(version: str, user: str = 'boss') -> Place:
        if version not in operators:
            pytest.skip(f'PostgreSQL {version} is not installed here')
        operators[version].forget()
        return Place(folders(), lambda: operators[version].url('postgres'), operators[version].url(user))

    return place


@pytest.fixture
def private(folders: Callable[[], Path]) -> Iterator[Callable[[], Place]]:
    """`place = private()`: nothing yet; the portal will run a database of its own there."""
    running: list[server.Cluster] = []

    def place() -> Place:
        def admin() -> str:
            if not running:
                running.append(server.open_cluster(made.settings, attach=True))
            return running[0].admin() or ''

        made = Place(folders(), admin)
        return made

    yield place
    for cluster in running:
        cluster.stop()


@pytest.fixture
def northwind(own: Own) -> Place:
    """A portal that is in use."""
    return in_use(own('northwind'))


def in_use(place: Place) -> Place:
    cluster = server.open_cluster(place.settings, attach=True)
    migrate.upgrade(cluster)
    casting.make(make_conninfo(place.admin(), application_name=place.folder.name))  # which it keeps open, under this address
    place.write_files()
    with psycopg.connect(place.admin()) as connection:  # one that is being done, and a periodic one
        connection.execute('set search_path = jobs')
        connection.execute(
            'insert into procrastinate_jobs (task_name, queue_name, status, args, queueing_lock) values '
            "('send_letter', 'default', 'doing', '{}', null), ('tidy', 'default', 'doing', '{}', 'tidy'), "
            "('tidy', 'default', 'todo', '{}', 'tidy')"
        )
    return place
