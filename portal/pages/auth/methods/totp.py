"""The code of an authenticator app."""

import logging
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from markupsafe import Markup
from starlette.requests import Request

from portal import visit
from portal.components.render import render
from portal.domain.base import now
from portal.domain.factors import secret_of, step_of
from portal.i18n import _
from portal.pages.auth.methods.kinds import Person
from portal.pages.auth.sessions import Proof
from portal.sealing import CannotUnseal

log = logging.getLogger('portal.auth')


class Totp:
    key, icon = 'totp', 'smartphone'
    proof: Proof = 'totp'

    def label(self) -> str:
        return _('Use the code of an app')

    async def offered(self, person: Person) -> bool:
        return bool(await _apps(person))

    async def form(self, request: Request, person: Person, wrong: str) -> Markup:
        names = [app['name'] for app in await _apps(person)]
        return render('auth/totp.html', app=names[0] if len(names) == 1 else '', wrong=wrong)

    def missing(self, fields: Mapping[str, str]) -> str:
        return '' if fields.get('code', '').strip() else _('Please enter the six digits.')

    async def is_right(self, request: Request, person: Person, fields: Mapping[str, str]) -> bool:
        for app in await _apps(person):
            try:
                secret = secret_of(request.state.settings, person.tenant, UUID(app['id']), bytes.fromhex(app['secret']))
            except CannotUnseal:
                log.error('the secret of authenticator app %s cannot be opened: see PORTAL_OLD_SECRET_KEYS', app['id'])
                continue
            step = step_of(secret, fields.get('code', ''), now())
            if step is not None and await _used(person, app['id'], step):
                return True
        return False

    def wrong(self) -> str:
        return _('This code does not count. Wait for the next one that the app shows; each works once.')


async def _apps(person: Person) -> list[dict[str, Any]]:
    row = await visit.database.ask('select app.totp_of(:tenant, :user)', tenant=person.tenant, user=person.user)
    return row[0]


async def _used(person: Person, app: str, step: int) -> bool:
    """False: somebody was here before with this code, or a later one."""
    question = 'select app.use_totp(:tenant, :user, :app, :step)'
    return (await visit.database.ask(question, tenant=person.tenant, user=person.user, app=app, step=step))[0]


METHOD = Totp()
