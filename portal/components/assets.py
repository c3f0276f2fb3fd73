"""The files a browser needs, bundled and addressed by their content.

An address such as `/static/3f9a0c51be42/app.css` never changes its meaning, so it is cached for ever; brotli and gzip are
made once and kept. `Static` gives NiceGUI's own files the same treatment: stock, they are compressed anew for each visitor.
"""

import asyncio
import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path

import brotli
import nicegui
from nicegui import dependencies
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

STATIC = Path(__file__).parent / 'static'
PREFIX = '/static'

_PLAIN_CSS = ('css/tokens.css', 'css/components.css', 'css/popovers.css', 'css/forms.css', 'css/plain.css', 'css/gallery.css')
_BUNDLES: dict[str, tuple[str, ...]] = {
    'portal.css': (*_PLAIN_CSS, 'css/touch.css'),
    'app.css': (*_PLAIN_CSS, 'css/quasar.css', 'css/live.css', 'css/touch.css'),
    'plain.js': ('js/portal.js', 'js/passkeys.js'),
    'app.js': (
        'vendor/idiomorph.min.js',
        'js/shell.js',
        'js/portal.js',
        'js/writing.js',
        'js/keys.js',
        'js/connection.js',
        'js/passkeys.js',
        'js/idle.js',
    ),
}
_FILES = ('icons.svg', 'fonts/inter-latin.woff2', 'fonts/inter-latin-ext.woff2', 'fonts/vazirmatn-arabic.woff2')
_TYPES = {
    '.css': 'text/css; charset=utf-8',
    '.js': 'text/javascript; charset=utf-8',
    '.mjs': 'text/javascript; charset=utf-8',
    '.svg': 'image/svg+xml',
    '.woff2': 'font/woff2',
    '.woff': 'font/woff',
    '.map': 'application/json',
}
_COMPRESSED_ALREADY = {'.woff', '.woff2', '.png', '.jpg', '.jpeg', '.webp', '.gif', '.ico'}
_FOR_EVER = 'public, max-age=31536000, immutable'
_FONT = re.compile(r'url\("fonts/([\w.-]+)"\)')


@dataclass(slots=True)
class Stored:
    """A file in memory, with the encodings it is sent in; these are made at the first request, in a thread."""

    body: bytes
    suffix: str
    encoded: dict[str, bytes] = field(default_factory=dict[str, bytes])
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def media_type(self) -> str:
        return _TYPES.get(self.suffix) or mimetypes.guess_type(f'x{self.suffix}')[0] or 'application/octet-stream'

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:12]

    async def response(self, accept_encoding: str, cache: str = _FOR_EVER) -> Response:
        headers = {'cache-control': cache, 'x-content-type-options': 'nosniff', 'vary': 'Accept-Encoding'}
        encoding = _chosen(accept_encoding) if self.suffix not in _COMPRESSED_ALREADY else ''
        if not encoding:
            return Response(self.body, media_type=self.media_type, headers=headers)
        body = await self._in(encoding)
        return Response(body, media_type=self.media_type, headers=headers | {'content-encoding': encoding})

    async def _in(self, encoding: str) -> bytes:
        async with self.lock:
            if encoding not in self.encoded:
                self.encoded[encoding] = await asyncio.to_thread(_compressed, self.body, encoding)
        return self.encoded[encoding]


def _compressed(body: bytes, encoding: str) -> bytes:
    return brotli.compress(body, quality=9) if encoding == 'br' else gzip.compress(body, 9, mtime=0)


def _chosen(accept_encoding: str) -> str:
    """`br`, `gzip` or nothing (RFC 9110 §12.5.3; a weight of 0 refuses)."""
    accepted: set[str] = set()
    for part in accept_encoding.lower().split(','):
        name, _sep, weight = part.strip().partition(';')
        if not re.fullmatch(r'q=0(\.0*)?', weight.strip()):
            accepted.add(name.strip())
    return next((encoding for encoding in ('br', 'gzip') if encoding in accepted), '')


