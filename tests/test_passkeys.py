"""What an answer of a device must be, byte by byte: a key of our own signs what a device would never sign."""

import hashlib
import json
import secrets
from typing import Any
from uuid import UUID

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from webauthn.helpers import bytes_to_base64url

from portal import passkeys
from portal.domain.base import uuid7
from portal.passkeys import NotGood, Party
from portal.settings import Settings
from tests.conftest import test_settings

HERE = Party('portal.example.com', 'https://portal.example.com')
TENANT, HANDLE = uuid7(), secrets.token_bytes(32)
KEY = ec.generate_private_key(ec.SECP256R1())
POINT = KEY.public_key().public_numbers()
PUBLIC = cbor2.dumps({1: 2, 3: -7, -1: 1, -2: POINT.x.to_bytes(32, 'big'), -3: POINT.y.to_bytes(32, 'big')})
PRESENT, VERIFIED = 0x01, 0x04


def signed(challenge: bytes, *, origin: str = HERE.origin, rp: str = HERE.id, flags: int = PRESENT | VERIFIED, handle: bytes = HANDLE,
           kind: str = 'webauthn.get', count: int = 1) -> dict[str, Any]:  # fmt: skip
    said = json.dumps({'type': kind, 'challenge': bytes_to_base64url(challenge), 'origin': origin}).encode()
    data = hashlib.sha256(rp.encode()).digest() + bytes([flags]) + count.to_bytes(4, 'big')
    signature = KEY.sign(data + hashlib.sha256(said).digest(), ec.ECDSA(hashes.SHA256()))
    id = bytes_to_base64url(b'key')
    return {
        'id': id, 'rawId': id, 'type': 'public-key', 'clientExtensionResults': {},
        'response': {
            'clientDataJSON': bytes_to_base64url(said), 'authenticatorData': bytes_to_base64url(data),
            'signature': bytes_to_base64url(signature), 'userHandle': bytes_to_base64url(handle),
        },
    }  # fmt: skip


def ask(settings: Settings, purpose: passkeys.Purpose = 'sign-in', user: UUID | None = None) -> tuple[passkeys.Challenge, str]:
    return passkeys.with_new(settings, '', TENANT, purpose, user)


def test_a_good_one(settings: Settings) -> None:
    challenge, cookie = ask(settings)
    credential = signed(challenge.value)
    found = passkeys.answered(settings, cookie, credential, TENANT, 'sign-in')
    assert passkeys.used(HERE, found, credential, PUBLIC, HANDLE).sign_count == 1


@pytest.mark.parametrize('wrong', [
    {'origin': 'https://portal.example.com.evil.example'}, {'origin': 'http://portal.example.com'}, {'rp': 'evil.example'},
    {'flags': PRESENT}, {'flags': VERIFIED}, {'handle': b'somebody else'}, {'kind': 'webauthn.create'},
])  # fmt: skip
def test_refused(settings: Settings, wrong: dict[str, Any]) -> None:
    """Another origin or host, nobody there or not verified, somebody else's, made for something else."""
    challenge, _cookie = ask(settings)
    with pytest.raises(NotGood):
        passkeys.used(HERE, challenge, signed(challenge.value, **wrong), PUBLIC, HANDLE)


def test_signed_by_another_key(settings: Settings) -> None:
    challenge, _cookie = ask(settings)
    credential = signed(challenge.value)
    credential['response']['signature'] = bytes_to_base64url(
        ec.generate_private_key(ec.SECP256R1()).sign(b'x', ec.ECDSA(hashes.SHA256()))
    )
    with pytest.raises(NotGood):
        passkeys.used(HERE, challenge, credential, PUBLIC, HANDLE)


def test_a_challenge_belongs_to_its_browser_tenant_and_purpose(settings: Settings) -> None:
    challenge, cookie = ask(settings)
    credential = signed(challenge.value)
    other = test_settings(PORTAL_SECRET_KEY='another-secret-that-is-long-enough-too')
    for where in (
        (settings, '', TENANT, 'sign-in'), (settings, ask(settings)[1], TENANT, 'sign-in'), (settings, cookie, uuid7(), 'sign-in'),
        (settings, cookie, TENANT, 'confirm'), (other, cookie, TENANT, 'sign-in'), (settings, cookie + 'x', TENANT, 'sign-in'),
    ):  # fmt: skip
        with pytest.raises(NotGood):
            passkeys.answered(where[0], where[1], credential, where[2], where[3])  # type: ignore[arg-type]


def test_it_grows_old(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    challenge, cookie = ask(settings)
    monkeypatch.setattr(passkeys, 'SECONDS', -1)
    with pytest.raises(NotGood):
        passkeys.answered(settings, cookie, signed(challenge.value), TENANT, 'sign-in')


def test_several_tabs_have_a_challenge_each(settings: Settings) -> None:
    cookie, asked = '', list[passkeys.Challenge]()
    for _tab in range(6):
        challenge, cookie = passkeys.with_new(settings, cookie, TENANT, 'sign-in')
        asked.append(challenge)
    for challenge in asked[-passkeys.AT_ONCE :]:
        assert passkeys.answered(settings, cookie, signed(challenge.value), TENANT, 'sign-in').value == challenge.value
    with pytest.raises(NotGood):
        passkeys.answered(settings, cookie, signed(asked[0].value), TENANT, 'sign-in')
    assert len(cookie) < 2000


@pytest.mark.parametrize('said', ['', '[]', '{}', '{"response": 1}', '{"response": {}}', '{"response": {"clientDataJSON": 5}}', '\x00',
                                  '{"response": {"clientDataJSON": "ä"}, "rawId": []}', '"' * 9, '{"response": {"clientDataJSON": "bnVsbA"}}',
                                  '[' * 9000])  # fmt: skip
def test_whatever_a_stranger_sends(settings: Settings, said: str) -> None:
    challenge, cookie = ask(settings)
    with pytest.raises(NotGood):
        credential = passkeys.read_credential(said)
        with pytest.raises(NotGood):
            passkeys.credential_of({})
        with pytest.raises(NotGood):
            passkeys.made(HERE, challenge, credential)
        passkeys.answered(settings, cookie, credential, TENANT, 'sign-in')


def test_to_whom_it_belongs() -> None:
    """The tenant's host, or the portal's own; an IP address becomes `localhost`, which browsers know."""
    public = test_settings(PORTAL_URL='https://portal.example.com')
    assert passkeys.party(None, public) == HERE
    assert passkeys.party('southgate.example', public) == Party('southgate.example', 'https://southgate.example')
    assert passkeys.party(None, test_settings(PORTAL_PORT='8116')) == Party('localhost', 'http://localhost:8116')
