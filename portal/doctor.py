"""`python -m portal doctor`: what is in order, what is not, and what to do about it. It changes nothing and shows no secret."""

import asyncio
import json
import os
import shutil
import socket
import ssl
import sys
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import parseaddr
from pathlib import Path
from typing import Any, Literal
from urllib.error import URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import psycopg

from portal.db import lint, migrate, roles
from portal.db.errors import CannotStart
from portal.db.server import CONNECT_TIMEOUT, Cluster, half_restored, open_cluster
from portal.settings import Settings, is_loopback

Level = Literal['ok', 'warn', 'fail']
LITTLE, TOO_LITTLE = 5_000_000_000, 500_000_000  # bytes free on the disk
BACKUP_AGE = timedelta(hours=26)  # one a day, and a little
LATE = timedelta(minutes=10)  # a job that is due and not begun
CLOCK_APART = 2.0  # seconds
CERTIFICATE_DAYS = 14
PATIENCE = 10  # seconds for somebody else's answer


@dataclass(frozen=True)
class Line:
    level: Level
    about: str
    words: str
    todo: str = ''


def options(parser: ArgumentParser) -> None:
    parser.add_argument('--json', action='store_true', help='for programs: a list of objects')
    parser.add_argument('--send-to', metavar='ADDRESS', help='send a letter there, to see whether it arrives')


def doctor(settings: Settings, arguments: Namespace) -> int:
    lines = list(examine(settings, arguments.send_to))
    if arguments.json:
        print(json.dumps([asdict(line) for line in lines], indent=1))
    else:
        for line in lines:
            print(f'{line.level:<5} {line.about}: {line.words}' + (f'\n      → {line.todo}' if line.todo else ''))
    return 1 if any(line.level == 'fail' for line in lines) else 0


def examine(settings: Settings, send_to: str | None = None) -> Iterator[Line]:
    yield from _checked('settings', lambda: _settings(settings))
    yield from _checked('data folder', lambda: _folder(settings))
    try:
        cluster = None if half_restored(settings).exists() else open_cluster(settings, attach=True)
    except CannotStart as e:
        yield Line('fail', 'database', str(e), 'See “Trouble” in docs/operating.md.')
        cluster = None
    if cluster:
        try:
            yield from _with_database(cluster, settings)
        finally:
            cluster.stop()
    yield from _checked('mail', lambda: _mail(settings, send_to))
    yield from _checked('address', lambda: _address(settings))


def _with_database(cluster: Cluster, settings: Settings) -> Iterator[Line]:
    yield from _checked('database', lambda: _database(cluster))
    if _is_ours(cluster):
        checks: dict[str, Callable[[psycopg.Connection[Any]], Iterator[Line]]] = {
            'clock': _clock, 'jobs': _jobs, 'files': lambda connection: _files(connection, settings), 'backup': _backup,
        }  # fmt: skip
        for about, check in checks.items():
            yield from _checked(about, lambda check=check: _asked(cluster, check))


def _is_ours(cluster: Cluster) -> bool:
    return migrate.version(cluster) == migrate.HEAD


def _asked(cluster: Cluster, check: Callable[[psycopg.Connection[Any]], Iterator[Line]]) -> Iterator[Line]:
    """As the role that reads everything and changes nothing."""
    with psycopg.connect(cluster.conninfo(roles.BACKUP), autocommit=True) as connection:
        yield from check(connection)


