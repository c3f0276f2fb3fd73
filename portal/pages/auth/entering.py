"""The one way in: whoever has proved something comes here. Either that is enough and the session begins, or more is asked for.

What waits between the two steps is a signed cookie: who it is, on which side, by what they proved it so far, and where they want to
go. It lives ten minutes, is sent to the doors alone, works in the browser that it was given to, and dies with the password.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal import visit
from portal.domain.base import now
from portal.guard import CLIENT, MSP, SIGN_IN, small_cookie
from portal.pages.auth import recovering, sessions, sso_offers
from portal.pages.auth.forms import ROOT, Side, next_for
from portal.pages.auth.methods.kinds import Person
from portal.pages.auth.sessions import Proof
from portal.settings import Settings
from portal.signing import BadData, Signer, signer

SET_UP: dict[Side, str] = {'client': '/auth/client-portal/set-up', 'staff': '/auth/msp/set-up'}
SECOND: dict[Side, str] = {'client': '/auth/client-portal/second', 'staff': '/auth/msp/second'}
COOKIE, MINUTES_10 = 'portal-second', 10 * 60  # seconds
SECURITY = '/settings/security'


async def came(
    request: Request, side: Side, user: UUID, proof: Proof | tuple[Proof, ...], next: str | None, *, at: datetime | None = None
) -> Response:
    """After somebody has proved who they are: the answer that leads them on. `next` is looked at again here. `at`: when they did so
    at a provider, where that alone is their proof; None where it does not say. What is asked for here was proved just now."""
    tenant = request.state.tenant.id
    proofs = proof if isinstance(proof, tuple) else (proof,)
    onward = next_for(side, next)
    if 'sso' not in proofs and await sso_offers.is_only_way(tenant, user):
        return await sso_offers.leads_to_only_way(request, side, tenant, user, onward)
    if await asks_more(tenant, user, proofs):
        step = SET_UP if await recovering.helps(request, user) else SECOND
        return await _to(step[side], request, side, user, proofs, onward)
    if await lacks(tenant, user, proofs):
        return await _to(SET_UP[side], request, side, user, proofs, onward)
    if 'recovery' in proofs:
        onward = f'{ROOT[side]}{SECURITY}?recovery=used'  # where the lost factor is replaced
    response = RedirectResponse(onward or '/', 303)
    if not await sessions.begin(request, response, tenant, user, *proofs, at=at if proofs == ('sso',) else now()):
        return RedirectResponse(f'{SIGN_IN[MSP if side == "staff" else CLIENT]}?why=over', 303)
    forget(request, response)
    return response


async def asks_more(tenant: UUID, user: UUID, proofs: tuple[Proof, ...]) -> bool:
    """Whether what was proved is too little for this person."""
    if len(set(proofs)) > 1 or 'passkey' in proofs:
        return False
    if (
        'sso' in proofs
        and not (await visit.database.ask('select app.sso_is_too_little(:tenant, :user)', tenant=tenant, user=user))[0]
    ):
        return False  # a provider's own factors count, unless a rule says otherwise
    return (await visit.database.ask('select app.has_factor(:tenant, :user)', tenant=tenant, user=user))[0]


async def lacks(tenant: UUID, user: UUID, proofs: tuple[Proof, ...]) -> bool:
    """Whether a factor is needed by now that this person has not: it is set up before a session begins."""
    question = 'select app.lacks_factor(:tenant, :user, :proofs)'
    return (await visit.database.ask(question, tenant=tenant, user=user, proofs=list(proofs)))[0]


# ---------- between the steps ----------


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody who has proved something, and not enough yet."""

    person: Person
    proofs: tuple[Proof, ...]
    next: str | None


def _serializer(settings: Settings, mark: str) -> Signer:
    return signer(settings, f'second|{mark}')


async def _to(
    step: str, request: Request, side: Side, user: UUID, proofs: tuple[Proof, ...], onward: str | None
) -> Response:  # fmt: skip
    tenant, settings = request.state.tenant.id, request.state.settings
    found = await _found(tenant, user)
    response = RedirectResponse(step, 303)
    if found is None:
        return RedirectResponse(f'{SIGN_IN[MSP if side == "staff" else CLIENT]}?why=over', 303)
    device = sessions.carry_device(request, response)
    payload = [str(tenant), str(user), side, list(proofs), onward, device.key.hex()]
    response.set_cookie(
        small_cookie(settings, COOKIE), str(_serializer(settings, found.mark).dumps(payload)), max_age=MINUTES_10, path='/auth', secure=settings.secure,
        httponly=True, samesite='lax',
    )  # fmt: skip
    return response


async def waiting(request: Request, side: Side) -> Waiting | None:
    """None for a cookie that is none of ours, too old, of another tenant, side or browser, or from before a change of the password."""
    settings, token = request.state.settings, request.cookies.get(small_cookie(request.state.settings, COOKIE), '')[:4000]
    claimed = _unproven(settings, token)
    if claimed is None or claimed[0] != request.state.tenant.id:
        return None
    found = await _found(*claimed)
    if found is None:
        return None
    try:
        payload: Any = _serializer(settings, found.mark).loads(token, max_age=MINUTES_10)
    except BadData:
        return None
    _tenant, _user, for_side, proofs, onward, device = payload
    if for_side != side or device != sessions.device_of(request).key.hex():
        return None
    person = Person(claimed[0], claimed[1], found.name, found.email, side)
    return Waiting(person, cast(tuple[Proof, ...], tuple(proofs)), next_for(side, onward))


def forget(request: Request, response: Response) -> None:
    settings: Settings = request.state.settings
    name = small_cookie(settings, COOKIE)
    if name not in request.cookies:
        return
    response.delete_cookie(name, path='/auth', secure=settings.secure, httponly=True, samesite='lax')


def _unproven(settings: Settings, token: str) -> tuple[UUID, UUID] | None:
    """Whose it claims to be: to look up the mark with which it can be proven."""
    try:
        _ok, payload = _serializer(settings, '').loads_unsafe(token)
        return UUID(payload[0]), UUID(payload[1])
    except (TypeError, ValueError, AttributeError, IndexError):
        return None


async def _found(tenant: UUID, user: UUID) -> Any:
    question = 'select name, email, user_type, mark from app.person_for_reset(:tenant, :user)'
    return await visit.database.ask(question, tenant=tenant, user=user)
