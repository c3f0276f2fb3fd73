"""To an identity provider and back (OpenID Connect, code flow with PKCE): to sign in, to link an account, to prove anew who one is.

A way is a row, bound to this browser by a cookie and taken once. What comes back is believed by the rules of `portal/oidc.py`;
who may come in by it, the database decides (`app.sso_enter`), and whoever may not gets one page, whatever the reason.
"""

import hashlib
import logging
import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal import oidc, sealing, visit
from portal.components.values import Action
from portal.domain.base import uuid7
from portal.i18n import _
from portal.pages.auth import entering, plain, throttle
from portal.pages.auth.forms import ROOT, Side, next_for
from portal.pages.auth.sso_offers import SIGNIN
from portal.settings import Settings
from portal.signing import BadData, Signer, signer
from portal.sso_links import callback_of, may_link

log = logging.getLogger('portal.sso')
COOKIE = 'portal-sso'
COOKIE_AGE = 3600  # seconds
PURPOSES = ('signin', 'link', 'confirm')


@dataclass(frozen=True, slots=True)
class Provider:
    """What the server needs to speak with it."""

    id: UUID
    side: Side
    kind: str
    name: str
    domains: frozenset[str]
    party: oidc.Party


async def provider_of(settings: Settings, tenant: UUID, id: UUID) -> Provider | None:
    """None where there is none that is on."""
    row = await visit.database.ask('select * from app.sso_provider(:tenant, :id)', tenant=tenant, id=id)
    if row is None:
        return None
    secret = None
    if row.sealed is not None:
        secret = sealing.unseal(settings, sealing.Place('identity_secret', 'sealed', tenant, id), bytes(row.sealed)).decode()
    party = oidc.Party(row.issuer, row.client_id, secret, callback_of(row.host, settings))
    return Provider(id, row.side, row.kind, row.name, frozenset(row.domains), party)


# ---------- there ----------


async def start(request: Request) -> Response:
    """Notes the way, and sends the browser to the provider."""
    settings: Settings = request.state.settings
    purpose, ours = request.query_params.get('for', 'signin'), urlsplit(callback_of(request.state.tenant.host, settings))
    if (urlsplit(f'//{request.headers.get("host", "")}').hostname or '') != ours.hostname:
        # one comes back to the configured address: the cookie has to be there
        return RedirectResponse(f'{ours.scheme}://{ours.netloc}{request.url.path}?{request.url.query}', 303)
    provider = await _named(request)
    if provider is None or purpose not in PURPOSES:
        return _not_found(request)
    if request.headers.get('sec-fetch-site') == 'cross-site':
        return RedirectResponse(SIGNIN[provider.side], 303)  # another site cannot send people on this way
    onward = next_for(provider.side, request.query_params.get('next'))
    arrival = request.state.arrival
    if purpose != 'signin' and (
        arrival is None
        or arrival.side != provider.side
        or (purpose == 'link' and not may_link(settings, request.query_params.get('ticket', ''), arrival.token, provider.id))
    ):
        return _over(request, provider.side)
    try:
        await throttle.reserve(_bucket(request))
        metadata = await oidc.discover(provider.party.issuer, settings.outgoing_networks)
    except throttle.TooSoon as e:
        return plain.after(_says(request, 429, provider.side, _('One moment, please'), e.words), e.seconds)
    except (oidc.Refused, oidc.Unreachable, oidc.Misconfigured) as e:
        return _away(request, provider, e)
    state, nonce, verifier = oidc.challenge()
    browser = _browser(request)
    await visit.database.ask(
        'select app.sso_begin(:tenant, :provider, :state, :browser, :purpose, :nonce, :verifier, :onward, :token)',
        tenant=request.state.tenant.id, provider=provider.id, state=_digest(state), browser=_digest(browser), purpose=purpose,
        nonce=nonce, verifier=verifier, onward=onward, token=arrival.token if purpose != 'signin' else None,
    )  # fmt: skip
    hint = request.query_params.get('hint', '')
    if purpose == 'confirm':
        hint = arrival.facts['email']
    there = oidc.address(
        metadata, provider.party, state=state, nonce=nonce, verifier=verifier, anew=purpose == 'confirm', hint=hint[:254]
    )
    response = RedirectResponse(there, 303)
    response.set_cookie(COOKIE, str(_signer(settings).dumps(browser)), max_age=COOKIE_AGE, path='/auth/sso', secure=settings.secure,
                        httponly=True, samesite='lax')  # fmt: skip
    return response


