"""An open page, woken by somebody else's change."""

import asyncio

import psycopg

from portal import live
from portal.db.cast import Cast
from portal.domain.base import uuid7
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
