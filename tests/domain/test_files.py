"""Files wait where they were uploaded, and are sent with what one says."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from portal.db.cast import Cast, Member
from portal.domain.base import NotFound, Wrong
from portal.domain.people import company_by_slug
from portal.domain.tickets import File, Where, conversation, listing, note, open_ticket, reply, ticket_by_number
from portal.domain.tickets.drafts import NEW_TICKET, draft_at, reply_to
from portal.domain.tickets.files import (
    MB,
    MOST_AT_ONCE,
    NoRoom,
    Upload,
    add_file,
    bytes_of,
    clean_name,
    remove_file,
    set_file_quota,
    waiting,
)
from portal.domain.tickets.searching import passages, search
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]


def page(size: int = 5, name: str = 'page.jpg') -> Upload:
    return Upload(name, 'image/jpeg', size, 'x', secrets.token_hex(8), (4, 3))


async def uploaded(visit: Visit, place: str, upload: Upload | None = None) -> UUID:
    async with visit.work() as db:
        return (await add_file(db, visit.by, place, upload or page(), usual_mb=1)).id


async def sees(visit: Visit, file: UUID) -> bool:
    async with visit.work() as db:
        return await db.get(File, file) is not None


@pytest.mark.parametrize(
    ('given', 'kept'),
    [
        ('leere-seite.jpg', 'leere-seite.jpg'),
        ('C:\\Users\\ada\\page.txt', 'page.txt'),
        ('../../etc/passwd', 'passwd'),
        ('invoice\u202egpj.exe', 'invoicegpj.exe'),  # would read as invoiceexe.jpg
        ('a\x00b\nc\u200b.txt', 'ab c.txt'),
        ('a<b>:"c|?*.txt', 'a_b___c___.txt'),
        ('Gru\u0308ße.txt', 'Grüße.txt'),
        ('', 'file'),
        ('..', 'file'),
        ('dir/', 'file'),
        ('.env', '.env'),
        ('name. . ', 'name'),
        ('x' * 300 + '.tar.gz', 'x' * 147 + '.gz'),
        ('x' * 300, 'x' * 150),
    ],
)
def test_names_are_plain(given: str, kept: str) -> None:
    assert clean_name(given) == kept


async def test_until_it_is_sent_nobody_else_sees_it(visit_as: VisitAs, cast: Cast) -> None:
    ugo, ada, tess = await visit_as(cast.ugo), await visit_as(cast.ada), await visit_as(cast.tess)
    place = reply_to(cast.printer.id)
    file = await uploaded(ugo, place)
    assert [await sees(v, file) for v in (ugo, ada, tess)] == [True, False, False]
    async with tess.work() as db:
        assert not [f for f in (await conversation(db, cast.printer.number)).files if f.id == file]

    async with ugo.work() as db:
        await reply(db, ugo.by, await ticket_by_number(db, cast.printer.number), 'Like this', files=[file])
    assert [await sees(v, file) for v in (ugo, ada, tess)] == [True, True, True]
    async with ada.work() as db:
        talk = await conversation(db, cast.printer.number)
        assert [f.comment_id for f in talk.files if f.id == file] == [talk.comments[-1].id]
    async with ugo.work() as db:
        assert await waiting(db, ugo.by, place) == []
        assert await draft_at(db, ugo.by, place) is None
    assert not await sees(await visit_as(cast.bea), file)
    assert not await sees(await visit_as(cast.stan), file)


async def test_staff_see_a_file_of_theirs_alone_until_it_is_sent(visit_as: VisitAs, cast: Cast) -> None:
    tess, mona, ada = await visit_as(cast.tess), await visit_as(cast.mona), await visit_as(cast.ada)
    file = await uploaded(tess, reply_to(cast.printer.id))
    assert [await sees(v, file) for v in (tess, mona, ada)] == [True, False, False]


async def test_files_need_no_words(visit_as: VisitAs, cast: Cast) -> None:
    """A reply and a note; the list names them; clients find what was sent to them by its name, and never a note's."""
    ugo, tess, ada = await visit_as(cast.ugo), await visit_as(cast.tess), await visit_as(cast.ada)
    place, number = reply_to(cast.printer.id), cast.printer.number

    async def send(who: Visit, verb: Any, name: str) -> None:
        file = await uploaded(who, place, page(name=name))
        async with who.work() as db:
            await verb(db, who.by, await ticket_by_number(db, number), ' ', files=[file])

    await send(ugo, reply, 'status_page_2.jpg')
    await send(tess, note, 'roller-order.jpg')
    for who in (ugo, tess):
        async with who.work() as db:
            with pytest.raises(Wrong):
                await reply(db, who.by, await ticket_by_number(db, number), ' ')
    async with ada.work() as db:
        talk = await conversation(db, number)
        (row,) = (await listing(db, Where(group='all', number=(number,)))).rows
    assert (talk.comments[-1].body, row.last_word) == ('', '`status_page_2.jpg`')
    for who, words, found in (
        (ada, 'status', {cast.printer.id: ('`status_page_2.jpg`', False)}), (tess, 'status', {cast.printer.id: ('`status_page_2.jpg`', False)}),
        (tess, 'roller-order', {cast.printer.id: ('`roller-order.jpg`', True)}), (ada, 'roller-order', {}),
    ):  # fmt: skip
        async with who.work() as db:
            result = await search(db, words)
            assert ((await passages(db, result.ids, words)) if result.how == 'all' else {}) == found, (who.by.name, words)


