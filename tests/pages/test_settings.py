"""What people choose for themselves, on both sides."""

import re
from html import unescape
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from portal.db.cast import Cast, Member
from portal.domain.people import MAIL_EVENTS
from tests.visitor import Page, Visitor

EVERYTHING = list(MAIL_EVENTS)


def words(page: Page) -> str:
    return re.sub(r'\s+', ' ', unescape(re.sub(r'<[^>]+>', ' ', page.shown)))


def row(maintenance: str, who: Member) -> dict[str, Any]:
    with psycopg.connect(maintenance) as connection:
        found = connection.cursor(row_factory=dict_row).execute('select * from users where id = %s', (who.user_id,)).fetchone()
    assert found
    return found


async def settings(visitor: type[Visitor], who: Member) -> Page:
    return await visitor(who).get(f'{who.root}/settings')


async def save(page: Page, who: Member, **changes: Any) -> None:
    """As the form sends it."""
    values = {'name': who.name, 'language': 'en', 'timezone': 'Europe/Berlin', 'mail': EVERYTHING, **changes}
    form = next(i for i in page.islands if 'data-act="save"' in str(i.content))
    await page.send(form, {'act': 'save', 'key': None, 'values': values, 'number': 1})


async def test_everybody_finds_their_settings(visitor: type[Visitor], cast: Cast) -> None:
    for who in cast.members:
        page = await settings(visitor, who)
        assert page.status == 200
        assert who.email in words(page)
        assert 'Berlin (Europe)' in words(page)


@pytest.mark.parametrize('who', ['ada', 'ugo', 'tess', 'mona'])
async def test_a_name_is_changed(visitor: type[Visitor], cast: Cast, maintenance: str, who: str) -> None:
    me: Member = getattr(cast, who)
    await save(
        await settings(visitor, me), me, name='  Ada   <b>B.</b> ', email='evil@x.example', theme='dark', staff_role='MspAdmin'
    )
    after = row(maintenance, me)
    assert after['name'] == 'Ada <b>B.</b>'
    assert after['email'] == me.email
    assert after['theme'] == 'auto'
    page = await settings(visitor, me)
    assert 'value="Ada &lt;b&gt;B.&lt;/b&gt;"' in page.shown
    assert '<b>B.</b>' not in page.html


async def test_wrong_input_is_told_at_its_field_and_what_was_typed_stays(
    visitor: type[Visitor], cast: Cast, maintenance: str
) -> None:
    before = row(maintenance, cast.ada)
    page = await settings(visitor, cast.ada)
    await save(page, cast.ada, name='x' * 121, mail=['reply'])
    assert 'At most 120 letters, please.' in words(page)
    assert 'value="' + 'x' * 121 in page.shown
    assert re.search(r'id="mail-reply" name="mail" value="reply" checked', page.shown)
    assert not re.search(r'id="mail-status" name="mail" value="status" checked', page.shown)
    await save(page, cast.ada, name='')
    assert 'Please enter a name.' in words(page)
    await save(page, cast.ada, language='tlh')
    assert 'Choose a language.' in words(page)
    await save(page, cast.ada, timezone='Mars/Olympus_Mons')
    assert 'Choose a time zone.' in words(page)
    assert row(maintenance, cast.ada) == before


async def test_a_language_is_spoken_from_the_next_page_on(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    page = await settings(visitor, cast.ada)
    await save(page, cast.ada, language='de', timezone='Asia/Tokyo')
    after = row(maintenance, cast.ada)
    assert (after['language'], after['timezone']) == ('de', 'Asia/Tokyo')
    page = await settings(visitor, cast.ada)
    assert re.search(r'<html[^>]*lang="de"', page.html)
    assert re.search(r'value="de" selected', page.shown)
    assert re.search(r'value="Asia/Tokyo" selected', page.shown)


async def test_what_one_does_not_change_goes_on_following_the_tenant(
    visitor: type[Visitor], cast: Cast, maintenance: str
) -> None:
    await save(await settings(visitor, cast.bill), cast.bill, name='William Novak')
    after = row(maintenance, cast.bill)
    assert (after['language'], after['timezone']) == (None, None)


@pytest.mark.parametrize('who', ['ugo', 'finn'])
async def test_letters_are_switched_off_and_on(visitor: type[Visitor], cast: Cast, maintenance: str, who: str) -> None:
    me: Member = getattr(cast, who)
    page = await settings(visitor, me)
    assert page.shown.count('name="mail"') == len(MAIL_EVENTS)
    assert len(re.findall(r'name="mail" value="\w+" checked', page.shown)) == len(MAIL_EVENTS)
    await save(page, me, mail=['new_ticket', 'nonsense'])
    assert row(maintenance, me)['mail_off'] == ['reply', 'status']
    page = await settings(visitor, me)
    assert re.findall(r'name="mail" value="(\w+)" checked', page.shown) == ['new_ticket']
    await save(page, me, mail='reply')  # a single box comes as a text
    assert row(maintenance, me)['mail_off'] == ['new_ticket', 'status']
    await save(page, me, mail=EVERYTHING)
    assert row(maintenance, me)['mail_off'] == []


async def test_the_look_is_kept(visitor: type[Visitor], cast: Cast) -> None:
    assert re.search(r'value="auto" aria-pressed="true"', (await settings(visitor, cast.ada)).shown)
    await visitor(cast.ada).post('/me/theme', theme='dark')
    page = await settings(visitor, cast.ada)
    assert re.search(r'value="dark" aria-pressed="true"', page.shown)
    assert 'data-theme="dark"' in page.html


async def test_one_changes_nobody_else(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    others = [who for who in cast.members if who.user_id != cast.ugo.user_id]
    before = [row(maintenance, who) for who in others]
    await save(await settings(visitor, cast.ugo), cast.ugo, name='Ugo M.', language='de', mail=[])
    assert [row(maintenance, who) for who in others] == before
