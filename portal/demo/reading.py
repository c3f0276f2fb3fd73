"""Reads the stories (stories/README.md says how they are written)."""

import re
from dataclasses import dataclass, field
from datetime import time
from pathlib import Path

STORIES = Path(__file__).parent / 'stories'
_STEP = re.compile(r'@ (?:(\+?)(\d+) )?(\d{1,2}):(\d\d) (\w+) (\w+)(?:[, ]+(.*))?')


@dataclass(frozen=True)
class Step:
    after: int  # working days after the opening
    at: time
    who: str
    does: str
    words: str = ''  # what stands behind
    text: str = ''  # Markdown
    files: tuple[str, ...] = ()


@dataclass
class Story:
    where: str  # file and line
    company: str  # slug
    subject: str
    ago: int = 0  # working days
    steps: list[Step] = field(default_factory=list[Step])  # without the opening
    by: str = ''
    at: time = time()
    text: str = ''
    priority: str = 'normal'
    is_private: bool = False
    requester: str = ''
    copy: list[str] = field(default_factory=list[str])
    about: str = ''  # a category
    files: list[str] = field(default_factory=list[str])
    key: str = ''
    follows: str = ''
    language: str = 'en'


class Unreadable(ValueError):
    """Where and what."""


def stories(folder: Path = STORIES) -> list[Story]:
    """In the order of their opening."""
    found = [story for path in sorted(folder.glob('[a-z]*.md')) for story in read(path.read_text('utf-8'), path.stem)]
    return sorted(found, key=lambda story: (-story.ago, story.at, story.where))


def read(text: str, name: str) -> list[Story]:
    found: list[Story] = []
    day = 0
    for number, block in _blocks(text):
        where, head = f'{name}:{number}', block[0]
        if head.startswith('# '):
            found.append(Story(where, company=name.split('-')[0], subject=head.removeprefix('# ').strip()))
            continue
        match = _STEP.fullmatch(head)
        if not match or not found:
            raise Unreadable(f'{where}: {head}')
        sign, days, hour, minute, who, does, words = match.groups(default='')
        at, said = time(int(hour), int(minute)), '\n'.join(block[1:]).strip()
        if does == 'opens':
            day = 0
            _open(found[-1], where, int(days), at, who, words, said)
        else:
            day = int(days) if sign else day
            words, files = ('', tuple(words.split()[1:])) if words.startswith('with ') else (words, ())
            found[-1].steps.append(Step(day, at, who, does, words, said, files))
    return found


def _blocks(text: str) -> list[tuple[int, list[str]]]:
    """Each begins with `# ` or `@ ` and has a line number; in a fenced block neither means anything."""
    blocks: list[tuple[int, list[str]]] = []
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        fenced ^= line.startswith('```')
        if line.startswith(('# ', '@ ')) and not fenced:
            blocks.append((number, [line]))
        else:
            blocks[-1][1].append(line)
    return blocks


def _open(story: Story, where: str, ago: int, at: time, who: str, words: str, text: str) -> None:
    story.ago, story.at, story.by, story.requester, story.text = ago, at, who, who, text
    for option in filter(None, re.split(r', *', words)):
        match option.split():
            case [('low' | 'high' | 'urgent') as priority]:
                story.priority = priority
            case ['private']:
                story.is_private = True
            case ['de']:
                story.language = 'de'
            case ['for', requester]:
                story.requester = requester
            case ['copy', *people]:
                story.copy = people
            case ['about', *category]:
                story.about = ' '.join(category)
            case ['with', *files]:
                story.files = files
            case ['key', key]:
                story.key = key
            case ['follows', key]:
                story.follows = key
            case _:
                raise Unreadable(f'{where}: {option}')