def _bucket(request: Request) -> throttle.Bucket:
    """Many of one office begin at eight; nobody begins hundreds of times."""
    return throttle.Bucket(f'sso|{request.state.tenant.id}|{throttle.place(request)}', 300, 10)


async def _named(request: Request) -> Provider | None:
    try:
        id = UUID(request.path_params['provider'])
        return await provider_of(request.state.settings, request.state.tenant.id, id)
    except ValueError:
        return None
    except sealing.CannotUnseal:
        log.error('the secret of an identity provider cannot be read: it was sealed with another key')
        return None


def _signer(settings: Settings) -> Signer:
    return signer(settings, 'sso-browser')


def _browser(request: Request) -> str:
    """A word that only this browser has; the same for several ways at once."""
    try:
        return str(_signer(request.state.settings).loads(request.cookies.get(COOKIE, '')[:500], max_age=COOKIE_AGE))
    except BadData:
        return secrets.token_urlsafe(24)


def _digest(word: str) -> bytes:
    return hashlib.sha256(word.encode()).digest()


# ---------- and back ----------


async def callback(request: Request) -> Response:
    asked = request.query_params
    row = await visit.database.ask(
        'select * from app.sso_take(:tenant, :state, :browser)', tenant=request.state.tenant.id,
        state=_digest(asked.get('state', '')[:500]), browser=_digest(_browser(request)),
    )  # fmt: skip
    if row is None:
        return _over(request, 'client')
    try:
        provider = await provider_of(request.state.settings, request.state.tenant.id, row.provider_id)
    except sealing.CannotUnseal:
        provider = None
    if provider is None:
        return _over(request, 'client')
    if row.token_hash is not None and (request.state.arrival is None or request.state.arrival.token != bytes(row.token_hash)):
        return _over(request, provider.side)
    if asked.get('error') or not asked.get('code'):
        said = asked.get('error', '')
        log.info(
            'a provider sent somebody back: %s', said if re.fullmatch('[a-z_]{1,40}', said) else 'without a reason that is one'
        )
        return _says(request, 403, provider.side, _('You were not signed in'), _('{name} did not sign you in. Try again, or another way.', name=provider.name))  # fmt: skip
    try:
        values = await _proven(request, provider, row)
    except (oidc.Refused, oidc.Unreachable, oidc.Misconfigured) as e:
        return _away(request, provider, e)
    except oidc.NotProven as e:
        log.warning('a provider’s answer was not believed: %s', e)
        return _says(request, 403, provider.side, _('You were not signed in'), _('The answer of {name} could not be believed. Begin once more; if it stays, tell whoever looks after it.', name=provider.name))  # fmt: skip
    account = oidc.account(values, provider.kind)
    match row.purpose:
        case 'link':
            return await _link(request, provider, account, row.onward)
        case 'confirm':
            return await _confirm(request, provider, account, row.onward)
        case _:
            return await _enter(request, provider, account, row.onward)


async def _proven(request: Request, provider: Provider, way: Any) -> dict[str, Any]:
    """The claims; raises NotProven and what speaking with the provider raises."""
    allowed, asked = request.state.settings.outgoing_networks, request.query_params
    metadata = await oidc.discover(provider.party.issuer, allowed)
    issuer = asked.get('iss')
    if (metadata.says_issuer and issuer is None) or (issuer is not None and issuer != metadata.issuer):
        raise oidc.NotProven('the answer came from another provider')
    token = await oidc.redeem(metadata, provider.party, asked['code'][:4000], way.verifier, allowed)
    since = way.started_at.timestamp() if way.purpose == 'confirm' else None
    return await oidc.claims(token, provider.party, way.nonce, allowed, since=since)


