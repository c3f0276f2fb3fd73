"""One's own second factors: authenticator apps, and recovery codes."""

from uuid import UUID

from markupsafe import Markup

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action
from portal.domain.access import need_fresh
from portal.domain.base import NotFound, Wrong
from portal.domain.factors import CODES, SigningIn, new_recovery_codes, remove_totp, signing_in
from portal.i18n import _
from portal.pages.screens import Here
from portal.pages.shared.codes import codes_text

SETUP = '/settings/security/app'


class Factors:
    def __init__(self, here: Here, signing: SigningIn) -> None:
        self.here, self.by, self.signing = here, here.visit.by, signing
        self.codes: list[str] = []  # new ones, until their person has put them away
        self.asked: UUID | None = None  # the app that is about to be removed
        self.wrong = ''
        self.island = here.island(self._html(), self._act)
        here.wakes(self._anew, f'factors:{self.by.user_id}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.signing = await signing_in(db)

    async def _anew(self) -> None:
        await self._read()
        self.island.set(self._html())

    def _html(self) -> Markup:
        asked = next((app for app in self.signing.apps if app.id == self.asked), None)
        return render(
            'shared/factors.html', signing=self.signing, most=CODES, codes=self.codes, asked=asked, wrong=self.wrong,
            last=len(self.signing.apps) == 1, used='recovery' in self.here.query, setup=self.here.url(SETUP),
            file_name=_('recovery-codes.txt'), text=codes_text(self.by.tenant.name, self.by.email, self.codes),
            actions=[Action(_('Keep it'), act='keep'), Action(_('Remove'), act='really', kind='danger')],
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        self.wrong = ''
        match act.name:
            case 'remove':
                await self._ask(act.key or '')
            case 'keep':
                self.asked = None
            case 'really' if self.asked:
                await self._remove(self.asked)
            case 'new-codes':
                async with self.here.visit.work() as db:
                    self.codes = await new_recovery_codes(db, self.by)
                await self._read()
            case 'codes-kept':
                self.codes = []
        self.island.set(self._html())

    async def _ask(self, key: str) -> None:
        async with self.here.visit.work() as db:
            await need_fresh(db)
        self.asked = next((app.id for app in self.signing.apps if str(app.id) == key), None)

    async def _remove(self, app: UUID) -> None:
        try:
            async with self.here.visit.work() as db:
                await remove_totp(db, self.by, app)
            self.asked = None
            self.here.say(_('The app is removed.'))
        except Wrong as wrong:
            self.wrong = wrong.fields['factor']
        except NotFound:
            self.asked = None  # it was removed elsewhere
        await self._read()


async def build(here: Here) -> None:
    try:
        async with here.visit.work() as db:
            signing = await signing_in(db)
    except NotFound:  # staff who look as somebody else
        return
    Factors(here, signing)
