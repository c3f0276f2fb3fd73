"""Every pair of tokens that meet on a screen can be read: 4.5:1 for words, 3:1 for controls and marks."""

import random
import re

import pytest

from portal.components import assets, theme

SURFACES = ('paper', 'sheet', 'sunken')
WORDS = ('ink', 'ink-2', 'ink-3', 'accent-text', 'ok-text', 'wait-text', 'bad-text')
MARKS = ('line-control', 'accent', 'accent-text', 'ok-mark', 'wait-mark', 'bad-mark', 'quiet-mark')
TEXT_PAIRS = (
    *((word, surface) for word in WORDS for surface in SURFACES),
    *((word, 'accent-soft') for word in ('ink', 'ink-2', 'ink-3', 'accent-text', 'wait-text', 'bad-text')),
    *(('on-accent', ground) for ground in ('accent', 'accent-hover', 'accent-field', 'staff')),
    ('on-field-2', 'accent-field'),
    ('accent-field', 'on-field-2'),
    *((word, f'{kind}-soft') for kind in ('ok', 'wait', 'bad') for word in ('ink', f'{kind}-text')),
    *((word, 'note-ground') for word in ('ink', 'ink-2', 'note-text')),
    ('note-ground', 'note-text'),
    ('ink-inverse', 'ink-2'),
    ('paper', 'ink'),
)
MARK_PAIRS = (
    *((mark, surface) for mark in MARKS for surface in SURFACES),
    *((mark, 'accent-soft') for mark in ('wait-mark', 'bad-mark', 'quiet-mark', 'line-control', 'accent')),
    ('bad-mark', 'bad-soft'),
    ('wait-mark', 'wait-soft'),
    ('note-edge', 'note-ground'),
    ('note-edge', 'paper'),
)

Tokens = dict[str, tuple[str, str]]


def tokens(css: str) -> Tokens:
    """Name to its light and its dark colour."""
    found: Tokens = {}
    for name, value in re.findall(r'--([a-z0-9-]+):\s*([^;]+);', css):
        colours = re.findall(r'#[0-9a-f]{6}\b', value)
        if colours:
            found[name] = (colours[0], colours[-1])
    return found


def of_side(side: str) -> Tokens:
    css = (assets.STATIC / 'css/tokens.css').read_text()
    root, staff = css.split('[data-side="staff"] {')
    return tokens(root) | (tokens(staff) if side == 'staff' else {})


def too_weak(values: Tokens) -> list[str]:
    return [
        f'{front} on {back} is {ratio:.2f}, needs {least} ({"dark" if dark else "light"})'
        for pairs, least in ((TEXT_PAIRS, 4.5), (MARK_PAIRS, 3.0))
        for front, back in pairs
        for dark in (0, 1)
        if (ratio := theme.contrast(values[front][dark], values[back][dark])) < least
    ]


@pytest.mark.parametrize('side', ['client', 'staff'])
def test_our_own_tokens_can_be_read(side):
    assert too_weak(of_side(side)) == []


def test_any_colour_of_a_tenant_becomes_an_accent_that_can_be_read():
    chance = random.Random(7)
    colours = [
        '#000000',
        '#ffffff',
        '#ffff00',
        '#00ff00',
        '#0000ff',
        '#ff0000',
        *(f'#{chance.randrange(1 << 24):06x}' for _ in range(200)),
    ]
    for colour in colours:
        assert too_weak(of_side('client') | tokens(theme.accent_css(colour, 'client'))) == [], colour


def test_a_colour_that_can_be_read_stays_as_the_tenant_chose_it():
    assert '--accent: light-dark(#1e53bc,' in theme.accent_css('#1E53BC', 'client')


def test_the_accent_is_set_for_its_side_only():
    assert theme.accent_css('#1e53bc', 'staff').startswith(':root[data-side="staff"] {')


def test_a_tenant_without_a_colour_gets_ours():
    assert theme.accent_css(None, 'client') == ''


@pytest.mark.parametrize('wrong', ['red', '#fff', '1e53bc', '#1e53bcff', '#1e53bc; } body { display: none', '#1e53bg'])
def test_what_is_no_colour_is_refused(wrong):
    with pytest.raises(ValueError, match='colour'):
        theme.accent_css(wrong, 'client')
    with pytest.raises(ValueError, match='colour'):
        theme.contrast(wrong, '#ffffff')


def test_the_surfaces_that_the_accent_is_measured_against_are_those_of_the_stylesheet():
    values = of_side('client')
    for dark in (0, 1):
        assert theme._SURFACES[dark] == tuple(values[name][dark] for name in SURFACES)
        soft = {
            values[name][dark]
            for name in ('ink', 'ink-2', 'ink-3', 'wait-text', 'bad-text', 'wait-mark', 'bad-mark', 'quiet-mark', 'line-control')
        }
        assert {colour for colour, _least in theme._ON_SOFT[dark]} == soft
