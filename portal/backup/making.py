"""Making a backup while people work: one snapshot of the database, then the files that its rows name.

A file is there before its row and stays for a day after it, so every row of the snapshot finds its file.
"""

import hashlib
import hmac
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg import IsolationLevel, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from portal import __version__, private
from portal.backup import archive
from portal.backup.errors import NotMade
from portal.db import embedded, lint, migrate, roles
from portal.db.server import Cluster
from portal.settings import Settings

SCHEMAS = ['public', 'app', 'jobs', 'migration']
LEFT_OUT = ('app.secret', 'public.session')  # a restored portal makes its own; everybody signs in anew
LAST = 'last_backup'  # in app.fact


@dataclass(frozen=True)
class Made:
    path: Path
    size: int  # bytes
    manifest: archive.Manifest
    pruned: list[Path]


def make(
    cluster: Cluster, settings: Settings, to: Path | None = None, *, keep: int | None = None, key: str | None = None
) -> Made:
    """`to`: a folder, made if missing, or a file that is not there yet and is named as one; by default `backups` in the data
    folder. Raises NotMade."""
    _refuse_unfit(cluster)
    now = datetime.now(UTC)
    target = _target(settings, to, archive.name_of(now, sealed=key is not None))
    archive.clear_up(target.parent)
    with _snapshot(cluster) as connection:
        manifest = archive.Manifest(
            now.isoformat(timespec='seconds'),
            __version__,
            migrate.HEAD,
            cluster.server_version,
            mark(settings),
            _counts(connection),
        )
        rows = files_of(connection)
        snapshot = connection.execute('select pg_export_snapshot()').fetchone()
        assert snapshot
        with archive.written(target, manifest, key) as writer:
            for number, piece in enumerate(_dump(cluster, snapshot[0], connection), 1):
                writer.add(f'{archive.DATABASE}{number:06}', piece)
            connection.rollback()  # an old snapshot keeps the database from tidying up
            for row in rows:
                _add(writer, settings.data / 'files', row)
    pruned = archive.prune(target.parent, keep) if keep else []
    made = Made(target, target.stat().st_size, manifest, pruned)
    _note(cluster, made, sealed=key is not None)
    return made


def mark(settings: Settings) -> str:
    """Tells one secret key from another, and nothing about it."""
    return hmac.digest(settings.secret, b'mark of a backup', hashlib.sha256).hex()[:8]


def _refuse_unfit(cluster: Cluster) -> None:
    at = migrate.version(cluster)
    if at != migrate.HEAD:
        raise NotMade(f'The database is at version {at}, this portal at {migrate.HEAD}: use the portal that runs on it.')
    if problems := lint.problems(cluster.conninfo(roles.OWNER)):
        raise NotMade('The database is not as it must be: ' + '; '.join(problems[:3]) + '.')


def _target(settings: Settings, to: Path | None, name: str) -> Path:
    try:
        if to is None:
            return private.folder(settings.data / 'backups') / name
        if to.is_dir():
            return to / name
    except OSError as e:
        raise NotMade(f'{e.filename} cannot be used: {e.strerror}.') from e
    if not to.parent.is_dir():
        raise NotMade(f'There is no folder {to.parent}.')
    if to.exists():
        raise NotMade(f'{to} is there already.')
    if not to.name.endswith(archive.SUFFIXES):
        return _target(settings, private.folder(to), name)
    return to.absolute()


# ---------- the database ----------


def _snapshot(cluster: Cluster) -> psycopg.Connection[Any]:
    connection = psycopg.connect(cluster.conninfo(roles.BACKUP))
    connection.isolation_level, connection.read_only = IsolationLevel.REPEATABLE_READ, True
    return connection


def _counts(connection: psycopg.Connection[Any]) -> dict[str, int]:
    """Rows of every table that is taken."""
    tables = connection.execute(
        'select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace where n.nspname = any (%s) '
        "and c.relkind = 'r' and n.nspname || '.' || c.relname <> all (%s) order by 1, 2",
        (SCHEMAS, list(LEFT_OUT)),
    ).fetchall()
    return {f'{schema}.{table}': _count(connection, schema, table) for schema, table in tables}


def _count(connection: psycopg.Connection[Any], schema: str, table: str) -> int:
    row = connection.execute(sql.SQL('select count(*) from {}').format(sql.Identifier(schema, table))).fetchone()
    assert row
    return row[0]


