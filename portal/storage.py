"""Where the bytes of files lie: a folder. What is not wholly written is not there.

A file is written below `.incoming`, flushed to the disk, and then renamed to its place; only then may a row name it. Whoever
writes holds a lock on it: what a dead process left behind can be told from what another one is just receiving.
"""

import errno
import fcntl
import os
import secrets
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from portal import private
from portal.settings import Settings

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Full(Exception):
    """There is no room left where the files lie."""


class Incoming:
    """A file that is being received. All of its methods raise Full."""

    def __init__(self, store: 'Store', path: Path, file: BinaryIO) -> None:
        self.store, self.path, self.file = store, path, file

    def write(self, data: bytes) -> None:
        with _telling_full():
            self.file.write(data)

    def keep(self) -> str:
        """Puts it whole into its place, under a random name. Returns the path below the folder of files."""
        name = secrets.token_hex(16)
        stored_as = f'{name[:2]}/{name}'
        place = self.store.path(stored_as)
        with _telling_full():
            os.fsync(self.file.fileno())
            private.folder(place.parent)
            self.path.rename(place)
            _flush(place.parent)
        self.path = place
        return stored_as


class Store:
    """The files below a folder. Another place (an object store) would offer the same methods."""

    def __init__(self, settings: Settings) -> None:
        self.folder = settings.data / 'files'
        self.previews = settings.data / 'previews'  # not worth keeping: made again from the files

    @property
    def waiting(self) -> Path:
        return self.folder / '.incoming'

    def path(self, stored_as: str) -> Path:
        return self.folder / stored_as

    @contextmanager
    def incoming(self, whose: str = '', most: int = 0) -> Generator[Incoming]:
        """A new file to write into; gone afterwards unless it was kept. Meanwhile `most` bytes are held for it, see `arriving`."""
        with _telling_full():
            private.folder(self.folder)
            path = private.folder(self.waiting) / f'{whose}.{most}.{secrets.token_hex(16)}'
            file = os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), 'wb', buffering=0)
        try:
            with file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield Incoming(self, path, file)
        finally:
            path.unlink(missing_ok=True)

    def arriving(self, whose: str) -> int:
        """Bytes held for what is being received for somebody, in all processes. What a dead one left does not count."""
        held = 0
        for path in self.waiting.glob(f'{whose}.*'):
            try:
                with path.open('rb') as file:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                held += int(path.name.split('.')[1])
            except FileNotFoundError:
                continue  # it has arrived
        return held

    def preview_path(self, stored_as: str) -> Path:
        return self.previews / f'{stored_as}.webp'

    def keep_preview(self, stored_as: str, data: bytes) -> None:
        """Whole, or not at all."""
        place = self.preview_path(stored_as)
        private.folder(self.previews)
        private.folder(place.parent)
        draft = place.with_suffix(f'.{secrets.token_hex(4)}')
        try:
            draft.write_bytes(data)
            draft.rename(place)
        finally:
            draft.unlink(missing_ok=True)

    def remove(self, stored_as: str) -> None:
        """Nothing happens if it is not there."""
        self.path(stored_as).unlink(missing_ok=True)
        self.preview_path(stored_as).unlink(missing_ok=True)

    def sweep_incoming(self) -> int:
        """Removes what was being received by a process that is no more. Returns how many."""
        swept = 0
        for path in self.waiting.glob('*') if self.waiting.is_dir() else ():
            try:
                with path.open('rb') as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if time.time() - path.stat().st_mtime > 1:  # made just now: its writer is about to lock it
                        path.unlink()
                        swept += 1
            except OSError:
                continue  # somebody is writing it, or was faster
        return swept

    def older_than(self, seconds: float) -> Iterator[str]:
        """Files that came longer ago, by the path below the folder."""
        before = time.time() - seconds
        for path in self.folder.glob('[0-9a-f][0-9a-f]/*'):
            try:
                if path.stat().st_mtime < before:
                    yield f'{path.parent.name}/{path.name}'
            except FileNotFoundError:
                continue


@contextmanager
def _telling_full() -> Generator[None]:
    try:
        yield
    except OSError as e:
        if e.errno in _FULL:
            raise Full from e
        raise


def _flush(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
