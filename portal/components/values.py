"""The small plain values that components take. They know no domain: pages make them from what they read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import Markup

Text = str | Markup
Attributes = Mapping[str, str | int | bool | None]


def _none() -> Attributes:
    return {}


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a select, of radio cards or of chips. `disabled` is shown and cannot be taken."""

    value: str
    label: Text
    hint: Text = ''
    icon: str = ''
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class OptionGroup:
    """A titled part of a select."""

    label: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class Tab:
    """A link that leads to another view of the same page."""

    label: Text
    href: str
    count: int | None = None
    current: bool = False
    icon: str = ''


@dataclass(frozen=True, slots=True)
class FilterOption:
    """A value of a filter, as the link that chooses it, or where several can be chosen as what is sent (`value`)."""

    label: Text
    href: str = ''
    current: bool = False
    count: int | None = None
    value: str = ''


@dataclass(frozen=True, slots=True)
class Filter:
    """A menu of links above a list. With `clear_href` it is on, and shows `chosen`.

    With `act` it is a form of boxes, of which several can be ticked: each change sends `filter` (the key) and all its values.
    """

    key: str
    label: str
    options: tuple[FilterOption, ...]
    chosen: Text = ''
    clear_href: str = ''
    act: str = ''
    searchable: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """Head of a table's column. With `href` it sorts; `sorted` is 'ascending' or 'descending' where it does now."""

    label: Text
    href: str = ''
    sorted: str = ''
    right: bool = False
    wide: bool = False
    unseen: bool = False
    classes: str = ''


@dataclass(frozen=True, slots=True)
class Action:
    """What one can do: a link with `href`, else a button with `act` (an island's action) or `type='submit'`."""

    label: Text
    href: str = ''
    act: str = ''
    kind: str = ''
    icon: str = ''
    type: str = 'button'
    attrs: Attributes = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class MenuItem:
    """A line of a menu. `divided` draws a rule above; `danger` is for what cannot be undone."""

    label: Text
    href: str = ''
    act: str = ''
    icon: str = ''
    hint: Text = ''
    current: bool = False
    danger: bool = False
    divided: bool = False
    attrs: Attributes = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class Someone:
    """A person beside a thing, and what they are to it: `asked`, `in copy`, `helps`. With `remove_act` they can be taken out."""

    name: str
    note: Text = ''
    msp: bool = False
    href: str = ''
    key: str = ''
    remove_act: str = ''


@dataclass(frozen=True, slots=True)
class Fact:
    """A term and what holds for it."""

    term: Text
    value: Text
    note: Text = ''


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list: what, and how it stands."""

    what: Text
    end: Text = ''
    href: str = ''
    note: Text = ''
    lead: Text = ''
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Preview:
    """A picture in place of a file, with its size in pixels."""

    href: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class File:
    """An attachment. `size` is ready for reading (`1.8 MB`)."""

    name: str
    href: str
    size: str = ''
    icon: str = 'file-text'
    preview: Preview | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One of the home page's columns."""

    title: Text
    rows: tuple[Row, ...]
    link: Text = ''
    href: str = ''
    foot: Text = ''
    action: Action | None = None


@dataclass(frozen=True, slots=True)
class Crumb:
    label: Text
    href: str = ''


@dataclass(frozen=True, slots=True)
class Hit:
    """A line of the palette: where it leads, and what tells it from others."""

    words: Text
    href: str
    icon: str
    note: Text = ''
    text: Text = ''  # below it: where it was found


@dataclass(frozen=True, slots=True)
class HitGroup:
    label: str
    hits: tuple[Hit, ...]
