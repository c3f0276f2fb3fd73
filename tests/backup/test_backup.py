"""What is taken away is what comes back; and what is not whole is refused before anything is changed."""

import hashlib
import io
import json
import os
import resource
import shutil
import signal
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from portal.backup import archive, restoring
from portal.backup.errors import NotRestored, Unusable
from portal.db import embedded, migrate, roles, server
from tests.backup.conftest import Own, Place, in_use
from tests.conftest import SECRET

KEY = 'a passphrase that only Mona knows'


def schema(place: Place) -> list[str]:
    """Every table, function, policy and right, as statements."""
    parts = conninfo_to_dict(place.admin())
    env = {**os.environ, 'PGPASSWORD': str(parts.pop('password'))}
    command = [str(embedded.installed() / 'pg_dump'), '--schema-only', '--dbname', make_conninfo('', **parts)]
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    return sorted(line for line in said.splitlines() if line and not line.startswith(('--', '\\', 'SET ')))


def without_jobs(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    return {table: found for table, found in rows.items() if not table.startswith('jobs.')}


class TestEverythingComesBack:
    def check(self, source: Place, target: Place, *, same_server: bool = True) -> None:
        assert without_jobs(target.rows()) == without_jobs(source.rows())
        assert target.files() == source.files()
        assert len(target.files()) == len(source.rows()['public.file']) > 0
        if same_server:
            assert schema(target) == schema(source)

    def test_into_the_private_database(self, northwind: Place, private: Callable[[], Place]):
        archived = northwind.backup(northwind.folder / 'here.tar')
        target = private()
        done = target.run('restore', archived)
        assert (done.returncode, done.stderr) == (0, '')
        assert done.stdout.startswith('Restored: made ')
        self.check(northwind, target)

    def test_from_the_private_database_to_a_server(self, private: Callable[[], Place], own: Own):
        source, target = in_use(private()), own('18')
        done = target.run('restore', source.backup(key=KEY), key=KEY)
        assert (done.returncode, done.stderr) == (0, '')
        self.check(source, target)

    def test_on_the_oldest_postgresql(self, own: Own, private: Callable[[], Place]):
        source = in_use(own('15'))
        archived, target = source.backup(), private()
        assert target.run('restore', archived).returncode == 0
        self.check(source, target, same_server=False)
        back = own('15')  # what was there is forgotten
        assert back.run('restore', target.backup()).returncode == 0
        self.check(target, back, same_server=False)

    def test_where_only_an_administrator_may_make_roles(self, northwind: Place, own: Own):
        archived, before = northwind.backup(), northwind.rows()
        target = own('18', 'plain')
        done = target.run('restore', archived)
        assert done.returncode == 1
        assert 'run `python -m portal db setup`, which shows what an administrator has to do.' in done.stderr
        with psycopg.connect(target.admin(), autocommit=True) as admin:
            admin.execute(roles.sql_for_admin('support', SECRET.encode(), 'plain').encode())
        assert target.run('restore', archived).returncode == 0
        assert without_jobs(target.rows()) == without_jobs(before)

    def test_work_goes_on_where_it_stood(self, northwind: Place, private: Callable[[], Place]):
        """Jobs that ran are waiting again, people sign in anew, and the portal starts."""
        archived, target = northwind.backup(), private()
        assert target.run('restore', archived).returncode == 0
        jobs = 'select task_name, status::text from jobs.procrastinate_jobs order by 1'
        assert target.ask(jobs) == [('send_letter', 'todo'), ('tidy', 'todo')]
        assert target.ask('select count(*) from session') == [(0,)]
        assert target.ask('select key from app.secret') != northwind.ask('select key from app.secret')
        with psycopg.connect(server.open_cluster(target.settings, attach=True).conninfo('portal_door')) as door:
            assert door.execute('select app.any_tenant()').fetchone() == (True,)

    def test_the_audit_log_is_proven_where_it_was_restored(self, northwind: Place, private: Callable[[], Place]):
        """Its chain goes on there, and tampering is found there."""
        northwind.ask('select app.seal_audit()')
        noted = northwind.run('audit', 'verify')
        assert (noted.returncode, noted.stderr) == (0, '')
        archived, target = northwind.backup(), private()
        assert target.run('restore', archived).returncode == 0
        assert target.run('audit', 'verify').stdout == noted.stdout
        target.ask("insert into audit (tenant_id, action) select id, 'session.opened' from tenant returning id")
        assert 'wait for the next block' in target.run('audit', 'verify').stdout
        target.ask('select app.seal_audit()')
        assert target.run('audit', 'verify').returncode == 0
        with psycopg.connect(target.admin()) as admin:
            admin.execute('set session_replication_role = replica')
            admin.execute("delete from audit where action = 'session.opened'")
        broken = target.run('audit', 'verify')
        assert broken.returncode == 1
        assert 'BROKEN: line' in broken.stdout

    def test_while_somebody_writes(self, northwind: Place, private: Callable[[], Place]):
        """Each transaction is in it whole, or not at all, with its file."""
        ended, written = threading.Event(), 0
        (row,) = northwind.ask('select tenant_id, company_id, author_id from file limit 1')

        def write() -> None:
            nonlocal written
            with psycopg.connect(northwind.admin()) as connection:
                while not ended.is_set():
                    written += 1
                    content = f'{written}'.encode()
                    (northwind.folder / f'files/while-{written}').write_bytes(content)
                    connection.execute(
                        'insert into file (id, tenant_id, company_id, author_id, place, name, media_type, size, sha256, stored_as) '
                        "values (gen_random_uuid(), %s, %s, %s, 'new-ticket', 'while', 'text/plain', %s, %s, %s)",
                        (*row, len(content), hashlib.sha256(content).hexdigest(), f'while-{written}'),
                    )
                    connection.execute("insert into audit (tenant_id, action) values (%s, 'while')", (row[0],))
                    connection.commit()

        writer = threading.Thread(target=write)
        writer.start()
        archived = northwind.backup()
        ended.set()
        writer.join()
        target = private()
        assert target.run('restore', archived).returncode == 0
        (found,) = target.ask("select count(*) from file where name = 'while'")
        assert found == target.ask("select count(*) from audit where action = 'while'")[0]
        assert 0 < int(str(found[0])) <= written
        assert len(target.files()) == len(target.rows()['public.file'])

    def test_a_file_that_is_missing_is_said_and_does_not_stop_the_rest(self, northwind: Place, private: Callable[[], Place]):
        name, *others = northwind.files()
        (northwind.folder / 'files' / name).unlink()
        done = northwind.run('backup', northwind.folder / 'here.tar')
        assert (done.returncode, done.stderr) == (
            3,
            f'The backup was made, but 1 of {len(others) + 1} files are missing on the disk, such as {name}.\n',
        )
        done = private().run('restore', northwind.folder / 'here.tar')
        assert done.returncode == 3
        assert name in done.stderr

    def test_one_of_an_older_portal_is_brought_up_to_date(
        self, northwind: Place, own: Own, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ):
        archived, target = northwind.backup(), own('18')
        shutil.copytree(migrate.MIGRATIONS, tmp_path / 'migrations')
        (tmp_path / 'migrations/versions/9999_later.py').write_text(LATER.format(before=migrate.HEAD))
        monkeypatch.setattr(migrate, 'MIGRATIONS', tmp_path / 'migrations')
        monkeypatch.setattr(migrate, 'HEAD', '9999')
        assert restoring.restore(archived, target.settings).upgraded
        assert target.ask('select count(*) from later') == [(0,)]
        assert target.rows()['public.ticket'] == northwind.rows()['public.ticket']


LATER = """
from alembic import op
from portal.db.migrations.words import protect

revision, down_revision, branch_labels, depends_on = '9999', '{before}', None, None


def upgrade():
    op.execute('create table later (tenant_id uuid not null default app.tenant() references tenant)')
    protect('later')
"""


class TestRefused:
    """Before anything is changed."""

    def check(self, path: Path, target: Place, said: str, key: str | None = None) -> None:
        with pytest.raises((Unusable, NotRestored), match=said):
            restoring.restore(path, target.settings, key=key)
        assert not list(target.folder.iterdir())

    @pytest.fixture
    def sealed(self, northwind: Place) -> Path:
        return northwind.backup(northwind.folder / 'sealed.tar', key=KEY)

    @pytest.fixture
    def plain(self, northwind: Place) -> Path:
        return northwind.backup(northwind.folder / 'plain.tar')

    def test_with_another_key_or_none(self, sealed: Path, private: Callable[[], Place]):
        self.check(sealed, private(), 'The key does not open this archive', KEY + '!')
        self.check(sealed, private(), 'The archive is encrypted')

    @pytest.mark.parametrize('rest', [0.1, 0.5, 0.9])
    def test_cut_short(self, sealed: Path, plain: Path, private: Callable[[], Place], rest: float):
        for path, key in ((sealed, KEY), (plain, None)):
            os.truncate(path, int(path.stat().st_size * rest))
            self.check(path, private(), 'damaged', key)

    def test_altered(self, sealed: Path, plain: Path, private: Callable[[], Place]):
        size = sealed.stat().st_size
        for at in (70, size // 3, size - 1):  # in a chunk each, the last one in its mark
            self.check(flipped(sealed, at), private(), 'damaged', KEY)
        dump = plain.read_bytes().index(b'PGDMP')
        self.check(flipped(plain, dump + 1000), private(), 'damaged')
        self.check(flipped(plain, plain.read_bytes().index(b'"made_at"') + 15), private(), 'damaged')

    def test_something_else(self, tmp_path: Path, private: Callable[[], Place]):
        (tmp_path / 'letter.txt').write_text('Dear Mona')
        with tarfile.open(tmp_path / 'other.tar', 'w') as tar:
            tar.add(tmp_path / 'letter.txt', 'letter.txt')
        self.check(tmp_path / 'letter.txt', private(), 'is no backup of the portal')
        self.check(tmp_path / 'other.tar', private(), 'is no backup of the portal')
        self.check(tmp_path / 'none.tar', private(), 'cannot be read: No such file')

    @pytest.mark.parametrize('name', ['files/../../etc/cron.d/evil', '/etc/cron.d/evil', 'files/link'])
    def test_a_path_that_leads_elsewhere(self, tmp_path: Path, private: Callable[[], Place], name: str):
        with tarfile.open(tmp_path / 'evil.tar', 'w') as tar:
            first = tarfile.TarInfo(archive.FIRST)
            words = json.dumps({'format': archive.FORMAT}).encode()
            first.size = len(words)
            tar.addfile(first, io.BytesIO(words))
            entry = tarfile.TarInfo(name)
            if name == 'files/link':
                entry.type, entry.linkname = tarfile.SYMTYPE, '/etc'
            tar.addfile(entry)
        self.check(tmp_path / 'evil.tar', private(), 'The archive holds something that no backup holds')

    def test_one_of_a_newer_portal(self, plain: Path, private: Callable[[], Place], monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(migrate, 'HEAD', '0001')
        self.check(plain, private(), 'this portal is at 0001')

    def test_into_a_place_that_is_not_empty(self, plain: Path, northwind: Place, private: Callable[[], Place]):
        before = northwind.rows()
        with pytest.raises(NotRestored, match='is not empty'):
            restoring.restore(plain, northwind.settings)
        (northwind.folder / 'files').rename(northwind.folder / 'elsewhere')
        with pytest.raises(NotRestored, match='The database is not empty'):
            restoring.restore(plain, northwind.settings)
        assert northwind.rows() == before
        target = private()
        (target.folder / 'pg').mkdir()
        (target.folder / 'pg/PG_VERSION').touch()
        with pytest.raises(NotRestored, match='it has pg'):
            restoring.restore(plain, target.settings)


def flipped(path: Path, at: int) -> Path:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    other = path.with_name('altered.tar')
    other.write_bytes(data)
    return other


def test_chunks_in_another_order_are_refused(tmp_path: Path):
    from portal.backup.sealing import CHUNK, MAGIC, PROOF, SALT, TAG, Sealer, Unsealer

    words = os.urandom(3 * CHUNK + 5)
    out = io.BytesIO()
    sealer = Sealer(out, KEY)
    sealer.write(words)
    sealer.close()
    whole, head, step = out.getvalue(), len(MAGIC) + SALT + PROOF, CHUNK + TAG
    assert Unsealer(io.BytesIO(whole), KEY).read() == words
    chunks = [whole[at : at + step] for at in range(head, len(whole), step)]
    for wrong in ([1, 0, 2, 3], [0, 1, 2], [0, 0, 1, 2, 3], [0, 1, 3], [0, 1, 2, 3, 3]):
        with pytest.raises(Unusable):
            Unsealer(io.BytesIO(whole[:head] + b''.join(chunks[n] for n in wrong)), KEY).read()


class TestFaults:
    def test_a_full_disk_leaves_nothing_and_harms_no_older_one(self, northwind: Place, tmp_path: Path):
        older = northwind.backup(tmp_path)
        before = older.read_bytes()
        limit = len(before) // 2
        done = northwind.run(
            'backup', tmp_path, '--keep', '1', preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        )
        assert done.returncode == 1
        assert done.stderr.startswith('No backup was made. The backup could not be written to')
        assert [path.read_bytes() for path in tmp_path.iterdir()] == [before]

    def test_killed_in_the_middle_there_is_no_half_archive(self, northwind: Place, tmp_path: Path):
        stuck = northwind.folder / 'files' / max(northwind.files())  # after the large one
        content = stuck.read_bytes()
        stuck.unlink()
        os.mkfifo(stuck)  # whoever opens it waits
        backup = subprocess.Popen(northwind.command('backup', tmp_path), env=northwind.whole_env())
        wait_until(lambda: any(path.stat().st_size for path in tmp_path.glob('.portal-*.part')))
        backup.kill()
        backup.wait()
        assert [path.suffix for path in tmp_path.iterdir()] == ['.part']
        stuck.unlink()
        stuck.write_bytes(content)
        made = northwind.backup(tmp_path)
        assert list(tmp_path.iterdir()) == [made]
        assert made.stat().st_mode & 0o777 == 0o600

    def test_a_restore_that_was_killed_says_so_and_nothing_starts(self, northwind: Place, own: Own):
        archived = northwind.backup()
        target = own('18')
        with psycopg.connect(target.admin()) as admin:
            admin.execute('lock table pg_catalog.pg_proc in exclusive mode')  # no function can be made
            restore = subprocess.Popen(target.command('restore', archived), env=target.whole_env())
            wait_until(lambda: target.ask(f"{OWNERS} and wait_event_type = 'Lock'") != [])
            restore.send_signal(signal.SIGKILL)
            restore.wait()
        wait_until(lambda: target.ask(OWNERS) == [])
        assert target.ask("select from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'") == []
        for command in (['worker'], ['db', 'migrate'], ['backup'], ['restore', archived]):
            done = target.run(*command)
            assert done.returncode == 1
            assert 'is half restored: a restore began here and did not end' in done.stderr
        (target.folder / 'half-restored').unlink()
        for left in (target.folder / 'files', target.folder / 'backups'):
            with suppress(FileNotFoundError):
                left.rmdir()
        assert target.run('restore', archived).returncode == 0


OWNERS = "select from pg_stat_activity where usename = 'portal_owner'"


def wait_until(what: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not what():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_folder_is_made_if_it_is_missing_but_not_what_holds_it(northwind: Place, tmp_path: Path):
    for _night in (1, 2):
        assert northwind.run('backup', tmp_path / 'nightly', '--keep', '1').returncode == 0
    assert len(list((tmp_path / 'nightly').glob('portal-*.tar'))) == 1
    done = northwind.run('backup', tmp_path / 'not-mounted' / 'nightly')
    assert (done.returncode, done.stderr) == (1, f'No backup was made. There is no folder {tmp_path / "not-mounted"}.\n')


def test_only_the_newest_are_kept_and_nothing_else_is_touched(northwind: Place, tmp_path: Path):
    for day in (1, 2, 3):
        (tmp_path / f'portal-2026030{day}T031700Z.tar').touch()
    (tmp_path / 'portal-of-my-aunt.tar').touch()
    done = northwind.run('backup', tmp_path, '--keep', '2', '--quiet')
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left[0] == 'portal-20260303T031700Z.tar'
    assert len(left) == 3
    assert 'portal-of-my-aunt.tar' in left


def test_the_time_of_the_last_one_is_known(northwind: Place):
    made = northwind.backup(key=KEY)
    assert northwind.ask("select value ->> 'file', value -> 'encrypted' from app.fact where name = 'last_backup'") == [
        (made.name, True)
    ]


def test_a_key_file_and_a_check(northwind: Place, tmp_path: Path):
    (tmp_path / 'key').write_text(KEY + '\n')
    made = northwind.backup(tmp_path, '--key-file', tmp_path / 'key')
    done = northwind.run('restore', made, '--check', key=KEY)
    assert (done.returncode, done.stdout[:21]) == (0, 'The archive is whole:')
    (tmp_path / 'key').write_text('short')
    done = northwind.run('backup', tmp_path, '--key-file', tmp_path / 'key')
    assert (done.returncode, done.stderr) == (
        1,
        f'No backup was made. The key file {tmp_path}/key must hold at least 16 characters.\n',
    )
