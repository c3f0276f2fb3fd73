"""One ticket, as the staff work on it."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.frame import Primary
from portal.components.island import Act, Island
from portal.components.render import render
from portal.components.values import Action, MenuItem, Option
from portal.domain.access import Permission
from portal.domain.audit import record
from portal.domain.canned import canned_replies, canned_reply, filled
from portal.domain.people import User, staff
from portal.domain.tickets import (
    Status,
    Ticket,
    Turn,
    Visibility,
    assign,
    change_category,
    change_due,
    change_priority,
    change_requester,
    change_status,
    note,
    reopen,
    reply,
    take,
)
from portal.domain.tickets.model import Priority
from portal.domain.tickets.waiting import due_of, parse_due, today
from portal.domain.tickets.words import priority_words, status_words
from portal.domain.tickets.working import AlreadyClosed, ClosedForGood
from portal.i18n import LANGUAGES, _, day
from portal.pages.screens import Here, Screen
from portal.pages.shared.files import chosen_files
from portal.pages.shared.rooms import Around
from portal.pages.shared.ticket_page import TicketPage
from portal.pages.shared.tickets import due_mark, facts_of, first_name, priority_options, turn_mark
from portal.writing import writers

OVER = (Status.SOLVED, Status.CLOSED)


class StaffTicket(TicketPage):
    draft = 'answer'
    is_recorded = False  # that somebody of the staff reads what is private

    @property
    def works(self) -> bool:
        return self.here.visit.may(Permission.TICKETS_WORK)

    @property
    def note_words(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        return _('{company} never sees this', company=self.talk.company.name)

    async def build(self) -> None:
        await super().build()
        ticket = self.talk.ticket
        self.here.set_primary(self._primary(), self._act)
        self.here.wakes(self._again, f'canned:{self.by.tenant.id}')
        self.here.wakes(self._writers_changed, f'writing:{ticket.id}')

    def _beside_composer(self) -> None:
        self.writers: Island = self.here.island(self._writers(), classes='writers')

    @property
    def topics(self) -> tuple[str, ...]:
        return (f'note:{self.talk.ticket.id}',)

    @property
    def staff(self) -> list[User]:
        return self.around.staff

    async def _around(self, db: AsyncSession, ticket: Ticket) -> Around:
        return replace(await super()._around(db, ticket), staff=await staff(db), due=await due_of(db, ticket.id))

    async def _read_in(self, db: AsyncSession) -> None:
        await super()._read_in(db)
        self.canned = await canned_replies(db, self.by) if self.here.visit.may(Permission.DESK_OWN) else []
        if self._is_to_be_recorded:
            await self._record(db)

    async def _woken(self) -> None:
        await super()._woken()
        if self._is_to_be_recorded:  # it has become private while it was open, and a colleague's page has read it
            async with self.here.visit.work() as db:
                await self._record(db)

    @property
    def _is_to_be_recorded(self) -> bool:
        return self.talk.ticket.visibility is Visibility.PRIVATE and not self.is_recorded

    async def _record(self, db: AsyncSession) -> None:
        ticket = self.talk.ticket
        await record(db, 'ticket.private_read', company_id=ticket.company_id, subject=ticket.id)
        self.is_recorded = True

    def _show_rest(self) -> None:
        self.here.set_primary(self._primary(), self._act)
        super()._show_rest()

    async def _writers_changed(self) -> None:
        self.writers.set(self._writers())

    # ---------- what is shown ----------

    def _writers(self) -> Any:
        """Who else is writing: colleagues, and people of the company."""
        names = {user.id: user.name for user in (*self.colleagues, *self.staff)}
        lines = [
            _('{name} is writing a note', name=names[who]) if what == 'note' else _('{name} is writing a reply', name=names[who])
            for who, what in writers(self.talk.ticket.id).items() if who in names and who != self.by.user_id
        ]  # fmt: skip
        return render('staff/writers.html', lines=lines)

    def _head(self) -> Any:
        ticket = self.talk.ticket
        return render(
            'staff/ticket_head.html', here=self.here, ticket=ticket, company=self.talk.company, private=ticket.visibility == 'private',
            turn=turn_mark(ticket.status, 'staff', self.by.tenant.short_name), actions=self._actions(),
        )  # fmt: skip

    def _actions(self) -> list[Action]:
        ticket = self.talk.ticket
        over = ticket.status in OVER
        actions: list[Action] = []
        if self.works and ticket.assignee_id != self.by.user_id and not over:
            actions.append(Action(_('Take it'), act='take', attrs={'data-v-shown': str(ticket.assignee_id or '')}))
        if over and self.here.visit.may(Permission.TICKETS_CLOSE):
            actions.append(Action(_('Reopen'), act='reopen'))
        return actions

    def _primary(self) -> Primary | None:
        status = self.talk.ticket.status
        if self.works and status not in OVER:
            return Primary(_('Mark as solved'), act='solve', attrs={'data-v-shown': status.value})
        return None

    def _composer(self) -> Any:
        ticket = self.talk.ticket
        hearing = [first_name(self.talk.name(p)) for p in (ticket.requester_id, *self.talk.participants)]
        then = [Option(s.value, w) for s, w in (
            (Status.WAITING_CLIENT, _('then it is the client’s turn')), (Status.OPEN, _('then it stays with us')),
            (Status.WAITING_SUPPLIER, _('then a supplier’s turn')), (Status.SOLVED, _('and it is solved')),
        )]  # fmt: skip
        return render(
            'staff/composer.html', **self._about_composer(), kind=self.kind, then=then, hearing=', '.join(hearing),
            company=self.talk.company.name, msp=self.by.tenant.short_name, works=self.works,
            may_reply=self.here.visit.may(Permission.TICKETS_REPLY), canned=self._canned_lines(),
        )  # fmt: skip

    def _aside(self) -> Any:
        ticket = self.talk.ticket
        return render(
            'staff/ticket_aside.html', here=self.here, **self._about_people(),
            acts={Turn.CLIENT: 'client', Turn.NEW: 'msp', Turn.MSP: 'msp'}.get(ticket.turn, ''),
            mine=ticket.turn in (Turn.NEW, Turn.MSP), turn_words=self._turn_words(), works=self.works, facts=facts_of(self.talk),
            staff=[Option(str(user.id), user.name) for user in self.staff], priorities=priority_options(),
            statuses=[Option(s.value, status_words(s, 'staff', self.by.tenant.short_name)) for s in Status],
            categories=self._categories(), category=self.talk.category(ticket.category_id), assignee=self.talk.name(ticket.assignee_id),
            due=self.around.due.isoformat() if self.around.due else '', due_mark=self._due_mark(),
            could_ask=[Option(str(p.id), p.name) for p in self.colleagues], requester=self.talk.name(ticket.requester_id),
        )  # fmt: skip

    def _due_mark(self) -> Any:
        return (
            due_mark(self.around.due, today(self.by.tenant), is_over=self.talk.ticket.status in OVER) if self.around.due else ''
        )

    def _canned_lines(self) -> list[MenuItem]:
        lines = [
            MenuItem(reply.title, act='canned', hint=LANGUAGES.get(reply.language or '', ''),
                     attrs={'data-key': str(reply.id), 'data-words': f'{reply.title} {reply.body[:200]}'})
            for reply in self.canned
        ]  # fmt: skip
        return [*lines, MenuItem(_('Look after the replies'), href=self.here.url('/replies'), icon='pencil', divided=bool(lines))]

    def _categories(self) -> list[Option]:
        """What can be chosen, and what it is."""
        mine = self.talk.ticket.category_id
        return [Option(str(c.id), c.name) for c in self.talk.categories if c.archived_at is None or c.id == mine]

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

    async def _own_act(self, act: Act) -> None:
        try:
            match act.name:
                case 'say':
                    await self._say(act)
                case 'take':
                    me = str(self.by.user_id)
                    done = await self._set(act, 'assignee', lambda db, t, _me, shown: take(db, self.by, t, shown=shown), value=me)
                    self._point_to_it(done)
                case 'solve':
                    solved = Status.SOLVED.value
                    self._point_to_it(await self._set(act, 'status', self._status, value=solved))
                case 'reopen':
                    await self._change(lambda db, t: reopen(db, self.by, t))
                case 'assign':
                    await self._set(act, 'assignee', lambda db, t, to, shown: assign(db, self.by, t, _person(to), shown=shown))
                case 'priority':
                    await self._set(act, 'priority', lambda db, t, to, shown: change_priority(db, self.by, t, to, shown=shown))
                case 'status':
                    await self._set(act, 'status', self._status)
                case 'category':
                    await self._set(
                        act, 'category', lambda db, t, to, shown: change_category(db, self.by, t, _person(to), shown=shown)
                    )
                case 'due':
                    await self._set(act, 'due', lambda db, t, to, shown: change_due(db, self.by, t, parse_due(to), shown=shown))
                case 'canned' if act.key:
                    await self._insert_canned(act.key)
                case 'requester':
                    keep = act.text('keep')
                    await self._set(act, 'requester', lambda db, t, to, shown: change_requester(
                        db, self.by, t, _person(to) or UUID(int=0), keep=bool(keep), shown=shown), more={'keep': keep})  # fmt: skip
                case _:
                    pass
        except (AlreadyClosed, ClosedForGood):
            await self._again()
            self.here.say(
                _('It was closed too long ago to be reopened. A reply opens a new ticket that goes on with it.'), bad=True
            )

    async def _status(self, db: AsyncSession, ticket: Ticket, status: str, shown: str | None) -> None:
        await change_status(db, self.by, ticket, status, shown=shown)

    def _point_to_it(self, done: bool) -> None:
        """What was pressed stands far from the field that says why nothing happened."""
        if not done:
            self.here.say(_('Somebody else was faster: look at the marked field under “Work”.'), bad=True)

    def _real(self, field: str) -> str:
        ticket = self.talk.ticket
        own = {
            'assignee': str(ticket.assignee_id or ''), 'status': ticket.status.value, 'priority': ticket.priority.value,
            'category': str(ticket.category_id or ''), 'due': self.around.due.isoformat() if self.around.due else '', 'requester': str(ticket.requester_id),
        }  # fmt: skip
        return own[field] if field in own else super()._real(field)

    def _value_words(self, field: str, value: str) -> str:
        match field:
            case 'assignee':
                return next((user.name for user in self.staff if str(user.id) == value), _('Nobody'))
            case 'status':
                return status_words(Status(value), 'staff', self.by.tenant.short_name)
            case 'priority':
                return priority_words(Priority(value))
            case 'category':
                return self.talk.category(_person(value)) or _('None')
            case 'due':
                return day(parse_due(value) or today(self.by.tenant)) if value else _('No day')
            case 'requester':
                return next((user.name for user in self.colleagues if str(user.id) == value), '')
            case _:
                return super()._value_words(field, value)

    async def _insert_canned(self, key: str) -> None:
        async with self.here.visit.work() as db:
            chosen = await canned_reply(db, self.by, _person(key) or UUID(int=0))
        talk = self.talk
        asked = talk.name(talk.ticket.requester_id)
        self.composer.insert(filled(chosen.body, {
            'requester': asked, 'first_name': first_name(asked), 'company': talk.company.name, 'ticket': talk.ticket.label,
            'subject': talk.ticket.subject, 'me': self.by.name, 'msp': self.by.tenant.name,
        }))  # fmt: skip

    async def _say(self, act: Act) -> None:
        self.text, self.kind = act.text('body'), 'note' if act.text('do') == 'note' or act.text('kind') == 'note' else 'reply'
        files = chosen_files(act)

        async def say(db: AsyncSession, ticket: Ticket, seen: UUID | None) -> Ticket:
            if self.kind == 'reply':
                return await reply(
                    db, self.by, ticket, self.text, then=act.text('then') or None, sending=self.sending, seen=seen, files=files
                )
            await note(db, self.by, ticket, self.text, sending=self.sending, files=files)
            return ticket

        await self._send(act, say)


def _person(word: str) -> UUID | None:
    try:
        return UUID(word)
    except ValueError:
        return None


async def ticket(here: Here) -> None:
    await StaffTicket(here).build()


SCREENS = (Screen('/tickets/{label}', ticket, Permission.TICKETS_SEE, 'queue'),)