def _checked(about: str, check: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    """One check that breaks does not keep the others from being made."""
    try:
        yield from check()
    except Exception as e:
        yield Line('fail', about, f'could not be checked ({type(e).__name__}).')


# ---------- settings and folder ----------


def _settings(settings: Settings) -> Iterator[Line]:
    if settings.demo:
        yield Line(
            'warn', 'settings', 'this is the demo: everyone knows its passwords.', 'Set PORTAL_DEMO=0 for people’s own data.'
        )
    if settings.database_url and not settings.secret_key:
        yield Line(
            'warn', 'settings', f'the secret key is kept in {settings.data / "secret.key"}; another process needs the same one.',
            'Set PORTAL_SECRET_KEY, or share the folder.',
        )  # fmt: skip
    if not settings.backup_key:
        yield Line('warn', 'settings', 'PORTAL_BACKUP_KEY is not set: backups are not encrypted, unless by --key-file.')
    yield Line('ok', 'settings', f'can be used. Python {sys.version_info.major}.{sys.version_info.minor}.')


def _folder(settings: Settings) -> Iterator[Line]:
    folder = settings.data
    if half_restored(settings).exists():
        yield Line(
            'fail', 'data folder', 'a restore began here and did not end.', 'Empty it, and the database, and restore again.'
        )
    if not folder.exists():
        yield Line('ok', 'data folder', f'{folder} is not there yet; the first start makes it.')
        return
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b'x')
            file.flush()
            os.fsync(file.fileno())
    except OSError as e:
        yield Line(
            'fail', 'data folder', f'{folder} cannot be written: {e.strerror}.', 'Give it to the account that runs the portal.'
        )
        return
    for name in ('secret.key', 'postgres.password'):
        if (folder / name).exists() and (folder / name).stat().st_mode & 0o077:
            yield Line('fail', 'data folder', f'{name} can be read by others.', f'chmod 600 {folder / name}')
    free = shutil.disk_usage(folder).free
    level: Level = 'fail' if free < TOO_LITTLE else 'warn' if free < LITTLE else 'ok'
    todo = '' if level == 'ok' else 'Make room, or give it a larger disk: without room, nothing can be written.'
    yield Line(level, 'data folder', f'{folder} can be written; {free / 1e9:.1f} GB are free.', todo)


# ---------- database ----------


def _database(cluster: Cluster) -> Iterator[Line]:
    at = migrate.version(cluster)
    kind = 'private PostgreSQL' if cluster.embedded else 'PostgreSQL'
    if at == migrate.HEAD:
        yield Line('ok', 'database', f'{kind} {cluster.server_version}, at version {at}.')
    elif at and at > migrate.HEAD:
        yield Line('fail', 'database', f'it is at version {at}, this portal at {migrate.HEAD}.', 'Run the newer portal.')
    else:
        yield Line('warn', 'database', f'it is at version {at or "none"}, this portal at {migrate.HEAD}.', 'Start the portal.')
        return
    for role in roles.LOGINS:
        psycopg.connect(cluster.conninfo(role), connect_timeout=CONNECT_TIMEOUT).close()
    yield Line('ok', 'roles', f'all {len(roles.LOGINS)} can sign in.')
    problems = lint.problems(cluster.conninfo(roles.OWNER))
    for problem in problems:
        yield Line('fail', 'isolation', f'{problem}.', 'Somebody changed it by hand: put it back, or restore a backup.')
    if not problems:
        yield Line('ok', 'isolation', 'every table is closed to those it does not concern.')


def _clock(connection: psycopg.Connection[Any]) -> Iterator[Line]:
    before = datetime.now(UTC)
    (theirs,) = connection.execute('select clock_timestamp()').fetchone() or (before,)
    after = datetime.now(UTC)
    apart = max((before - theirs).total_seconds(), (theirs - after).total_seconds(), 0.0)
    if apart > CLOCK_APART:
        yield Line(
            'fail', 'clock', f'ours and that of the database are {apart:.0f} seconds apart.', 'Let both follow a time server.'
        )
    else:
        yield Line('ok', 'clock', 'ours is that of the database.')


