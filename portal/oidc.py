"""OpenID Connect Core 1.0, the code flow with PKCE: what is asked of a provider, and what of its answers is believed.

Tokens are read once and kept nowhere. Requests go by `portal/outgoing.py`; signatures by joserfc, claims by authlib.
"""

import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from authlib.oauth2.rfc7636 import create_s256_code_challenge
from authlib.oidc.core import CodeIDToken
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from portal import outgoing
from portal.outgoing import Refused, Unreachable
from portal.settings import Networks

#: Signatures by keys of the provider. Never `none`, nor HS256, whose key could be a public one.
ALGORITHMS = ('RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519')
LEEWAY = 60  # seconds between two clocks
KEPT, PROVIDERS = 3600, 200  # seconds; how many
LOOK_AGAIN = 60  # seconds at least between two readings of the keys because of one that is not known
MICROSOFT, GOOGLE = 'https://login.microsoftonline.com', 'https://accounts.google.com'


class Misconfigured(Exception):
    """The provider answers, and something about it is wrong. `what`: issuer, metadata, pkce, keys, client, endpoint."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class NotProven(Exception):
    """What came back proves nothing. The reason is for the log, not for the visitor."""


@dataclass(frozen=True, slots=True)
class Party:
    """The portal at a provider."""

    issuer: str
    client_id: str
    client_secret: str | None
    redirect: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """Of OpenID Connect Discovery, what is needed."""

    issuer: str
    authorization: str
    token: str
    keys: str
    says_issuer: bool  # RFC 9207
    client_auth: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Account:
    """Whom the provider names."""

    subject: str
    email: str | None
    vouched: bool  # the provider says that the address is theirs
    name: str
    proved_at: datetime | None = None  # when they proved there who they are, if it says so


# ---------- what is known of providers ----------


@dataclass(slots=True)
class _Known:
    read_at: float
    metadata: Metadata
    keys: KeySet | None = None
    keys_at: float = 0.0


_known: OrderedDict[str, _Known] = OrderedDict()


def forget(issuer: str | None = None) -> None:
    """Read it anew the next time."""
    if issuer is None:
        _known.clear()
    else:
        _known.pop(issuer, None)


async def discover(issuer: str, allowed: Networks) -> Metadata:
    """Raises Refused, Unreachable, Misconfigured."""
    return (await _read(issuer, allowed)).metadata


async def _read(issuer: str, allowed: Networks) -> _Known:
    known = _known.get(issuer)
    if known and time.monotonic() - known.read_at < KEPT:
        _known.move_to_end(issuer)
        return known
    answer = await outgoing.ask(f'{issuer.rstrip("/")}/.well-known/openid-configuration', allowed=allowed)
    if answer.status != 200:
        raise Misconfigured('metadata')
    known = _Known(time.monotonic(), _metadata(issuer, answer.json()))
    _known[issuer] = known
    while len(_known) > PROVIDERS:
        _known.popitem(last=False)
    return known


def _metadata(issuer: str, found: Mapping[str, Any]) -> Metadata:
    if found.get('issuer') != issuer:
        raise Misconfigured('issuer')
    places = [found.get(name) for name in ('authorization_endpoint', 'token_endpoint', 'jwks_uri')]
    if not all(isinstance(place, str) and _is_web(place, issuer) for place in places):
        raise Misconfigured('endpoint')
    if 'code' not in _list(found, 'response_types_supported', ['code']):
        raise Misconfigured('metadata')
    # left out where a provider does it without saying so, as Microsoft does
    if 'S256' not in _list(found, 'code_challenge_methods_supported', ['S256']):
        raise Misconfigured('pkce')
    if not set(ALGORITHMS) & set(_list(found, 'id_token_signing_alg_values_supported', ['RS256'])):
        raise Misconfigured('keys')
    return Metadata(
        issuer, str(places[0]), str(places[1]), str(places[2]), found.get('authorization_response_iss_parameter_supported') is True,
        tuple(_list(found, 'token_endpoint_auth_methods_supported', ['client_secret_basic'])),
    )  # fmt: skip


def _is_web(place: str, issuer: str) -> bool:
    """By TLS, unless the provider itself is not (on one's own computer)."""
    try:
        parts = urlsplit(place)
    except ValueError:
        return False
    wanted = ('https',) if issuer.startswith('https://') else ('https', 'http')
    return parts.scheme in wanted and bool(parts.hostname) and place.isascii() and not any(c <= ' ' for c in place)


def _list(found: Mapping[str, Any], name: str, default: list[str]) -> list[str]:
    value = found.get(name, default)
    return [str(each) for each in value] if isinstance(value, list) else default


async def keys(issuer: str, allowed: Networks, *, anew: bool = False) -> KeySet:
    """The provider's public keys. `anew`: one that we do not know was named; not asked more often than each minute."""
    known = await _read(issuer, allowed)
    age = time.monotonic() - known.keys_at
    if known.keys is None or age > KEPT or (anew and age > LOOK_AGAIN):
        answer = await outgoing.ask(known.metadata.keys, allowed=allowed)
        if answer.status != 200:
            raise Misconfigured('keys')
        known.keys, known.keys_at = _public(answer.json()), time.monotonic()
    return known.keys


def _public(found: Mapping[str, Any]) -> KeySet:
    """Without keys of kinds we do not know, and without secret ones."""
    usable: list[Any] = []
    for key in found.get('keys', [])[:50] if isinstance(found.get('keys'), list) else []:
        if not isinstance(key, dict) or key.get('kty') not in ('RSA', 'EC', 'OKP') or key.get('use', 'sig') != 'sig':
            continue
        try:
            usable.extend(KeySet.import_key_set({'keys': [key]}).keys)  # pyright: ignore[reportArgumentType]
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    if not usable:
        raise Misconfigured('keys')
    return KeySet(usable)


# ---------- there ----------


def challenge() -> tuple[str, str, str]:
    """State, nonce and PKCE verifier."""
    return secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48)


