"""Tickets, told with the named cast."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlmodel import col, select

from portal.db.cast import Cast, Member
from portal.domain import access, notifications
from portal.domain.access import NotAllowed
from portal.domain.base import NotFound, Wrong
from portal.domain.mail import Letter
from portal.domain.tickets import (
    Comment,
    Cursor,
    Status,
    Ticket,
    Where,
    add_participants,
    assign,
    bulk,
    change_priority,
    change_requester,
    change_status,
    close,
    conversation,
    counts,
    listing,
    note,
    open_ticket,
    remove_participant,
    reopen,
    reply,
    take,
    ticket_by_number,
)  # fmt: skip
from portal.domain.tickets.conversation import can_see, sight
from portal.domain.tickets.model import Visibility
from portal.domain.tickets.working import AlreadyClosed, ClosedForGood
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]


async def opened(visit: Visit, company: Any, **more: Any) -> Ticket:
    values = {
        'subject': 'The printer smokes',
        'text': 'Since this morning.',
        'company_id': company.id,
        'requester_id': visit.by.user_id,
    }
    async with visit.work() as db:
        return await open_ticket(db, visit.by, **{**values, **more})


async def test_ada_opens_a_ticket_and_tess_finds_it(visit_as: VisitAs, cast: Cast) -> None:
    ada, tess = await visit_as(cast.ada), await visit_as(cast.tess)
    ticket = await opened(ada, cast.acme, priority='high')
    async with tess.work() as db:
        talk = await conversation(db, ticket.number)
        queue = await listing(db, Where(sort='turn'))
    assert [c.body for c in talk.comments] == ['Since this morning.']
    assert (talk.ticket.status, talk.ticket.requester_id, talk.ticket.author_id) == (
        Status.NEW,
        cast.ada.user_id,
        cast.ada.user_id,
    )
    assert ticket.number in [row.number for row in queue.rows]


async def test_the_client_who_sorts_by_turn_has_their_own_first(visit_as: VisitAs, cast: Cast) -> None:
    ada, tess = await visit_as(cast.ada), await visit_as(cast.tess)
    tickets = [await opened(ada, cast.acme, priority=urgency) for urgency in ('normal', 'urgent', 'normal')]
    async with tess.work() as db:
        await change_status(db, tess.by, await ticket_by_number(db, tickets[0].number, lock=True), 'waiting_client')
    own = Where(sort='mine', company_id=cast.acme.id)
    async with ada.work() as db:
        at_once = (await listing(db, own)).rows
        first = await listing(db, own, most=1)
        paged = [*first.rows, *(await listing(db, replace(own, cursor=first.older))).rows]
    turns = [row.status is Status.WAITING_CLIENT for row in at_once]
    assert turns == sorted(turns, reverse=True)
    assert tickets[0].number in [row.number for row in at_once if row.status is Status.WAITING_CLIENT]
    assert [row.number for row in paged] == [row.number for row in at_once]


async def test_bea_finds_no_trace(visit_as: VisitAs, cast: Cast) -> None:
    ticket = await opened(await visit_as(cast.ada), cast.acme)
    bea = await visit_as(cast.bea)
    async with bea.work() as db:
        with pytest.raises(NotFound):
            await conversation(db, ticket.number)
        assert ticket.number not in [row.number for row in (await listing(db, Where(group='all'))).rows]
        assert not (await listing(db, Where(group='all', words='smokes'))).rows


async def test_the_conversation_and_whose_turn_it_is(visit_as: VisitAs, cast: Cast) -> None:
    ada, tess = await visit_as(cast.ada), await visit_as(cast.tess)
    number = (await opened(ada, cast.acme)).number
    async with tess.work() as db:
        ticket = await ticket_by_number(db, number)
        await take(db, tess.by, ticket)
        assert (ticket.status, ticket.assignee_id) == (Status.OPEN, cast.tess.user_id)
        await note(db, tess.by, ticket, 'Sell them a new one')
        await reply(db, tess.by, ticket, 'Which colour is the smoke?')
        assert ticket.status is Status.WAITING_CLIENT
    async with ada.work() as db:
        talk = await conversation(db, number)
        assert [c.body for c in talk.comments] == ['Since this morning.', 'Which colour is the smoke?']
        await reply(db, ada.by, talk.ticket, 'Grey')
        assert talk.ticket.status is Status.OPEN


async def test_a_note_changes_nothing_a_client_could_notice(visit_as: VisitAs, cast: Cast) -> None:
    ada, tess = await visit_as(cast.ada), await visit_as(cast.tess)

    async def seen() -> Any:
        async with ada.work() as db:
            talk = await conversation(db, cast.printer.number)
            page = await listing(db, Where(group='all'))
            bell = await notifications.unseen(db, ada.by), await notifications.bell(db, ada.by)
        return (
            talk.ticket.model_dump(),
            [c.id for c in talk.comments],
            [e.id for e in talk.events],
            page.rows,
            bell,
        )

    before = await seen()
    async with tess.work() as db:
        await note(db, tess.by, await ticket_by_number(db, cast.printer.number), 'Between us')
    assert await seen() == before


async def test_staff_open_for_a_caller(visit_as: VisitAs, cast: Cast) -> None:
    tess = await visit_as(cast.tess)
    ticket = await opened(tess, cast.acme, requester_id=cast.ugo.user_id, copy=[cast.ada.user_id])
    assert (ticket.requester_id, ticket.author_id) == (cast.ugo.user_id, cast.tess.user_id)
    ugo = await visit_as(cast.ugo)
    async with ugo.work() as db:
        assert (await conversation(db, ticket.number)).participants == [cast.ada.user_id]


async def test_a_client_opens_for_itself_alone(visit_as: VisitAs, cast: Cast) -> None:
    ada = await visit_as(cast.ada)
    for more in ({'requester_id': cast.ugo.user_id}, {'company_id': cast.bolt.id}):
        with pytest.raises(Wrong) as wrong:
            await opened(ada, cast.acme, **more)
        assert 'requester' in wrong.value.fields


@pytest.mark.parametrize(('field', 'values'), [
    ('subject', {'subject': ' \n '}), ('subject', {'subject': 'x' * 201}), ('text', {'text': '  '}), ('text', {'text': 'x' * 50_001}),
    ('priority', {'priority': 'now'}), ('visibility', {'visibility': 'all'}),
])  # fmt: skip
async def test_bad_input_is_said_at_its_field(visit_as: VisitAs, cast: Cast, field: str, values: Any) -> None:
    with pytest.raises(Wrong) as wrong:
        await opened(await visit_as(cast.ada), cast.acme, **values)
    assert set(wrong.value.fields) == {field}


async def test_nobody_of_another_company_comes_into_copy(visit_as: VisitAs, cast: Cast) -> None:
    ada, tess = await visit_as(cast.ada), await visit_as(cast.tess)
    for who in (ada, tess):
        with pytest.raises(Wrong) as wrong:
            await opened(who, cast.acme, requester_id=cast.ada.user_id, copy=[cast.bea.user_id])
        assert 'copy' in wrong.value.fields


async def test_private_is_for_the_people_in_it(visit_as: VisitAs, cast: Cast) -> None:
    ugo, ada = await visit_as(cast.ugo), await visit_as(cast.ada)
    ticket = await opened(ugo, cast.acme, visibility='private')
    async with ugo.work() as db:
        seeing = await sight(db, await ticket_by_number(db, ticket.number))
        assert [user.id for user in seeing[Visibility.PRIVATE]] == [cast.ugo.user_id]
    async with ada.work() as db:
        with pytest.raises(NotFound):
            await ticket_by_number(db, ticket.number)
    async with ugo.work() as db:
        await add_participants(db, ugo.by, await ticket_by_number(db, ticket.number), [cast.ada.user_id])
    async with ada.work() as db:
        assert await ticket_by_number(db, ticket.number)


async def test_who_can_see_is_who_can_read(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """The list of names on screen, what is asked before a letter goes, and what the database lets each of them read, agree."""
    people = [cast.ada, cast.ugo, cast.bill, cast.mel_acme, cast.bea]
    for ticket in (cast.printer, cast.payroll, cast.salary, cast.calendar, cast.certificate):
        tess = await visit_as(cast.tess)
        async with tess.work() as db:
            found = await ticket_by_number(db, ticket.number)
            said = {user.id for user in (await sight(db, found))[found.visibility]}
            asked = {person.user_id for person in people if await can_see(db, found, person.user_id)}
        reads = set()
        for person in people:
            async with (await visit_as(person)).work() as db:
                if await db.get(Ticket, ticket.id):
                    reads.add(person.user_id)
        assert reads == said == asked, ticket


async def test_close_and_reopen(visit_as: VisitAs, cast: Cast) -> None:
    ada = await visit_as(cast.ada)
    number = (await opened(ada, cast.acme)).number
    async with ada.work() as db:
        await close(db, ada.by, await ticket_by_number(db, number))
    async with ada.work() as db:
        with pytest.raises(AlreadyClosed):
            await close(db, ada.by, await ticket_by_number(db, number))
        await reopen(db, ada.by, await ticket_by_number(db, number))
        assert (await ticket_by_number(db, number)).status is Status.OPEN


async def test_closed_for_good_a_reply_opens_a_linked_one(visit_as: VisitAs, cast: Cast) -> None:
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        old = await ticket_by_number(db, cast.certificate.number)
        with pytest.raises(ClosedForGood):
            await reopen(db, ada.by, old)
        new = await reply(db, ada.by, old, 'It is there again')
        assert (new.id != old.id, new.follows_id, old.status) == (True, old.id, Status.CLOSED)


async def test_work_of_staff(visit_as: VisitAs, cast: Cast) -> None:
    tess = await visit_as(cast.tess)
    async with tess.work() as db:
        ticket = await ticket_by_number(db, cast.printer.number)
        await assign(db, tess.by, ticket, cast.mona.user_id)
        await change_priority(db, tess.by, ticket, 'urgent')
        await change_status(db, tess.by, ticket, 'waiting_supplier')
        with pytest.raises(Wrong):
            await assign(db, tess.by, ticket, cast.ada.user_id)
        with pytest.raises(Wrong):
            await change_status(db, tess.by, ticket, 'lost')
    async with tess.work() as db:
        talk = await conversation(db, cast.printer.number)
    assert [e.kind for e in talk.events][-3:] == ['assignee', 'priority', 'status']


# ---------- who hears of it ----------


async def letters_of(visit: Visit, ticket: Ticket) -> dict[Any, list[str]]:
    async with visit.work() as db:
        rows = list(await db.exec(select(Letter).where(Letter.ticket_id == ticket.id).order_by(col(Letter.id))))
    return {user: [r.kind for r in rows if r.to_user_id == user] for user in {r.to_user_id for r in rows}}


async def test_letters_go_to_the_people_concerned_and_never_for_a_note(visit_as: VisitAs, cast: Cast) -> None:
    ugo, tess = await visit_as(cast.ugo), await visit_as(cast.tess)
    ticket = await opened(ugo, cast.acme, copy=[cast.ada.user_id])
    async with tess.work() as db:
        mine = await ticket_by_number(db, ticket.number)
        await take(db, tess.by, mine)
        await note(db, tess.by, mine, 'Between us')
        await reply(db, tess.by, mine, 'On it', then='open')
        await change_status(db, tess.by, mine, 'solved')
    heard = await letters_of(tess, ticket)
    assert heard == {
        cast.ada.user_id: ['new_ticket', 'reply', 'status'],
        cast.ugo.user_id: ['reply', 'status'],
        cast.mona.user_id: ['new_ticket'], cast.tess.user_id: ['new_ticket'],
    }  # fmt: skip


async def test_whoever_switched_a_letter_off_gets_none(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute("update users set mail_off = '{reply}' where id = %s", (cast.ugo.user_id,))
    tess = await visit_as(cast.tess)
    ticket = await opened(tess, cast.acme, requester_id=cast.ugo.user_id, copy=[cast.ada.user_id])
    async with tess.work() as db:
        await reply(db, tess.by, await ticket_by_number(db, ticket.number), 'Hello')
    heard = await letters_of(tess, ticket)
    assert (heard[cast.ugo.user_id], heard[cast.ada.user_id]) == (['new_ticket'], ['new_ticket', 'reply'])


async def test_whoever_gets_a_ticket_into_their_hands_hears_of_it_once(visit_as: VisitAs, cast: Cast) -> None:
    """In copy, theirs, assigned: not who did it, nobody else, and not again while it waits."""
    ugo, tess, ada, bill, mona = [await visit_as(w) for w in (cast.ugo, cast.tess, cast.ada, cast.bill, cast.mona)]
    ticket = await opened(ugo, cast.acme, visibility='private')

    async def do(who: Visit, verb: Any, *values: Any) -> None:
        async with who.work() as db:
            await verb(db, who.by, await ticket_by_number(db, ticket.number), *values)

    async def bell_of(who: Visit) -> list[str]:
        async with who.work() as db:
            lines = await notifications.bell(db, who.by)
        return [line.kind for line in lines if line.number == ticket.number and not line.seen]

    await do(ugo, add_participants, [cast.bill.user_id, cast.ada.user_id])
    assert (await bell_of(bill), await bell_of(ada)) == (['copy'], ['copy'])
    for _again in range(2):
        await do(tess, remove_participant, cast.bill.user_id)
        assert await bell_of(bill) == []  # the ticket is private again
        await do(tess, add_participants, [cast.bill.user_id])
    assert await bell_of(bill) == ['copy']
    async with bill.work() as db:
        await notifications.mark_seen(db, bill.by, ticket.id)
    await do(tess, change_requester, cast.bill.user_id)
    await do(tess, assign, cast.mona.user_id)
    await do(mona, assign, cast.tess.user_id)
    await do(tess, take)
    assert await bell_of(bill) == ['requester']
    assert (await bell_of(mona), await bell_of(tess)) == (['assigned', 'new_ticket'], ['assigned', 'new_ticket'])
    assert await bell_of(ugo) == []
    heard = await letters_of(tess, ticket)
    assert heard[cast.mona.user_id] == heard[cast.tess.user_id] == ['new_ticket', 'assigned']
    assert heard[cast.ada.user_id] == ['copy']
    assert heard[cast.bill.user_id][-1] == 'requester'
    assert cast.ugo.user_id not in heard


async def test_many_assigned_at_once_send_no_letter_for_each(visit_as: VisitAs, cast: Cast) -> None:
    ugo, tess = await visit_as(cast.ugo), await visit_as(cast.tess)
    ticket = await opened(ugo, cast.acme)
    async with tess.work() as db:
        await bulk.change_one(db, tess.by, ticket.number, bulk.Change('assign', str(cast.mona.user_id)))
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        assert (await notifications.bell(db, mona.by))[0].kind == 'assigned'
    assert (await letters_of(tess, ticket))[cast.mona.user_id] == ['new_ticket']


async def test_the_bell(visit_as: VisitAs, cast: Cast) -> None:
    ada, ugo, tess = [await visit_as(w) for w in (cast.ada, cast.ugo, cast.tess)]
    ticket = await opened(ugo, cast.acme, copy=[cast.ada.user_id])
    async with ada.work() as db:
        before = await notifications.unseen(db, ada.by)
    async with tess.work() as db:
        await reply(db, tess.by, await ticket_by_number(db, ticket.number), 'Hello')
    async with ada.work() as db:
        [newest, *_earlier] = await notifications.bell(db, ada.by)
        assert (newest.kind, newest.number, newest.seen) == ('reply', ticket.number, False)
        assert await notifications.unseen(db, ada.by) == before + 1
        await notifications.mark_seen(db, ada.by)
        assert await notifications.unseen(db, ada.by) == 0
    async with ugo.work() as db:
        assert await notifications.unseen(db, ugo.by) >= 1  # Ada's reading is hers alone


# ---------- lists ----------


@pytest.mark.parametrize('sort', ['-changed', 'changed', '-number', 'number', 'turn'])
async def test_pages_forth_and_back_show_each_ticket_once(visit_as: VisitAs, cast: Cast, sort: Any) -> None:
    ada = await visit_as(cast.ada)
    for n in range(7):
        await opened(ada, cast.acme, subject=f'Ticket {n}', priority=('low', 'urgent')[n % 2])
    async with ada.work() as db:
        whole = [row.id for row in (await listing(db, Where(group='all', sort=sort), most=100)).rows]
        forth, pages, where = [], [], Where(group='all', sort=sort)
        while True:
            page = await listing(db, where, most=3)
            forth += [row.id for row in page.rows]
            pages.append(page)
            if page.older is None:
                break
            older = Cursor.parse(page.older.text(), sort)
            assert older
            where = replace(where, cursor=older)
        assert forth == whole
        assert pages[0].newer is None
        newer = pages[-1].newer
        assert newer
        back = await listing(db, replace(where, cursor=Cursor.parse(newer.text(), sort, backwards=True)), most=3)
        assert [row.id for row in back.rows] == [row.id for row in pages[-2].rows]


@pytest.mark.parametrize('nonsense', ['', 'x', '1~2~3~4', '2026-01-01T00:00:00~x', '99999999999999', "'; drop table ticket --"])
def test_nonsense_is_no_cursor(nonsense: str) -> None:
    assert all(Cursor.parse(nonsense, sort) is None for sort in ('-changed', 'number', 'turn'))


async def test_counts_agree_with_lists(visit_as: VisitAs, cast: Cast) -> None:
    for who in (cast.ada, cast.ugo, cast.tess, cast.bea):
        visit = await visit_as(who)
        async with visit.work() as db:
            n = await counts(db, who.user_id, staff=who.side == 'staff')
            for group in ('open', 'mine', 'theirs', 'away', 'done'):
                assert getattr(n, group) == len((await listing(db, Where(group=group), most=100)).rows), (who.name, group)


async def test_search_finds_words_beginnings_and_numbers(visit_as: VisitAs, cast: Cast) -> None:
    tess = await visit_as(cast.tess)
    ticket = await opened(await visit_as(cast.ada), cast.acme, subject='Röntgenbild-Archiv sehr langsam')
    async with tess.work() as db:
        for words in ('röntgenbild', 'ARCH', 'archiv lang', str(ticket.number), f't-{ticket.number}'):
            rows = (await listing(db, Where(group='all', words=words))).rows
            assert ticket.number in [row.number for row in rows], words
        for words in ('autobahn schnell', "'); drop table ticket; --", '& | !', '%', '99999999999'):
            assert ticket.number not in [row.number for row in (await listing(db, Where(group='all', words=words))).rows]


# ---------- permissions ----------


@pytest.mark.parametrize('name', ['mona', 'tess', 'finn', 'stan', 'ada', 'ugo', 'bill', 'bea', 'mel_bolt', 'cleo'])
async def test_walk_over_every_verb(visit_as: VisitAs, cast: Cast, name: str) -> None:
    """Whoever lacks the permission is refused before anything begins: not even a database is looked for."""
    import importlib

    by = (await visit_as(getattr(cast, name))).by
    modules = {
        name: f'portal.domain.{name}'
        for name in (
            'people',
            'companies',
            'clients',
            'colleagues',
            'roles',
            'team',
            'notifications',
            'categories',
            'views',
            'canned',
            'tenants',
            'operations',
            'factors',
            'passkeys',
            'policy',
            'recovery',
            'invitations',
            'own_address',
            'particulars',
            'reviews',
            'trail',
            'viewing',
            'sessions',
            'limits',
        )
    }
    modules['doing'] = 'portal.domain.imports.doing'
    modules |= {name: f'portal.domain.sso.{name}' for name in ('providers', 'accounts', 'alone')}
    for verb, needs in access.VERBS.items():
        module, function = verb.split('.')
        found = getattr(importlib.import_module(modules.get(module, f'portal.domain.tickets.{module}')), function)
        if needs not in by.permissions:
            with pytest.raises(NotAllowed):
                await found(None, by)
        else:
            with pytest.raises((TypeError, AttributeError)):  # it begins: arguments or the database are missing
                await found(None, by)


async def test_finn_reads_but_does_not_work(visit_as: VisitAs, cast: Cast) -> None:
    finn = await visit_as(cast.finn)
    async with finn.work() as db:
        ticket = await ticket_by_number(db, cast.printer.number)
        for verb in (take, lambda db, by, t: note(db, by, t, 'x'), lambda db, by, t: change_priority(db, by, t, 'low')):
            with pytest.raises(NotAllowed):
                await verb(db, finn.by, ticket)


async def test_two_reply_at_once_and_both_are_heard(visit_as: VisitAs, cast: Cast) -> None:
    import asyncio

    async def say(who: Member, words: str) -> None:
        visit = await visit_as(who)
        async with visit.work() as db:
            await reply(db, visit.by, await ticket_by_number(db, cast.printer.number, lock=True), words)

    await asyncio.gather(*(say(who, f'{who.name} {n}') for n in range(5) for who in (cast.tess, cast.ugo, cast.mona, cast.ada)))
    tess = await visit_as(cast.tess)
    async with tess.work() as db:
        bodies = set(await db.exec(select(Comment.body).where(Comment.ticket_id == cast.printer.id)))
    assert {f'{who.name} {n}' for n in range(5) for who in (cast.tess, cast.ugo, cast.mona, cast.ada)} <= bodies


async def test_numbers_are_taken_once(visit_as: VisitAs, cast: Cast) -> None:
    import asyncio

    ada = await visit_as(cast.ada)
    numbers = [t.number for t in await asyncio.gather(*(opened(ada, cast.acme) for _ in range(12)))]
    assert len(set(numbers)) == 12
