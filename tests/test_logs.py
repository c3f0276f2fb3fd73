"""What the log says: where something failed, under the number on screen; and nothing of people, whatever they type."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import procrastinate
import psycopg
import pytest

from portal import guard, logs
from portal.db.cast import Cast
from portal.db.engine import Database
from portal.jobs import letters as letters  # with its tasks
from portal.jobs import queue as jobs
from portal.settings import Settings
from tests.conftest import test_settings as make_settings
from tests.visitor import Visitor

HOSTILE = 'Wagenknecht-7 "quoted" <b>%s{x}</b> \\x1b[31m payroll@secret.example ?q=diagnosis'
NEVER = ('Wagenknecht', 'secret.example', 'diagnosis', 'payroll', 'acme.example', 'Brandt', 'Marchetti', 'reception', 'Kyocera')


@pytest.fixture(params=['text', 'json'])
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """The log as the process would write it, with everything in it."""
    root, before = logging.getLogger(), (logging.getLogger().handlers[:], logging.getLogger().level)
    logs.install(make_settings(PORTAL_LOG_FORMAT=request.param, PORTAL_LOG_LEVEL='DEBUG'))
    there = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(there)
    yield there
    root.handlers[:], root.level = before


@pytest.fixture
def table_that_quotes(maintenance: str, cast: Cast) -> Iterator[None]:  # after the cast came
    """A database that answers with what it was given, as PostgreSQL does in the details of its errors."""
    with psycopg.connect(maintenance) as c:
        c.execute("""create function public.quote() returns trigger language plpgsql as $$
                     begin raise exception 'cannot take %', new using detail = new::text, errcode = '23514'; end $$;
                     create trigger quote before insert on ticket for each row execute function public.quote();
                     create trigger quote before insert on mail_outbox for each row execute function public.quote()""")
    yield
    with psycopg.connect(maintenance) as c:
        c.execute('drop trigger quote on ticket; drop trigger quote on mail_outbox; drop function public.quote')


@pytest.mark.usefixtures('table_that_quotes')
async def test_no_word_of_anybody_is_in_it(
    visitor: type[Visitor], cast: Cast, written: io.StringIO, portal: Database, settings: Settings, maintenance: str
) -> None:
    someone = visitor(host=cast.northwind.host)
    await someone.post('/auth/client-portal/signin', email=f'x{HOSTILE}', password=HOSTILE)
    await someone.post('/auth/client-portal/signin', email=cast.ada.email, password=HOSTILE)
    await someone.post('/auth/client-portal/forgot-password', email=cast.ada.email)
    await someone.get('/auth/password-reset/set-new-password', params={'token': HOSTILE})
    ada = visitor(cast.ada)
    await ada.get(f'/client-portal/acme/tickets?q={HOSTILE}')
    await ada.get('/client-portal/acme/Wagenknecht-7')
    await ada.http.get('/_nicegui/Wagenknecht?q=diagnosis')
    page = await ada.get('/client-portal/acme/tickets/new')
    await page.act('send', subject=HOSTILE, text=HOSTILE, priority='normal', visibility='company', copy=[])
    acting = next(island for island in page.islands if 'data-act="send"' in str(island.content))
    await page.send(acting, {'act': HOSTILE, 'key': HOSTILE, 'values': HOSTILE, 'number': HOSTILE})
    guard._reported('sid', {'level': 'error', 'message': HOSTILE})  # pyright: ignore[reportPrivateUsage]
    with psycopg.connect(maintenance) as c:
        c.execute("update jobs.procrastinate_jobs set attempts = 20 where task_name = 'reset_asked'")  # this try is the last
    await _do_jobs(portal, settings)
    said = written.getvalue()
    assert '23514' in said  # the fault is there
    assert 'a page reports: error' in said
    assert '(reset_asked): job_error' in said
    assert not [word for word in NEVER if word in said], said


async def _do_jobs(portal: Database, settings: Settings) -> None:
    """A link was asked for ada@acme.example, and the letter cannot be promised."""
    jobs.surroundings = jobs.Surroundings(portal, settings)

    connector = procrastinate.PsycopgConnector(conninfo=portal.conninfo('worker'), kwargs={'options': '-c search_path=jobs'})
    with jobs.queue.replace_connector(connector) as app:
        async with app.open_async():
            await app.run_worker_async(wait=False, install_signal_handlers=False, listen_notify=False)


@pytest.mark.usefixtures('table_that_quotes')
async def test_the_number_on_screen_leads_to_the_line(visitor: type[Visitor], cast: Cast, written: io.StringIO) -> None:
    page = await visitor(cast.ada).get('/client-portal/acme/tickets/new')
    stage = next(e for e in page.client.elements.values() if type(e).__name__ == 'Stage')  # type: ignore[union-attr]
    said: list[str] = []
    stage.say = lambda words, **_more: said.append(str(words))  # type: ignore[attr-defined]  (a toast is drawn by the browser)
    await page.act('send', subject='Blank pages', text='Since today', priority='normal', visibility='company', copy=[])
    number = re.search(r'\(([0-9a-f]{8})\)', said[0])
    assert number
    assert any(number[1] in line for line in written.getvalue().splitlines())


async def test_a_page_that_cannot_be_built_shows_the_number_alone(
    visitor: type[Visitor], cast: Cast, written: io.StringIO, maintenance: str
) -> None:
    """The frame itself fails, before any screen: no text of the database reaches the browser."""
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute('alter table notification rename column seen_at to seen_at_')
        try:
            page = await visitor(cast.ada).get('/client-portal/acme')
        finally:
            c.execute('alter table notification rename column seen_at_ to seen_at')
    assert page.status == 500
    assert 'seen_at' not in page.html
    number = re.search(r'\b[0-9a-f]{8}\b', re.sub(r'<(script|style|link)[^>]*>', '', page.html))
    assert number
    assert number[0] in written.getvalue()


@pytest.mark.parametrize('written', ['json'], indirect=True)
async def test_a_line_is_an_object_with_the_request(visitor: type[Visitor], cast: Cast, written: io.StringIO) -> None:
    answer = await visitor(cast.ada).http.get('/client-portal/acme')
    logging.getLogger('portal.test').warning('letter %s', 5, extra={'email': 'ada@acme.example'})
    logs.request_id.set(answer.headers['x-request-id'])
    try:
        raise KeyError('ada@acme.example')
    except KeyError as e:
        number = logs.reference(e, '/tickets/T-1001')
    lines: list[dict[str, Any]] = [json.loads(line) for line in written.getvalue().splitlines()]
    assert any(line['message'] == 'letter 5' and 'email' not in line for line in lines)
    last = lines[-1]
    assert (last['level'], last['number'], last['request']) == ('ERROR', number, answer.headers['x-request-id'])
    assert last['message'] == f'{number}: KeyError at /tickets/…'
    assert last['exc_info'].startswith('builtins.KeyError\n  tests/test_logs.py:')


async def test_what_the_websocket_stumbles_over_is_not_quoted(written: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    past = io.StringIO()
    for name in ('engineio.server', 'socketio.server'):
        for handler in logging.getLogger(name).handlers:
            if isinstance(handler, logging.StreamHandler):
                monkeypatch.setattr(handler, 'stream', past)
        try:
            int(HOSTILE)
        except ValueError:
            logging.getLogger(name).exception('message async handler error')
    assert written.getvalue().count('builtins.ValueError') == 2
    assert not any(word in past.getvalue() + written.getvalue() for word in NEVER)
