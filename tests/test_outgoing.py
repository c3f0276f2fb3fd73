"""What the portal speaks to, and what not, whatever somebody typed."""

import asyncio
import ipaddress
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from portal import outgoing
from portal.outgoing import Refused, Unreachable, ask, is_public

LOOPBACK = (ipaddress.ip_network('127.0.0.0/8'),)


@pytest.mark.parametrize('address', [
    '127.0.0.1', '0.0.0.0', '10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '192.0.0.8', '192.0.2.1', '198.18.0.1',
    '192.88.99.1', '224.0.0.1', '239.1.1.1', '240.0.0.1', '255.255.255.255', '::', '::1', '::127.0.0.1', '::ffff:127.0.0.1', '::ffff:10.0.0.1',
    '::ffff:8.8.8.8', 'fe80::1', 'fec0::1', 'fd00::1', 'ff02::1', '64:ff9b::127.0.0.1', '64:ff9b::a9fe:a9fe', '64:ff9b:1::8.8.8.8',
    '2002:7f00:1::', '2001::1', '2001:db8::1', '3fff::1', '100::1', '5f00::1', 'fe80::1%eth0',
])  # fmt: skip
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize('address', ['8.8.8.8', '2606:4700:4700::1111', '64:ff9b::8.8.8.8'])
def test_addresses_that_are(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize('url', [
    'https://localhost/', 'https://127.0.0.1/', 'https://127.1/', 'https://2130706433/', 'https://0x7f000001/', 'https://017700000001/',
    'https://[::1]/', 'https://[::ffff:127.0.0.1]/', 'https://169.254.169.254/latest/meta-data/', 'http://8.8.8.8/', 'https://0/',
    'ftp://8.8.8.8/', 'file:///etc/passwd', 'gopher://8.8.8.8/', 'https://user@8.8.8.8/', 'https://8.8.8.8 .example/', 'https://x\\@8.8.8.8/',
    'https:///', 'https://[::1', 'https://ünicode.example/', 'https://8.8.8.8:99999/', 'https://8.8.8.8/\r\nHost: x',
])  # fmt: skip
async def test_addresses_that_nobody_is_asked_at(url: str) -> None:
    with pytest.raises(Refused):
        await ask(url, allowed=())


async def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(Unreachable) as e:
        await ask('https://nobody.invalid/', allowed=())
    assert e.value.kind == 'name'


async def test_one_bad_address_among_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a name means is up to whoever owns it."""
    loop = asyncio.get_running_loop()

    async def means(*_args: object, **_more: object) -> object:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, '', (address, 443)) for address in ('8.8.8.8', '10.0.0.1')]

    monkeypatch.setattr(loop, 'getaddrinfo', means)
    with pytest.raises(Refused):
        await ask('https://two.example/', allowed=())


@asynccontextmanager
async def server(answer: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b'\r\n\r\n'))
        writer.write(answer)
        await writer.drain()
        writer.close()

    made = await asyncio.start_server(serve, '127.0.0.1', 0)
    yield f'http://localhost:{made.sockets[0].getsockname()[1]}', heard
    made.close()


async def test_a_network_of_one_s_own_is_allowed_by_name() -> None:
    async with server(b'HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{"a":1}') as (url, heard):
        answer = await ask(f'{url}/x', allowed=LOOPBACK)
        assert (answer.status, answer.json()) == (200, {'a': 1})
        port = url.rpartition(':')[2]
        assert b'GET /x HTTP/1.1' in heard[0]
        assert f'host: localhost:{port}'.encode() in heard[0].lower()
        with pytest.raises(Refused):
            await ask(url, allowed=())
    assert len(heard) == 1


async def test_nobody_leads_it_on() -> None:
    async with server(b'HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n') as (url, heard):
        assert (await ask(url, allowed=LOOPBACK)).status == 302
    assert len(heard) == 1


async def test_too_much_is_not_read() -> None:
    head = b'HTTP/1.1 200 OK\r\ncontent-length: 400000\r\n\r\n'
    async with server(head + b'x' * 400_000) as (url, _heard):
        with pytest.raises(Unreachable) as e:
            await ask(url, allowed=LOOPBACK)
    assert e.value.kind == 'size'


async def test_somebody_who_takes_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, 'ALTOGETHER', 0.3)

    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    made = await asyncio.start_server(silent, '127.0.0.1', 0)
    with pytest.raises(Unreachable):
        await ask(f'http://127.0.0.1:{made.sockets[0].getsockname()[1]}/', allowed=LOOPBACK)
    made.close()


@pytest.mark.parametrize('body', [b'<html>', b'[1]', b'"x"', b'[' * 100_000, b'\xff'])
async def test_what_is_no_object(body: bytes) -> None:
    async with server(b'HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n' % len(body) + body) as (url, _heard):
        with pytest.raises(Unreachable):
            (await ask(url, allowed=LOOPBACK)).json()
