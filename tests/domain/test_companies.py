"""What is known of companies and their people, told with the named cast."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from portal.db.cast import SECRET, Cast, Member
from portal.db.engine import Database, SignedOut
from portal.domain import phones
from portal.domain.audit import Audit
from portal.domain.base import NotFound, Wrong
from portal.domain.clients import change_client, change_email, disable_client, enable_client, is_only_admin
from portal.domain.companies import (
    ChangedMeanwhile,
    Details,
    archive_company,
    change_company,
    clean_website,
    details,
    restore_company,
)
from portal.domain.mail import Letter
from portal.domain.people import Company, CompanyNote, Taken, User, add_company, add_person, company_by_slug
from portal.domain.phones import clean_phone, region_of
from portal.domain.tickets import open_ticket
from portal.visit import Visit, arriving, moved

VisitAs = Callable[[Member], Awaitable[Visit]]
Does = Callable[..., Awaitable[Any]]


@pytest.fixture
def does(visit_as: VisitAs) -> Does:
    """`await does(cast.mona, archive_company, cast.acme.id)`: a verb in a unit of work of its own."""

    async def do(who: Member, verb: Any, *values: Any, **more: Any) -> Any:
        visit = await visit_as(who)
        async with visit.work() as db:
            return await verb(db, visit.by, *values, **more)

    return do


@pytest.fixture
def known(visit_as: VisitAs, cast: Cast) -> Callable[[], Awaitable[Details]]:
    async def ask() -> Details:
        visit = await visit_as(cast.mona)
        async with visit.work() as db:
            return await details(db, await company_by_slug(db, 'acme'))

    return ask


Known = Callable[[], Awaitable[Details]]


# ---------- what is known ----------


async def test_mona_writes_down_what_she_knows_of_acme(does: Does, known: Known, cast: Cast) -> None:
    before = await known()
    after = replace(before, phone='0511 23125 0', website='acme.example', city='Hannover', outside_ref='K-1', manager=str(cast.tess.user_id),
                    note='Ask for Petra.\nNot before 12.')  # fmt: skip
    await does(cast.mona, change_company, cast.acme.id, before, after)
    assert await known() == replace(after, website='https://acme.example', phone='+49511231250')


async def test_what_two_change_at_once_is_both_there(does: Does, known: Known, cast: Cast) -> None:
    shown = await known()
    await does(cast.mona, change_company, cast.acme.id, shown, replace(shown, city='Hannover'))
    await does(cast.mona, change_company, cast.acme.id, shown, replace(shown, phone='0511 23125 0'))
    now = await known()
    assert (now.city, now.phone) == ('Hannover', '+49511231250')


async def test_what_both_change_differently_is_asked_about_and_nothing_is_written(does: Does, known: Known, cast: Cast) -> None:
    shown = await known()
    await does(cast.mona, change_company, cast.acme.id, shown, replace(shown, city='Hannover', country='Germany'))
    with pytest.raises(ChangedMeanwhile) as wrong:
        await does(cast.mona, change_company, cast.acme.id, shown, replace(shown, city='Celle', phone='0511 123'))
    assert wrong.value.fields == {'city': 'Somebody changed this meanwhile to “Hannover”. Save again to keep yours.'}
    assert (await known()).phone == ''
    await does(cast.mona, change_company, cast.acme.id, wrong.value.now, replace(wrong.value.now, city='Celle', phone='0511 123'))
    now = await known()
    assert (now.city, now.country, now.phone) == ('Celle', 'Germany', '+49511123')


async def test_two_companies_cannot_take_the_same_name_at_once(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    answers = await asyncio.gather(*(does(cast.mona, add_company, 'Garden Florist') for _n in range(4)), return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ['Company', 'Wrong', 'Wrong', 'Wrong']


async def test_every_fault_is_said_at_its_field(does: Does, known: Known, cast: Cast) -> None:
    shown = await known()
    bolt = await does(cast.mona, add_company, 'Garden Florist')
    await does(cast.mona, change_company, bolt.id, Details(name='Garden Florist', slug='garden-florist'),
               Details(name='Garden Florist', slug='garden-florist', outside_ref='K-2'))  # fmt: skip
    with pytest.raises(Wrong) as wrong:
        await does(
            cast.mona,
            change_company,
            cast.acme.id,
            shown,
            replace(shown, name=' ', slug='New', phone='call me', website='javascript:x', note='x' * 5001),
        )
    assert set(wrong.value.fields) == {'name', 'slug', 'phone', 'website', 'note'}
    with pytest.raises(Wrong) as wrong:
        await does(
            cast.mona,
            change_company,
            cast.acme.id,
            shown,
            replace(shown, name='garden florist', slug='bolt', outside_ref='K-2', manager=str(cast.ada.user_id)),
        )
    assert set(wrong.value.fields) == {'name', 'slug', 'outside_ref', 'manager'}
    assert await known() == shown


@pytest.mark.parametrize(
    ('typed', 'kept'),
    [('0511 / 23125-0', '0511 / 23125-0'), ('+49 (0)511 23', '+49 (0)511 23'), ('030 123 ext 5', '030 123 ext 5'), ('', ''),
     ('call me', None), ('12', None), ('1' * 61, None), ('<b>030 123</b>', None)],
)  # fmt: skip
def test_phone_numbers_are_taken_as_people_write_them(typed: str, kept: str | None) -> None:
    if kept is None:
        with pytest.raises(Wrong):
            clean_phone(typed)
    else:
        assert clean_phone(typed) == kept


@pytest.mark.parametrize(
    ('typed', 'kept', 'read'),
    [('0511 23125-0', '+49511231250', '+49 511 231250'), ('+49 (0)511 / 23125-0', '+49511231250', '+49 511 231250'),
     ('030 23125 Durchwahl 3', '+493023125;ext=3', '+49 30 23125 ext. 3'), ('+44 20 7946 0958', '+442079460958', '+44 20 7946 0958'),
     ('110', '110', '110'), ('0511 1', '0511 1', '0511 1')],
)  # fmt: skip
def test_numbers_of_a_country_are_kept_so_that_every_telephone_can_call_them(typed: str, kept: str, read: str) -> None:
    for country in ('Germany', 'Deutschland', 'de'):
        assert clean_phone(typed, region_of(country)) == kept
    assert clean_phone(typed, region_of(None, 'Europe/Berlin')) == kept
    assert clean_phone(kept) == kept
    assert phones.shown(kept) == read


@pytest.mark.parametrize(
    'typed', ['javascript:alert(1)', 'https://a b.c', 'ftp://x.y', 'http://user:word@x.y', 'x', 'https://[', '//x.y/"onclick']
)
def test_only_addresses_of_the_web_are_a_website(typed: str) -> None:
    with pytest.raises(Wrong):
        clean_website(typed)


# ---------- addresses ----------


async def test_an_old_address_leads_to_the_new_one_and_stays_taken(
    does: Does, known: Known, visit_as: VisitAs, cast: Cast
) -> None:
    shown = await known()
    await does(cast.mona, change_company, cast.acme.id, shown, replace(shown, slug='acme-dental'))
    ada, bea = await arriving(cast.ada.cookie), await arriving(cast.bea.cookie)
    assert ada and bea
    assert ada.slugs == ['acme-dental']
    assert await moved(ada, 'acme') == 'acme-dental'
    assert await moved(bea, 'acme') is None  # not hers: she learns nothing
    assert await moved(ada, "' or true --") is None
    assert (await does(cast.mona, add_company, 'Acme')).slug == 'acme-2'
    now = await known()
    assert now.slug == 'acme-dental'
    await does(cast.mona, change_company, cast.acme.id, now, replace(now, slug='acme'))  # its own comes back
    assert (await known()).slug == 'acme'


# ---------- notes ----------


async def test_no_client_can_read_what_staff_know(portal: Database, visit_as: VisitAs, cast: Cast) -> None:
    tess = await visit_as(cast.tess)
    async with tess.work() as db:
        assert SECRET in (await db.exec(select(CompanyNote.body).where(CompanyNote.company_id == cast.acme.id))).one()
    ada = await visit_as(cast.ada)
    with pytest.raises(DBAPIError, match='permission denied'):
        async with ada.work() as db:
            await db.exec(select(CompanyNote))


# ---------- the archive ----------


async def test_an_archived_company_shuts_its_people_out_and_comes_back(
    does: Does, visit_as: VisitAs, maintenance: str, cast: Cast
) -> None:
    ada, mel = await visit_as(cast.ada), await visit_as(cast.mel_bolt)
    with psycopg.connect(maintenance, autocommit=True) as listening:
        listening.execute('listen live')
        await does(cast.mona, archive_company, cast.acme.id)
        told = {n.payload for n in listening.notifies(timeout=5, stop_after=6)}
    assert {f'person:{who.user_id}' for who in (cast.ada, cast.ugo, cast.bill, cast.mel_acme)} <= told
    with pytest.raises(SignedOut):
        async with ada.work():
            pass
    async with mel.work():
        pass  # of Bolt she still is
    arrival = await arriving(cast.mel_bolt.cookie)
    assert arrival and arrival.slugs == ['bolt']
    tess = await visit_as(cast.tess)
    async with tess.work() as db:
        assert (await db.exec(select(Company.archived_at).where(Company.id == cast.acme.id))).one()
    with pytest.raises(Wrong, match='email'):
        await does(cast.mona, add_person, await _company(visit_as, cast), name='Flo', email='flo@acme.example', role='ClientUser')
    await does(cast.mona, restore_company, cast.acme.id)
    async with ada.work():
        pass


async def _company(visit_as: VisitAs, cast: Cast) -> Company:
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        return await company_by_slug(db, 'acme')


async def test_no_ticket_begins_in_an_archived_company(does: Does, cast: Cast) -> None:
    await does(cast.mona, archive_company, cast.acme.id)
    with pytest.raises(Wrong):
        await does(
            cast.tess, open_ticket, company_id=cast.acme.id, requester_id=cast.ugo.user_id, subject='Printer', text='Blank.'
        )


# ---------- people ----------


async def test_another_address_ends_sessions_and_kills_links_and_both_hear_of_it(
    does: Does, visit_as: VisitAs, maintenance: str, cast: Cast
) -> None:
    ugo = await visit_as(cast.ugo)
    mark = 'select app.password_mark(%s, %s)'
    with psycopg.connect(maintenance) as c:
        before = c.execute(mark, (cast.ugo.tenant_id, cast.ugo.user_id)).fetchone()
    await does(cast.mona, change_email, cast.ugo.user_id, 'Ugo.Marchetti@acme.example')
    with pytest.raises(SignedOut):
        async with ugo.work():
            pass
    with psycopg.connect(maintenance) as c:
        assert c.execute(mark, (cast.ugo.tenant_id, cast.ugo.user_id)).fetchone() != before
        assert c.execute(
            'select has from app.door(%s, %s, %s) d(id, has)', (cast.ugo.tenant_id, 'client', 'ugo.marchetti@acme.example')
        ).fetchone()
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        found = list(
            await db.exec(
                select(Letter.kind, Letter.to_address).where(
                    Letter.to_user_id == cast.ugo.user_id, col(Letter.kind).startswith('email')
                )
            )
        )
        [line] = list(
            await db.exec(select(Audit.detail).where(Audit.subject_id == cast.ugo.user_id, Audit.action == 'person.email'))
        )
    assert sorted(found) == [('email_changed', None), ('email_was', 'ugo@acme.example')]
    assert line == {'before': 'ugo@acme.example', 'after': 'ugo.marchetti@acme.example'}


async def test_an_address_that_is_somebodys_says_whose_and_only_here(does: Does, cast: Cast) -> None:
    with pytest.raises(Taken) as wrong:
        await does(cast.mona, change_email, cast.ugo.user_id, 'ada@acme.example')
    assert wrong.value.person_id == cast.ada.user_id
    with pytest.raises(Wrong) as staff:
        await does(cast.mona, change_email, cast.ugo.user_id, 'tess@northwind.example')
    assert not isinstance(staff.value, Taken)
    await does(cast.mona, change_email, cast.ugo.user_id, 'cleo@bakery.example')  # another tenant's Cleo is nobody here


async def test_whoever_is_disabled_is_out_of_every_company(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    visits = [await visit_as(cast.mel_bolt), await visit_as(cast.mel_acme)]
    await does(cast.mona, disable_client, cast.mel_bolt.user_id)
    for visit in visits:
        with pytest.raises(SignedOut):
            async with visit.work():
                pass
    with pytest.raises(Taken):
        await does(cast.mona, add_person, await _company(visit_as, cast), name='Mel', email='mel@both.example', role='ClientUser')
    await does(cast.mona, enable_client, cast.mel_bolt.user_id)
    assert await arriving(cast.mel_bolt.cookie) is None  # sessions do not come back to life


@pytest.mark.parametrize('verb', [disable_client, enable_client])
async def test_staff_and_strangers_are_nobody_here(does: Does, cast: Cast, verb: Any) -> None:
    for other in (cast.tess.user_id, cast.cleo.user_id, UUID(int=1)):
        with pytest.raises(NotFound):
            await does(cast.mona, verb, other)


async def test_name_and_phone_are_changed_and_recorded(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    await does(cast.mona, change_client, cast.ugo.user_id, name=' Ugo  Marchetti-Roth ', phone='0151 2345')
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        ugo = (await db.exec(select(User).where(User.id == cast.ugo.user_id))).one()
        assert (ugo.name, ugo.phone) == ('Ugo Marchetti-Roth', '0151 2345')
        assert len(list(await db.exec(select(Audit).where(Audit.subject_id == ugo.id, Audit.action == 'person.changed')))) == 1


async def test_a_name_turns_around_no_words_beside_it(does: Does, visit_as: VisitAs, cast: Cast) -> None:
    await does(cast.mona, change_client, cast.bill.user_id, name='Bill \u202eNovak\u2066', phone='')
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        assert (await db.get_one(User, cast.bill.user_id)).name == 'Bill Novak'
    with pytest.raises(Wrong):
        await does(cast.mona, change_client, cast.bill.user_id, name='Bill\x07', phone='')


async def test_the_only_admin_is_known(visit_as: VisitAs, does: Does, cast: Cast) -> None:
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        assert await is_only_admin(db, cast.bea.user_id) == {cast.bolt.id}
        assert await is_only_admin(db, cast.ada.user_id) == set()  # Mel is one, too


async def test_one_address_given_to_two_at_once_is_one_persons(does: Does, cast: Cast) -> None:
    answers = await asyncio.gather(
        does(cast.mona, change_email, cast.ugo.user_id, 'same@acme.example'),
        does(cast.mona, change_email, cast.bill.user_id, 'same@acme.example'), return_exceptions=True,
    )  # fmt: skip
    assert sorted(type(answer).__name__ for answer in answers) in (['NoneType', 'Taken'], ['NoneType', 'Wrong'])
