"""What changes on a ticket, who may change it, and two who change it at once."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from portal.db.cast import Cast, Member
from portal.domain.access import NotAllowed
from portal.domain.base import NotFound, Wrong, uuid7
from portal.domain.categories import (
    add_category,
    archive_category,
    categories,
    move_category,
    rename_category,
    restore_category,
)
from portal.domain.tickets import (
    Answered,
    Comment,
    Overtaken,
    add_participants,
    assign,
    change_category,
    change_priority,
    change_requester,
    change_status,
    change_subject,
    change_visibility,
    conversation,
    leave,
    note,
    open_ticket,
    remove_participant,
    reply,
    take,
    ticket_by_number,
)
from portal.domain.tickets.conversation import sight
from portal.domain.tickets.model import Visibility
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]


async def do(visit: Visit, number: int, verb: Callable[..., Awaitable[Any]], *args: Any, **more: Any) -> Any:
    async with visit.work() as db:
        return await verb(db, visit.by, await ticket_by_number(db, number, lock=True), *args, **more)


async def lines(visit: Visit, number: int) -> list[tuple[str, str | None, str | None]]:
    async with visit.work() as db:
        return [(e.kind.value, e.before, e.after) for e in (await conversation(db, number)).events]


async def test_every_change_is_a_line_that_ada_reads(visit_as: VisitAs, cast: Cast) -> None:
    tess, ada, number = await visit_as(cast.tess), await visit_as(cast.ada), cast.printer.number
    async with tess.work() as db:
        computers = next(c for c in await categories(db) if c.name == 'Computers')
        before = (await ticket_by_number(db, number)).category_id
    await do(tess, number, change_category, computers.id)
    await do(tess, number, change_subject, '  Blank  pages ')
    await do(tess, number, change_visibility, 'private')
    await do(tess, number, add_participants, [cast.bill.user_id])
    await do(tess, number, remove_participant, cast.bill.user_id)
    await do(tess, number, change_requester, cast.ada.user_id)
    ugo, bill = str(cast.ugo.user_id), str(cast.bill.user_id)
    assert (await lines(ada, number))[-7:] == [
        ('category', str(before), str(computers.id)), ('subject', 'Kyocera at reception prints blank pages', 'Blank pages'),
        ('visibility', 'company', 'private'), ('participant', None, bill), ('participant', bill, None),
        ('requester', ugo, str(cast.ada.user_id)), ('participant', None, ugo),
    ]  # fmt: skip
    async with ada.work() as db:
        talk = await conversation(db, number)
    assert (talk.ticket.requester_id, talk.participants) == (cast.ada.user_id, [cast.ugo.user_id])


async def test_the_former_requester_need_not_stay(visit_as: VisitAs, cast: Cast) -> None:
    tess, ugo = await visit_as(cast.tess), await visit_as(cast.ugo)
    await do(tess, cast.printer.number, change_requester, cast.bill.user_id, keep=False)
    with pytest.raises(NotFound):
        await lines(ugo, cast.printer.number)
    with pytest.raises(Wrong) as wrong:
        await do(tess, cast.printer.number, change_requester, cast.bea.user_id)
    assert set(wrong.value.fields) == {'requester'}


async def test_older_entries_come_when_asked_for(visit_as: VisitAs, cast: Cast) -> None:
    tess = await visit_as(cast.tess)
    for n in range(4):
        await do(tess, cast.printer.number, note, f'Note {n}')
        await do(tess, cast.printer.number, change_priority, ('low', 'high')[n % 2])
    async with tess.work() as db:
        some, more = await conversation(db, cast.printer.number, 6), await conversation(db, cast.printer.number, 60)
    assert ([c.body for c in some.comments], len(some.events), some.earlier) == (['Note 1', 'Note 2', 'Note 3'], 3, True)
    assert (len(more.comments), more.earlier) == (8, False)


# ---------- who may ----------


async def test_subject_and_visibility_are_for_whose_ticket_it_is(visit_as: VisitAs, cast: Cast) -> None:
    ada, ugo, finn = await visit_as(cast.ada), await visit_as(cast.ugo), await visit_as(cast.finn)
    for verb, value in ((change_subject, 'Other'), (change_visibility, 'private')):
        for who in (ada, finn):  # Ada sees it, and is not the one who asked
            with pytest.raises(NotAllowed):
                await do(who, cast.printer.number, verb, value)
        await do(ugo, cast.printer.number, verb, value)
    with pytest.raises(Wrong):
        await do(ugo, cast.printer.number, change_subject, ' \x00 ')
    assert [kind for kind, _b, _a in await lines(ugo, cast.printer.number)][-2:] == ['subject', 'visibility']


async def test_who_takes_whom_out_and_who_leaves(visit_as: VisitAs, cast: Cast) -> None:
    bill, ugo = await visit_as(cast.bill), await visit_as(cast.ugo)
    with pytest.raises(NotAllowed):  # in copy, but neither his ticket nor his company to manage
        await do(bill, cast.salary.number, remove_participant, cast.ugo.user_id)
    await do(bill, cast.salary.number, leave)
    with pytest.raises(NotFound):
        await lines(bill, cast.salary.number)
    assert (await lines(ugo, cast.salary.number))[-1] == ('participant', str(cast.bill.user_id), None)
    with pytest.raises(NotFound):
        await do(ugo, cast.salary.number, leave)
    mel = await visit_as(cast.mel_acme)  # a ClientAdmin who sees the ticket
    await do(mel, cast.printer.number, remove_participant, cast.ada.user_id)
    async with ugo.work() as db:
        seeing = await sight(db, await ticket_by_number(db, cast.printer.number))
    assert cast.ada.user_id in {
        user.id for user in seeing[Visibility.COMPANY]
    }  # she reaches all of the company's, also out of copy


FORGED = {
    'a line that only staff cause': "insert into ticket_event (id, company_id, ticket_id, actor_id, kind, after) values (gen_random_uuid(), :company, :ticket, :me, '{kind}', 'x')",
    'an internal line': "insert into ticket_event (id, company_id, ticket_id, actor_id, kind, after, is_internal) values (gen_random_uuid(), :company, :ticket, :me, 'participant', 'x', true)",
    'a line of somebody else': "insert into ticket_event (id, company_id, ticket_id, actor_id, kind, after) values (gen_random_uuid(), :company, :ticket, :tess, 'status', 'open')",
}  # fmt: skip


@pytest.mark.parametrize(('what', 'kind'), [
    *(('a line that only staff cause', kind) for kind in ('priority', 'assignee', 'category', 'requester', 'due', 'visibility', 'subject')),
    ('an internal line', ''), ('a line of somebody else', ''),
])  # fmt: skip
async def test_forged_history_is_refused_by_the_database(visit_as: VisitAs, cast: Cast, what: str, kind: str) -> None:
    """Ada sees the ticket, and runs SQL of her own."""
    ada = await visit_as(cast.ada)
    values = {'company': cast.acme.id, 'ticket': cast.printer.id, 'me': cast.ada.user_id, 'tess': cast.tess.user_id}
    statement = FORGED[what].format(kind=kind)
    with pytest.raises(DBAPIError, match='row-level security'):
        async with ada.work() as db:
            await db.execute(text(statement).bindparams(**{k: v for k, v in values.items() if f':{k}' in statement}))


@pytest.mark.parametrize('change', ["visibility = 'private'", "subject = 'Mine now'", "status = 'solved'"])
async def test_forged_changes_are_refused_by_the_database(visit_as: VisitAs, cast: Cast, change: str) -> None:
    ada = await visit_as(cast.ada)
    with pytest.raises(DBAPIError, match='only'):
        async with ada.work() as db:
            await db.execute(text(f'update ticket set {change} where id = :t').bindparams(t=cast.printer.id))


async def test_nobody_takes_out_whom_they_may_not(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    bill, bea = await visit_as(cast.bill), await visit_as(cast.bea)
    for who, left in ((bill, 1), (bea, 0)):
        async with who.work() as db:
            gone = (await db.execute(text('delete from ticket_participant returning 1'))).all()
        assert len(gone) == left, who.by.name  # Bill himself from the salary ticket, and nobody else


# ---------- categories ----------


async def test_mona_looks_after_the_categories(visit_as: VisitAs, cast: Cast) -> None:
    mona, ada = await visit_as(cast.mona), await visit_as(cast.ada)
    async with mona.work() as db:
        cameras = await add_category(db, mona.by, ' Cameras ')
        await move_category(db, mona.by, cameras.id, -99)
        await rename_category(db, mona.by, cameras.id, 'Video')
        printing = next(c for c in await categories(db) if c.name == 'Printing')
        await archive_category(db, mona.by, printing.id)
        for name, verb in (('VIDEO', add_category), ('printing', add_category), (' ', add_category), ('x' * 61, add_category)):
            with pytest.raises(Wrong):
                await verb(db, mona.by, name)
    async with ada.work() as db:
        names = [c.name for c in await categories(db)]
        assert names[0] == 'Video' and 'Printing' not in names
        talk = await conversation(db, cast.printer.number)
        assert talk.category(talk.ticket.category_id) == 'Printing'  # it stays where it is
        with pytest.raises(Wrong) as wrong:  # and is not offered any more
            await open_ticket(db, ada.by, company_id=cast.acme.id, requester_id=cast.ada.user_id, subject='x', text='x',
                              category_id=printing.id)  # fmt: skip
        assert set(wrong.value.fields) == {'category'}
    async with mona.work() as db:
        await restore_category(db, mona.by, printing.id)
        assert 'Printing' in [c.name for c in await categories(db)]


async def test_a_category_of_another_tenant_is_none(visit_as: VisitAs, cast: Cast) -> None:
    tess, stan = await visit_as(cast.tess), await visit_as(cast.stan)
    async with stan.work() as db:
        tills = (await categories(db))[0]
    with pytest.raises(Wrong):
        await do(tess, cast.printer.number, change_category, tills.id)


# ---------- two at once ----------


@pytest.mark.parametrize(('verb', 'first', 'second', 'shown', 'kind'), [
    (change_status, 'waiting_supplier', 'solved', 'open', 'status'), (change_priority, 'high', 'low', 'normal', 'priority'),
    (change_subject, 'Hers', 'Mine', 'Kyocera at reception prints blank pages', 'subject'),
])  # fmt: skip
async def test_what_changed_meanwhile_is_not_overwritten(
    visit_as: VisitAs, cast: Cast, verb: Any, first: str, second: str, shown: str, kind: str
) -> None:
    tess, mona, number = await visit_as(cast.tess), await visit_as(cast.mona), cast.printer.number
    await do(tess, number, verb, first, shown=shown)
    with pytest.raises(Overtaken) as overtaken:
        await do(mona, number, verb, second, shown=shown)
    assert (overtaken.value.kind, overtaken.value.actor_id) == (kind, cast.tess.user_id)
    await do(mona, number, verb, second, shown=first)  # now she knows
    assert (await lines(mona, number))[-1] == (kind, first, second)


async def test_two_take_it_and_the_second_hears_of_the_first(visit_as: VisitAs, cast: Cast) -> None:
    mona, tess = await visit_as(cast.mona), await visit_as(cast.tess)
    await do(tess, cast.scanners.number, take, shown='')
    with pytest.raises(Overtaken):
        await do(mona, cast.scanners.number, take, shown='')
    await do(mona, cast.scanners.number, assign, cast.tess.user_id, shown='')  # the same as it is: nothing to ask


async def test_an_answer_that_came_meanwhile_is_shown_first(visit_as: VisitAs, cast: Cast) -> None:
    tess, mona, number = await visit_as(cast.tess), await visit_as(cast.mona), cast.printer.number
    async with mona.work() as db:
        seen = (await conversation(db, number)).newest
    await do(tess, number, reply, 'Tess was here')
    with pytest.raises(Answered) as answered:
        await do(mona, number, reply, 'Mona, too', seen=seen)
    assert [c.body for c in answered.value.comments] == ['Tess was here']
    await do(mona, number, reply, 'Mona, too', seen=answered.value.comments[-1].id)
    await do(mona, number, reply, 'And more', seen=answered.value.comments[-1].id)  # her own words do not count


async def test_a_client_never_hears_of_a_note_that_way(visit_as: VisitAs, cast: Cast) -> None:
    tess, ugo = await visit_as(cast.tess), await visit_as(cast.ugo)
    async with ugo.work() as db:
        seen = (await conversation(db, cast.printer.number)).newest
    await do(tess, cast.printer.number, note, 'Between us')
    await do(ugo, cast.printer.number, reply, 'Hello?', seen=seen)


async def test_a_reply_sent_again_is_said_once(visit_as: VisitAs, cast: Cast) -> None:
    ugo, ada, sending = await visit_as(cast.ugo), await visit_as(cast.ada), uuid7()
    for words in ('It works', ' It works ', 'It works not', 'It works'):
        await do(ugo, cast.printer.number, reply, words, sending=sending)
    await do(ada, cast.printer.number, reply, 'It works', sending=sending)  # another's name is not theirs
    async with ada.work() as db:
        asked = select(Comment.body).where(Comment.ticket_id == cast.printer.id).order_by(col(Comment.id))
        assert list(await db.exec(asked))[-3:] == ['It works', 'It works not', 'It works']
    going_on = uuid7()
    again = [await do(ada, cast.certificate.number, reply, 'Again', sending=going_on) for _time in range(2)]
    assert again[0].number == again[1].number != cast.certificate.number  # also where it opens a ticket that goes on
