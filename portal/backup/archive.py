"""The archive: one tar, sealed or plain.

portal-backup.json       {"format": 1}
database/000001 …        pg_dump's custom format, in pieces; put together they are a file for pg_restore
files/…                  each file below the name in its row
manifest.json            what was taken, from where, and the SHA-256 of every part
manifest.sha256          of the manifest
"""

import fcntl
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, Protocol

from portal.backup.errors import NotMade, Unusable
from portal.backup.sealing import ALTERED, CHUNK, Sealer, Unsealer, is_sealed

FORMAT = 1
FIRST, MANIFEST, DIGEST = 'portal-backup.json', 'manifest.json', 'manifest.sha256'
DATABASE, FILES = 'database/', 'files/'
PIECE = 16 << 20  # bytes of the dump in one part
NAME = re.compile(r'portal-\d{8}T\d{6}Z\.tar(\.sealed)?')
PART = re.compile(r'\.portal-\w+\.part')


@dataclass
class Manifest:
    made_at: str  # ISO 8601, UTC
    portal: str  # version
    migration: str
    postgresql: int  # major version
    key: str
    """A mark of the portal's secret key (not of the archive's), by which a restore says that it is another."""
    tables: dict[str, int]  # rows
    parts: dict[str, str] = field(default_factory=dict[str, str])  # SHA-256
    missing: list[str] = field(default_factory=list[str])  # files that have a row and were not there
    damaged: list[str] = field(default_factory=list[str])  # files that are not what their row says
    format: int = FORMAT

    @property
    def files(self) -> int:
        return sum(name.startswith(FILES) for name in self.parts)


# ---------- writing ----------


class Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Writer:
    """Adds parts, one after the other."""

    def __init__(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        self.tar, self.manifest = tar, manifest

    def add(self, name: str, data: bytes) -> None:
        self._member(name, len(data), io.BytesIO(data))
        self.manifest.parts[name] = hashlib.sha256(data).hexdigest()

    def add_file(self, name: str, source: IO[bytes]) -> str:
        """Returns its SHA-256."""
        reading = _Hashing(source)
        self._member(name, os.fstat(source.fileno()).st_size, reading)
        self.manifest.parts[name] = found = reading.digest.hexdigest()
        return found

    def _member(self, name: str, size: int, source: Any) -> None:
        entry = tarfile.TarInfo(name)
        entry.size, entry.mode = size, 0o600
        self.tar.addfile(entry, source)


class _Hashing:
    def __init__(self, source: Readable) -> None:
        self.source, self.digest = source, hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        data = self.source.read(size)
        self.digest.update(data)
        return data


@contextmanager
def written(target: Path, manifest: Manifest, passphrase: str | None) -> Generator[Writer]:
    """The archive appears under its name when it is complete and on the disk, or not at all. Raises NotMade."""
    draft = target.with_name(f'.portal-{os.urandom(6).hex()}.part')
    try:
        with _opened(draft) as out:
            sealer = Sealer(out, passphrase) if passphrase else None
            with tarfile.open(fileobj=sealer or out, mode='w|', format=tarfile.PAX_FORMAT, bufsize=CHUNK) as tar:  # type: ignore[call-overload]
                writer = Writer(tar, manifest)
                writer.add(FIRST, json.dumps({'format': FORMAT}).encode())
                yield writer
                words = json.dumps(asdict(manifest), indent=1).encode()
                writer.add(MANIFEST, words)
                writer.add(DIGEST, hashlib.sha256(words).hexdigest().encode())
            if sealer:
                sealer.close()
            out.flush()
            os.fsync(out.fileno())
            if target.exists():
                raise NotMade(f'{target} is there already.')
            draft.rename(target)
        _sync_folder(target.parent)
    except OSError as e:
        raise NotMade(f'The backup could not be written to {target.parent}: {e.strerror}.') from e
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def _opened(draft: Path) -> Generator[IO[bytes]]:
    """Locked, so that another backup can tell it from one that was killed."""
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, 'wb') as out:
        fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield out


