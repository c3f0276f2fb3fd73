"""Who comes, and how, as the proxies in front have seen it.

Only a peer in PORTAL_TRUSTED_PROXIES is believed; everybody else could have written the headers. Past this point nobody sees
the headers of proxies any more: there is the client's address, the scheme and the Host.
"""

import ipaddress
import logging
import re

from starlette.types import ASGIApp, Receive, Scope, Send

from portal.settings import Networks, Settings

log = logging.getLogger('portal.proxies')
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_ABOUT_THE_WAY = (b'x-forwarded-', b'forwarded', b'x-real-ip')
_HOST = re.compile(r'[\w.-]{1,253}(:\d{1,5})?|\[[0-9a-f:.]{2,45}\](:\d{1,5})?', re.IGNORECASE | re.ASCII)
_warned = False


class Proxies:
    """Outermost, so that everything else sees the same."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.trusted = app, settings.trusted_proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope['type'] in ('http', 'websocket'):
            scope = as_seen_outside(scope, self.trusted)
        await self.app(scope, receive, send)


def as_seen_outside(scope: Scope, trusted: Networks) -> Scope:
    headers: list[tuple[bytes, bytes]] = scope['headers']
    peer = address((scope.get('client') or ('', 0))[0])
    kept = [(name, value) for name, value in headers if not name.startswith(_ABOUT_THE_WAY)]
    if len(kept) == len(headers):
        return scope
    seen: Scope = {**scope, 'headers': kept}
    if not peer or not _is_in(peer, trusted):
        _warn_once()
        return seen
    seen['client'] = (str(_comes_from(peer, _values(headers, b'x-forwarded-for'), trusted)), 0)
    scheme = _values(headers, b'x-forwarded-proto')[-1:]
    if scheme in (['http'], ['https']):
        plain, tls = ('ws', 'wss') if scope['type'] == 'websocket' else ('http', 'https')
        seen['scheme'] = tls if scheme == ['https'] else plain
    host = _values(headers, b'x-forwarded-host')[-1:]
    if host and _HOST.fullmatch(host[0]):
        seen['headers'] = [*((name, value) for name, value in kept if name != b'host'), (b'host', host[0].encode())]
    return seen


def address(text: str) -> Address | None:
    """Of `192.0.2.7`, `::ffff:192.0.2.7`, `fe80::1%eth0`, and with a port as some proxies write it; None if it is none."""
    text = text.strip()
    if found := re.fullmatch(r'\[([^\]]+)\](?::\d+)?|([\d.]+):\d+', text):
        text = found[1] or found[2]
    try:
        read = ipaddress.ip_address(text.partition('%')[0])
    except ValueError:
        return None
    return (read.ipv4_mapped or read) if isinstance(read, ipaddress.IPv6Address) else read


def network(host: str) -> str:
    """The network of an address, `nowhere` without one: /24 of IPv4, /64 of IPv6. What a proxy has seen is in the request already."""
    peer = address(host)
    if peer is None:
        return 'nowhere'
    return str(ipaddress.ip_network((peer, 24 if peer.version == 4 else 64), strict=False))


def _comes_from(peer: Address, forwarded: list[str], trusted: Networks) -> Address:
    """Each proxy appends whom it has seen: from the right, the first that is no proxy of ours. What stands left of it is hearsay."""
    for text in reversed(forwarded):
        found = address(text)
        if found is None:
            break
        peer = found
        if not _is_in(peer, trusted):
            break
    return peer


def _is_in(who: Address, networks: Networks) -> bool:
    return any(who in network for network in networks)


def _values(headers: list[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    joined = ','.join(value.decode('latin-1') for name, value in headers if name == wanted)
    return [value.strip() for value in joined.split(',')] if joined else []


def _warn_once() -> None:
    global _warned
    if not _warned:
        _warned = True
        log.warning('a peer that is not in PORTAL_TRUSTED_PROXIES sends X-Forwarded headers: they are not believed')
