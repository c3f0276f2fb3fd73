"""One of the recovery codes, which works once."""

from collections.abc import Mapping

from markupsafe import Markup
from starlette.requests import Request

from portal import visit
from portal.components.render import render
from portal.domain.base import uuid7
from portal.domain.factors import digest_of
from portal.i18n import _
from portal.pages.auth.methods.kinds import Person
from portal.pages.auth.sessions import Proof


class Recovery:
    key, icon = 'recovery', 'life-buoy'
    proof: Proof = 'recovery'

    def label(self) -> str:
        return _('Use a recovery code')

    async def offered(self, person: Person) -> bool:
        question = 'select app.recovery_codes_left(:tenant, :user)'
        return (await visit.database.ask(question, tenant=person.tenant, user=person.user))[0] > 0

    async def form(self, request: Request, person: Person, wrong: str) -> Markup:
        return render('auth/recovery.html', wrong=wrong)

    def missing(self, fields: Mapping[str, str]) -> str:
        return '' if fields.get('recovery', '').strip() else _('Please enter one of your recovery codes.')

    async def is_right(self, request: Request, person: Person, fields: Mapping[str, str]) -> bool:
        digest = digest_of(person.tenant, person.user, fields.get('recovery', '')[:200])
        row = await visit.database.ask(
            'select app.use_recovery_code(:tenant, :user, :digest, :letter)',
            tenant=person.tenant, user=person.user, digest=digest, letter=uuid7(),
        )  # fmt: skip
        return row[0] is not None

    def wrong(self) -> str:
        return _('This is none of your recovery codes, or it was used already.')


METHOD = Recovery()
