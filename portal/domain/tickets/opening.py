"""A ticket begins."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func as sql
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import Wrong
from portal.domain.categories import offered
from portal.domain.people import members_of
from portal.domain.tickets.drafts import NEW_TICKET
from portal.domain.tickets.files import attach
from portal.domain.tickets.model import (
    SUBJECT_MOST,
    TEXT_MOST,
    Comment,
    Priority,
    Ticket,
    Visibility,
)
from portal.domain.tickets.sharing import participant
from portal.domain.tickets.telling import tell
from portal.i18n import _


@verb(Permission.TICKETS_OPEN)
async def open_ticket(
    db: AsyncSession, by: Principal, *, company_id: UUID, requester_id: UUID, subject: str, text: str,
    priority: str = 'normal', visibility: str = 'company', copy: Sequence[UUID] = (), category_id: UUID | None = None,
    follows: Ticket | None = None, sending: UUID | None = None, files: Sequence[UUID] = (), place: str = NEW_TICKET,
) -> Ticket:  # fmt: skip
    """A client opens for itself; staff for anybody of the company who called. `sending` is of the reply that goes on. `files`
    were uploaded at the `place` where the text was written; where one `follows`, they need no text.

    Raises Wrong with words for each field.
    """
    if not by.is_staff and (by.company is None or company_id != by.company.id or requester_id != by.user_id):
        raise Wrong(requester=_('You can open tickets for yourself only.'))
    wrong = _wrong(subject, text, priority, visibility, files_enough=bool(follows and files))
    known = await members_of(db, company_id, {requester_id, *copy})
    if requester_id not in known:
        wrong['requester'] = _('Choose who asked.')
    if not set(copy) <= known:
        wrong['copy'] = _('Only people of the company can be in copy.')
    try:
        await offered(db, category_id)
    except Wrong as category:
        wrong |= category.fields
    if wrong:
        raise Wrong(**wrong)
    number = (await db.exec(select(sql.app.next_number('ticket')))).one()
    ticket = Ticket(
        tenant_id=by.tenant.id, company_id=company_id, number=number, subject=clean_subject(subject), priority=Priority(priority),
        visibility=Visibility(visibility), requester_id=requester_id, author_id=by.user_id,
        category_id=category_id, follows_id=follows.id if follows else None,
    )  # fmt: skip
    first = Comment(tenant_id=by.tenant.id, company_id=company_id, ticket_id=ticket.id, author_id=by.user_id, body=text.strip(),
                    sending=sending)  # fmt: skip
    ticket.last_comment_id = first.id
    db.add(ticket)
    await db.flush()
    db.add(first)
    db.add_all(participant(by, ticket, person) for person in dict.fromkeys(copy) if person != requester_id)
    await db.flush()
    await attach(db, by, place, first, files)
    await record(db, 'ticket.opened', company_id=company_id, subject=ticket.id, number=number, visibility=visibility)
    await tell(db, by, ticket, 'new_ticket', comment_id=first.id)
    return ticket


def _wrong(subject: str, text: str, priority: str, visibility: str, *, files_enough: bool) -> dict[str, str]:
    wrong: dict[str, str] = {}
    if words := wrong_subject(subject):
        wrong['subject'] = words
    if words := wrong_text(text, files_enough=files_enough):
        wrong['text'] = words
    if priority not in set(Priority):
        wrong['priority'] = _('Choose a priority.')
    if visibility not in set(Visibility):
        wrong['visibility'] = _('Choose who can see it.')
    return wrong


def wrong_subject(subject: str) -> str | None:
    """Why a ticket cannot be called this, in words, or None."""
    plain = clean_subject(subject)
    if not plain:
        return _('Say in one sentence what it is about.')
    if len(plain) > SUBJECT_MOST:
        return _('At most {n} letters here, please; the rest fits below.', n=SUBJECT_MOST)
    return None


def clean_subject(subject: str) -> str:
    """One line, without the characters that a database or a mail header cannot hold."""
    return ' '.join(''.join(c if c.isprintable() else ' ' for c in subject).split())


def wrong_text(text: str, *, files_enough: bool = False) -> str | None:
    """Why this cannot be sent, in words, or None. `files_enough`: there are files, and they need no words."""
    if not text.strip() and not files_enough:
        return _('Write something first.')
    if '\x00' in text:
        return _('There is a character in it that cannot be kept. Please remove it.')
    if len(text) > TEXT_MOST:
        return _('At most {n} characters, please.', n=TEXT_MOST)
    return None
