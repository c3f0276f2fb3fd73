"""The documents say what is there: settings, links, commands, names."""

import re
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
