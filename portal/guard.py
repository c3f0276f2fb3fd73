"""The fence around NiceGUI: who may load a page, and which socket may speak for it.

1. HTTP: the cookie becomes a Visit, or the visitor is sent to sign in, before any page function runs.
2. Websocket: only with our Origin, and the cookie of the session that loaded the page it names. In memory.
3. Frames: a socket may speak only for the page it was opened for. In memory.
Whether the session still lives is asked by `visit.work()`, in the transaction that does the work.

`tests/browser/test_attacks.py` replays each attack. What the portal touches of NiceGUI's privates is listed in ARCHITECTURE.md.
"""

import logging
import re
import secrets
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, quote

from nicegui import Client, core
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from portal import i18n, metrics, proxies
from portal.components.shell import FIRST_PAINT_CLOSES, FIRST_PAINT_OPENS
from portal.db.engine import whence
from portal.logs import request_id
from portal.pages.auth import faults, plain
from portal.settings import Settings
from portal.tenants import tenant_at
from portal.visit import Arrival, Visit, arriving, looking, moved, note_denied, theme, token_of, visit_of

log = logging.getLogger('portal.guard')
MSP, CLIENT = '/msp', '/client-portal'
SIGN_IN = {MSP: '/auth/msp/signin', CLIENT: '/auth/client-portal/signin'}
OPEN = ('/auth/', '/setup', '/healthz', '/readyz', '/metrics', '/favicon.ico', '/robots.txt', '/language')
NODE = 'portal_node'
SOCKET, PER_CLIENT = '/_nicegui_ws/', '/_nicegui/client/'


def cookie_name(settings: Settings) -> str:
    return '__Host-portal' if settings.secure else 'portal'


def small_cookie(settings: Settings, name: str) -> str:
    """Of a cookie that is sent to the doors alone, so that `__Host-` is not for it."""
    return f'__Secure-{name}' if settings.secure else name


