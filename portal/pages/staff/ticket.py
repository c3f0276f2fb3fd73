"""One ticket, as the staff work on it."""

from typing import Any
from uuid import UUID

from nicegui import ui

from portal.components.frame import Primary
from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Option
from portal.domain import notifications
from portal.domain.access import Permission
from portal.domain.audit import record
from portal.domain.base import Wrong
from portal.domain.people import User, members, staff
from portal.domain.tickets import (
    Conversation,
    Status,
    Turn,
    add_participants,
    assign,
    change_priority,
    change_status,
    conversation,
    note,
    reopen,
    reply,
    take,
    ticket_by_number,
)  # fmt: skip
from portal.domain.tickets.conversation import who_can_see
from portal.domain.tickets.words import status_words
from portal.domain.tickets.working import AlreadyClosed, ClosedForGood
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.shared.files import chosen_files, shown
from portal.pages.shared.tickets import facts_of, first_name, number_of, people_of, priority_options, timeline, turn_mark


class TicketPage:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.number = number_of(here.parts['label'])
        self.errors: dict[str, str] = {}
        self.text, self.kind = '', 'reply'

    @property
    def works(self) -> bool:
        return self.here.visit.may(Permission.TICKETS_WORK)

    async def build(self) -> None:
        await self._read(first=True)
        ticket = self.talk.ticket
        self.here.title(f'{ticket.label} {ticket.subject}')
        self.here.set_primary(self._primary(), self._act)
        self.head = self.here.island(self._head(), self._act)
        with ui.element('div').classes('split'):
            with ui.element('div'):
                self.said = self.here.island(self._said())
                self.composer = self.here.island(self._composer(), self._act)
            self.aside = self.here.island(self._aside(), self._act, tag='aside', classes='aside')
        self.here.wakes(self._again, f'ticket:{ticket.id}', f'note:{ticket.id}')

    async def _read(self, *, first: bool = False) -> None:
        async with self.here.visit.work() as db:
            self.talk: Conversation = await conversation(db, self.number)
            ticket = self.talk.ticket
            self.seeing: list[User] = await who_can_see(db, ticket)
            self.colleagues = await members(db, ticket.company_id)
            self.staff = await staff(db)
            await notifications.mark_seen(db, self.by, ticket.id)
            if first and ticket.visibility == 'private':
                await record(db, 'ticket.private_read', company_id=ticket.company_id, subject=ticket.id)

    async def _again(self) -> None:
        await self._read()
        self._show()

    def _show(self) -> None:
        self.here.set_primary(self._primary(), self._act)
        self.head.set(self._head())
        self.said.set(self._said())
        self.composer.set(self._composer())
        self.aside.set(self._aside())

    # ---------- what is shown ----------

    def _head(self) -> Any:
        ticket = self.talk.ticket
        return render(
            'staff/ticket_head.html', here=self.here, ticket=ticket, company=self.talk.company, private=ticket.visibility == 'private',
            turn=turn_mark(ticket.status, 'staff', self.by.tenant.short_name), actions=self._actions(),
        )  # fmt: skip

    def _actions(self) -> list[Action]:
        ticket = self.talk.ticket
        over = ticket.status in (Status.SOLVED, Status.CLOSED)
        actions: list[Action] = []
        if self.works and ticket.assignee_id != self.by.user_id and not over:
            actions.append(Action(_('Take it'), act='take'))
        if over and self.here.visit.may(Permission.TICKETS_CLOSE):
            actions.append(Action(_('Reopen'), act='reopen'))
        return actions

    def _primary(self) -> Primary | None:
        if self.works and self.talk.ticket.status not in (Status.SOLVED, Status.CLOSED):
            return Primary(_('Mark as solved'), act='solve')
        return None

    def _said(self) -> Any:
        words = _('{company} never sees this', company=self.talk.company.name)
        return render('shared/talk.html', parts=timeline(self.talk, self.here.visit), earlier=self.talk.earlier, note_words=words)

    def _composer(self) -> Any:
        ticket = self.talk.ticket
        hearing = [first_name(self.talk.name(p)) for p in (ticket.requester_id, *self.talk.participants)]
        then = [Option(s.value, w) for s, w in (
            (Status.WAITING_CLIENT, _('then it is the client’s turn')), (Status.OPEN, _('then it stays with us')),
            (Status.WAITING_SUPPLIER, _('then a supplier’s turn')), (Status.SOLVED, _('and it is solved')),
        )]  # fmt: skip
        return render(
            'staff/composer.html', ticket=ticket, text=self.text, kind=self.kind, error=self.errors.get('text') or self.errors.get('files', ''), then=then,
            hearing=', '.join(hearing), company=self.talk.company.name, msp=self.by.tenant.short_name, works=self.works,
            may_reply=self.here.visit.may(Permission.TICKETS_REPLY), draft=f'answer:{ticket.id}:{self.by.user_id}',
        )  # fmt: skip

    def _aside(self) -> Any:
        ticket = self.talk.ticket
        there = {ticket.requester_id, *self.talk.participants}
        return render(
            'staff/ticket_aside.html', here=self.here, ticket=ticket, company=self.talk.company, msp=self.by.tenant.short_name,
            acts={Turn.CLIENT: 'client', Turn.NEW: 'msp', Turn.MSP: 'msp'}.get(ticket.turn, ''),
            mine=ticket.turn in (Turn.NEW, Turn.MSP), turn_words=self._turn_words(), works=self.works,
            facts=facts_of(self.talk), people=people_of(self.talk), seeing=[user.name for user in self.seeing],
            staff=[Option(str(user.id), user.name) for user in self.staff], priorities=priority_options(),
            statuses=[Option(s.value, status_words(s, 'staff', self.by.tenant.short_name)) for s in Status],
            could_add=[Option(str(p.id), p.name) for p in self.colleagues if p.id not in there], errors=self.errors,
            private=ticket.visibility == 'private', assignee=self.talk.name(ticket.assignee_id),
            files=[shown(f, self.here.root) for f in self.talk.files], zip_href=self.here.url(f'/tickets/{ticket.label}/files.zip'),
        )  # fmt: skip

    def _turn_words(self) -> str:
        ticket = self.talk.ticket
        return {
            Turn.CLIENT: _('Waiting for {name}.', name=first_name(self.talk.name(ticket.requester_id))),
            Turn.NEW: _('Nobody has looked at it yet.'),
            Turn.MSP: _('We act next.') if ticket.assignee_id else _('We act next, and nobody has it.'),
            Turn.AWAY: _('Waiting for a supplier.'),
            Turn.DONE: _('Solved. A reply of the client opens it again.'),
            Turn.CLOSED: _('Closed.'),
        }[ticket.turn]

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        self.errors = {}
        try:
            match act.name:
                case 'say':
                    await self._say(act)
                case 'take':
                    await self._change(lambda db, t: take(db, self.by, t))
                case 'solve':
                    await self._change(lambda db, t: change_status(db, self.by, t, Status.SOLVED.value))
                case 'reopen':
                    await self._change(lambda db, t: reopen(db, self.by, t))
                case 'assign':
                    to = UUID(act.text('assignee')) if act.text('assignee') else None
                    await self._change(lambda db, t: assign(db, self.by, t, to))
                case 'priority':
                    await self._change(lambda db, t: change_priority(db, self.by, t, act.text('priority')))
                case 'status':
                    await self._change(lambda db, t: change_status(db, self.by, t, act.text('status')))
                case 'add-people':
                    people = [UUID(word) for word in act.all('copy')]
                    await self._change(lambda db, t: add_participants(db, self.by, t, people))
                case _:
                    pass
        except Wrong as wrong:
            self.errors = wrong.fields
            self._show()
        except (AlreadyClosed, ClosedForGood):
            await self._again()
            self.here.say(
                _('It was closed too long ago to be reopened. A reply opens a new ticket that goes on with it.'), bad=True
            )

    async def _change(self, verb: Any) -> None:
        async with self.here.visit.work() as db:
            await verb(db, await ticket_by_number(db, self.number, lock=True))
        await self._again()

    async def _say(self, act: Act) -> None:
        self.text, self.kind = act.text('body'), 'note' if act.text('do') == 'note' or act.text('kind') == 'note' else 'reply'
        async with self.here.visit.work() as db:
            ticket = await ticket_by_number(db, self.number, lock=True)
            if self.kind == 'note':
                await note(db, self.by, ticket, self.text, files=chosen_files(act))
                label, moved = ticket.label, False
            else:
                where = await reply(db, self.by, ticket, self.text, then=act.text('then') or None, files=chosen_files(act))
                label, moved = where.label, where.id != ticket.id
        self.text, self.kind = '', 'reply'
        self.composer.forget_draft(f'answer:{self.talk.ticket.id}:{self.by.user_id}')
        if moved:
            self.here.say(_('The old ticket is closed for good; {ticket} goes on with it.', ticket=label))
            return self.here.go(self.here.url(f'/tickets/{label}'))
        await self._again()


async def ticket(here: Here) -> None:
    await TicketPage(here).build()


SCREENS = (Screen('/tickets/{label}', ticket, Permission.TICKETS_SEE, 'queue'),)
