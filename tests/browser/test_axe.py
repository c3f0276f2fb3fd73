"""Nothing that axe-core finds (WCAG 2.2 AA) on any screen, in light and in dark, wide and narrow, with whatever opens on it."""

import re
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from importlib.resources import files
from typing import Any, Literal

import psycopg
import pytest
from playwright.async_api import Browser, Page, ViewportSize, expect
from psycopg import sql

from portal import setup
from portal.db import roles
from portal.db.cast import Cast, Member
from portal.db.server import Cluster
from portal.pages import client, staff
from portal.pages.screens import Screen
from portal.settings import Settings
from tests.browser.conftest import PageAs, ready, start_portal

pytestmark = pytest.mark.browser

AXE = files('axe_playwright_python').joinpath('axe.min.js').read_text()
TAGS = {'type': 'tag', 'values': ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}
COLOURS = {'type': 'rule', 'values': ['color-contrast', 'link-in-text-block']}  # what a second theme can change
RUN = """
async (rules) => {
  await document.fonts.ready;
  await Promise.all(document.getAnimations().filter((a) => a.timeline === document.timeline && a.effect.getComputedTiming().endTime !== Infinity).map((a) => a.finished.catch(() => {})));
  const found = await axe.run(document, { runOnly: rules, resultTypes: ['violations'], preload: false });
  return found.violations.flatMap((v) => v.nodes.map((n) => `${v.id}: ${n.target.join(' ')} | ${n.html.slice(0, 160)} | ${n.any.concat(n.all, n.none).map((c) => c.message).join('; ')}`));
}
"""
Theme = Literal['light', 'dark']
BOTH: tuple[Theme, Theme] = ('light', 'dark')
WIDE, NARROW = ViewportSize(width=1440, height=900), ViewportSize(width=390, height=844)


async def violations(page: Page, *themes: Theme) -> list[str]:
    """What axe finds on the page as it stands now."""
    found: list[str] = []
    if not await page.evaluate('!!window.axe'):
        await page.evaluate(AXE)  # past the Content-Security-Policy, which would not let it in
    for rules, theme in zip((TAGS, COLOURS), themes, strict=False):
        await page.emulate_media(color_scheme=theme)
        path = re.sub(r'https?://[^/]+', '', page.url)
        found += [f'{theme} {path}: {line}' for line in await page.evaluate(RUN, rules)]
    return found


async def test_axe_finds_something_where_there_is_something(page_as: PageAs) -> None:
    """Else everything below would prove nothing."""
    page = await page_as()
    await page.set_content(
        '<html lang="en"><title>x</title><main><img src="x.png"><p style="color:#999;background:#fff">Pale</p></main></html>'
    )
    found = await violations(page, 'light')
    assert {line.split(': ')[1] for line in found} == {'image-alt', 'color-contrast'}


# ---------- every screen ----------


@pytest.fixture
def addresses(cast: Cast, settings: Settings, maintenance: str) -> Callable[[Member], list[str]]:
    """Of every screen of somebody's side, with something of theirs on it; and of what is not there."""
    with psycopg.connect(maintenance) as connection:
        letter = connection.execute('select id from mail_outbox where tenant_id = %s', (cast.northwind.id,)).fetchone()
        batch = connection.execute('select id from import_batch where tenant_id = %s', (cast.northwind.id,)).fetchone()
        whose = {'of': cast.northwind.id}
        role = connection.execute('select id from role where tenant_id = %(of)s', whose).fetchone()
        provider = connection.execute('select id from identity_provider where tenant_id = %(of)s', whose).fetchone()
    assert letter and batch and role and provider
    own = {'label': cast.printer.label, 'slug': cast.acme.slug, 'id': str(letter[0])}
    mel, ugo = cast.mel_bolt.user_id, cast.ugo.user_id
    ids = {
        '/people/{id}': f'/people/{mel}', '/people/{id}/access': f'/people/{mel}/access?company=bolt', '/import/{id}': f'/import/{batch[0]}',
        '/view-as/{id}': f'/view-as/{mel}', '/team/{id}': f'/team/{cast.tess.user_id}', '/roles/{id}': f'/roles/{role[0]}',
        '/access/sso/{id}': f'/access/sso/{provider[0]}', '/settings/people/{id}': f'/settings/people/{ugo}',
    }  # fmt: skip

    def of(who: Member) -> list[str]:
        screens: tuple[Screen, ...] = (staff if who.side == 'staff' else client).spec(settings).screens
        paths = [re.sub(r'\{(\w+)\}', lambda m: own[m[1]], ids.get(screen.path, screen.path)) for screen in screens]
        return [who.root + path for path in (*dict.fromkeys(paths), '/nothing')]

    return of


