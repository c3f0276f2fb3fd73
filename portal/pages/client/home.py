"""The client's home: one sentence, and the columns that prove it."""

from markupsafe import Markup

from portal import i18n
from portal.components.island import Island
from portal.components.render import macro, render
from portal.components.values import Answer, Row
from portal.domain.access import Permission
from portal.domain.reviews import standing
from portal.domain.tickets import Counts, Listing, Priority, Where, counts, listing
from portal.domain.tickets.lists import COUNT_MOST
from portal.domain.tickets.words import priority_words
from portal.i18n import _, _m, _mn, _n, now, spelled
from portal.markdown import to_text
from portal.pages.screens import Here, Screen
from portal.pages.shared.tickets import first_name, turn_mark

SHOWN = 4


class Home:
    def __init__(self, here: Here) -> None:
        self.here = here

    async def build(self) -> None:
        self.here.title(_('Home'))
        self.island: Island = self.here.island(await self._html())
        company = self.here.visit.by.company
        self.here.wakes(self._again, f'tickets:{company.id}' if company else '')

    async def _again(self) -> None:
        self.island.set(await self._html())

    async def _html(self) -> Markup:
        me = self.here.visit.by
        async with self.here.visit.work() as db:
            numbers = await counts(db, me.user_id, staff=False)
            waiting = await listing(db, Where(group='mine'), most=SHOWN)
            others = await listing(db, Where(group='open'), most=SHOWN * 2)
            urgent = await listing(db, Where(group='open', priority=Priority.URGENT), most=SHOWN)
            lately = await listing(db, Where(group='all'), most=6)
            asked = (
                (await standing(db, me.company.id)).open
                if me.company and me.may(Permission.PEOPLE_MANAGE) and not me.viewer
                else None
            )
        answers = [self._wrong(urgent), self._waits(numbers, waiting, others)]
        if me.may(Permission.MONEY_SEE):
            answers.append(self._owe())
        return render(
            'client/home.html', day=i18n.long_day(now()), statement=self._statement(numbers, urgent), answers=answers,
            lately=self._lately(lately), asked_until=i18n.day(asked.due_at) if asked else '', review_href=self.here.url('/settings/people/review'), all_href=self.here.url('/tickets', view='open'), msp=me.tenant.short_name,
        )  # fmt: skip

    def _statement(self, numbers: Counts, urgent: Listing) -> Markup:
        url = self.here.url
        first = _m('Nothing urgent is open.')
        if n := len(urgent.rows):
            first = _mn('<a href="{href}">{count} urgent ticket</a> is open.', '<a href="{href}">{count} urgent tickets</a> are open.', n,
                        count=spelled(n), href=url('/tickets', priority='urgent'))  # fmt: skip
        if n := numbers.mine:
            second = _mn('<a href="{href}">{count} ticket</a> waits for you.', '<a href="{href}">{count} tickets</a> wait for you.', n,
                         count=spelled(n), href=url('/tickets', view='mine'))  # fmt: skip
        elif n := numbers.open:
            second = _mn('Nobody waits for you; <a href="{href}">{n} ticket</a> is being taken care of.',
                         'Nobody waits for you; <a href="{href}">{n} tickets</a> are being taken care of.', n,
                         href=url('/tickets'))  # fmt: skip
        else:
            second = _m('No ticket is open.')
        return first + ' ' + second

    def _wrong(self, urgent: Listing) -> Answer:
        rows = tuple(
            Row(r.subject, end=macro('state')(priority_words(r.priority), kind='bad', icon_name='chevrons-up'),
                href=self.here.url(f'/tickets/T-{r.number}')) for r in urgent.rows
        )  # fmt: skip
        if not rows:
            rows = (Row(_('Urgent tickets'), end=macro('state')(_('None open'), kind='ok')),)
        call = self.here.visit.by.tenant
        foot = ''
        if call.phone and call.phone_hours:
            foot = _('Something is down? Call {phone}, {hours}.', phone=call.phone, hours=call.phone_hours)
        elif call.phone:
            foot = _('Something is down? Call {phone}.', phone=call.phone)
        return Answer(_('Is anything wrong?'), rows, foot=foot)

    def _waits(self, numbers: Counts, waiting: Listing, others: Listing) -> Answer:
        rows = [*waiting.rows, *(r for r in others.rows if r.id not in {w.id for w in waiting.rows})][:SHOWN]
        me = self.here.visit.by
        shown = tuple(
            Row(r.subject, end=turn_mark(r.status, 'client', me.tenant.short_name), href=self.here.url(f'/tickets/T-{r.number}'))
            for r in rows
        )
        if not shown:
            shown = (Row(_('Open tickets'), end=macro('state')(_('None'), kind='ok')),)
        more = numbers.open - len(rows)
        link = _('All open') if numbers.open >= COUNT_MOST else _n('The {n} open', 'All {n} open', numbers.open)
        return Answer(
            _('Does anyone wait?'), shown, link=link, href=self.here.url('/tickets') if numbers.open else '',
            foot=_n('{n} more is open', '{n} more are open', more) if more > 0 else '',
        )  # fmt: skip

    def _owe(self) -> Answer:
        return Answer(
            _('What do you owe?'), (Row(_('Invoices in the portal'), end=macro('state')(_('None yet'), icon_name='circle-dashed')),),
            foot=_('Invoices reach you as before; {msp} has not put any here yet.', msp=self.here.visit.by.tenant.short_name),
        )  # fmt: skip

    def _lately(self, lately: Listing) -> list[Row]:
        return [
            Row(
                _m('<b>{name}</b> in <a class="plain" href="{href}">T-{number}</a>: {words}', name=first_name(r.last_by or r.requester),
                   href=self.here.url(f'/tickets/T-{r.number}'), number=r.number, words=to_text(r.last_word or r.subject, 110)),
                lead=i18n.when(r.changed_at),
            )
            for r in lately.rows
        ]  # fmt: skip


async def home(here: Here) -> None:
    await Home(here).build()


SCREENS = (Screen('', home, Permission.TICKETS_SEE, 'home'),)
