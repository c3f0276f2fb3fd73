"""Requests to servers that somebody typed the address of: to the public internet, and to networks of one's own that are allowed.

A name is resolved once, every address it has must be one that may be spoken to, and the connection goes to the one that was
checked (TLS and `Host` keep the name): what the name means a moment later does not matter. No redirects, little time, little room.
"""

import asyncio
import contextlib
import ipaddress
import json
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx2

from portal.settings import Networks

PATIENCE, ALTOGETHER = 5.0, 15.0  # seconds: for each step; for all of it
MOST_BYTES = 300_000
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PUBLIC_6 = ipaddress.ip_network('2000::/3')
_NAT64 = ipaddress.ip_network('64:ff9b::/96')  # RFC 6052: an IPv4 address within, as networks without IPv4 know it
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(network)
    for network in (
        '192.0.0.0/24',
        '192.88.99.0/24',
        '2001::/23',
        '2002::/16',
        '3fff::/20',
    )  # RFC 6890: relays, tunnels, examples
)


class Refused(Exception):
    """An address that the portal does not speak to."""


class Unreachable(Exception):
    """Nobody there, too slow, too much, or no certificate of theirs. `kind`: name, connection, certificate, size, answer."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """Raises Unreachable where it is no JSON object."""
        with contextlib.suppress(ValueError, RecursionError):
            found = json.loads(self.body)
            if isinstance(found, dict):
                return found
        raise Unreachable('answer')


def is_public(address: Address) -> bool:
    """Somewhere on the internet: no network of one's own, no device of the link, nobody in particular, also not wrapped."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _PUBLIC_6 or address.scope_id:
            return False
    return (
        address.is_global
        and not address.is_multicast
        and not any(address in n for n in _NOT_PUBLIC if n.version == address.version)
    )


def may_be_spoken_to(address: Address, allowed: Networks) -> bool:
    """`allowed`: networks of one's own (PORTAL_OUTGOING_NETWORKS)."""
    plain = address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address
    return is_public(address) or any(plain in network for network in allowed if network.version == plain.version)


async def ask(
    url: str,
    *,
    allowed: Networks,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    most: int = MOST_BYTES,
) -> Answer:
    """GET, or POST of a form. Raises Refused and Unreachable; never shows what the other side said."""
    try:
        async with asyncio.timeout(ALTOGETHER):
            return await _ask(url, allowed, form, dict(headers or {}), most)
    except TimeoutError:
        raise Unreachable('connection') from None


async def _ask(url: str, allowed: Networks, form: Mapping[str, str] | None, headers: dict[str, str], most: int) -> Answer:
    host, port, secure = _parts(url)
    address = await _resolved(host, port, allowed)
    if not secure and not address.is_loopback:
        raise Refused(url)
    there = httpx2.URL(url).copy_with(host=str(address))
    named = f'[{host}]' if ':' in host else host
    headers |= {'host': named if port == (443 if secure else 80) else f'{named}:{port}', 'accept': 'application/json',
                'accept-encoding': 'identity', 'user-agent': 'client-portal'}  # fmt: skip
    transport = httpx2.AsyncHTTPTransport(verify=_certificates(), retries=0, trust_env=False)
    try:
        async with httpx2.AsyncClient(transport=transport, timeout=PATIENCE, follow_redirects=False, trust_env=False) as client:
            request = client.build_request(
                'GET' if form is None else 'POST', there, data=dict(form) if form is not None else None, headers=headers,
                extensions={'sni_hostname': host} if secure else {},
            )  # fmt: skip
            answer = await client.send(request, stream=True)
            try:
                return Answer(answer.status_code, await _body(answer, most))
            finally:
                await answer.aclose()
    except httpx2.HTTPError as e:
        raise Unreachable('certificate' if _is_about_tls(e) else 'connection') from None


def _parts(url: str) -> tuple[str, int, bool]:
    """Host, port, whether by TLS. Raises Refused."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or '', parts.port
    except ValueError:
        raise Refused(url) from None
    if parts.scheme not in ('https', 'http') or not host or parts.username is not None or not url.isascii() or len(url) > 2000:
        raise Refused(url)
    if any(c <= ' ' or c == '\\' for c in url):
        raise Refused(url)
    return host, port or (443 if parts.scheme == 'https' else 80), parts.scheme == 'https'


async def _resolved(host: str, port: int, allowed: Networks) -> Address:
    """One of its addresses; Refused if any of them may not be spoken to."""
    try:
        found = await asyncio.wait_for(
            asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP), PATIENCE
        )
    except (OSError, UnicodeError, TimeoutError):
        raise Unreachable('name') from None
    addresses = [ipaddress.ip_address(str(info[4][0])) for info in found]
    if not addresses:
        raise Unreachable('name')
    if not all(may_be_spoken_to(address, allowed) for address in addresses):
        raise Refused(host)
    return next((a for a in addresses if a.version == 4), addresses[0])


async def _body(answer: httpx2.Response, most: int) -> bytes:
    body = b''
    async for part in answer.aiter_raw():
        body += part
        if len(body) > most:
            raise Unreachable('size')
    return body


def _is_about_tls(error: BaseException) -> bool:
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, ssl.SSLError):
            return True
        at = at.__cause__ or at.__context__
    return False


@cache
def _certificates() -> ssl.SSLContext:
    """Those the machine trusts; reading them takes a while."""
    return ssl.create_default_context()
