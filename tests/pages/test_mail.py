"""The outbox, as whoever answers for the MSP reads it."""

import json
import re
from datetime import UTC, datetime
from html import unescape
from typing import Any
from uuid import UUID

import psycopg
import pytest

from portal.db import cast as casting
from portal.db.cast import Cast, Member
from portal.domain.base import uuid7
from portal.pages.staff.mail import WITH_KEY
from tests.visitor import Page, Visitor

LINK = 'https://portal.example/auth/password-reset/set-new-password?token=a.b-c_d'
WELCOME = f'Hello Ugo,\n\nchoose a password:\n{LINK}\n\n-- \nNorthwind IT'


def words(page: Page) -> str:
    return re.sub(r'\s+', ' ', unescape(re.sub(r'<[^>]+>', ' ', page.shown)))


def letter(maintenance: str, to: Member, **more: Any) -> UUID:
    """In the outbox, as the job leaves it while no mail server is set."""
    row = {
        'id': uuid7(), 'tenant_id': to.tenant_id, 'kind': 'welcome', 'to_user_id': to.user_id, 'company_id': to.company_id,
        'ticket_id': None, 'state': 'kept', 'subject': 'Your access', 'text': WELCOME, 'html': '<p>…</p>', 'error': None,
        'created_at': datetime.now(UTC), **more,
    }  # fmt: skip
    with psycopg.connect(maintenance) as connection:
        casting.insert(connection, {'mail_outbox': [row]})
    return row['id']


def readings(maintenance: str, cast: Cast) -> list[tuple[Any, ...]]:
    with psycopg.connect(maintenance) as connection:
        found = connection.execute(
            "select actor_id, subject_id, detail from audit where tenant_id = %s and action = 'letter.read'", (cast.northwind.id,)
        )
        return found.fetchall()