async def test_what_was_closed_for_good_goes_on_with_files_alone(visit_as: VisitAs, cast: Cast) -> None:
    ada = await visit_as(cast.ada)
    file = await uploaded(ada, reply_to(cast.certificate.id))
    async with ada.work() as db:
        new = await reply(db, ada.by, await ticket_by_number(db, cast.certificate.number), '', files=[file])
    assert new.follows_id == cast.certificate.id
    assert await sees(await visit_as(cast.tess), file)


async def test_a_file_of_a_note_reaches_no_client(visit_as: VisitAs, cast: Cast) -> None:
    tess, ada, ugo = await visit_as(cast.tess), await visit_as(cast.ada), await visit_as(cast.ugo)
    file = await uploaded(tess, reply_to(cast.printer.id))
    before = await taken(ada, cast)
    async with tess.work() as db:
        await note(db, tess.by, await ticket_by_number(db, cast.printer.number), 'In the van', files=[file])
    assert [await sees(v, file) for v in (tess, ada, ugo)] == [True, False, False]
    async with ada.work() as db:
        assert file not in {f.id for f in (await conversation(db, cast.printer.number)).files}
    assert await taken(ada, cast) == before, 'not even by how much room is left'
    with pytest.raises(DBAPIError):
        async with tess.work() as db:  # once sent, nothing about it changes any more
            await run(db, 'update file set is_internal = false where id = :id', id=file)


async def taken(visit: Visit, cast: Cast) -> int:
    async with visit.work() as db:
        return await bytes_of(db, cast.acme.id)


async def run(db: Any, statement: str, **values: Any) -> Any:
    return await db.exec(text(statement).bindparams(**values))


async def test_it_is_not_sent_twice_and_not_by_others(visit_as: VisitAs, cast: Cast) -> None:
    ugo, ada = await visit_as(cast.ugo), await visit_as(cast.ada)
    file = await uploaded(ugo, reply_to(cast.printer.id))

    async def say(visit: Visit) -> None:
        async with visit.work() as db:
            await reply(db, visit.by, await ticket_by_number(db, cast.printer.number), 'Look', files=[file])

    with pytest.raises(Wrong, match='files'):
        await say(ada)
    both = await asyncio.gather(say(ugo), say(ugo), return_exceptions=True)
    assert [type(e) for e in both if e] == [Wrong]
    async with ugo.work() as db:
        said = [c for c in (await conversation(db, cast.printer.number)).comments if c.body == 'Look']
    assert len(said) == 1


