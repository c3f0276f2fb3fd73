"""The ticket's page of both sides: what is said at the field, who is led away, and two who are at it at once."""

import asyncio

import psycopg
import pytest

from portal import live, writing
from portal.db.cast import SECRET, Cast
from portal.domain.base import uuid7
from portal.pages.staff import categories
from portal.visit import arriving
from tests.pages.test_live import shows
from tests.visitor import Page, Visitor


async def staff_page(visitor: type[Visitor], who: object, cast: Cast) -> Page:
    return await visitor(who).get(f'/msp/tickets/{cast.printer.label}')


async def client_page(visitor: type[Visitor], who: object, ticket: object) -> Page:
    return await visitor(who).get(f'/client-portal/acme/tickets/{ticket.label}')  # type: ignore[attr-defined]


async def test_the_second_hears_at_the_field_who_set_what(visitor: type[Visitor], cast: Cast) -> None:
    tess, mona = await staff_page(visitor, cast.tess, cast), await staff_page(visitor, cast.mona, cast)
    await tess.act('priority', priority='high', shown='normal')
    await mona.act('priority', priority='low', shown='normal')
    assert 'Tess Okafor set this to “High”' in mona.shown
    assert 'data-v-priority="low" data-v-shown="high"' in mona.shown
    await mona.act('priority', priority='low', shown='high')
    assert 'Mona Reyes set the priority to Low' in mona.shown
    assert 'set this to' not in mona.shown


async def test_the_second_who_takes_it_is_asked(visitor: type[Visitor], cast: Cast) -> None:
    mona = await visitor(cast.mona).get(f'/msp/tickets/{cast.scanners.label}')
    tess = await visitor(cast.tess).get(f'/msp/tickets/{cast.scanners.label}')
    await tess.act('take', shown='')
    await mona.act('take', shown='')
    assert 'Tess Okafor set this to “Tess Okafor”' in mona.shown
    assert 'Set it to “Mona Reyes” all the same' in mona.shown


async def test_an_answer_of_a_colleague_is_shown_before_sending(visitor: type[Visitor], cast: Cast) -> None:
    tess, mona = await staff_page(visitor, cast.tess, cast), await staff_page(visitor, cast.mona, cast)
    seen = str(_value(mona, 'seen'))
    await tess.act('say', body='Tess was faster', kind='reply', do='reply', seen=seen)
    await mona.act('say', body='Mona, too', kind='reply', do='reply', seen=seen)
    assert 'Tess Okafor answered' in mona.shown
    assert 'Send anyway' in mona.shown
    assert '>\nMona, too</textarea>' in mona.shown
    await mona.act('keep-editing')
    assert 'Send anyway' not in mona.shown
    assert '>\nMona, too</textarea>' in mona.shown
    await mona.act('say', body='Mona, too', kind='reply', do='reply', seen=_value(mona, 'seen'))
    assert '<p>Mona, too</p>' in mona.shown


async def test_sent_again_after_the_page_was_lost_it_is_said_once(visitor: type[Visitor], cast: Cast) -> None:
    ugo = await client_page(visitor, cast.ugo, cast.printer)
    sending = _value(ugo, 'sending')
    await ugo.act('reply', body='Only once', sending=sending, seen=_value(ugo, 'seen'))
    later = await client_page(visitor, cast.ugo, cast.printer)
    await later.act('reply', body='Only once', sending=sending, seen=_value(later, 'seen'))
    assert later.shown.count('<p>Only once</p>') == 1
    assert _value(later, 'sending') != sending


def _value(page: Page, name: str) -> str:
    return page.shown.partition(f'name="{name}" value="')[2].partition('"')[0]