@pytest.mark.parametrize(
    ('name', 'viewport', 'themes'),
    [
        *[pytest.param(name, WIDE, BOTH, id=f'{name}-wide') for name in ('ada', 'tess', 'mona')],
        pytest.param('ada', NARROW, ('dark',), id='ada-narrow'),
        pytest.param('tess', NARROW, ('light',), id='tess-narrow'),
        pytest.param('mona', NARROW, ('dark',), id='mona-narrow'),
    ],
)
async def test_every_screen(
    page_as: PageAs, cast: Cast, addresses: Callable[[Member], list[str]], name: str, viewport: Any, themes: tuple[Theme, ...]
) -> None:
    who: Member = getattr(cast, name)
    page = await page_as(who, viewport=viewport, reduced_motion='reduce')
    found: list[str] = []
    for address in addresses(who):
        await page.goto(address)
        await ready(page)
        found += await violations(page, *themes)
    assert not found, '\n'.join(found)


@pytest.mark.parametrize('name', ['tess', 'mona'])
async def test_what_staff_alone_have_on_a_ticket(page_as: PageAs, cast: Cast, name: str) -> None:
    """A new one, a private one, a closed one: each has other things to do on it."""
    who: Member = getattr(cast, name)
    page, found = await page_as(who, reduced_motion='reduce'), list[str]()
    for ticket in (cast.scanners, cast.payroll, cast.certificate) if name == 'tess' else (cast.calendar, cast.salary):
        await page.goto(f'/msp/tickets/{ticket.label}')
        await ready(page)
        found += await violations(page, *BOTH)
    assert not found, '\n'.join(found)


# ---------- what opens on them ----------

Do = Callable[[Page], Awaitable[Any]]


def opens(target: str) -> Do:
    async def do(page: Page) -> None:
        await page.locator(f'[popovertarget="{target}"]:visible').first.click()
        await expect(page.locator(f'#{target}')).to_be_visible()

    return do


async def filter_menu(page: Page) -> None:
    await page.locator('.filter[popovertarget]:visible').first.click()
    await expect(page.locator('[popover]:popover-open')).to_be_visible()


async def shortcuts(page: Page) -> None:
    await page.locator('h1').first.click()
    await page.keyboard.press('?')
    await expect(page.locator('#shortcuts')).to_be_visible()


async def palette(page: Page) -> None:
    await page.keyboard.press('Control+k')
    await page.keyboard.type('kyocrea')
    await expect(page.locator('#palette').get_by_role('option').first).to_contain_text('Kyocera')


async def company_without_a_name(page: Page) -> None:
    await page.locator('main form button[type=submit]').last.click()
    await expect(page.locator('main .is-wrong').first).to_be_visible()


async def ticket_without_words(page: Page) -> None:
    await page.get_by_role('button', name='Send to Northwind').click()
    await expect(page.locator('main .is-wrong').first).to_be_visible()


async def preview(page: Page) -> None:
    await page.get_by_label('What happens, and since when?').fill(
        '**Bold**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> so they said\n\n`code`'
    )
    await page.get_by_text('Preview', exact=True).click()
    await expect(page.locator('.markdown-preview strong')).to_be_visible()


