"""A change of one's own address is confirmed at both: each letter leads here, where it is confirmed or stopped."""

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from portal import links, visit
from portal.components.plain import lone
from portal.components.render import render
from portal.components.values import Action
from portal.i18n import _
from portal.pages.auth import plain, throttle
from portal.pages.auth.forms import Side, typed
from portal.pages.auth.signin import SIGNIN

PAGE = '/auth/address'


async def show(request: Request) -> Response:
    token = request.query_params.get('token', '')
    claimed = _claimed(request, token)
    question = 'select name, user_type, old_email, new_email, done from app.address_change(:tenant, :id, :side)'
    row = await visit.database.ask(question, tenant=claimed[0], id=claimed[1], side=claimed[2]) if claimed else None
    if claimed is None or row is None:
        return _dead(request)
    side: Side = 'staff' if row.user_type == 'internal' else 'client'
    content = render('auth/address.html', token=token, action=PAGE, change=row, mailbox=claimed[2], msp=request.state.tenant)
    return _secret(HTMLResponse(lone(plain.page(request, _('Another address'), side, here=f'{PAGE}?token={token}'), content)))


async def take(request: Request) -> Response:
    fields = await typed(request)
    try:
        attempt = await throttle.reserve(throttle.prefix(request, 'address'))
    except throttle.TooSoon as e:
        return plain.after(_dead(request, 429), e.seconds)
    claimed = _claimed(request, fields.get('token', ''))
    if claimed is None:
        return _dead(request)
    await attempt.was_good()
    tenant, change, mailbox = claimed
    if fields.get('do') == 'cancel':
        row = await visit.database.ask('select app.cancel_address(:tenant, :id)', tenant=tenant, id=change)
        return _said(request, _('Stopped'), _('The address stays as it is.')) if row[0] else _dead(request)
    row = await visit.database.ask('select app.confirm_address(:tenant, :id, :side)', tenant=tenant, id=change, side=mailbox)
    if row[0] == 'done':
        action = Action(_('Sign in'), href=SIGNIN['client'], kind='primary')
        return _said(
            request, _('The address is changed'), _('Sign in with the new one from now on. Your password stays the same.'), action
        )
    if row[0] == 'half':
        return _said(
            request,
            _('Confirmed here'),
            _('Now open the letter that went to the other address, too. Until then nothing changes.'),
        )
    return _dead(request)


def _claimed(request: Request, token: str) -> tuple[object, object, str] | None:
    claimed = links.read_address(request.state.settings, token)
    return claimed if claimed and claimed[0] == request.state.tenant.id else None


def _said(request: Request, title: str, words: str, *actions: Action) -> Response:
    return _secret(plain.message(request, 200, title, words, label=_('Another address'), actions=actions))


def _dead(request: Request, status: int = 410) -> Response:
    words = _('It was used already, stopped, or is older than a day. Ask for the change again in your settings.')
    return _secret(plain.message(request, status, _('This link does not work any more'), words, label=_('Nothing was changed')))


def _secret(response: Response) -> Response:
    """The token in the address goes nowhere (see `reset`)."""
    response.headers['referrer-policy'] = 'strict-origin'
    return response
