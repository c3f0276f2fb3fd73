"""A real worker with a post of its own, on a database of its own: in the tests' other one a portal may be at work.

A module takes the fixtures by `own, maintenance, database, post, working, outbox = workers.FIXTURES`.
"""

import asyncio
import contextlib
import email
import email.policy
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from email.message import EmailMessage
from html import unescape
from typing import Any, cast

import psycopg
import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session
from psycopg.conninfo import make_conninfo

from portal import tenants, visit
from portal.db import engine, server
from portal.db.cast import Cast, Member
from portal.jobs import queue
from portal.settings import Settings
from tests.conftest import clone, template
from tests.conftest import test_settings as make_settings

PATIENCE = 20  # seconds; a second try comes after two, and is noticed within two more


class Postman:
    """An SMTP server of our own. What it does with the next letters can be told."""

    def __init__(self) -> None:
        self.letters: list[EmailMessage] = []
        self.contents: list[bytes] = []  # of each, as it came over the line
        self.answer_to: dict[str, list[str]] = {}  # by recipient: refusals, one for each time
        self.dies_after_data: list[str] = []  # recipients: the letter is taken, the line is dead before the answer; once each
        self.dies_at_quit = False
        self.port = 0
        self._listening: asyncio.Server | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._talk, '127.0.0.1', self.port)
        self.port = self._listening.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._listening:
            self._listening.close()

    def _talk(self) -> SMTP:
        return SMTP(self, enable_SMTPUTF8=True, ident='post', loop=asyncio.get_running_loop())

    # ---------- as aiosmtpd calls it ----------

    async def handle_RCPT(self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: Any) -> str:
        if answers := self.answer_to.get(address):
            return answers.pop(0)
        envelope.rcpt_tos.append(address)
        return '250 OK'

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        letter = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(letter, EmailMessage)
        letter['X-Envelope'] = ','.join(envelope.rcpt_tos)
        self.letters.append(letter)
        self.contents.append(envelope.content)
        if envelope.rcpt_tos[0] in self.dies_after_data:
            self.dies_after_data.remove(envelope.rcpt_tos[0])
            _line(server).abort()
        return '250 Taken'

    async def handle_QUIT(self, server: SMTP, _session: Session, _envelope: Envelope) -> str:
        if self.dies_at_quit:
            _line(server).abort()
        return '221 Bye'

    # ---------- what arrived ----------

    def to(self, who: Member) -> list[EmailMessage]:
        return [letter for letter in self.letters if letter['X-Envelope'] == who.email]


def _line(server: SMTP) -> asyncio.Transport:
    assert server.transport
    return cast(asyncio.Transport, server.transport)


def part(letter: EmailMessage, kind: str) -> str:
    body = letter.get_body((kind,))
    assert body is not None, f'no {kind} part'
    return str(body.get_content())


def links(letter: EmailMessage) -> set[str]:
    """Of both parts."""
    return {
        *re.findall(r'https?://\S+', part(letter, 'plain')),
        *map(unescape, re.findall(r'href="([^"]+)"', part(letter, 'html'))),
    }


class Outbox:
    """What the portal's tables say of a tenant's letters."""

    def __init__(self, maintenance: str, cast: Cast) -> None:
        self.maintenance, self.tenant = maintenance, cast.northwind.id
        self.before = [row[0] for row in self.ask('select id from mail_outbox where tenant_id = %s', self.tenant)]

    def ask(self, question: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.maintenance, autocommit=True) as connection:
            cursor = connection.execute(question, values)  # pyright: ignore[reportArgumentType, reportCallIssue]
            return cursor.fetchall() if cursor.description else []

    def letters(self, kind: str, to: Member) -> list[tuple[str, str | None, str | None, str | None]]:
        """State, error, text and HTML of those of this kind that were promised here; not of the cast's own past."""
        return self.ask(
            'select state, error, text, html from mail_outbox where tenant_id = %s and kind = %s and to_user_id = %s '
            'and not id = any(%s) order by id', self.tenant, kind, to.user_id, self.before,
        )  # fmt: skip

    def states(self, kind: str, to: Member) -> list[str]:
        return [state for state, *_rest in self.letters(kind, to)]

    def is_quiet(self) -> bool:
        """Nothing is promised any more: neither a letter waits nor a job."""
        waits = "select exists (select from mail_outbox where tenant_id = %s and state = 'waiting')"
        works = "select exists (select from jobs.procrastinate_jobs where status in ('todo', 'doing'))"
        return not self.ask(waits, self.tenant)[0][0] and not self.ask(works)[0][0]

    async def quiet(self) -> None:
        await until(self.is_quiet)


async def until(holds: Callable[[], Any], patience: float = PATIENCE) -> None:
    ends = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < ends, 'it did not come to pass'
        await asyncio.sleep(0.02)


# ---------- fixtures ----------


@pytest.fixture(scope='module')
def own(request: pytest.FixtureRequest, cluster: server.Cluster, settings: Settings) -> server.Cluster:
    name = cluster.database + '_' + request.module.__name__.rpartition('.')[2].removeprefix('test_')
    clone(cluster, settings, name, template(cluster, settings))
    return replace(cluster, database=name)


@pytest.fixture(scope='module')
def maintenance(own: server.Cluster) -> str:
    return make_conninfo(own.admin() or '', dbname=own.database)


@pytest.fixture(scope='module', autouse=True)
async def database(portal: engine.Database, own: server.Cluster) -> AsyncIterator[engine.Database]:
    visit.database = engine.connect(own)
    tenants.forget()
    yield visit.database
    await visit.database.close()
    visit.database = portal
    tenants.forget()


@pytest.fixture
async def post() -> AsyncIterator[Postman]:
    made = Postman()
    await made.open()
    yield made
    made.close()


Working = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def working(post: Postman, database: engine.Database) -> Working:
    """`async with working():` the portal's worker is at work, with this post; `smtp=False`: without any."""

    @asynccontextmanager
    async def work(*, smtp: bool = True, **more: str) -> AsyncIterator[None]:
        url = {'PORTAL_SMTP_URL': f'smtp://127.0.0.1:{post.port}'} if smtp else {}
        task = asyncio.create_task(queue.run(database, make_settings(**url, **more)))
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return work


@pytest.fixture
def outbox(maintenance: str, cast: Cast) -> Outbox:
    return Outbox(maintenance, cast)


FIXTURES = (own, maintenance, database, post, working, outbox)
