"""How tickets look, on both sides: from what the domain says to the plain values that components take."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from markupsafe import Markup

from portal import i18n
from portal.components.render import macro
from portal.components.values import Fact, File, Option, Someone, Text
from portal.domain.access import Side
from portal.domain.base import NotFound
from portal.domain.tickets import Comment, Conversation, EventKind, Priority, Row, Status, Turn, Visibility, turn_of
from portal.domain.tickets.conversation import Seer
from portal.domain.tickets.model import OPEN_RANKS, Event
from portal.domain.tickets.waiting import today
from portal.domain.tickets.words import priority_words, status_words
from portal.i18n import _, _m, _n, day
from portal.markdown import to_html, to_text
from portal.pages.shared.files import shown
from portal.snippets import AROUND, around, marked, snippet
from portal.visit import Visit

NAMED = 4  # so many people are named, of more only how many
#: The turn mark of the design: left cell client, right cell MSP.
_MARKS = {
    Turn.NEW: 'msp', Turn.MSP: 'msp', Turn.CLIENT: 'client', Turn.AWAY: 'away', Turn.DONE: 'done', Turn.CLOSED: 'closed',
}  # fmt: skip


def number_of(label: str) -> int:
    """`T-1042` → 1042; raises NotFound for what is no ticket's name."""
    found = re.fullmatch(r'[Tt]-(\d{1,9})', label)
    if not found:
        raise NotFound
    return int(found[1])


def turn_mark(status: Status, side: Side, msp: str) -> Markup:
    """Amber only when it is the viewer's turn."""
    turn = turn_of(status)
    mine = turn is Turn.CLIENT if side == 'client' else turn in (Turn.NEW, Turn.MSP)
    mark = 'new' if turn is Turn.NEW and side == 'client' else _MARKS[turn]
    return macro('turn')(mark, status_words(status, side, msp), mine=mine)


