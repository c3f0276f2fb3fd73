"""The password, asked for again."""

from collections.abc import Mapping

from markupsafe import Markup
from starlette.requests import Request

from portal import visit
from portal.components.render import render
from portal.i18n import _
from portal.pages.auth import passwords, sso_offers
from portal.pages.auth.forms import USER_TYPE
from portal.pages.auth.methods.kinds import Person
from portal.pages.auth.sessions import Proof


class Password:
    key, icon = 'password', 'key-round'
    proof: Proof = 'password'

    def label(self) -> str:
        return _('Use your password')

    async def offered(self, person: Person) -> bool:
        return await _stored(person) is not None and not await sso_offers.is_only_way(person.tenant, person.user)

    async def form(self, request: Request, person: Person, wrong: str) -> Markup:
        return render('auth/password.html', email=person.email, wrong=wrong)

    def missing(self, fields: Mapping[str, str]) -> str:
        return '' if fields.get('password') else _('Please enter your password.')

    async def is_right(self, request: Request, person: Person, fields: Mapping[str, str]) -> bool:
        return await passwords.is_right(await _stored(person), fields.get('password', ''))

    def wrong(self) -> str:
        return _('This is not your password.')


async def _stored(person: Person) -> str | None:
    question = 'select user_id, password_hash from app.door(:tenant, :type, :email)'
    row = await visit.database.ask(question, tenant=person.tenant, type=USER_TYPE[person.side], email=person.email)
    return row[1] if row and row[0] == person.user else None


METHOD = Password()