class Guard:
    """Pure ASGI, because it must see websockets too."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings
        self.cookie = cookie_name(settings)
        self.scheme = 'https' if settings.secure else 'http'

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] == 'lifespan':
            return await self.app(scope, receive, send)
        headers = Headers(scope=scope)
        scope.setdefault('state', {})['nonce'] = secrets.token_urlsafe(16)
        scope['state']['settings'] = self.settings
        request_id.set(secrets.token_hex(8))
        counted = metrics.Counted(scope, send)
        outward = _Outward(counted.send, scope['state'], secure=self.settings.secure, cookie=self._node_cookie(scope, headers))
        try:
            app = await self._road(scope, headers)
        except Exception as e:  # the database is asked who comes, and may be away
            app = faults.answer(e) if scope['type'] == 'http' else refused
        if scope['type'] == 'http':
            await app(scope, receive, outward.send)
        else:
            await app(scope, receive, send)

    async def _road(self, scope: Scope, headers: Headers) -> ASGIApp:
        path: str = scope['path']
        if path.startswith((SOCKET, PER_CLIENT)):
            return self.app if self._may_speak(scope, headers) else refused
        if scope['type'] != 'http':
            return refused
        if path.startswith(('/static/', '/_nicegui/')):
            return self.app
        if scope['method'] not in ('GET', 'HEAD', 'POST'):
            return refused
        if scope['method'] == 'POST' and not self._our_origin(headers):
            return refused
        return await self._page(scope, headers, path)

    async def _page(self, scope: Scope, headers: Headers, path: str) -> ASGIApp:
        if path in ('/healthz', '/readyz', '/metrics', '/robots.txt', '/me/session'):  # which may not keep a session alive
            return self.app
        state, request = scope['state'], Request(scope)
        whence.set('')
        state['tenant'] = tenant = await tenant_at(headers.get('host', ''), self.settings)
        whence.set(proxies.network(request.client.host if request.client else '') if path.startswith('/auth/') else '')
        language = i18n.known_language(request.cookies.get('portal-language')) or i18n.accepted_language(
            headers.get('accept-language', '')
        )
        i18n.speak(i18n.Voice(language or (tenant.language if tenant else 'en'), tenant.timezone if tenant else 'UTC'))
        if tenant is None:
            return self.app if path.startswith(('/setup', '/language', '/favicon.ico')) else await plain.no_tenant()
        arrival = await arriving(read_cookie(headers, self.cookie))
        if arrival and arrival.tenant_id != tenant.id:
            arrival = None
        state['arrival'] = arrival
        if path.startswith(OPEN):
            return self.app
        if arrival is None:
            return RedirectResponse(_sign_in(path, scope), 303)
        return await self._signed_in(scope, path, arrival)

    async def _signed_in(self, scope: Scope, path: str, arrival: Arrival) -> ASGIApp:
        """On their side, and for a client in one of their companies; or sent there, without learning anything."""
        last = Request(scope).cookies.get('portal-company')
        if arrival.side == 'staff':
            visit: Visit | None = arrival.staff()
            if _below(path, CLIENT) and path.rstrip('/') != CLIENT:
                visit = await looking(arrival, path.split('/')[2])
                if visit and scope['method'] == 'POST':
                    scope['state']['visit'] = visit
                    return plain.only_looking()
            elif not _below(path, MSP) and not path.startswith('/me/'):
                visit = None
            if visit is None:
                return RedirectResponse(MSP, 303)
        else:
            home = last if last in arrival.slugs else next(iter(arrival.slugs), None)
            if home is None:
                return plain.belongs_nowhere(arrival)
            if path.startswith('/me/'):
                visit = arrival.client(home)
            elif not _below(path, CLIENT) or path.rstrip('/') == CLIENT:
                return RedirectResponse(f'{CLIENT}/{home}', 303)
            else:
                slug = path.split('/')[2]
                visit = arrival.client(slug)
                if visit is None and slug in ('tickets', 'settings'):  # a link without the company: the portal adds it
                    rest = quote(path[len(CLIENT) :], safe='/') + _query(scope)
                    return RedirectResponse(f'{CLIENT}/{home}{rest}', 303)
                if visit is None and (now := await moved(arrival, slug)):
                    rest = quote(path[len(f'{CLIENT}/{slug}') :], safe='/') + _query(scope)
                    return RedirectResponse(f'{CLIENT}/{now}{rest}', 303)
        if visit is None:
            await note_denied(arrival.token, path)
            i18n.speak(arrival.staff().by.voice)
            return plain.not_found(arrival)
        scope['state']['visit'] = visit
        i18n.speak(visit.by.voice)
        theme.set(visit.by.theme)
        return self.app

    def _node_cookie(self, scope: Scope, headers: Headers) -> str:
        """By which the proxy leads the browser back to this process, where its page lives. Not on files, which are cached."""
        node = self.settings.node
        if not node or scope['path'].startswith(('/static/', '/_nicegui')) or read_cookie(headers, NODE) == node:
            return ''
        return f'{NODE}={node}; Path=/; HttpOnly; SameSite=Lax' + ('; Secure' if self.settings.secure else '')

    def _our_origin(self, headers: Headers) -> bool:
        return headers.get('origin') == f'{self.scheme}://{headers.get("host")}'

    def _may_speak(self, scope: Scope, headers: Headers) -> bool:
        """A socket, or a route that belongs to one page: by Origin and by the session that loaded the page."""
        if scope['path'].startswith(PER_CLIENT):
            named = scope['path'].split('/')[3]
            from_us = scope.get('method') in ('GET', 'HEAD') or self._our_origin(headers)
        else:
            named = named_in(scope)
            from_us = self._our_origin(headers)
        return from_us and belongs(named, read_cookie(headers, self.cookie))


def named_in(scope: Scope) -> str:
    """The page that a socket says it belongs to."""
    return parse_qs(scope.get('query_string', b'').decode('latin-1')).get('client_id', [''])[0]


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(root + '/')


def _query(scope: Scope) -> str:
    return '?' + scope['query_string'].decode('latin-1') if scope['query_string'] else ''


def _sign_in(path: str, scope: Scope) -> str:
    side = MSP if _below(path, MSP) else CLIENT
    deep = scope['method'] == 'GET' and path not in ('/', MSP, CLIENT)
    return SIGN_IN[side] + (f'?next={quote(path + _query(scope), safe="")}' if deep else '')


def read_cookie(headers: Headers, name: str) -> str | None:
    try:
        jar = SimpleCookie(headers.get('cookie', ''))
    except CookieError:
        return None
    return jar[name].value if name in jar else None


def belongs(client_id: str, cookie: str | None) -> bool:
    """Whether the page was loaded by the session of this cookie."""
    client = Client.instances.get(client_id)
    owner = visit_of(client) if client else None
    return bool(owner and cookie and secrets.compare_digest(owner.token, token_of(cookie)))


async def refused(scope: Scope, receive: Receive, send: Send) -> None:
    if scope['type'] == 'websocket':
        await receive()
        await send({'type': 'websocket.close', 'code': 4403})
    else:
        await PlainTextResponse('forbidden', 403)(scope, receive, send)


# ---------- what goes out ----------

_HEADERS = {
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
}


def policy(nonce: str, *, page: bool) -> str:
    """The Content-Security-Policy. NiceGUI's pages compile templates in the browser and write style attributes; plain pages
    do neither."""
    scripts = f"'self' 'nonce-{nonce}'" + (" 'unsafe-eval'" if page else '')
    styles = "'self' 'unsafe-inline'" if page else f"'self' 'nonce-{nonce}'"
    return (
        f"default-src 'none'; script-src {scripts}; style-src {styles}; img-src 'self' data: blob:; font-src 'self'; "
        "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    )


class _Outward:
    """Puts the headers on every answer, and the nonce into the scripts of NiceGUI's pages."""

    def __init__(self, send: Send, state: dict[str, Any], *, secure: bool, cookie: str = '') -> None:
        self.forward, self.state, self.nonce, self.secure, self.cookie = send, state, state['nonce'], secure, cookie
        self.start: Message | None = None
        self.body = b''

    async def send(self, message: Message) -> None:
        if message['type'] == 'http.response.start':
            headers = MutableHeaders(scope=message)
            page = headers.get('x-nicegui-content') == 'page'
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers['x-request-id'] = request_id.get()
            headers.setdefault('content-security-policy', policy(self.nonce, page=page))
            if self.cookie:
                headers.append('set-cookie', self.cookie)
            if self.secure:
                headers.setdefault('strict-transport-security', 'max-age=31536000')
            if 'cache-control' not in headers:
                headers['cache-control'] = 'no-store'
            if page:
                self.start = message  # its length changes
                return None
        elif self.start and message['type'] == 'http.response.body':
            self.body += message.get('body', b'')
            if message.get('more_body'):
                return None
            start, self.start = self.start, None
            body = completed(self.body, self.nonce, self.state.get('html', ''))
            self.body = b''  # the page keeps its request, and that this object, as long as it is open
            MutableHeaders(scope=start)['content-length'] = str(len(body))
            await self.forward(start)
            return await self.forward({'type': 'http.response.body', 'body': body})
        await self.forward(message)


