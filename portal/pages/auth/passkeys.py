"""Signing in with a passkey alone. Nobody is named before the device answers, so there is nothing to find out."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from portal import passkeys, visit
from portal.components.render import render
from portal.guard import small_cookie
from portal.i18n import _
from portal.pages.auth import throttle
from portal.pages.auth.forms import USER_TYPE, Side
from portal.passkeys import Challenge, NotGood, Purpose
from portal.settings import Settings

COOKIE = 'portal-passkey'
ALONE: dict[Side, str] = {'client': '/auth/client-portal/passkey', 'staff': '/auth/msp/passkey'}
OPTIONS: dict[Side, str] = {'client': '/auth/client-portal/passkey-options', 'staff': '/auth/msp/passkey-options'}


class Copied(NotGood):
    """The count of what the key has signed did not grow: there are two of it."""


@dataclass(frozen=True, slots=True)
class Proven:
    id: UUID
    user: UUID


def here(request: Request) -> passkeys.Party:
    return passkeys.party(request.state.tenant.host, request.state.settings)


def form(request: Request, action: str, options: str, label: str, **more: Any) -> Markup:
    """A form of its own. One inside another is `auth/passkey.html`, with the same values."""
    return render('shared/passkey_form.html', action=action, **values(request, options, label, **more))


def values(
    request: Request, options: str, label: str, *, asks: str = 'get', auto: bool = False, kind: str = '', wide: bool = True,
    wrong: str = '',
) -> dict[str, Any]:  # fmt: skip
    return {'asks': asks, 'options': options, 'origin': here(request).origin, 'label': label, 'kind': kind, 'wide': wide,
            'auto': auto, 'wrong': wrong}  # fmt: skip


# ---------- challenges, in the cookie of the browser ----------


def challenge(request: Request, purpose: Purpose, user: UUID | None = None) -> tuple[Challenge, str]:
    """A new one, and the cookie that must go with the answer."""
    before = request.cookies.get(small_cookie(request.state.settings, COOKIE), '')
    return passkeys.with_new(request.state.settings, before, request.state.tenant.id, purpose, user)


def asking(request: Request, options: dict[str, Any], cookie: str) -> Response:
    settings: Settings = request.state.settings
    response = JSONResponse(options)
    response.set_cookie(
        small_cookie(settings, COOKIE),
        cookie,
        max_age=passkeys.SECONDS,
        path='/',
        secure=settings.secure,
        httponly=True,
        samesite='strict',
    )
    return response


async def answer(request: Request, said: str, purpose: Purpose) -> tuple[dict[str, Any], Challenge]:
    """The device's answer to a challenge of this browser, which is used up by it, right or wrong; raises NotGood."""
    credential = passkeys.read_credential(said)
    tenant = request.state.tenant.id
    asked = passkeys.answered(
        request.state.settings, request.cookies.get(small_cookie(request.state.settings, COOKIE), ''), credential, tenant, purpose
    )
    question = 'select app.use_challenge(:tenant, :digest, :seconds)'
    if not (await visit.database.ask(question, tenant=tenant, digest=asked.digest, seconds=passkeys.SECONDS))[0]:
        raise NotGood
    return credential, asked


async def proven(request: Request, side: Side, said: str, purpose: Purpose, user: UUID | None = None) -> Proven:
    """Whose passkey has answered: on this side, of this tenant, and of `user` if one is named. Raises NotGood, and Copied."""
    credential, asked = await answer(request, said, purpose)
    if asked.user != user:
        raise NotGood
    tenant = request.state.tenant.id
    found = await visit.database.ask(
        'select id, user_id, public_key, handle from app.passkey_at_door(:tenant, :type, :credential)',
        tenant=tenant, type=USER_TYPE[side], credential=passkeys.credential_of(credential),
    )  # fmt: skip
    if found is None or (user and found.user_id != user):
        raise NotGood
    shown = passkeys.used(here(request), asked, credential, bytes(found.public_key), bytes(found.handle))
    question = 'select app.passkey_used(:tenant, :id, :count, :backed_up)'
    row = await visit.database.ask(question, tenant=tenant, id=found.id, count=shown.sign_count, backed_up=shown.backed_up)
    if not row[0]:
        raise Copied
    return Proven(found.id, found.user_id)


async def known(tenant: UUID, user: UUID) -> list[tuple[bytes, list[str]]]:
    """Of somebody who has proved already that they know the password."""
    row = await visit.database.ask(
        'select coalesce(array_agg(encode(credential_id, \'hex\') || \' \' || array_to_string(transports, \',\')), \'{}\') '
        'from app.passkeys_of(:tenant, :user)', tenant=tenant, user=user,
    )  # fmt: skip
    found = [each.partition(' ') for each in row[0]]
    return [(bytes.fromhex(id), [t for t in transports.split(',') if t]) for id, _space, transports in found]


# ---------- the door ----------


async def options(request: Request) -> Response:
    """For whoever asks: nothing in it is about anybody."""
    made, cookie = challenge(request, 'sign-in')
    return asking(request, passkeys.request(here(request), made), cookie)


async def alone(request: Request, side: Side, said: str) -> UUID:
    """Who signs in with it. Raises NotGood, Copied, TooSoon."""
    attempt = await throttle.reserve(throttle.prefix(request, 'passkey'))
    found = await proven(request, side, said, 'sign-in')
    await attempt.was_good()
    return found.user


def words_for(error: NotGood) -> str:
    if isinstance(error, Copied):
        return _('This passkey was refused, since there seems to be a copy of it. Sign in another way, then remove it.')
    return _('This passkey opens nothing here. Sign in another way.')


__all__ = ['ALONE', 'OPTIONS', 'Copied', 'NotGood', 'alone', 'form', 'options', 'proven', 'words_for']
