import gzip
import re

import brotli
import httpx
import nicegui
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse

from portal.components import assets
from portal.components.island import Island


def asking(app, accepts: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url='https://acme.example', headers={'accept-encoding': accepts}
    )


@pytest.fixture
def browser():
    return asking(Starlette(routes=assets.routes()), 'identity')


async def test_an_address_never_changes_its_meaning(browser):
    answer = await browser.get(assets.url('app.css'))
    assert answer.status_code == 200
    assert answer.headers['cache-control'] == 'public, max-age=31536000, immutable'
    assert answer.headers['content-type'] == 'text/css; charset=utf-8'
    assert answer.headers['x-content-type-options'] == 'nosniff'
    assert 'content-encoding' not in answer.headers


@pytest.mark.parametrize(
    ('accepts', 'sent'), [('gzip, deflate, br', 'br'), ('gzip', 'gzip'), ('br;q=0, gzip;q=0.5', 'gzip'), ('br;q=0', '')]
)
async def test_it_is_sent_as_small_as_the_browser_can_read(browser, accepts, sent):
    async with browser.stream('GET', assets.url('app.css'), headers={'accept-encoding': accepts}) as answer:
        raw = b''.join([part async for part in answer.aiter_raw()])
        assert answer.headers.get('content-encoding', '') == sent
        assert answer.headers['vary'] == 'Accept-Encoding'
    plain = {'br': brotli.decompress, 'gzip': gzip.decompress, '': bytes}[sent](raw)
    assert b'--paper' in plain


async def test_fonts_are_not_compressed_again(browser):
    answer = await browser.get(assets.url('fonts/inter-latin.woff2'), headers={'accept-encoding': 'br'})
    assert 'content-encoding' not in answer.headers
    assert answer.headers['content-type'] == 'font/woff2'


async def test_the_stylesheet_finds_its_fonts(browser):
    sheet = assets.url('portal.css')
    fonts = re.findall(r'url\("(\.\./[^"]+\.woff2)"\)', (await browser.get(sheet)).text)
    assert len(fonts) == 3
    for font in fonts:
        assert (await browser.get(sheet.rsplit('/', 1)[0] + '/' + font)).status_code == 200


async def test_a_page_of_the_version_before_gets_todays_file_but_does_not_keep_it(browser):
    answer = await browser.get('/static/000000000000/app.css')
    assert answer.status_code == 200
    assert answer.headers['cache-control'] == 'no-cache'


@pytest.mark.parametrize('path', ['/static/000000000000/secret.py', '/static/0/js/island.js'])
async def test_nothing_else_is_served(browser, path):
    assert (await browser.get(path)).status_code == 404


def test_another_content_has_another_address(tmp_path):
    import shutil

    shutil.copytree(assets.STATIC, tmp_path / 'static')
    before = assets._load(tmp_path / 'static')
    (tmp_path / 'static/css/tokens.css').write_text(':root { --paper: red; }')
    after = assets._load(tmp_path / 'static')
    assert before['app.css'].digest != after['app.css'].digest
    assert before['app.js'].digest == after['app.js'].digest


def test_every_icon_that_is_asked_for_is_in_the_sprite():
    drawn = set(re.findall(r'<symbol id="([\w-]+)"', (assets.STATIC / 'icons.svg').read_text()))
    templates = '\n'.join(path.read_text() for path in (assets.STATIC.parent / 'templates').rglob('*.html'))
    asked = set(re.findall(r"icon(?:_name)?(?:=|\()'([\w-]+)'", templates))
    assert asked
    assert asked <= drawn


class TestNiceGUIsFiles:
    prefix = f'/_nicegui/{nicegui.__version__}'

    @pytest.fixture
    def browser(self):
        async def app(scope, receive, send):
            await PlainTextResponse('from the application')(scope, receive, send)

        return asking(assets.Static(app), 'br')

    @pytest.mark.parametrize('path', ['/static/nicegui.js', '/static/quasar.umd.prod.js', '/static/nicegui.css'])
    async def test_are_compressed_once_and_kept_for_ever(self, browser, path):
        answer = await browser.get(self.prefix + path)
        assert answer.headers['content-encoding'] == 'br'
        assert 'immutable' in answer.headers['cache-control']

    async def test_components_too(self, browser):
        assert Island.component is not None
        answer = await browser.get(f'{self.prefix}/components/{Island.component.key}')
        assert 'data-island' in answer.text
        assert answer.headers['content-type'] == 'text/javascript; charset=utf-8'

    @pytest.mark.parametrize(
        'path', ['/static/../nicegui.py', '/static/missing.js', '/dynamic_resources/x', '/esm/none/x.js', '/components/none']
    )
    async def test_what_is_not_a_file_goes_on_to_the_application(self, browser, path):
        assert (await browser.get(self.prefix + path)).text == 'from the application'

    async def test_other_addresses_go_on(self, browser):
        assert (await browser.get('/tickets')).text == 'from the application'
