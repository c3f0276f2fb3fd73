"""Exports, told with the named cast: what is in the file, whose it is, and what happens when rights or workers go."""

import asyncio
import csv
import io
import re
import time
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import openpyxl
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.db import engine
from portal.db.cast import SECRET, Cast, Member
from portal.domain.base import NotFound
from portal.domain.notifications import bell, mark_seen
from portal.domain.tickets import Where, exporting, open_ticket
from portal.domain.tickets.exporting import Export, cancel_export, export_tickets, exports, part
from portal.visit import Visit
from tests import workers
from tests.workers import Working

VisitAs = Callable[[Member], Awaitable[Visit]]
ALL = Where(group='all')


own, maintenance, database, post, working, outbox = workers.FIXTURES


async def ask(by: Visit, where: Where = ALL, kind: str = 'csv') -> Export:
    async with by.work() as db:
        return await export_tickets(db, by.by, where, kind)


async def content(by: Visit, export_id: UUID) -> bytes:
    found, n = b'', 0
    async with by.work() as db:
        while piece := await part(db, export_id, n):
            found, n = found + piece, n + 1
    return found


async def lines(by: Visit, export_id: UUID) -> list[dict[str, str]]:
    raw = await content(by, export_id)
    assert raw.startswith(b'\xef\xbb\xbf')
    return list(csv.DictReader(io.StringIO(raw.decode('utf-8-sig'), newline=''), strict=True))


async def ended(by: Visit, export_id: UUID, patience: float = 30) -> str:
    until, state = time.monotonic() + patience, ''
    while time.monotonic() < until:
        async with by.work() as db:
            state = next(e.state for e in await exports(db) if e.id == export_id)
        if state not in ('waiting', 'running'):
            return state
        await asyncio.sleep(0.1)
    raise TimeoutError(state)


def numbers(rows: list[dict[str, str]]) -> set[str]:
    return {row['Ticket'] for row in rows}


async def test_a_file_has_what_its_owner_sees_and_no_more(visit_as: VisitAs, cast: Cast) -> None:
    """Ugo his own; Ada the company's without Ugo's private one, and without what is staff's; Tess all, with companies."""
    ugo, ada, tess = await visit_as(cast.ugo), await visit_as(cast.ada), await visit_as(cast.tess)
    assert numbers(await lines(ugo, (await ask(ugo)).id)) == {cast.printer.label, cast.salary.label, cast.calendar.label}
    of_ada = await lines(ada, (await ask(ada)).id)
    assert numbers(of_ada) == {cast.printer.label, cast.payroll.label, cast.calendar.label, cast.certificate.label}
    assert not {'Assigned', 'Company'} & set(of_ada[0])
    raw = await content(tess, (await ask(tess)).id)
    assert SECRET.encode() not in raw
    of_tess = list(csv.DictReader(io.StringIO(raw.decode('utf-8-sig'))))
    assert {row['Company'] for row in of_tess} == {'Acme Dental', 'Bolt Logistics'}
    assert next(row for row in of_tess if row['Ticket'] == cast.printer.label)['Assigned'] == 'Tess Okafor'


async def test_filter_order_and_search_are_those_of_the_list(visit_as: VisitAs, cast: Cast) -> None:
    tess = await visit_as(cast.tess)
    found = await lines(tess, (await ask(tess, Where(group='all', company_id=cast.acme.id, sort='number'))).id)
    ours = (cast.printer, cast.payroll, cast.salary, cast.calendar, cast.certificate)
    assert [row['Ticket'] for row in found] == [t.label for t in sorted(ours, key=lambda t: t.number)]
    found = await lines(tess, (await ask(tess, Where(group='all', words='calendar', sort='best'))).id)
    assert numbers(found) == {cast.calendar.label, cast.certificate.label}


@pytest.mark.parametrize('kind', ['csv', 'xlsx'])
async def test_no_cell_is_a_formula(visit_as: VisitAs, cast: Cast, kind: str) -> None:
    ada = await visit_as(cast.ada)
    subjects = ['=cmd|calc', '+1', '-1', '@SUM(A1)', '＝1+1', 'a "quoted", and; more', 'Röntgen 😀']
    async with ada.work() as db:
        for subject in subjects:
            await open_ticket(db, ada.by, company_id=cast.acme.id, requester_id=cast.ada.user_id, subject=subject, text='x')
    export = await ask(ada, Where(group='all', sort='number'), kind)
    if kind == 'csv':
        found = [row['Subject'] for row in await lines(ada, export.id)]
    else:
        sheet = openpyxl.load_workbook(io.BytesIO(await content(ada, export.id))).active
        assert sheet is not None
        found = [row[1].value for row in sheet.iter_rows(min_row=2)]
        assert all(cell.data_type != 'f' for row in sheet.iter_rows() for cell in row)
        heads = [cell.value for cell in sheet[1]]
        assert isinstance(sheet.cell(2, heads.index('Opened') + 1).value, datetime)
        assert 'Category' in heads
        assert 'Due' not in heads, 'for staff alone'
        assert sheet.freeze_panes == 'A2'
    assert found[-len(subjects) :] == ["'=cmd|calc", "'+1", "'-1", "'@SUM(A1)", "'＝1+1", *subjects[5:]]


