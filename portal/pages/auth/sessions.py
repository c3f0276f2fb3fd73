"""Coming in and going out: the session, its cookie, and the cookie by which a device is known again."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from portal import visit
from portal.guard import cookie_name, read_cookie, small_cookie
from portal.settings import Settings
from portal.signing import BadData, Signer, signer
from portal.visit import token_of

DEVICE, LAST_COMPANY = 'portal-device', 'portal-company'
YEAR = 365 * 24 * 3600  # seconds
MOST_PEOPLE = 20  # that one device knows


Proof = Literal['password', 'totp', 'passkey', 'recovery', 'sso']


async def begin(request: Request, response: Response, tenant: UUID, user: UUID, *proofs: Proof, at: datetime | None) -> bool:
    """A new session, by what its person proved who they are; one that this browser had before ends first. `at`: when they did;
    None where a provider does not say, and so it is no fresh proof.

    False: the person may not come in any more.
    """
    await end(request)
    device, mark = device_of(request), await _mark(tenant, user)
    token = secrets.token_urlsafe(32)
    row = await visit.database.ask(
        'select app.open_session(:token, :tenant, :user, :device, :proofs, :device_key, :known, :at)',
        token=token_of(token), tenant=tenant, user=user, device=device_words(request.headers.get('user-agent', '')),
        proofs=list(proofs), device_key=device.key, known=device.knows(user, mark), at=at,
    )  # fmt: skip
    if not row[0]:
        return False
    settings: Settings = request.state.settings
    response.set_cookie(cookie_name(settings), token, path='/', secure=settings.secure, httponly=True, samesite='lax')
    _remember(request, response, device.and_knows(user, mark))
    return True


async def end(request: Request) -> None:
    """The session of this browser, if it has one."""
    cookie = read_cookie(request.headers, cookie_name(request.state.settings))
    if cookie and len(cookie) <= 200:
        await visit.database.ask('select app.end_session(:token)', token=token_of(cookie))


def clear(request: Request, response: Response) -> None:
    """What signing out takes away from the browser. The device stays known, the language chosen."""
    secure = request.state.settings.secure
    response.delete_cookie(cookie_name(request.state.settings), path='/', secure=secure, httponly=True, samesite='lax')
    response.delete_cookie(LAST_COMPANY, path='/', secure=secure, httponly=True, samesite='lax')
    response.headers['clear-site-data'] = '"storage"'  # drafts in sessionStorage


# ---------- the device ----------


@dataclass(frozen=True, slots=True)
class Device:
    """Whom it knows is kept as digests made with its own id: two cookies cannot be compared."""

    id: str
    people: tuple[str, ...] = ()

    @property
    def key(self) -> bytes:
        """What the database keeps of it."""
        return hashlib.sha256(self.id.encode()).digest()

    def knows(self, user: UUID, mark: str) -> bool:
        return self._digest(user, mark) in self.people

    def and_knows(self, user: UUID, mark: str) -> 'Device':
        """`mark` is another one after a new password, after a factor was taken away, and after "that was not me" (`app.device_mark`)."""
        me = self._digest(user, mark)
        return Device(self.id, (*(other for other in self.people if other != me), me)[-MOST_PEOPLE:])

    def _digest(self, user: UUID, mark: str) -> str:
        return hashlib.sha256(f'{self.id}|{user}|{mark}'.encode()).hexdigest()[:22]


def _serializer(settings: Settings) -> Signer:
    return signer(settings, 'device')


def device_of(request: Request) -> Device:
    """A new one where the browser brings none, or one that we did not sign."""
    try:
        payload: Any = _serializer(request.state.settings).loads(
            request.cookies.get(small_cookie(request.state.settings, DEVICE), '')[:4000], max_age=YEAR
        )
        return Device(str(payload['id']), tuple(map(str, payload['people'])))
    except (BadData, KeyError, TypeError):
        return Device(secrets.token_urlsafe(12))


def carry_device(request: Request, response: Response) -> Device:
    """By which this browser is known again, without knowing anybody by it yet."""
    device = device_of(request)
    _remember(request, response, device)
    return device


async def remember_device(request: Request, response: Response, tenant: UUID, user: UUID) -> None:
    """Only for who has proven to be that person: attempts from here are counted apart from those of strangers."""
    _remember(request, response, device_of(request).and_knows(user, await _mark(tenant, user)))


async def known_device(request: Request, tenant: UUID, user: UUID | None) -> str:
    """The id of this device if it knows the person, else ''. Whether that is looked up depends on the cookie, not on the person."""
    device = device_of(request)
    if not device.people:
        return ''
    mark = await _mark(tenant, user)
    return device.id if user and device.knows(user, mark) else ''


async def _mark(tenant: UUID, user: UUID | None) -> str:
    return (await visit.database.ask('select app.device_mark(:tenant, :user)', tenant=tenant, user=user))[0]


def _remember(request: Request, response: Response, device: Device) -> None:
    settings: Settings = request.state.settings
    value = str(_serializer(settings).dumps({'id': device.id, 'people': device.people}))
    name = small_cookie(settings, DEVICE)
    response.set_cookie(name, value, max_age=YEAR, path='/auth', secure=settings.secure, httponly=True, samesite='lax')


# the more particular first: every browser also calls itself one of the later ones
_BROWSERS = ('Edg/Edge', 'OPR/Opera', 'SamsungBrowser/Samsung Internet', 'Firefox/Firefox', 'FxiOS/Firefox', 'CriOS/Chrome',
             'Chrome/Chrome', 'Safari/Safari')  # fmt: skip
_SYSTEMS = ('iPhone/iPhone', 'iPad/iPad', 'Android/Android', 'Windows/Windows', 'Mac OS X/Mac', 'CrOS/ChromeOS', 'Linux/Linux')


def device_words(user_agent: str) -> str:
    """`Firefox · Windows`: enough to know one's own devices in a list, and not a fingerprint."""
    found = [_named(user_agent, names) for names in (_BROWSERS, _SYSTEMS)]
    words = ' · '.join(word for word in found if word)
    return words or re.sub(r'[^\w./ -]', '', user_agent)[:40].strip() or '–'


def _named(user_agent: str, names: tuple[str, ...]) -> str:
    return next((word for sign, _slash, word in (name.partition('/') for name in names) if sign in user_agent), '')
