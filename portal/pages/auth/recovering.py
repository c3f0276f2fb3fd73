"""The links of somebody who has lost a factor: to stop the help that was begun, and to use it.

Using it takes the link and the password: the link is kept in the browser while one signs in, and in place of the second step the way
leads to setting up a new factor.
"""

from typing import Any
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal import links, visit
from portal.components.plain import Door
from portal.components.render import render
from portal.components.values import Action
from portal.guard import CLIENT, MSP, SIGN_IN, small_cookie
from portal.i18n import _, _m
from portal.pages.auth import plain
from portal.pages.auth.forms import Side, typed
from portal.settings import Settings

USE, STOP = '/auth/recovery', '/auth/recovery/stop'
COOKIE, HALF_AN_HOUR = 'portal-recovery', 30 * 60  # seconds


async def _found(request: Request, recovery: UUID | None) -> Any:
    if recovery is None:
        return None
    question = 'select user_id, name, user_type, started_by, ready_at, state from app.recovery_at_door(:tenant, :id)'
    return await visit.database.ask(question, tenant=request.state.tenant.id, id=recovery)


# ---------- that was not me ----------


async def show_stop(request: Request) -> Response:
    token = request.query_params.get('token', '')
    found = await _found(request, links.recovery_of(request.state.settings, token, 'stop'))
    if found is None or found.state not in ('waiting', 'ready'):
        return _over(request, found)
    form = render('auth/recovery_stop.html', token=token)
    lead = _m('<b>{name}</b> says that you have lost what you sign in with.', name=found.started_by)
    return _secret(
        plain.door(request, _side(found), Door(_('Have you lost nothing?'), STOP, lead), form, here=f'{STOP}?token={token}')
    )


async def take_stop(request: Request) -> Response:
    recovery = links.recovery_of(request.state.settings, (await typed(request)).get('token', ''), 'stop')
    found = await _found(request, recovery)
    question = 'select app.refuse_recovery(:tenant, :id)'
    if found is None or not (await visit.database.ask(question, tenant=request.state.tenant.id, id=recovery))[0]:
        return _over(request, found)
    words = _('What you sign in with goes on working. {name} is told that it was not you.', name=found.started_by)
    return plain.message(request, 200, _('It is stopped'), words, label=_('Nothing was changed'), side=_side(found))


# ---------- setting up a new one ----------


async def show_use(request: Request) -> Response:
    token = request.query_params.get('token', '')
    found = await _found(request, links.recovery_of(request.state.settings, token, 'use'))
    if found is None or found.state != 'ready':
        return _over(request, found)
    form = render('auth/recovery_use.html', token=token)
    door = Door(
        _('Set up a new second factor'), USE, _m('for <b>{name}</b>, at {msp}', name=found.name, msp=request.state.tenant.name)
    )
    return _secret(plain.door(request, _side(found), door, form, here=f'{USE}?token={token}'))


async def take_use(request: Request) -> Response:
    """On to the password: the link alone opens nothing."""
    token = (await typed(request)).get('token', '')[:2000]
    found = await _found(request, links.recovery_of(request.state.settings, token, 'use'))
    if found is None or found.state != 'ready':
        return _over(request, found)
    settings: Settings = request.state.settings
    response = RedirectResponse(f'{SIGN_IN[MSP if _side(found) == "staff" else CLIENT]}?why=recovery', 303)
    name = small_cookie(settings, COOKIE)
    response.set_cookie(name, token, max_age=HALF_AN_HOUR, path='/auth', secure=settings.secure, httponly=True, samesite='lax')
    return response


async def helps(request: Request, user: UUID) -> bool:
    """Whether this browser has opened the link of a recovery of this person, who has just proved that they know the password."""
    return await of(request, user) is not None


async def of(request: Request, user: UUID) -> UUID | None:
    recovery = links.recovery_of(
        request.state.settings, request.cookies.get(small_cookie(request.state.settings, COOKIE), ''), 'use'
    )
    found = await _found(request, recovery)
    return recovery if found is not None and found.user_id == user and found.state == 'ready' else None


def forget(request: Request, response: Response) -> None:
    settings: Settings = request.state.settings
    name = small_cookie(settings, COOKIE)
    response.delete_cookie(name, path='/auth', secure=settings.secure, httponly=True, samesite='lax')


def _side(found: Any) -> Side:
    return 'staff' if found.user_type == 'internal' else 'client'


def _over(request: Request, found: Any) -> Response:
    words = {
        'stopped': _('It was stopped. What you sign in with goes on working.'),
        'used': _('It was used already.'),
        'waiting': _('Its time has not come yet: wait for the letter with the link.'),
    }.get(found.state if found is not None else '', _('It is too old, or was cut short by the mail program.'))
    actions = (
        Action(_('Sign in'), href=SIGN_IN[CLIENT], kind='primary'),
        Action(_('Staff sign-in'), href=SIGN_IN[MSP], kind='quiet'),
    )
    return _secret(
        plain.message(request, 410, _('This link does nothing'), words, label=_('Nothing was changed'), actions=actions)
    )


def _secret(response: Response) -> Response:
    """The token in the address goes nowhere (see `reset`)."""
    response.headers['referrer-policy'] = 'strict-origin'
    return response