def _jobs(connection: psycopg.Connection[Any]) -> Iterator[Line]:
    now = datetime.now(UTC)
    workers = _one(
        connection, 'select count(*) from jobs.procrastinate_workers where last_heartbeat > %s', now - timedelta(minutes=1)
    )
    late = _one(
        connection,
        "select count(*) from jobs.procrastinate_jobs j where status = 'todo' and coalesce(scheduled_at, (select max(at) from "
        'jobs.procrastinate_events e where e.job_id = j.id)) < %s',
        now - LATE,
    )
    failed = _one(
        connection,
        "select count(distinct e.job_id) from jobs.procrastinate_events e where e.type = 'failed' and e.at > %s",
        now - timedelta(days=1),
    )
    letters = _one(
        connection, "select count(*) from mail_outbox where state = 'failed' and created_at > %s", now - timedelta(days=1)
    )
    if late:
        yield Line(
            'fail',
            'jobs',
            f'due for more than ten minutes and not begun: {late}.',
            'Start the portal, or `python -m portal worker`.',
        )
    elif not workers:
        yield Line('warn', 'jobs', 'nobody works on them at the moment.', 'Start the portal, or `python -m portal worker`.')
    else:
        yield Line('ok', 'jobs', f'workers: {workers}, and nothing is late.')
    if failed:
        yield Line('warn', 'jobs', f'{failed} failed within a day.', 'The log says why.')
    if letters:
        yield Line('warn', 'letters', f'{letters} could not be sent within a day.', 'The page Mail says why.')


def _files(connection: psycopg.Connection[Any], settings: Settings) -> Iterator[Line]:
    folder = settings.data / 'files'
    rows = dict(connection.execute('select stored_as, size from file').fetchall())
    missing = [name for name, size in rows.items() if not _has(folder / name, size)]
    if missing:
        words = f'{len(missing)} of {len(rows)} are missing or not whole, such as {missing[0]}.'
        yield Line('fail', 'files', words, f'Put them back into {folder}, from a backup.')
    else:
        yield Line('ok', 'files', f'all {len(rows)} are there.')
    known = _known_files(connection)
    orphans = [path for path in _old_files(folder) if str(path.relative_to(folder)) not in known]
    if orphans:
        yield Line(
            'warn', 'files', f'older than a day and belonging to nothing: {len(orphans)}.', 'A job of the portal sweeps them.'
        )