async def test_the_newest_stand_first_with_their_state_in_words(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    for state, error in (
        ('waiting', None),
        ('waiting', 'connection refused'),
        ('dropped', None),
        ('failed', 'no such mailbox'),
        ('kept', None),
    ):
        letter(maintenance, cast.ugo, state=state, error=error, subject=f'It is {state}')
    page = await visitor(cast.mona).get('/msp/mail')
    seen = words(page)
    assert seen.index('It is kept') < seen.index('It is failed') < seen.index('It is dropped') < seen.index('It is waiting')
    assert 'Kept here' in seen
    assert 'Failed no such mailbox' in seen
    assert 'Not sent They may no longer see it' in seen
    assert 'Waiting It is tried again: connection refused' in seen
    assert 'Sent' in seen  # from the cast's stories
    assert 'Ugo Marchetti ugo@acme.example' in seen
    assert 'No mail server is set' in seen
    assert 'PORTAL_SMTP_URL' in seen


async def test_a_letter_can_be_read_and_its_link_followed(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    kept = letter(maintenance, cast.ugo)
    page = await visitor(cast.mona).get(f'/msp/mail/{kept}')
    assert page.status == 200
    assert 'Hello Ugo,' in words(page)
    assert f'<a href="{LINK}" target="_blank" rel="noopener noreferrer nofollow">{LINK}</a>' in page.shown
    assert 'ugo@acme.example' in words(page)
    assert '/msp/companies/acme' in page.shown


async def test_reading_a_link_that_opens_an_account_is_recorded(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    kept = letter(maintenance, cast.ugo)
    await visitor(cast.mona).get('/msp/mail')
    assert readings(maintenance, cast) == []
    await visitor(cast.mona).get(f'/msp/mail/{kept}')
    [(who, whose, detail)] = readings(maintenance, cast)
    assert (who, whose) == (cast.mona.user_id, cast.ugo.user_id)
    assert detail == {'kind': 'welcome', 'letter': str(kept)}
    assert 'token' not in json.dumps(detail)


async def test_reading_about_a_private_ticket_is_recorded_and_about_others_is_not(
    visitor: type[Visitor], cast: Cast, maintenance: str
) -> None:
    open_one = letter(maintenance, cast.ugo, kind='reply', ticket_id=cast.printer.id, text='Tess replied')
    await visitor(cast.mona).get(f'/msp/mail/{open_one}')
    assert readings(maintenance, cast) == []
    private = letter(maintenance, cast.ada, kind='reply', ticket_id=cast.payroll.id, text='Tess replied')
    page = await visitor(cast.mona).get(f'/msp/mail/{private}')
    assert 'in the audit log' in words(page)
    assert len(readings(maintenance, cast)) == 1


async def test_a_letter_that_went_out_has_no_text(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    sent = letter(maintenance, cast.ugo, state='sent', text=None, html=None, sent_at=datetime.now(UTC))
    page = await visitor(cast.mona).get(f'/msp/mail/{sent}')
    assert 'only the subject stays here' in words(page)
    assert readings(maintenance, cast) == []


@pytest.mark.parametrize(
    ('text', 'seen'),
    [
        ('<script>alert(1)</script>', '&lt;script&gt;alert(1)&lt;/script&gt;'),
        ('{{7*7}}', '{{7*7}}'),
        ('javascript:alert(1)', '<p>javascript:alert(1)</p>'),
        ('https://a.example/"onmouseover="alert(1)', '<a href="https://a.example/" '),
        ('see (https://a.example/b).', 'see (<a href="https://a.example/b" '),
        ('https://a.example/?a=1&b=<2>', '<a href="https://a.example/?a=1&amp;b=" '),
    ],
)
async def test_a_letters_words_are_words(visitor: type[Visitor], cast: Cast, maintenance: str, text: str, seen: str) -> None:
    kept = letter(maintenance, cast.ugo, kind='reply', text=text, subject=text)
    page = await visitor(cast.mona).get(f'/msp/mail/{kept}')
    assert seen in page.shown
    assert '<script' not in page.shown
    assert 'javascript:alert(1)"' not in page.shown
    listed = await visitor(cast.mona).get('/msp/mail')
    assert text in unescape(listed.shown)
    assert '<script' not in listed.shown


async def test_long_lists_come_in_pages(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    made = [str(letter(maintenance, cast.ugo, subject=f'Number {n:02}')) for n in range(60)]
    first = await visitor(cast.mona).get('/msp/mail')
    assert _rows(first) == made[:34:-1]
    second = await visitor(cast.mona).get(_link(first, 'Older'))
    assert _rows(second) == made[34:9:-1]
    again = await visitor(cast.mona).get(_link(second, 'Newer'))
    assert _rows(again) == _rows(first)
    assert 'Newer' not in words(again)
    for nonsense in ('after=x', 'before=%27', f'after={uuid7()}x'):
        assert _rows(await visitor(cast.mona).get(f'/msp/mail?{nonsense}')) == _rows(first)


def _rows(page: Page) -> list[str]:
    return re.findall(r'<tr data-key="([^"]+)"', page.shown)


def _link(page: Page, label: str) -> str:
    found = re.search(rf'href="([^"]+)"[^>]*>(?:<svg.*?</svg>)?{label}', page.shown)
    assert found, f'no link {label}'
    return unescape(found[1])


async def test_only_whoever_answers_for_the_msp_reads_mail(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    kept = letter(maintenance, cast.ugo)
    for who in (cast.tess, cast.finn):
        for path in ('/msp/mail', f'/msp/mail/{kept}'):
            page = await visitor(who).get(path)
            assert page.status == 403
            assert 'Your access' not in page.html
    assert (await visitor(cast.stan).get(f'/msp/mail/{kept}')).status == 404
    assert 'ugo@acme.example' not in (await visitor(cast.stan).get('/msp/mail')).html
    assert (await visitor(cast.ugo).get(f'/msp/mail/{kept}')).status == 303
    assert readings(maintenance, cast) == []


@pytest.mark.parametrize('name', ['nonsense', '00000000-0000-0000-0000-000000000000', '%00', "'"])
async def test_a_letter_that_is_not_there(visitor: type[Visitor], cast: Cast, name: str) -> None:
    assert (await visitor(cast.mona).get(f'/msp/mail/{name}')).status == 404


# ---------- links of people above ----------


@pytest.fixture
def office(maintenance: str, cast: Cast) -> Member:
    """Tess, who reads mail and manages companies, people and the team, and sees no money."""
    with psycopg.connect(maintenance) as c:
        c.execute("""insert into role (id, tenant_id, name, user_type, permissions) values (%s, %s, 'Office', 'internal', %s)""",
                  (made := uuid7(), cast.northwind.id, ['tickets.see', 'tickets.open', 'tickets.reply', 'tickets.close', 'companies.see',
                   'companies.manage', 'staff.manage', 'people.manage', 'mail.read', 'profile.edit', 'audit.see']))  # fmt: skip
        c.execute('update users set staff_role = null, staff_role_id = %s where id = %s', (made, cast.tess.user_id))
    return cast.tess


@pytest.mark.parametrize('kind', WITH_KEY)
async def test_nobody_reads_the_link_of_somebody_above_them(
    visitor: type[Visitor], cast: Cast, maintenance: str, office: Member, kind: str
) -> None:
    for above in (cast.mona, cast.ada, cast.bill, cast.finn):
        page = await visitor(office).get(f'/msp/mail/{letter(maintenance, above, kind=kind)}')
        assert page.status == 200
        assert LINK not in page.html
        assert 'may do more than you' in words(page)
    assert readings(maintenance, cast) == []
    page = await visitor(office).get(f'/msp/mail/{letter(maintenance, cast.ugo, kind=kind)}')
    assert LINK in page.shown
    assert len(readings(maintenance, cast)) == 1


async def test_what_somebody_is_elsewhere_counts_as_well(
    visitor: type[Visitor], cast: Cast, maintenance: str, office: Member
) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute("update membership set role = 'ClientUser' where user_id = %s and company_id = %s",
                  (cast.mel_bolt.user_id, cast.bolt.id))  # fmt: skip
    page = await visitor(office).get(f'/msp/mail/{letter(maintenance, cast.mel_bolt)}')
    assert LINK not in page.html


@pytest.mark.parametrize(('role', 'shown'), [('ClientUser', True), ('ClientAdmin', False)])
async def test_nor_an_invitation_to_more_than_they_may(
    visitor: type[Visitor], cast: Cast, maintenance: str, office: Member, role: str, shown: bool
) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute("""insert into invitation (id, tenant_id, company_id, email, name, role, invited_by_id, expires_at)
                     values (%s, %s, %s, 'jana@acme.example', 'Jana', %s, %s, now() + interval '1 day')""",
                  (made := uuid7(), cast.northwind.id, cast.acme.id, role, cast.mona.user_id))  # fmt: skip
    kept = letter(maintenance, cast.ugo, kind='invitation', to_user_id=None, invitation_id=made)
    assert (LINK in (await visitor(office).get(f'/msp/mail/{kept}')).html) == shown


async def test_a_link_is_read_with_a_fresh_proof_alone(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    kept, other = letter(maintenance, cast.ugo), letter(maintenance, cast.ugo, kind='reply', text='Tess replied')
    with psycopg.connect(maintenance) as c:
        c.execute("update session set proved_at = now() - interval '16 minutes' where user_id = %s", (cast.mona.user_id,))
    page = await visitor(cast.mona).get(f'/msp/mail/{kept}')
    assert page.status == 403
    assert LINK not in page.html
    assert f'href="/auth/confirm?next=%2Fmsp%2Fmail%2F{kept}"' in page.shown
    assert readings(maintenance, cast) == []
    assert 'Tess replied' in words(await visitor(cast.mona).get(f'/msp/mail/{other}'))