async def test_no_client_puts_a_file_on_what_somebody_else_said(visit_as: VisitAs, cast: Cast) -> None:
    ugo = await visit_as(cast.ugo)
    file = await uploaded(ugo, reply_to(cast.printer.id))
    async with ugo.work() as db:
        theirs = next(c for c in (await conversation(db, cast.printer.number)).comments if c.author_id == cast.tess.user_id)
    with pytest.raises(DBAPIError):
        async with ugo.work() as db:
            statement = 'update file set ticket_id = :ticket, comment_id = :comment, place = null where id = :id'
            await run(db, statement, ticket=cast.printer.id, comment=theirs.id, id=file)


async def test_it_can_be_taken_back_before_it_is_sent(visit_as: VisitAs, cast: Cast) -> None:
    ugo, ada = await visit_as(cast.ugo), await visit_as(cast.ada)
    file = await uploaded(ugo, NEW_TICKET)
    with pytest.raises(NotFound):
        async with ada.work() as db:
            await remove_file(db, ada.by, file)
    async with ugo.work() as db:
        await remove_file(db, ugo.by, file)
    assert not await sees(ugo, file)
    async with ugo.work() as db:
        sent = (await db.exec(select(File.id).where(File.ticket_id == cast.printer.id))).first()
    assert sent
    with pytest.raises(NotFound):
        async with ugo.work() as db:
            await remove_file(db, ugo.by, sent)


async def test_nobody_uploads_to_a_ticket_they_do_not_see(visit_as: VisitAs, cast: Cast) -> None:
    for who, ticket in ((cast.bea, cast.printer), (cast.ada, cast.salary), (cast.stan, cast.printer)):
        with pytest.raises(NotFound):
            await uploaded(await visit_as(who), reply_to(ticket.id))


async def test_two_uploads_do_not_both_take_the_last_room(visit_as: VisitAs, cast: Cast) -> None:
    ugo, ada, mona = await visit_as(cast.ugo), await visit_as(cast.ada), await visit_as(cast.mona)
    results = await asyncio.gather(
        *(uploaded(v, NEW_TICKET, page(size=600_000)) for v in (ugo, ada, ugo, ada)), return_exceptions=True
    )
    assert [type(r) for r in results if isinstance(r, Exception)] == [NoRoom] * 3
    assert await taken(mona, cast) <= MB

    async with mona.work() as db:
        await set_file_quota(db, mona.by, await company_by_slug(db, 'acme'), 5)
    await uploaded(ugo, NEW_TICKET, page(size=600_000))
    with pytest.raises(Wrong, match='quota'):
        async with mona.work() as db:
            await set_file_quota(db, mona.by, await company_by_slug(db, 'acme'), -1)


async def test_staff_attach_files_before_they_have_chosen_the_company(visit_as: VisitAs, cast: Cast) -> None:
    tess, ugo = await visit_as(cast.tess), await visit_as(cast.ugo)
    file = await uploaded(tess, NEW_TICKET)
    async with tess.work() as db:
        ticket = await open_ticket(
            db, tess.by, company_id=cast.acme.id, requester_id=cast.ugo.user_id, subject='He called', text='About this', files=[file]
        )  # fmt: skip
    assert await sees(ugo, file)
    async with ugo.work() as db:
        assert [f.id for f in (await conversation(db, ticket.number)).files] == [file]


async def test_so_many_files_wait_at_once(visit_as: VisitAs, cast: Cast) -> None:
    ugo = await visit_as(cast.ugo)
    for _ in range(MOST_AT_ONCE):
        await uploaded(ugo, NEW_TICKET, page(size=0))
    with pytest.raises(Wrong, match='files'):
        await uploaded(ugo, NEW_TICKET, page(size=0))
