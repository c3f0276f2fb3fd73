"""The German catalogue is whole, and words, dates and numbers follow whoever is looking."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir, extract_from_file
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from babel.messages.pofile import read_po

from portal import i18n
from portal.i18n import L_, PSEUDO, Voice, _, _m, _mn, _n, _p, speaking

HOUSE = Path(__file__).parent.parent
BERLIN = Voice('de', 'Europe/Berlin')
LATE = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)  # half past midnight in Berlin, a day later
MARKS = re.compile(r'\{[^}]*\}|<[^>]+>|&\w+;')


@pytest.fixture
def german() -> Iterator[None]:
    with speaking(BERLIN):
        yield


# ---------- the catalogue ----------


def in_source() -> set[tuple[str | None, str]]:
    """Context and (first) English form of all that `make messages` would collect."""
    words = re.search(r'^KEYWORDS := (.+)$', (HOUSE / 'Makefile').read_text(), re.MULTILINE)
    assert words
    keywords = parse_keywords(words[1].split())
    with (HOUSE / 'babel.cfg').open() as f:
        methods, options = parse_mapping_cfg(f)
    found = [(m[1], m[3]) for m in extract_from_file('python', HOUSE / 'app.py', keywords=keywords)]
    found += [(m[2], m[4]) for m in extract_from_dir(HOUSE / 'portal', methods, options, keywords=keywords)]
    return {(context, forms if isinstance(forms, str) else forms[0]) for forms, context in found}


def catalogue() -> Catalog:
    return read_po(BytesIO((i18n.LOCALES / 'de/LC_MESSAGES/portal.po').read_bytes()), locale='de')


def messages() -> list[Message]:
    return [message for message in catalogue() if message.id]


def english(message: Message) -> tuple[str, ...]:
    return (message.id,) if isinstance(message.id, str) else tuple(message.id)


def forms(message: Message) -> tuple[str, ...]:
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ())


def test_what_stands_in_the_source_stands_in_the_catalogue():
    source, known = in_source(), {(m.context, english(m)[0]) for m in messages()}
    assert len(source) > 500
    assert source - known == set(), 'call `make messages` and translate these'
    assert known - source == set(), 'call `make messages`: nobody says these any more'
    assert not catalogue().obsolete


def test_every_message_is_translated():
    assert [m.id for m in messages() if not all(forms(m)) or m.fuzzy] == []
    assert [m.id for m in messages() if len(forms(m)) != (2 if m.pluralizable else 1)] == []


def test_placeholders_and_markup_are_the_same_in_every_form():
    for message in messages():
        for one, other in zip(english(message), forms(message), strict=True):
            assert Counter(MARKS.findall(one)) == Counter(MARKS.findall(other)), one


# ---------- German ----------


@pytest.mark.usefixtures('german')
def test_sentences():
    assert _('Waiting for you') == 'Wartet auf Sie'
    assert _('With {msp}', msp='Northwind') == 'Bei Northwind'
    assert _p('keyboard', 'Ctrl') == 'Strg'
    assert _('something nobody has translated') == 'something nobody has translated'


@pytest.mark.usefixtures('german')
@pytest.mark.parametrize(
    ('n', 'words'), [(0, '0 offene Tickets'), (1, '1 offenes Ticket'), (2, '2 offene Tickets'), (1042, '1.042 offene Tickets')]
)
def test_numbers_in_sentences(n: int, words: str):
    assert _n('{n} open ticket', '{n} open tickets', n) == words


@pytest.mark.usefixtures('german')
@pytest.mark.parametrize(
    ('n', 'words'), [(1, '<a href="/x">Ein Ticket</a> wartet auf Sie.'), (2, '<a href="/x">Zwei Tickets</a> warten auf Sie.')]
)
def test_small_numbers_as_words_begin_a_sentence(n: int, words: str):
    said = _mn('<a href="{href}">{count} ticket</a> waits for you.', '<a href="{href}">{count} tickets</a> wait for you.', n,
               count=i18n.spelled(n), href='/x')  # fmt: skip
    assert said == words


@pytest.mark.usefixtures('german')
def test_markup_is_ours_alone():
    said = _m('<b>{name}</b> opened T-{number}', name='<img src=x onerror=alert(1)> & {number}', number=1042)
    assert said == '<b>&lt;img src=x onerror=alert(1)&gt; &amp; {number}</b> hat T-1042 geöffnet'
    assert _m('{name} closed the ticket', name=_m('<b>{name}</b> opened T-{number}', name='Ada', number=7)).startswith(
        '<b>Ada</b>'
    )


@pytest.mark.usefixtures('german')
def test_numbers():
    assert i18n.number(1234.5) == '1.234,5'
    assert [i18n.spelled(n) for n in (0, 1, 12, 13)] == ['Keine', 'Ein', 'Zwölf', '13']
    assert [i18n.capped(n) for n in (99, 100)] == ['99', '99+']


@pytest.mark.usefixtures('german')
def test_dates_in_german_and_in_the_persons_time_zone():
    assert i18n.clock(LATE) == '0:30'
    assert i18n.exact(LATE) == '2. Juli 2026, 0:30'
    assert i18n.day(LATE, year=True) == '2. Juli 2026'
    assert i18n.day(LATE, year=False) == 'Do. 2. Juli'
    assert i18n.day(date(2025, 3, 9), year=True) == '9. März 2025'


def test_the_same_moment_for_somebody_elsewhere():
    for zone, words in (
        ('Asia/Tokyo', '2 July 2026, 7:30'),
        ('America/New_York', '1 July 2026, 18:30'),
        ('no/where', '1 July 2026, 22:30'),
    ):
        with speaking(Voice('en', zone)):
            assert i18n.exact(LATE) == words


@pytest.mark.usefixtures('german')
def test_how_long_ago():
    assert i18n.when(i18n.now() - timedelta(seconds=20)) == 'gerade eben'
    assert i18n.when(i18n.now() - timedelta(minutes=5, seconds=20)) == 'vor 5 Min.'
    noon = datetime.combine(i18n.local(i18n.now()).date(), time(12), i18n.voice().zone)
    assert i18n.said_at(noon) == 'Heute, 12:00'
    assert i18n.said_at(noon - timedelta(days=1)) == 'Gestern, 12:00'
    assert i18n.when(noon - timedelta(days=1)) == 'Gestern'
    assert re.fullmatch(r'(Mo|Di|Mi|Do|Fr|Sa|So), 12:00', i18n.said_at(noon - timedelta(days=3)))


# ---------- the language of whoever is looking ----------


async def test_a_label_follows_its_viewer():
    """Two people at the same moment, each in a task of their own."""
    label, both = L_('Companies'), asyncio.Barrier(2)

    async def look(language: str) -> list[str]:
        i18n.speak(Voice(language))
        seen = []
        for _turn in range(3):
            await both.wait()
            seen.append(str(label))
        return seen

    assert await asyncio.gather(look('de'), look('en')) == [['Firmen'] * 3, ['Companies'] * 3]
    assert str(label) == 'Companies'


def test_pseudo_marks_words_and_leaves_the_rest():
    marked = i18n.pseudo('<a href="/open">{count} open</a> &amp; closed')
    assert marked == '⟦<a href="/open">{count} öpéñ</a> &amp; çlöšéd⟧'
    with speaking(Voice(PSEUDO)):
        assert _('Closed') == i18n.pseudo('Closed')
        assert _n('{n} ticket', '{n} tickets', 2) == i18n.pseudo('2 tickets')
        assert _p('keyboard', 'Ctrl') == i18n.pseudo('Ctrl')
        assert _m('<b>{name}</b>', name='<Ada>') == '⟦<b>&lt;Ada&gt;</b>⟧'
        assert i18n.exact(LATE) == '1 July 2026, 22:30'


@pytest.mark.parametrize(
    ('header', 'language'),
    [
        ('de-AT,de;q=0.9,en;q=0.8', 'de'),
        ('fr-CH, fr;q=0.9, en;q=0.5, de;q=0.7', 'de'),
        ('en, de', 'en'),
        ('fr, *;q=0.1', None),
        ('', None),
        (',,;q=,;;q=1,', None),
        ('de;q=much', None),
        ('de;q=much, en;q=0.1', 'en'),
        ('de;q=1e999', 'de'),
        ('de\x00, ../../de, <de>, {de}, de%s, ده', None),
        ('x' * 100_000, None),
        ('fr,' * 50_000 + 'de', None),  # what comes that late is not read
    ],
)  # fmt: skip
def test_the_language_a_browser_asks_for(header: str, language: str | None):
    assert i18n.accepted_language(header) == language


@pytest.mark.parametrize(
    ('wish', 'language'),
    [
        ('de', 'de'), ('de-AT', 'de'), ('de_CH', 'de'), ('DE', 'de'), ('en-US', 'en'), (PSEUDO, PSEUDO), ('fr', None), (None, None), ('', None),
        ('xx', None), ('-', None), ('__', None), ('de/../en', None), ('../de', None), ('de\x00', None), ('de en', None), ('{0.language}', None),
        ('de' * 5000, None), ('de-' * 5000, None), ('🙂', None),
    ],
)  # fmt: skip
def test_the_language_somebody_wishes_for(wish: str | None, language: str | None):
    assert i18n.known_language(wish) == language


@pytest.mark.parametrize(
    ('name', 'known'),
    [
        ('Europe/Berlin', True),
        ('UTC', True),
        ('../../etc/passwd', False),
        ('Europe/Berlin\x00', False),
        ('', False),
        (None, False),
    ],
)
def test_only_time_zones_that_exist(name: str | None, known: bool):
    assert i18n.known_timezone(name) == (name if known else None)