def priority_mark(priority: Priority) -> Markup | str:
    if priority is Priority.URGENT:
        return macro('state')(priority_words(priority), kind='bad', icon_name='chevrons-up')
    if priority is Priority.HIGH:
        return macro('state')(priority_words(priority), kind='wait', icon_name='chevron-up')
    return priority_words(priority)


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a list, ready to be shown."""

    key: str
    href: str
    number: str
    subject: Text
    meta: list[Text]
    turn: Markup
    priority: Text
    last_by: str
    last_word: str
    changed: Any
    assignee: str  # first name
    assigned_to: str
    unread: bool
    due: Markup | str
    group: str  # what it stands under in a list of this order
    is_over: bool
    snippet: Markup


def line(row: Row, visit: Visit, *, sort: str = '', words: str = '', passage: tuple[str, bool] | None = None) -> Line:
    """`words` were searched for; `passage` is where they stand, and whether that is a note."""
    by = visit.by
    meta: list[Text] = [row.company if by.is_staff else row.requester]
    if row.category:
        meta.append(row.category)
    if row.visibility == 'private':
        meta.append(macro('icon')('lock', small=True) + ' ' + _('Private'))
    if not by.is_staff and row.priority in (Priority.URGENT, Priority.HIGH):
        meta.append(priority_words(row.priority))
    return Line(
        str(row.id), f'{visit.root}/tickets/T-{row.number}', f'T-{row.number}', marked(row.subject, words) if words else row.subject, meta,
        turn_mark(row.status, by.side, by.tenant.short_name), priority_mark(row.priority), first_name(row.last_by or ''),
        to_text(row.last_word or ''), row.changed_at, first_name(row.assignee or ''), row.assignee or '', row.unread,
        due_mark(row.due_on, today(by.tenant), is_over=row.queue_rank >= OPEN_RANKS) if row.due_on else '',
        _group(row, sort, today(by.tenant)), row.queue_rank >= OPEN_RANKS,
        passage_line(passage, words),
    )  # fmt: skip


def _group(row: Row, sort: str, day: date) -> str:
    match sort:
        case 'turn' if row.queue_rank < OPEN_RANKS:
            return (_('Our turn'), _('Waiting for a supplier'), _('Waiting for clients'))[row.queue_rank // 10]
        case 'company':
            return row.company
        case 'priority':
            return priority_words(row.priority)
        case 'due' if row.due_on:
            days = (row.due_on - day).days
            return _('Overdue') if days < 0 else _('Today') if days == 0 else _('Within a week') if days < 7 else _('Later')
        case _:
            return ''


def due_mark(due_on: date, today: date, *, is_over: bool = False) -> Markup | str:
    """How long there is, in words; an icon says the same. What is done is not late."""
    days = (due_on - today).days
    if is_over:
        return macro('state')(i18n.day(due_on), icon_name='calendar-check')
    if days < 0:
        return macro('state')(_n('{n} day over', '{n} days over', -days), kind='bad')
    if days < 2:
        return macro('state')(_('Today') if days == 0 else _('Tomorrow'), kind='wait' if days == 0 else '', icon_name='clock')
    return macro('state')(i18n.day(due_on), icon_name='clock')


def passage_line(passage: tuple[str, bool] | None, words: str) -> Markup:
    if passage is None:
        return Markup()
    found = snippet(to_text(around(passage[0], words), most=2 * AROUND), words)
    return Markup('<b>{}</b> {}').format(_('Note'), found) if found and passage[1] else found


def first_name(name: str) -> str:
    return name.split(' ', 1)[0]


# ---------- one ticket ----------


@dataclass(frozen=True, slots=True)
class Said:
    key: str
    name: str
    org: str
    at: Any
    html: Markup
    is_note: bool
    msp: bool
    files: Sequence[File] = ()


@dataclass(frozen=True, slots=True)
class Happened:
    key: str
    at: Any
    words: Markup
    icon: str


def timeline(talk: Conversation, visit: Visit) -> list[Said | Happened]:
    """Comments and events, oldest first, as this side reads them."""
    files: dict[UUID | None, list[File]] = {}
    for file in talk.files:
        files.setdefault(file.comment_id, []).append(shown(file, visit.root))
    parts: list[tuple[UUID, Said | Happened]] = [(c.id, comment_of(c, talk, visit, files.get(c.id, ()))) for c in talk.comments]
    # that a new ticket is open goes without saying beside who took it
    parts += [(e.id, _happened(e, talk, visit)) for e in talk.events if (e.before, e.after) != (Status.NEW, Status.OPEN)]
    return [part for _id, part in sorted(parts, key=lambda p: p[0])]


def comment_of(comment: Comment, talk: Conversation, visit: Visit, files: Sequence[File] = ()) -> Said:
    author = talk.people.get(comment.author_id)
    msp = bool(author and author.user_type == 'internal')
    org = visit.by.tenant.name if msp else talk.company.name
    return Said(
        str(comment.id), talk.name(comment.author_id), org, comment.created_at, to_html(comment.body), comment.is_internal, msp,
        files,
    )  # fmt: skip


def _happened(event: Event, talk: Conversation, visit: Visit) -> Happened:
    words, icon = _line(event, talk.name(event.actor_id), talk, visit)
    if event.is_internal:
        words = _m('{line} (only staff see this)', line=words)
    return Happened(str(event.id), event.created_at, words, icon)


def _line(event: Event, name: str, talk: Conversation, visit: Visit) -> tuple[Markup, str]:
    """What happened, in words, and its icon."""
    before, after = event.before or '', event.after or ''
    match event.kind:
        case EventKind.STATUS:
            return _status_line(event, name, talk, visit), _STATUS_ICONS[Status(after or 'open')]
        case EventKind.PRIORITY:
            words = _m('{name} set the priority to {priority}', name=name, priority=priority_words(Priority(after or 'normal')))
            return words, 'chevrons-up-down'
        case EventKind.ASSIGNEE:
            return _assignee_line(event, name, talk), 'user-round-check'
        case EventKind.PARTICIPANT:
            return _participant_line(event, name, talk)
        case EventKind.CATEGORY if after:
            return _m('{name} set the category to {category}', name=name, category=talk.category(UUID(after))), 'tag'
        case EventKind.CATEGORY:
            return _m('{name} took the category away', name=name), 'tag'
        case EventKind.VISIBILITY if after == Visibility.PRIVATE:
            return _m('{name} made the ticket private', name=name), 'lock'
        case EventKind.VISIBILITY:
            return _m(
                '{name} showed the ticket to everyone at {company} with tickets', name=name, company=talk.company.name
            ), 'users'
        case EventKind.REQUESTER:
            words = _m('{name} changed who asked: {after}, before {before}', name=name, after=talk.name(UUID(after)), before=talk.name(UUID(before)))  # fmt: skip
            return words, 'user-round'
        case EventKind.SUBJECT:
            return _m('{name} changed the subject; before it was “{before}”', name=name, before=before), 'pencil'
        case EventKind.DUE if after:
            return _m('{name} set it due on {day}', name=name, day=day(datetime.fromisoformat(after))), 'calendar-clock'
        case EventKind.DUE:
            return _m('{name} took the due date away', name=name), 'calendar-clock'


def _participant_line(event: Event, name: str, talk: Conversation) -> tuple[Markup, str]:
    if event.after:
        return _m('{name} added {other}', name=name, other=talk.name(UUID(event.after))), 'user-round-plus'
    if event.before == str(event.actor_id):
        return _m('{name} left the ticket', name=name), 'log-out'
    return _m('{name} took {other} out of copy', name=name, other=talk.name(UUID(event.before or ''))), 'circle-minus'


_STATUS_ICONS = {
    Status.NEW: 'circle', Status.OPEN: 'undo-2', Status.WAITING_CLIENT: 'arrow-left-right', Status.WAITING_SUPPLIER: 'arrow-left-right',
    Status.SOLVED: 'circle-check', Status.CLOSED: 'archive',
}  # fmt: skip


def _status_line(event: Event, name: str, talk: Conversation, visit: Visit) -> Markup:
    match Status(event.after or 'open'):
        case Status.WAITING_CLIENT:
            return _m('Now waiting for {company}', company=talk.company.name)
        case Status.WAITING_SUPPLIER:
            return _m('Now waiting for a supplier')
        case Status.SOLVED:
            return _m('{name} marked it as solved', name=name)
        case Status.CLOSED:
            return _m('{name} closed the ticket', name=name)
        case _ if event.before in (Status.SOLVED, Status.CLOSED):
            return _m('{name} reopened the ticket', name=name)
        case _:
            return _m('Now with {msp}', msp=visit.by.tenant.short_name)


def _assignee_line(event: Event, name: str, talk: Conversation) -> Markup:
    if not event.after:
        return _m('{name} put the ticket back into the queue', name=name)
    if event.after == str(event.actor_id):
        return _m('{name} took the ticket', name=name)
    return _m('{name} gave the ticket to {other}', name=name, other=talk.name(UUID(event.after)))


def people_of(talk: Conversation, *, removable: Collection[UUID] = ()) -> list[Someone]:
    """The people in a ticket; some of those in copy can be taken out."""
    ticket = talk.ticket
    people = [Someone(talk.name(ticket.requester_id), _('asked'))]
    people += [
        Someone(talk.name(person), _('in copy'), key=str(person), remove_act='take-out' if person in removable else '')
        for person in talk.participants
    ]
    if ticket.author_id not in (ticket.requester_id, ticket.assignee_id, *talk.participants):
        people.append(
            Someone(talk.name(ticket.author_id), _('wrote it down'), msp=talk.people[ticket.author_id].user_type == 'internal')
        )
    if ticket.assignee_id:
        people.append(Someone(talk.name(ticket.assignee_id), _('helps'), msp=True))
    return people


def who_sees_line(talk: Conversation) -> Text:
    if talk.ticket.visibility == 'private':
        return _('Only the people in it can see this')
    return _('Everyone at {company} with tickets can see this', company=talk.company.name)


def visibility_words(visibility: str, company: str) -> str:
    if visibility == Visibility.PRIVATE:
        return _('Only the people in it')
    return _('Everyone at {company} with tickets', company=company)


def facts_of(talk: Conversation) -> list[Fact]:
    ticket = talk.ticket
    facts = [Fact(_('Number'), ticket.label), Fact(_('Opened'), day(ticket.created_at))]
    if talk.follows:
        facts.append(Fact(_('Goes on with'), f'T-{talk.follows}'))
    return facts


def priority_options() -> list[Option]:
    return [Option(p.value, priority_words(p)) for p in (Priority.LOW, Priority.NORMAL, Priority.HIGH, Priority.URGENT)]


def visibility_options(company: str, msp: str, reaching: Sequence[str], *, mine: bool = True) -> list[Option]:
    """What may be chosen when a ticket is written, and whom it lets read: `reaching` are those whose role shows them all of the
    company's. `mine`: it is the ticket of whoever writes."""
    names, more = ', '.join(reaching[:NAMED]), len(reaching) - NAMED
    if more > 0:
        all_of_them = _n('Now that is {names} and {n} more, and who is in copy',
                         'Now that is {names} and {n} more, and who is in copy', more, names=names)  # fmt: skip
    elif reaching:
        all_of_them = _('Now that is {names}, and who is in copy', names=names)
    else:
        all_of_them = _('Nobody sees all tickets at present; who is in copy does')
    private = (
        _('You, who is in copy, and {msp}. For personal matters', msp=msp)
        if mine
        else _('Who asked, who is in copy, and {msp}. For personal matters', msp=msp)
    )
    return [
        Option('company', visibility_words('company', company), all_of_them),
        Option('private', visibility_words('private', company), private),
    ]


def why_words(seer: Seer, company: str) -> str:
    match seer.why:
        case 'requester':
            return _('whose ticket it is')
        case 'copy' if seer.added_by and seer.added_by != seer.name:
            return _('in copy, added by {name}', name=seer.added_by)
        case 'copy':
            return _('in copy')
        case _:
            return _('{role}: sees all tickets of {company}', role=seer.role, company=company)
