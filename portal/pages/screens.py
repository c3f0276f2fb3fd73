"""Moving between screens inside one page: each is guarded, and its troubles have a face.

A `Screen` states its address and the permission it needs; the tables of both sides feed navigation, routing and the walk of
the tests over everything. A screen's builder gets a `Here`: who looks, at what address, and what it may do with the page.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from nicegui import background_tasks, ui
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.requests import Request

from portal import i18n, metrics
from portal.components.frame import Primary
from portal.components.island import Act, Island
from portal.components.render import macro
from portal.components.stage import Stage
from portal.components.values import Action, Text
from portal.db.engine import ReadingOnly, SignedOut
from portal.domain.access import NotAllowed, OnlyLooking, Permission, ProofNeeded, need_fresh
from portal.domain.base import NotFound
from portal.guard import leave, over
from portal.i18n import _
from portal.live import Subscription, Wake, moment
from portal.logs import reference
from portal.visit import Visit

CONFIRM = '/auth/confirm'  # where one proves again who one is
FIRST_PAINT = 1.0  # seconds: what is not read by then arrives over the websocket (NiceGUI gives up at 3)


@dataclass(frozen=True)
class Screen:
    """`path` is below the side's root; `{name}` stands for one part of it."""

    path: str
    build: Callable[['Here'], Awaitable[None]]
    needs: Permission
    key: str  # of the place in the navigation that is marked
    writes: bool = False  # serves to change something, and nothing else: closed to who looks in a client's place

    def match(self, path: str) -> dict[str, str] | None:
        found = re.fullmatch(re.sub(r'\{(\w+)\}', r'(?P<\1>[^/]+)', self.path), path)
        return found.groupdict() if found else None


class Closing(Protocol):
    def close(self) -> None: ...


