"""A fresh proof by signing in once more at one's identity provider."""

from collections.abc import Mapping

from markupsafe import Markup
from starlette.requests import Request

from portal.components.render import render
from portal.guard import CLIENT, MSP
from portal.i18n import _
from portal.pages.auth.forms import next_for
from portal.pages.auth.methods.kinds import Person
from portal.pages.auth.sessions import Proof
from portal.pages.auth.sso_offers import ways_to_confirm


class Provider:
    key, icon = 'sso', 'building-2'
    proof: Proof = 'sso'

    def label(self) -> str:
        return _('Use your company account')

    async def offered(self, person: Person) -> bool:
        return bool(await ways_to_confirm(person.tenant, person.user, ''))

    async def form(self, request: Request, person: Person, wrong: str) -> Markup:
        """Links, no field: one goes there and comes back to where one was."""
        onward = next_for(person.side, request.query_params.get('next')) or (MSP if person.side == 'staff' else CLIENT)
        ways = await ways_to_confirm(person.tenant, person.user, onward)
        return render('auth/sso_offers.html', offers=ways, alone=True)

    def missing(self, fields: Mapping[str, str]) -> str:
        return _('Go on with the button.')

    async def is_right(self, request: Request, person: Person, fields: Mapping[str, str]) -> bool:
        return False

    def wrong(self) -> str:
        return self.missing({})


METHOD = Provider()
