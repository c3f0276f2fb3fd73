"""What was left is gone: from memory, too, and without waiting for the collector of garbage, which seldom looks at pages."""

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator

import pytest
from nicegui import core

from portal import live
from portal.components.island import Island
from portal.db.cast import Cast, Member
from portal.settings import Settings
from portal.visit import arriving
from tests.pages.test_walk import addresses, screens_of
from tests.visitor import Page, Visitor


@pytest.fixture
def uncollected() -> Iterator[None]:
    """Nothing is freed but what nobody names any more."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


#: What pages are made of. A request, and who made it, stays in a ring of httpx's.
PARTS = ('portal.pages', 'portal.components', 'portal.domain', 'portal.live', 'nicegui.client')
OF_REQUEST = 'portal.domain.access'


def ours() -> Counter[str]:
    """How many there are of each kind: pages, screens, islands, readings, subscriptions, rows."""
    kinds = ((type(thing), str(type(thing).__module__)) for thing in gc.get_objects())
    return Counter(kind.__qualname__ for kind, module in kinds if module.startswith(PARTS) and module != OF_REQUEST)


async def ended(page: Page) -> None:
    """As half a minute after its browser has left."""
    assert page.client
    sending = [task for task in asyncio.all_tasks() if page.client.id in task.get_name()]
    page.client.delete()
    await asyncio.wait(sending, timeout=5)
    page.client = None


async def walked(visitor: type[Visitor], who: Member, cast: Cast, settings: Settings) -> Page:
    """Through every screen that they may see, within one page."""
    arrival = await arriving(who.cookie)
    assert arrival
    visit = arrival.client(who.slug) if who.slug else arrival.staff()
    assert visit
    page = await visitor(who).get(who.root)
    for screen in screens_of(who, settings):
        if visit.may(screen.needs):
            await page.go(addresses(screen, who, cast)['own'])
    return page


@pytest.mark.parametrize('name', ['mona', 'ada'])
@pytest.mark.usefixtures('uncollected')
async def test_a_page_that_ended_leaves_nothing(visitor: type[Visitor], cast: Cast, settings: Settings, name: str) -> None:
    who: Member = getattr(cast, name)
    await ended(await walked(visitor, who, cast, settings))  # what is made once and kept, is made
    before, listening = ours(), live.subscribers()
    page = await walked(visitor, who, cast, settings)
    assert page.client
    assert sum(isinstance(element, Island) for element in page.client.elements.values()) > 3
    await ended(page)
    assert ours() - before == Counter()
    assert live.subscribers() == listening


@pytest.mark.usefixtures('uncollected')
async def test_a_screen_that_was_left_is_gone_while_the_page_stays(visitor: type[Visitor], cast: Cast) -> None:
    page = await visitor(cast.tess).get('/msp/tickets')
    parts = ('StaffTicket', 'Conversation', 'Comment')
    before = ours()  # pages of other tests may be about still
    await page.go(f'/msp/tickets/{cast.printer.label}')
    there = ours()
    assert all(there[part] > before[part] for part in parts)
    await page.go('/msp/tickets')
    after = ours()
    assert [after[part] for part in parts] == [before[part] for part in parts]
    await ended(page)


async def test_nothing_is_kept_of_a_tab(visitor: type[Visitor], cast: Cast) -> None:
    page = await visitor(cast.ada).get('/client-portal/acme')
    assert page.client
    assert page.client.accept_handshake('socket', 'tab', None)
    await page.client.handle_handshake('socket', 'tab', None, 'document', None)
    await ended(page)
    assert 'tab' not in core.app.storage._tabs  # pyright: ignore[reportPrivateUsage]
