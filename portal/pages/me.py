"""What somebody who is signed in chooses for themselves, from any page: light or dark, and the language."""

from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from portal import visit as visits
from portal.db.engine import SignedOut
from portal.domain import people
from portal.domain.base import Wrong
from portal.guard import CLIENT, MSP, SIGN_IN, cookie_name, read_cookie
from portal.i18n import _
from portal.pages.auth import plain
from portal.pages.auth.forms import local_path, typed
from portal.pages.auth.small import remember_language
from portal.visit import Visit, token_of

router = APIRouter()


async def theme(request: Request) -> Response:
    chosen = (await typed(request)).get('theme', '')
    return await _change(request, theme=chosen)


async def language(request: Request) -> Response:
    chosen = (await typed(request)).get('language', '')
    response = await _change(request, language=chosen)
    if response.status_code in (204, 303):
        remember_language(request, response, chosen)  # for the sign-in page
    return response


async def _change(request: Request, *, theme: str | None = None, language: str | None = None) -> Response:
    visit: Visit = request.state.visit
    try:
        async with visit.work() as db:
            await people.change_profile(db, visit.by, theme=theme, language=language)
    except SignedOut:
        return RedirectResponse(SIGN_IN[MSP if visit.by.is_staff else CLIENT] + '?why=over', 303)
    except Wrong as e:
        words = next(iter(e.fields.values()))
        return plain.message(request, 422, _('Nothing was changed'), words, label=_('Not taken'), side=visit.by.side)
    if request.headers.get('sec-fetch-mode', 'navigate') != 'navigate':
        return Response(status_code=204)
    return RedirectResponse(_back(request), 303)


def _back(request: Request) -> str:
    """The page the form stood on, if it is one of ours."""
    came_from = urlsplit(request.headers.get('referer', ''))
    if came_from.netloc != request.headers.get('host'):
        return '/'
    return local_path(came_from.path + (f'?{came_from.query}' if came_from.query else '')) or '/'


async def session(request: Request) -> Response:
    """How many seconds the session of this browser lasts yet. To ask does not keep it alive; POST says that somebody is there."""
    cookie = read_cookie(request.headers, cookie_name(request.state.settings))
    if not cookie or len(cookie) > 200:
        return Response(status_code=401)
    function = 'stay' if request.method == 'POST' else 'session_left'
    row = await visits.database.ask(f'select app.{function}(:token)', token=token_of(cookie))
    left = row[0] if row else None
    return JSONResponse({'left': left}) if left else Response(status_code=401)


router.add_route('/me/session', session, ['GET', 'POST'])
router.add_route('/me/theme', theme, ['POST'])
router.add_route('/me/language', language, ['POST'])