async def test_staff_see_who_is_writing_and_clients_do_not(visitor: type[Visitor], cast: Cast) -> None:
    mona, ugo = await staff_page(visitor, cast.mona, cast), await client_page(visitor, cast.ugo, cast.printer)
    before = ugo.shown
    await live.heard(f'writing:{cast.printer.id}:{cast.tess.user_id}:note')
    await live.heard(f'writing:{cast.printer.id}:{cast.stan.user_id}:reply')  # of another tenant: a name nobody here knows
    await live.heard('writing:nonsense')
    await shows(mona, 'Tess Okafor is writing a note')
    assert 'Stan' not in mona.shown
    await live.heard(f'writing:{cast.printer.id}:{cast.tess.user_id}:')
    async with asyncio.timeout(5):
        while 'is writing' in mona.shown:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert ugo.shown == before


async def test_writing_is_told_with_the_first_words(visitor: type[Visitor], cast: Cast) -> None:
    tess = await staff_page(visitor, cast.tess, cast)
    seen = _value(tess, 'seen')
    await tess.act('writing', body='Dear', kind='reply', seen=seen, sending=_value(tess, 'sending'))
    await live.heard(f'writing:{cast.printer.id}:{cast.tess.user_id}:reply')
    assert writing.writers(cast.printer.id) == {cast.tess.user_id: 'reply'}
    other = await staff_page(visitor, cast.mona, cast)
    await other.act('say', body='Between us', kind='note', do='note')
    await live.heard(f'note:{cast.printer.id}')
    await shows(tess, 'Between us')
    assert _value(tess, 'seen') == seen  # what came after the first words was not known to who wrote them


async def test_whoever_was_taken_out_is_led_away(visitor: type[Visitor], cast: Cast) -> None:
    bill, ugo = await client_page(visitor, cast.bill, cast.salary), await client_page(visitor, cast.ugo, cast.salary)
    await ugo.act('take-out', key=str(cast.bill.user_id))
    seeing = ugo.shown.partition('Who can see this')[2].partition('Share with a person')[0]
    assert 'Ugo Marchetti' in seeing
    assert 'Bill Novak' not in seeing
    led: list[str] = []
    assert bill.client
    stage = next(e for e in bill.client.elements.values() if type(e).__name__ == 'Stage')
    stage.lead_to = led.append  # type: ignore[attr-defined, method-assign]
    await live.heard(f'ticket:{cast.salary.id}')
    async with asyncio.timeout(5):
        while not led:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert led == ['/client-portal/acme/tickets']


async def test_who_has_it_open_when_it_becomes_private_is_written_down(
    visitor: type[Visitor], cast: Cast, maintenance: str
) -> None:
    """Also where a colleague's page has read it for both."""
    pages = [await staff_page(visitor, who, cast) for who in (cast.tess, cast.mona)]
    with psycopg.connect(maintenance) as c:
        c.execute("update ticket set visibility = 'private' where id = %s", (cast.printer.id,))
    await live.heard(f'ticket:{cast.printer.id}')
    for page in pages:
        await shows(page, 'Only the people in it')
    asked = "select actor_id from audit where action = 'ticket.private_read' and subject_id = %s"
    async with asyncio.timeout(5):
        while True:
            with psycopg.connect(maintenance) as c:
                readers = [row[0] for row in c.execute(asked, (cast.printer.id,)).fetchall()]
            if len(readers) == 2:
                break
            await asyncio.sleep(0.01)
    assert set(readers) == {cast.tess.user_id, cast.mona.user_id}


async def test_a_client_cannot_do_what_the_page_does_not_offer(visitor: type[Visitor], cast: Cast) -> None:
    """Ada sends the acts of staff, and those of the one whose ticket it is."""
    ada = await client_page(visitor, cast.ada, cast.printer)
    island = next(i for i in ada.islands if 'data-act="add-people"' in str(i.content))
    for name, values in (
        ('requester', {'requester': str(cast.ada.user_id)}), ('category', {'category': ''}), ('assign', {'assignee': ''}),
        ('visibility', {'visibility': 'private'}), ('subject', {'subject': 'Mine'}), ('solve', {}), ('priority', {'priority': 'low'}),
    ):  # fmt: skip
        await ada.send(island, {'act': name, 'key': None, 'values': values, 'number': 1})
    now = await client_page(visitor, cast.ugo, cast.printer)
    assert now.shown.count('class="happened"') == ada.shown.count('class="happened"') == 0
    assert 'Kyocera at reception prints blank pages' in now.shown
    assert SECRET not in now.shown