_SCRIPT = re.compile(rb'<script(?=[\s>])')
_DEFERRED = re.compile(rb'<script defer src="(/_nicegui/[^"]+)">')


def _later(html: bytes) -> bytes:
    """NiceGUI's scripts wait until the first paint has been seen (`static/js/shell.js` starts them): run at once, they keep
    the rest of the page from the screen. They are fetched meanwhile."""
    fetched = _DEFERRED.sub(
        rb'<link rel="preload" as="script" fetchpriority="low" href="\1"><script type="text/plain" data-later="script" data-src="\1">',
        html,
    )
    return fetched.replace(b'<script type="module">', b'<script type="text/plain" data-later="module">')


def completed(html: bytes, nonce: str, attributes: str) -> bytes:
    """Every script element of NiceGUI's template gets the nonce, and `<html>` the attributes that our stylesheet reads.

    The first paint between gets none: what people wrote is escaped there, and would it ever not be, it still would not run.
    `attributes` are fixed words.
    """
    before, opens, rest = html.partition(FIRST_PAINT_OPENS.encode())
    inside, closes, after = rest.rpartition(FIRST_PAINT_CLOSES.encode())
    named = b'<script nonce="' + nonce.encode() + b'"'
    before, after = (_later(part) if opens else part for part in (before, after))
    before = _SCRIPT.sub(named, before).replace(b'<html', b'<html' + attributes.encode(), 1)
    return before + opens + inside + closes + _SCRIPT.sub(named, after)