async def unfold_everything(page: Page) -> None:
    for summary in await page.locator('.aside-more > summary').all():
        await summary.click()
    await expect(page.locator('.aside-more:not([open])')).to_have_count(0)


async def rename(page: Page) -> None:
    await page.locator('#main [popovertarget]').first.click()
    await page.get_by_role('button', name='Rename').click()
    await expect(page.get_by_label('New name')).to_be_visible()


async def add_people(page: Page) -> None:
    await page.locator('.add-people > summary').click()
    await expect(page.locator('.add-people form')).to_be_visible()


async def new_person_without_a_name(page: Page) -> None:
    await page.locator('.add-person summary').click()
    await page.locator('form[data-act=add] button[type=submit]').last.click()
    await expect(page.locator('#person-name-error, .add-person .is-wrong').first).to_be_visible()


async def person_menu(page: Page) -> None:
    await page.locator('.people-table [popovertarget]').first.click()
    await expect(page.locator('[popover]:popover-open')).to_be_visible()


async def remove_person(page: Page) -> None:
    await person_menu(page)
    await page.locator('[popover]:popover-open button').last.click()
    await expect(page.get_by_role('dialog')).to_be_visible()


async def wrong_address(page: Page) -> None:
    await page.get_by_role('button', name='More to do for').click()
    await page.get_by_role('button', name='Change the e-mail address').click()
    await page.locator('#client-email').fill('ada@acme.example')
    await page.locator('[form=person-form]').click()
    await expect(page.get_by_role('dialog').locator('.is-wrong')).to_be_visible()


async def list_of_people(page: Page) -> None:
    await page.get_by_label('The list', exact=True).fill('Jana Hofmann;jana@acme.example\nUgo;ugo@acme.example')
    await page.get_by_role('button', name='Look at the list').click()
    await expect(page.get_by_text('belongs here already')).to_be_visible()


async def wrong_phone(page: Page) -> None:
    await page.get_by_label('Phone').fill('call me')
    await company_without_a_name(page)


async def archive(page: Page) -> None:
    await page.get_by_role('button', name='Archive', exact=True).click()
    await expect(page.get_by_role('dialog')).to_be_visible()


async def internal_note(page: Page) -> None:
    await page.get_by_text('Internal note', exact=True).first.click()
    await expect(page.get_by_role('button', name='Save internal note')).to_be_visible()


async def picked(page: Page) -> None:
    await page.locator('.queue td .tick').first.check()
    await expect(page.locator('.bulk')).to_be_visible()


async def bulk_menu(page: Page) -> None:
    await picked(page)
    await opens('bulk-due')(page)


async def save_a_view(page: Page) -> None:
    await opens('list-menu')(page)
    await page.get_by_role('button', name='Save as a view').click()
    await expect(page.get_by_role('dialog')).to_be_visible()


async def no_connection(page: Page) -> None:
    await page.context.set_offline(True)
    await expect(page.locator('#connection [data-lost]')).to_be_visible()


