"""The second step of signing in: whoever knows the password shows that they also have the second factor."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal.components.plain import Door
from portal.components.values import MenuItem
from portal.i18n import _
from portal.pages.auth import asking, entering, passwords, throttle
from portal.pages.auth.forms import Side, side_of, typed
from portal.pages.auth.methods import second_of
from portal.pages.auth.signin import SIGNIN


async def show(request: Request) -> Response:
    side = side_of(request)
    waiting = await entering.waiting(request, side)
    if waiting is None:
        return _late(request, side)
    methods = await second_of(waiting.person)
    return (
        await asking.page(request, waiting.person, methods, _door(side, waiting), links=(_other(side),))
        if methods
        else _late(request, side)
    )


async def take(request: Request) -> Response:
    side, fields = side_of(request), await typed(request)
    waiting = await entering.waiting(request, side)
    methods = await second_of(waiting.person) if waiting else []
    if waiting is None or not methods:
        return _late(request, side)
    person, door, method = waiting.person, _door(side, waiting), asking.chosen(request, methods)
    try:
        wrong = await asking.attempt(request, person, method, fields)
    except (throttle.TooSoon, passwords.Busy) as e:
        return await asking.try_again(request, person, methods, door, e, links=(_other(side),))
    if wrong:
        return await asking.page(request, person, methods, door, wrong=wrong, status=422, links=(_other(side),))
    return await entering.came(request, side, person.user, (*waiting.proofs, method.proof), waiting.next)


def _door(side: Side, waiting: entering.Waiting) -> Door:
    first = waiting.person.name.split()[0]
    lead = _('Your password was right. Now the second factor.') if 'password' in waiting.proofs else _('Now your second factor.')
    return Door(_('Is it you, {name}?', name=first), entering.SECOND[side], lead)


def _other(side: Side) -> MenuItem:
    return MenuItem(_('Sign in as someone else'), SIGNIN[side])


def _late(request: Request, side: Side) -> Response:
    """There is nothing to go on with: the first step is asked for anew."""
    if request.state.arrival:
        return RedirectResponse('/', 303)
    response = RedirectResponse(f'{SIGNIN[side]}?why=late', 303)
    entering.forget(request, response)
    return response
