"""An open page, woken by somebody else's change."""

import asyncio
from typing import Any

import psycopg
from sqlalchemy import event
from sqlmodel import select

from portal import live, visit
from portal.db.cast import Cast, Member
from portal.db.engine import Database
from portal.domain.base import uuid7
from portal.domain.tickets import Ticket
from portal.domain.tickets.conversation import lookers
from tests.visitor import Page, Visitor


async def shows(page: Page, words: str) -> None:
    async with asyncio.timeout(5):
        while words not in page.shown:  # noqa: ASYNC110  (what it waits for is on another task, which knows of no test)
            await asyncio.sleep(0.01)


def say(maintenance: str, cast: Cast, words: str, *, internal: bool) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute(
            """insert into ticket_comment (id, tenant_id, company_id, ticket_id, author_id, body, is_internal)
               values (%s, %s, %s, %s, %s, %s, %s)""",
            (uuid7(), cast.northwind.id, cast.acme.id, cast.printer.id, cast.tess.user_id, words, internal),
        )


async def test_it_reads_anew_and_keeps_its_session_no_longer_alive(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    page = await visitor(cast.ada).get(f'/client-portal/acme/tickets/{cast.printer.label}')
    an_hour_ago = "update session set last_seen_at = now() - interval '1 hour' where token_hash = %s returning last_seen_at"
    with psycopg.connect(maintenance) as c:
        before = c.execute(an_hour_ago, (cast.ada.token,)).fetchone()
    say(maintenance, cast, 'A live word', internal=False)
    await live.heard(f'ticket:{cast.printer.id}')
    await shows(page, 'A live word')
    with psycopg.connect(maintenance) as c:
        assert c.execute('select last_seen_at from session where token_hash = %s', (cast.ada.token,)).fetchone() == before


async def test_what_is_said_while_the_page_is_built_is_not_missed(
    visitor: type[Visitor], portal: Database, cast: Cast, maintenance: str
) -> None:
    """Said after the comments were read and heard before the screen listens."""
    heard: list[asyncio.Task[None]] = []

    def meanwhile(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if not heard and 'FROM ticket_event' in statement:  # asked after the comments
            say(maintenance, cast, 'Said meanwhile', internal=False)
            heard.append(asyncio.get_running_loop().create_task(live.heard(f'ticket:{cast.printer.id}')))

    engine = portal.engines['client'].sync_engine
    event.listen(engine, 'before_cursor_execute', meanwhile)
    try:
        page = await visitor(cast.ada).get(f'/client-portal/acme/tickets/{cast.printer.label}')
    finally:
        event.remove(engine, 'before_cursor_execute', meanwhile)
    assert heard
    await shows(page, 'Said meanwhile')


async def test_a_note_wakes_staff_alone(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    ada = await visitor(cast.ada).get(f'/client-portal/acme/tickets/{cast.printer.label}')
    mona = await visitor(cast.mona).get(f'/msp/tickets/{cast.printer.label}')
    seen = ada.shown
    say(maintenance, cast, 'Between us', internal=True)
    await live.heard(f'note:{cast.printer.id}')
    await shows(mona, 'Between us')
    assert ada.shown == seen


async def test_a_subscription_ends_with_its_page(visitor: type[Visitor], cast: Cast) -> None:
    before = live.subscribers()
    page = await visitor(cast.ada).get(f'/client-portal/acme/tickets/{cast.printer.label}')
    assert page.client
    assert live.subscribers() > before
    page.client.delete()
    assert live.subscribers() == before


async def test_who_may_be_shown_what_another_read_is_who_can_read_it(portal: Database, visit_as: Any, cast: Cast) -> None:
    """`app.look` restates the policies of `ticket`: for everybody, asked by everybody who sees it, for every ticket."""
    tokens = [member.token for member in cast.members]
    visits = {member: await visit_as(member) for member in cast.members}
    tickets = [cast.printer, cast.payroll, cast.salary, cast.calendar, cast.certificate, cast.scanners, cast.oven]
    for ticket in tickets:
        seeing: set[Member] = set()
        for member, visitor in visits.items():
            async with visitor.work() as db:
                if (await db.exec(select(Ticket.id).where(Ticket.id == ticket.id))).first():
                    seeing.add(member)
        assert seeing
        for asking in visits:
            async with visits[asking].work() as db:
                found = await lookers(db, ticket.id, tokens)
            beside = {m.token for m in seeing if m.slug == asking.slug and m.host == asking.host}
            assert found == beside, (asking.email, ticket.number)


async def test_a_page_shows_nothing_that_its_own_person_may_not_see(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    """Bill and Ugo look at the same private ticket; Bill is taken out of it, and somebody says something."""
    where = f'/client-portal/acme/tickets/{cast.salary.label}'
    ugo, bill = await visitor(cast.ugo).get(where), await visitor(cast.bill).get(where)
    with psycopg.connect(maintenance) as c:
        c.execute('delete from ticket_participant where ticket_id = %s and user_id = %s', (cast.salary.id, cast.bill.user_id))
        c.execute(
            """insert into ticket_comment (id, tenant_id, company_id, ticket_id, author_id, body) values (%s, %s, %s, %s, %s, %s)""",
            (uuid7(), cast.northwind.id, cast.acme.id, cast.salary.id, cast.ugo.user_id, 'Between Ugo and the MSP'),
        )
    await live.heard(f'ticket:{cast.salary.id}')
    await shows(ugo, 'Between Ugo and the MSP')
    await asyncio.sleep(0.3)
    assert 'Between Ugo and the MSP' not in bill.shown


async def test_many_pages_are_read_once(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    """Also when the one that reads for them belongs to somebody who may not any more."""
    where = f'/client-portal/acme/tickets/{cast.printer.label}'
    pages = [await visitor(who).get(where) for who in (cast.ugo, cast.ada, cast.mel_acme, cast.ada)]
    asked: list[str] = []

    def count(_conn: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        if 'FROM ticket_comment' in statement:
            asked.append(statement)

    engine = visit.database.engines['client'].sync_engine
    event.listen(engine, 'before_cursor_execute', count)
    try:
        say(maintenance, cast, 'Read by all', internal=False)
        await live.heard(f'ticket:{cast.printer.id}')
        for page in pages:
            await shows(page, 'Read by all')
    finally:
        event.remove(engine, 'before_cursor_execute', count)
    assert len(asked) == 1
    with psycopg.connect(maintenance) as c:
        c.execute('update session set revoked_at = now() where token_hash = %s', (cast.ugo.token,))
    say(maintenance, cast, 'Read by the others', internal=False)
    await live.heard(f'ticket:{cast.printer.id}')
    for page in pages[1:]:
        await shows(page, 'Read by the others')
    assert 'Read by the others' not in pages[0].shown
