"""What a person waits for, in a real browser: moving within the frame, and coming for the first time."""

import asyncio
import re
from pathlib import Path

import httpx
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from bench import data
from bench.data import Someone
from bench.measure import Line, median, p95, within
from bench.serve import PLAIN, Served
from tests.browser.conftest import ARGS
from tests.peers import chromium

MOST_MOVE = 80  # ms

#: From the click until the frame after which the new thing is there has been painted.
PAINTED = """([from, to]) => new Promise((done) => {
  const began = performance.now();
  const there = () => document.querySelector(to) && !document.querySelector('.stage[aria-busy]');
  const look = () => there() && (watch.disconnect(), requestAnimationFrame(() => setTimeout(() => done(performance.now() - began))));
  const watch = new MutationObserver(look);
  watch.observe(document.body, { childList: true, subtree: true, attributes: true });
  document.querySelector(from).click();
})"""
#: Runs before any script of the page: marks the moment when it answers to clicks.
MARK = """(() => {
  const look = () => window.did_handshake && !document.getElementById('ssr') ? performance.mark('alive') : setTimeout(look, 4);
  look();
})()"""
LARGEST = """() => new Promise((done) => new PerformanceObserver((l) => done(l.getEntries().at(-1).startTime))
  .observe({ type: 'largest-contentful-paint', buffered: true }))"""


async def lines(served: Served, people: dict[str, Someone], times: int) -> list[Line]:
    who = people['big']
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=ARGS)
        try:
            return [*await _moving(browser, served, who, times), *await _coming(browser, served, who, max(3, times // 8))]
        finally:
            await browser.close()


async def _context(browser: Browser, served: Served, who: Someone) -> BrowserContext:
    context = await browser.new_context(base_url=served.origin, viewport={'width': 1440, 'height': 900})
    await context.add_cookies([{'name': 'portal', 'value': who.cookie, 'url': served.origin}])
    await context.add_init_script(MARK)
    return context


async def _alive(page: Page) -> float:
    """Milliseconds from the start of the visit until the page answers to clicks."""
    await page.wait_for_function("performance.getEntriesByName('alive').length")
    return await page.evaluate("performance.getEntriesByName('alive')[0].startTime")


async def _moving(browser: Browser, served: Served, who: Someone, times: int) -> list[Line]:
    context = await _context(browser, served, who)
    page = await context.new_page()
    await page.goto(f'{who.root}/tickets')
    await _alive(page)
    there, back = [], []
    for n in range(times + 3):
        to_ticket = await page.evaluate(PAINTED, ['.tickets tbody a.subject', '.composer'])
        to_list = await page.evaluate(PAINTED, ['nav.nav a[data-key=tickets]', '.tickets tbody'])
        if n >= 3:
            there.append(to_ticket)
            back.append(to_list)
    await context.close()
    return [
        within(f'click to painted: {what} (p95 {p95(taken):.0f} ms)', median(taken), MOST_MOVE, unit='ms')
        for what, taken in (('list to ticket', there), ('ticket to list', back))
    ]


async def _coming(browser: Browser, served: Served, who: Someone, times: int) -> list[Line]:
    """The page beside the same first paint as plain HTML without scripts, in turn. Cold: nothing in the cache."""
    await _write_plain(served, who)
    live, plain = f'{who.root}/tickets', PLAIN
    taken: dict[str, list[float]] = {}
    for _n in range(times):
        for name, path in (('plain', plain), ('live', live)):
            context = await _context(browser, served, who)
            for warmth in ('cold', 'second', 'warm', 'warm'):  # from the third on, compiled scripts are in the cache, too
                page = await context.new_page()
                await page.goto(path)
                if name == 'live':
                    taken.setdefault(f'usable {warmth}', []).append(await _alive(page))
                await page.wait_for_timeout(100)  # a later paint may be larger
                taken.setdefault(f'{name} {warmth}', []).append(await page.evaluate(LARGEST))
                await page.close()
            await context.close()
    return [
        Line(
            f'first visit, {warmth}: largest paint, beside plain HTML', f'{median(taken[f"plain {warmth}"]):.0f} ms',
            f'{median(taken[f"live {warmth}"]):.0f} ms', f'{median(taken[f"live {warmth}"]) / median(taken[f"plain {warmth}"]):.1f} ×',
        )
        for warmth in ('cold', 'warm')
    ] + [
        Line(f'first visit, {warmth}: usable', ours=f'{median(taken[f"usable {warmth}"]):.0f} ms') for warmth in ('cold', 'warm')
    ]  # fmt: skip


async def _write_plain(served: Served, who: Someone) -> None:
    async with httpx.AsyncClient(base_url=served.origin, cookies={'portal': who.cookie}) as http:
        html = (await http.get(f'{who.root}/tickets')).text
    sheet = re.search(r'<link rel="stylesheet" href="[^"]+">', html)
    paint = re.search(r'<div id="ssr">.*<!-- first paint -->', html, re.DOTALL)
    assert sheet
    assert paint
    page = f'<!doctype html><html lang="en" data-side="client"><head><title>Tickets</title>{sheet[0]}</head><body>{paint[0]}</body></html>'
    await asyncio.to_thread(Path(data.FOLDER / 'plain.html').write_text, page, 'utf-8')
