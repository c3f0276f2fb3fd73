"""What the doors say of single sign-on: the ways that are set up, and that somebody has no other.

Nothing here tells whether there is an account: what is offered depends on the side and on the domain of an address alone.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from portal import visit
from portal.components.plain import Door
from portal.components.render import render
from portal.components.values import Action
from portal.guard import CLIENT, MSP, SIGN_IN
from portal.i18n import _
from portal.pages.auth import plain
from portal.pages.auth.forms import Side, next_for, plain_email, side_of, typed
from portal.sso_links import start

COMPANY: dict[Side, str] = {'client': '/auth/client-portal/company', 'staff': '/auth/msp/company'}
SIGNIN: dict[Side, str] = {'client': SIGN_IN[CLIENT], 'staff': SIGN_IN[MSP]}


@dataclass(frozen=True, slots=True)
class Offer:
    words: str
    href: str
    icon: str


async def offers(request: Request, side: Side, onward: str | None) -> list[Offer]:
    """One question, whoever asks."""
    found: dict[str, Any] = (
        await visit.database.ask('select app.sso_offers(:tenant, :side)', tenant=request.state.tenant.id, side=side)
    )[0]
    made = [
        Offer(
            _('Sign in with {name}', name=each['name']),
            start(each['id'], onward),
            'building-2' if each['kind'] == 'other' else 'key-round',
        )
        for each in found['providers']
    ]
    if found['companies'] and side == 'client':
        href = COMPANY[side] + (f'?{urlencode({"next": onward})}' if onward else '')
        made.append(Offer(_('Sign in with your company'), href, 'building-2'))
    return made


# ---------- by one's company ----------


async def show_company(request: Request) -> Response:
    return _company(request)


async def take_company(request: Request) -> Response:
    """Finds the provider by the domain of an address. Who has one there is not looked at."""
    side, email = side_of(request), plain_email((await typed(request)).get('email', ''))
    domain = email.rpartition('@')[2]
    if not domain or '@' not in email:
        return _company(request, email, _('Please enter your e-mail address.'), 422)
    question = 'select app.sso_for_domain(:tenant, :side, :domain)'
    row = await visit.database.ask(question, tenant=request.state.tenant.id, side=side, domain=domain)
    if not row[0]:
        words = _('No company sign-in is set up for addresses of {domain}. Sign in with your password.', domain=domain)
        return _company(request, email, words, 404)
    return leads_on(request, side, start(row[0], _onward(request, side), hint=email))


def leads_on(request: Request, side: Side, href: str) -> Response:
    """Not a redirect: the answer to a form may only lead to a page of ours (CSP, form-action, also for what it redirects to)."""
    actions = (Action(_('Go on'), href=href, kind='primary'),)
    response = plain.message(
        request, 200, _('To your company’s sign-in'), _('If nothing happens, go on by yourself.'), side=side, actions=actions,
        label=_('One moment'),
    )  # fmt: skip
    response.headers['refresh'] = f'0; url={href}'
    return response


def _onward(request: Request, side: Side) -> str | None:
    return next_for(side, request.query_params.get('next'))


def _company(request: Request, email: str = '', wrong: str = '', status: int = 200) -> Response:
    side = side_of(request)
    onward = _onward(request, side)
    query = f'?{urlencode({"next": onward})}' if onward else ''
    form = render('auth/company.html', email=email, wrong=wrong, signin=SIGNIN[side] + query)
    door = Door(_('Sign in with your company'), COMPANY[side] + query, _('Your address shows where you sign in.'))
    return plain.door(request, side, door, form, status, here=COMPANY[side] + query)


# ---------- only so ----------


async def is_only_way(tenant: UUID, user: UUID) -> bool:
    """Whether password and passkey are not enough for somebody. To be asked only after they were right."""
    return (await visit.database.ask('select app.sso_only(:tenant, :user)', tenant=tenant, user=user))[0]


async def leads_to_only_way(request: Request, side: Side, tenant: UUID, user: UUID, onward: str | None) -> Response:
    """The password was right: so this tells nothing that its owner does not know."""
    row = await visit.database.ask('select app.sso_way(:tenant, :user)', tenant=tenant, user=user)
    href = start(row[0], onward) if row and row[0] else COMPANY[side] if side == 'client' else SIGNIN[side]
    words = _('Your company has decided that its people sign in through it, and not with a password.')
    if side == 'staff':
        words = _(
            '{msp} has decided that its staff sign in through its own sign-in, and not with a password.',
            msp=request.state.tenant.name,
        )
    actions = (Action(_('Go on to that sign-in'), href=href, kind='primary'), Action(_('Back'), href=SIGNIN[side]))
    return plain.message(
        request, 403, _('Sign in through your company'), words, side=side, actions=actions, label=_('One more step')
    )


# ---------- for those who are signed in ----------


async def ways_to_confirm(tenant: UUID, user: UUID, onward: str) -> list[Offer]:
    """For the page that asks for a fresh proof: the providers that know this person."""
    rows: list[dict[str, str]] = (await visit.database.ask('select app.sso_mine(:tenant, :user)', tenant=tenant, user=user))[0]
    return [
        Offer(_('Confirm with {name}', name=row['name']), start(row['id'], onward, **{'for': 'confirm'}), 'key-round')
        for row in rows
    ]
