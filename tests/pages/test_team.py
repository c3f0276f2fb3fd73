"""The MSP's own people, as its admin sees and changes them."""

import re
from html import unescape
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest
from nicegui import core

from portal import i18n, links, live, visit
from portal.db.cast import Cast, Member
from portal.domain.people import Tenant, User
from portal.mail.writing import Facts, write
from portal.settings import Settings
from tests.visitor import Page, Visitor

NEW = 'moss-lantern-quarry-eleven'
STAFF = '/auth/msp/signin'
Someone = type[Visitor]


def words(page: Page) -> str:
    """What one reads on it."""
    return re.sub(r'\s+', ' ', unescape(re.sub(r'<[^>]+>', ' ', page.shown)))


async def do(page: Page, act: str, key: UUID | str | None = None, **values: str) -> None:
    """As `page.act`, for forms with a field called `name`; also for what is not (yet) asked in the dialog."""
    islands = [i for i in page.islands if 'people-table' in str(i.content)]
    island = next((i for i in page.islands if f'data-act="{act}"' in str(i.content)), islands[0])
    await page.send(island, {'act': act, 'key': str(key) if key else None, 'values': values, 'number': 1})


def ask(maintenance: str, question: str, *values: Any) -> list[Any]:
    with psycopg.connect(maintenance, autocommit=True) as connection:
        return connection.execute(question, values).fetchall()  # pyright: ignore[reportArgumentType, reportCallIssue]


def user_of(maintenance: str, cast: Cast, email: str) -> UUID:
    return ask(maintenance, 'select id from users where tenant_id = %s and email = %s', cast.northwind.id, email)[0][0]


async def team(visitor: Someone, who: Member) -> Page:
    return await visitor(who).get('/msp/team')


async def test_the_list_says_who_is_there_and_what_they_may_do(visitor: Someone, cast: Cast) -> None:
    page = await team(visitor, cast.mona)
    assert page.status == 200
    seen = words(page)
    assert 'Finn Lund finn@northwind.example Finance Active' in seen
    assert 'Mona Reyes mona@northwind.example MSP admin Active' in seen
    assert 'Tess Okafor tess@northwind.example Technician Active' in seen
    assert 'Stan Ito' not in page.html
    assert 'Ada Brandt' not in page.html
    assert '<details class="stack add-person">' in page.shown
    assert re.search(r'<a[^>]+href="/msp/team"[^>]*aria-current="page"', page.shown)
    assert f'person-{cast.tess.user_id}' in page.shown
    assert f'person-{cast.mona.user_id}' not in page.shown  # no menu for oneself


async def test_inviting_stands_before_adding(visitor: Someone, cast: Cast) -> None:
    page = await team(visitor, cast.stan)
    assert words(page).index('Invite people') < words(page).index('Add without an invitation')
    assert 'Whoever should say yes first is <a href="/msp/team/invite">invited</a>' in page.shown


async def test_mona_adds_theo_who_sets_a_password_and_works(
    visitor: Someone, cast: Cast, settings: Settings, maintenance: str
) -> None:
    page = await team(visitor, cast.mona)
    await do(page, 'add', name='Theo Vance', email='Theo@Northwind.example', role='Technician')
    assert re.search('Theo Vance theo@northwind.example Technician Invited, link good until .{3,20} Send again', words(page))
    mail = await visitor(cast.mona).get('/msp/mail')
    assert 'Welcome, with a link to choose a password Theo Vance theo@northwind.example' in words(mail)

    theo = user_of(maintenance, cast, 'theo@northwind.example')
    link = await _link_in_the_letter(cast, settings, theo)
    somebody = visitor(host=cast.northwind.host)
    shown = await somebody.get(f'{urlsplit(link).path}?{urlsplit(link).query}')
    assert shown.status == 200
    assert 'Theo Vance' in shown.html
    done = await somebody.post(urlsplit(link).path, token=link.partition('token=')[2], password=NEW)
    assert (done.status, done.answer.headers['location']) == (303, f'{STAFF}?why=set')
    came = await somebody.post(STAFF, email='theo@northwind.example', password=NEW)
    assert came.status == 303
    assert (await somebody.get('/')).answer.headers['location'] == '/msp'
    queue = await somebody.get('/msp')
    assert queue.status == 200
    assert 'Kyocera at reception prints blank pages' in queue.html
    assert (await somebody.get('/msp/team')).status == 403
    again = await somebody.post(urlsplit(link).path, token=link.partition('token=')[2], password=NEW)
    assert again.status == 410  # it works once