@dataclass
class Here:
    """What a screen works with."""

    visit: Visit
    place: ui.element
    stage: Stage
    path: str  # below the root
    parts: Mapping[str, str]
    query: dict[str, str]
    show_primary: Callable[[Primary | None], None]
    show_title: Callable[[str], None]
    closing: list[Closing] = field(default_factory=list[Closing])
    since: int = field(default_factory=moment)
    status: int = 200
    on_primary: Callable[[Act], Any] | None = None
    noted: dict[str, Any] = field(
        default_factory=dict[str, Any]
    )  # what of it stands in the log, when somebody looks in another's place

    @property
    def root(self) -> str:
        return self.visit.root

    @property
    def request(self) -> Request:
        """By which the page was loaded."""
        request = self.stage.client.request
        assert request
        return request

    def url(self, path: str = '', **query: str | None) -> str:
        """An address of this side."""
        kept = {name: value for name, value in query.items() if value}
        return self.root + path + (f'?{urlencode(kept)}' if kept else '')

    @property
    def confirm(self) -> str:
        """Where one proves again who one is, and then is back here."""
        return f'{CONFIRM}?{urlencode({"next": self.url(self.path, **self.query)})}'

    def set_primary(self, primary: Primary | None, on_act: Callable[[Act], Any] | None = None) -> None:
        """The one primary action in the bar, or none; an action of its own (`Primary.act`) comes to `on_act`."""
        self.on_primary = on_act
        self.show_primary(primary)

    def title(self, title: str) -> None:
        self.show_title(f'{title} · {self.visit.by.company.name if self.visit.by.company else self.visit.by.tenant.name}')

    def island(self, html: Any, on_act: Callable[[Act], Any] | None = None, **more: Any) -> Island:
        """HTML where the screen is being built; what goes wrong in `on_act` becomes words for the person."""

        return Island(html, (lambda act: self.carefully(on_act, act)) if on_act else None, **more)

    async def carefully(self, on_act: Callable[[Act], Any], act: Act) -> None:
        try:
            with metrics.event_time.time():
                result = on_act(act)
                if isinstance(result, Awaitable):
                    await result
        except Exception as e:
            await self.trouble(e)

    def wakes(self, wake: Wake, *topics: str, shares: bool = False) -> None:
        """Calls `wake` after committed changes to these topics, while the screen stands. `shares`: see `Subscription`."""

        async def careful() -> None:
            try:
                await wake()
            except Exception as e:
                await self.trouble(e, quietly=True)

        self.until_closed(Subscription(self.place, careful, *topics, since=self.since, shares=shares))

    def until_closed(self, what: Closing) -> None:
        """Ends with the screen."""
        self.closing.append(what)

    def address(self, *, replace: bool = False, **query: str | None) -> None:
        """The same screen shows something else now."""
        self.query = {name: value for name, value in query.items() if value}
        self.stage.address(self.url(self.path, **query), replace=replace)
        self.shown()

    def shown(self) -> None:
        """Where one comes back to after signing in again."""
        self.request.state.address = self.url(self.path, **self.query)

    def go(self, path: str) -> None:
        self.stage.lead_to(path)

    def say(self, words: str, *, bad: bool = False) -> None:
        self.stage.say(words, bad=bad)

    async def prove(self) -> None:
        """Before a dialog opens in which something is typed that needs a fresh proof: the way there closes it. Raises ProofNeeded."""
        async with self.visit.work() as db:
            await need_fresh(db)

    async def trouble(self, error: Exception, *, quietly: bool = False) -> None:
        """What an action could not do, said in a toast; what was typed stays. A reading in the background fails quietly."""
        if isinstance(error, SignedOut):
            await leave(self.stage.client, over(self.stage.client))
        elif isinstance(error, ProofNeeded):
            if not quietly:
                ui.navigate.to(self.confirm)
        elif isinstance(error, OnlyLooking | ReadingOnly):
            if not quietly:
                self.say(_('You are only looking: nothing was sent or changed.'), bad=True)
        elif isinstance(error, NotAllowed):
            await self.visit.note_denied(f'{self.path}: {error}')
            self.say(_('Your role does not include this.'), bad=True)
        elif isinstance(error, NotFound):
            if not quietly:
                self.say(_('It is not there any more.'), bad=True)
        else:
            number = reference(error, self.path)
            if quietly:
                return
            if isinstance(error, DBAPIError | NoConnectionFree | OSError):
                self.say(
                    _('The database cannot be reached right now. Nothing was lost; please try again. ({number})', number=number),
                    bad=True,
                )
            else:
                self.say(_('Something failed. What you typed is still here. ({number})', number=number), bad=True)

    def close(self) -> None:
        """The screen ends. It names nothing that names it any more, so that its memory is free at once."""
        for each in self.closing:
            each.close()
        self.closing.clear()
        self.on_primary = None


