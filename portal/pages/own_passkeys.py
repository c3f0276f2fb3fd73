"""A new passkey of somebody who is signed in: what the device is asked, and what it has made."""

from urllib.parse import urlencode

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from portal import passkeys
from portal.db.engine import SignedOut
from portal.domain.access import NotAllowed, ProofNeeded, need_fresh
from portal.domain.base import Wrong
from portal.domain.passkeys import add_passkey, mine, my_handle
from portal.guard import CLIENT, MSP, SIGN_IN
from portal.i18n import _
from portal.pages.auth import passkeys as door
from portal.pages.auth.forms import typed
from portal.pages.auth.sessions import device_words
from portal.pages.screens import CONFIRM
from portal.visit import Visit

router = APIRouter()
OPTIONS, ADD = '/me/passkeys/options', '/me/passkeys'


async def options(request: Request) -> Response:
    """Asks for a fresh proof first: a device that was left open gives nobody a way in for later."""
    visit: Visit = request.state.visit
    try:
        async with visit.work() as db:
            await need_fresh(db)
            handle, known = await my_handle(db), [(key.credential, key.transports) for key in await mine(db)]
    except ProofNeeded:
        return JSONResponse({'go': _confirm(visit)}, 403)
    except SignedOut:
        return JSONResponse({'go': _signed_out(visit)}, 403)
    made, cookie = door.challenge(request, 'register', visit.by.user_id)
    by = visit.by
    return door.asking(
        request,
        passkeys.creation(
            door.here(request), made, handle=handle, email=by.email, name=by.name, house=by.tenant.name, known=known
        ),
        cookie,
    )


async def add(request: Request) -> Response:
    visit: Visit = request.state.visit
    try:
        credential, asked = await door.answer(request, (await typed(request)).get('credential', ''), 'register')
        if asked.user != visit.by.user_id:
            raise passkeys.NotGood
        made = passkeys.made(door.here(request), asked, credential)
        async with visit.work() as db:
            await add_passkey(db, visit.by, made, name_for(request, made))
    except ProofNeeded:
        return RedirectResponse(_confirm(visit), 303)
    except SignedOut:
        return RedirectResponse(_signed_out(visit), 303)
    except (passkeys.NotGood, Wrong, NotAllowed):
        return RedirectResponse(f'{_security(visit)}?passkey=none', 303)
    return RedirectResponse(f'{_security(visit)}?passkey=added', 303)


def name_for(request: Request, made: passkeys.Made) -> str:
    """What the person will know it by; they can change it."""
    if made.built_in:
        return device_words(request.headers.get('user-agent', ''))
    return _('Phone or tablet') if 'hybrid' in made.transports else _('Security key')


def _security(visit: Visit) -> str:
    return f'{visit.root}/settings/security'


def _confirm(visit: Visit) -> str:
    return f'{CONFIRM}?{urlencode({"next": _security(visit)})}'


def _signed_out(visit: Visit) -> str:
    return SIGN_IN[MSP if visit.by.is_staff else CLIENT] + '?why=over'


router.add_route(OPTIONS, options, ['POST'])
router.add_route(ADD, add, ['POST'])
