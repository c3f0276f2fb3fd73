"""The outbox: what the portal writes to people, and what became of it. While no mail server is set, letters are read here."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from markupsafe import Markup, escape
from nicegui import ui
from sqlalchemy import func as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.render import macro, render
from portal.components.values import Column, Fact
from portal.domain.access import Permission, need_fresh
from portal.domain.audit import record
from portal.domain.base import NotFound
from portal.domain.granting import missing, role_of
from portal.domain.invitations import Invitation
from portal.domain.mail import Letter, LetterState
from portal.domain.people import Company, Membership, User
from portal.domain.tickets import Ticket, Visibility
from portal.i18n import _, exact
from portal.pages.screens import Here, Screen

PAGE = 25
#: Kinds whose text carries a link that opens an account (portal/jobs/letters.py makes it).
WITH_KEY = (
    'welcome', 'password_reset', 'many_failures', 'recovery_started', 'recovery_ready', 'invitation', 'address_old', 'address_new',
    'disowned',
)  # fmt: skip


def kind_words(kind: str) -> str:
    return {
        'new_ticket': _('A new ticket'),
        'reply': _('A reply on a ticket'),
        'status': _('A change of a ticket'),
        'copy': _('In copy of a ticket'),
        'requester': _('A ticket is theirs now'),
        'assigned': _('A ticket is assigned to them'),
        'welcome': _('Welcome, with a link to choose a password'),
        'welcome_again': _('Welcome to one more company'),
        'password_reset': _('A link to set a new password'),
        'many_failures': _('A warning: somebody tries to sign in'),
        'passkey_added': _('A passkey was added'),
        'passkey_removed': _('A passkey was removed'),
        'passkey_cloned': _('A warning: a passkey was copied'),
        'identity_linked': _('A company account was linked'),
        'identity_unlinked': _('A company account is no longer linked'),
        'factor_due': _('A second factor is needed soon'),
        'recovery_started': _('Help with a lost factor has begun'),
        'recovery_ready': _('Link to set up a new factor'),
        'recovery_finished': _('A lost factor was replaced'),
        'recovery_refused': _('Help with a lost factor was stopped'),
        'factor_added': _('A second factor was added'),
        'factor_removed': _('A second factor was removed'),
        'recovery_codes_made': _('New recovery codes'),
        'recovery_code_used': _('A recovery code was used'),
        'password_changed': _('Their password was changed'),
        'proof_refused': _('A warning: somebody tries to pass for them'),
        'invitation': _('An invitation, with a link to come in'),
        'invitation_accepted': _('Somebody has accepted their invitation'),
        'review': _('Who still works at the company?'),
        'review_again': _('Who still works at the company? A reminder'),
        'address_old': _('To confirm another address, at the present one'),
        'address_new': _('To confirm another address, at the new one'),
        'new_device': _('A sign-in by a new device'),
        'signed_out': _('They were signed out everywhere'),
        'disowned': _('A link to set a new password, after somebody else was signed in'),
        'disowned_by': _('Somebody else was signed in as one of our people'),
        'email_changed': _('Their address has changed'),
        'email_was': _('Their address has changed, to the old one'),
    }.get(kind, kind)


def state_mark(letter: Letter) -> Markup:
    word, kind, icon = {
        LetterState.WAITING: (_('Waiting'), '', 'clock'),
        LetterState.SENT: (_('Sent'), 'ok', 'circle-check'),
        LetterState.KEPT: (_('Kept here'), '', 'inbox'),
        LetterState.DROPPED: (_('Not sent'), '', 'circle-slash'),
        LetterState.FAILED: (_('Failed'), 'bad', 'triangle-alert'),
    }[letter.state]
    return macro('state')(word, kind, icon_name=icon)


def reason(letter: Letter) -> str:
    """Why it is not (yet) with whom it is for."""
    if letter.state is LetterState.DROPPED:
        return _('They may no longer see it, or do not want such letters.')
    if letter.error and letter.state is LetterState.WAITING:
        return _('It is tried again: {error}', error=letter.error)
    return letter.error or '' if letter.state is LetterState.FAILED else ''


# ---------- all of them ----------


@dataclass(frozen=True, slots=True)
class Found:
    """A page, newest first, and whether there is something on either side."""

    rows: list[tuple[Letter, 'To']]
    newer: UUID | None
    older: UUID | None


@dataclass(frozen=True, slots=True)
class To:
    """To whom a letter goes: a person, or somebody who is invited."""

    id: UUID | None
    name: str
    email: str


_TO = (
    col(Letter.to_user_id),
    sql.coalesce(col(User.name), col(Invitation.name)),
    sql.coalesce(col(Letter.to_address), col(User.email), col(Invitation.email)),
)


def _letters() -> Any:
    """Each with what makes a `To`."""
    return (
        select(Letter, *_TO)
        .outerjoin(User, col(User.id) == Letter.to_user_id)
        .outerjoin(Invitation, col(Invitation.id) == Letter.invitation_id)
    )


async def _found(db: AsyncSession, *, after: UUID | None, before: UUID | None) -> Found:
    """`after` a letter come the older ones; `before` it stand the newer ones."""
    query = _letters()
    if after:
        query = query.where(col(Letter.id) < after)
    elif before:
        query = query.where(col(Letter.id) > before)
    backwards = bool(before and not after)
    query = query.order_by(col(Letter.id).asc() if backwards else col(Letter.id).desc()).limit(PAGE + 1)
    rows = [(letter, To(*to)) for letter, *to in await db.exec(query)]
    more, rows = len(rows) > PAGE, rows[:PAGE]
    if backwards:
        rows.reverse()
    if not rows:
        return Found([], None, None)
    newer = more if backwards else after is not None
    older = backwards or more
    return Found(rows, rows[0][0].id if newer else None, rows[-1][0].id if older else None)


def _id(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


class Mail:
    def __init__(self, here: Here) -> None:
        self.here = here

    async def build(self) -> None:
        self.here.title(_('Mail'))
        self.island = self.here.island(await self._html())
        self.here.wakes(self._again, f'mail:{self.here.visit.by.tenant.id}')

    async def _again(self) -> None:
        self.island.set(await self._html())

    async def _html(self) -> Markup:
        here = self.here
        after, before = _id(here.query.get('after')), _id(here.query.get('before'))
        async with here.visit.work() as db:
            found = await _found(db, after=after, before=before)
        url = here.url
        return render(
            'staff/mail.html', here=here, no_server=no_server(),
            rows=[(letter, to, kind_words(letter.kind), state_mark(letter), reason(letter)) for letter, to in found.rows],
            columns=[Column(_('Letter')), Column(_('To')), Column(_('State')), Column(_('When'), right=True)],
            newer=url('/mail', before=str(found.newer)) if found.newer else '',
            older=url('/mail', after=str(found.older)) if found.older else '', at_start=not (after or before), start=url('/mail'),
        )  # fmt: skip


def no_server() -> bool:
    return ui.context.client.request.state.settings.smtp is None


async def mail(here: Here) -> None:
    await Mail(here).build()


# ---------- one of them ----------

_ADDRESS = re.compile(r'https?://[^\s<>"]+[^\s<>".,;:!?)\]\'’”]')


def linked(text: str) -> Markup:
    """Plain text as paragraphs, in which web addresses can be followed. Nothing else in it becomes markup."""
    paragraphs = [p for p in re.split(r'\n\s*\n', text.strip()) if p.strip()]
    lines = [Markup('<br>').join(_linked_line(line) for line in p.strip().split('\n')) for p in paragraphs]
    return Markup('\n').join(Markup('<p>{}</p>').format(words) for words in lines)


def _linked_line(line: str) -> Markup:
    parts, at = [Markup('')], 0
    for found in _ADDRESS.finditer(line):
        parts.append(escape(line[at : found.start()]))
        parts.append(Markup('<a href="{0}" target="_blank" rel="noopener noreferrer nofollow">{0}</a>').format(found[0]))
        at = found.end()
    return Markup('').join([*parts, escape(line[at:])])


class LetterPage:
    def __init__(self, here: Here) -> None:
        self.here = here
        self.id = _id(here.parts['id'])

    async def build(self) -> None:
        html = await self._html(opened=True)
        self.here.title(self.letter.subject or kind_words(self.letter.kind))
        self.island = self.here.island(html)
        self.here.wakes(self._again, f'mail:{self.here.visit.by.tenant.id}')

    async def _again(self) -> None:
        self.island.set(await self._html())

    async def _html(self, *, opened: bool = False) -> Markup:
        query = _letters().where(col(Letter.id) == self.id)
        async with self.here.visit.work() as db:
            found = (await db.exec(query)).first()
            if found is None:
                raise NotFound
            letter, to = found[0], To(*found[1:])
            company = await db.get(Company, letter.company_id) if letter.company_id else None
            ticket = await db.get(Ticket, letter.ticket_id) if letter.ticket_id else None
            has_key = bool(letter.text) and letter.kind in WITH_KEY
            self.closed = has_key and await self._is_above(db, letter)
            if has_key and opened and not self.closed:
                await need_fresh(db)
            noted = bool(letter.text) and not self.closed and self._is_delicate(letter, ticket)
            if opened and noted:
                await record(
                    db,
                    'letter.read',
                    company_id=letter.company_id,
                    subject=to.id or letter.invitation_id,
                    kind=letter.kind,
                    letter=letter.id,
                )
        self.letter = letter
        return render(
            'staff/letter.html', here=self.here, letter=letter, subject=letter.subject or kind_words(letter.kind), noted=noted,
            facts=self._facts(letter, to, company, ticket), text=linked('' if self.closed else letter.text or ''), no_text=self._no_text(letter),
        )  # fmt: skip

    async def _is_above(self, db: AsyncSession, letter: Letter) -> bool:
        """Whether its link opens an account that may do more than whoever reads could give."""
        if letter.to_user_id:
            user = await db.get_one(User, letter.to_user_id)
            there = select(Membership.role, Membership.role_id).where(
                Membership.user_id == user.id, col(Membership.ended_at).is_(None)
            )
            held: list[tuple[str | None, UUID | None]] = [(user.staff_role, user.staff_role_id), *await db.exec(there)]
        elif letter.invitation_id:
            invitation = await db.get_one(Invitation, letter.invitation_id)
            held = [(invitation.role, invitation.role_id)]
        else:
            return True
        roles = [role for each in held if (role := await role_of(db, each[0], each[1]))]
        return any(missing(self.here.visit.by, role.permissions) for role in roles)

    @staticmethod
    def _is_delicate(letter: Letter, ticket: Ticket | None) -> bool:
        """Who reads it could come in as somebody else, or reads what is private: that is recorded."""
        return letter.kind in WITH_KEY or bool(ticket and ticket.visibility is Visibility.PRIVATE)

    def _facts(self, letter: Letter, to: To, company: Company | None, ticket: Ticket | None) -> list[Fact]:
        def leads(path: str, words: str) -> Markup:
            return Markup('<a class="plain" href="{}">{}</a>').format(self.here.url(path), words)

        facts = [
            Fact(_('To'), to.name, note=to.email),
            Fact(_('What'), kind_words(letter.kind)),
            Fact(_('State'), state_mark(letter), note=reason(letter)),
            Fact(_('Promised'), exact(letter.created_at)),
        ]
        if letter.sent_at:
            facts.append(Fact(_('Sent'), exact(letter.sent_at)))
        if ticket:
            facts.append(Fact(_('About'), leads(f'/tickets/{ticket.label}', ticket.label)))
        if company:
            facts.append(Fact(_('Company'), leads(f'/companies/{company.slug}', company.name)))
        return facts

    def _no_text(self, letter: Letter) -> str:
        """Why there is nothing to read."""
        if self.closed:
            return _(
                'It has a link that opens the account of somebody who may do more than you. Somebody with the same rights can read it.'
            )
        return {
            LetterState.WAITING: _('It is written when it is sent, in the language of whoever gets it.'),
            LetterState.SENT: _('Of letters that went out only the subject stays here: some carry a link that opens an account.'),
            LetterState.DROPPED: _('It was never written: when its turn came, it was no longer wanted.'),
            LetterState.FAILED: _('It could not be sent, and its text was not kept.'),
        }.get(letter.state, '')


async def letter(here: Here) -> None:
    await LetterPage(here).build()


SCREENS = (
    Screen('/mail', mail, Permission.MAIL_READ, 'mail'),
    Screen('/mail/{id}', letter, Permission.MAIL_READ, 'mail'),
)