# ---------- ours ----------


def _load(folder: Path) -> dict[str, Stored]:
    """Files first: the bundles name the fonts by their hash."""
    stored = {name: Stored((folder / name).read_bytes(), Path(name).suffix) for name in _FILES}
    for name, parts in _BUNDLES.items():
        text = '\n'.join((folder / part).read_text('utf-8').strip() for part in parts) + '\n'
        text = _FONT.sub(lambda m: f'url("../{stored[f"fonts/{m[1]}"].digest}/fonts/{m[1]}")', text)
        stored[name] = Stored(text.encode(), Path(name).suffix)
    return stored


_stored = _load(STATIC)
_urls = {name: f'{PREFIX}/{stored.digest}/{name}' for name, stored in _stored.items()}


def url(name: str) -> str:
    """The address of a bundle or file: `portal.css`, `app.css`, `plain.js`, `app.js`, `icons.svg`, `fonts/…`; else KeyError."""
    return _urls[name]


icons_url: str = url('icons.svg')
preloads: tuple[str, ...] = (url('fonts/inter-latin.woff2'),)
"""What every page needs at once: for `<link rel="preload" as="font" crossorigin>`."""


async def _serve(request: Request) -> Response:
    stored = _stored.get(request.path_params['name'])
    if stored is None:
        return Response('Not found', 404, media_type='text/plain')
    # A page of the version before asks for its own hash: better today's file, uncached, than none
    current = request.path_params['digest'] == stored.digest
    return await stored.response(request.headers.get('accept-encoding', ''), _FOR_EVER if current else 'no-cache')


def routes() -> list[BaseRoute]:
    """For the application, before NiceGUI is mounted."""
    return [Route(PREFIX + '/{digest}/{name:path}', _serve, methods=['GET'])]


# ---------- NiceGUI's ----------

_NICEGUI = f'/_nicegui/{nicegui.__version__}/'
_NICEGUI_STATIC = Path(nicegui.__file__).parent / 'static'


class Static:
    """Answers for NiceGUI's static files, from memory; everything else goes on to the application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.stored: dict[str, Stored] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] == 'http' and scope['method'] in ('GET', 'HEAD') and scope['path'].startswith(_NICEGUI):
            stored = self.stored.get(scope['path']) or self._read(scope['path'])
            if stored:
                accepted = dict(scope['headers']).get(b'accept-encoding', b'').decode('latin-1')
                response = await stored.response(accepted)
                return await response(scope, receive, send)
        return await self.app(scope, receive, send)

    def _read(self, path: str) -> Stored | None:
        found = nicegui_file(path)
        if found:
            self.stored[path] = found
        return found


def nicegui_file(path: str) -> Stored | None:
    """What NiceGUI would send for an address of its own, or None where it is not a file of a known kind."""
    kind, _sep, rest = path.removeprefix(_NICEGUI).partition('/')
    key, _sep, inner = rest.partition('/')
    match kind:
        case 'static':
            return _inside(_NICEGUI_STATIC, rest)
        case 'components' if rest in dependencies.vue_components:
            return Stored(dependencies.vue_components[rest].script.encode(), '.js')
        case 'components' if rest in dependencies.js_components:
            return _file(dependencies.js_components[rest].path)
        case 'libraries' if rest in dependencies.libraries:
            return _file(dependencies.libraries[rest].path)
        case 'esm' if key in dependencies.esm_modules:
            return _inside(dependencies.esm_modules[key].path, inner)
        case 'resources' if key in dependencies.resources:
            return _inside(dependencies.resources[key].path, inner)
        case _:
            return None


def _inside(folder: Path, name: str) -> Stored | None:
    path = (folder / name).resolve()
    return _file(path) if path.is_relative_to(folder.resolve()) else None


def _file(path: Path) -> Stored | None:
    return Stored(path.read_bytes(), path.suffix) if path.is_file() else None