class Screens:
    """One page's screens: builds what the address asks for, and leaves the one before."""

    def __init__(self, table: tuple[Screen, ...], visit: Visit, moved: Callable[[Screen | None], None],
                 show_primary: Callable[[Primary | None], None], show_title: Callable[[str], None]) -> None:  # fmt: skip
        self.table, self.visit, self.moved = table, visit, moved
        self.show_primary, self.show_title = show_primary, show_title
        self.stage = Stage(visit.root, self.go)
        self.here: Here | None = None
        self.asked = 0
        self.stage.client.on_delete(self._close)

    async def first(self, address: str) -> None:
        """Wait for the first screen, so that it is part of the HTML, with its title and its status."""
        building = background_tasks.create(self.go(address, 0), name='first screen')
        await asyncio.wait([building], timeout=FIRST_PAINT)
        if not building.done():
            with self.stage:
                waiting = ui.element('div')
                with waiting:
                    Island(macro('bones')('list'))
            building.add_done_callback(lambda _done: None if waiting.is_deleted else waiting.delete())

    async def go(self, address: str, number: int) -> None:
        """Builds beside the old screen, then changes places: no moment is empty. A later request overtakes."""
        self.asked += 1
        mine, before = self.asked, self.here
        with self.stage:
            place = ui.element('div').classes('screen is-coming')
        here = self._here(address, place)
        await self._build(here)
        if mine != self.asked or self.stage.is_deleted:
            here.close()
            if not place.is_deleted:
                place.delete()
            return
        self.here = here
        here.shown()
        place.classes(remove='is-coming')
        if before:
            before.close()
            if not before.place.is_deleted:
                before.place.delete()
        self.stage.arrived(number)

    def _here(self, address: str, place: ui.element) -> Here:
        parts = urlsplit(address)
        root = self.visit.root
        path = parts.path[len(root) :].rstrip('/') if parts.path == root or parts.path.startswith(root + '/') else '//'
        return Here(self.visit, place, self.stage, path, {}, _query(parts.query), self.show_primary, self.show_title)

    async def _build(self, here: Here) -> None:
        try:
            screen, parts = next(
                ((s, found) for s in self.table if (found := s.match(here.path)) is not None), (None, {})
            )  # fmt: skip
            here.parts = parts
            self.moved(screen)
            if screen is None:
                raise NotFound
            if not self.visit.may(screen.needs):
                raise NotAllowed
            if screen.writes and self.visit.viewing:
                raise OnlyLooking
            with here.place:
                await screen.build(here)
            if self.visit.viewing:
                await self.visit.note('viewing.screen', screen=screen.path, **here.noted)
        except SignedOut:
            await leave(self.stage.client, over(self.stage.client))
        except NotFound:
            self._say(here, 404, _('Not found'), _('There is nothing here, or it is not yours to see.'), label=_('Nothing here'))
        except ProofNeeded:
            words = _('What stands here needs a fresh proof that it is you. It is good for 15 minutes.')
            proves = Action(_('Prove it, and go on'), href=here.confirm, kind='primary')
            self._say(here, 403, _('Is it you?'), words, label=_('A fresh proof is needed'), first=proves)
        except (OnlyLooking, ReadingOnly):
            self._say_closed(here)
        except NotAllowed:
            if self.visit.viewing:
                self._say_closed(here)
                return
            await self.visit.note_denied(here.path)
            self._say(here, 403, _('Not part of your role'),
                      _('Your role does not include this page. If you need it, ask whoever manages your access.'), label=_('No access'))  # fmt: skip
        except Exception as e:
            self._say(here, 500, _('Something failed'), _('It is in our log under this number. Please try again in a moment.'),
                      number=reference(e, here.path))  # fmt: skip

    def _say_closed(self, here: Here) -> None:
        words = _('It changes something, is the person’s own, or is nothing that you yourself may see.')
        self._say(here, 403, _('Closed while you look'), words, label=_('Reading only'))

    def _say(self, here: Here, status: int, title: str, words: Text, *, number: str = '', label: str = '',
             first: Action | None = None) -> None:  # fmt: skip
        here.stage.client.status_code = status  # counts only if the page has not been sent yet
        here.status = status
        here.close()
        here.place.clear()
        actions = (Action(_('Go to the start'), href=here.root),)
        if number:
            again = here.url(here.path) + (f'?{urlencode(here.query)}' if here.query else '')
            actions = (Action(_('Try again'), href=again), *actions)
        if first:
            actions = (first, *actions)
        with here.place:
            here.title(title)
            Island(macro('fault')(title, words, reference=number, actions=actions, kind='' if label else 'bad', label=label))

    def _close(self) -> None:
        """The page ends; a screen that is being built yet says nothing more."""
        if self.here:
            self.here.close()
        self.here = None
        self.moved = self.show_primary = self.show_title = _nobody


def _nobody(_what: object) -> None:
    pass


def _query(text: str) -> dict[str, str]:
    """What an address asks for, without what the database cannot hold; nothing, if it asks for too much."""
    try:
        said = parse_qsl(text, max_num_fields=30)
    except ValueError:
        return {}
    return {name: value for name, value in said if len(value) <= 300 and '\x00' not in value}


def as_visitor(visit: Visit) -> None:
    """Speak their language from here on (a task that NiceGUI did not start from an event of theirs)."""
    i18n.speak(visit.by.voice)