@pytest.mark.parametrize(
    ('name', 'path', 'do', 'viewport'),
    [
        pytest.param('ugo', '', opens('bell-panel'), WIDE, id='bell'),
        pytest.param('bill', '', opens('bell-panel'), WIDE, id='bell-with-nothing'),
        pytest.param('ada', '', opens('person-menu'), WIDE, id='person-menu'),
        pytest.param('mel_acme', '', opens('company-menu'), WIDE, id='company-menu'),
        pytest.param('mel_acme', '', opens('more-sheet'), NARROW, id='more-sheet'),
        pytest.param('mona', '', opens('more-sheet'), NARROW, id='more-sheet-of-staff'),
        pytest.param('ada', '/tickets', filter_menu, WIDE, id='filter-menu'),
        pytest.param('tess', '', filter_menu, WIDE, id='filter-menu-of-staff'),
        pytest.param('tess', '', filter_menu, NARROW, id='filter-menu-narrow'),
        pytest.param('tess', '', picked, NARROW, id='picked-narrow'),
        pytest.param('tess', '', bulk_menu, WIDE, id='bulk-menu'),
        pytest.param('mona', '', save_a_view, WIDE, id='save-a-view'),
        pytest.param('tess', '/tickets/{printer}', opens('canned'), WIDE, id='canned-replies'),
        pytest.param('tess', '', shortcuts, WIDE, id='shortcuts'),
        pytest.param('tess', '', palette, WIDE, id='palette'),
        pytest.param('ada', '', palette, NARROW, id='palette-narrow'),
        pytest.param('ada', '/tickets/new', ticket_without_words, WIDE, id='new-ticket-wrong'),
        pytest.param('ada', '/tickets/new', preview, WIDE, id='new-ticket-preview'),
        pytest.param('ada', '/tickets/{printer}', add_people, WIDE, id='add-people'),
        pytest.param('tess', '/tickets/{printer}', unfold_everything, WIDE, id='unfolded'),
        pytest.param('mona', '/categories', rename, WIDE, id='rename-category'),
        pytest.param('tess', '/tickets/{printer}', internal_note, WIDE, id='internal-note'),
        pytest.param('ada', '/tickets/{printer}', no_connection, WIDE, id='no-connection'),
        pytest.param('mona', '/companies/new', company_without_a_name, WIDE, id='new-company-wrong'),
        pytest.param('mona', '/companies/acme', new_person_without_a_name, WIDE, id='new-person-wrong'),
        pytest.param('mona', '/companies/acme', person_menu, NARROW, id='menu-of-a-person'),
        pytest.param('mona', '/companies/acme', remove_person, WIDE, id='dialog'),
        pytest.param('mona', '/companies/acme', archive, WIDE, id='archive-a-company'),
        pytest.param('mona', '/people/{ugo}', wrong_address, NARROW, id='wrong-address'),
        pytest.param('mona', '/companies/acme/edit', wrong_phone, WIDE, id='edit-company'),
        pytest.param('ada', '/settings/people/invite', list_of_people, WIDE, id='list-of-people'),
        pytest.param('ada', '/tickets?q=nothing+like+this', None, WIDE, id='nothing-found'),
        pytest.param('tess', '/mail', None, WIDE, id='not-part-of-the-role'),
    ],
)
async def test_what_opens(page_as: PageAs, cast: Cast, name: str, path: str, do: Do | None, viewport: Any) -> None:
    who: Member = getattr(cast, name)
    page = await page_as(who, viewport=viewport, reduced_motion='reduce')
    await page.goto(who.root + path.format(printer=cast.printer.label, ugo=cast.ugo.user_id))
    await ready(page)
    if do:
        await do(page)
    found = await violations(page, *BOTH)
    assert not found, '\n'.join(found)


# ---------- plain pages ----------


@pytest.mark.parametrize('viewport', [WIDE, NARROW], ids=['wide', 'narrow'])
async def test_the_doors(page_as: PageAs, cast: Cast, viewport: Any) -> None:
    page = await page_as(host=cast.northwind.host, viewport=viewport, reduced_motion='reduce')
    themes: tuple[Theme, ...] = BOTH if viewport == WIDE else ('dark',)
    found: list[str] = []

    async def look(path: str | None = None) -> None:
        if path:
            await page.goto(path)
        found.extend(await violations(page, *themes))

    async def send(**values: str) -> None:
        for name, value in values.items():
            await page.fill(f'input[name={name}]', value)
        async with page.expect_navigation():
            await page.locator('main form button[type=submit]').first.click()
        await look()

    for side in ('client-portal', 'msp'):
        await look(f'/auth/{side}/signin')
        await send()
        await send(email='nobody@acme.example', password='wrong')
        await expect(page.locator('body')).to_contain_text('do not belong together')
        await look(f'/auth/{side}/signin?why=over')
        await look(f'/auth/{side}/forgot-password')
        await send(email=f'nobody-{side}@acme.example')
        await expect(page.get_by_role('heading', level=1)).to_have_text('Look into your mail')
    await look('/auth/password-reset/set-new-password?token=nonsense')
    assert not found, '\n'.join(found)


