"""The screen about how one signs in: the password and the second factors, on both sides."""

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pyotp
import pytest
from argon2 import PasswordHasher

from portal.db.cast import PASSWORD, Cast, Member
from portal.settings import Settings
from tests.factors import Phone, stale
from tests.visitor import Page, Visitor

NEW = 'moss-lantern-quarry-eleven'
Look = Callable[[Member], Any]


def words(page: Page) -> str:
    return re.sub(r'\s+', ' ', unescape(re.sub(r'<[^>]+>', ' ', page.shown)))


async def security(visitor: type[Visitor], who: Member, query: str = '') -> Page:
    return await visitor(who).get(f'{who.root}/settings/security{query}')


async def new_app(visitor: type[Visitor], who: Member) -> Page:
    return await visitor(who).get(f'{who.root}/settings/security/app')


def asked(maintenance: str, question: str, *values: Any) -> list[Any]:
    with psycopg.connect(maintenance, autocommit=True) as c:
        return c.execute(question, values).fetchall()  # pyright: ignore


def hash_of(maintenance: str, who: Member) -> str:
    return asked(maintenance, 'select password_hash from credential where user_id = %s', who.user_id)[0][0]


async def confirm(page: Page, **values: str) -> None:
    """As the form sends it."""
    form = next(i for i in page.islands if 'data-act="confirm"' in str(i.content))
    await page.send(form, {'act': 'confirm', 'key': None, 'values': values, 'number': 1})


def led_to(page: Page) -> str:
    """Where the server sends the open page."""
    assert page.client
    found = [str(message) for message in page.client.outbox.messages if 'confirm' in str(message)]
    return found[-1] if found else ''


# ---------- the password ----------


@pytest.mark.parametrize('who', ['ada', 'tess'])
async def test_the_password_is_changed(visitor: type[Visitor], cast: Cast, maintenance: str, who: str) -> None:
    me: Member = getattr(cast, who)
    page = await security(visitor, me)
    await page.act('open-password')
    await page.act('change-password', current=PASSWORD, password=NEW)
    assert PasswordHasher().verify(hash_of(maintenance, me), NEW)
    assert 'name="password"' not in page.shown
    assert NEW not in page.shown


async def test_the_present_one_is_asked_for_even_after_a_fresh_proof(
    visitor: type[Visitor], cast: Cast, maintenance: str
) -> None:
    before = hash_of(maintenance, cast.ada)
    page = await security(visitor, cast.ada)
    await page.act('open-password')
    for current in ('', 'wrong'):
        await page.act('change-password', current=current, password=NEW)
        assert re.search(r'<input[^>]*name="current"[^>]*aria-invalid="true"', page.shown)
        assert NEW not in page.shown
    assert hash_of(maintenance, cast.ada) == before