def address(
    metadata: Metadata, party: Party, *, state: str, nonce: str, verifier: str, anew: bool = False, hint: str = ''
) -> str:
    """Where the browser is sent. `anew`: its person must prove there once more who they are."""
    asked = {
        'response_type': 'code', 'client_id': party.client_id, 'redirect_uri': party.redirect, 'scope': 'openid email profile',
        'state': state, 'nonce': nonce, 'code_challenge': create_s256_code_challenge(verifier), 'code_challenge_method': 'S256',
    }  # fmt: skip
    if anew:
        asked |= {'prompt': 'login', 'max_age': '0'}
    if hint:
        asked['login_hint'] = hint
    return f'{metadata.authorization}{"&" if "?" in metadata.authorization else "?"}{urlencode(asked)}'


# ---------- and back ----------


async def redeem(metadata: Metadata, party: Party, code: str, verifier: str, allowed: Networks) -> str:
    """The ID token for a code. Raises NotProven where the provider refuses the code, Misconfigured where it refuses us."""
    form = {'grant_type': 'authorization_code', 'code': code, 'redirect_uri': party.redirect, 'code_verifier': verifier}
    headers: dict[str, str] = {}
    if party.client_secret is None:
        form['client_id'] = party.client_id
    elif 'client_secret_basic' in metadata.client_auth or 'client_secret_post' not in metadata.client_auth:
        headers['authorization'] = _basic(party.client_id, party.client_secret)
    else:
        form |= {'client_id': party.client_id, 'client_secret': party.client_secret}
    answer = await outgoing.ask(metadata.token, allowed=allowed, form=form, headers=headers)
    found = answer.json()
    if answer.status != 200:
        if found.get('error') in ('invalid_client', 'unauthorized_client'):
            raise Misconfigured('client')
        raise NotProven('the code was refused')
    token = found.get('id_token')
    if not isinstance(token, str):
        raise NotProven('no ID token')
    return token


