"""Search, told with the named cast: what is found, in what order, and what nobody learns by it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from portal.db.cast import SECRET, Cast, Member
from portal.domain.tickets import Where, listing, note, open_ticket, reply, ticket_by_number
from portal.domain.tickets.searching import Found, passages, search
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]
Look = Callable[[Member, str], Awaitable[Found]]


@pytest.fixture
def look(visit_as: VisitAs) -> Look:
    async def found(who: Member, words: str) -> Found:
        async with (await visit_as(who)).work() as db:
            return await search(db, words)

    return found


async def says(visit_as: VisitAs, who: Member, subject: str, body: str = 'Thank you.', **more: Any) -> UUID:
    visit = await visit_as(who)
    async with visit.work() as db:
        asked = {'company_id': who.company_id, 'requester_id': who.user_id, 'subject': subject, 'text': body}
        return (await open_ticket(db, visit.by, **asked, **more)).id


@pytest.mark.parametrize(
    'words', ['kyocera', 'KYOC', 'blank copying', 'copying kyocera', 'T-{n}', 't{n}', '{n}', 'kyocera!', 'K\x00yocera']
)
async def test_words_of_subject_and_text_and_the_number(look: Look, cast: Cast, words: str) -> None:
    found = await look(cast.ada, words.format(n=cast.printer.number))
    assert (found.ids[0], found.how) == (cast.printer.id, 'all')


async def test_accents_and_case_do_not_matter(look: Look, visit_as: VisitAs, cast: Cast) -> None:
    ticket = await says(visit_as, cast.ada, 'Röntgenbild-Archiv ist zu langsam', 'Café São Straße')
    for words in ('rontgen', 'RÖNTGENBILD', 'archiv rontgenbild', 'cafe sao', 'strasse'):
        assert (await look(cast.ada, words)).ids == [ticket], words


async def test_staff_find_by_company_and_requester_and_in_notes(look: Look, cast: Cast) -> None:
    assert (await look(cast.tess, 'bolt scanners')).ids == [cast.scanners.id]
    assert cast.scanners.id in (await look(cast.tess, 'Lindqvist')).ids
    assert {cast.printer.id, cast.scanners.id} == set((await look(cast.tess, SECRET)).ids)
    assert (await look(cast.stan, SECRET)).ids == [cast.oven.id]


async def test_the_best_comes_first(look: Look, visit_as: VisitAs, cast: Cast) -> None:
    """The subject before the text, the words side by side before apart, all of them before some."""
    apart = await says(visit_as, cast.ada, 'Toner', 'The drum has no paper and the cassette is empty.')
    phrase = await says(visit_as, cast.ada, 'Message', 'It says: paper cassette')
    subject = await says(visit_as, cast.ada, 'Paper for the cassette', 'Please order.')
    some = await says(visit_as, cast.ada, 'Cassette')
    for _ in range(3):  # newer, but said on the way only
        await says(visit_as, cast.ada, 'Order', 'cassette')
    assert (await look(cast.ada, 'paper cassette')).ids == [subject, phrase, apart]
    assert (await look(cast.ada, 'cassette')).ids[:2] == [some, subject]


async def test_a_typing_error_is_put_right(look: Look, visit_as: VisitAs, cast: Cast) -> None:
    ticket = await says(visit_as, cast.ada, 'The printer in room 4')
    found = await look(cast.ada, 'pritner room')
    assert found == Found([ticket], 'printer room', 'alike')
    assert (await look(cast.tess, 'kyocrea')).words == 'kyocera'


async def test_some_words_are_better_than_nothing(look: Look, cast: Cast) -> None:
    found = await look(cast.ada, 'kyocera xylophone')
    assert (found.ids, found.how) == ([cast.printer.id], 'some')


@pytest.mark.parametrize(
    'words',
    [
        '',
        ' ',
        ':*',
        "'",
        '\\',
        "a' | 'b",
        '!&|()<->',
        '"',
        '%_',
        '\x00',
        '-' * 300,
        'x' * 10_000,
        'a:* ' * 5_000,
        '٣',
        '😀',
        "');--",
        '\ud800',
        '\U0001d160' * 200,
    ],
)
@pytest.mark.parametrize('who', ['ada', 'tess'])
async def test_nothing_one_types_is_an_error(look: Look, cast: Cast, who: str, words: str) -> None:
    await look(getattr(cast, who), words)


# ---------- what nobody learns ----------


@pytest.mark.parametrize(
    ('who', 'words'),
    [
        ('ada', 'fuser van'), ('ada', 'fuser'), ('ada', 'fusre'), ('ada', 'salary'), ('ada', 'salray statement'), ('mel_acme', 'payroll'),
        ('mel_acme', 'Wagenknecht'), ('mel_acme', 'payrol'), ('ugo', 'certificate'), ('ugo', 'certifcate'), ('bill', 'kyocera'),
        ('bill', 'kyocrea'), ('bea', 'kyocera'), ('bea', 'kyocrea'), ('mel_bolt', 'scanners'), ('mel_bolt', 'scaners'),
        ('mel_bolt', 'kyocera'), ('cleo', 'scanners'), ('stan', 'scanners'), ('stan', 'kyocrea'), ('ada', 'Okafor'), ('ada', 'Marchetti'),
    ],
)  # fmt: skip
async def test_what_one_may_not_see_is_neither_found_nor_suggested(look: Look, cast: Cast, who: str, words: str) -> None:
    assert await look(getattr(cast, who), words) == Found([], words, 'some')


async def test_a_note_and_a_private_ticket_teach_no_words(look: Look, visit_as: VisitAs, cast: Cast) -> None:
    """Ada does not get Mel's private word put right; Mel, whose ticket it is, finds it when it is written as it stands."""
    await says(visit_as, cast.mel_acme, 'Severance agreement', visibility='private')
    assert not (await look(cast.ada, 'severnace')).ids
    assert len((await look(cast.mel_acme, 'severance')).ids) == 1
    tess = await visit_as(cast.tess)
    async with tess.work() as db:
        await note(db, tess.by, await ticket_by_number(db, cast.printer.number, lock=True), 'Contract ends: refurbish')
    assert not (await look(cast.ada, 'refurbsih')).ids


