"""Restoring an archive into an empty place.

Nothing is changed before the whole archive has been read and found whole. Then a file says that the place is half restored, and no
portal starts on it until everything is back and compared. The database comes back in one transaction.
"""

import os
import shutil
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from portal import private
from portal.backup import archive
from portal.backup.errors import NotRestored, Unusable
from portal.backup.making import last_line, mark, programs_address
from portal.db import embedded, lint, migrate, roles, server
from portal.db.migrations.words import HAND_OVER
from portal.settings import Settings

#: After the dump, in its transaction: a seal of its own, functions to their owner, and no job that somebody seems to be doing.
FINISH = f"""
set search_path = jobs;
insert into app.secret values (sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())));
delete from procrastinate_jobs where status = 'doing' and queueing_lock is not null;
update procrastinate_jobs set status = 'todo', worker_id = null where status = 'doing';
delete from procrastinate_workers;
{HAND_OVER}
commit;
"""  # noqa: S608


@dataclass
class Restored:
    manifest: archive.Manifest
    upgraded: bool = False
    other_key: bool = False
    """The secret key is not the one of the backup."""
    letters: int = 0  # that will be sent when the portal starts


def restore(path: Path, settings: Settings, *, key: str | None = None) -> Restored:
    """Raises Unusable, NotRestored, and CannotStart where the database is not to be had."""
    manifest = archive.verified(path, key)
    if manifest.migration > migrate.HEAD:
        raise Unusable(
            f'The archive was made by portal {manifest.portal}, at version {manifest.migration} of the database; this portal is at '
            f'{migrate.HEAD}: restore it with that portal, or a newer one.'
        )
    _refuse_what_is_not_empty(settings)
    try:
        private.folder(settings.data)
        server.half_restored(settings).write_text(f'{path}\n')
        cluster = _opened(settings)
        try:
            restored = _fill(cluster, settings, path, key, manifest)
        finally:
            cluster.stop()
    except psycopg.Error as e:
        raise NotRestored(f'The database refused: {str(e).strip().splitlines()[0]}.') from e
    except OSError as e:
        raise NotRestored(f'{e.filename or settings.data} cannot be written: {e.strerror}.') from e
    server.half_restored(settings).unlink()
    return restored


def _opened(settings: Settings) -> server.Cluster:
    try:
        return server.open_cluster(settings, restoring=True)
    except server.RolesMissing:  # nothing was changed: an administrator makes them, and it begins again
        server.half_restored(settings).unlink()
        raise


def _fill(cluster: server.Cluster, settings: Settings, path: Path, key: str | None, manifest: archive.Manifest) -> Restored:
    folder = private.folder(settings.data / 'files')
    loading: Loading | None = Loading(cluster)
    files: dict[str, int] = {}
    try:
        for name, content in archive.parts(path, key):
            if name.startswith(archive.DATABASE) and loading:
                loading.feed(content)
            elif name.startswith(archive.FILES):
                loading = loading and loading.finish()
                files[name.removeprefix(archive.FILES)] = _put(folder, name.removeprefix(archive.FILES), content)
        loading = loading and loading.finish()
    finally:
        if loading:
            loading.give_up()
    os.sync()
    restored = Restored(manifest, other_key=manifest.key != mark(settings))
    _compare(cluster, manifest, files)
    restored.upgraded = migrate.upgrade(cluster)
    if problems := lint.problems(cluster.conninfo(roles.OWNER)):
        raise NotRestored('The database is not as it must be: ' + '; '.join(problems[:3]) + '.')
    with psycopg.connect(cluster.conninfo(roles.OWNER), autocommit=True) as connection:
        connection.execute('analyze')
    with psycopg.connect(cluster.conninfo(roles.BACKUP)) as connection:
        row = connection.execute("select count(*) from mail_outbox where state = 'waiting'").fetchone()
        restored.letters = row[0] if row else 0
    return restored


# ---------- an empty place ----------


