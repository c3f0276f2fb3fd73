"""A ticket begins."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func as sql
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import Wrong
from portal.domain.people import members
from portal.domain.tickets.drafts import NEW_TICKET
from portal.domain.tickets.files import attach
from portal.domain.tickets.model import (
    SUBJECT_MOST,
    TEXT_MOST,
    Comment,
    Event,
    EventKind,
    Participant,
    Priority,
    Ticket,
    Visibility,
)
from portal.domain.tickets.telling import tell
from portal.i18n import _


@verb(Permission.TICKETS_OPEN)
async def open_ticket(
    db: AsyncSession, by: Principal, *, company_id: UUID, requester_id: UUID, subject: str, text: str,
    priority: str = 'normal', visibility: str = 'company', copy: Sequence[UUID] = (), follows: Ticket | None = None,
    files: Sequence[UUID] = (), place: str = NEW_TICKET,
) -> Ticket:  # fmt: skip
    """A client opens for itself; staff for anybody of the company who called. `files` were uploaded at the `place` where
    the text was written.

    Raises Wrong with words for each field.
    """
    if not by.is_staff and (by.company is None or company_id != by.company.id or requester_id != by.user_id):
        raise Wrong(requester=_('You can open tickets for yourself only.'))
    wrong = _wrong(subject, text, priority, visibility)
    known = {person.id for person in await members(db, company_id)}
    if requester_id not in known:
        wrong['requester'] = _('Choose who asked.')
    if not set(copy) <= known:
        wrong['copy'] = _('Only people of the company can be in copy.')
    if wrong:
        raise Wrong(**wrong)
    number = (await db.exec(select(sql.app.next_number('ticket')))).one()
    ticket = Ticket(
        tenant_id=by.tenant.id, company_id=company_id, number=number, subject=clean_subject(subject), priority=Priority(priority),
        visibility=Visibility(visibility), requester_id=requester_id, author_id=by.user_id,
        follows_id=follows.id if follows else None,
    )  # fmt: skip
    first = Comment(tenant_id=by.tenant.id, company_id=company_id, ticket_id=ticket.id, author_id=by.user_id, body=text.strip())
    ticket.last_comment_id = first.id
    db.add(ticket)
    await db.flush()
    db.add(first)
    db.add_all(_participant(by, ticket, person) for person in dict.fromkeys(copy) if person != requester_id)
    await db.flush()
    await attach(db, by, place, first, files)
    await record(db, 'ticket.opened', company_id=company_id, subject=ticket.id, number=number, visibility=visibility)
    await tell(db, by, ticket, 'new_ticket', comment_id=first.id)
    return ticket


def _wrong(subject: str, text: str, priority: str, visibility: str) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if not (plain := clean_subject(subject)):
        wrong['subject'] = _('Say in one sentence what it is about.')
    elif len(plain) > SUBJECT_MOST:
        wrong['subject'] = _('At most {n} letters here, please; the rest fits below.', n=SUBJECT_MOST)
    if words := wrong_text(text):
        wrong['text'] = words
    if priority not in set(Priority):
        wrong['priority'] = _('Choose a priority.')
    if visibility not in set(Visibility):
        wrong['visibility'] = _('Choose who can see it.')
    return wrong


def clean_subject(subject: str) -> str:
    """One line, without the characters that a database or a mail header cannot hold."""
    return ' '.join(''.join(c if c.isprintable() else ' ' for c in subject).split())


def wrong_text(text: str) -> str | None:
    """Why this cannot be sent, in words, or None."""
    if not text.strip():
        return _('Write something first.')
    if '\x00' in text:
        return _('There is a character in it that cannot be kept. Please remove it.')
    if len(text) > TEXT_MOST:
        return _('At most {n} characters, please.', n=TEXT_MOST)
    return None


@verb(Permission.TICKETS_REPLY)
async def add_participants(db: AsyncSession, by: Principal, ticket: Ticket, people: Sequence[UUID]) -> None:
    """Puts people of the company in copy: they see the ticket, also a private one, and hear of replies."""
    known = {person.id for person in await members(db, ticket.company_id)}
    if not people or not set(people) <= known:
        raise Wrong(copy=_('Only people of the company can be in copy.'))
    there = {ticket.requester_id, *await db.exec(select(Participant.user_id).where(Participant.ticket_id == ticket.id))}
    for person in dict.fromkeys(people):
        if person in there:
            continue
        db.add(_participant(by, ticket, person))
        db.add(Event(tenant_id=by.tenant.id, company_id=ticket.company_id, ticket_id=ticket.id, actor_id=by.user_id,
                     kind=EventKind.PARTICIPANT, after=str(person)))  # fmt: skip
        await record(db, 'ticket.shared', company_id=ticket.company_id, subject=ticket.id, with_user=person)
    await db.flush()


def _participant(by: Principal, ticket: Ticket, person: UUID) -> Participant:
    return Participant(
        tenant_id=by.tenant.id, company_id=ticket.company_id, ticket_id=ticket.id, user_id=person, added_by_id=by.user_id
    )
