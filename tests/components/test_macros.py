"""What every macro owes: it is shown, it escapes what it is given, and brings no style, handler or script of its own."""

import re
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any, cast

import pytest
from jinja2 import nodes
from markupsafe import Markup

from portal.components import gallery, plain, values
from portal.components.frame import Bell, Call, Company, Notice, Person, Primary, bottombar, frame, nav, topbar
from portal.components.render import MACROS, TEMPLATES, environment, macro

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>\'{{ 7*7 }}'
AT = datetime(2026, 11, 17, 8, 14, tzinfo=UTC)
VOID = {'area', 'br', 'col', 'hr', 'img', 'input', 'link', 'meta', 'path', 'rect', 'use', 'source'}


def all_macros() -> list[nodes.Macro]:
    assert environment.loader is not None
    source = environment.loader.get_source(environment, MACROS)[0]
    return list(environment.parse(source).find_all(nodes.Macro))


PUBLIC = [node for node in all_macros() if not node.name.startswith('_')]


class Reader(HTMLParser):
    """Collects what matters: ids, what refers to them, handlers, styles, and tags that do not close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.refers: set[str] = set()
        self.faults: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        self.faults += [f'<{tag}> is never closed' for tag in self.open]

    def handle_starttag(self, tag, attrs):
        if tag == 'script' and dict(attrs).get('src') is None:
            self.faults.append('a script')
        for name, value in attrs:
            if name.startswith('on') or name == 'style':
                self.faults.append(f'{tag} {name}')
            if (value or '').strip().lower().startswith('javascript:'):
                self.faults.append(f'{tag} {name}={value}')
            if name == 'id':
                self.ids.append(value or '')
            if name in ('for', 'popovertarget', 'aria-labelledby', 'aria-describedby', 'aria-controls'):
                self.refers |= set((value or '').split())
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.faults.append(f'</{tag}> closes something else')


def whole_pages() -> dict[str, Markup]:
    pages = {f'gallery of {side}': frame(gallery.sample_frame(side), gallery.page(side)) for side in ('client', 'staff')}
    page = plain.PlainPage('Sign in', 'Northwind IT', nonce='n', accent_css=':root { --accent: #112233; }', call=Call('030 1'))
    account = plain.Account('Ada Brandt', 'Client admin', '/demo', {'as': 'ada'})
    pages['door'] = plain.door(
        page, plain.Door('Sign in', '/sign-in', 'to the portal', (account,)), macro('field')('mail', 'E-mail')
    )
    pages['message'] = plain.message(page, 'Not here', reference='7F3K-Q2MD', at=AT)
    return pages


@pytest.mark.parametrize('name', whole_pages())
def test_no_page_has_handlers_styles_scripts_or_broken_html(name):
    reader = Reader(whole_pages()[name])
    assert reader.faults == []


@pytest.mark.parametrize('name', whole_pages())
def test_ids_are_unique_and_what_refers_to_one_finds_it(name):
    reader = Reader(whole_pages()[name])
    assert len(reader.ids) == len(set(reader.ids)), sorted(i for i in set(reader.ids) if reader.ids.count(i) > 1)
    assert reader.refers <= set(reader.ids)


def test_the_templates_themselves_bring_no_style_handler_or_script():
    for path in TEMPLATES.rglob('*.html'):
        source = path.read_text()
        assert not re.search(r'\s(style|on[a-z]+)\s*=\s*"', re.sub(r"on='|\bon=on\b", '', source)), path
        for tag in re.findall(r'<(?:script|style)\b[^>]*>', source):
            assert 'nonce="{{ page.nonce }}"' in tag, path
        assert '|safe' not in source.replace(' ', ''), path


@pytest.mark.parametrize('node', PUBLIC, ids=lambda node: node.name)
def test_the_gallery_shows_it(node):
    shown = '\n'.join(path.read_text() for path in (TEMPLATES / 'gallery').glob('*.html'))
    within = '\n'.join(path.read_text() for path in TEMPLATES.rglob('*.html') if 'gallery' not in path.parts)
    by_name = re.compile(rf'[^.\w]{node.name}\(')
    assert f'ui.{node.name}(' in shown + within or by_name.search(within.replace(f'macro {node.name}(', ''))


HOSTILE_VALUES = {
    'options': [values.Option(HOSTILE, HOSTILE, HOSTILE), values.OptionGroup(HOSTILE, (values.Option(HOSTILE, HOSTILE),))],
    'tabs': [values.Tab(HOSTILE, HOSTILE, 3)],
    'items': [values.MenuItem(HOSTILE, HOSTILE, hint=HOSTILE), values.MenuItem(HOSTILE, act=HOSTILE)],
    'actions': [values.Action(HOSTILE, HOSTILE), values.Action(HOSTILE, act=HOSTILE, attrs={'data-x': HOSTILE})],
    'filters': [values.Filter('k', HOSTILE, (values.FilterOption(HOSTILE, HOSTILE),), HOSTILE, HOSTILE)],
    'filter': values.Filter('k', HOSTILE, (values.FilterOption(HOSTILE, HOSTILE),), HOSTILE, HOSTILE),
    'columns': [values.Column(HOSTILE, HOSTILE, 'ascending')],
    'rows': [values.Row(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE), values.Row(HOSTILE, note=HOSTILE)],
    'facts': [values.Fact(HOSTILE, HOSTILE, HOSTILE), (HOSTILE, HOSTILE)],
    'people': [values.Someone(HOSTILE, HOSTILE, href=HOSTILE)],
    'files': [values.File(HOSTILE, HOSTILE, HOSTILE)],
    'crumbs': [values.Crumb(HOSTILE, HOSTILE), values.Crumb(HOSTILE)],
    'answers': [values.Answer(HOSTILE, (values.Row(HOSTILE),), HOSTILE, HOSTILE, HOSTILE, values.Action(HOSTILE, HOSTILE))],
    'errors': [(HOSTILE, HOSTILE)],
    'groups': [(HOSTILE, [((HOSTILE,), HOSTILE)])],
    'a': values.Action(HOSTILE, HOSTILE),
    'values': {'x': HOSTILE},
    'attrs': {'data-x': HOSTILE},
    'hidden': {'x': HOSTILE},
    'kept': {'x': HOSTILE},
    'keep': {HOSTILE: HOSTILE},
    'keys': (HOSTILE, HOSTILE),
    'at': AT,
    'level': 2,
    'count': 3,
    'ghosts': 1,
    'wait': 5,
    'maxlength': 5,
    'other': [values.Action(HOSTILE, act=HOSTILE)],
    'action': values.Action(HOSTILE, HOSTILE),
    'meta': HOSTILE,
}
NAMES = {'kind', 'whose', 'acts', 'layout', 'icon_name', 'classes', 'type', 'role'}
PER_MACRO = {
    'subject': {'meta': [HOSTILE]},
    'segments': {'options': [values.Tab(HOSTILE, HOSTILE)]},
    'segments_field': {'options': [values.Option(HOSTILE, HOSTILE)]},
    'choices': {'options': [values.Option(HOSTILE, HOSTILE, HOSTILE)]},
    'chips': {'options': [values.Option(HOSTILE, HOSTILE, HOSTILE)], 'values': [HOSTILE]},
    'table_group': {'columns': 4},
    'bones': {'rows': 2},
    'textarea': {'rows': 2},
    'composer': {'rows': 2, 'hidden': {HOSTILE: HOSTILE}, 'kept': {HOSTILE: HOSTILE}},
    'markdown': {'rows': 2},
    'suggest': {'items': [values.Row(HOSTILE, HOSTILE, HOSTILE, HOSTILE)]},
    'bulk': {'menus': [(HOSTILE, HOSTILE, [values.MenuItem(HOSTILE, act=HOSTILE)])]},
    'progress': {'value': 3, 'most': 5},
    'banner': {'action': values.Action(HOSTILE, act=HOSTILE)},
    'palette': {
        'groups': [values.HitGroup(HOSTILE, (values.Hit(HOSTILE, HOSTILE, 'plus', HOSTILE, HOSTILE),))],
        'action': HOSTILE,
    },
}


def hostile_call(node: nodes.Macro) -> str:
    arguments = {}
    for argument in node.args:
        name = argument.name
        if name in PER_MACRO.get(node.name, {}):
            arguments[name] = PER_MACRO[node.name][name]
        elif name not in NAMES:
            arguments[name] = HOSTILE_VALUES.get(name, HOSTILE)
    if any(call.name == 'caller' for call in node.find_all(nodes.Name)):
        arguments['caller'] = lambda: HOSTILE
    required = {'whose': 'client', 'kind': '', 'acts': 'client'}
    arguments |= {
        name: value
        for name, value in required.items()
        if name in {a.name for a in node.args[: len(node.args) - len(node.defaults)]}
    }
    return macro(node.name)(**arguments)


@pytest.mark.parametrize('node', PUBLIC, ids=lambda node: node.name)
def test_it_escapes_whatever_it_is_given(node):
    html = hostile_call(node)
    reader = Reader(html)
    assert '<script' not in html
    assert '<img src=x' not in html
    assert [fault for fault in reader.faults if 'javascript' not in fault] == []
    assert '49' not in html


def made_hostile(value):
    """Every text in it replaced, however deep."""
    if isinstance(value, tuple):
        return tuple(made_hostile(item) for item in value)
    if is_dataclass(value):
        keep = {'side', 'theme', 'language', 'icon', 'bottom', 'at', 'attrs'}
        return replace(
            cast(Any, value), **{f.name: made_hostile(getattr(value, f.name)) for f in fields(value) if f.name not in keep}
        )
    return HOSTILE if isinstance(value, str) else value


@pytest.mark.parametrize('part', [nav, topbar, bottombar])
@pytest.mark.parametrize('side', ['client', 'staff'])
def test_the_frame_escapes_whatever_it_is_given(part, side):
    company = Company('Acme', 'note', (values.MenuItem('Bolt', '#'),))
    data = gallery.sample_frame(
        side, company=company, primary=Primary('New', act='new', form='f'), call=Call('1', 'h', 'w'), logo='/logo.svg'
    )
    html = part(made_hostile(data))
    assert '<script' not in html
    assert '<img src=x' not in html
    assert Reader(html).faults == []


def test_a_frame_with_little_in_it_stands():
    data = gallery.sample_frame('client', company=None, call=None, bell=Bell(), primary=None, person=Person('Ada', ''), bottom=())
    assert 'Ada' in nav(data)
    assert 'Nothing yet' in topbar(data)
    assert bottombar(data).count('data-key="home"') == 1


def test_the_bell_says_how_many_are_new():
    bell = Bell(2, (Notice('Tess replied', '#', AT, unread=True),))
    assert 'aria-label="Notifications, 2 new"' in topbar(gallery.sample_frame('client', bell=bell))


class TestField:
    def test_an_error_is_wired_to_its_field(self):
        html = macro('field')('amount', 'Amount', error='Enter at most €5.', help='In euro')
        assert 'aria-invalid="true"' in html
        assert 'aria-describedby="f-amount-wrong f-amount-help"' in html
        assert 'id="f-amount-wrong"' in html

    def test_without_an_error_nothing_says_there_is_one(self):
        html = macro('field')('amount', 'Amount')
        assert 'aria-' not in html

    def test_a_password_can_be_shown_only_with_scripts(self):
        assert re.search(r'<button[^>]*data-show="f-pass"[^>]* hidden>', macro('field')('pass', 'Password', 'password'))

    def test_text_areas_keep_a_first_new_line(self):
        assert '>\n\nText</textarea>' in macro('textarea')('body', 'Body', '\nText')