async def test_private_tickets_crowd_nothing_out(look: Look, cast: Cast, maintenance: str) -> None:
    """Many of Acme's tickets say it, the newest of them in private: Ada is shown as many as if those were not there."""
    with psycopg.connect(maintenance) as c:
        c.execute(
            """insert into ticket (id, tenant_id, company_id, number, subject, status, priority, visibility, requester_id, author_id,
                                   changed_at)
               select gen_random_uuid(), %(tenant)s, %(company)s, 5000 + n, 'Quarterly zeppelin', 'open', 'normal',
                 case when n > 230 then 'private' else 'company' end, %(bill)s, %(bill)s, now() + n * interval '1 second'
               from generate_series(1, 260) n""",
            {'tenant': cast.northwind.id, 'company': cast.acme.id, 'bill': cast.bill.user_id},
        )
    everyone, ada = (await look(cast.tess, 'zeppelin')).ids, (await look(cast.ada, 'zeppelin')).ids
    assert (len(everyone), len(ada)) == (200, 200)


async def test_passages_carry_no_note(visit_as: VisitAs, cast: Cast) -> None:
    ada, tess = await visit_as(cast.ada), await visit_as(cast.tess)
    async with ada.work() as db:
        assert await passages(db, [cast.printer.id, cast.scanners.id], f'{SECRET} blank') == {
            cast.printer.id: ('The paper comes out **blank**.', False)
        }
    async with tess.work() as db:
        text_, internal = (await passages(db, [cast.printer.id], SECRET))[cast.printer.id]
    assert internal
    assert SECRET in text_


async def test_what_is_said_later_is_found_and_a_changed_subject_too(
    look: Look, visit_as: VisitAs, cast: Cast, maintenance: str
) -> None:
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        await reply(db, ada.by, await ticket_by_number(db, cast.printer.number, lock=True), 'The drum is worn')
    assert (await look(cast.ugo, 'drum')).ids == [cast.printer.id]
    with psycopg.connect(maintenance) as c:
        c.execute("update ticket set subject = 'Photocopier' where id = %s", (cast.printer.id,))
    assert (await look(cast.ugo, 'photocopier')).ids == [cast.printer.id]
    assert not (await look(cast.ugo, 'kyocera')).ids
    assert (await look(cast.ugo, 'drum')).ids == [cast.printer.id]


async def test_the_list_shows_the_best_first_page_by_page(visit_as: VisitAs, cast: Cast) -> None:
    for n in range(7):
        await says(visit_as, cast.ada, f'Calendar entry {n}')
    ada = await visit_as(cast.ada)
    where, seen = Where(group='all', words='calendar', sort='best'), list[Any]()
    async with ada.work() as db:
        whole = (await search(db, 'calendar')).ids
        while True:
            page = await listing(db, where, most=3)
            seen += [row.id for row in page.rows]
            if not page.older:
                break
            where = replace(where, cursor=page.older)
        assert seen == whole
        back = await listing(db, replace(where, cursor=page.newer), most=3)
        assert [row.id for row in back.rows] == whole[len(whole) - len(page.rows) - 3 : len(whole) - len(page.rows)]


async def test_the_worker_and_a_foreign_role_find_nothing(portal: Any, cast: Cast) -> None:
    async with portal.engines['client'].connect() as connection:
        with pytest.raises(DBAPIError, match='no context'):
            await connection.execute(text("select app.search_tickets('kyocera', 5)"))
    async with portal.engines['worker'].connect() as connection:
        with pytest.raises(DBAPIError, match='permission denied'):
            await connection.execute(text("select app.search_tickets('kyocera', 5)"))
