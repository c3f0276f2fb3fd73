"""Plain answers: what a visitor gets who is not shown a page of the portal itself."""

from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from portal import i18n, visit
from portal.components import plain
from portal.components.frame import Call, Side, Theme
from portal.components.render import render
from portal.components.theme import accent_css
from portal.components.values import Action, Text
from portal.domain.access import TenantCard
from portal.i18n import _
from portal.visit import Arrival

STOP = '/auth/viewing/stop'  # ends looking in a client's place


def page(request: Request, title: str, side: Side, *, here: str | None = None, **more: Any) -> plain.PlainPage:
    """What every plain page of this request shares. `here` is its address, where that is not the request's."""
    tenant: TenantCard | None = getattr(request.state, 'tenant', None)
    language = 'en' if i18n.voice().language == i18n.PSEUDO else i18n.voice().language
    back = quote(here or _address(request), safe='')
    return plain.PlainPage(
        title=title, msp=tenant.name if tenant else _('Client portal'), side=side, theme=_theme(), language=language,
        nonce=request.state.nonce, accent_css=accent_css(tenant.accent, side) if tenant and side == 'client' else '',
        call=Call(tenant.phone, tenant.phone_hours or '') if tenant and tenant.phone else None, home_href='/' if tenant else '',
        language_links=tuple((code, f'/language?to={code}&back={back}') for code in i18n.LANGUAGES), **more,
    )  # fmt: skip


def _address(request: Request) -> str:
    return request.url.path + (f'?{request.url.query}' if request.url.query else '')


def _theme() -> Theme:
    chosen = visit.theme.get()
    return 'light' if chosen == 'light' else 'dark' if chosen == 'dark' else 'auto'


def message(
    request: Request, status: int, title: str, words: Text, *, side: Side = 'client', actions: tuple[Action, ...] = (),
    reference: str = '', kind: str = 'plain', label: str = '', sign_out: bool = False,
    here: str | None = None,
) -> Response:  # fmt: skip
    """A page that says something, and nothing else. `sign_out` adds a button that does that, with `actions` after it."""
    if sign_out:
        actions = (Action(_('Sign out'), type='submit'), *actions)
    fault = {'label': label, 'kind': kind, 'reference': reference, 'at': i18n.now() if reference else None}
    content = render('auth/message.html', title=title, words=words, actions=actions, fault=fault, sign_out=sign_out)
    looks: visit.Visit | None = getattr(request.state, 'visit', None)
    if looks and looks.viewing:
        minutes = max(0, -int(-(looks.viewing.ends_at - i18n.now()).total_seconds() // 60))
        content = render('viewing.html', name=looks.by.name, minutes=minutes, stop=STOP) + content
    return HTMLResponse(plain.lone(page(request, title, side, here=here), content), status)


def door(
    request: Request, side: Side, door: plain.Door, form: Markup, status: int = 200, *, below: Markup | str = '', **more: Any
) -> HTMLResponse:
    """A page of the two doors: a form on one half, the side's colour on the other."""
    return HTMLResponse(plain.door(page(request, door.title, side, **more), door, form, below), status)


def after(response: Response, seconds: int) -> Response:
    """The same again, but not at once."""
    response.headers['retry-after'] = str(seconds)
    return response


class Later:
    """An answer that needs the request: made when it is asked for."""

    def __init__(self, status: int, title: str, words: str, **more: Any) -> None:
        self.status, self.title, self.words, self.more = status, title, words, more

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = message(Request(scope), self.status, self.title, self.words, **self.more)
        await response(scope, receive, send)


async def no_tenant() -> ASGIApp:
    """Nobody is at home at this address: on a new portal the visitor sets it up, else there is nothing to learn."""
    if (await visit.database.ask('select app.any_tenant()'))[0]:
        return Later(404, _('There is no portal at this address.'), _('Please check how it is written.'), label=_('Not found'))
    return RedirectResponse('/setup', 303)


def not_found(arrival: Arrival | None = None, side: Side = 'client') -> Later:
    """Nothing there, or not theirs: the answer is the same."""
    return Later(
        404, _('Not found'), _('There is nothing here, or it is not yours to see.'), label=_('No page at this address'),
        side=_side(arrival) if arrival else side, actions=(Action(_('Go to the start'), href='/'),),
    )  # fmt: skip


def only_looking() -> Later:
    return Later(
        403, _('You are only looking'), _('Nothing can be sent or changed while you look at the portal as a client does.'),
        label=_('Reading only'), side='client',
    )  # fmt: skip


def belongs_nowhere(arrival: Arrival) -> Later:
    return Later(
        403, _('Nothing to see yet'),
        _('Your sign-in works, but you belong to no company here any more. Please ask whoever manages your access.'),
        label=_('No company'), side=_side(arrival), sign_out=True,
    )  # fmt: skip


def _side(arrival: Arrival) -> Side:
    return 'staff' if arrival.side == 'staff' else 'client'
