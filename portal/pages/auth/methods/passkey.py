"""A passkey, asked for after the password, or before a delicate action."""

from collections.abc import Mapping

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from portal import passkeys as standard
from portal.components.render import render
from portal.i18n import _
from portal.pages.auth import passkeys
from portal.pages.auth.forms import Side, side_of
from portal.pages.auth.methods.kinds import Person
from portal.pages.auth.sessions import Proof
from portal.passkeys import NotGood, Purpose

OPTIONS: dict[Side, str] = {'client': '/auth/client-portal/second/passkey', 'staff': '/auth/msp/second/passkey'}
CONFIRM_OPTIONS = '/auth/confirm/passkey'


class Passkey:
    key, icon = 'passkey', 'fingerprint'
    proof: Proof = 'passkey'

    def label(self) -> str:
        return _('Use a passkey')

    async def offered(self, person: Person) -> bool:
        return bool(await passkeys.known(person.tenant, person.user))

    async def form(self, request: Request, person: Person, wrong: str) -> Markup:
        options = OPTIONS[person.side] if _purpose(request) == 'second' else CONFIRM_OPTIONS
        return render('auth/passkey.html', **passkeys.values(request, options, self.label(), kind='primary', wrong=wrong))

    def missing(self, fields: Mapping[str, str]) -> str:
        return '' if fields.get('credential') else self.wrong()

    async def is_right(self, request: Request, person: Person, fields: Mapping[str, str]) -> bool:
        try:
            await passkeys.proven(request, person.side, fields.get('credential', ''), _purpose(request), person.user)
        except NotGood:
            return False
        return True

    def wrong(self) -> str:
        return _('This passkey does not count. Try again, or use another way.')


def _purpose(request: Request) -> Purpose:
    return 'confirm' if request.url.path.startswith('/auth/confirm') else 'second'


async def second_options(request: Request) -> Response:
    from portal.pages.auth import entering  # which asks the methods

    waiting = await entering.waiting(request, side_of(request))
    if waiting is None:
        return _over()
    return await _options(request, waiting.person, 'second')


async def confirm_options(request: Request) -> Response:
    arrival = request.state.arrival
    if arrival is None:
        return _over()
    side: Side = 'staff' if arrival.side == 'staff' else 'client'
    return await _options(request, Person(arrival.tenant_id, arrival.user_id, '', '', side), 'confirm')


async def _options(request: Request, person: Person, purpose: Purpose) -> Response:
    made, cookie = passkeys.challenge(request, purpose, person.user)
    known = await passkeys.known(person.tenant, person.user)
    return passkeys.asking(request, standard.request(passkeys.here(request), made, known), cookie)


def _over() -> Response:
    return JSONResponse({'words': _('That took too long. Please sign in again.')}, 403)


METHOD = Passkey()
