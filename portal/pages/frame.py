"""The live page of both sides: the frame with navigation, bar and bell, and the stage in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup
from nicegui import Client, ui

from portal import i18n
from portal.components import assets, frame
from portal.components.frame import Call, FrameData, NavGroup, NavItem, Notice, Person, Primary, Theme
from portal.components.island import Act, Island
from portal.components.render import render
from portal.components.shell import first_paint
from portal.components.theme import accent_css
from portal.components.values import MenuItem, Text
from portal.db.engine import SignedOut
from portal.domain import notifications, policy
from portal.domain.access import Permission, role_label
from portal.guard import forget_html, leave, over
from portal.i18n import _, _m, _n, capped
from portal.live import Subscription, moment, together
from portal.logs import reference
from portal.pages.banners import Banners
from portal.pages.palette import Palette
from portal.pages.screens import Screen, Screens
from portal.pages.viewing import ViewingBanner
from portal.visit import Visit, theme, visit

PAUSE = 0.3  # seconds that a frame waits for more to change, before it counts anew


@dataclass(frozen=True)
class Place:
    """A line of the navigation. `label` is translated when shown; `count` names one of the side's numbers, `counts` says what it
    is a number of."""

    key: str
    label: Any
    path: str
    icon: str
    needs: Permission
    group: Any = ''
    count: str = ''
    counts: Any = ''


@dataclass(frozen=True)
class SideSpec:
    """What one side of the portal consists of."""

    screens: tuple[Screen, ...]
    places: tuple[Place, ...]
    bottom: tuple[str, ...]
    counts: Callable[[Any, Visit], Any]  # (db, visit) → numbers by name
    topics: Callable[[Visit], tuple[str, ...]]  # what changes the numbers
    new_path: str = '/tickets/new'


class page(ui.page):  # noqa: N801  (as NiceGUI names its own)
    """A page in the visitor's language and theme; `<html>` gets the attributes that our stylesheet reads."""

    def resolve_language(self) -> Any:
        return {'de': 'de'}.get(i18n.voice().language, 'en-US')

    def resolve_dark(self) -> bool | None:
        return {'light': False, 'dark': True}.get(theme.get())


