"""Searched words, marked in what was written."""

import pytest

from portal.snippets import AROUND, around, marked, snippet


@pytest.mark.parametrize(
    ('text', 'words', 'html'),
    [
        ('Kyocera at reception', 'kyo', '<mark>Kyo</mark>cera at reception'),
        ('Röntgenbild und Straße', 'rontgen STRASSE', '<mark>Röntgen</mark>bild und <mark>Straße</mark>'),
        ('a <b>bold</b> & "quoted"', 'bold', 'a &lt;b&gt;<mark>bold</mark>&lt;/b&gt; &amp; &#34;quoted&#34;'),
        ('scriptprinter', 'printer', 'scriptprinter'),
        ('a cat', 'a', '<mark>a</mark> cat'),
        ('nothing', '!!', 'nothing'),
    ],
)
def test_what_was_searched_for_is_marked_and_the_rest_escaped(text: str, words: str, html: str) -> None:
    assert marked(text, words) == html


def test_a_snippet_stands_around_the_first_word() -> None:
    text = 'word ' * 100 + 'the drum is worn ' + 'more ' * 100
    found = snippet(text, 'drum')
    assert '<mark>drum</mark>' in found
    assert found.startswith('… word')
    assert found.endswith('more …')
    assert len(found) < 240
    assert snippet(text, 'xylophone') == ''


def test_of_a_long_text_only_what_stands_around_the_word_is_looked_at() -> None:
    text = 'nothing\n' * 2000 + 'one **drum**\n' + 'nothing\n' * 2000
    found = around(text, 'drum')
    assert 'one **drum**' in found
    assert found.startswith('nothing')
    assert len(found) <= 2 * AROUND
    assert around('short drum', 'drum') == 'short drum'
    swelling = '\ufdfa' * 20_000  # each becomes eighteen letters: not looked through
    assert around(f'{swelling} drum', 'drum') == swelling[:AROUND]