def _basic(client_id: str, client_secret: str) -> str:
    """RFC 6749, 2.3.1: both are encoded as in a form, then as for Basic."""
    from base64 import b64encode

    return 'Basic ' + b64encode(f'{quote(client_id, safe="")}:{quote(client_secret, safe="")}'.encode()).decode()


async def claims(token: str, party: Party, nonce: str, allowed: Networks, *, since: float | None = None) -> dict[str, Any]:
    """The claims of an ID token, proven. `since` (seconds of the epoch): the person must have proved themselves after that.

    Raises NotProven, and what `keys` raises.
    """
    try:
        named = jws.extract_compact(token.encode('ascii')).headers()
    except (JoseError, ValueError, UnicodeError):
        raise NotProven('no token') from None
    if named.get('alg') not in ALGORITHMS:
        raise NotProven(f'signed by {named.get("alg")!r}'[:60])
    try:
        found = _decoded(token, await keys(party.issuer, allowed))
    except (JoseError, ValueError):
        try:  # its keys may have changed
            found = _decoded(token, await keys(party.issuer, allowed, anew=True))
        except (JoseError, ValueError) as e:
            raise NotProven(type(e).__name__) from None
    header, values = found
    wanted = {'iss': {'essential': True, 'value': party.issuer}, 'aud': {'essential': True, 'value': party.client_id}}
    checked = CodeIDToken(values, header, wanted, {'nonce': nonce, 'client_id': party.client_id})
    try:
        checked.validate(leeway=LEEWAY)
        _validate_more(values, nonce, since)
    except (JoseError, KeyError, TypeError, ValueError, AttributeError) as e:
        raise NotProven(f'{type(e).__name__} {getattr(e, "claim", "") or ""}'.strip()[:80]) from None
    return values


def _decoded(token: str, known: KeySet) -> tuple[dict[str, Any], dict[str, Any]]:
    found = jwt.decode(token, known, algorithms=list(ALGORITHMS))
    return dict(found.header), dict(found.claims)


def _validate_more(values: Mapping[str, Any], nonce: str, since: float | None) -> None:
    """What authlib leaves to others; raises ValueError."""
    now = time.time()
    if values['nonce'] != nonce or not isinstance(values['sub'], str) or not 0 < len(values['sub']) <= 255:
        raise ValueError('nonce or subject')
    if not isinstance(values['iss'], str) or not (now - 600 - LEEWAY < float(values['iat']) < now + LEEWAY):
        raise ValueError('too old, or of the future')
    if since is not None and float(values['auth_time']) < since - LEEWAY:
        raise ValueError('auth_time')


def account(values: Mapping[str, Any], kind: str) -> Account:
    """What the claims say of a person, and how far the address can be believed.

    `email_verified` of Microsoft is set by whoever runs the directory, and its address may be anybody's ("nOAuth"):
    `xms_edov` says that the owner of the domain was verified. Google vouches for gmail.com and for the domain it hosts (`hd`).
    """
    email = values.get('email')
    email = email.strip().lower() if isinstance(email, str) and 3 <= len(email) <= 254 and email.count('@') == 1 else None
    domain = email.rpartition('@')[2] if email else ''
    vouched = values.get('email_verified') is True
    if kind == 'microsoft':
        vouched = values.get('xms_edov') in (True, 1, '1', 'true')
    elif kind == 'google':
        vouched = vouched and (domain in ('gmail.com', 'googlemail.com') or values.get('hd') == domain)
    name = values.get('name')
    words = ' '.join(name.split())[:120] if isinstance(name, str) else ''
    clean = ''.join(c for c in words if c.isprintable())
    return Account(
        values['sub'], email, vouched and bool(email), clean or (email or '').partition('@')[0], _moment(values.get('auth_time'))
    )


def _moment(seconds: Any) -> datetime | None:
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


__all__ = ['Account', 'Metadata', 'Misconfigured', 'NotProven', 'Party', 'Refused', 'Unreachable']
