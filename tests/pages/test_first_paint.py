"""What the guard does to NiceGUI's page, so that the first paint is seen before its scripts run."""

import re

from portal.db.cast import Cast
from tests.visitor import Visitor

SCRIPT = re.compile(r'<script\b([^>]*)>')


async def test_scripts_of_nicegui_wait_for_the_first_paint(visitor: type[Visitor], cast: Cast) -> None:
    html = (await visitor(cast.ada).get('/client-portal/acme')).html
    scripts = SCRIPT.findall(html)
    waiting = [words for words in scripts if 'data-later=' in words]
    at_once = [words for words in scripts if 'data-later=' not in words]
    assert {'/_nicegui/' in words or 'data-later="module"' in words for words in waiting} == {True}
    assert all('type="text/plain"' in words and 'nonce="' in words for words in waiting)
    assert any('nicegui.js' in words for words in waiting)
    assert any('data-later="module"' in words for words in waiting)
    assert not any('/_nicegui/' in words or 'type="module"' in words for words in at_once)
    fetched = set(re.findall(r'<link rel="preload" as="script"[^>]*href="([^"]+)"', html))
    assert fetched == {src for words in waiting for src in re.findall(r'data-src="([^"]+)"', words)}


async def test_a_script_in_what_people_wrote_is_none_that_could_start(visitor: type[Visitor], cast: Cast) -> None:
    page = await visitor(cast.ada).get(
        '/client-portal/acme/tickets?q=%3Cscript%20type%3D%22text%2Fplain%22%20data-later%3D%22module%22%3E'
    )
    inside = page.html.split('<div id="ssr">', 1)[1].split('<!-- first paint -->', 1)[0]
    assert '<script' not in inside
