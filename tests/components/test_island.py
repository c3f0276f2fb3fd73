from types import SimpleNamespace

import pytest
from markupsafe import Markup
from nicegui.client import Client
from nicegui.page import page

from portal.components.island import Act, Island, act_from, static_html


def test_an_act_reads_like_a_form():
    act = Act('send', 'T-1', {'subject': '  Printer ', 'copy': ['ada', 'bill'], 'one': 'ugo'})
    assert act.text('subject') == 'Printer'
    assert act.text('missing') == ''
    assert act.all('copy') == ['ada', 'bill']
    assert act.all('one') == ['ugo']
    assert act.all('missing') == []
    assert 'one' in act


def test_what_is_too_long_is_refused():
    with pytest.raises(ValueError, match='longer than 5'):
        Act('send', None, {'subject': 'Printer'}).text('subject', most=5)


def test_what_a_browser_sends_becomes_an_act():
    assert act_from({'act': 'open', 'key': 'T-1', 'values': {'a': 'x\r\ny\x00', 'b': ['1', '2']}}) == Act(
        'open', 'T-1', {'a': 'x\ny', 'b': ['1', '2']}
    )
    assert act_from({'act': 'send', 'values': {'text': 'half a sign: \ud83d'}}).text('text') == 'half a sign: ?'


@pytest.mark.parametrize(
    'message',
    [
        None,
        'open',
        {},
        {'act': 3},
        {'act': 'open', 'key': 3},
        {'act': 'open', 'values': ['x']},
        {'act': 'open', 'values': {'x': {'y': 1}}},
        {'act': 'open', 'values': {'x': 'y' * 300_000}},
        {'act': 'open', 'values': {str(n): '' for n in range(1000)}},
    ],
)
def test_what_is_not_an_act_is_refused(message):
    with pytest.raises(ValueError, match=r'act|text|table'):
        act_from(message)


class TestIsland:
    @pytest.fixture
    def shown(self):
        with Client(page('')) as client:
            yield client
        client.delete()

    def test_only_markup_can_become_html(self, shown):
        with pytest.raises(TypeError, match='Markup'):
            Island('<b>x</b>')  # pyright: ignore[reportArgumentType]
        island = Island(Markup('<b>x</b>'))
        with pytest.raises(TypeError, match='Markup'):
            island.set('<i>y</i>')  # pyright: ignore[reportArgumentType]

    def test_the_first_paint_looks_like_the_live_one(self, shown):
        island = Island(Markup('<b>x</b>'), tag='section', classes='contents')
        assert static_html(island) == f'<section class="contents" data-island="{island.id}"><b>x</b></section>'

    def test_what_the_page_already_carries_is_not_sent_again(self, shown):
        island = Island(Markup('<b>x</b>'))
        island.adopt()
        assert 'html' not in island._props
        island.set(Markup('<b>y</b>'))
        assert island._props['html'] == '<b>y</b>'
        assert island.content == '<b>y</b>'

    async def test_the_button_is_freed_also_when_the_handler_fails(self):
        def fail(act):
            raise RuntimeError(act.name)

        with Client(page('')) as client:
            island = Island(Markup(''), fail)
        freed = []
        island.run_method = lambda name, *args: freed.append((name, *args))  # pyright: ignore[reportAttributeAccessIssue]
        with pytest.raises(RuntimeError, match='send'):
            await island._handle(SimpleNamespace(args={'act': 'send', 'number': 7}))  # pyright: ignore[reportArgumentType]
        assert freed == [('done', 7)]
        client.delete()