def _has(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _old_files(folder: Path) -> Iterator[Path]:
    """Longer there than any row takes to follow its file."""
    day_ago = datetime.now(UTC).timestamp() - 86400
    return (path for path in folder.rglob('*') if path.is_file() and path.stat().st_mtime < day_ago)


def _known_files(connection: psycopg.Connection[Any]) -> set[str]:
    from portal.backup.making import files_of

    return {row.stored_as for row in files_of(connection)}


def _backup(connection: psycopg.Connection[Any]) -> Iterator[Line]:
    row = connection.execute("select at, value from app.fact where name = 'last_backup'").fetchone()
    todo = 'Let `python -m portal backup` run every night; see “Backup” in docs/operating.md.'
    if row is None:
        yield Line('warn', 'backup', 'there is none yet.', todo)
        return
    at, value = row
    age = datetime.now(UTC) - at
    words = f'the last one is {_ago(age)} old ({value.get("file")}{", encrypted" if value.get("encrypted") else ""}).'
    yield Line('ok', 'backup', words) if age < BACKUP_AGE else Line('warn', 'backup', words, todo)
    if value.get('missing') or value.get('damaged'):
        yield Line('fail', 'backup', 'some files were missing or damaged then.', 'See “files”.')


def _ago(age: timedelta) -> str:
    hours = age.total_seconds() / 3600
    return f'{hours / 24:.0f} days' if hours >= 48 else f'{hours:.0f} hours' if hours >= 1 else f'{hours * 60:.0f} minutes'


def _one(connection: psycopg.Connection[Any], question: Any, *values: object) -> int:
    row = connection.execute(question, values).fetchone()
    return row[0] if row else 0


# ---------- mail and the address people open ----------


def _mail(settings: Settings, send_to: str | None) -> Iterator[Line]:
    if settings.smtp is None:
        yield Line('warn', 'mail', 'no server is set: letters are kept, and staff read them.', 'Set PORTAL_SMTP_URL.')
        return
    if not settings.mail_from:
        yield Line('warn', 'mail', 'letters have no sender of yours.', 'Set PORTAL_MAIL_FROM.')
    if settings.smtp.security == 'none' and not is_loopback(settings.smtp.host):
        yield Line('warn', 'mail', 'letters travel in the clear.', 'Use smtp+starttls:// or smtps:// in PORTAL_SMTP_URL.')
    yield asyncio.run(_speak(settings, send_to))


async def _speak(settings: Settings, send_to: str | None) -> Line:
    import aiosmtplib

    smtp = settings.smtp
    assert smtp
    where = f'{smtp.host}:{smtp.port}'
    server = aiosmtplib.SMTP(
        hostname=smtp.host, port=smtp.port, timeout=PATIENCE, username=smtp.user, password=smtp.password,
        use_tls=smtp.security == 'tls', start_tls=smtp.security == 'starttls',
    )  # fmt: skip
    try:
        async with server:  # connects, TLS, signs in
            if send_to:
                letter = EmailMessage()
                letter['From'] = settings.mail_from or f'portal@{urlsplit(settings.origin).hostname}'
                letter['To'], letter['Subject'] = parseaddr(send_to)[1], 'A letter from the portal'
                letter.set_content(f'This is a letter from {settings.origin}, sent to see whether it arrives.\n')
                await server.send_message(letter)
    except aiosmtplib.SMTPAuthenticationError as e:
        return Line('fail', 'mail', f'{where} does not let us sign in ({e.code}).', 'Check user and password in PORTAL_SMTP_URL.')
    except (aiosmtplib.SMTPException, OSError) as e:
        return Line('fail', 'mail', f'{where}: {type(e).__name__}.', 'Check PORTAL_SMTP_URL, and the way to that server.')
    how = {'none': 'without encryption', 'starttls': 'with STARTTLS', 'tls': 'with TLS'}[smtp.security]
    return Line(
        'ok',
        'mail',
        f'{where} answers {how}'
        + (', signed in' if smtp.user else '')
        + (f'; a letter to {send_to} was taken.' if send_to else '.'),
    )


def _address(settings: Settings) -> Iterator[Line]:
    """Whether the portal is found where people look for it."""
    origin = settings.origin
    try:
        with urlopen(Request(f'{origin}/healthz'), timeout=PATIENCE) as answer:  # noqa: S310  (http or https, by the settings)
            ours = answer.read(10) == b'ok'
    except (URLError, OSError) as e:
        reason = getattr(e, 'reason', e)
        yield Line(
            'warn', 'address', f'{origin} does not answer ({getattr(reason, "verify_message", None) or getattr(reason, "strerror", None) or type(reason).__name__}).',
            'Start the portal; check the proxy and PORTAL_URL.',
        )  # fmt: skip
        return
    if not ours:
        yield Line('fail', 'address', f'{origin} is answered by something else.', 'Check the proxy and PORTAL_URL.')
        return
    days = _certificate_days(origin)
    if days is not None and days < CERTIFICATE_DAYS:
        yield Line('warn', 'address', f'the certificate of {origin} ends in {days} days.', 'See to its renewal.')
    yield Line('ok', 'address', f'{origin} answers' + ('.' if days is None else f', its certificate holds for {days} days.'))
    if not settings.secure:
        yield Line('warn', 'address', 'only this computer can use it.', 'Put a proxy with TLS in front, and set PORTAL_URL.')


def _certificate_days(origin: str) -> int | None:
    """Days until the certificate ends; None for plain HTTP."""
    parts = urlsplit(origin)
    if parts.scheme != 'https' or not parts.hostname:
        return None
    with (
        socket.create_connection((parts.hostname, parts.port or 443), timeout=PATIENCE) as line,
        ssl.create_default_context().wrap_socket(line, server_hostname=parts.hostname) as secure,
    ):
        ends = (secure.getpeercert() or {}).get('notAfter')
    return int(ssl.cert_time_to_seconds(str(ends)) - datetime.now(UTC).timestamp()) // 86400 if ends else None