async def _enter(request: Request, provider: Provider, account: oidc.Account, onward: str | None) -> Response:
    tenant = request.state.tenant.id
    trusted = account.vouched or (account.email or '').rpartition('@')[2] in provider.domains
    row = await visit.database.ask(
        'select app.sso_enter(:tenant, :provider, :issuer, :subject, :email, :trusted, :name, :fresh)', tenant=tenant, provider=provider.id,
        issuer=provider.party.issuer, subject=account.subject, email=account.email, trusted=trusted, name=account.name, fresh=uuid7(),
    )  # fmt: skip
    if not row[0]:
        return _nobody(request, provider)
    return await entering.came(request, provider.side, row[0], 'sso', onward, at=account.proved_at)


async def _link(request: Request, provider: Provider, account: oidc.Account, onward: str | None) -> Response:
    row = await visit.database.ask(
        'select app.sso_link(:token, :tenant, :provider, :issuer, :subject, :email)', token=request.state.arrival.token,
        tenant=request.state.tenant.id, provider=provider.id, issuer=provider.party.issuer, subject=account.subject,
        email=account.email,
    )  # fmt: skip
    if not row[0]:
        back = Action(_('Back to the settings'), href=onward or '/', kind='primary')
        words = _(
            'It may be linked with somebody else, or you have one of {name} already, or your proof of who you are is too old.',
            name=provider.name,
        )
        return plain.message(request, 409, _('This account was not linked'), words, side=provider.side, actions=(back,), label=_('Nothing was changed'), here=SIGNIN[provider.side])  # fmt: skip
    return RedirectResponse(onward or ROOT[provider.side], 303)


async def _confirm(request: Request, provider: Provider, account: oidc.Account, onward: str | None) -> Response:
    row = await visit.database.ask(
        'select app.sso_prove(:token, :tenant, :provider, :issuer, :subject)', token=request.state.arrival.token,
        tenant=request.state.tenant.id, provider=provider.id, issuer=provider.party.issuer, subject=account.subject,
    )  # fmt: skip
    if not row[0]:
        return _says(
            request, 403, provider.side, _('This was not you'), _('The account that signed in there is not linked with you here.')
        )
    return RedirectResponse(onward or ROOT[provider.side], 303)


# ---------- what is said ----------


def _says(request: Request, status: int, side: Side, title: str, words: str, label: str = '') -> Response:
    actions = (Action(_('Back to sign-in'), href=SIGNIN[side], kind='primary'),)
    # its links name another address: that of the request carries the code
    return plain.message(
        request, status, title, words, side=side, actions=actions, label=label or _('Not signed in'), here=SIGNIN[side]
    )  # fmt: skip


def _nobody(request: Request, provider: Provider) -> Response:
    """Unknown, disabled, of another company, of the other side, an address that nobody vouches for: one answer."""
    words = _('{name} knows you, but you cannot come in here with that account. Please ask whoever manages your access.', name=provider.name)  # fmt: skip
    return _says(request, 403, provider.side, _('No access with this account'), words)


def _over(request: Request, side: Side) -> Response:
    words = _('It was used already, took longer than ten minutes, or was begun in another browser. Begin once more.')
    return _says(request, 400, side, _('This sign-in does not work any more'), words)


def _away(request: Request, provider: Provider, error: Exception) -> Response:
    log.warning(
        'an identity provider does not work: %s %s', type(error).__name__, getattr(error, 'what', getattr(error, 'kind', ''))
    )
    words = _(
        '{name} cannot be reached right now, or is not set up rightly. Try again in a moment, or sign in another way.',
        name=provider.name,
    )
    return plain.after(_says(request, 503, provider.side, _('That sign-in does not work right now'), words), 30)


def _not_found(request: Request) -> Response:
    return plain.message(
        request, 404, _('Not found'), _('There is nothing here, or it is not yours to see.'), label=_('No page at this address'),
        actions=(Action(_('Go to the start'), href='/'),),
    )  # fmt: skip