def clear_up(folder: Path) -> None:
    """What backups that were killed have left."""
    for path in folder.glob('.portal-*.part'):
        if PART.fullmatch(path.name):
            with suppress(OSError), path.open('rb') as left:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def prune(folder: Path, keep: int) -> list[Path]:
    """All but the newest, by the time in their names. Only what looks like an archive of ours."""
    archives = sorted(path for path in folder.iterdir() if NAME.fullmatch(path.name))
    for path in archives[:-keep]:
        path.unlink()
    return archives[:-keep]


SUFFIXES = ('.tar', '.sealed')


def name_of(at: datetime, *, sealed: bool) -> str:
    return f'portal-{at:%Y%m%dT%H%M%SZ}.tar' + ('.sealed' if sealed else '')


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---------- reading ----------


def parts(path: Path, passphrase: str | None) -> Iterator[tuple[str, Readable]]:
    """Name and content, in their order; each content is read before the next part is asked for. Raises Unusable."""
    try:
        with path.open('rb') as source:
            beginning = source.read(64)
            source.seek(0)
            if is_sealed(beginning) and not passphrase:
                raise Unusable('The archive is encrypted: set PORTAL_BACKUP_KEY, or name a file with --key-file.')
            plain: Any = Unsealer(source, passphrase) if passphrase and is_sealed(beginning) else source
            with tarfile.open(fileobj=plain, mode='r|', bufsize=CHUNK) as tar:
                for entry in tar:
                    content = tar.extractfile(entry) if entry.isreg() and _is_plain(entry.name) else None
                    if content is None:
                        raise Unusable(f'The archive holds something that no backup holds: {entry.name!r}.')
                    yield entry.name, _Content(content)
            while plain.read(CHUNK):  # to the end, which is sealed, too
                pass
    except tarfile.TarError:
        raise Unusable(ALTERED if NAME.fullmatch(path.name) else f'{path} is no backup of the portal, or damaged.') from None
    except OSError as e:
        raise Unusable(f'{path} cannot be read: {e.strerror}.') from None


class _Content:
    def __init__(self, source: Readable) -> None:
        self.source = source

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self.source.read(size)
        except tarfile.TarError:
            raise Unusable(ALTERED) from None


def _is_plain(name: str) -> bool:
    """A path that stays where it is put."""
    return not name.startswith('/') and all(step not in ('', '.', '..') for step in name.split('/')) and '\0' not in name


def verified(path: Path, passphrase: str | None) -> Manifest:
    """Reads all of it: every part is there, is what it was, and nothing else. Raises Unusable."""
    found: dict[str, str] = {}
    words = digest = b''
    for name, content in parts(path, passphrase):
        if not found and name != FIRST:
            break
        if name in found:
            raise Unusable(ALTERED)
        if name in (FIRST, MANIFEST, DIGEST):
            data = content.read()
            found[name] = hashlib.sha256(data).hexdigest()
            if name == FIRST:
                _refuse_other_format(data)
            words, digest = (data if name == MANIFEST else words), (data if name == DIGEST else digest)
        else:
            reading = _Hashing(content)
            while reading.read(CHUNK):
                pass
            found[name] = reading.digest.hexdigest()
    if FIRST not in found:
        raise Unusable(f'{path} is no backup of the portal.')
    if not words or hashlib.sha256(words).hexdigest().encode() != digest:
        raise Unusable(ALTERED)
    manifest = Manifest(**json.loads(words))
    del found[MANIFEST], found[DIGEST]
    if manifest.parts != found:
        raise Unusable(ALTERED)
    return manifest


def _refuse_other_format(data: bytes) -> None:
    try:
        number = json.loads(data)['format']
    except (ValueError, KeyError, TypeError):
        raise Unusable(ALTERED) from None
    if number != FORMAT:
        raise Unusable('The archive was made by a newer portal than this one: restore it with that one.')