async def test_a_page_that_did_not_hear_of_another_role_does_nothing_with_the_old_one(
    visitor: type[Visitor], cast: Cast, maintenance: str
) -> None:
    """Nobody tells pages here, as when the listener has lost the database. Tess has a ticket open, and is in finance since."""
    page = await staff_page(visitor, cast.tess, cast)
    with psycopg.connect(maintenance) as c:
        c.execute("update users set staff_role = 'Finance' where id = %s", (cast.tess.user_id,))
    await page.act('priority', priority='urgent', shown='normal')
    with psycopg.connect(maintenance) as c:
        assert c.execute('select priority from ticket where id = %s', (cast.printer.id,)).fetchone() == ('normal',)
    assert page.client
    assert page.client.is_deleted
    again = await staff_page(visitor, cast.tess, cast)
    assert again.status == 200
    assert 'data-act="priority"' not in again.html


async def test_subject_and_visibility_by_who_asked(visitor: type[Visitor], cast: Cast) -> None:
    ugo = await client_page(visitor, cast.ugo, cast.printer)
    assert 'Not any more: Mel Duarte.' in ugo.shown
    await ugo.act('subject', subject=' ', shown='Kyocera at reception prints blank pages')
    assert 'Say in one sentence what it is about.' in ugo.shown
    await ugo.act('subject', subject='Blank pages', shown='Kyocera at reception prints blank pages')
    await ugo.act('visibility', visibility='private', shown='company')
    assert 'Ugo Marchetti made the ticket private' in ugo.shown
    assert 'before it was “Kyocera at reception prints blank pages”' in ugo.shown
    mel = await client_page(visitor, cast.mel_acme, cast.printer)
    assert mel.status == 404


async def test_only_what_was_said(visitor: type[Visitor], cast: Cast) -> None:
    tess = await staff_page(visitor, cast.tess, cast)
    for n in range(8):
        await tess.act('priority', priority=('low', 'high')[n % 2])
    assert 'Tess Okafor set the priority' in tess.shown
    await tess.act('show', to='said')
    assert 'Tess Okafor set the priority' not in tess.shown
    assert 'The paper comes out' in tess.shown


@pytest.mark.parametrize('act', ['up', 'down', 'archive', 'rename', 'restore', 'ask-name'])
async def test_categories_take_nothing_odd(visitor: type[Visitor], cast: Cast, act: str) -> None:
    mona = await visitor(cast.mona).get('/msp/categories')
    island = next(i for i in mona.islands if 'data-act="add"' in str(i.content))
    before = mona.shown
    for key in (None, 'x', str(uuid7())):
        await mona.send(island, {'act': act, 'key': key, 'values': {}, 'number': 1})
    assert mona.shown == before


async def test_mona_adds_moves_renames_and_archives(visitor: type[Visitor], cast: Cast) -> None:
    mona = await visitor(cast.mona).get('/msp/categories')
    arrival = await arriving(cast.mona.cookie)
    assert arrival
    async with arrival.staff().work() as db:
        first = (await categories.categories(db))[0]
    await _add(mona, 'printing')
    assert 'There is a category of this name already.' in mona.shown
    assert 'value="printing"' in mona.shown
    await _add(mona, 'Cameras')
    await mona.act('down', key=str(first.id))
    assert mona.shown.index('>E-mail<') < mona.shown.index('>Printing<')
    await mona.act('ask-name', key=str(first.id))
    await mona.act('rename', key=str(first.id), to='Cameras')
    assert 'There is a category of this name already.' in mona.shown
    await mona.act('rename', key=str(first.id), to='Paper')
    await mona.act('archive', key=str(first.id))
    assert 'Paper' in mona.shown.partition('Archived')[2]


async def _add(page: Page, name: str) -> None:
    island = next(i for i in page.islands if 'data-act="add"' in str(i.content))
    await page.send(island, {'act': 'add', 'key': None, 'values': {'name': name}, 'number': 1})
