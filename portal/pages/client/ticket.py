"""One ticket, as a client sees it."""

from typing import Any
from uuid import UUID

from nicegui import ui

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Fact, Option
from portal.domain import notifications
from portal.domain.access import Permission
from portal.domain.base import Wrong
from portal.domain.people import User, members
from portal.domain.tickets import (
    Conversation,
    Status,
    Turn,
    add_participants,
    close,
    conversation,
    reopen,
    reply,
    ticket_by_number,
)
from portal.domain.tickets.conversation import who_can_see
from portal.domain.tickets.words import priority_words
from portal.domain.tickets.working import AlreadyClosed, ClosedForGood
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.shared.files import chosen_files, shown
from portal.pages.shared.tickets import facts_of, first_name, number_of, people_of, timeline, turn_mark, who_sees_line


class TicketPage:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.number = number_of(here.parts['label'])
        self.errors: dict[str, str] = {}
        self.text = ''

    async def build(self) -> None:
        await self._read()
        self.here.title(f'{self.talk.ticket.label} {self.talk.ticket.subject}')
        self.head = self.here.island(self._head())
        with ui.element('div').classes('split'):
            with ui.element('div'):
                self.said = self.here.island(self._said())
                self.composer = self.here.island(self._composer(), self._act)
            self.aside = self.here.island(self._aside(), self._act, tag='aside', classes='aside')
        self.here.wakes(self._again, f'ticket:{self.talk.ticket.id}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.talk: Conversation = await conversation(db, self.number)
            self.seeing: list[User] = await who_can_see(db, self.talk.ticket)
            self.colleagues = await members(db, self.talk.ticket.company_id)
            await notifications.mark_seen(db, self.by, self.talk.ticket.id)

    async def _again(self) -> None:
        await self._read()
        self._show()

    def _show(self) -> None:
        self.head.set(self._head())
        self.said.set(self._said())
        self.composer.set(self._composer())
        self.aside.set(self._aside())

    # ---------- what is shown ----------

    def _head(self) -> Any:
        ticket, msp = self.talk.ticket, self.by.tenant.short_name
        return render(
            'client/ticket_head.html', here=self.here, ticket=ticket, turn=turn_mark(ticket.status, 'client', msp),
            who_sees=who_sees_line(self.talk), private=ticket.visibility == 'private',
        )  # fmt: skip

    def _said(self) -> Any:
        return render('shared/talk.html', parts=timeline(self.talk, self.here.visit), earlier=self.talk.earlier, note_words='')

    def _composer(self) -> Any:
        ticket = self.talk.ticket
        hearing = [first_name(self.talk.name(ticket.assignee_id))] if ticket.assignee_id else [self.by.tenant.short_name]
        hearing += [first_name(self.talk.name(p)) for p in (ticket.requester_id, *self.talk.participants) if p != self.by.user_id]
        return render(
            'client/composer.html', ticket=ticket, text=self.text, error=self.errors.get('text') or self.errors.get('files', ''), hearing=', '.join(hearing),
            helper=first_name(self.talk.name(ticket.assignee_id)) if ticket.assignee_id else self.by.tenant.short_name,
            may_close=self.by.may(Permission.TICKETS_CLOSE), draft=f'reply:{ticket.id}:{self.by.user_id}',
            is_over=ticket.status in (Status.SOLVED, Status.CLOSED), is_closed=ticket.status is Status.CLOSED,
        )  # fmt: skip

    def _aside(self) -> Any:
        ticket = self.talk.ticket
        there = {ticket.requester_id, *self.talk.participants}
        return render(
            'client/ticket_aside.html', company=self.talk.company.name, msp=self.by.tenant.short_name,
            acts={Turn.CLIENT: 'client', Turn.NEW: 'msp', Turn.MSP: 'msp'}.get(ticket.turn, ''), mine=ticket.turn is Turn.CLIENT,
            turn_words=self._turn_words(), facts=[*facts_of(self.talk), Fact(_('Priority'), priority_words(ticket.priority))],
            people=people_of(self.talk), seeing=[user.name for user in self.seeing], private=ticket.visibility == 'private',
            could_add=[Option(str(p.id), p.name) for p in self.colleagues if p.id not in there], error=self.errors.get('copy', ''),
            files=[shown(f, self.here.root) for f in self.talk.files], zip_href=self.here.url(f'/tickets/{ticket.label}/files.zip'),
        )  # fmt: skip

    def _turn_words(self) -> str:
        ticket, msp = self.talk.ticket, self.by.tenant.short_name
        helper = first_name(self.talk.name(ticket.assignee_id)) if ticket.assignee_id else msp
        return {
            Turn.CLIENT: _('{name} needs an answer from you.', name=helper),
            Turn.NEW: _('Nobody has looked at it yet; {msp} will.', msp=msp),
            Turn.MSP: _('{name} is on it.', name=helper),
            Turn.AWAY: _('{msp} waits for a supplier.', msp=msp),
            Turn.DONE: _('Solved. If it is not, just reply.'),
            Turn.CLOSED: _('This ticket is closed.'),
        }[ticket.turn]

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        self.errors, self.text = {}, act.text('body') if act.name == 'reply' else ''
        try:
            if act.name == 'reply':
                await self._reply(chosen_files(act))
            elif act.name == 'close':
                await self._change(close, _('The ticket is closed.'))
            elif act.name == 'reopen':
                await self._change(reopen, _('The ticket is open again.'))
            elif act.name == 'add-people':
                await self._add_people(act.all('copy'))
        except Wrong as wrong:
            self.errors = wrong.fields
            self._show()
        except AlreadyClosed:
            await self._again()
            self.here.say(_('It is closed already.'))
        except ClosedForGood:
            self.here.say(
                _('It was closed too long ago to be reopened. A reply opens a new ticket that goes on with it.'), bad=True
            )

    async def _reply(self, files: list[UUID]) -> None:
        async with self.here.visit.work() as db:
            ticket = await ticket_by_number(db, self.number, lock=True)
            where = await reply(db, self.by, ticket, self.text, files=files)
            label, moved = where.label, where.id != ticket.id
        self.text = ''
        self.composer.forget_draft(f'reply:{self.talk.ticket.id}:{self.by.user_id}')
        if moved:
            self.here.say(_('The old ticket is closed for good; {ticket} goes on with it.', ticket=label))
            return self.here.go(self.here.url(f'/tickets/{label}'))
        await self._again()

    async def _change(self, verb: Any, words: str) -> None:
        async with self.here.visit.work() as db:
            await verb(db, self.by, await ticket_by_number(db, self.number, lock=True))
        await self._again()
        self.here.say(words)

    async def _add_people(self, chosen: list[str]) -> None:
        try:
            people = [UUID(word) for word in chosen]
        except ValueError:
            people = []
        async with self.here.visit.work() as db:
            await add_participants(db, self.by, await ticket_by_number(db, self.number), people)
        await self._again()


async def ticket(here: Here) -> None:
    await TicketPage(here).build()


SCREENS = (Screen('/tickets/{label}', ticket, Permission.TICKETS_SEE, 'tickets'),)
