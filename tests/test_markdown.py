import time
from html.parser import HTMLParser

import pytest

from portal.markdown import MOST_SIGNS, to_html, to_text


class Found(HTMLParser):
    """The tags, attributes and links of some HTML, as a browser would read it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _value in attrs}
        self.links += [value or '' for name, value in attrs if name == 'href']


HOSTILE = {
    'brackets': '[' * 20_000,
    'images': '![[' * 15_000,
    'quotes': '> ' * 25_000 + 'a',
    'stars': '**a ' * 12_000,
    'ticks': '`' * 20_000,
    'lists': '- ' * 20_000,
    'wide table': '|a' * 5000 + '\n' + '|-' * 5000 + '\n' + ('|x' * 5000 + '\n') * 20,
    'padded table': '|a' * 19 + '\n' + '|-' * 19 + '\n' + '|x\n' * 16_000,
    'links': '[a](b' * 10_000,
    'underscores': '_a' * 25_000,
    'tags': '<' * 50_000,
}


def test_what_people_write_becomes_html():
    html = to_html('**Hold** the _Stop_ key\nfor five seconds.\n\n1. one\n2. ~~two~~\n\n| a | b |\n|---|---|\n| 1 | 2 |')
    assert '<strong>Hold</strong> the <em>Stop</em> key<br>\nfor five seconds.' in html
    assert '<ol>' in html
    assert '<s>two</s>' in html
    assert '<td>1</td>' in html


@pytest.mark.parametrize(
    'text',
    [
        '<script>alert(1)</script>',
        '<img src=x onerror=alert(1)>',
        '[x](javascript:alert(1))',
        '[x](JaVaScRiPt:alert(1))',
        '[x](vbscript:x)',
        '[x](data:text/html,x)',
        '![x](https://evil.example/pixel.png)',
        '<a href="javascript:alert(1)">x</a>',
        '`<b onclick=x>`',
        '[x](https://a.example "" onmouseover=alert(1) x="")',
    ],
)
def test_nothing_that_runs_or_calls_home_gets_through(text):
    found = Found(to_html(text))
    assert not found.tags - {'p', 'a', 'code'}
    assert not found.attributes - {'href', 'rel', 'title'}
    assert all(href.startswith(('https://', 'mailto:', '/')) for href in found.links)


def test_links_lead_out_without_recommending():
    assert '<a href="https://a.example" rel="nofollow noopener noreferrer">a</a>' in to_html('[a](https://a.example)')
    assert 'href="mailto:ada@acme.example"' in to_html('<ada@acme.example>')


@pytest.mark.parametrize('name', HOSTILE)
def test_hostile_text_does_not_hang_the_portal(name):
    begun = time.process_time()
    html = to_html(HOSTILE[name])
    assert time.process_time() - begun < 5  # generous: what it guards against takes minutes
    assert len(html) < 2_000_000


def test_a_small_text_becomes_no_huge_page():
    assert '<table>' in to_html('a|b\n-|-\n' + 'x\n' * 900)
    assert len(to_html('a|b\n-|-\n' + 'x\n' * 24_000)) < 300_000


def test_a_text_without_end_is_cut():
    assert len(to_html('a' * (MOST_SIGNS + 1000))) < MOST_SIGNS + 100


def test_an_excerpt_is_one_line_of_words():
    assert to_text('# Printer\n\n**Blank** pages & <b>more</b>\n\n- one\n- two') == 'Printer Blank pages & <b>more</b> one two'


def test_a_long_excerpt_ends_at_a_word():
    assert to_text('word ' * 100, most=20) == 'word word word word…'
