"""What waits for whom: unread tickets, and days until which they are due."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
from sqlmodel import select

from portal.db.cast import Cast, Member, Ticket
from portal.domain import notifications
from portal.domain.base import NotFound, Wrong
from portal.domain.tickets import (
    Priority,
    Status,
    Where,
    add_participants,
    change_due,
    change_status,
    conversation,
    counts,
    listing,
    mark_all_read,
    mark_unread,
    note,
    open_ticket,
    reply,
    ticket_by_number,
)
from portal.domain.tickets.bulk import Change, change_one
from portal.domain.tickets.history import Overtaken
from portal.domain.tickets.lists import Cursor, how_many, numbers_of
from portal.domain.tickets.model import Unread
from portal.domain.tickets.waiting import due_of, parse_due, today
from portal.domain.tickets.working import ClosedForGood
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]


async def unread_by(visit: Visit) -> set[int]:
    async with visit.work() as db:
        found = {row.number for row in (await listing(db, Where(group='all'), most=100)).rows if row.unread}
        assert found == {row.number for row in (await listing(db, Where(group='all', unread=True), most=100)).rows}
        if not visit.by.is_staff:
            assert (await counts(db, visit.by.user_id, staff=False)).unread == len(found)
        return found


async def have_read_all(*visits: Visit) -> None:
    for visit in visits:
        async with visit.work() as db:
            await mark_all_read(db, visit.by)


async def say(visit: Visit, ticket: Ticket, words: str = 'Hello', *, internal: bool = False) -> None:
    async with visit.work() as db:
        await (note if internal else reply)(db, visit.by, await ticket_by_number(db, ticket.number, lock=True), words)


async def test_unread_until_it_is_opened(visit_as: VisitAs, cast: Cast) -> None:
    """Ada and Ugo have not read what Tess says; Tess has, and Bill may not see it."""
    ada, ugo, bill, tess, mona = [await visit_as(w) for w in (cast.ada, cast.ugo, cast.bill, cast.tess, cast.mona)]
    await have_read_all(ada, ugo, bill, tess, mona)
    await say(tess, cast.printer)
    number = cast.printer.number
    assert [await unread_by(v) for v in (ada, ugo, bill, tess, mona)] == [{number}, {number}, set(), set(), {number}]
    async with ada.work() as db:
        await notifications.mark_seen(db, ada.by, (await conversation(db, number)).ticket.id)
    assert (await unread_by(ada), await unread_by(ugo)) == (set(), {number})
    async with ada.work() as db:
        await mark_unread(db, ada.by, await ticket_by_number(db, number))
        await mark_unread(db, ada.by, await ticket_by_number(db, number))  # twice is once
    assert await unread_by(ada) == {number}


async def test_a_new_ticket_is_unread_for_whoever_can_see_it(visit_as: VisitAs, cast: Cast) -> None:
    ada, ugo, bea, tess = [await visit_as(w) for w in (cast.ada, cast.ugo, cast.bea, cast.tess)]
    await have_read_all(ada, ugo, bea, tess)
    async with ugo.work() as db:
        made = {
            kind: (await open_ticket(db, ugo.by, company_id=cast.acme.id, requester_id=cast.ugo.user_id, subject='x', text='x',
                                     visibility=kind)).number
            for kind in ('company', 'private')
        }  # fmt: skip
    assert [await unread_by(v) for v in (ada, ugo, bea)] == [{made['company']}, set(), set()]
    assert set(made.values()) <= await unread_by(tess)
    async with ugo.work() as db:
        await add_participants(db, ugo.by, await ticket_by_number(db, made['private']), [cast.ada.user_id])
    assert await unread_by(ada) == set(made.values())


async def test_a_note_is_unread_for_staff_and_for_no_client(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """Numbers, order and times of clients stay, and nothing that their pages listen to is told."""
    ada, ugo, tess, mona = [await visit_as(w) for w in (cast.ada, cast.ugo, cast.tess, cast.mona)]
    await have_read_all(ada, ugo, tess, mona)

    async def seen(who: Visit) -> Any:
        async with who.work() as db:
            return await counts(db, who.by.user_id, staff=False), (await listing(db, Where(group='all'), most=100)).rows

    before = [await seen(who) for who in (ada, ugo)]
    with psycopg.connect(maintenance, autocommit=True) as listener:
        listener.execute('listen live')
        await say(mona, cast.printer, internal=True)
        async with tess.work() as db:
            await change_due(db, tess.by, await ticket_by_number(db, cast.printer.number), date(2030, 1, 1))
        told = {n.payload for n in listener.notifies(timeout=1)}
    assert [await seen(who) for who in (ada, ugo)] == before
    assert await unread_by(tess) == {cast.printer.number}
    assert f'unread:{cast.tess.user_id}' in told
    theirs = [f'ticket:{cast.printer.id}', f'tickets:{cast.acme.id}', f'unread:{cast.ada.user_id}', f'unread:{cast.ugo.user_id}',
              f'bell:{cast.ada.user_id}', f'bell:{cast.ugo.user_id}']  # fmt: skip
    assert not told & set(theirs)


async def test_what_one_can_no_longer_see_does_not_count(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    ada, tess = await visit_as(cast.ada), await visit_as(cast.tess)
    await have_read_all(ada)
    await say(tess, cast.calendar)
    assert await unread_by(ada) == {cast.calendar.number}
    with psycopg.connect(maintenance) as c:
        c.execute("update ticket set visibility = 'private' where id = %s", (cast.calendar.id,))
    assert await unread_by(ada) == set()


async def test_of_mels_two_companies_each_counts_its_own(visit_as: VisitAs, cast: Cast) -> None:
    acme, bolt, tess = [await visit_as(w) for w in (cast.mel_acme, cast.mel_bolt, cast.tess)]
    await have_read_all(acme, bolt)
    await say(tess, cast.printer)
    assert (await unread_by(acme), await unread_by(bolt)) == ({cast.printer.number}, set())
    await have_read_all(bolt)
    assert await unread_by(acme) == {cast.printer.number}


async def test_staff_count_what_they_have_and_what_nobody_has(visit_as: VisitAs, cast: Cast) -> None:
    tess, mona, ugo, bea = [await visit_as(w) for w in (cast.tess, cast.mona, cast.ugo, cast.bea)]
    await have_read_all(tess, mona)
    await say(ugo, cast.printer)  # Tess has it
    await say(bea, cast.scanners)  # nobody has it
    for who, most in ((tess, 2), (mona, 1)):
        async with who.work() as db:
            assert (await counts(db, who.by.user_id, staff=True)).unread == most


async def test_nobody_reads_or_marks_for_others(visit_as: VisitAs, cast: Cast) -> None:
    ada, bea = await visit_as(cast.ada), await visit_as(cast.bea)
    async with ada.work() as db:
        assert {row.user_id for row in await db.exec(select(Unread))} == {cast.ada.user_id}
    async with bea.work() as db:
        with pytest.raises(NotFound):
            await mark_unread(db, bea.by, await ticket_by_number(db, cast.printer.number + 9000))


# ---------- due ----------


async def test_due_is_the_staffs_own_and_follows_the_ticket(visit_as: VisitAs, cast: Cast) -> None:
    ugo, tess = await visit_as(cast.ugo), await visit_as(cast.tess)
    day = today(tess.by.tenant)
    async with tess.work() as db:
        ticket = await ticket_by_number(db, cast.scanners.number, lock=True)
        await change_due(db, tess.by, ticket, day)
        with pytest.raises(Overtaken):
            await change_due(db, tess.by, ticket, day + timedelta(days=1), shown='')
        due = await listing(db, Where(group='open', sort='due', due=True, inside=True))
        assert [row.number for row in due.rows][-1] == cast.scanners.number
        assert (await counts(db, cast.tess.user_id, staff=True, today=day)).due == 2
        assert (await counts(db, cast.tess.user_id, staff=True, today=day - timedelta(days=2))).due == 0
        await change_status(db, tess.by, ticket, 'solved')
        assert (await counts(db, cast.tess.user_id, staff=True, today=day)).due == 1
        await change_status(db, tess.by, ticket, 'open')
        assert (await counts(db, cast.tess.user_id, staff=True, today=day)).due == 2
        await change_due(db, tess.by, ticket, None)
        assert await due_of(db, ticket.id) is None
        assert [e.is_internal for e in (await conversation(db, cast.scanners.number)).events if e.kind == 'due'] == [True, True]
    async with ugo.work() as db:
        assert not [e for e in (await conversation(db, cast.printer.number)).events if e.kind == 'due']
        with pytest.raises(Exception, match='permission denied'):
            await due_of(db, cast.printer.id)


@pytest.mark.parametrize('text', ['tomorrow', '2026-02-30', '0001-01-01', '99999-01-01', '2026-13-01'])
def test_nonsense_is_no_day(text: str) -> None:
    with pytest.raises(Wrong) as wrong:
        parse_due(text)
    assert set(wrong.value.fields) == {'due'}


# ---------- asking for several things at once, and changing several tickets ----------


async def test_filters_take_several_values(visit_as: VisitAs, cast: Cast) -> None:
    tess = await visit_as(cast.tess)
    async with tess.work() as db:

        async def found(**asked: Any) -> set[int]:
            where = Where(group='all', inside=True, **asked)
            rows = {row.number for row in (await listing(db, where, most=100)).rows}
            assert await how_many(db, where) == len(rows) == len(await numbers_of(db, where, most=100))
            return rows

        both = {cast.calendar.number, cast.scanners.number}
        assert await found(status=(Status.NEW, Status.SOLVED)) == both
        assert await found(status=(Status.NEW, Status.SOLVED), priority=(Priority.URGENT,)) == {cast.scanners.number}
        assert await found(company_id=(cast.acme.id, cast.bolt.id)) == await found()
        assert await found(assignee_id=(cast.tess.user_id,)) == {cast.printer.number}
        assert await found(assignee_id=(cast.tess.user_id, cast.mona.user_id), unassigned=True) == await found()
        assert await found(unassigned=True) == await found() - {cast.printer.number}


@pytest.mark.parametrize('sort', ['company', 'priority', 'due'])
async def test_pages_of_staff_show_each_ticket_once(visit_as: VisitAs, cast: Cast, sort: Any) -> None:
    tess = await visit_as(cast.tess)
    async with tess.work() as db:
        for ticket in (cast.payroll, cast.salary, cast.scanners):
            await change_due(db, tess.by, await ticket_by_number(db, ticket.number), date(2030, 1, 1))
        where = Where(group='open', sort=sort, inside=True)
        whole = [row.id for row in (await listing(db, where, most=100)).rows]
        forth, page = [], await listing(db, where, most=1)
        while True:
            forth += [row.id for row in page.rows]
            if page.older is None:
                break
            cursor = Cursor.parse(page.older.text(), sort)
            page = await listing(db, Where(group='open', sort=sort, inside=True, cursor=cursor), most=1)
        assert forth == whole


async def test_one_change_to_many_says_what_could_not_be(visit_as: VisitAs, cast: Cast) -> None:
    tess = await visit_as(cast.tess)
    changes = {
        Change('assign', str(cast.mona.user_id)): [True, True], Change('priority', 'high'): [True, True],
        Change('due', '2030-05-01'): [True, True], Change('status', 'open'): [False, True],
    }  # fmt: skip
    for change, told in changes.items():
        done = []
        for number in (cast.printer.number, cast.calendar.number):
            async with tess.work() as db:
                done.append(await change_one(db, tess.by, number, change))
        assert done == told, change
    for change, error in (
        (Change('status', 'open'), ClosedForGood), (Change('assign', str(cast.ada.user_id)), Wrong), (Change('category', 'x'), Wrong),
    ):  # fmt: skip
        async with tess.work() as db:
            with pytest.raises(error):
                await change_one(db, tess.by, cast.certificate.number, change)
    async with tess.work() as db:
        with pytest.raises(NotFound):
            await change_one(db, tess.by, 999999, Change('status', 'open'))
