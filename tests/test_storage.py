"""What is not wholly written is not there."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from portal import settings
from portal.storage import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(settings.load({'PORTAL_DATA_DIR': str(tmp_path)}))


def files_in(store: Store) -> list[str]:
    return [path.name for path in store.folder.rglob('*') if path.is_file()]


def test_a_file_is_there_when_it_was_kept(store: Store) -> None:
    with store.incoming() as incoming:
        incoming.write(b'blank ')
        incoming.write(b'page')
        stored_as = incoming.keep()
    assert store.path(stored_as).read_bytes() == b'blank page'
    assert len(files_in(store)) == 1
    assert store.path(stored_as).stat().st_mode & 0o077 == 0


def test_what_was_broken_off_leaves_nothing(store: Store) -> None:
    with pytest.raises(ConnectionError), store.incoming() as incoming:
        incoming.write(b'half')
        raise ConnectionError
    assert files_in(store) == []


def test_a_sweep_leaves_what_is_being_received(store: Store) -> None:
    with store.incoming() as incoming:
        incoming.write(b'on its way')
        dead = store.waiting / 'dead'
        dead.write_bytes(b'half')
        an_hour_ago = time.time() - 3600
        os.utime(dead, (an_hour_ago, an_hour_ago))
        os.utime(incoming.path, (an_hour_ago, an_hour_ago))
        assert store.sweep_incoming() == 1
        stored_as = incoming.keep()
    assert store.path(stored_as).read_bytes() == b'on its way'


def test_what_is_being_received_holds_its_room(store: Store) -> None:
    with store.incoming('acme', 500), store.incoming('acme', 70) as second, store.incoming('bolt', 9000):
        (store.waiting / 'acme.40000.dead').write_bytes(b'half')
        assert store.arriving('acme') == 570
        second.keep()
        assert store.arriving('acme') == 500
    assert store.arriving('acme') == 0


def test_a_disk_that_fills_up_keeps_no_half_file(store: Store, tmp_path: Path) -> None:
    code = f"""
import resource
from portal import settings
from portal.storage import Full, Store
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
store = Store(settings.load({{'PORTAL_DATA_DIR': {str(tmp_path)!r}}}))
try:
    with store.incoming() as incoming:
        for _ in range(10):
            incoming.write(b'x' * 30_000)
        incoming.keep()
except Full:
    print('full')
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout == 'full\n'
    assert files_in(store) == []


def test_only_old_files_are_named_for_a_sweep(store: Store) -> None:
    names: list[str] = []
    for _ in range(2):
        with store.incoming() as incoming:
            incoming.write(b'x')
            names.append(incoming.keep())
    two_days_ago = time.time() - 2 * 86400
    os.utime(store.path(names[0]), (two_days_ago, two_days_ago))
    assert list(store.older_than(86400)) == [names[0]]
