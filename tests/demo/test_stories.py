"""The stories, before they are rows in a database: readable, possible, and never in the future."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from portal.db import cast
from portal.demo import reading, world
from portal.demo.days import Days
from portal.domain.access import BUILT_IN, Permission

BERLIN = ZoneInfo('Europe/Berlin')
WEDNESDAY = datetime(2026, 11, 25, 15, tzinfo=BERLIN)
STORIES = reading.stories()
NEEDS = {
    'says': Permission.TICKETS_REPLY, 'asks': Permission.TICKETS_REPLY, 'adds': Permission.TICKETS_REPLY,
    'closes': Permission.TICKETS_CLOSE, 'reopens': Permission.TICKETS_CLOSE,
}  # fmt: skip


def acts() -> Iterator[tuple[reading.Story, str, str]]:
    for story in STORIES:
        yield story, story.by, 'opens'
        for step in story.steps:
            yield story, step.who, step.does


def role_in(story: reading.Story, who: str) -> str:
    """KeyError: neither on this provider's staff nor in this company."""
    person = cast.PEOPLE[who]
    assert person.provider == cast.COMPANIES[story.company][1], story.where
    return person.staff_role or person.companies[story.company]


@pytest.fixture(scope='module')
def told() -> dict[str, list[dict[str, Any]]]:
    return world.rows('a password', WEDNESDAY)


def test_how_many_there_are() -> None:
    number = {slug: sum(story.company == slug for story in STORIES) for slug in cast.COMPANIES}
    assert number == {'acme': 55, 'bolt': 45, 'bakery': 15}


def test_everybody_does_only_what_their_role_allows() -> None:
    for story, who, does in acts():
        role = role_in(story, who)
        needed = Permission.TICKETS_OPEN if does == 'opens' else NEEDS.get(does, Permission.TICKETS_WORK)
        if does == 'says' and role == 'Finance':
            needed = Permission.TICKETS_WORK  # who only replies cannot say whose turn it is: `asks`
        assert needed in BUILT_IN[role].permissions, f'{story.where}: {who} {does}'


def test_clients_act_only_on_tickets_they_can_see() -> None:
    for story, who, does in acts():
        named = {story.requester, *story.copy, *(s.words for s in story.steps if s.does == 'adds')}
        reaches = Permission.TICKETS_SEE_COMPANY in BUILT_IN[role_in(story, who)].permissions and not story.is_private
        assert cast.PEOPLE[who].side == 'staff' or who in named or reaches, f'{story.where}: {who} {does}'


def test_only_clients_are_requesters_and_in_copy() -> None:
    for story in STORIES:
        for who in (story.requester, *story.copy):
            assert story.company in cast.PEOPLE[who].companies, f'{story.where}: {who}'
        assert story.requester not in story.copy, story.where


def test_the_numbers_that_people_mention_are_tickets_of_their_provider(told: dict[str, list[dict[str, Any]]]) -> None:
    known = {(row['tenant_id'], row['number']) for row in told['ticket']}
    mentioned = [
        (row['tenant_id'], int(number)) for row in told['ticket_comment'] for number in re.findall(r'\bT-(\d+)', row['body'])
    ]
    assert mentioned
    assert set(mentioned) <= known


def test_no_placeholder_is_left(told: dict[str, list[dict[str, Any]]]) -> None:
    texts = [row['body'] for row in told['ticket_comment']] + [row['subject'] for row in told['ticket']]
    assert not [text for text in texts if re.search(r'\{[+\-\w:]+\}', text)]


@pytest.mark.parametrize(
    'now',
    [
        WEDNESDAY,
        datetime(2026, 11, 25, 0, 10, tzinfo=BERLIN),
        datetime(2027, 2, 27, 12, tzinfo=BERLIN),  # a Saturday
        datetime(2027, 1, 1, 23, 59, tzinfo=BERLIN),
        datetime(2027, 3, 29, 10, 59, tzinfo=BERLIN),  # the Monday after the clock was put forward
    ],
)
def test_nothing_has_not_happened_yet(now: datetime) -> None:
    rows = world.rows('a password', now)
    kept = [(key, value) for some in rows.values() for row in some for key, value in row.items()]
    moments = [value for key, value in kept if isinstance(value, datetime) and key != 'expires_at']
    assert max(moments) <= now
    assert now - max(moments) < timedelta(days=6)
    assert now - min(moments) > timedelta(days=530)


def test_it_is_the_same_at_every_run(told: dict[str, list[dict[str, Any]]]) -> None:
    def plain(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[list[Any]]]:
        words = (str, int, datetime, type(None))
        return {
            table: [[value for key, value in row.items() if isinstance(value, words) and 'hash' not in key] for row in some]
            for table, some in rows.items()
            if table != 'ticket_event'  # they name people by id
        }

    assert plain(world.rows('a password', WEDNESDAY)) == plain(told)


def test_today_begins_late_enough_for_its_news() -> None:
    early, late = (datetime(2026, 11, 25, hour, tzinfo=BERLIN).astimezone(UTC) for hour in (10, 11))
    assert Days.until(early).today.isoformat() == '2026-11-24'
    assert Days.until(late).today.isoformat() == '2026-11-25'


def test_working_days_leave_out_weekends_and_holidays() -> None:
    days = Days.until(datetime(2026, 12, 28, 12, tzinfo=BERLIN))
    assert [days.day(ago).isoformat() for ago in (2, 1, 0, -1)] == ['2026-12-22', '2026-12-23', '2026-12-28', '2026-12-29']


@pytest.mark.parametrize(
    ('text', 'complaint'),
    [
        ('# A\n@ 2 8:14 ugo opens, loud\nx', 'acme:2: loud'),
        ('# A\n@ 8.14 ugo opens\nx', 'acme:2: @ 8.14 ugo opens'),
        ('@ 2 8:14 ugo opens\nx', 'acme:1'),
    ],
)
def test_a_story_that_cannot_be_read_is_named(text: str, complaint: str) -> None:
    with pytest.raises(reading.Unreadable, match=re.escape(complaint)):
        reading.read(text, 'acme')


def test_a_fenced_block_may_hold_what_looks_like_a_step() -> None:
    [story] = reading.read('# A\n@ 2 8:14 ugo opens\n```\n# not a story\n@ not a step\n```\n', 'acme')
    assert '@ not a step' in story.text
