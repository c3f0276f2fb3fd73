"""Asking a person for a proof: the page, and an attempt. What asks are the second step of signing in, and `/auth/confirm`."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from portal import visit
from portal.components.plain import Door
from portal.components.render import render
from portal.components.values import MenuItem
from portal.domain.base import uuid7
from portal.i18n import _
from portal.pages.auth import passwords, plain, sessions, throttle
from portal.pages.auth.methods import SECOND
from portal.pages.auth.methods.kinds import Method, Person


def chosen(request: Request, methods: Sequence[Method]) -> Method:
    """The one in the address, if the person has it; else the best."""
    wanted = request.query_params.get('with')
    return next((method for method in methods if method.key == wanted), methods[0])


async def attempt(request: Request, person: Person, method: Method, fields: Mapping[str, str]) -> str:
    """'' for a proof; else what is wrong, in words. Counted before it is looked at; raises throttle.TooSoon and passwords.Busy."""
    if words := method.missing(fields):
        return words
    counted = await throttle.reserve(*await _buckets(request, person))
    try:
        good = await method.is_right(request, person, fields)
    except passwords.Busy:
        await counted.was_none()
        raise
    if good:
        await counted.was_good()
        return ''
    letter = uuid7() if await counted.failures() == throttle.PROOF_LETTER_AT else None
    await visit.database.ask(
        'select app.proof_refused(:tenant, :user, :method, :letter)',
        tenant=person.tenant, user=person.user, method=method.key, letter=letter,
    )  # fmt: skip
    return method.wrong()


async def _buckets(request: Request, person: Person) -> tuple[throttle.Bucket, ...]:
    """Who knows the password elsewhere does not make the person wait at their own computer. The first counts all of them."""
    device = await sessions.known_device(request, person.tenant, person.user)
    counted = throttle.second_anywhere(person.tenant, person.user), throttle.second(person.tenant, person.user, device)
    return (*counted, throttle.second_known(person.tenant, person.user)) if device else counted


async def page(
    request: Request, person: Person, methods: Sequence[Method], door: Door, *, wrong: str = '', status: int = 200,
    next: str = '', links: tuple[MenuItem, ...] = (),
) -> Response:  # fmt: skip
    """`door.action` is the address of the page, to which the method and `next` are added."""
    method = chosen(request, methods)
    others = [(other, _to(door.action, other, next)) for other in methods if other is not method]
    form = render('auth/asking.html', form=await method.form(request, person, wrong), others=others, lost=method in SECOND)
    door = Door(door.title, _to(door.action, method, next), door.lead, aside=aside(request))
    return plain.door(request, person.side, door, form, status, here=door.action, links=links)


async def try_again(
    request: Request, person: Person, methods: Sequence[Method], door: Door, error: Exception, **more: object
) -> Response:  # fmt: skip
    """After TooSoon or Busy."""
    if isinstance(error, throttle.TooSoon):
        return plain.after(
            await page(request, person, methods, door, wrong=error.words, status=429, **more), error.seconds  # pyright: ignore
        )  # fmt: skip
    words = _('The portal is busy just now, please try again in a moment.')
    return plain.after(await page(request, person, methods, door, wrong=words, status=503, **more), 5)  # pyright: ignore


def _to(address: str, method: Method, next: str) -> str:
    return f'{address}?{urlencode({"with": method.key} | ({"next": next} if next else {}))}'


def aside(request: Request) -> tuple[str, str]:
    return (
        _('Nobody from {msp} ever asks you for this.', msp=request.state.tenant.short_name),
        _('Not by phone, not by mail, not in a chat. If someone does, hang up and call us.'),
    )
