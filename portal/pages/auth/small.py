"""What is asked for beside the doors: is the portal alive, its mark, its language."""

import asyncio
import logging
from typing import Any

from markupsafe import escape
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from portal import visit
from portal.db.migrate import HEAD
from portal.i18n import LANGUAGES
from portal.pages.auth.forms import local_path
from portal.room import LEAST, room
from portal.settings import Settings

log = logging.getLogger('portal.ready')
LANGUAGE, YEAR = 'portal-language', 365 * 24 * 3600
PATIENCE = 2.0  # seconds
SILENT = 60  # seconds: a worker is heard of every ten


async def healthz(_request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse('ok')


async def readyz(request: Request) -> Response:
    """It can work: the database answers in time and has our tables, and there is room. Whether jobs are done is told, but pages
    are answered without: where several processes serve, a worker that is away must not take all of them out of service."""
    asking = asyncio.create_task(visit.database.ask('select app.pulse()'))
    done, _late = await asyncio.wait({asking}, timeout=PATIENCE)  # wait_for would wait until the question is taken back
    if not done:
        asking.cancel()
        asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # its end interests nobody
    elif not (problem := asking.exception()):
        return _told(asking.result()[0], request.state.settings)
    else:
        log.warning('not ready: %s', type(problem).__name__)
    return _ready({'database': 'does not answer'})


def _told(pulse: dict[str, Any], settings: Settings) -> Response:
    silence = pulse['worker_silence']
    late = silence is None or silence > SILENT
    return _ready({
        'database': 'ok',
        'tables': 'ok' if pulse['version'] == HEAD else f'at {pulse["version"]}, wanted {HEAD}',
        'disk': 'ok' if room(settings.data)[0] > LEAST else 'full',
    }, worker='late' if late else 'ok')  # fmt: skip


def _ready(found: dict[str, str], **told: str) -> Response:
    """One line for each part; the first says whether requests may be sent here."""
    ready = all(state == 'ok' for state in found.values())
    lines = ['ok' if ready else 'not ready', *(f'{name}: {state}' for name, state in (found | told).items())]
    return PlainTextResponse('\n'.join(lines) + '\n', 200 if ready else 503, headers={} if ready else {'retry-after': '5'})


async def robots(_request: Request) -> Response:
    return PlainTextResponse('User-agent: *\nDisallow: /\n')


async def favicon(request: Request) -> Response:
    """The brand mark: a rounded square with the first letter of the MSP. Attributes only: no style needs to be allowed."""
    tenant = request.state.tenant
    letter = escape((tenant.name.strip() if tenant else '')[:1].upper() or 'P')
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><rect width="24" height="24" rx="6" fill="#1c1915"/>'
        '<text x="12" y="17.2" text-anchor="middle" font-family="Inter, Helvetica, Arial, sans-serif" font-size="14.5" '
        f'font-weight="650" fill="#faf8f6">{letter}</text></svg>'
    )
    return Response(svg, media_type='image/svg+xml', headers={'cache-control': 'private, max-age=3600'})


async def language(request: Request) -> Response:
    """Remembered for a year, for the pages before one signs in; afterwards the profile counts."""
    response = RedirectResponse(local_path(request.query_params.get('back')) or '/', 303)
    if (chosen := request.query_params.get('to', '')) in LANGUAGES:
        remember_language(request, response, chosen)
    return response


def remember_language(request: Request, response: Response, chosen: str) -> None:
    secure = request.state.settings.secure
    response.set_cookie(LANGUAGE, chosen, max_age=YEAR, path='/', secure=secure, httponly=True, samesite='lax')
