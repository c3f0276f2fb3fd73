"""A second factor that has to be there before one comes in: of whoever needs one and has none, or has lost theirs and was helped.

There is no session yet. Who it is, and that they know the password, says the cookie between the steps; that they may set something up
here is asked in the database, with the writing of it.
"""

import base64
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import segno
from markupsafe import Markup
from pyotp.totp import TOTP
from sqlalchemy.exc import IntegrityError
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from portal import passkeys as standard
from portal import sealing, visit
from portal.components.plain import Door
from portal.components.render import render
from portal.domain.base import now, uuid7
from portal.domain.factors import CODES, digest_of, new_code, step_of
from portal.domain.passkeys import as_json
from portal.guard import cookie_name
from portal.i18n import _
from portal.pages.auth import asking, entering, passkeys, plain, recovering, sessions, throttle
from portal.pages.auth.forms import ROOT, Side, side_of, typed
from portal.pages.auth.methods.kinds import Person
from portal.pages.auth.signin import SIGNIN
from portal.pages.shared.codes import codes_text
from portal.passkeys import NotGood
from portal.settings import Settings
from portal.signing import BadData, Signer, signer

PASSKEY: dict[Side, str] = {'client': '/auth/client-portal/set-up/passkey', 'staff': '/auth/msp/set-up/passkey'}
HOUR = 3600  # seconds


@dataclass(frozen=True, slots=True)
class App:
    """An authenticator app that is being set up: its secret goes along with the form, signed for this person."""

    id: UUID
    secret: str


async def _waiting(request: Request, side: Side) -> tuple[entering.Waiting, UUID | None] | None:
    """Who sets something up, and by which recovery; None for whoever needs nothing here."""
    waiting = await entering.waiting(request, side)
    if waiting is None:
        return None
    recovery = await recovering.of(request, waiting.person.user)
    if recovery is None and not await entering.lacks(waiting.person.tenant, waiting.person.user, waiting.proofs):
        return None
    return waiting, recovery


async def show(request: Request) -> Response:
    side = side_of(request)
    found = await _waiting(request, side)
    return _page(request, found[0], found[1], _new()) if found else _late(request, side)


async def options(request: Request) -> Response:
    side = side_of(request)
    found = await _waiting(request, side)
    if found is None:
        return JSONResponse({'go': f'{SIGNIN[side]}?why=late'}, 403)
    person = found[0].person
    row = await visit.database.ask('select app.handle_of(:tenant, :user)', tenant=person.tenant, user=person.user)
    known = [] if found[1] else await passkeys.known(person.tenant, person.user)
    made, cookie = passkeys.challenge(request, 'register', person.user)
    creation = standard.creation(
        passkeys.here(request), made, handle=bytes(row[0]), email=person.email, name=person.name, house=request.state.tenant.name,
        known=known,
    )  # fmt: skip
    return passkeys.asking(request, creation, cookie)


async def take(request: Request) -> Response:
    side, fields = side_of(request), await typed(request)
    found = await _waiting(request, side)
    if found is None:
        return _late(request, side)
    waiting, recovery = found
    if fields.get('credential'):
        return await _passkey(request, waiting, recovery, fields['credential'])
    return await _app(request, waiting, recovery, fields)


async def _passkey(request: Request, waiting: entering.Waiting, recovery: UUID | None, said: str) -> Response:
    person = waiting.person
    try:
        credential, asked = await passkeys.answer(request, said, 'register')
        if asked.user != person.user:
            raise NotGood
        made = standard.made(passkeys.here(request), asked, credential)
    except NotGood:
        return _page(request, waiting, recovery, _new(), wrong_key=_('That did not work. Try again, or use an app.'), status=422)
    key = as_json(made, sessions.device_words(request.headers.get('user-agent', '')) if made.built_in else _('Security key'))
    question = 'select app.set_up_passkey(:tenant, :user, :proofs, :recovery, cast(:key as jsonb))'
    return await _written(request, waiting, recovery, 'passkey', question, key=key)


async def _app(request: Request, waiting: entering.Waiting, recovery: UUID | None, fields: dict[str, str]) -> Response:
    person, settings = waiting.person, request.state.settings
    app = _read(request, person.user, fields.get('app', ''))
    if app is None:
        return _page(request, waiting, recovery, _new(), wrong_code=_('That took too long. Scan the code once more.'), status=422)
    if not fields.get('code', '').strip():
        return _page(request, waiting, recovery, app, wrong_code=_('Please enter the six digits that the app shows.'), status=422)
    try:
        attempt = await throttle.reserve(throttle.second(person.tenant, person.user, sessions.device_of(request).id))
    except throttle.TooSoon as e:
        return plain.after(_page(request, waiting, recovery, app, wrong_code=e.words, status=429), e.seconds)
    step = step_of(app.secret.encode(), fields['code'], now())
    if step is None:
        words = _('These are not the digits that belong to it. Wait for the next ones, and check the clock of the phone.')
        return _page(request, waiting, recovery, app, wrong_code=words, status=422)
    await attempt.was_good()
    sealed = sealing.seal(settings, sealing.Place('totp', 'secret', person.tenant, app.id), app.secret.encode())
    codes = [new_code() for _n in range(CODES)]
    question = 'select app.set_up_totp(:tenant, :user, :proofs, :recovery, :id, :name, :secret, :step, :codes)'
    response = await _written(
        request, waiting, recovery, 'totp', question, id=app.id, name=_('Authenticator app'), secret=sealed, step=step,
        codes=[digest_of(person.tenant, person.user, code) for code in codes],
    )  # fmt: skip
    return _keep(request, person, codes, response)