# ---------- sockets ----------

FRAMES = ('event', 'javascript_response', 'ack', 'log')
#: All that NiceGUI 3.18 listens to. A new name would be a way past the fence: then the portal does not start.
KNOWN = {*FRAMES, 'connect', 'disconnect', 'handshake'}


def install() -> None:
    """Every frame that names a page must come through that page's socket, and speaks in its person's language."""
    handlers = core.sio.handlers['/']
    if not set(handlers) <= KNOWN:
        raise RuntimeError(f'NiceGUI listens to more than the guard knows: {set(handlers) - KNOWN}')
    core.sio.eio.transports = ['websocket']
    for name in FRAMES:
        core.sio.on(name, _only_own(_reported if name == 'log' else handlers[name], name))
    # a page that the browser fetched in advance shakes hands by a frame of its own
    core.sio.on('handshake', _of_the_page_it_came_for(handlers['handshake']))


def _reported(_sid: str, message: Any) -> None:
    """What a script of a page complains of. Its words are the browser's: anybody could fill the log with them."""
    log.warning('a page reports: %s', message['level'] if message['level'] in ('warning', 'error') else 'something')


def _of_the_page_it_came_for(handler: Any) -> Any:
    async def checked(sid: str, data: Any = None) -> bool:
        scope = (core.sio.get_environ(sid) or {}).get('asgi.scope') or {}
        if isinstance(data, dict) and data.get('client_id') and data['client_id'] == named_in(scope):
            return await handler(sid, data)
        log.warning('refused handshake: a socket wants to belong to one more page')
        return False

    return checked


def _only_own(handler: Any, name: str) -> Any:
    def checked(sid: str, message: Any) -> None:
        named = message.get('client_id') if isinstance(message, dict) else None
        rooms: Iterable[str] = core.sio.rooms(sid)
        client = Client.instances.get(named) if isinstance(named, str) and named in rooms else None
        if client is None:
            log.warning('refused %s: a socket speaks for a page that is not its own', name)
            return
        if owner := visit_of(client):
            i18n.speak(owner.by.voice)
        try:
            handler(sid, message)
        except (KeyError, TypeError, ValueError, AttributeError) as e:
            log.warning('refused %s: %s', name, type(e).__name__)  # no frame of our scripts

    return checked


async def leave(client: Client, to: str) -> None:
    """The page ends: the browser leaves; elements, timers and subscriptions die."""
    if not client.is_deleted:
        await core.sio.emit('open', {'path': to, 'new_tab': False}, room=client.id)
        client.delete()


def forget_html(client: Client) -> None:
    """It was sent: NiceGUI would keep the whole first paint, 70 KB of it, as long as the page is open."""
    client._body_html = ''  # pyright: ignore[reportPrivateUsage]


def forget(client: Client) -> None:
    """A page that ended leaves nothing behind: neither what named it and is named by it, nor the storage of its tab, which NiceGUI
    keeps for every tab there ever was, and the portal does not use."""
    client.connect_handlers.clear()
    client.delete_handlers.clear()
    core.app.storage._tabs.pop(client._pinned_tab_id or '', None)  # pyright: ignore[reportPrivateUsage]


def over(client: Client) -> str:
    """Where a page goes whose session is over."""
    owner = visit_of(client)
    if owner and owner.viewing:  # the session of the staff may live yet
        return f'{MSP}/people/{owner.by.user_id}?looked=over'
    back = f'&next={quote(address_of(client), safe="")}' if owner else ''
    return (SIGN_IN[MSP] if owner and owner.by.is_staff else SIGN_IN[CLIENT]) + '?why=over' + back


def address_of(client: Client) -> str:
    """What the page shows now: screens change without loading."""
    request = client.request
    query = f'?{request.url.query}' if request.url.query else ''
    return getattr(request.state, 'address', '') or request.url.path + query


__all__ = ['Guard', 'Response', 'install', 'leave', 'over']
