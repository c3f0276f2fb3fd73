"""What went wrong, as a page: no text of an exception ever reaches the browser.

`install(api)` is called once, when the pages are registered. The guard stands outside of the application; what fails there
(it asks the database who is coming) is answered by `answer`.
"""

import logging
import secrets
from typing import Any

from fastapi import FastAPI
from nicegui import core
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal.components.frame import Side
from portal.components.values import Action
from portal.i18n import _
from portal.logs import reference
from portal.pages.auth import plain

log = logging.getLogger('portal.faults')


def install(api: FastAPI) -> None:
    """Also for the application of NiceGUI within it, whose own page for what is not there knows neither look nor language."""
    api.add_exception_handler(HTTPException, _refused)
    core.app.add_exception_handler(404, _refused)
    core.app.add_exception_handler(Exception, _thrown_on)
    api.add_middleware(Faults)


async def _thrown_on(_request: Request, error: Exception) -> Response:
    """Of a page that could not be built: NiceGUI's own answer would show the text of the exception."""
    raise error


class Faults:
    """Catches what nothing else has caught. A middleware and not a handler: Starlette raises again after a handler."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] != 'http':
            return await self.app(scope, receive, send)
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except Exception as e:
            if started:
                raise  # half an answer is out: the connection has to break
            await answer(e)(scope, receive, send)


def answer(error: Exception) -> ASGIApp:
    """The page for an unexpected error, which is logged with the number that the page shows."""

    async def page(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        response = _away(request, error) if is_away(error) else _fault(request, error)
        await response(scope, receive, send)

    return page


def is_away(error: Exception) -> bool:
    """The database cannot be reached, or has no time."""
    if isinstance(error, DBAPIError):
        return isinstance(error, (OperationalError, InterfaceError)) or error.connection_invalidated
    return isinstance(error, (NoConnectionFree, ConnectionError))


def _away(request: Request, error: Exception) -> Response:
    number = secrets.token_hex(4)  # without where it happened: that would fill the log while a database is away
    name = type(getattr(error, 'orig', None) or error).__name__
    log.error('%s: the database cannot be reached: %s', number, name, extra={'number': number})
    response = plain.message(
        request, 503, _('The portal cannot reach its database right now.'), _('Please try again in a moment.'), kind='bad',
        side=_side(request), reference=number, actions=(Action(_('Try again'), href=_again(request)),),
    )  # fmt: skip
    response.headers['retry-after'] = '5'
    return response


def _fault(request: Request, error: Exception) -> Response:
    number = reference(error, request.url.path)
    return plain.message(
        request, 500, _('Something went wrong'), _('It is not your doing. Please try again; if it stays, tell us the reference.'),
        kind='bad', side=_side(request), reference=number, actions=(Action(_('Go to the start'), href='/'),),
    )  # fmt: skip


async def _refused(request: Request, error: Exception) -> Any:  # an ASGI application, as every response is
    """An answer of the framework (not found, method not allowed, too large …) as a page; for files and sockets as it was."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    headers = getattr(error, 'headers', None) or {}
    if request.url.path.startswith(('/_nicegui', '/static/')):
        return JSONResponse({'detail': 'Not found'}, status, headers)
    if status == 404:
        return plain.not_found(side=_side(request))
    words = {413: _('That was too much at once.'), 405: _('This address is for sending a form.')}
    title = words.get(status, _('The portal cannot take this.'))
    actions = (Action(_('Go to the start'), href='/'),)
    response = plain.message(request, status, title, '', label=_('Not taken'), side=_side(request), actions=actions)
    response.headers.update(headers)
    return response


def _side(request: Request) -> Side:
    arrival = getattr(request.state, 'arrival', None)
    if arrival:
        return 'staff' if arrival.side == 'staff' else 'client'
    return 'staff' if request.url.path.startswith(('/msp', '/auth/msp', '/setup')) else 'client'


def _again(request: Request) -> str:
    """The page itself; the doors have one at the address that takes their form, too."""
    if request.method == 'GET' or request.url.path.startswith(('/auth/', '/setup')):
        return request.url.path + (f'?{request.url.query}' if request.url.query else '')
    return '/'