def _keep(request: Request, person: Person, codes: list[str], response: Response) -> Response:
    """The recovery codes, before one goes on: they are shown once. The answer has the cookies of the one that leads on."""
    cookies = [header for header in response.raw_headers if header[0] == b'set-cookie']
    began = f'{cookie_name(request.state.settings)}='.encode()
    if not any(value.startswith(began) for _name, value in cookies):
        return response  # it was not written, or they may not come in any more
    form = render(
        'auth/keep_codes.html', codes=codes, text=codes_text(request.state.tenant.name, person.email, codes),
        file_name=_('recovery-codes.txt'), onward=response.headers['location'],
    )  # fmt: skip
    door = Door(_('Keep these'), entering.SET_UP[person.side], _('For the day the phone is gone. Shown once; each works once'))
    page = plain.door(request, person.side, door, form, here=entering.SET_UP[person.side])
    page.raw_headers.extend(cookies)
    return page


async def _written(
    request: Request, waiting: entering.Waiting, recovery: UUID | None, proof: sessions.Proof, question: str, **values: Any
) -> Response:  # fmt: skip
    """The factor is written, and they come in by it."""
    person = waiting.person
    try:
        row = await visit.database.ask(
            question, tenant=person.tenant, user=person.user, proofs=list(waiting.proofs), recovery=recovery, **values
        )
    except IntegrityError:  # there is one by now, or the recovery was used or stopped meanwhile
        return _late(request, person.side)
    if not row[0]:
        return _page(
            request, waiting, recovery, _new(), wrong_key=_('This passkey is here already. Use another one.'), status=422
        )
    onward = waiting.next or ROOT[person.side]
    response = await entering.came(request, person.side, person.user, (*waiting.proofs, proof), onward)
    recovering.forget(request, response)
    return response


# ---------- the page ----------


def _new() -> App:
    return App(uuid7(), base64.b32encode(secrets.token_bytes(20)).decode())


def _signer(settings: Settings, user: UUID) -> Signer:
    return signer(settings, f'set-up|{user}')


def _read(request: Request, user: UUID, said: str) -> App | None:
    try:
        payload: Any = _signer(request.state.settings, user).loads(said[:500], max_age=HOUR)
        return App(UUID(payload[0]), str(payload[1]))
    except (BadData, ValueError, IndexError, TypeError):
        return None


def _page(
    request: Request, waiting: entering.Waiting, recovery: UUID | None, app: App, *, wrong_key: str = '', wrong_code: str = '',
    status: int = 200,
) -> Response:  # fmt: skip
    person, house = waiting.person, request.state.tenant.name
    uri = TOTP(app.secret).provisioning_uri(name=person.email, issuer_name=house)
    key = passkeys.values(request, PASSKEY[person.side], _('Set up a passkey'), asks='create', kind='primary', wrong=wrong_key)
    picture = Markup(segno.make(uri, error='m').svg_inline(border=3, dark='#000', light='#fff', omitsize=True))  # noqa: S704  (made of modules alone)
    form = render(
        'auth/set_up.html', key=key, picture=picture, secret=' '.join(app.secret[n : n + 4] for n in range(0, len(app.secret), 4)),
        app=_signer(request.state.settings, person.user).dumps([str(app.id), app.secret]), wrong_code=wrong_code,
        action=entering.SET_UP[person.side],
    )  # fmt: skip
    first = person.name.split()[0]
    lead = (
        _('{msp} makes sure that it is you, {name}. Choose what you want to sign in with from now on.', msp=house, name=first)
        if recovery else _('{msp} asks you for more than a password from now on, {name}. It takes a minute.', msp=house, name=first)
    )  # fmt: skip
    door = Door(_('Set up a second factor'), entering.SET_UP[person.side], lead, aside=asking.aside(request))
    return plain.door(request, person.side, door, form, status, here=entering.SET_UP[person.side])


def _late(request: Request, side: Side) -> Response:
    if request.state.arrival:
        return RedirectResponse('/', 303)
    response = RedirectResponse(f'{SIGNIN[side]}?why=late', 303)
    entering.forget(request, response)
    return response
