"""`/auth/confirm`: before a delicate action somebody who is signed in proves anew who they are, by the strongest thing they have."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal import i18n, visit
from portal.components.plain import Door
from portal.components.values import Action, MenuItem
from portal.guard import CLIENT, MSP, SIGN_IN
from portal.i18n import _
from portal.pages.auth import asking, passwords, plain, throttle
from portal.pages.auth.forms import ROOT, Side, next_for, typed
from portal.pages.auth.methods import strongest_of
from portal.pages.auth.methods.kinds import Person
from portal.pages.screens import CONFIRM
from portal.visit import Arrival


async def show(request: Request) -> Response:
    arrival: Arrival | None = request.state.arrival
    if arrival is None:
        return _signed_out(request)
    person = _person(arrival)
    i18n.speak(arrival.voice)
    methods = await strongest_of(person)
    if not methods:
        return _nothing(request, person)
    return await asking.page(
        request, person, methods, _door(person), next=_next(request, person), links=(_back(request, person),)
    )


async def take(request: Request) -> Response:
    fields = await typed(request)
    arrival: Arrival | None = request.state.arrival
    if arrival is None:
        return _signed_out(request)
    person = _person(arrival)
    i18n.speak(arrival.voice)
    methods = await strongest_of(person)
    if not methods:
        return _nothing(request, person)
    method, onward = asking.chosen(request, methods), _next(request, person)
    links = (_back(request, person),)
    try:
        wrong = await asking.attempt(request, person, method, fields)
    except (throttle.TooSoon, passwords.Busy) as e:
        return await asking.try_again(request, person, methods, _door(person), e, next=onward, links=links)
    if wrong:
        return await asking.page(
            request, person, methods, _door(person), wrong=wrong, status=422, next=onward, links=links
        )  # fmt: skip
    if not await proved(arrival.token, method.proof):
        return _signed_out(request)
    return RedirectResponse(onward, 303)


async def proved(token: bytes, proof: str) -> bool:
    """The session knows it for the next minutes. False: it is over."""
    return (await visit.database.ask('select app.prove(:token, :proof)', token=token, proof=proof))[0]


def _person(arrival: Arrival) -> Person:
    facts = arrival.facts
    side: Side = 'staff' if arrival.side == 'staff' else 'client'
    return Person(arrival.tenant_id, arrival.user_id, facts['name'], facts['email'], side)


def _door(person: Person) -> Door:
    return Door(_('Is it you, {name}?', name=person.name.split()[0]), CONFIRM,
                _('What you are about to do needs a fresh proof. It is good for 15 minutes.'))  # fmt: skip


def _next(request: Request, person: Person) -> str:
    return next_for(person.side, request.query_params.get('next')) or ROOT[person.side]


def _back(request: Request, person: Person) -> MenuItem:
    return MenuItem(_('Back without it'), _next(request, person))


def _signed_out(request: Request) -> Response:
    onward = request.query_params.get('next', '')
    side: Side = 'staff' if next_for('staff', onward) else 'client'
    query = f'?next={quote(onward, safe="")}' if next_for(side, onward) else ''
    return RedirectResponse(SIGN_IN[MSP if side == 'staff' else CLIENT] + query, 303)


def _nothing(request: Request, person: Person) -> Response:
    """Of whoever comes in by something that cannot be asked for again here."""
    words = _('Please sign out and in again; then go on where you were.')
    return plain.message(
        request, 403, _('A fresh proof is needed'), words, side=person.side, sign_out=True,
        actions=(Action(_('Back without it'), href=_next(request, person)),),
    )  # fmt: skip
