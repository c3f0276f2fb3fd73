"""One ticket on an open page: what both sides do on it. Each side adds what is its own."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Mapping
from contextlib import suppress
from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act
from portal.components.render import macro, render
from portal.components.values import MenuItem, Option, Tab, Text
from portal.db.engine import SignedOut
from portal.domain import notifications
from portal.domain.access import Permission
from portal.domain.base import NotFound, Wrong, uuid7
from portal.domain.people import User, members
from portal.domain.tickets import (
    Answered,
    Comment,
    Conversation,
    Overtaken,
    Ticket,
    Visibility,
    add_participants,
    change_subject,
    change_visibility,
    conversation,
    leave,
    may_correct,
    may_take_out,
    remove_participant,
    tell_writing,
    ticket_by_number,
)
from portal.domain.tickets.conversation import MOST, Seer, lookers, sight
from portal.i18n import _, _m, when
from portal.live import together, turn
from portal.markdown import prepared
from portal.pages.screens import Here
from portal.pages.shared.files import shown
from portal.pages.shared.rooms import Around, Seat, Spoken, sessions
from portal.pages.shared.tickets import (
    Happened,
    comment_of,
    number_of,
    people_of,
    timeline,
    visibility_words,
    why_words,
)
from portal.writing import AGAIN

Verb = Callable[[AsyncSession, Ticket], Awaitable[Any]]
BREATH = 0.05  # seconds in which what was said is sent to all pages, before what stands around it is read
SOON = 0.5  # seconds in which one's own words come back as a live update, at the latest
FEW = 6  # so many lines of history are no reason to hide them


class TicketPage:
    note_words = ''  # beside an internal note
    draft = 'reply'  # what is being written, in the name under which the tab keeps it

    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.number = number_of(here.parts['label'])
        self.errors: dict[str, Text] = {}
        self.most, self.only_said = MOST, False
        self.text, self.kind = '', 'reply'
        self.sending = uuid7()  # of the reply that is being composed
        self.began: UUID | None = None  # the last comment there was when its writer began
        self.arrived: list[Comment] = []  # what others have said since, when it was sent
        self.told: tuple[str, float] = ('', 0.0)  # that one writes: what, and when
        self.subject_base = ''  # what the ticket was called when somebody began to type another subject here
        self.news = asyncio.Event()  # what was said has been read, because something changed
        self.done: Counter[str] = Counter()  # how often each thing was done here: what unfolded for it folds again

    # ---------- each side's own ----------

    def _head(self) -> Any: ...
    def _composer(self) -> Any: ...
    def _aside(self) -> Any: ...

    async def _own_act(self, act: Act) -> None: ...

    # ---------- building and reading ----------

    async def build(self) -> None:
        await self._read()
        self._title()
        self.head = self.here.island(self._head(), self._act)
        with ui.element('div').classes('split'):
            with ui.element('div'):
                self.said = self.here.island(self.spoken.said(self), self._act)
                self._beside_composer()
                self.composer = self.here.island(self._composer(), self._act)
            self.aside = self.here.island(self._aside(), self._act, tag='aside', classes='aside')
        ticket, tenant = self.talk.ticket, self.by.tenant.id
        self.here.noted['ticket'] = ticket.id
        if not self.by.viewer:
            self.here.until_closed(Seat(self._room, self.here.visit.token))
        topics = (f'ticket:{ticket.id}', f'categories:{tenant}', f'companies:{tenant}', *self.topics)
        self.here.wakes(self._woken, *topics, shares=True)

    @property
    def topics(self) -> tuple[str, ...]:
        return ()

    def _beside_composer(self) -> None:
        """Stands between what was said and what one writes."""

    def _title(self) -> None:
        self.here.title(f'{self.talk.ticket.label} {self.talk.ticket.subject}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            await self._read_in(db)
        await prepared(comment.body for comment in self.talk.comments)

    async def _read_in(self, db: AsyncSession) -> None:
        self.spoken = Spoken(await conversation(db, self.number, self.most))
        self.around = await self._around(db, self.talk.ticket)
        if not self.by.viewer:
            await notifications.mark_seen(db, self.by, self.talk.ticket.id)

    async def _around(self, db: AsyncSession, ticket: Ticket) -> Around:
        return Around(await sight(db, ticket), await members(db, ticket.company_id))

    @property
    def talk(self) -> Conversation:
        return self.spoken.talk

    @property
    def sight(self) -> dict[Visibility, list[Seer]]:
        return self.around.sight

    @property
    def colleagues(self) -> list[User]:
        return self.around.colleagues

    @property
    def _room(self) -> Hashable:
        """Pages in the same room show the same."""
        company = self.by.company.id if self.by.company else None
        return self.by.tenant.id, company, self.number

    async def _woken(self) -> None:
        """Something has changed: read once for all pages that show this, and shown to those who may see it still. First what was
        said, to everybody, then the rest, if it is any different."""
        if self.by.viewer:
            return await self._again()
        about, subject = (self.spoken.about, self.around.about), self.talk.ticket.subject
        try:
            spoken, seers = await together((self._room, self.most), self._read_for_all)
            if self.here.visit.token not in seers:
                return await self._again()
            self.spoken = spoken
            self.news.set()
            if added := self._show_said(spoken.said(self)):
                await asyncio.sleep(BREATH)
            around, seers = await together((self._room, 'around'), self._read_around)
        except (NotFound, SignedOut):  # of whoever read first
            return await self._again()
        if self.here.visit.token not in seers:
            return await self._again()
        self.around = around
        if added and (self.spoken.about, around.about) == about:
            return None
        async with turn(patient=True):
            if subject != self.talk.ticket.subject:
                self._title()
            self._show_rest()
        return None

    async def _read_for_all(self) -> tuple[Spoken, set[bytes]]:
        async with self.here.visit.work() as db:
            talk = await conversation(db, self.number, self.most)
            seers = await lookers(db, talk.ticket.id, sessions(self._room))
        await prepared(comment.body for comment in talk.comments)
        return Spoken(talk), seers

    async def _read_around(self) -> tuple[Around, set[bytes]]:
        async with self.here.visit.work() as db:
            ticket = await ticket_by_number(db, self.number)
            return await self._around(db, ticket), await lookers(db, ticket.id, sessions(self._room))

    @property
    def seeing(self) -> list[Seer]:
        return self.sight[self.talk.ticket.visibility]

    async def _again(self) -> None:
        """Reads anew; whoever can see the ticket no more is led away."""
        subject = self.talk.ticket.subject
        try:
            await self._read()
        except NotFound:
            self.here.say(_('You cannot see {ticket} any more.', ticket=self.talk.ticket.label), bad=True)
            return self.here.go(self.here.url('/tickets'))
        if subject != self.talk.ticket.subject:
            self._title()
        return self._show()

    def _show(self) -> None:
        self._show_said(self.spoken.said(self))
        self._show_rest()

    def _show_said(self, html: Markup) -> bool:
        """Mostly something was added at the end: then that alone is sent, and what the composer says was seen. Whether it was so."""
        before = self.said.content
        base, end = before[: before.rfind('</div>')], html.rfind('</div>')
        if len(html) > len(before) and html.startswith(base) and html[end:] == before[len(base) :]:
            self.said.add(html, html[len(base) : end], {'seen': self._seen})
            return True
        self.said.set(html)
        return False

    @property
    def _seen(self) -> str:
        """The last comment known to whoever writes here: the last when they began."""
        return str(self.began or self.talk.newest or '')

    def _show_rest(self) -> None:
        self.head.set(self._head())
        self.composer.set(self._composer())
        self.aside.set(self._aside())

    # ---------- what is shown ----------

    def render_said(self) -> Markup:
        parts = timeline(self.talk, self.here.visit)
        history = sum(isinstance(part, Happened) for part in parts)
        if self.only_said:
            parts = [part for part in parts if not isinstance(part, Happened)]
        views = [Tab(_('Everything'), 'everything', current=not self.only_said),
                 Tab(_('Only what was said'), 'said', current=self.only_said)]  # fmt: skip
        return render(
            'shared/talk.html', parts=parts, earlier=self.talk.earlier, note_words=self.note_words, views=views if history > FEW else [],
        )  # fmt: skip

    def _about_composer(self) -> dict[str, Any]:
        """What the composer of either side needs."""
        ticket = self.talk.ticket
        files = {c.id: [shown(f, self.here.root) for f in self.talk.files if f.comment_id == c.id] for c in self.arrived}
        arrived = [comment_of(comment, self.talk, self.here.visit, files[comment.id]) for comment in self.arrived]
        answered = ''
        if arrived:
            answered = _(
                '{name} answered {when}. Does what you wrote still fit?', name=arrived[-1].name, when=when(arrived[-1].at)
            )
        return {
            'ticket': ticket, 'text': self.text, 'error': self.errors.get('text') or self.errors.get('files', ''), 'draft': self._draft(),
            'seen': self._seen, 'sending': str(self.sending),
            'arrived': arrived, 'answered': answered, 'note_words': self.note_words,
        }  # fmt: skip

    def _about_people(self) -> dict[str, Any]:
        """The parts of the column beside about people: who is in it, who sees it, and what may be changed."""
        ticket, private = self.talk.ticket, self.talk.ticket.visibility is Visibility.PRIVATE
        there = {ticket.requester_id, *self.talk.participants}
        other = Visibility.COMPANY if private else Visibility.PRIVATE
        now, then = {u.id for u in self.seeing}, {u.id for u in self.sight[other]}
        return {
            'people': people_of(self.talk, removable=self._removable()), 'seeing': [user.name for user in self.seeing], 'private': private,
            'could_add': [Option(str(p.id), p.name) for p in self.colleagues if p.id not in there and not self.by.viewer],
            'may_correct': may_correct(self.by, ticket), 'other': other.value,
            'gaining': [u.name for u in self.sight[other] if u.id not in now],
            'losing': [u.name for u in self.seeing if u.id not in then],
            'company': self.talk.company, 'msp': self.by.tenant.short_name, 'errors': self.errors, 'ticket': ticket,
            'files': [shown(file, self.here.root) for file in self.talk.files], 'zip_href': self.here.url(f'/tickets/{ticket.label}/files.zip'),
            'whys': self._whys(), 'shareable': self._shareable(), 'by_staff': self.by.is_staff, 'done': self.done, 'subject': self.subject_base or ticket.subject,
        }  # fmt: skip

    def _whys(self) -> list[tuple[Seer, str, bool]]:
        removable = self._removable()
        return [
            (seer, why_words(seer, self.talk.company.name), seer.why == 'copy' and seer.id in removable) for seer in self.seeing
        ]

    def _shareable(self) -> list[MenuItem]:
        """Colleagues who do not see it yet."""
        if not self.here.visit.may(Permission.TICKETS_REPLY):
            return []
        seeing = {seer.id for seer in self.seeing}
        return [
            MenuItem(person.name, act='share', icon='user-round', attrs={'data-key': str(person.id), 'data-words': person.name})
            for person in self.colleagues if person.id not in seeing
        ]  # fmt: skip

    def _removable(self) -> set[UUID]:
        if not may_take_out(self.by, self.talk.ticket):
            return set()
        return {person for person in self.talk.participants if person != self.by.user_id}

    def _draft(self) -> str:
        return f'{self.draft}:{self.talk.ticket.id}:{self.by.user_id}'

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        if act.name == 'writing':
            return await self._writing(act)
        if act.name == 'subject-typed':  # from now on a change by others does not replace what is being typed
            self.subject_base = self.subject_base or act.text('shown')
            return None
        self.errors = {}
        try:
            match act.name:
                case 'earlier':
                    self.most += MOST
                    await self._again()
                case 'show':
                    self.only_said = act.text('to') == 'said'
                    self.said.set(self.spoken.said(self))
                case 'keep-editing':
                    self.arrived = []
                    self.composer.set(self._composer())
                case 'add-people':
                    people = _ids(act.all('copy'))
                    await self._change(lambda db, t: add_participants(db, self.by, t, people), done='copy')
                case 'share':
                    await self._share(act)
                case 'take-out':
                    await self._take_out(act)
                case 'leave':
                    await self._leave()
                case 'subject':
                    await self._set(
                        act, 'subject', lambda db, t, value, shown: change_subject(db, self.by, t, value, shown=shown)
                    )
                case 'visibility':
                    await self._set(
                        act, 'visibility', lambda db, t, value, shown: change_visibility(db, self.by, t, value, shown=shown)
                    )
                case _:
                    await self._own_act(act)
        except Wrong as wrong:
            self.errors = {**wrong.fields}
            self._show()
        except NotFound:
            await self._again()
        return None

    async def _share(self, act: Act) -> None:
        people = _ids([act.key or ''])
        name = next((person.name for person in self.colleagues if person.id in people), '')
        await self._change(
            lambda db, t: add_participants(db, self.by, t, people), _('{name} can read it now, and gets a letter.', name=name)
        )

    async def _change(self, verb: Verb, words: str = '', *, done: str = '') -> None:
        async with self.here.visit.work() as db:
            await verb(db, await ticket_by_number(db, self.number, lock=True))
        self.done[done] += 1
        await self._again()
        if words:
            self.here.say(words)

    async def _set(
        self, act: Act, field: str, verb: Callable[[AsyncSession, Ticket, str, str | None], Awaitable[Any]], *, value: str | None = None,
        more: Mapping[str, str] = {},
    ) -> bool:  # fmt: skip
        """A change of one field against the value that its page showed. If that is no more, nothing is overwritten: it says who
        set what, and offers to do it all the same, with `more` values of what was sent. False then."""
        wanted = act.text(field) if value is None else value
        shown = act.text('shown') if 'shown' in act else None
        try:
            await self._change(lambda db, t: verb(db, t, wanted, shown), done=field)
        except Overtaken as overtaken:
            await self._read()
            self.errors = {field: self._anyway(act.name, field, wanted, overtaken, more)}
            self._show()
            return False
        return True

    def _anyway(self, act: str, field: str, wanted: str, overtaken: Overtaken, more: Mapping[str, str]) -> Text:
        real = self._real(field)
        again = macro('text_button')(
            _('Set it to “{value}” all the same', value=self._value_words(field, wanted)), act=act, values={field: wanted, 'shown': real, **more}
        )  # fmt: skip
        return _m(
            '{name} set this to “{value}” {when}. {again}', name=self._name(overtaken.actor_id), value=self._value_words(field, real),
            when=when(overtaken.at) if overtaken.at else '', again=again,
        )  # fmt: skip

    def _name(self, user_id: UUID | None) -> str:
        return self.talk.name(user_id) or _('Somebody')

    def _real(self, field: str) -> str:
        ticket = self.talk.ticket
        return {'subject': ticket.subject, 'visibility': ticket.visibility.value}[field]

    def _value_words(self, field: str, value: str) -> str:
        if field == 'visibility':
            return visibility_words(value, self.talk.company.name)
        return value

    async def _subject(self, db: AsyncSession, ticket: Ticket, subject: str, shown: str | None) -> None:
        await change_subject(db, self.by, ticket, subject, shown=shown)
        self.subject_base = ''

    async def _take_out(self, act: Act) -> None:
        [person] = _ids([act.key or '']) or [UUID(int=0)]
        name = self.talk.name(person)
        await self._change(lambda db, t: remove_participant(db, self.by, t, person))
        still = any(user.id == person for user in self.seeing)
        self.here.say(
            _('{name} is not in copy any more.', name=name) if still else _('{name} cannot see it any more.', name=name)
        )

    async def _leave(self) -> None:
        async with self.here.visit.work() as db:
            await leave(db, self.by, await ticket_by_number(db, self.number, lock=True))
        try:
            await self._read()
        except NotFound:
            self.here.say(_('You have left {ticket}.', ticket=self.talk.ticket.label))
            return self.here.go(self.here.url('/tickets'))
        self._show()
        return self.here.say(_('You are not in copy any more.'))

    # ---------- writing ----------

    async def _writing(self, act: Act) -> None:
        """Somebody has typed in the composer, or emptied it."""
        self._take_over(act)
        what = ('note' if act.text('kind') == 'note' else 'reply') if act.text('body') else ''
        self.began = (self.began or _id(act.text('seen')) or self.talk.newest) if what else None
        self.composer.set(self._composer())
        before, at = self.told
        if what == before and (not what or time.monotonic() - at < AGAIN):
            return
        self.told = (what, time.monotonic())
        async with self.here.visit.work() as db:
            await tell_writing(db, self.by, self.talk.ticket.id, what)

    def _take_over(self, act: Act) -> None:
        """A draft that outlived its page brings the name along under which it may have been sent already."""
        self.sending = _id(act.text('sending')) or self.sending

    async def _send(self, act: Act, verb: Callable[[AsyncSession, Ticket, UUID | None], Awaitable[Ticket]]) -> None:
        """Says what was composed. If others have said something since it was begun, asks once, and keeps the text."""
        self._take_over(act)
        seen = _id(act.text('seen'))
        try:
            async with self.here.visit.work() as db:
                ticket = await ticket_by_number(db, self.number, lock=True)
                where = await verb(db, ticket, seen)
                label, moved = where.label, where.id != ticket.id
                if self.told[0]:
                    await tell_writing(db, self.by, ticket.id, '')
        except Answered as answered:
            self.arrived, self.began = answered.comments, answered.comments[-1].id
            return await self._again()
        sent, self.sending, self.told = self.sending, uuid7(), ('', 0.0)
        self.text, self.kind, self.arrived, self.began = '', 'reply', [], None
        self.composer.forget_draft(self._draft())
        if moved:
            self.here.say(_('The old ticket is closed for good; {ticket} goes on with it.', ticket=label))
            return self.here.go(self.here.url(f'/tickets/{label}'))
        return self._show() if await self._comes_back(sent) else await self._again()

    async def _comes_back(self, sent: UUID) -> bool:
        """Whether what was sent under this name is shown soon: all pages that show the ticket are about to read it, and this one
        need not read for itself."""
        with suppress(TimeoutError):
            async with asyncio.timeout(SOON):
                while not any(comment.sending == sent for comment in self.talk.comments[-FEW:]):
                    self.news.clear()
                    await self.news.wait()
                return True
        return False


def _id(word: str) -> UUID | None:
    try:
        return UUID(word)
    except ValueError:
        return None


def _ids(words: list[str]) -> list[UUID]:
    """Those that are ids."""
    return [found for word in words if (found := _id(word))]
