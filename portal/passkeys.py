"""Passkeys as the WebAuthn standard has them (Level 3): what a browser is asked, and whether its answer is good.

A challenge lives in a signed cookie of the browser it was made for, names its purpose and its person, is good for five minutes,
and is answered once (the database remembers those that were).
"""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import UUID

import webauthn
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, options_to_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from portal.links import origin_of
from portal.settings import Settings, is_loopback
from portal.signing import BadData, Signer, signer

Purpose = Literal['register', 'sign-in', 'second', 'confirm']
SECONDS = 300  # that a challenge is good for
AT_ONCE = 4  # challenges that one browser may have: one for each open tab
_TRANSPORTS = {transport.value for transport in AuthenticatorTransport}


class NotGood(Exception):
    """The answer does not prove anything."""


@dataclass(frozen=True, slots=True)
class Party:
    """To whom a passkey belongs: the host name it is bound to, and the one origin from which it may be used."""

    id: str
    origin: str


def party(host: str | None, settings: Settings) -> Party:
    """From the tenant and the settings, never from a request. A browser knows no passkeys of an IP address: where the portal runs
    on one's own computer they belong to `localhost`."""
    parts = urlsplit(origin_of(host, settings))
    name = parts.hostname or ''
    if is_loopback(name):
        name = 'localhost'
    port = f':{parts.port}' if parts.port else ''
    return Party(name, f'{parts.scheme}://{name}{port}')


# ---------- challenges ----------


@dataclass(frozen=True, slots=True)
class Challenge:
    value: bytes
    purpose: Purpose
    user: UUID | None

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.value).digest()


def _serializer(settings: Settings) -> Signer:
    return signer(settings, 'passkey-challenge')


def with_new(settings: Settings, cookie: str, tenant: UUID, purpose: Purpose, user: UUID | None = None) -> tuple[Challenge, str]:
    """A new challenge, and the cookie that carries it beside the last few of the same browser."""
    made = Challenge(secrets.token_bytes(32), purpose, user)
    said = str(_serializer(settings).dumps([str(tenant), purpose, str(user or ''), bytes_to_base64url(made.value)]))
    return made, '~'.join([*cookie[:4000].split('~')[-AT_ONCE + 1 :], said]).strip('~')


def answered(settings: Settings, cookie: str, credential: dict[str, Any], tenant: UUID, purpose: Purpose) -> Challenge:
    """Which of the browser's challenges this is an answer to; raises NotGood."""
    try:
        claimed = base64url_to_bytes(json.loads(base64url_to_bytes(credential['response']['clientDataJSON']))['challenge'])
    except (KeyError, TypeError, ValueError, RecursionError):
        raise NotGood from None
    for said in cookie[:4000].split('~'):
        try:
            payload: Any = _serializer(settings).loads(said, max_age=SECONDS)
        except BadData:
            continue
        if payload[:2] == [str(tenant), purpose] and secrets.compare_digest(base64url_to_bytes(payload[3]), claimed):
            return Challenge(claimed, purpose, UUID(payload[2]) if payload[2] else None)
    raise NotGood


def read_credential(text: str) -> dict[str, Any]:
    """What the browser made, as JSON; raises NotGood."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise NotGood from None
    if not isinstance(found, dict) or not isinstance(found.get('response'), dict):
        raise NotGood
    return found


# ---------- making one ----------


@dataclass(frozen=True, slots=True)
class Made:
    """A new passkey."""

    credential: bytes
    public_key: bytes
    sign_count: int
    transports: tuple[str, ...]
    backed_up: bool
    built_in: bool  # of the device itself, not a key that is plugged in


def creation(
    party: Party, challenge: Challenge, *, handle: bytes, email: str, name: str, house: str,
    known: Sequence[tuple[bytes, Sequence[str]]] = (),
) -> dict[str, Any]:  # fmt: skip
    """The options for `navigator.credentials.create`. `known`: those the person has, so that no device makes a second one."""
    options = webauthn.generate_registration_options(
        rp_id=party.id, rp_name=house, user_id=handle, user_name=email, user_display_name=name, challenge=challenge.value,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=_descriptors(known),
    )  # fmt: skip
    return json.loads(options_to_json(options))


def made(party: Party, challenge: Challenge, credential: dict[str, Any]) -> Made:
    """Raises NotGood."""
    try:
        found = webauthn.verify_registration_response(
            credential=credential, expected_challenge=challenge.value, expected_rp_id=party.id, expected_origin=party.origin,
            require_user_verification=True,
        )  # fmt: skip
    except Exception:  # whatever a stranger sent
        raise NotGood from None
    said = credential['response'].get('transports')
    transports = tuple(t for t in said if isinstance(t, str) and t in _TRANSPORTS) if isinstance(said, list) else ()
    return Made(
        found.credential_id, found.credential_public_key, found.sign_count, transports, found.credential_backed_up,
        built_in=credential.get('authenticatorAttachment') == 'platform',
    )  # fmt: skip


# ---------- using one ----------


@dataclass(frozen=True, slots=True)
class Used:
    sign_count: int
    backed_up: bool


def request(party: Party, challenge: Challenge, known: Sequence[tuple[bytes, Sequence[str]]] = ()) -> dict[str, Any]:
    """The options for `navigator.credentials.get`. Without `known` the device offers what it has for this portal."""
    options = webauthn.generate_authentication_options(
        rp_id=party.id, challenge=challenge.value, allow_credentials=_descriptors(known),
        user_verification=UserVerificationRequirement.REQUIRED,
    )  # fmt: skip
    return json.loads(options_to_json(options))


def credential_of(credential: dict[str, Any]) -> bytes:
    """Which passkey it claims to be; raises NotGood."""
    try:
        return base64url_to_bytes(credential['rawId'])
    except (KeyError, TypeError, ValueError):
        raise NotGood from None


def used(party: Party, challenge: Challenge, credential: dict[str, Any], public_key: bytes, handle: bytes) -> Used:
    """Raises NotGood. Whether its count has grown is asked in the database, where it is kept and compared at once."""
    named = credential['response'].get('userHandle')
    try:
        if named and not secrets.compare_digest(base64url_to_bytes(named), handle):
            raise NotGood
        found = webauthn.verify_authentication_response(
            credential=credential, expected_challenge=challenge.value, expected_rp_id=party.id, expected_origin=party.origin,
            credential_public_key=public_key, credential_current_sign_count=0, require_user_verification=True,
        )  # fmt: skip
    except Exception:  # whatever a stranger sent
        raise NotGood from None
    return Used(found.new_sign_count, found.credential_backed_up)


def _descriptors(known: Sequence[tuple[bytes, Sequence[str]]]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=id, transports=[AuthenticatorTransport(t) for t in transports if t in _TRANSPORTS] or None
        )
        for id, transports in known
    ]