def _dump(cluster: Cluster, snapshot: str, connection: psycopg.Connection[Any]) -> Iterator[bytes]:
    """In pieces. Row security stays on: the role's own policy shows it every row, as the lint has just checked."""
    address, env = programs_address(cluster.conninfo(roles.BACKUP))
    command = [
        str(embedded.installed() / 'pg_dump'), '--format=custom', '--compress=gzip:3', f'--snapshot={snapshot}',
        '--enable-row-security', '--lock-wait-timeout=60s', *(f'--exclude-table-data={table}' for table in LEFT_OUT),
        *_not_ours(connection), f'--dbname={address}',
    ]  # fmt: skip
    with tempfile.TemporaryFile() as said:
        dumping = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, env=env)
        assert dumping.stdout
        try:
            while piece := dumping.stdout.read(archive.PIECE):
                yield piece
        except BaseException:  # such as a full disk
            dumping.kill()
            raise
        finally:
            dumping.stdout.close()
            dumping.wait()
        if dumping.returncode:
            said.seek(0)
            raise NotMade(f'pg_dump failed: {last_line(said.read())}')


def _not_ours(connection: psycopg.Connection[Any]) -> list[str]:
    """What else an administrator keeps in the database, and what only an administrator could restore."""
    schemas = connection.execute(
        "select nspname from pg_namespace where nspname !~ '^pg_' and nspname <> 'information_schema' and nspname <> all (%s)",
        (SCHEMAS,),
    )
    excluded = [f'--exclude-schema="{name}"' for (name,) in schemas]
    extensions = connection.execute(
        'select e.extname from pg_extension e join pg_available_extension_versions v on v.name = e.extname and v.version = e.extversion '
        'where not v.trusted'
    )
    return excluded + [f'--exclude-extension="{name}"' for (name,) in extensions]


def programs_address(conninfo: str) -> tuple[str, dict[str, str]]:
    """For a program of PostgreSQL: the address, and its environment with the password (arguments are seen by everyone)."""
    parts = conninfo_to_dict(conninfo)
    env = {**os.environ, 'PGPASSWORD': str(parts.pop('password'))}
    return make_conninfo('', **parts), env


def last_line(said: bytes) -> str:
    lines = [line for line in said.decode(errors='replace').splitlines() if line.strip()]
    errors = [line for line in lines if 'ERROR' in line or 'error:' in line]
    return (errors or lines or ['it said nothing'])[0].strip().rstrip('.') + '.'


# ---------- the files ----------


@dataclass(frozen=True)
class FileRow:
    stored_as: str  # path below the folder of files
    size: int | None
    sha256: str | None


def files_of(connection: psycopg.Connection[Any]) -> list[FileRow]:
    """Of every table that names files of ours."""
    tables = connection.execute(
        "select table_name, bool_or(column_name = 'size'), bool_or(column_name = 'sha256') from information_schema.columns "
        "where table_schema = 'public' group by 1 having bool_or(column_name = 'stored_as') order by 1"
    ).fetchall()
    found: list[FileRow] = []
    for table, has_size, has_sha256 in tables:
        size, sha256 = (sql.Identifier(name) if has else sql.NULL for name, has in (('size', has_size), ('sha256', has_sha256)))
        question = sql.SQL('select stored_as, {}, {} from {} where stored_as is not null order by stored_as')
        found += [FileRow(*row) for row in connection.execute(question.format(size, sha256, sql.Identifier(table)))]
    return list({row.stored_as: row for row in found}.values())


def _add(writer: archive.Writer, folder: Path, row: FileRow) -> None:
    try:
        with (folder / row.stored_as).open('rb') as source:
            size = os.fstat(source.fileno()).st_size
            sha256 = writer.add_file(archive.FILES + row.stored_as, source)
    except (FileNotFoundError, NotADirectoryError):
        writer.manifest.missing.append(row.stored_as)
        return
    if (row.size is not None and size != row.size) or (row.sha256 is not None and sha256 != row.sha256):
        writer.manifest.damaged.append(row.stored_as)


def _note(cluster: Cluster, made: Made, *, sealed: bool) -> None:
    value = {
        'file': made.path.name, 'bytes': made.size, 'files': made.manifest.files, 'encrypted': sealed,
        'missing': len(made.manifest.missing), 'damaged': len(made.manifest.damaged),
    }  # fmt: skip
    with psycopg.connect(cluster.conninfo(roles.OWNER)) as connection:
        connection.execute(
            'insert into app.fact (name, value, at) values (%s, %s, %s) '
            'on conflict (name) do update set value = excluded.value, at = excluded.at',
            (LAST, json.dumps(value), made.manifest.made_at),
        )
