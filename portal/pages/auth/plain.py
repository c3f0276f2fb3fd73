"""Plain answers: what a visitor gets who is not shown a page of the portal itself."""

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from portal import i18n, visit
from portal.components import plain
from portal.components.frame import Call, Side
from portal.components.theme import accent_css
from portal.components.values import Action, Text
from portal.domain.access import TenantCard
from portal.i18n import _
from portal.visit import Arrival


def page(request: Request, title: str, side: Side, **more: Any) -> plain.PlainPage:
    """What every plain page of this request shares."""
    tenant: TenantCard | None = request.state.tenant
    language = 'en' if i18n.voice().language == i18n.PSEUDO else i18n.voice().language
    return plain.PlainPage(
        title=title, msp=tenant.name if tenant else _('Client portal'), side=side, language=language, nonce=request.state.nonce,
        accent_css=accent_css(tenant.accent, side) if tenant and tenant.accent else '',
        call=Call(tenant.phone, tenant.phone_hours or '') if tenant and tenant.phone else None, home_href='/',
        language_links=tuple((code, f'/language?to={code}&back={_here(request)}') for code in i18n.LANGUAGES), **more,
    )  # fmt: skip


def _here(request: Request) -> str:
    from urllib.parse import quote

    query = f'?{request.url.query}' if request.url.query else ''
    return quote(request.url.path + query, safe='')


def message(
    request: Request, status: int, title: str, words: Text, *, side: Side = 'client', actions: tuple[Action, ...] = (),
    reference: str = '', kind: str = 'plain',
) -> Response:  # fmt: skip
    html = plain.message(page(request, title, side), title, words, reference=reference, actions=actions, kind=kind)
    return HTMLResponse(html, status)


async def no_tenant() -> Response:
    """Nobody is at home at this address: on a new portal the visitor sets it up, else there is nothing to learn."""
    if (await visit.database.ask('select app.any_tenant()'))[0]:
        return Response(_('There is no portal at this address.'), 404, media_type='text/plain')
    return RedirectResponse('/setup', 303)


class _Later:
    """An answer that needs the request: made when it is asked for."""

    def __init__(self, arrival: Arrival, status: int) -> None:
        self.arrival, self.status = arrival, status

    def response(self, request: Request) -> Response:
        if self.status == 404:
            return message(
                request, 404, _('Not found'), _('There is nothing here, or it is not yours to see.'), side=self._side,
                actions=(Action(_('Go to the start'), href='/'),),
            )  # fmt: skip
        return message(
            request, 403, _('Nothing to see yet'),
            _('Your sign-in works, but you belong to no company here any more. Please ask whoever manages your access.'),
            side=self._side,
        )  # fmt: skip

    @property
    def _side(self) -> Side:
        return 'staff' if self.arrival.side == 'staff' else 'client'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.response(Request(scope))(scope, receive, send)


def not_found(arrival: Arrival) -> _Later:
    return _Later(arrival, 404)


def belongs_nowhere(arrival: Arrival) -> _Later:
    return _Later(arrival, 403)
