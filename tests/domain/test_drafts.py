"""What one writes follows one to another device, and nobody else reads it."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from portal.db.cast import Cast, Member
from portal.domain.access import NotAllowed
from portal.domain.base import NotFound
from portal.domain.tickets import note, open_ticket, reply, ticket_by_number
from portal.domain.tickets.drafts import NEW_TICKET, Draft, Gone, draft_at, drop_draft, drop_earlier, reply_to, save_draft
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]


async def write(visit: Visit, place: str, words: str, began_with: int = 0, **more: bool) -> Draft:
    async with visit.work() as db:
        return await save_draft(db, visit.by, place, {'body': words}, began_with=began_with, **more)


async def kept(visit: Visit, place: str) -> Draft | None:
    async with visit.work() as db:
        return await draft_at(db, visit.by, place)


async def test_it_is_there_on_another_device_and_for_nobody_else(visit_as: VisitAs, cast: Cast) -> None:
    place = reply_to(cast.printer.id)
    ugo, tess = await visit_as(cast.ugo), await visit_as(cast.tess)
    await write(ugo, place, 'Copying wor')
    await write(tess, place, 'Between us')
    there = await kept(await visit_as(cast.ugo), place)
    assert there
    assert there.content == {'body': 'Copying wor'}
    for other in (cast.ada, cast.mel_acme, cast.mona):
        assert await kept(await visit_as(other), place) is None


async def test_one_login_in_two_companies_writes_two_new_tickets(visit_as: VisitAs, cast: Cast) -> None:
    bolt, acme = await visit_as(cast.mel_bolt), await visit_as(cast.mel_acme)
    await write(bolt, NEW_TICKET, 'For Bolt')
    await write(acme, NEW_TICKET, 'For Acme')
    there = await kept(bolt, NEW_TICKET)
    assert there
    assert there.content == {'body': 'For Bolt'}


async def test_what_another_device_wrote_is_set_aside_and_not_lost(visit_as: VisitAs, cast: Cast) -> None:
    ugo, place = await visit_as(cast.ugo), reply_to(cast.printer.id)
    first = await write(ugo, place, 'One')
    at_home = await write(ugo, place, 'One and two', first.version)
    assert at_home.earlier == []
    on_the_train = await write(ugo, place, 'One or three', first.version)  # had not heard of it
    assert on_the_train.content == {'body': 'One or three'}
    assert [e['content'] for e in on_the_train.earlier] == [{'body': 'One and two'}]

    swapped = await write(ugo, place, 'One and two', on_the_train.version, aside=True)
    assert [e['content'] for e in swapped.earlier] == [{'body': 'One or three'}]
    async with ugo.work() as db:
        await drop_earlier(db, ugo.by, place)
    there = await kept(ugo, place)
    assert there
    assert (there.content, there.earlier) == ({'body': 'One and two'}, [])


async def test_two_devices_begin_at_the_same_moment(visit_as: VisitAs, cast: Cast) -> None:
    ugo, place = await visit_as(cast.ugo), reply_to(cast.printer.id)
    await asyncio.gather(write(ugo, place, 'Here'), write(ugo, place, 'There'))
    there = await kept(ugo, place)
    assert there
    assert {there.content['body'], *(e['content']['body'] for e in there.earlier)} == {'Here', 'There'}


async def test_sending_removes_it_everywhere(visit_as: VisitAs, cast: Cast) -> None:
    ugo, tess, place = await visit_as(cast.ugo), await visit_as(cast.tess), reply_to(cast.printer.id)
    mine = await write(ugo, place, 'Copying works')
    await write(tess, place, 'A note')
    async with ugo.work() as db:
        await reply(db, ugo.by, await ticket_by_number(db, cast.printer.number), 'Copying works')
    assert await kept(ugo, place) is None
    assert await kept(tess, place), 'hers stays'
    async with tess.work() as db:
        await note(db, tess.by, await ticket_by_number(db, cast.printer.number), 'A note')
    assert await kept(tess, place) is None
    with pytest.raises(Gone):
        await write(ugo, place, 'Copying works', mine.version)  # a save that comes late does not bring it back

    await write(ugo, NEW_TICKET, 'Smoke')
    async with ugo.work() as db:
        await open_ticket(db, ugo.by, company_id=cast.acme.id, requester_id=cast.ugo.user_id, subject='Smoke', text='It smokes')
    assert await kept(ugo, NEW_TICKET) is None


async def test_clearing_here_does_not_clear_what_was_written_there(visit_as: VisitAs, cast: Cast) -> None:
    ugo, place = await visit_as(cast.ugo), reply_to(cast.printer.id)
    here = await write(ugo, place, 'One')
    there = await write(ugo, place, 'One and two', here.version)
    async with ugo.work() as db:
        await drop_draft(db, ugo.by, place, began_with=here.version)
    assert await kept(ugo, place)
    async with ugo.work() as db:
        await drop_draft(db, ugo.by, place, began_with=there.version)
    assert await kept(ugo, place) is None


@pytest.mark.parametrize('place', ['', 'reply:', 'reply:x', 'note:0', 'new-ticket:1', 'reply:' + '0' * 32])
async def test_a_place_that_is_none_is_refused(visit_as: VisitAs, cast: Cast, place: str) -> None:
    with pytest.raises((NotFound, NotAllowed)):
        await write(await visit_as(cast.ugo), place, 'x')


async def test_nobody_writes_on_a_ticket_they_do_not_see(visit_as: VisitAs, cast: Cast) -> None:
    for who, ticket in ((cast.bea, cast.printer), (cast.ada, cast.salary), (cast.stan, cast.printer)):
        with pytest.raises(NotFound):
            await write(await visit_as(who), reply_to(ticket.id), 'x')
