"""A new password: asking for the letter, and setting it with the link that the letter carries."""

from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from portal import links, visit
from portal.components.plain import Door
from portal.components.render import render
from portal.components.values import Action
from portal.i18n import _, _m
from portal.pages.auth import entering, passwords, plain, sessions, throttle
from portal.pages.auth.forms import Side, plain_email, side_of, typed
from portal.pages.auth.signin import FORGOT, SIGNIN, ask_for_letter, other_side

SET = '/auth/password-reset/set-new-password'


# ---------- asking for it ----------


async def show_forgot(request: Request) -> Response:
    return _forgot(request)


async def take_forgot(request: Request) -> Response:
    """The same answer for every address; whether somebody is there is looked up later, by the job that writes the letter."""
    side, email = side_of(request), plain_email((await typed(request)).get('email', ''))
    if '@' not in email:
        return _forgot(request, email, _('Please enter your e-mail address.'), 422)
    tenant = request.state.tenant.id
    try:
        await throttle.reserve(throttle.prefix(request, 'forgot'))
    except throttle.TooSoon as e:
        return plain.after(_forgot(request, email, e.words, 429), e.seconds)
    try:
        await throttle.reserve(throttle.letters(tenant, side, email))
        await ask_for_letter(tenant, side, email, 'password_reset')
    except throttle.TooSoon:
        pass  # several letters are on their way already
    return _sent(request, side, email)


def _forgot(request: Request, email: str = '', wrong: str = '', status: int = 200) -> Response:
    side = side_of(request)
    form = render('auth/forgot.html', email=email, wrong=wrong, signin=SIGNIN[side])
    door = Door(_('Forgot your password?'), FORGOT[side], _('Tell us your address, and we send you a link to set a new one.'))
    return plain.door(request, side, door, form, status, links=(other_side(side, request.state.tenant.name),))


def _sent(request: Request, side: Side, email: str) -> Response:
    words = render('auth/sent.html', email=email, again=FORGOT[side], signin=SIGNIN[side])
    return plain.door(request, side, Door(_('Look into your mail'), FORGOT[side]), words)


# ---------- setting it ----------


@dataclass(frozen=True)
class Owner:
    """Whose password a link may set."""

    tenant: UUID
    user: UUID
    name: str
    email: str
    side: Side
    mark: str


async def show_set(request: Request) -> Response:
    token = request.query_params.get('token', '')
    owner = await _owner(request, token)
    return _set(request, owner, token) if owner else _dead(request)


async def take_set(request: Request) -> Response:
    fields = await typed(request)
    token, password = fields.get('token', ''), fields.get('password', '')
    try:
        attempt = await throttle.reserve(throttle.prefix(request, 'reset'))
    except throttle.TooSoon as e:
        owner = await _owner(request, token)
        return plain.after(_set(request, owner, token, e.words, 429) if owner else _dead(request, 429), e.seconds)
    owner = await _owner(request, token)
    if owner is None:
        return _dead(request)
    await attempt.was_good()
    try:
        return await _change(request, owner, token, password)
    except passwords.Busy:
        words = _('Many people are signing in just now, please try again in a moment.')
        return plain.after(_set(request, owner, token, words, 503), 5)


async def _change(request: Request, owner: Owner, token: str, password: str) -> Response:
    verdict = await passwords.verdict(password, email=owner.email, name=owner.name, also=(request.state.tenant.name,))
    if verdict.problem:
        return _set(request, owner, token, verdict.problem, 422, verdict.strength)
    question = 'select app.set_password(:tenant, :user, :mark, :hash)'
    fresh = await passwords.hashed(password)
    row = await visit.database.ask(question, tenant=owner.tenant, user=owner.user, mark=owner.mark, hash=fresh)
    if not row[0]:
        return _dead(request)  # somebody was faster with the same link
    await sessions.end(request)  # also of somebody else who was signed in here
    response = RedirectResponse(f'{SIGNIN[owner.side]}?why=set', 303)
    sessions.clear(request, response)
    # whoever opens a letter from this mailbox is that person: so attempts of strangers do not make them wait. Whoever has a second
    # factor has to show that first: else each letter would give a new device its own guesses at it
    if not await entering.asks_more(owner.tenant, owner.user, ('password',)):
        await sessions.remember_device(request, response, owner.tenant, owner.user)
    return response


async def _owner(request: Request, token: str) -> Owner | None:
    """None for a link that is none of ours, too old, used, of another tenant, or of somebody who is gone."""
    settings = request.state.settings
    claimed = links.read_unproven(settings, token)
    if claimed is None or claimed[0] != request.state.tenant.id:
        return None
    tenant, user = claimed
    question = 'select name, email, user_type, mark from app.person_for_reset(:tenant, :user)'
    row = await visit.database.ask(question, tenant=tenant, user=user)
    if row is None or not links.is_good(settings, token, row.mark):
        return None
    return Owner(tenant, user, row.name, row.email, 'staff' if row.user_type == 'internal' else 'client', row.mark)


def _set(request: Request, owner: Owner, token: str, wrong: str = '', status: int = 200, strength: str = '') -> Response:
    form = render(
        'auth/new_password.html', token=token, email=owner.email, wrong=wrong, strength=strength, least=passwords.LEAST
    )  # fmt: skip
    lead = _m('for <b>{name}</b>, at {msp}', name=owner.name, msp=request.state.tenant.name)
    return _secret(
        plain.door(request, owner.side, Door(_('Set your password'), SET, lead), form, status, here=f'{SET}?token={token}')
    )


def _dead(request: Request, status: int = 410) -> Response:
    words = _('It was used already, is too old, or was cut short by the mail program. Ask for a new one; it takes a minute.')
    again = (
        Action(_('Ask for a new link'), href=FORGOT['client'], kind='primary'),
        Action(_('Ask as staff'), href=FORGOT['staff'], kind='quiet'),
    )
    title, label = _('This link does not work any more'), _('Nothing was changed')
    return _secret(plain.message(request, status, title, words, label=label, actions=again))


def _secret(response: Response) -> Response:
    """The token in the address goes nowhere. Not `no-referrer`: browsers then send the form with `Origin: null` (Fetch, append a
    request Origin header), and the guard refuses it."""
    response.headers['referrer-policy'] = 'strict-origin'
    return response
