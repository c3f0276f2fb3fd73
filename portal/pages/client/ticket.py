"""One ticket, as a client sees it."""

from typing import Any
from uuid import UUID

from markupsafe import Markup
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Fact
from portal.domain.access import Permission
from portal.domain.tickets import Status, Ticket, Turn, close, reopen, reply
from portal.domain.tickets.words import priority_words
from portal.domain.tickets.working import AlreadyClosed, ClosedForGood
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.shared.files import chosen_files
from portal.pages.shared.ticket_page import TicketPage
from portal.pages.shared.tickets import facts_of, first_name, turn_mark, who_sees_line


class ClientTicket(TicketPage):
    # ---------- what is shown ----------

    def _head(self) -> Any:
        ticket, msp = self.talk.ticket, self.by.tenant.short_name
        return render(
            'client/ticket_head.html', here=self.here, ticket=ticket, turn=turn_mark(ticket.status, 'client', msp),
            who_sees=who_sees_line(self.talk), private=ticket.visibility == 'private',
        )  # fmt: skip

    def _composer(self) -> Any:
        if self.by.viewer:
            return Markup()
        ticket = self.talk.ticket
        hearing = [first_name(self.talk.name(ticket.assignee_id))] if ticket.assignee_id else [self.by.tenant.short_name]
        hearing += [first_name(self.talk.name(p)) for p in (ticket.requester_id, *self.talk.participants) if p != self.by.user_id]
        return render(
            'client/composer.html', **self._about_composer(), hearing=', '.join(hearing),
            helper=first_name(self.talk.name(ticket.assignee_id)) if ticket.assignee_id else self.by.tenant.short_name,
            may_close=self.by.may(Permission.TICKETS_CLOSE), is_over=ticket.status in (Status.SOLVED, Status.CLOSED),
        )  # fmt: skip

    def _aside(self) -> Any:
        ticket = self.talk.ticket
        return render(
            'client/ticket_aside.html', **self._about_people(), acts={Turn.CLIENT: 'client', Turn.NEW: 'msp', Turn.MSP: 'msp'}.get(ticket.turn, ''),
            mine=ticket.turn is Turn.CLIENT, turn_words=self._turn_words(), facts=self._facts(),
            in_copy=self.by.user_id in self.talk.participants and not self.by.viewer,
            stays=any(u.id == self.by.user_id for u in self.seeing) and self.by.may(Permission.TICKETS_SEE_COMPANY)
            and ticket.visibility == 'company',
        )  # fmt: skip

    def _facts(self) -> list[Fact]:
        ticket = self.talk.ticket
        category = self.talk.category(ticket.category_id)
        about = [Fact(_('Category'), category)] if category else []
        return [*facts_of(self.talk), *about, Fact(_('Priority'), priority_words(ticket.priority))]

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

    async def _own_act(self, act: Act) -> None:
        try:
            if act.name == 'reply':
                await self._reply(act)
            elif act.name == 'close':
                await self._change(lambda db, t: close(db, self.by, t), _('The ticket is closed.'))
            elif act.name == 'reopen':
                await self._change(lambda db, t: reopen(db, self.by, t), _('The ticket is open again.'))
        except AlreadyClosed:
            await self._again()
            self.here.say(_('It is closed already.'))
        except ClosedForGood:
            self.here.say(
                _('It was closed too long ago to be reopened. A reply opens a new ticket that goes on with it.'), bad=True
            )

    async def _reply(self, act: Act) -> None:
        self.text, files = act.text('body'), chosen_files(act)

        async def say(db: AsyncSession, ticket: Ticket, seen: UUID | None) -> Ticket:
            return await reply(db, self.by, ticket, self.text, sending=self.sending, seen=seen, files=files)

        await self._send(act, say)


async def ticket(here: Here) -> None:
    await ClientTicket(here).build()


SCREENS = (Screen('/tickets/{label}', ticket, Permission.TICKETS_SEE, 'tickets'),)