async def test_nobody_else_gets_it(visit_as: VisitAs, visitor: Any, cast: Cast) -> None:
    """Neither a colleague, nor staff, nor another company, nor Mel herself from her other company."""
    mel = await visit_as(cast.mel_acme)
    export = await ask(mel)
    for other in (cast.ada, cast.tess, cast.mona, cast.bea, cast.mel_bolt, cast.stan, cast.cleo):
        assert await content(await visit_as(other), export.id) == b'', other.name
        answer = (await visitor(other).get(f'{other.root}/exports/{export.id}/file')).answer
        assert answer.status_code == 404, other.name
        async with (await visit_as(other)).work() as db:
            assert export.id not in [e.id for e in await exports(db)]
            await cancel_export(db, (await visit_as(other)).by, export.id)
    answer = (await visitor(cast.mel_acme).get(f'/client-portal/acme/exports/{export.id}/file')).answer
    assert (answer.status_code, len(answer.content)) == (200, export.size or int(answer.headers['content-length']))
    assert answer.headers['content-disposition'].startswith('attachment; filename="tickets-')
    assert (await visitor(cast.mel_acme).get('/client-portal/acme/exports/nonsense/file')).status == 404


async def test_it_stands_in_the_audit_log(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    ada = await visit_as(cast.ada)
    export = await ask(ada, Where(group='all', words='kyocera'))
    with psycopg.connect(maintenance) as c:
        row = c.execute("select actor_id, company_id, detail from audit where action = 'tickets.exported' and subject_id = %s",
                        (export.id,)).fetchone()  # fmt: skip
    assert row
    assert row[:2] == (cast.ada.user_id, cast.acme.id)
    assert (row[2]['rows'], row[2]['wanted']['words']) == (1, 'kyocera')


# ---------- long ones: the work of a job ----------


@pytest.fixture
def long(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is long begins at three rows."""
    monkeypatch.setattr(exporting, 'AT_ONCE', 2)
    monkeypatch.setattr(exporting, 'PART', 64)


@pytest.mark.usefixtures('long')
async def test_a_long_one_is_made_by_a_job_and_the_bell_tells(visit_as: VisitAs, cast: Cast, working: Working) -> None:
    ada = await visit_as(cast.ada)
    export = await ask(ada)
    assert export.state == 'waiting'
    async with working():
        assert await ended(ada, export.id) == 'ready'
    found = await lines(ada, export.id)
    assert numbers(found) == {cast.printer.label, cast.payroll.label, cast.calendar.label, cast.certificate.label}
    async with ada.work() as db:
        assert [line.kind for line in await bell(db, ada.by) if line.kind.startswith('export')] == ['export-ready']
        await mark_seen(db, ada.by)
        assert not [line for line in await bell(db, ada.by) if line.kind.startswith('export')]


@pytest.mark.usefixtures('long')
@pytest.mark.parametrize(
    'taken',
    [
        "update membership set ended_at = now() where user_id = %s",
        'update users set disabled_at = now() where id = %s',
        "update company set archived_at = now() where id = (select company_id from membership where user_id = %s)",
    ],
)  # fmt: skip
async def test_whoever_lost_their_rights_gets_nothing(
    visit_as: VisitAs, cast: Cast, working: Working, maintenance: str, taken: Any
) -> None:
    ada = await visit_as(cast.ada)
    export = await ask(ada)
    with psycopg.connect(maintenance) as c:
        c.execute(taken, (cast.ada.user_id,))
    state, parts = '', -1
    async with working():
        for _ in range(300):
            with psycopg.connect(maintenance) as c:
                state, parts = c.execute('select state, (select count(*) from export_part where export_id = e.id) from export e where id = %s',
                                         (export.id,)).fetchone() or ('', 0)  # fmt: skip
            if state not in ('waiting', 'running'):
                break
            await asyncio.sleep(0.1)
    assert (state, parts) == ('refused', 0)


@pytest.mark.usefixtures('long')
async def test_a_role_that_reaches_less_far_gets_less(visit_as: VisitAs, cast: Cast, working: Working, maintenance: str) -> None:
    ada = await visit_as(cast.ada)
    export = await ask(ada)
    with psycopg.connect(maintenance) as c:
        c.execute("update membership set role = 'ClientUser' where user_id = %s", (cast.ada.user_id,))
    ada = await visit_as(cast.ada)
    async with working():
        assert await ended(ada, export.id) == 'ready'
    assert numbers(await lines(ada, export.id)) == {cast.printer.label, cast.payroll.label, cast.certificate.label}


@pytest.mark.usefixtures('long')
async def test_what_is_cancelled_is_not_made(visit_as: VisitAs, cast: Cast, working: Working, maintenance: str) -> None:
    ada = await visit_as(cast.ada)
    export = await ask(ada)
    async with ada.work() as db:
        await cancel_export(db, ada.by, export.id)
    async with working():
        while True:
            with psycopg.connect(maintenance) as c:
                if (
                    c.execute("select 1 from jobs.procrastinate_jobs where args ->> 'export' = %s", (str(export.id),)).fetchone()
                    is None
                ):
                    break
            await asyncio.sleep(0.1)
    assert await ended(ada, export.id) == 'cancelled'
    assert await content(ada, export.id) == b''


@pytest.mark.usefixtures('long')
async def test_a_worker_killed_in_the_middle_leaves_no_half_file(
    visit_as: VisitAs, cast: Cast, working: Working, maintenance: str
) -> None:
    """As a dead worker leaves it: the job `doing`, the export `running`, some rows counted. Taken up again, it is made whole."""
    ada = await visit_as(cast.ada)
    export = await ask(ada)
    with psycopg.connect(maintenance) as c:
        c.execute("update export set state = 'running', done = 2 where id = %s", (export.id,))
        c.execute("update jobs.procrastinate_jobs set attempts = 1 where args ->> 'export' = %s", (str(export.id),))
    async with working():
        assert await ended(ada, export.id) == 'ready'
    assert len(await lines(ada, export.id)) == 4


@pytest.mark.usefixtures('long')
async def test_the_key_opens_only_its_own_running_job(
    visit_as: VisitAs, cast: Cast, database: engine.Database, maintenance: str
) -> None:
    export = await ask(await visit_as(cast.ada))
    with psycopg.connect(maintenance, autocommit=True) as c:
        job, key = c.execute("select id, args ->> 'key' from jobs.procrastinate_jobs where args ->> 'export' = %s",
                             (str(export.id),)).fetchone() or (0, '')  # fmt: skip

        c.execute('set search_path = public, jobs')  # the queue's triggers look there

        async def refused(side: Any, *with_: Any) -> None:
            with pytest.raises((engine.SignedOut, DBAPIError)):
                async with database.work(side, 'enter_export', *with_):
                    pass

        await refused('client', job, key)  # it does not run yet
        c.execute("update jobs.procrastinate_jobs set status = 'doing' where id = %s", (job,))
        c.execute("update export set state = 'running' where id = %s", (export.id,))
        await refused('client', job, 'x' * 43)
        await refused('client', job, '')
        await refused('client', job + 1, key)
        await refused('staff', job, key)
        await refused('worker', job, key)
        async with database.work('client', 'enter_export', job, key) as db:
            assert (await db.execute(text('select app.person(), app.company()'))).one() == (cast.ada.user_id, cast.acme.id)
        c.execute("update jobs.procrastinate_jobs set status = 'failed' where id = %s", (job,))
        await refused('client', job, key)


async def test_what_is_over_is_deleted(visit_as: VisitAs, cast: Cast, maintenance: str, database: engine.Database) -> None:
    ada = await visit_as(cast.ada)
    export, kept = await ask(ada), await ask(ada)
    with psycopg.connect(maintenance) as c:
        c.execute("update export set expires_at = now() - interval '1 minute' where id = %s", (export.id,))
    async with ada.work() as db:
        assert export.id not in [e.id for e in await exports(db)]
    async with database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.tidy_exports()'))
    assert await content(ada, export.id) == b''
    assert await content(ada, kept.id)


async def test_from_the_list_to_the_file(visitor: Any, cast: Cast) -> None:
    here = visitor(cast.ada)
    page = await here.get('/client-portal/acme/tickets?q=kyocera')
    await page.act('export-csv')
    shown = await here.get('/client-portal/acme/exports')
    link = re.search(r'href="(/client-portal/acme/exports/[0-9a-f-]+/file)"', shown.html)
    assert link
    assert cast.printer.label in (await here.get(link[1])).html


async def test_nobody_fills_the_database_by_asking_again(visit_as: VisitAs, cast: Cast) -> None:
    """The oldest go, with their bytes; other people's stay."""
    bea = await visit_as(cast.bea)
    async with bea.work() as db:
        before = len(await exports(db))
    ugo = await visit_as(cast.ugo)
    first = None
    for _n in range(exporting.MOST_KEPT + 2):
        async with ugo.work() as db:
            made = await export_tickets(db, ugo.by, ALL, 'csv')
            first = first or made.id
    assert first
    async with ugo.work() as db:
        assert len(await exports(db)) == exporting.MOST_KEPT
        assert await part(db, first, 0) is None
        with pytest.raises(NotFound):
            await exporting.finished(db, first)
    async with bea.work() as db:
        assert len(await exports(db)) == before
