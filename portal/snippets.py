"""Where searched words stand in a text, marked: accents and case do not matter, beginnings of words are enough, as in the database."""

import re
import unicodedata
from functools import lru_cache

from markupsafe import Markup, escape

MOST_WORDS = 8
AROUND = 1000  # characters on either side of the first of them that are looked at for more
MOST_FOLDED = 40_000  # signs that are looked through
BEFORE = 40  # characters shown before the first word that was found
_WORD = re.compile(r'[^\W_]+')


def marked(text: str, words: str) -> Markup:
    """The whole text, with `<mark>` around what was searched for."""
    return _marked(text, 0, len(text), _places(text, words))


def snippet(text: str, words: str, most: int = 180) -> Markup:
    """What stands around the first of the words; empty if none is there."""
    places = _places(text, words)
    if not places:
        return Markup()
    start = _word_start(text, max(0, places[0][0] - BEFORE)) if len(text) > most else 0
    end = len(text) if len(text) - start <= most else max(text.rfind(' ', start, start + most), places[0][1])
    inside = _marked(text, start, end, places)
    return Markup('{}{}{}').format('… ' if start else '', inside, ' …' if end < len(text) else '')


def around(text: str, words: str) -> str:
    """Of a long text the part in which the first of the words stands, from the beginning of a line if there is one."""
    places = _places(text, words)
    at = places[0][0] if places else 0
    start = max(0, at - AROUND)
    if start:
        start = text.find('\n', start, at) + 1 or start
    return text[start : at + AROUND]


def _word_start(text: str, at: int) -> int:
    return 0 if at == 0 else text.find(' ', at) + 1


def _marked(text: str, start: int, end: int, places: list[tuple[int, int]]) -> Markup:
    parts, done = list[Markup](), start
    for first, last in places:
        if first < done or last > end:
            continue
        parts += [escape(text[done:first]), Markup('<mark>{}</mark>').format(text[first:last])]
        done = last
    return Markup().join([*parts, escape(text[done:end])])


def _places(text: str, words: str) -> list[tuple[int, int]]:
    """Begin and end of each place in `text`, in order."""
    pattern = _pattern(words)
    if pattern is None:
        return []
    folded, origin = _folded(text)
    return [(origin[found.start()], origin[found.end() - 1] + 1) for found in pattern.finditer(folded)]


@lru_cache(maxsize=64)
def _pattern(words: str) -> re.Pattern[str] | None:
    wanted = _WORD.findall(_folded(words[:200])[0])[:MOST_WORDS]
    if not wanted:
        return None
    longest_first = sorted(set(wanted), key=len, reverse=True)
    return re.compile('(?<![^\\W_])(?:' + '|'.join(w if len(w) > 1 else w + r'(?![^\W_])' for w in longest_first) + ')')


def _folded(text: str) -> tuple[str, list[int]]:
    """Without accents and case, and for each sign of it where it comes from."""
    signs, origin = list[str](), list[int]()
    for at, sign in enumerate(text):
        if len(signs) > MOST_FOLDED:  # a single sign can become eighteen
            break
        for part in unicodedata.normalize('NFKD', sign).casefold():
            if not unicodedata.combining(part):
                signs.append(part)
                origin.append(at)
    return ''.join(signs), origin
