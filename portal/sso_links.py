"""Addresses of single sign-on: where a way to a provider begins, and where it comes back."""

from urllib.parse import urlencode
from uuid import UUID

from portal import links
from portal.settings import Settings
from portal.signing import BadData, Signer, signer

CALLBACK = '/auth/sso/callback'
LINK_AGE = 300  # seconds


def callback_of(host: str | None, settings: Settings) -> str:
    """What has to be registered at the provider."""
    return links.origin_of(host, settings) + CALLBACK


def start(provider: UUID | str, onward: str | None = None, **more: str) -> str:
    """`for`: signin (the default), link, confirm."""
    asked = {'next': onward or '', **more}
    query = urlencode({name: value for name, value in asked.items() if value})
    return f'/auth/sso/{provider}/start' + (f'?{query}' if query else '')


def start_linking(settings: Settings, token: bytes, provider: UUID | str, onward: str) -> str:
    """For whoever has just shown that they want to link an account: no other site can make this address."""
    return start(provider, onward, **{'for': 'link', 'ticket': str(_signer(settings).dumps([token.hex(), str(provider)]))})


def may_link(settings: Settings, ticket: str, token: bytes, provider: UUID) -> bool:
    try:
        return _signer(settings).loads(ticket[:1000], max_age=LINK_AGE) == [token.hex(), str(provider)]
    except BadData:
        return False


def _signer(settings: Settings) -> Signer:
    return signer(settings, 'sso-link')
