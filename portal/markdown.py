"""Markdown that people write, as clean HTML: no tags of theirs, no scripts, no images from elsewhere, no way to hang the server.

CommonMark with tables and strikethrough; a single new line is a line break. markdown-it leaves raw HTML as text, nh3 then keeps
only the tags we know: a fault in one of them does not open the other.
"""

import asyncio
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from html import unescape

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

MOST_SIGNS = 50_000
MOST_COLUMNS = 20
MOST_LINES = 1000  # of a text with a table
MOST_NESTING = 20
LONG = 5000  # signs, from which on one may take longer than others should wait for

_TAGS = {
    *('h1', 'h2', 'h3', 'h4', 'p', 'ul', 'ol', 'li', 'blockquote', 'hr', 'br'),
    *('em', 'strong', 's', 'a', 'code', 'pre', 'table', 'thead', 'tbody', 'tr', 'th', 'td'),
}
_ATTRIBUTES = {'a': {'href', 'title'}, 'ol': {'start'}}
_SCHEMES = {'http', 'https', 'mailto'}

_parser = MarkdownIt('commonmark', {'html': False, 'linkify': False, 'breaks': True, 'maxNesting': MOST_NESTING})
_parser.enable(['table', 'strikethrough']).disable('image')
_TABLE_RULE = re.compile(r'^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)+\|?\s*$', re.MULTILINE)


def to_html(text: str) -> Markup:
    """HTML of a text that is at most 50,000 signs long; the rest of a longer one is left out."""
    return _cached(text[:MOST_SIGNS])


_aside = ThreadPoolExecutor(1, 'markdown')


async def prepared(texts: Iterable[str]) -> None:
    """Long texts are made to HTML beside the loop, one after the other, so that everybody else goes on meanwhile; `to_html` has
    them then. A text made to be slow takes a second."""
    if long := [text for text in texts if len(text) > LONG]:
        await asyncio.get_running_loop().run_in_executor(_aside, lambda: [to_html(text) for text in long])


@lru_cache(maxsize=512)
def _cached(text: str) -> Markup:
    try:
        html = _parser.render(_tamed(text))
    except RecursionError:
        return _plain(text)
    clean = nh3.clean(
        html,
        tags=_TAGS,
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes=_SCHEMES,
        link_rel='nofollow noopener noreferrer',
        strip_comments=True,
    )
    return Markup(clean)  # noqa: S704  (cleaned by nh3)


def _plain(text: str) -> Markup:
    return Markup('<p>{}</p>').format(Markup('<br>').join(escape(text).splitlines()))


def _tamed(text: str) -> str:
    """Tables wider than `MOST_COLUMNS`, or in texts longer than `MOST_LINES`, stay text: cells multiply, and a small text could
    become a huge page."""
    if text.count('\n') > MOST_LINES:
        return _TABLE_RULE.sub(lambda rule: '\\' + rule[0].strip(), text)
    return _TABLE_RULE.sub(lambda rule: '\\' + rule[0].strip() if rule[0].count('|') > MOST_COLUMNS else rule[0], text)


_BREAKS = re.compile(r'</(?:p|h[1-4]|li|tr|pre|blockquote)>|<br>|<hr>|</t[hd]>')
_TAG = re.compile(r'<[^>]+>')


def to_text(text: str, most: int = 200) -> str:
    """One line without markup, for lists; cut at a word, with an ellipsis."""
    html = to_html(text[: most * 8])
    words = ' '.join(unescape(_TAG.sub('', _BREAKS.sub(' ', html))).split())
    if len(words) <= most:
        return words
    return words[:most].rsplit(' ', 1)[0].rstrip(' ,.;:') + '…'
