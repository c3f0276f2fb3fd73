"""The first start: with the code from the console somebody makes the MSP and its first admin."""

from dataclasses import dataclass, field

from babel.core import get_global
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from portal import i18n, setup, tenants, visit
from portal.components import plain as plain_pages
from portal.components.render import render
from portal.components.values import Option, OptionGroup
from portal.domain.base import Wrong, now, uuid7
from portal.domain.people import clean_email, clean_name
from portal.domain.tenants import clean_details
from portal.guard import MSP
from portal.i18n import LANGUAGES, _, known_timezone
from portal.pages.auth import passwords, plain, sessions, throttle
from portal.pages.auth.forms import typed
from portal.pages.auth.signin import SIGNIN
from portal.pages.settings.zones import zone_options

_OF_TENANT = {'name': 'house', 'short_name': 'short'}  # what this page calls otherwise, since a person has a name, too
FIELDS = ('house', 'short', 'language', 'timezone', 'name', 'email', 'password', 'code')  # in the order of the page


@dataclass(frozen=True)
class Shown:
    """What was typed (but no password), and what is wrong with it."""

    typed: dict[str, str]
    wrong: dict[str, str] = field(default_factory=dict[str, str])
    strength: str = ''
    """Of the password, where it is not the one at fault: it has to be typed once more."""


async def show(request: Request) -> Response:
    if await _is_over(request):
        return plain.not_found()  # pyright: ignore[reportReturnType]  (an ASGI application, as every response is)
    language = request.query_params.get('language') or i18n.voice().language
    return _page(request, Shown({'language': language, 'timezone': _guessed_zone(request)}))


async def take(request: Request) -> Response:
    """Whoever comes second, by a click too many or in a race, is asked to sign in."""
    if await _is_over(request):
        return RedirectResponse(f'{SIGNIN["staff"]}?why=ready', 303)
    fields = await typed(request)
    try:
        good, wrong = _checked(fields)
        verdict = await _verdict(fields)
        if verdict.problem:
            wrong['password'] = verdict.problem
        if problem := await _code(request, fields.get('code', '')):
            wrong['code'] = problem
        if wrong:
            return _page(request, Shown(fields, wrong, '' if verdict.problem else verdict.strength), 422)
        return await _found(request, good, await passwords.hashed(fields['password']))
    except throttle.TooSoon as e:
        return plain.after(_page(request, Shown(fields, {'code': e.words}), 429), e.seconds)
    except passwords.Busy:
        words = _('The portal is busy just now, please try again in a moment.')
        return plain.after(_page(request, Shown(fields, {'password': words}), 503), 5)


async def _is_over(request: Request) -> bool:
    """Also asked of the database: with several tenants, an unknown host has none."""
    return request.state.tenant is not None or (await visit.database.ask('select app.any_tenant()'))[0]


# ---------- checking ----------


def _checked(fields: dict[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """What can be taken, and what is wrong, by field."""
    house = fields.get('house', '')
    wanted = {
        'name': house, 'short_name': fields.get('short', '').strip() or short_name(house) or '-',
        'language': fields.get('language', ''), 'timezone': fields.get('timezone', ''),
    }  # fmt: skip
    good, wrong = ({_OF_TENANT.get(name, name): value for name, value in found.items()} for found in clean_details(wanted))
    for name, clean in (('name', clean_name), ('email', clean_email)):
        try:
            good[name] = clean(fields.get(name, ''))
        except Wrong as e:
            wrong |= e.fields
    return good, wrong


def short_name(house: str) -> str:
    """As people say it: "Northwind" for "Northwind IT GmbH". One that would say nothing alone is kept whole."""
    first = house.split()[0] if house.split() else ''
    return first if 3 < len(first) <= 60 else house[:60].strip()


async def _verdict(fields: dict[str, str]) -> passwords.Verdict:
    email, name, house = (fields.get(key, '') for key in ('email', 'name', 'house'))
    return await passwords.verdict(fields.get('password', ''), email=email, name=name, also=(house,))


async def _code(request: Request, code: str) -> str:
    """What is wrong with the code. Each one tried is counted before it is looked at."""
    if not code.strip():
        return _('Please enter the code; it stands in the console where the portal was started.')
    attempt = await throttle.reserve(throttle.prefix(request, 'setup'))
    if not setup.is_code(request.state.settings, code):
        return _('This is not the code. It has eight signs and stands in the console where the portal was started.')
    await attempt.was_good()
    return ''


async def _found(request: Request, good: dict[str, str], hashed: str) -> Response:
    tenant, user = uuid7(), uuid7()
    row = await visit.database.ask(
        'select app.found(:tenant, :house, :short, :language, :timezone, :user, :name, :email, :hash)',
        tenant=tenant, user=user, hash=hashed, **good,
    )  # fmt: skip
    tenants.forget()
    if not row[0]:
        return RedirectResponse(f'{SIGNIN["staff"]}?why=ready', 303)
    response = RedirectResponse(MSP, 303)
    await sessions.begin(request, response, tenant, user, 'password', at=now())
    return response


# ---------- the page ----------


def _page(request: Request, shown: Shown, status: int = 200) -> Response:
    values = {name: shown.typed.get(name, '') for name in FIELDS if name != 'password'}
    wrong = {name: shown.wrong.get(name, '') for name in FIELDS}
    focus = next((name for name in FIELDS if wrong[name]), 'house')
    content = render(
        'auth/setup.html', values=values, wrong=wrong, focus=focus, strength=shown.strength, least=passwords.LEAST,
        languages=[Option(code, word) for code, word in LANGUAGES.items()], zones=_zones(values['timezone']),
    )  # fmt: skip
    page = plain.page(request, _('First start'), 'staff', here='/setup')
    return HTMLResponse(plain_pages.lone(page, content, tag=_('First start')), status)


def _guessed_zone(request: Request) -> str:
    """Of the country in the browser's first language, where it has (nearly) one time; else it is asked for."""
    territory = request.headers.get('accept-language', '').split(',')[0].partition('-')[2][:2].upper()
    zones = [zone for zone in get_global('territory_zones').get(territory, []) if known_timezone(zone)]
    return zones[0] if 1 <= len(zones) <= 3 else ''


def _zones(current: str) -> list[OptionGroup]:
    """The guessed or chosen one first, if there is one."""
    zones = zone_options(current)
    return zones if known_timezone(current) else zones[1:]