async def test_a_new_password_and_what_is_wrong_with_it(
    page_as: PageAs, cast: Cast, settings: Settings, maintenance: str
) -> None:
    from portal import links

    with psycopg.connect(maintenance) as connection:
        question = 'select mark from app.person_for_reset(%s, %s)'
        (mark,) = connection.execute(question, (cast.northwind.id, cast.ugo.user_id)).fetchone() or ('',)
    token = links.password_token(settings, cast.northwind.id, cast.ugo.user_id, 'reset', mark)
    page = await page_as(host=cast.northwind.host, reduced_motion='reduce')
    await page.goto(f'/auth/password-reset/set-new-password?token={token}')
    found = await violations(page, *BOTH)
    await page.fill('input[name=password]', 'passwordpassword')
    await page.keyboard.press('Enter')
    await expect(page.locator('.is-wrong').first).to_be_visible()
    found += await violations(page, *BOTH)
    assert not found, '\n'.join(found)


async def test_not_found_and_belongs_nowhere(page_as: PageAs, cast: Cast, maintenance: str) -> None:
    page = await page_as(cast.ugo, reduced_motion='reduce')
    await page.goto('/client-portal/bolt')
    found = await violations(page, *BOTH)
    with psycopg.connect(maintenance) as connection:
        connection.execute('update membership set ended_at = now() where user_id = %s', (cast.ugo.user_id,))
    answer = await page.goto('/client-portal')
    assert answer
    assert answer.status == 403
    found += await violations(page, *BOTH)
    assert not found, '\n'.join(found)


@pytest.fixture
def empty(cluster: Cluster, settings: Settings) -> Iterator[tuple[Cluster, int]]:
    """A portal that nobody has set up, and its port."""
    name = f'{cluster.database}_empty'
    with psycopg.connect(cluster.admin() or '', dbname='postgres', autocommit=True) as admin:
        newest = "select datname from pg_database where datname ~ '^template_[0-9a-f]{12}$' order by oid desc limit 1"
        template = (admin.execute(newest).fetchone() or ('',))[0]
        admin.execute(sql.SQL('drop database if exists {} with (force)').format(sql.Identifier(name)))
        admin.execute(sql.SQL('create database {} template {}').format(sql.Identifier(name), sql.Identifier(template)))
    roles.prepare(cluster.admin() or '', name, settings.secret)
    process, port = start_portal(name, 'PORTAL_DEMO=0')
    yield replace(cluster, database=name), port
    process.terminate()
    process.wait(20)


async def test_the_first_start_and_what_an_empty_portal_shows(
    empty: tuple[Cluster, int], browser: Browser, settings: Settings
) -> None:
    cluster, port = empty
    context = await browser.new_context(base_url=f'http://localhost:{port}', viewport=WIDE, reduced_motion='reduce')
    try:
        page = await context.new_page()
        await page.goto('/')
        assert page.url.endswith('/setup')
        found = await violations(page, *BOTH)
        await page.evaluate('document.querySelector(\'form[action="/setup"], main form\').noValidate = true')
        await page.locator('button[type=submit]').last.click()
        await expect(page.locator('.is-wrong').first).to_be_visible()
        found += await violations(page, *BOTH)
        code = setup.code_if_open(cluster, settings)
        values = {
            'house': 'Northwind IT',
            'name': 'Mona Reyes',
            'email': 'mona@northwind.example',
            'password': 'moss-lantern-quarry-eleven',
        }
        for name, value in {**values, 'code': code or ''}.items():
            await page.fill(f'[name={name}]', value)
        await page.select_option('[name=timezone]', 'Europe/Berlin')
        await page.locator('button[type=submit]').last.click()
        await page.wait_for_url('**/msp')
        for path in ('/msp', '/msp/companies', '/msp/mail'):
            await page.goto(path)
            await ready(page)
            found += await violations(page, *BOTH)
    finally:
        await context.close()
    assert not found, '\n'.join(found)
