"""What is asked for beside the doors: is the portal alive, its mark, its language."""

import asyncio
import logging

from markupsafe import escape
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from portal import visit
from portal.i18n import LANGUAGES
from portal.pages.auth.forms import local_path

log = logging.getLogger('portal.ready')
LANGUAGE, YEAR = 'portal-language', 365 * 24 * 3600
PATIENCE = 2.0  # seconds


async def healthz(_request: Request) -> Response:
    """The process answers."""
    return PlainTextResponse('ok')


async def readyz(_request: Request) -> Response:
    """It can work: the database answers, in time."""
    asking = asyncio.create_task(visit.database.ask('select 1'))
    done, _late = await asyncio.wait({asking}, timeout=PATIENCE)  # wait_for would wait until the question is taken back
    if not done:
        asking.cancel()
        asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # its end interests nobody
    elif not (problem := asking.exception()):
        return PlainTextResponse('ok')
    else:
        log.warning('not ready: %s', type(problem).__name__)
    return PlainTextResponse('the database does not answer', 503, headers={'retry-after': '5'})


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
