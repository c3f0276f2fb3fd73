"""The page that an invitation leads to: who invites, to what, and how one will sign in.

Whoever signs in here already accepts as themselves; whoever is new says how they are called and how they sign in (`_ways`):
by a password, or at a provider that is set up for them, where they then prove that the address is theirs.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from portal import links, visit
from portal.components.plain import lone
from portal.components.render import render
from portal.components.values import Action, Option
from portal.domain.access import Permission, role_label
from portal.domain.base import Wrong, uuid7
from portal.domain.people import clean_name
from portal.guard import CLIENT, MSP, cookie_name, read_cookie
from portal.i18n import LANGUAGES, _, known_language, voice
from portal.pages.auth import entering, passwords, plain, sso_offers, throttle
from portal.pages.auth.forms import INVITATION, Side, typed
from portal.pages.auth.signin import SIGNIN
from portal.settings import Settings
from portal.sso_links import start

PAGE = INVITATION
COOKIE, HOUR = 'portal-invitation', 3600  # seconds: so long the way back from signing in is known


@dataclass(frozen=True, slots=True)
class Invited:
    """What the link leads to, as the database says it."""

    tenant: UUID
    id: UUID
    number: int
    facts: dict[str, Any]
    providers: dict[str, str]  # names by id: where they could sign in instead of here
    sso_only: bool  # nobody comes in there with a password

    @property
    def to_staff(self) -> bool:
        return self.facts['company'] is None

    @property
    def known(self) -> UUID | None:
        """Who signs in with this address already."""
        return UUID(self.facts['known']) if self.facts['known'] else None

    @property
    def until(self) -> datetime:
        return datetime.fromisoformat(self.facts['expires_at'])

    @property
    def root(self) -> str:
        return MSP if self.to_staff else f'{CLIENT}/{self.facts["slug"]}'


BY_PASSWORD = 'password'  # noqa: S105  (a way to sign in)


def _ways(invited: Invited) -> list[Option]:
    """How somebody new can sign in; the first is chosen unless somebody chooses another."""
    ways = [Option(id, _('With {name}', name=name)) for id, name in invited.providers.items()]
    return ways if invited.sso_only else [Option(BY_PASSWORD, _('With a password')), *ways]


async def _password(request: Request, invited: Invited, fields: dict[str, str]) -> str | None:
    """Raises Wrong(password=…), and passwords.Busy."""
    facts, password = invited.facts, fields.get('password', '')
    verdict = await passwords.verdict(
        password, email=facts['email'], name=fields.get('name', ''), also=(request.state.tenant.name,)
    )
    if verdict.problem:
        raise Wrong(password=verdict.problem)
    return await passwords.hashed(password)


async def show(request: Request) -> Response:
    token = request.query_params.get('token') or request.cookies.get(COOKIE, '')
    invited = await _invited(request, token)
    if invited is None or invited.facts['state'] != 'open' or (not invited.facts['fits'] and invited.known):
        return _dead(request, invited)
    return _page(request, invited, token)


async def take(request: Request) -> Response:
    """Once: whoever comes second with the same link finds it used."""
    fields = await typed(request)
    token = fields.get('token', '')
    try:
        attempt = await throttle.reserve(throttle.prefix(request, 'invitation'))
    except throttle.TooSoon as e:
        return plain.after(_dead(request, None, 429), e.seconds)
    invited = await _invited(request, token)
    if invited is None or invited.facts['state'] != 'open':
        return _dead(request, invited)
    await attempt.was_good()
    if fields.get('do') == 'decline':
        return await _decline(request, invited)
    try:
        return await _accept(request, invited, token, fields)
    except passwords.Busy:
        words = _('Many people are signing in just now, please try again in a moment.')
        return plain.after(_page(request, invited, token, {'password': words}, fields, 503), 5)


async def _accept(request: Request, invited: Invited, token: str, fields: dict[str, str]) -> Response:
    me = _me(request)
    if invited.known or me:
        if me != invited.known:
            return _page(request, invited, token, status=403)
        user = await _join(invited, me, '', '', None)
        return await _in(request, invited, user, signed_in=True)
    wrong: dict[str, str] = {}
    name, language, hashed = '', known_language(fields.get('language', '')) or '', None
    try:
        name = clean_name(fields.get('name', ''))
    except Wrong as e:
        wrong |= e.fields
    ways = [way.value for way in _ways(invited)]
    way = next((way for way in ways if way == fields.get('way')), ways[0])
    try:
        hashed = await _password(request, invited, fields) if way == BY_PASSWORD and not wrong else None
    except Wrong as e:
        wrong |= e.fields
    if wrong:
        return _page(request, invited, token, wrong, fields, 422)
    user = await _join(invited, None, name, language, hashed)
    return await _in(request, invited, user, signed_in=False, provider='' if way == BY_PASSWORD else way)


async def _join(invited: Invited, me: UUID | None, name: str, language: str, hashed: str | None) -> UUID | None:
    row = await visit.database.ask(
        'select app.accept_invitation(:tenant, :id, :number, :me, :new, :name, :language, :hash)',
        tenant=invited.tenant, id=invited.id, number=invited.number, me=me, new=uuid7(), name=name, language=language or None,
        hash=hashed,
    )  # fmt: skip
    return row[0]


async def _in(request: Request, invited: Invited, user: UUID | None, *, signed_in: bool, provider: str = '') -> Response:
    if user is None:
        return _dead(request, None)  # somebody was faster with the same link
    onward = invited.root if invited.to_staff else f'{invited.root}/welcome'
    side: Side = 'staff' if invited.to_staff else 'client'
    if provider:
        response = sso_offers.leads_on(request, side, start(provider, onward, hint=invited.facts['email']))
    elif signed_in and not await _still_in(request):  # what they were signed in by does not count there
        response = await sso_offers.leads_to_only_way(request, side, invited.tenant, user, onward)
    elif signed_in:
        response = RedirectResponse(onward, 303)
    else:
        response = await entering.came(request, side, user, 'password', onward)
    response.delete_cookie(COOKIE, path='/auth')
    return response


async def _still_in(request: Request) -> bool:
    cookie = read_cookie(request.headers, cookie_name(request.state.settings))
    return await visit.arriving(cookie) is not None


async def _decline(request: Request, invited: Invited) -> Response:
    question = 'select app.decline_invitation(:tenant, :id, :number)'
    await visit.database.ask(question, tenant=invited.tenant, id=invited.id, number=invited.number)
    words = _('{name} sees that you do not come. Nothing else is kept of you.', name=invited.facts['inviter'])
    return _secret(plain.message(request, 200, _('Declined'), words, label=_('Nothing was changed')))


async def _invited(request: Request, token: str) -> Invited | None:
    """None for a link that is none of ours, too old, of another tenant, or not the newest."""
    claimed = links.read_invitation(request.state.settings, token)
    if claimed is None or claimed[0] != request.state.tenant.id:
        return None
    row = await visit.database.ask(
        'select app.invited(:tenant, :id, :number)', tenant=claimed[0], id=claimed[1], number=claimed[2]
    )
    if not row or not row[0]:
        return None
    by = (await visit.database.ask('select app.invited_by_sso(:tenant, :id)', tenant=claimed[0], id=claimed[1]))[0]
    return Invited(*claimed, row[0], {each['id']: each['name'] for each in by['providers']}, by['only'])


def _me(request: Request) -> UUID | None:
    arrival = request.state.arrival
    return UUID(arrival.facts['user_id']) if arrival else None


# ---------- the page ----------


def able_to(permissions: list[str]) -> list[str]:
    """What a role means, to somebody who was never here. In the order of what they will do first."""
    words = {
        Permission.TICKETS_OPEN: _('Ask for help, and see what happens with it'),
        Permission.TICKETS_SEE_COMPANY: _('See what everybody at the company has asked for, unless it is private'),
        Permission.TICKETS_WORK: _('Work on the tickets of all clients'),
        Permission.MONEY_SEE: _('See what concerns money'),
        Permission.PEOPLE_MANAGE: _('Decide who can sign in, and what they may do'),
        Permission.COMPANY_EDIT: _('Keep the addresses and contacts of the company up to date'),
        Permission.TENANT_MANAGE: _('Decide how the portal works'),
    }
    return [line for permission, line in words.items() if permission.value in permissions]


def _page(
    request: Request, invited: Invited, token: str, wrong: dict[str, str] | None = None, fields: dict[str, str] | None = None,
    status: int = 200,
) -> Response:  # fmt: skip
    facts, me = invited.facts, _me(request)
    side = 'staff' if invited.to_staff else 'client'
    if me and me != invited.known:
        mode = 'other'
    elif invited.known:
        mode = 'mine' if me else 'known'
    else:
        mode = 'new'
    ways = _ways(invited)
    values = {
        'name': facts['name'],
        'language': known_language(facts['language'] or '') or voice().language,
        'way': ways[0].value,
        **(fields or {}),
    }
    content = render(
        'auth/invitation.html', mode=mode, token=token, facts=facts, until=invited.until, able=able_to(facts['permissions']),
        role=role_label(facts['role']) if facts['role'] else facts['own_role'], msp=request.state.tenant, wrong=wrong or {}, values=values,
        action=PAGE, languages=[Option(key, words) for key, words in LANGUAGES.items()], ways=ways, by_password=not invited.sso_only,
        least=passwords.LEAST, signin=f'{SIGNIN[side]}?next={quote(PAGE, safe="")}', signed_in_as=_name(request),
    )  # fmt: skip
    title = _('Invitation')
    response = HTMLResponse(lone(plain.page(request, title, side, here=f'{PAGE}?token={token}'), content), status)
    settings: Settings = request.state.settings
    response.set_cookie(COOKIE, token, max_age=HOUR, path='/auth', secure=settings.secure, httponly=True, samesite='lax')
    return _secret(response)


def _name(request: Request) -> str:
    arrival = request.state.arrival
    return arrival.facts['name'] if arrival else ''


def _dead(request: Request, invited: Invited | None, status: int = 410) -> Response:
    """Of an invitation that was accepted it leads to where one signs in."""
    facts = invited.facts if invited else {}
    actions = (Action(_('Sign in'), href=SIGNIN['staff' if invited and invited.to_staff else 'client'], kind='primary'),)
    if facts.get('state') == 'accepted':
        title, words = _('You have accepted already'), _('Sign in with the address that the invitation went to.')
    elif facts.get('state') == 'expired':
        title = _('This invitation is too old')
        words = _('Ask {name} to send it again.', name=facts['inviter'])
    else:
        title = _('This invitation does not work any more')
        words = _(
            'It was used, withdrawn, or sent again since: then the link in the newest letter works. Else ask whoever invited you.'
        )
    response = plain.message(request, status, title, words, label=_('Nothing was changed'), actions=actions)
    response.delete_cookie(COOKIE, path='/auth')
    return _secret(response)


def _secret(response: Response) -> Response:
    """The token in the address goes nowhere (see `reset`)."""
    response.headers['referrer-policy'] = 'strict-origin'
    return response