async def _link_in_the_letter(cast: Cast, settings: Settings, user: UUID) -> str:
    """Written as the job writes it (tests/test_mail.py sends such letters)."""
    row = await visit.database.ask('select name, email, mark from app.person_for_reset(:tenant, :user)', tenant=cast.northwind.id, user=user)  # fmt: skip
    token = links.password_token(settings, cast.northwind.id, user, 'welcome', row.mark)
    tenant = Tenant(id=cast.northwind.id, name=cast.northwind.name, short_name='Northwind', host=cast.northwind.host)
    to = User(id=user, email=row.email, name=row.name, user_type='internal', staff_role='Technician')
    origin = f'http://{cast.northwind.host}'
    address = f'{origin}/auth/password-reset/set-new-password?token={token}'
    with i18n.speaking(i18n.Voice('en', 'UTC')):
        written = write(Facts('welcome', to, tenant, origin, link=address, hours=links.AGES['welcome'] // 3600))
    assert 'Northwind IT has set up access to its client portal for you, as one of its staff.' in written.text
    assert 'The link works for 7 days.' in written.text
    assert ', for .' not in written.text
    [found] = re.findall(r'https?://\S+', written.text)
    return found


async def test_wrong_input_is_told_at_its_field_and_stays(visitor: Someone, cast: Cast) -> None:
    page = await team(visitor, cast.mona)
    await do(page, 'add', name='Theo', email='theo at northwind', role='Finance')
    assert re.search('This does not look like an e-mail address|Please enter an e-mail address', words(page))
    assert 'value="Theo"' in page.shown
    assert 'value="theo at northwind"' in page.shown
    assert re.search(r'value="Finance" checked', page.shown)
    assert '<details class="stack add-person" open>' in page.shown
    await do(page, 'add', name='Theo', email='theo@northwind.example', role='ClientAdmin')
    assert 'Choose a role.' in words(page)
    await do(page, 'add', name='Ada', email='ada@acme.example', role='Technician')
    assert 'This is the address of Ada Brandt, a client. Staff need an address of their own.' in words(page)
    await do(page, 'add', name='Tess', email='tess@northwind.example', role='Technician')
    assert 'Tess Okafor is on your staff already.' in words(page)
    await do(page, 'add', name='y' * 121, email='theo@northwind.example', role='Technician')
    assert 'At most 120 letters, please.' in words(page)
    assert 'theo@northwind.example' not in words(page)  # in the field alone


@pytest.mark.parametrize(
    'name', ['<script>alert(1)</script>', '{{7*7}}', '"><img src=x onerror=alert(1)>', '${7*7} & <b>Söhne</b>']
)
async def test_hostile_names_are_words(visitor: Someone, cast: Cast, maintenance: str, name: str) -> None:
    page = await team(visitor, cast.mona)
    await do(page, 'add', name=name, email='h@hostile.example', role='Finance')
    them = user_of(maintenance, cast, 'h@hostile.example')
    for act in ('ask-role', 'ask-disable', 'disable', 'ask-enable'):
        await do(page, act, them)
        for seen in (page, await team(visitor, cast.mona)):
            assert name in unescape(seen.shown)
            assert not re.search(r'<script>alert|<img src=x|<b>Söhne', seen.shown)
            assert not re.search(r'<script>alert|<img src=x|<b>Söhne', seen.html)


@pytest.mark.parametrize(
    'odd', ['h@x', '\x00', '<b>h</b>@x.example', "'; drop table users; --@x.example", 'h@x.example\r\nBcc: a@b.example']
)
async def test_odd_addresses_are_refused(visitor: Someone, cast: Cast, maintenance: str, odd: str) -> None:
    page = await team(visitor, cast.mona)
    await do(page, 'add', name='H', email=odd, role='Finance')
    assert re.search('This does not look like an e-mail address|Please enter an e-mail address', words(page))
    assert len(ask(maintenance, "select from users where tenant_id = %s and user_type = 'internal'", cast.northwind.id)) == 3


async def test_a_role_is_changed_after_asking_and_takes_effect(visitor: Someone, cast: Cast) -> None:
    assert (await team(visitor, cast.tess)).status == 403
    page = await team(visitor, cast.mona)
    await do(page, 'ask-role', cast.tess.user_id)
    assert 'What may Tess Okafor do?' in words(page)
    assert re.search(r'value="Technician" checked', page.shown)
    for role in ('ClientAdmin', 'King', ''):
        await do(page, 'role', cast.tess.user_id, role=role)
        assert 'Choose a role.' in words(page)
    await do(page, 'role', cast.tess.user_id, role='MspAdmin')
    assert 'Tess Okafor tess@northwind.example MSP admin Active' in words(page)
    assert (await team(visitor, cast.tess)).status == 200


async def test_disabled_after_asking_once_by_name_and_enabled_again(visitor: Someone, cast: Cast) -> None:
    page = await team(visitor, cast.mona)
    assert 'Disable Tess Okafor' not in words(page)
    await do(page, 'ask-disable', cast.tess.user_id)
    assert 'Disable Tess Okafor?' in words(page)
    assert 'Technician Active' in words(page)
    await do(page, 'disable', cast.tess.user_id)
    assert 'Tess Okafor tess@northwind.example Technician Disabled' in words(page)
    out = (await visitor(cast.tess).get('/msp')).answer
    assert (out.status_code, out.headers['location']) == (303, STAFF)
    await do(page, 'ask-enable', cast.tess.user_id)
    assert 'Enable Tess Okafor again?' in words(page)
    await do(page, 'enable', cast.tess.user_id)
    assert 'Tess Okafor tess@northwind.example Technician Active' in words(page)


async def test_an_open_page_of_whoever_is_disabled_leaves(visitor: Someone, cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    open_page, page = await visitor(cast.tess).get('/msp'), await team(visitor, cast.mona)
    assert open_page.client
    await do(page, 'disable', cast.tess.user_id)
    sent: list[Any] = []

    async def emit(event: str, data: Any, room: str) -> None:
        sent.append((event, data['path'], room))

    monkeypatch.setattr(core.sio, 'emit', emit)
    await live.heard(f'person:{cast.tess.user_id}')  # what the trigger tells: tests/domain/test_team.py
    assert open_page.client.is_deleted
    assert ('open', '/msp', open_page.client.id) in sent


async def test_the_welcome_letter_is_sent_again(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await team(visitor, cast.mona)
    await do(page, 'welcome', cast.tess.user_id)
    asked = "select company_id from mail_outbox where to_user_id = %s and kind = 'welcome'"
    assert ask(maintenance, asked, cast.tess.user_id) == [(None,)]
    await do(page, 'disable', cast.tess.user_id)
    await do(page, 'welcome', cast.tess.user_id)
    assert len(ask(maintenance, asked, cast.tess.user_id)) == 1


async def test_mona_cannot_lock_herself_out(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page, me = await team(visitor, cast.mona), cast.mona.user_id
    await do(page, 'role', me, role='Technician')
    assert 'Nobody changes their own role. Another MSP admin can do it.' in words(page)
    await do(page, 'disable', me)
    assert 'Mona Reyes mona@northwind.example MSP admin Active' in words(await team(visitor, cast.mona))
    assert ask(maintenance, 'select staff_role, disabled_at from users where id = %s', me) == [('MspAdmin', None)]


@pytest.mark.parametrize('key', ['stan', 'ada', 'nobody', '', None])
async def test_only_people_of_this_staff_can_be_changed_here(
    visitor: Someone, cast: Cast, maintenance: str, key: str | None
) -> None:
    page = await team(visitor, cast.mona)
    who = getattr(cast, key or '', None)
    for act in ('ask-role', 'ask-disable', 'ask-enable', 'role', 'disable', 'enable', 'welcome'):
        await do(page, act, who.user_id if who else key, role='Finance')
    states = ask(maintenance, 'select count(*) from users where id = any(%s) and (disabled_at is not null or staff_role = %s)',
                 [cast.stan.user_id, cast.ada.user_id], 'Finance')  # fmt: skip
    assert states == [(0,)]
    assert 'Tess Okafor tess@northwind.example Technician Active' in words(await team(visitor, cast.mona))


async def test_others_have_no_such_page(visitor: Someone, cast: Cast) -> None:
    for who in (cast.tess, cast.finn):
        page = await team(visitor, who)
        assert page.status == 403
        assert 'mona@northwind.example' not in page.html
        assert 'href="/msp/team"' not in page.html
    assert (await visitor(cast.ada).get('/msp/team')).status == 303
    assert (await visitor(cast.ada).get('/client-portal/acme/team')).status == 404
    assert (await visitor(host=cast.northwind.host).get('/msp/team')).status == 303


async def test_an_admin_no_longer_one_does_nothing_on_a_page_that_is_still_open(
    visitor: Someone, cast: Cast, maintenance: str
) -> None:
    await do(await team(visitor, cast.mona), 'role', cast.tess.user_id, role='MspAdmin')
    late, later = await team(visitor, cast.tess), await team(visitor, cast.tess)
    await do(await team(visitor, cast.mona), 'role', cast.tess.user_id, role='Technician')
    await do(late, 'add', name='Eve', email='eve@northwind.example', role='MspAdmin')
    await do(later, 'disable', cast.finn.user_id)
    assert (
        ask(maintenance, 'select from users where email = %s and tenant_id = %s', 'eve@northwind.example', cast.northwind.id)
        == []
    )
    assert ask(maintenance, 'select disabled_at from users where id = %s', cast.finn.user_id) == [(None,)]