async def test_the_right_present_one_is_the_fresh_proof(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    stale(maintenance, cast.ada)
    page = await security(visitor, cast.ada)
    await page.act('open-password')
    await page.act('change-password', current=PASSWORD, password=NEW)
    assert PasswordHasher().verify(hash_of(maintenance, cast.ada), NEW)


async def test_but_not_of_who_has_a_factor(visitor: type[Visitor], cast: Cast, maintenance: str, settings: Settings) -> None:
    """Whoever sits at a forgotten session and knows the password still lacks the phone."""
    before = hash_of(maintenance, cast.ada)
    Phone(maintenance, settings, cast.ada)
    stale(maintenance, cast.ada)
    page = await security(visitor, cast.ada)
    await page.act('open-password')
    assert 'name="current"' not in page.shown
    section = next(i for i in page.islands if 'open-password' in str(i.content))
    await page.send(
        section, {'act': 'change-password', 'key': None, 'values': {'current': PASSWORD, 'password': NEW}, 'number': 1}
    )
    assert hash_of(maintenance, cast.ada) == before


@pytest.mark.parametrize(('factor', 'least'), [(False, 15), (True, 8)])
async def test_it_may_be_shorter_with_a_factor(
    visitor: type[Visitor], cast: Cast, maintenance: str, settings: Settings, factor: bool, least: int
) -> None:
    if factor:
        Phone(maintenance, settings, cast.ada)
    page = await security(visitor, cast.ada)
    await page.act('open-password')
    await page.act('change-password', current=PASSWORD, password='zQ7')
    assert f'At least {least} characters' in words(page)
    await page.act('change-password', current=PASSWORD, password='vK9#tQw2z')
    alone = asked(maintenance, 'select alone from credential where user_id = %s', cast.ada.user_id)
    assert alone == [(not factor,)]
    assert ('name="password"' in page.shown) is not factor


async def test_who_has_none_sets_one(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute('delete from credential where user_id = %s', (cast.bill.user_id,))
    page = await security(visitor, cast.bill)
    assert 'You have none' in words(page)
    await page.act('open-password')
    assert 'name="current"' not in page.shown
    await page.act('change-password', password=NEW)
    assert PasswordHasher().verify(hash_of(maintenance, cast.bill), NEW)


# ---------- second factors ----------


@pytest.mark.parametrize('who', ['ugo', 'mona'])
async def test_an_app_is_set_up(visitor: type[Visitor], cast: Cast, maintenance: str, who: str) -> None:
    me: Member = getattr(cast, who)
    assert 'None yet' in words(await security(visitor, me))
    page = await new_app(visitor, me)
    secret = re.search(r'data-copy="([A-Z2-7]{32})"', page.shown)
    assert secret
    assert 'class="qr"' in page.shown
    await confirm(page, code='000 000', name='Phone')
    assert re.search(r'<input[^>]*name="code"[^>]*aria-invalid="true"', page.shown)
    await confirm(page, code=pyotp.TOTP(secret[1]).now(), name='  Blue <b>phone</b> ')  # pyright: ignore
    codes = re.findall(r'<li>([A-Z2-7-]{29})</li>', page.shown)
    assert len(set(codes)) == 10
    assert secret[1] not in page.shown
    after = await security(visitor, me)
    assert 'Blue &lt;b&gt;phone&lt;/b&gt;' in after.shown
    assert '10 of 10 left' in words(after)
    assert not any(code in after.html for code in codes)


async def test_the_qr_code_says_whose_account_it_is(visitor: type[Visitor], cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    import segno

    make = segno.make
    monkeypatch.setattr(
        'portal.pages.settings.new_app.segno.make', lambda content, **more: drawn.append(content) or make(content, **more)
    )
    await new_app(visitor, cast.ada)
    found = urlsplit(drawn[0])
    assert (found.scheme, found.netloc) == ('otpauth', 'totp')
    assert unescape(found.path).endswith('ada%40acme.example')
    assert parse_qs(found.query)['issuer'] == [cast.northwind.name]


async def test_after_fifteen_minutes_it_begins_with_a_proof(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    stale(maintenance, cast.ada)
    page = await new_app(visitor, cast.ada)
    assert 'class="qr"' not in page.html
    await page.act('begin')
    assert 'class="qr"' not in page.shown
    assert '/auth/confirm?next=%2Fclient-portal%2Facme%2Fsettings%2Fsecurity%2Fapp' in led_to(page)


async def test_an_app_is_removed_by_its_name(visitor: type[Visitor], cast: Cast, maintenance: str, settings: Settings) -> None:
    old, new = Phone(maintenance, settings, cast.ada, 'Old phone'), Phone(maintenance, settings, cast.ada, 'New phone')
    page = await security(visitor, cast.ada)
    await page.act('remove', str(old.id))
    assert 'Remove Old phone?' in words(page)
    await page.act('really')
    assert asked(maintenance, 'select id from totp where user_id = %s', cast.ada.user_id) == [(new.id,)]
    assert 'Old phone' not in words(page)


async def test_without_a_fresh_proof_nothing_is_removed(
    visitor: type[Visitor], cast: Cast, maintenance: str, settings: Settings
) -> None:
    phone = Phone(maintenance, settings, cast.ada)
    page = await security(visitor, cast.ada)
    await page.act('remove', str(phone.id))
    stale(maintenance, cast.ada)
    await page.act('really')
    assert len(asked(maintenance, 'select id from totp where user_id = %s', cast.ada.user_id)) == 1
    assert '/auth/confirm' in led_to(page)


async def test_anothers_app_is_not_there(visitor: type[Visitor], cast: Cast, maintenance: str, settings: Settings) -> None:
    theirs, _mine = Phone(maintenance, settings, cast.bea), Phone(maintenance, settings, cast.ada)
    page = await security(visitor, cast.ada)
    await page.act('remove', str(theirs.id))
    assert 'remove-factor' not in page.shown
    for key in ('', 'x', str(theirs.id)):
        section = next(i for i in page.islands if 'data-act="new-codes"' in str(i.content))
        await page.send(section, {'act': 'really', 'key': key, 'values': {}, 'number': 1})
    assert len(asked(maintenance, 'select id from totp where user_id = %s', cast.bea.user_id)) == 2  # one of them half set up


async def test_new_recovery_codes_are_shown_once(
    visitor: type[Visitor], cast: Cast, maintenance: str, settings: Settings
) -> None:
    Phone(maintenance, settings, cast.ada)
    page = await security(visitor, cast.ada)
    assert 'None left' in words(page)
    await page.act('new-codes')
    codes = re.findall(r'<li>([A-Z2-7-]{29})</li>', page.shown)
    assert len(codes) == 10
    await page.act('codes-kept')
    assert not any(code in page.shown for code in codes)
    assert '10 of 10 left' in words(page)


async def test_who_came_by_a_recovery_code_is_told_what_is_left(
    visitor: type[Visitor], cast: Cast, maintenance: str, settings: Settings
) -> None:
    Phone(maintenance, settings, cast.ada).recovery_codes(3)
    assert 'You came in with a recovery code. 3 are left.' in words(await security(visitor, cast.ada, '?recovery=used'))
