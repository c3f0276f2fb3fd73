"""The two sign-in doors. Known and unknown addresses get the same answer, by the same work."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote
from uuid import UUID

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal import visit
from portal.components.plain import Account, Door
from portal.components.render import render
from portal.components.values import MenuItem
from portal.guard import CLIENT, MSP, SIGN_IN
from portal.i18n import _
from portal.pages.auth import entering, passkeys, passwords, plain, sessions, sso_offers, throttle
from portal.pages.auth.forms import USER_TYPE, Side, next_for, plain_email, side_of, typed
from portal.settings import Settings

SIGNIN: dict[Side, str] = {'client': SIGN_IN[CLIENT], 'staff': SIGN_IN[MSP]}
FORGOT: dict[Side, str] = {'client': '/auth/client-portal/forgot-password', 'staff': '/auth/msp/forgot-password'}


@dataclass(frozen=True)
class Notice:
    words: str
    kind: str = 'quiet'
    icon: str = 'info'


@dataclass(frozen=True)
class Shown:
    """What the page shows beside its fields."""

    email: str = ''
    wrong: dict[str, str] = field(default_factory=dict[str, str])
    both: bool = False
    notice: Notice | None = None


async def show(request: Request) -> Response:
    side = side_of(request)
    if request.state.arrival:
        return RedirectResponse(_next(request) or '/', 303)
    request.state.offers = await sso_offers.offers(request, side, _next(request))
    return _page(request, side, Shown(notice=_why(request.query_params.get('why', ''))))


async def take(request: Request) -> Response:
    """Signs in, or says that it cannot be."""
    side, fields = side_of(request), await typed(request)
    request.state.offers = await sso_offers.offers(request, side, _next(request))
    email, password = plain_email(fields.get('email', '')), fields.get('password', '')
    wrong = {} if email else {'email': _('Please enter your e-mail address.')}
    if not password:
        wrong['password'] = _('Please enter your password.')
    if wrong:
        return _page(request, side, Shown(email, wrong), 422)
    try:
        return await _let_in(request, side, email, password)
    except throttle.TooSoon as e:
        return plain.after(_page(request, side, Shown(email, {'password': e.words}), 429), e.seconds)
    except passwords.Busy:
        notice = Notice(_('Many people are signing in just now, please try again in a moment.'), 'wait', 'clock')
        return plain.after(_page(request, side, Shown(email, notice=notice), 503), 5)


async def _let_in(request: Request, side: Side, email: str, password: str) -> Response:
    tenant = request.state.tenant.id
    user, stored = await _account(tenant, side, email)
    attempt = await throttle.reserve(*await _buckets(request, side, email, user))
    try:
        good = await passwords.is_right(stored, password)
    except passwords.Busy:
        await attempt.was_none()
        raise
    if not good or user is None:
        await _failed(tenant, side, email, user, attempt)
        both = _('E-mail and password do not belong together. Check both, or set a new password.')
        return _page(request, side, Shown(email, {'password': both}, both=True), 401)
    await attempt.was_good()
    await _renew(user, stored or '', password)
    return await entering.came(request, side, user, 'password', _next(request))


async def take_passkey(request: Request) -> Response:
    """Signs in with a passkey alone; whatever is wrong with it, the words are the same."""
    side, fields = side_of(request), await typed(request)
    tenant = request.state.tenant.id
    request.state.offers = await sso_offers.offers(request, side, _next(request))
    try:
        user = await passkeys.alone(request, side, fields.get('credential', ''))
    except throttle.TooSoon as e:
        return plain.after(_page(request, side, Shown(notice=Notice(e.words, 'wait', 'clock')), 429), e.seconds)
    except passkeys.NotGood as e:
        await visit.database.ask('select app.failed_sign_in(:tenant, :user)', tenant=tenant, user=None)
        return _page(request, side, Shown(notice=Notice(passkeys.words_for(e), 'bad', 'triangle-alert')), 401)
    return await entering.came(request, side, user, 'passkey', _next(request))


async def _account(tenant: UUID, side: Side, email: str) -> tuple[UUID | None, str | None]:
    question = 'select user_id, password_hash from app.door(:tenant, :type, :email)'
    row = await visit.database.ask(question, tenant=tenant, type=USER_TYPE[side], email=email)
    return (row[0], row[1]) if row else (None, None)


async def _buckets(request: Request, side: Side, email: str, user: UUID | None) -> tuple[throttle.Bucket, ...]:
    """A device that the person has signed in with is counted alone: neither strangers nor colleagues make it wait."""
    tenant = request.state.tenant.id
    device = await sessions.known_device(request, tenant, user)
    if user and device:
        return (throttle.known_device(tenant, user, device),)
    return throttle.account(tenant, side, email), throttle.prefix(request, 'signin')


async def _failed(tenant: UUID, side: Side, email: str, user: UUID | None, attempt: throttle.Attempt) -> None:
    """Two questions for everybody; a row in the log for the unknown, too, so that it takes the same time."""
    await visit.database.ask('select app.failed_sign_in(:tenant, :user)', tenant=tenant, user=user)
    if await attempt.failures() == throttle.LETTER_AT:
        await ask_for_letter(tenant, side, email, 'many_failures')


async def ask_for_letter(tenant: UUID, side: Side, email: str, kind: str) -> None:
    question = 'select app.ask_reset(:tenant, :type, :email, :kind)'
    await visit.database.ask(question, tenant=tenant, type=USER_TYPE[side], email=email, kind=kind)


async def _renew(user: UUID, stored: str, password: str) -> None:
    """A hash of older parameters is replaced now, while the password is here; there is always a next time."""
    if not passwords.is_outdated(stored):
        return
    try:
        fresh = await passwords.hashed(password)
    except passwords.Busy:
        return
    await visit.database.ask('select app.rehash(:user, :before, :hash)', user=user, before=stored, hash=fresh)


async def sign_out(request: Request) -> Response:
    await sessions.end(request)
    arrival = request.state.arrival
    side: Side = 'staff' if arrival and arrival.side == 'staff' else 'client'
    response = RedirectResponse(f'{SIGNIN[side]}?why=out', 303)
    sessions.clear(request, response)
    return response


# ---------- the page ----------


def _next(request: Request) -> str | None:
    return next_for(side_of(request), request.query_params.get('next'))


def _why(why: str) -> Notice | None:
    return {
        'over': Notice(_('Your session is over. Sign in to go on.'), 'wait', 'clock'),
        'late': Notice(_('That took too long. Please sign in again.'), 'wait', 'clock'),
        'recovery': Notice(_('Sign in with your password; then you set up a new second factor.'), 'wait', 'life-buoy'),
        'out': Notice(_('You are signed out.'), 'ok', 'circle-check'),
        'set': Notice(_('Your new password is set. Sign in with it.'), 'ok', 'circle-check'),
        'ready': Notice(_('The portal is set up already. Sign in to go on.')),
    }.get(why)


def _page(request: Request, side: Side, shown: Shown, status: int = 200) -> Response:
    msp, staff = request.state.tenant.name, side == 'staff'
    form = render(
        'auth/signin.html', email=shown.email, wrong={'email': '', 'password': '', **shown.wrong}, both=shown.both,
        notice=shown.notice, staff=staff, forgot=FORGOT[side], focus=_focus(shown), offers=request.state.offers,
    )  # fmt: skip
    door = Door(
        _('Staff sign-in') if staff else _('Sign in'), _action(request, side),
        _('For people who work at {msp}.', msp=msp) if staff else _('to the client portal of {msp}', msp=msp),
        _accounts(request, side), others=(_passkey(request, side),),
    )  # fmt: skip
    return plain.door(request, side, door, form, status, links=(other_side(side, msp),), here=_action(request, side))


def _focus(shown: Shown) -> str:
    """The first field that is wrong; else the first that is empty."""
    if shown.both or 'email' in shown.wrong or not shown.email:
        return 'email'
    return 'password'


def _action(request: Request, side: Side) -> str:
    onward = _next(request)
    return SIGNIN[side] + (f'?next={quote(onward, safe="")}' if onward else '')


def other_side(side: Side, msp: str) -> MenuItem:
    if side == 'staff':
        return MenuItem(_('Sign in here'), SIGNIN['client'], hint=_('A client of {msp}?', msp=msp))
    return MenuItem(_('Staff sign-in'), SIGNIN['staff'], hint=_('You work at {msp}?', msp=msp))


def _passkey(request: Request, side: Side) -> Markup:
    onward = _next(request)
    action = passkeys.ALONE[side] + (f'?next={quote(onward, safe="")}' if onward else '')
    again = request.url.path == passkeys.ALONE[side]  # one was refused just now
    return passkeys.form(request, action, passkeys.OPTIONS[side], _('Sign in with a passkey'), auto=not again)


def _accounts(request: Request, side: Side) -> tuple[Account, ...]:
    settings: Settings = request.state.settings
    if not settings.demo:
        return ()
    from portal import demo  # only where there is one

    def account(name: str, note: str, email: str) -> Account:
        fields: Any = {'email': email, 'password': settings.demo_password}
        return Account(name, note, _action(request, side), fields, msp=side == 'staff')

    return tuple(account(*who) for who in demo.accounts(request.state.tenant.name, side))
