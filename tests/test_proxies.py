"""Behind proxies: who comes is read from the right, and only from a proxy of ours; what an answer says behind TLS."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from portal import guard, proxies, tenants
from portal.db.cast import PASSWORD, Cast
from portal.settings import Settings, load
from tests.pages.auth.conftest import CLIENT
from tests.visitor import Visitor

CADDY = load({'PORTAL_TRUSTED_PROXIES': '10.0.0.0/8, fd00::/8, 127.0.0.1'}).trusted_proxies


def seen(peer: str, **headers: str) -> tuple[str, str, str, list[str]]:
    """Client, scheme, host, and the names of the headers that are left."""
    raw = [(b'host', b'inside:8080'), *((name.replace('_', '-').encode(), value.encode()) for name, value in headers.items())]
    scope = proxies.as_seen_outside({'type': 'http', 'scheme': 'http', 'client': (peer, 5), 'headers': raw}, CADDY)
    names = [name.decode() for name, _value in scope['headers']]
    return scope['client'][0], scope['scheme'], dict(scope['headers'])[b'host'].decode(), names


@pytest.mark.parametrize(
    ('peer', 'forwarded', 'client'),
    [
        ('10.0.0.2', '203.0.113.9', '203.0.113.9'),
        ('10.0.0.2', '6.6.6.6, 203.0.113.9', '203.0.113.9'),  # the left one is what the client claims
        ('10.0.0.2', '203.0.113.9, 10.0.0.3, fd00::3', '203.0.113.9'),  # through three proxies of ours
        ('10.0.0.2', '10.0.0.9, 10.0.0.3', '10.0.0.9'),  # somebody within the own network
        ('10.0.0.2', '2001:db8::7', '2001:db8::7'),
        ('10.0.0.2', '203.0.113.9:4711', '203.0.113.9'),
        ('10.0.0.2', '[2001:db8::7]:443', '2001:db8::7'),
        ('10.0.0.2', '6.6.6.6, nonsense', '10.0.0.2'),
        ('10.0.0.2', '6.6.6.6, nonsense, 10.0.0.3', '10.0.0.3'),
        ('::ffff:10.0.0.2', '203.0.113.9', '203.0.113.9'),
        ('198.51.100.4', '203.0.113.9', '198.51.100.4'),  # no proxy of ours
        ('192.168.0.4', '203.0.113.9', '192.168.0.4'),
    ],
)
def test_who_comes(peer: str, forwarded: str, client: str) -> None:
    assert seen(peer, x_forwarded_for=forwarded)[0] == client


def test_scheme_and_host_come_from_a_proxy_of_ours_alone() -> None:
    says = {'x_forwarded_proto': 'https', 'x_forwarded_host': 'portal.example'}
    assert seen('10.0.0.2', **says)[1:3] == ('https', 'portal.example')
    assert seen('198.51.100.4', **says)[1:3] == ('http', 'inside:8080')
    odd = {'x_forwarded_proto': 'gopher', 'x_forwarded_host': 'portal.example/@evil'}
    assert seen('10.0.0.2', **odd)[1:3] == ('http', 'inside:8080')


@pytest.mark.parametrize('peer', ['10.0.0.2', '198.51.100.4'])
def test_nobody_behind_sees_what_proxies_said(peer: str) -> None:
    assert seen(peer, x_forwarded_for='1.2.3.4', x_real_ip='1.2.3.4', forwarded='for=1.2.3.4', accept='*/*')[3] == [
        'host',
        'accept',
    ]


async def test_the_browser_is_told_to_stay_with_tls(pages: Any, visitor: type[Visitor], cast: Cast, settings: Settings) -> None:
    """On every kind of answer: a page, a form, a redirect, a file, an error; and only behind TLS."""
    tenants.forget()
    secure = guard.Guard(pages.app, replace(settings, url='https://portal.example'))
    origin = f'https://{cast.northwind.host}'
    async with httpx.AsyncClient(transport=httpx.ASGITransport(secure), base_url=origin, headers={'origin': origin}) as http:
        await http.post(CLIENT, data={'email': cast.ada.email, 'password': PASSWORD})
        paths = ['/client-portal/acme', CLIENT, '/', '/static/nothing.css', '/client-portal/acme/nowhere', '/healthz']
        answers = [await http.get(path) for path in paths] + [await http.delete('/')]
    assert [answer.status_code for answer in answers] == [200, 303, 303, 404, 404, 200, 403]
    assert {answer.headers.get('strict-transport-security') for answer in answers} == {'max-age=31536000'}
    assert 'strict-transport-security' not in (await visitor(cast.ada).get('/client-portal/acme')).answer.headers


async def test_a_page_hears_of_the_outside_through_the_whole_chain(settings: Settings) -> None:
    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        words = f'{scope["client"][0]} {scope["scheme"]} {dict(scope["headers"])[b"host"].decode()}'
        await PlainTextResponse(words)(scope, receive, send)

    app = proxies.Proxies(inner, replace(settings, trusted_proxies=CADDY))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app, client=('10.0.0.2', 1)), base_url='http://inside') as http:
        said = {'x-forwarded-for': '203.0.113.9', 'x-forwarded-proto': 'https', 'x-forwarded-host': 'portal.example'}
        assert (await http.get('/', headers=said)).text == '203.0.113.9 https portal.example'
