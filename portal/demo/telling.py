"""Turns stories into rows, at their own times, by the rules that the verbs of `portal.domain.tickets` follow."""

import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from babel.dates import format_date

from portal.db import cast
from portal.demo.days import Days
from portal.demo.reading import Step, Story, Unreadable
from portal.domain.access import BUILT_IN, Permission
from portal.domain.tickets import Status

Rows = dict[str, list[dict[str, Any]]]
#: The newest ticket of a provider that has been at it for longer; others begin at the number a new tenant begins at.
NEWEST = {cast.NORTHWIND: 1060}
FIRST = 1001
BELL_DAYS, MAIL_DAYS = 30, 3  # working days: older news is neither under the bell nor in the outbox

_AFTER = {'waits': Status.WAITING_SUPPLIER, 'solves': Status.SOLVED, 'closes': Status.CLOSED, 'reopens': Status.OPEN}
_DATE = re.compile(r'\{(?:([+-]\d+)|sat([+-]\d+))(?::(\w+))?\}')
_TICKET = re.compile(r'\{T:([\w-]+)\}')


@dataclass(frozen=True)
class Ids:
    tenants: Mapping[str, UUID]  # by name
    companies: Mapping[str, UUID]  # by slug
    people: Mapping[str, UUID]
    categories: Mapping[str, Mapping[str, UUID]]  # by provider and name


def rows(stories: Iterable[Story], days: Days, ids: Ids) -> Rows:
    """`stories` in the order of their opening."""
    teller = _Teller(days, ids)
    numbered = list(_numbered(stories))
    teller.labels = {story.key: f'T-{number}' for number, story in numbered if story.key}
    for number, story in numbered:
        teller.tell(number, story)
    last = {_provider(story): number for number, story in numbered}
    teller.rows['counter'] = [{'tenant_id': ids.tenants[name], 'kind': 'ticket', 'value': n} for name, n in last.items()]
    return teller.rows


def _numbered(stories: Iterable[Story]) -> Iterable[tuple[int, Story]]:
    stories = list(stories)
    for provider in dict.fromkeys(map(_provider, stories)):
        own = [story for story in stories if _provider(story) == provider]
        first = NEWEST[provider] - len(own) + 1 if provider in NEWEST else FIRST
        yield from enumerate(own, first)


def _provider(story: Story) -> str:
    return cast.COMPANIES[story.company][1]


def id_at(moment: datetime, later: int = 0) -> UUID:
    """A UUIDv7 as it would have been made then: ids are what conversations are ordered by."""
    ms = int(moment.timestamp() * 1000) + later
    return UUID(int=ms << 80 | 7 << 76 | secrets.randbits(12) << 64 | 2 << 62 | secrets.randbits(62))


class _Teller:
    def __init__(self, days: Days, ids: Ids) -> None:
        self.days, self.ids = days, ids
        self.rows: Rows = {}
        self.labels: dict[str, str] = {}
        self.tickets: dict[str, UUID] = {}

    def tell(self, number: int, story: Story) -> None:
        _Ticket(self, number, story).play()

    def add(self, table: str, **row: Any) -> dict[str, Any]:
        self.rows.setdefault(table, []).append(row)
        return row

    def words(self, text: str, story: Story) -> str:
        def day(match: re.Match[str]) -> str:
            shift, weeks, pattern = match.groups()
            found = self.days.day(story.ago - int(shift)) if shift else self.days.saturday(int(weeks))
            german = story.language == 'de'
            return format_date(found, pattern or ('d. MMMM' if german else 'd MMMM'), locale='de' if german else 'en_GB')

        return _TICKET.sub(lambda match: self.labels[match[1]], _DATE.sub(day, text))


