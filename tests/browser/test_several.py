"""Several processes: people come back to theirs, and when it ends, to the other, with what they typed."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from playwright.async_api import Browser, BrowserContext, Locator, Page, expect

from portal.db.cast import Cast, Member
from tests.browser.conftest import ready
from tests.browser.several import Several, several
from tests.peers import nginx

pytestmark = [pytest.mark.browser, pytest.mark.skipif(nginx() is None, reason='nginx is not installed here')]
AGAIN = 30_000  # milliseconds


@pytest.fixture(scope='module')
def started() -> Iterator[Several]:
    with several() as made:
        yield made


@pytest.fixture
def portals(started: Several) -> Several:
    for name in ('a', 'b'):
        if started.processes[name].poll() is not None:
            started.start(name)
            started.wait_for(name)
        started.wait_for_nginx(name)
    return started


@pytest.fixture
def cast(portals: Several) -> Cast:
    return portals.cast()


OpenAs = Callable[..., Awaitable[Page]]


@pytest.fixture
async def open_as(portals: Several, browser: Browser, cast: Cast) -> AsyncIterator[OpenAs]:
    """`page = await open_as(cast.tess, 'a')`: the ticket of the printer, served by `a`."""
    contexts: list[BrowserContext] = []

    async def come(who: Member, node: str) -> Page:
        origin = f'http://{who.host}:{portals.port}'
        context = await browser.new_context(base_url=origin, viewport={'width': 1440, 'height': 900})
        contexts.append(context)
        await context.add_cookies([
            {'name': 'portal', 'value': who.cookie, 'url': origin}, {'name': 'portal_node', 'value': node, 'url': origin},
        ])  # fmt: skip
        page = await context.new_page()
        await page.goto(f'{who.root}/tickets/{cast.printer.label}')
        await ready(page)
        assert await node_of(page) == node
        return page

    yield come
    for context in contexts:
        await context.close()


async def node_of(page: Page) -> str:
    """Which process the browser belongs to."""
    return next((c['value'] for c in await page.context.cookies() if c.get('name') == 'portal_node'), '')  # type: ignore[typeddict-item]


def field(page: Page) -> Locator:
    return page.get_by_label('Reply', exact=True)


def said(page: Page, words: str) -> Locator:
    return page.locator('.said').filter(has_text=words)


async def lives_on(page: Page, node: str) -> None:
    """Loaded anew from there, and alive."""
    async with asyncio.timeout(AGAIN / 1000):
        while await node_of(page) != node:  # noqa: ASYNC110  (the browser tells nobody)
            await asyncio.sleep(0.05)
    await page.wait_for_function(
        'window.did_handshake && window.socket?.connected && !document.getElementById("ssr")', timeout=AGAIN
    )


async def test_whoever_comes_first_gets_a_process_and_stays_there(portals: Several, cast: Cast, browser: Browser) -> None:
    context = await browser.new_context(base_url=f'http://{cast.tess.host}:{portals.port}')
    page = await context.new_page()
    await page.goto('/auth/msp/signin')
    node = await node_of(page)
    assert node in ('a', 'b')
    for _time in range(4):
        await page.reload()
        assert await node_of(page) == node
    await context.close()


async def test_what_is_said_on_one_is_seen_on_the_other(portals: Several, cast: Cast, open_as: OpenAs) -> None:
    tess, ugo = await open_as(cast.tess, 'a'), await open_as(cast.ugo, 'b')
    await field(tess).fill('From one process to the other')
    await tess.get_by_role('button', name='Send reply').click()
    await expect(said(ugo, 'From one process to the other')).to_be_visible()
    # the letter is written by the worker: neither of them does jobs
    async with asyncio.timeout(30):
        while not portals.ask(  # noqa: ASYNC110
            "select count(*) from mail_outbox where ticket_id = %s and state = 'kept'", cast.printer.id
        ):
            await asyncio.sleep(0.1)
    assert portals.ask('select count(*) from jobs.procrastinate_workers') == 1


async def test_one_is_killed_and_its_people_go_on_with_the_other(portals: Several, cast: Cast, open_as: OpenAs) -> None:
    tess, mona = await open_as(cast.tess, 'a'), await open_as(cast.mona, 'b')
    ugo = await open_as(cast.ugo, 'a')
    await field(tess).fill('Half a sentence')
    await field(ugo).fill('What Ugo typed')
    await field(mona).fill('Untouched')
    portals.end('a', signal.SIGKILL)
    for page in (tess, ugo):
        await lives_on(page, 'b')
    await expect(field(tess)).to_have_value('Half a sentence')
    await expect(field(ugo)).to_have_value('What Ugo typed')
    await field(tess).press_sequentially(' and the rest')
    await tess.get_by_role('button', name='Send reply').click()
    await expect(said(ugo, 'Half a sentence and the rest')).to_be_visible()
    await expect(field(mona)).to_have_value('Untouched')
    assert portals.ask("select count(*) from ticket_comment where body = 'Half a sentence and the rest'") == 1


async def test_killed_under_load_nothing_sent_is_lost_and_nothing_is_said_twice(
    portals: Several, cast: Cast, open_as: OpenAs
) -> None:  # fmt: skip
    """Whoever was sending finds what they wrote either said, once, or in the field."""
    people = [await open_as(who, 'a') for who in (cast.tess, cast.mona, cast.ada, cast.ugo)]
    for number, page in enumerate(people):
        await field(page).fill(f'In flight {number}')
    await asyncio.gather(*(page.get_by_role('button', name='Send reply').click() for page in people))
    portals.end('a', signal.SIGKILL)
    for number, page in enumerate(people):
        await lives_on(page, 'b')
        times = portals.ask(
            'select count(*) from ticket_comment where body = %s and ticket_id = %s', f'In flight {number}', cast.printer.id
        )
        assert times in (0, 1)
        if times:
            await expect(said(page, f'In flight {number}')).to_be_visible()
        else:
            await expect(field(page)).to_have_value(f'In flight {number}')


async def test_one_is_ended_and_finishes_what_it_was_asked(portals: Several, cast: Cast, open_as: OpenAs) -> None:
    """As in a rolling update: what was sent is said and answered, pages load anew from the other, and come back to neither."""
    tess, ugo = await open_as(cast.tess, 'b'), await open_as(cast.ugo, 'b')
    await field(tess).fill('Sent at the last moment')
    await field(ugo).fill('Still typing')
    await tess.get_by_role('button', name='Send reply').click()
    portals.processes['b'].send_signal(signal.SIGTERM)
    for page in (tess, ugo):
        await lives_on(page, 'a')
    assert portals.processes['b'].wait(30) in (0, -signal.SIGTERM)
    assert portals.ask("select count(*) from ticket_comment where body = 'Sent at the last moment'") == 1
    await expect(said(tess, 'Sent at the last moment')).to_be_visible()
    await expect(field(tess)).to_have_value('')
    await expect(field(ugo)).to_have_value('Still typing')
    portals.start('b')
    portals.wait_for('b')
    await ugo.reload()
    await ready(ugo)
    assert await node_of(ugo) == 'a'
