"""The device cookie, the words for a device, and where somebody comes from."""

from uuid import uuid4

import pytest
from starlette.requests import Request
from starlette.responses import Response

from portal.pages.auth import sessions
from portal.pages.auth.throttle import place
from portal.settings import Settings
from tests import conftest


def request(settings: Settings, client: str = '192.0.2.7', **headers: str) -> Request:
    raw = [(name.replace('_', '-').encode(), value.encode()) for name, value in headers.items()]
    state = {'settings': settings, 'tenant': None}
    return Request({'type': 'http', 'method': 'GET', 'path': '/', 'headers': raw, 'client': (client, 1), 'state': state})


def cookie_after(asked: Request, user: object) -> str:
    response = Response()
    sessions._remember(asked, response, sessions.device_of(asked).and_knows(user, 'mark'))  # pyright: ignore
    return response.headers['set-cookie'].split(';')[0]


def test_a_device_knows_whom_it_was_told(settings: Settings) -> None:
    ada, bea, ugo = uuid4(), uuid4(), uuid4()
    first = cookie_after(request(settings), ada)
    both = cookie_after(request(settings, cookie=first), bea)
    device = sessions.device_of(request(settings, cookie=both))
    assert device.knows(ada, 'mark')
    assert device.knows(bea, 'mark')
    assert not device.knows(ugo, 'mark')
    assert not device.knows(ada, 'of a new password')
    assert device.id == sessions.device_of(request(settings, cookie=first)).id


def test_a_device_cookie_of_another_maker_is_worth_nothing() -> None:
    ada = uuid4()
    foreign = cookie_after(request(conftest.test_settings(PORTAL_SECRET_KEY='another secret that is long enough')), ada)
    for cookie in (foreign, foreign[:-2], 'portal-device=', 'portal-device=WyJhIl0', 'portal-device=' + 'a' * 5000):
        assert not sessions.device_of(request(conftest.test_settings(), cookie=cookie)).knows(ada, 'mark')


def test_a_device_forgets_the_first_of_many(settings: Settings) -> None:
    device, people = sessions.Device('d'), [uuid4() for _ in range(21)]
    for person in people:
        device = device.and_knows(person, '')
    assert not device.knows(people[0], '')
    assert all(device.knows(person, '') for person in people[1:])


@pytest.mark.parametrize(
    ('user_agent', 'words'),
    [
        ('Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:130.0) Gecko/20100101 Firefox/130.0', 'Firefox · Windows'),
        ('Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15', 'Safari · Mac'),
        ('Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0 Safari/537.36 Edg/128.0', 'Edge · Windows'),
        ('Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 CriOS/128.0 Mobile Safari/604.1', 'Chrome · iPhone'),
        ('Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/128.0 Mobile Safari/537.36', 'Chrome · Android'),
        ('curl/8.5.0', 'curl/8.5.0'),
        ('<script>alert(1)</script>', 'scriptalert1/script'),
        ('', '–'),
    ],
)  # fmt: skip
def test_a_device_in_words(user_agent: str, words: str) -> None:
    assert sessions.device_words(user_agent) == words


def test_neighbours_share_a_place(settings: Settings) -> None:
    assert place(request(settings, '192.0.2.7')) == place(request(settings, '192.0.2.200')) == '192.0.2.0/24'
    assert place(request(settings, '192.0.3.7')) != place(request(settings, '192.0.2.7'))
    assert place(request(settings, '2001:db8::1')) == place(request(settings, '2001:db8::ffff:1')) == '2001:db8::/64'
    assert place(request(settings, '::ffff:192.0.2.9')) == '192.0.2.0/24'
    assert place(request(settings, 'fe80::1%eth0')) == 'fe80::/64'


def test_behind_tls_the_cookie_of_a_device_has_a_prefix() -> None:
    secure = conftest.test_settings(PORTAL_URL='https://portal.example')
    cookie = cookie_after(request(secure), uuid4())
    assert cookie.startswith('__Secure-portal-device=')
    assert sessions.device_of(request(secure, cookie=cookie)).people
    assert not sessions.device_of(request(secure, cookie=cookie.removeprefix('__Secure-'))).people
