"""The frame around every page that one sees signed in: navigation, bar, bottom bar.

Its three parts are rendered apart, because they are refreshed apart: a new ticket changes a count in the navigation, not the bar.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from markupsafe import Markup

from portal.components.render import render
from portal.components.values import Attributes, MenuItem, Text

Side = Literal['client', 'staff']
Theme = Literal['auto', 'light', 'dark']


def _none() -> Attributes:
    return {}


@dataclass(frozen=True, slots=True)
class NavItem:
    """A place. `count_label` says what the number counts (`open`), for screen readers; `short` is its word on a phone."""

    key: str
    label: str
    href: str
    icon: str
    count: int | None = None
    count_label: str | None = None
    current: bool = False
    short: str = ''


@dataclass(frozen=True, slots=True)
class NavGroup:
    items: tuple[NavItem, ...]
    label: str = ''


@dataclass(frozen=True, slots=True)
class Company:
    """The company one is in. `others` are links to the other companies' addresses; without any there is no menu."""

    name: str
    note: str = ''
    others: tuple[MenuItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """Whom to call, and when. `number` is shown as it is; the link is made from its digits."""

    number: str
    hours: str = ''
    words: str = ''

    @property
    def href(self) -> str:
        return 'tel:' + ''.join(sign for sign in self.number if sign.isdigit() or sign == '+')


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in. `links` head the menu: profile, notifications, security."""

    name: str
    role: str
    links: tuple[MenuItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """A line behind the bell."""

    title: Text
    href: str
    at: datetime
    text: Text = ''
    icon: str = 'bell'
    unread: bool = False
    key: str = ''


@dataclass(frozen=True, slots=True)
class Bell:
    """`notices` is None while they were not asked for: then `open_act`, sent when the panel opens, asks. `read_act` is the island's
    action that marks all as read."""

    unread: int = 0
    notices: tuple[Notice, ...] | None = ()
    all_href: str = ''
    read_act: str = 'notices-read'
    open_act: str = ''


@dataclass(frozen=True, slots=True)
class Primary:
    """The page's one primary action, in the bar. With `act` it is a button, and `form` names the form it submits."""

    label: str
    href: str = ''
    act: str = ''
    icon: str = ''
    form: str = ''
    attrs: Attributes = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class FrameData:
    """All that the frame shows. The actions are addresses that take a POST: `sign_out_action` nothing, `theme_action` a field
    `theme` (auto, light, dark), `language_action` a field `language`; each may send back to the page one came from."""

    side: Side
    msp: str
    home_href: str
    groups: tuple[NavGroup, ...]
    person: Person
    search_action: str
    sign_out_action: str
    theme_action: str
    language_action: str
    company: Company | None = None
    call: Call | None = None
    bell: Bell = field(default_factory=Bell)
    primary: Primary | None = None
    more: tuple[MenuItem, ...] = ()
    theme: Theme = 'auto'
    language: str = 'en'
    logo: str = ''
    search_value: str = ''
    bottom: tuple[str, ...] = ()
    """Keys of up to four places for the bottom bar of a phone; by default the first four."""

    @property
    def items(self) -> tuple[NavItem, ...]:
        return tuple(item for group in self.groups for item in group.items)

    @property
    def bottom_items(self) -> tuple[NavItem, ...]:
        if not self.bottom:
            return self.items[:4]
        by_key = {item.key: item for item in self.items}
        return tuple(by_key[key] for key in self.bottom if key in by_key)[:4]

    @property
    def rest(self) -> tuple[NavItem, ...]:
        """Behind "More"."""
        return tuple(item for item in self.items if item not in self.bottom_items)


def nav(frame: FrameData) -> Markup:
    return render('frame/nav.html', frame=frame)


def topbar(frame: FrameData) -> Markup:
    return render('frame/topbar.html', frame=frame)


def bottombar(frame: FrameData) -> Markup:
    return render('frame/bottombar.html', frame=frame)


def skip_link() -> Markup:
    """The first thing on every page."""
    return render('frame/skip.html')


def frame(data: FrameData, content: Markup, *, banner: Markup | str = '') -> Markup:
    """The whole frame with a page in it: for plain pages that stand in it, and as the pattern of the live one."""
    return render('frame.html', frame=data, content=content, banner=banner)
