"""The documents say what is there: settings, links, commands, names."""

import re
from collections import Counter
from pathlib import Path

import pytest

from portal.__main__ import _parser
from portal.settings import SETTINGS, as_markdown

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob('*.md'), *(ROOT / 'docs').rglob('*.md')])

each_document = pytest.mark.parametrize('document', DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def code(document: Path) -> str:
    """What stands in code, blocks and words alike, one piece a line."""
    pieces = re.findall(r'^```\w*\n(.*?)^```|`([^`\n]+)`', document.read_text(), re.MULTILINE | re.DOTALL)
    return '\n'.join(block or word for block, word in pieces)


def headings(document: Path) -> set[str]:
    """As the links of a page name them: `## More workers` is `more-workers`."""
    titles = re.findall(r'^#+ (.+)$', document.read_text(), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', title).strip().lower().replace(' ', '-') for title in titles}


def test_the_settings_are_those_of_the_program() -> None:
    assert (ROOT / 'docs/settings.md').read_text() == as_markdown(), 'python -m portal settings --markdown > docs/settings.md'


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    broken: list[str] = []
    for link in re.findall(r'\]\(([^)\s]+)\)', document.read_text()):
        if re.match(r'\w+:', link):
            continue
        path, _hash, heading = link.partition('#')
        target = document.parent / path if path else document
        if not target.exists() or (heading and heading not in headings(target)):
            broken.append(link)
    assert not broken


@each_document
def test_what_is_told_to_be_typed_exists(document: Path) -> None:
    words = code(document)
    targets = set(re.findall(r'^([a-z]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE))
    assert set(re.findall(r'\bmake ([a-z]+)', words)) <= targets
    for command in re.findall(r'python -m portal((?: [a-z-]+)+)', words):
        _parser().parse_args(command.split())  # ends with SystemExit where there is no such command


@each_document
def test_what_is_named_exists(document: Path) -> None:
    words = code(document)
    settings = set(re.findall(r'\b(?:PORTAL_[A-Z_]+|DATABASE_URL)\b', words))
    assert settings <= {setting.name for setting in SETTINGS}
    paths = re.findall(r'(?<![\w/.-])(?:portal|tests|docs|bench)/\w[\w./-]*\w', words)
    assert [path for path in paths if not (ROOT / path).exists()] == []
    for path, name in re.findall(r'(?<![\w/.])(tests/[\w/]+\.py)::(\w+)', words):
        assert re.search(rf'^(?:async )?def {name}\b', (ROOT / path).read_text(), re.MULTILINE), f'{path}::{name}'


# ---------- docs/asvs.md ----------

#: How many requirements of levels 1 and 2 each section of OWASP ASVS 5.0 has: they are its first ones, and numbered from one.
SECTIONS = {
    '1.1': 2, '1.2': 9, '1.3': 11, '1.4': 3, '1.5': 2, '2.1': 3, '2.2': 3, '2.3': 4, '2.4': 1, '3.2': 2, '3.3': 4, '3.4': 6, '3.5': 5,
    '3.7': 2, '4.1': 3, '4.2': 1, '4.3': 2, '4.4': 4, '5.1': 1, '5.2': 3, '5.3': 2, '5.4': 3, '6.1': 3, '6.2': 12, '6.3': 4, '6.4': 4,
    '6.5': 5, '6.6': 3, '6.8': 4, '7.1': 3, '7.2': 4, '7.3': 2, '7.4': 5, '7.5': 2, '7.6': 2, '8.1': 2, '8.2': 3, '8.3': 1, '8.4': 1,
    '9.1': 3, '9.2': 4, '10.1': 2, '10.2': 2, '10.3': 4, '10.4': 11, '10.5': 5, '10.6': 2, '10.7': 3, '11.1': 2, '11.2': 3, '11.3': 3,
    '11.4': 4, '11.5': 1, '11.6': 1, '12.1': 3, '12.2': 2, '12.3': 4, '13.1': 1, '13.2': 5, '13.3': 2, '13.4': 5, '14.1': 2, '14.2': 4,
    '14.3': 3, '15.1': 3, '15.2': 3, '15.3': 7, '16.1': 1, '16.2': 5, '16.3': 4, '16.4': 3, '16.5': 3, '17.1': 1, '17.2': 4, '17.3': 2,
}  # fmt: skip
OF_LEVEL_3 = ('6.3.5', '6.3.7', '6.3.8', '7.5.3', '8.3.2')  # that the portal promises
STATES = ('met', 'partly', 'not met', 'not applicable')
VERIFIED = ROOT / 'docs/asvs.md'


def requirements() -> list[tuple[list[str], str, str]]:
    """The rows of its tables: numbers, state, and what shows it. `1.2.6–1.2.8` are three."""
    rows = re.findall(r'^\| (\d+\.\d+\.\d[^|]*) \|[^|]*\| ([^|]*) \|[^|]*\| ([^|]*) \|$', VERIFIED.read_text(), re.MULTILINE)
    return [([n for part in numbers.split(', ') for n in _each(part)], state, shown) for numbers, state, shown in rows]


def _each(part: str) -> list[str]:
    first, _dash, last = part.partition('–')
    section, _dot, n = first.rpartition('.')
    return [f'{section}.{m}' for m in range(int(n), int((last or first).rpartition('.')[2]) + 1)]


def test_every_requirement_is_listed_once() -> None:
    wanted = [f'{section}.{n + 1}' for section, most in SECTIONS.items() for n in range(most)]
    listed = [number for numbers, _state, _shown in requirements() for number in numbers]
    assert Counter(listed) == Counter([*wanted, *OF_LEVEL_3])
    assert {state for _numbers, state, _shown in requirements()} <= set(STATES)


def test_the_counts_are_those_of_the_list() -> None:
    counted: dict[str, Counter[str]] = {'all': Counter()}
    for numbers, state, _shown in requirements():
        for chapter in ('V' + numbers[0].partition('.')[0], 'all'):
            counted.setdefault(chapter, Counter())[state] += len(numbers)
    told = re.findall(r'^\| (?:\[(V\d+) [^|]*|(all)) ((?:\| [\d–]+ ){5})\|$', VERIFIED.read_text(), re.MULTILINE)
    assert {
        chapter or every: [int(n.replace('–', '0')) for n in cells.strip('| ').split(' | ')] for chapter, every, cells in told
    } == {chapter: [*(states[state] for state in STATES), states.total()] for chapter, states in counted.items()}


def test_what_is_said_to_hold_is_there() -> None:
    """Files, and functions of the database; that a requirement is not met is told again at the top, with the reason."""
    words = code(VERIFIED)
    paths = re.findall(r'(?<![\w/.-])(?:portal|tests|docs|deploy)/\w[\w./-]*\w', words)
    assert [path for path in paths if not (ROOT / path).is_file()] == []
    migrations = '\n'.join(path.read_text().lower() for path in (ROOT / 'portal/db/migrations/versions').rglob('*.*') if path.suffix in ('.sql', '.py'))  # fmt: skip
    assert [name for name in re.findall(r'\bapp\.\w+', words) if f'function {name}(' not in migrations] == []
    head = VERIFIED.read_text().split('## Known departures')[0]
    missing = [number for numbers, state, _shown in requirements() if state == 'not met' for number in numbers]
    assert re.findall(r'^- \*\*(\d+\.\d+\.\d+)\*\*', head, re.MULTILINE) == missing