def _refuse_what_is_not_empty(settings: Settings) -> None:
    folder = settings.data
    if server.half_restored(settings).exists():
        raise NotRestored(server.half_restored_words(settings))
    there = [name for name in ('pg', 'postgres.folder', 'files') if _holds_something(folder / name)]
    if there:
        raise NotRestored(f'{folder} is not empty (it has {", ".join(there)}): name an empty folder in PORTAL_DATA_DIR.')
    if settings.database_url:
        server.look(settings.database_url)
        with psycopg.connect(settings.database_url) as connection:
            row = connection.execute(
                'select c.oid::regclass::text from pg_class c join pg_namespace n on n.oid = c.relnamespace '
                "where c.relkind in ('r', 'p') and n.nspname = any (%s) limit 1",
                (['public', 'app', 'jobs', 'migration'],),
            ).fetchone()
        if row:
            raise NotRestored(f'The database is not empty (it has the table {row[0]}): name a new one in DATABASE_URL.')


def _holds_something(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() else path.exists()


# ---------- the database ----------


class Loading:
    """The dump on its way: pg_restore makes SQL of it, and psql runs that in one transaction, which we commit at the end.

    pg_restore alone would not do: it asks for a setting that PostgreSQL before 17 does not know.
    """

    def __init__(self, cluster: server.Cluster) -> None:
        address, env = programs_address(cluster.conninfo(roles.OWNER))
        programs = embedded.installed()
        self.said = tempfile.TemporaryFile()  # noqa: SIM115  (both write to it until they end)
        self.psql = subprocess.Popen(
            [str(programs / 'psql'), '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-o', os.devnull, address],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=self.said, env=env,
        )  # fmt: skip
        self.restoring = subprocess.Popen(
            [str(programs / 'pg_restore'), '--no-owner', '--no-comments', '--file=-'],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.said,
        )  # fmt: skip
        self.carrying = threading.Thread(target=self._carry, daemon=True)
        self.carrying.start()

    def feed(self, content: archive.Readable) -> None:
        assert self.restoring.stdin
        try:
            shutil.copyfileobj(content, self.restoring.stdin, 1 << 20)
        except BrokenPipeError:
            self._failed()

    def finish(self) -> None:
        """Raises NotRestored; then nothing was restored."""
        assert self.restoring.stdin
        assert self.psql.stdin
        try:
            self.restoring.stdin.close()
            if self.restoring.wait():
                self._failed()
            self.carrying.join()
            self.psql.stdin.write(FINISH.encode())
            self.psql.stdin.close()
        except BrokenPipeError:
            self._failed()
        if self.psql.wait():
            self._failed()

    def give_up(self) -> None:
        """Without a commit, nothing stays."""
        for process in (self.psql, self.restoring):
            process.kill()
            process.wait()

    def _carry(self) -> None:
        assert self.restoring.stdout
        assert self.psql.stdin
        try:
            self.psql.stdin.write(b'begin;\n')
            for _line in range(40):  # the settings stand at the beginning
                line = self.restoring.stdout.readline()
                self.psql.stdin.write(line if not line.startswith(b'SET transaction_timeout') else b'')
            shutil.copyfileobj(self.restoring.stdout, self.psql.stdin, 1 << 20)
            self.psql.stdin.flush()
        except OSError:  # psql has ended; `finish` finds out why
            self.restoring.stdout.close()

    def _failed(self) -> None:
        self.give_up()
        self.said.seek(0)
        raise NotRestored(f'The database could not be restored: {last_line(self.said.read())}')


# ---------- the files, and whether all of it is there ----------


def _put(folder: Path, name: str, content: archive.Readable) -> int:
    """Returns its size."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as out:
        shutil.copyfileobj(content, out, 1 << 20)
        return out.tell()


def _compare(cluster: server.Cluster, manifest: archive.Manifest, files: dict[str, int]) -> None:
    """Rows by table, and each row of a file with its file. Not the jobs: those that ran are waiting again."""
    with psycopg.connect(cluster.conninfo(roles.BACKUP)) as connection:
        for table, rows in manifest.tables.items():
            schema, _dot, name = table.partition('.')
            row = connection.execute(sql.SQL('select count(*) from {}').format(sql.Identifier(schema, name))).fetchone()
            if schema != 'jobs' and row != (rows,):
                raise NotRestored(f'The table {table} has {row and row[0]} rows, and should have {rows}.')
        known = {*manifest.missing, *manifest.damaged}
        for stored_as, size in connection.execute('select stored_as, size from file'):
            if stored_as not in known and files.get(stored_as) != size:
                raise NotRestored(f'The file {stored_as} is not what its row says.')
