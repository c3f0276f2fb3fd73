"""A page of islands for test_live.py; started by uvicorn. What its handlers were told is read back at /told."""

import asyncio
from typing import Any

from fastapi import FastAPI, Response
from markupsafe import Markup
from nicegui import ui

from portal.components import assets, gallery, island, render
from portal.components.frame import nav, topbar
from portal.components.island import Act, Island
from portal.components.render import macro

told: list[dict[str, Any]] = []
TEMPLATE = render.environment.from_string("""
<p id="count">{{ count }}</p>
{{ ui.button('Count', act='count', key='k1', values={'by': '1'}, attrs={'id': 'counter'}) }}
{{ ui.button('Fail', act='fail', attrs={'id': 'failing'}) }}
<details id="details"><summary>More</summary>inside</details>
{{ ui.menu('menu', 'Menu', menu) }}
<form id="form" data-act="send" data-draft="t1" data-key="row">
  {{ ui.field('subject', 'Subject', error=error) }}{{ ui.textarea('body', 'Body') }}
  {{ ui.checkbox('copy', 'Ada', 'ada', id='ada') }}{{ ui.checkbox('copy', 'Bill', 'bill', id='bill') }}
  {{ ui.field('secret', 'Password', 'password') }}{{ ui.button('Send', 'primary', type='submit') }}
</form>
{{ ui.search_box('Search', act='search', wait=20, id='search') }}
<div id="lines" data-grows>{% for line in lines %}<p data-key="{{ line }}">{{ line }}</p>{% endfor %}</div>
{{ ui.button('Grow', act='grow', attrs={'id': 'growing'}) }}{{ ui.button('Shrink', act='shrink', attrs={'id': 'shrinking'}) }}
<div id="hostile">{{ hostile }}</div>
""")


class Page:
    """Remembers what its visitor did; an empty subject is an error."""

    def __init__(self) -> None:
        self.count, self.error = 0, ''
        self.lines: list[str] = []
        self.island = Island(self.html(), self.act)

    def html(self) -> Markup:
        menu = gallery._sample()['menu']
        hostile = '{{ constructor.constructor("window.hacked = 1")() }}<script>window.hacked = 1</script>'
        return Markup(TEMPLATE.render(lines=self.lines, count=self.count, error=self.error, menu=menu, hostile=hostile))

    async def act(self, act: Act) -> None:
        told.append({'name': act.name, 'key': act.key, 'values': dict(act.values)})
        if act.name == 'grow':
            self.lines.append(f'line {len(self.lines)}')
            piece = Markup('<p data-key="{0}">{0}</p>').format(self.lines[-1])
            self.island.add(self.html(), piece)
            return self.island.add(self.html(), piece)  # a second time changes nothing
        if act.name == 'shrink':
            self.lines.clear()
            return self.island.set(self.html())
        if act.name == 'fail':
            raise RuntimeError('meant')
        if act.name == 'send':
            await asyncio.sleep(0.3)
            self.error = '' if act.text('subject') else 'Say what it is about.'
        self.count += 1
        self.island.set(self.html())
        if act.name == 'send' and not self.error:
            self.island.forget_draft()


api = FastAPI(routes=assets.routes())


@api.get('/told')
def _told() -> list[dict[str, Any]]:
    return told


@api.post('/theme')
def _theme() -> Response:
    return Response(status_code=204)


@ui.page('/')
def _page(painted: bool = False) -> None:
    ui.add_head_html(
        f'<link rel="stylesheet" href="{assets.url("app.css")}"><script defer src="{assets.url("app.js")}"></script>'
    )
    frame = gallery.sample_frame()
    with ui.context.client.layout, ui.element('div').classes('frame'):
        Island(nav(frame), classes='contents')
        with ui.element('div').classes('main'):
            Island(topbar(frame), classes='contents')
            with ui.element('main').classes('page').props('id=main'):
                page = Page()
        Island(macro('connection_banner')(), classes='contents')
    if painted:
        ui.add_body_html(str(Markup('<div id="ssr">{}</div>').format(island.static_html(page.island))))
        page.island.adopt()


ui.run_with(api, tailwind=False, reconnect_timeout=30)
app = assets.Static(api)
