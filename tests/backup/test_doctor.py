"""The doctor names what is wrong and what to do, and gives no secret away."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, LoginPassword, Session

from tests.backup.conftest import Own, Place
from tests.browser.conftest import free_port
from tests.conftest import SECRET


def lines(place: Place, *words: str, **env: str) -> tuple[int, list[dict[str, str]]]:
    done = place.run('doctor', '--json', *words, env=place.whole_env() | env)
    assert done.stderr == ''
    for secret in (SECRET, 'hunter2', ':pw@', 'a key that nobody'):
        assert secret not in done.stdout
    return done.returncode, json.loads(done.stdout)


def told(found: list[dict[str, str]], about: str, level: str) -> list[str]:
    return [line['words'] for line in found if (line['about'], line['level']) == (about, level)]


def execute(place: Place, statement: str) -> None:
    with psycopg.connect(place.admin()) as connection:
        connection.execute(statement.encode())


def test_what_is_in_order(northwind: Place) -> None:
    northwind.backup()
    status, found = lines(northwind, PORTAL_BACKUP_KEY='a key that nobody sees')
    assert status == 0
    assert [line for line in found if line['level'] == 'fail'] == []
    assert {'data folder', 'database', 'roles', 'isolation', 'clock', 'files', 'backup'} <= {
        line['about'] for line in found if line['level'] == 'ok'
    }


def test_words_say_what_to_do(northwind: Place) -> None:
    done = northwind.run('doctor')
    assert done.returncode == 0
    assert 'warn  backup: there is none yet.\n      → Let `python -m portal backup` run every night' in done.stdout


def test_what_is_not(northwind: Place) -> None:
    name = next(iter(northwind.files()))
    (northwind.folder / 'files' / name).unlink()
    (northwind.folder / 'secret.key').write_text('x')
    (northwind.folder / 'secret.key').chmod(0o644)
    execute(northwind, 'alter table ticket no force row level security')
    execute(northwind, "update jobs.procrastinate_events set at = now() - interval '1 hour'")
    status, found = lines(northwind)
    assert status == 1
    assert told(found, 'files', 'fail') == [f'1 of {len(northwind.files()) + 1} are missing or not whole, such as {name}.']
    assert told(found, 'data folder', 'fail') == ['secret.key can be read by others.']
    assert told(found, 'isolation', 'fail') == ['table ticket has no forced row security.']
    assert told(found, 'jobs', 'fail') == ['due for more than ten minutes and not begun: 1.']


def test_a_database_that_is_away_keeps_it_from_nothing_else(own: Own) -> None:
    place = own('18')
    status, found = lines(place, DATABASE_URL='postgresql://boss:hunter2@127.0.0.1:1/support')
    assert status == 1
    assert told(found, 'database', 'fail') == ['The database at 127.0.0.1:1 cannot be used: Connection refused.']
    assert told(found, 'mail', 'warn')


def test_half_restored(own: Own) -> None:
    place = own('18')
    (place.folder / 'half-restored').touch()
    status, found = lines(place)
    assert status == 1
    assert told(found, 'data folder', 'fail') == ['a restore began here and did not end.']


class Mailbox:
    def __init__(self) -> None:
        self.letters: list[Envelope] = []

    async def handle_DATA(self, _server: object, _session: Session, envelope: Envelope) -> str:
        self.letters.append(envelope)
        return '250 OK'


@contextmanager
def mail_server(mailbox: Mailbox) -> Iterator[int]:
    def who(_server: object, _session: object, _envelope: object, _mechanism: str, said: LoginPassword) -> AuthResult:
        return AuthResult(success=said.password == b'hunter2')

    controller = Controller(mailbox, hostname='127.0.0.1', port=free_port(), authenticator=who, auth_require_tls=False)  # type: ignore[arg-type]
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


@pytest.mark.parametrize(('password', 'level'), [('hunter2', 'ok'), ('hunter22', 'fail')])
def test_mail(own: Own, password: str, level: str) -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        _status, found = lines(
            own('18'), '--send-to', 'mona@northwind.example', PORTAL_SMTP_URL=f'smtp://portal:{password}@127.0.0.1:{port}',
            PORTAL_MAIL_FROM='portal@northwind.example',
        )  # fmt: skip
    assert len(told(found, 'mail', level)) == 1
    assert [letter.rcpt_tos for letter in mailbox.letters] == ([['mona@northwind.example']] if level == 'ok' else [])
