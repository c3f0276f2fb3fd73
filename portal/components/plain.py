"""Plain pages: HTML without a websocket, for the door, set-up, invitations and messages. All of them work without scripts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from markupsafe import Markup

from portal.components.frame import Call, Side, Theme
from portal.components.render import macro, render
from portal.components.values import Action, MenuItem, Text


@dataclass(frozen=True, slots=True)
class PlainPage:
    """What every plain page needs. `accent_css` comes from `theme.accent_css`; `nonce` is the one of this response's CSP."""

    title: str
    msp: str
    side: Side = 'client'
    theme: Theme = 'auto'
    language: str = 'en'
    dir: str = 'ltr'
    nonce: str = ''
    accent_css: Markup | str = ''
    home_href: str = ''
    logo: str = ''
    call: Call | None = None
    links: tuple[MenuItem, ...] = ()
    """Links of the foot; a `hint` stands before the link (`A client of Northwind IT?` `Sign in here`)."""
    language_links: tuple[tuple[str, str], ...] = ()
    """(language, address of this page in it); the page's own language is left out."""
    description: str = ''
    """For search engines; without one the page asks not to be listed."""


@dataclass(frozen=True, slots=True)
class Account:
    """A demo account: a form of its own with hidden fields, shown as a button."""

    name: str
    note: str
    action: str
    fields: Mapping[str, str] = field(default_factory=dict[str, str])
    msp: bool = False


@dataclass(frozen=True, slots=True)
class Door:
    """The form of a door: `action` is where it posts to."""

    title: str
    action: str
    lead: Text = ''
    accounts: tuple[Account, ...] = ()
    accounts_title: str = ''
    others: tuple[Markup, ...] = ()
    """Other ways in, each a form of its own."""
    aside: tuple[str, str] | None = None
    """What stands on the side's half instead of its own words: a title, and a sentence."""


def door(page: PlainPage, door: Door, form: Markup, below: Markup | str = '') -> Markup:
    """A sign-in page. `form` is what stands inside the form: fields, button, links."""
    return render('plain/door.html', page=page, door=door, form=form, below=below)


def lone(page: PlainPage, content: Markup, *, tag: str = '', foot: Text = '') -> Markup:
    """A page without the frame; `tag` stands at the far side of its head, `foot` before the links at the end."""
    return render('plain/lone.html', page=page, content=content, tag=tag, foot=foot)


def message(
    page: PlainPage,
    title: str,
    words: Text = '',
    *,
    label: str = '',
    kind: str = 'bad',
    reference: str = '',
    at: datetime | None = None,
    actions: tuple[Action, ...] = (),
    call: Text = '',
) -> Markup:
    """What went wrong, or why nothing is here: 403, 404, 500, maintenance. `reference` is what staff find in the log."""
    content = macro('fault')(title, words, reference=reference, at=at, actions=actions, label=label, kind=kind, call=call)
    return lone(page, content)