class _Ticket:
    def __init__(self, teller: _Teller, number: int, story: Story) -> None:
        self.teller, self.story, self.number = teller, story, number
        self.people = teller.ids.people
        self.participants: list[str] = []
        self.assignee: str | None = None
        self.clock = teller.days.moment(story.ago, story.at).astimezone(UTC)
        self.unseen: list[tuple[str, dict[str, Any]]] = []
        self.id = id_at(self.clock)
        self.where = {
            'tenant_id': teller.ids.tenants[_provider(story)], 'company_id': teller.ids.companies[story.company],
        }  # fmt: skip
        self.part = {**self.where, 'ticket_id': self.id}
        self.row: dict[str, Any] = {}

    def play(self) -> None:
        self._open()
        for step in self.story.steps:
            self._tick(step)
            try:
                self._do(step)
            except (KeyError, ValueError) as e:
                raise Unreadable(f'{self.story.where}: {step.who} {step.does} {step.words}') from e
            self._have_seen(step.who)
        self._have_seen_yesterday()

    def _tick(self, step: Step) -> None:
        moment = self.teller.days.moment(self.story.ago - step.after, step.at).astimezone(UTC)
        if moment < self.clock.replace(second=0):
            raise Unreadable(f'{self.story.where}: {step.who} {step.does} at {step.at}, which is in the past')
        self.clock = max(moment, self.clock + timedelta(seconds=1))

    def _open(self) -> None:
        story, teller = self.story, self.teller
        self.row = teller.add(
            'ticket', **self.where, id=self.id, number=self.number, subject=teller.words(story.subject, story),
            status=Status.NEW, priority=story.priority, visibility='private' if story.is_private else 'company',
            requester_id=self.people[story.requester], author_id=self.people[story.by], assignee_id=None,
            category_id=self._category(story.about), last_comment_id=None,
            follows_id=teller.tickets[story.follows] if story.follows else None, created_at=self.clock, changed_at=self.clock,
            closed_at=None,
        )  # fmt: skip
        if story.key:
            teller.tickets[story.key] = self.id
        comment = self._comment(story.by, story.text, story.files)
        for who in story.copy:
            self._participant(story.by, who)
        self._audit(story.by, 'ticket.opened', number=self.number, visibility=self.row['visibility'])
        self._tell(story.by, 'new_ticket', comment)

    def _category(self, name: str) -> UUID | None:
        if not name:
            return None
        return self.teller.ids.categories[_provider(self.story)][name]

    def _do(self, step: Step) -> None:
        who = step.who
        match step.does:
            case 'notes':
                self._comment(who, step.text, step.files, internal=True)
                self._tell(who, 'note', None)
            case 'says' if self._is_client(who):
                self._reply(step, Status.NEW if self.row['status'] == Status.NEW else Status.OPEN)
            case 'says':
                self._reply(step, Status.OPEN if self.row['status'] == Status.NEW else self.row['status'])
            case 'asks':
                self._reply(step, Status.WAITING_CLIENT)
            case 'waits' | 'solves' | 'closes' | 'reopens' if step.text:
                self._reply(step, _AFTER[step.does])
            case 'waits' | 'solves' | 'closes' | 'reopens':
                self._status(who, _AFTER[step.does])
                self._tell(who, 'status', None)
            case 'takes':
                self._assign(who, who)
            case 'gives':
                self._assign(who, step.words)
            case 'priority':
                self._event(who, 'priority', self.row['priority'], step.words)
                self.row['priority'] = step.words
            case 'sorts':
                before, self.row['category_id'] = self.row['category_id'], self._category(step.words)
                self._event(who, 'category', str(before) if before else None, str(self.row['category_id']))
            case 'adds':
                self._participant(who, step.words)
                self._event(who, 'participant', None, str(self.people[step.words]))
                self._audit(who, 'ticket.shared', with_user=self.people[step.words])
                self._tell(who, 'copy', None, {step.words})
            case _:
                raise ValueError(step.does)

    def _reply(self, step: Step, then: Status) -> None:
        comment = self._comment(step.who, step.text, step.files)
        self._status(step.who, then)
        self._tell(step.who, 'reply', comment)

    def _assign(self, by: str, to: str) -> None:
        before = str(self.people[self.assignee]) if self.assignee else None
        self._event(by, 'assignee', before, str(self.people[to]))
        self.assignee, self.row['assignee_id'] = to, self.people[to]
        if self.row['status'] == Status.NEW:
            self._status(by, Status.OPEN)
        if to != by:
            self._tell(by, 'assigned', None, {to})

    def _status(self, by: str, status: Status) -> None:
        before = self.row['status']
        if before == status:
            return
        self._event(by, 'status', before, status)
        self.row['status'] = status
        self.row['closed_at'] = self.clock if status == Status.CLOSED else None
        self._audit(by, 'ticket.status', before=before, after=status)

    def _comment(self, by: str, text: str, files: Sequence[str] = (), *, internal: bool = False) -> UUID:
        body = self.teller.words(text, self.story)
        if not body:
            raise ValueError('nothing said')
        comment = self.teller.add('ticket_comment', **self.part, id=id_at(self.clock), author_id=self.people[by], body=body,
                                  is_internal=internal, created_at=self.clock)  # fmt: skip
        if not internal:
            self.row['last_comment_id'], self.row['changed_at'] = comment['id'], self.clock
        for later, name in enumerate(files):
            file = self.teller.add('file', **self.part, id=id_at(self.clock, later), comment_id=comment['id'], place=None, name=name,
                                   author_id=self.people[by], is_internal=internal, created_at=self.clock)  # fmt: skip
            self._audit(by, 'file.sent', subject=file['id'], comment=comment['id'])
        return comment['id']

    def _event(self, by: str, kind: str, before: str | None, after: str) -> None:
        self.clock += timedelta(seconds=1)
        self.row['changed_at'] = self.clock
        self.teller.add('ticket_event', **self.part, id=id_at(self.clock), actor_id=self.people[by], kind=kind, before=before,
                        after=after, is_internal=False, created_at=self.clock)  # fmt: skip

    def _participant(self, by: str, who: str) -> None:
        self.participants.append(who)
        self.teller.add('ticket_participant', **self.part, user_id=self.people[who], added_by_id=self.people[by],
                        added_at=self.clock)  # fmt: skip

    def _audit(self, by: str, action: str, *, subject: UUID | None = None, **detail: Any) -> None:
        self.teller.add('audit', **self.where, id=id_at(self.clock), at=self.clock, actor_id=self.people[by], action=action,
                        subject_id=subject or self.id, detail=detail)  # fmt: skip

    # ---------- who hears of it ----------

    def _tell(self, by: str, kind: str, comment: UUID | None, people: set[str] | None = None) -> None:
        """`people`: those alone."""
        days = self.teller.days
        if self.clock.date() < days.day(BELL_DAYS):
            return
        told = {**self.part, 'actor_id': self.people[by], 'kind': kind, 'created_at': self.clock}
        for later, who in enumerate(sorted((people or self._concerned(kind)) - {by})):
            line = self.teller.add('notification', **told, id=id_at(self.clock, later), user_id=self.people[who], seen_at=None)
            self.unseen.append((who, line))
            if kind != 'note' and self.clock.date() >= days.day(MAIL_DAYS):
                self.teller.add(
                    'mail_outbox', **told, id=id_at(self.clock, later), to_user_id=self.people[who], comment_id=comment,
                    state='sent', subject=f'[T-{self.number}] {self.row["subject"]}', sent_at=self.clock + timedelta(seconds=4),
                )  # fmt: skip

    def _concerned(self, kind: str) -> set[str]:
        clients = set() if kind == 'note' else {self.story.requester, *self.participants}
        return clients | ({self.assignee} if self.assignee else set(_workers(_provider(self.story))))

    def _have_seen(self, who: str) -> None:
        """Whoever does something on a ticket has read it."""
        for reader, line in self.unseen:
            if reader == who:
                line['seen_at'] = line['seen_at'] or self.clock

    def _have_seen_yesterday(self) -> None:
        """Everybody looks at the portal once a day."""
        for _, line in self.unseen:
            if line['created_at'].date() < self.teller.days.today:
                line['seen_at'] = line['seen_at'] or line['created_at'] + timedelta(hours=2)

    @staticmethod
    def _is_client(who: str) -> bool:
        return cast.PEOPLE[who].side == 'client'


def _workers(provider: str) -> list[str]:
    """The staff who hear of what nobody has."""
    return [
        key for key, person in cast.PEOPLE.items()
        if person.provider == provider and person.staff_role
        and Permission.TICKETS_WORK in BUILT_IN[person.staff_role].permissions
    ]  # fmt: skip