class Page:
    """One open page of somebody."""

    def __init__(self, spec: SideSpec) -> None:
        self.spec, self.visit = spec, visit()
        self.client: Client = ui.context.client
        self.current: str | None = None
        self.primary: Primary | None = self._usual_primary()
        self.numbers: dict[str, int] = {}
        self.unseen = 0
        self.told: list[notifications.Told] | None = None  # under the bell, since it was opened here
        self.title = ''
        self.is_drawn = False  # the frame is drawn once, when the first screen has said what it wants of it

    async def show(self) -> None:
        request = self.client.request
        self._head()
        since = moment()
        try:
            self.numbers, self.unseen, self.told = await self._read()
            self.access = None if self.visit.viewing else await self._read_access()
        except SignedOut:
            await leave(self.client, over(self.client))
            return
        query = f'?{request.url.query}' if request.url.query else ''
        with self.client.layout:
            self.root = ui.element('div').classes('frame')
            with self.root:
                self.skip = Island(frame.skip_link(), classes='through')
                self.nav = Island(Markup(), self._act, classes='through')
                with ui.element('div').classes('main'):
                    self.bar = Island(Markup(), self._act, classes='through')
                    if self.visit.viewing:
                        ViewingBanner(self.visit)
                    elif self.access:
                        Banners(self.visit, self.access)
                    with ui.element('main').classes('page') as main:
                        main.props['id'] = 'main'
                        self.screens = Screens(self.spec.screens, self.visit, self._moved, self._show_primary, self._entitle)
                        await self.screens.first(request.url.path + query)
                self.bottom = Island(Markup(), self._act, classes='through')
                self.overlays = Island(render('overlays.html', staff=self.visit.by.is_staff), classes='through')
                self.palette = Palette(self.visit, self._jumps(), self._search)
        self.is_drawn = True
        self._refresh()
        ui.add_body_html(str(first_paint(self.root)))
        topics = (f'bell:{self.visit.by.user_id}', f'unread:{self.visit.by.user_id}', *self.spec.topics(self.visit))
        subscription = Subscription(self.root, self._woken, *topics, since=since, pause=PAUSE, shares=True)
        self.client.on_delete(subscription.close)
        self.client.on_connect(lambda: forget_html(self.client))

    def _head(self) -> None:
        by = self.visit.by
        forced = f' data-theme="{by.theme}"' if by.theme in ('light', 'dark') else ''
        self.client.request.state.html = f' data-side="{by.side}"{forced}'
        accent = accent_css(by.tenant.accent, by.side) if by.tenant.accent and not by.is_staff else ''
        preload = ''.join(f'<link rel="preload" href="{url}" as="font" type="font/woff2" crossorigin>' for url in assets.preloads)
        ui.add_head_html(
            f'<link rel="stylesheet" href="{assets.url("app.css")}">{preload}'
            f'<script src="{assets.url("app.js")}" defer></script>' + (f'<style>{accent}</style>' if accent else '')
        )

    async def _read(self) -> tuple[dict[str, int], int, list[notifications.Told] | None]:
        by = self.visit.by
        async with self.visit.work() as db:
            told = None if self.told is None else await notifications.bell(db, by)
            return await self.spec.counts(db, self.visit), await notifications.unseen(db, by), told

    async def _read_access(self) -> policy.MyAccess:
        async with self.visit.work() as db:
            return await policy.my_access(db)

    async def _woken(self) -> None:
        before = self.numbers, self.unseen, self.told
        company = self.visit.by.company
        try:
            key = (self.visit.token, company and company.id, self.visit.rights, self.told is None)
            self.numbers, self.unseen, told = await together(key, self._read, patient=True)
        except SignedOut:
            return await leave(self.client, over(self.client))
        except Exception as e:
            reference(e, '/frame')
            return None
        self.told = self.told if told is None else told  # it may have been opened while this was read
        if (self.numbers, self.unseen, self.told) != before:
            self._refresh()

    def _moved(self, screen: Screen | None) -> None:
        self.current = screen.key if screen else None
        self._show_primary(self._usual_primary())  # until the screen says otherwise

    def _show_primary(self, primary: Primary | None) -> None:
        self.primary = primary
        self._refresh()

    def _entitle(self, title: str) -> None:
        """What the tab is called: the screen's title, and before it how much is unread."""
        unread, self.title = self.numbers.get('unread'), title
        full = f'({capped(unread)}) {title}' if unread else title
        if full != self.client.title:
            ui.page_title(full)

    def _refresh(self) -> None:
        if not self.is_drawn:
            return
        with self.root:
            self._entitle(self.title)
        data = self._data()
        self.nav.set(frame.nav(data))
        self.bar.set(frame.topbar(data))
        self.bottom.set(frame.bottombar(data))

    async def _act(self, act: Act) -> None:
        here = self.screens.here
        if self.primary and act.name == self.primary.act and here and here.on_primary:
            await here.carefully(here.on_primary, act)
        elif act.name == 'notices-read' and here:
            await here.carefully(self._notices_read, act)
        elif act.name == 'notices' and here:
            await here.carefully(self._notices, act)

    async def _notices(self, _act: Act) -> None:
        async with self.visit.work() as db:
            self.told = await notifications.bell(db, self.visit.by)
        self._refresh()

    async def _notices_read(self, _act: Act) -> None:
        async with self.visit.work() as db:
            await notifications.mark_seen(db, self.visit.by)

    async def _search(self, act: Act) -> None:
        try:
            await self.palette.find(act)
        except SignedOut:
            await leave(self.client, over(self.client))
        except Exception as e:
            reference(e, 'palette')

    def _jumps(self) -> list[tuple[str, str, str]]:
        root, primary = self.visit.root, self._usual_primary()
        places = [(str(p.label), root + p.path, p.icon) for p in self.spec.places if self.visit.may(p.needs)]
        return ([(primary.label, primary.href, primary.icon)] if primary else []) + places

    def _data(self) -> FrameData:
        by, root = self.visit.by, self.visit.root
        company = None
        if by.company:
            others = tuple(
                MenuItem(c.name, href=f'/client-portal/{c.slug}', icon='building-2', current=c.id == by.company.id)
                for c in by.companies if len(by.companies) > 1
            )  # fmt: skip
            company = frame.Company(by.company.name, others=others)
        look: Theme = 'light' if by.theme == 'light' else 'dark' if by.theme == 'dark' else 'auto'
        return FrameData(
            side=by.side, msp=by.tenant.name, home_href=root, groups=self._groups(), company=company,
            person=Person(by.name, role_label(by.role), self._own_links()),
            search_action=f'{root}/tickets', sign_out_action='/auth/signout', theme_action='/me/theme', language_action='/me/language',
            call=Call(by.tenant.phone, by.tenant.phone_hours or '') if by.tenant.phone and not by.is_staff else None,
            bell=frame.Bell(self.unseen, None if self.told is None else tuple(map(self._notice, self.told)), open_act='notices'),
            primary=self.primary, theme=look, language=by.voice.language, bottom=self.spec.bottom,
        )  # fmt: skip

    def _own_links(self) -> tuple[MenuItem, ...]:
        if not self.visit.may(Permission.PROFILE_EDIT):
            return ()
        return (MenuItem(_('Profile and notifications'), href=f'{self.visit.root}/settings', icon='settings-2'),)

    def _usual_primary(self) -> Primary | None:
        if not self.visit.may(Permission.TICKETS_OPEN):
            return None
        return Primary(_('New ticket'), href=self.visit.root + self.spec.new_path, icon='plus')

    def _groups(self) -> tuple[NavGroup, ...]:
        groups: dict[str, list[NavItem]] = {}
        for place in self.spec.places:
            if not self.visit.may(place.needs):
                continue
            count = self.numbers.get(place.count) or None
            groups.setdefault(str(place.group), []).append(
                NavItem(place.key, str(place.label), self.visit.root + place.path, place.icon, count=count,
                        count_label=str(place.counts) if count else None, current=place.key == self.current)
            )  # fmt: skip
        return tuple(NavGroup(tuple(items), label) for label, items in groups.items())

    def _notice(self, told: notifications.Told) -> Notice:
        if told.kind.startswith('export-'):
            ready = told.kind == 'export-ready'
            return Notice(
                _m('<b>Your export</b> is ready') if ready else _m('<b>Your export</b> could not be made'),
                f'{self.visit.root}/exports', told.at, text=told.subject, unread=True, icon='download' if ready else 'circle-alert',
            )  # fmt: skip
        root = '/msp' if self.visit.by.is_staff else f'/client-portal/{told.company_slug}'
        words: dict[str, Text] = {
            'new_ticket': _m('<b>{name}</b> opened T-{number}', name=told.actor, number=told.number),
            'reply': _m('<b>{name}</b> replied on T-{number}', name=told.actor, number=told.number),
            'status': _m('<b>{name}</b> changed T-{number}', name=told.actor, number=told.number),
            'note': _m('<b>{name}</b> wrote a note on T-{number}', name=told.actor, number=told.number),
            'copy': _m('<b>{name}</b> put you in copy of T-{number}', name=told.actor, number=told.number),
            'requester': _m('<b>{name}</b> made T-{number} your ticket', name=told.actor, number=told.number),
            'assigned': _m('<b>{name}</b> assigned T-{number} to you', name=told.actor, number=told.number),
        }
        return Notice(
            words.get(told.kind, ''), f'{root}/tickets/T-{told.number}', told.at, text=told.subject, unread=not told.seen,
            icon='eye-off' if told.kind == 'note' else 'messages-square', key=str(told.number),
        )  # fmt: skip


def open_tickets(n: int) -> str:
    return _n('{n} open ticket', '{n} open tickets', n)
