"""Setting up an authenticator app, step by step: scan, type what it shows, keep the recovery codes."""

import pyotp
import segno
from markupsafe import Markup

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action
from portal.domain.access import Permission
from portal.domain.base import NotFound, Wrong
from portal.domain.factors import Begun, begin_totp, confirm_totp, new_recovery_codes, signing_in
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.settings.sections.factors import SETUP
from portal.pages.shared.codes import codes_text


class NewApp:
    def __init__(self, here: Here, *, fresh: bool, needs_codes: bool) -> None:
        self.here, self.by, self.fresh, self.needs_codes = here, here.visit.by, fresh, needs_codes
        self.settings = here.request.state.settings
        self.begun: Begun | None = None
        self.name = _('{name}’s phone', name=self.by.name.split()[0])
        self.codes: list[str] = []
        self.errors: dict[str, str] = {}

    async def build(self) -> None:
        self.here.title(_('Add an authenticator app'))
        self.here.set_primary(None)
        if self.fresh:
            await self._begin()
        self.island = self.here.island(self._html(), self._act)

    async def _begin(self) -> None:
        async with self.here.visit.work() as db:
            try:
                self.begun = await begin_totp(db, self.by, self.settings)
            except Wrong as wrong:
                self.errors = wrong.fields

    def _html(self) -> Markup:
        by, begun = self.by, self.begun
        back = self.here.url('/settings/security')
        return render(
            'shared/new_app.html', by=by, settings=self.here.url('/settings'), back=back, begun=begun, errors=self.errors,
            name=self.name, qr=_qr(self.address(begun)) if begun else '', secret=_in_fours(begun.secret) if begun else '',
            codes=self.codes, text=codes_text(self.by.tenant.name, self.by.email, self.codes), file_name=_('recovery-codes.txt'),
            actions=[Action(_('Turn on the second factor'), type='submit', kind='primary'), Action(_('Cancel'), href=back, kind='quiet')],
        )  # fmt: skip

    def address(self, begun: Begun) -> str:
        """What the QR code says: `otpauth://totp/…`, which apps understand."""
        return pyotp.TOTP(begun.secret).provisioning_uri(name=self.by.email, issuer_name=self.by.tenant.name)  # pyright: ignore

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'begin':
                await self._begin()
            case 'confirm' if self.begun:
                self.name = act.text('name')
                if not await self._confirm(self.begun, act.text('code')):
                    return None
            case 'codes-kept':
                self.codes = []
                return self.here.go(self.here.url('/settings/security'))
        self.island.set(self._html())
        return None

    async def _confirm(self, begun: Begun, code: str) -> bool:
        """False: there is nothing to show any more."""
        self.errors = {}
        try:
            async with self.here.visit.work() as db:
                await confirm_totp(db, self.by, self.settings, begun.id, code=code, name=self.name)
                if self.needs_codes:
                    self.codes = await new_recovery_codes(db, self.by)
        except Wrong as wrong:
            self.errors = wrong.fields
            return True
        except NotFound:  # begun anew in another window, or left for an hour
            self.begun = None
            self.errors = {'code': _('That took too long, or was begun anew elsewhere. Please begin again.')}
            return True
        self.begun = None
        self.here.say(_('The app is set up. From now on it is asked for when you sign in.'))
        if not self.codes:
            self.here.go(self.here.url('/settings/security'))
        return bool(self.codes)


def _qr(address: str) -> Markup:
    """Drawn by attributes alone; no style has to be allowed for it."""
    return Markup(segno.make(address, error='m').svg_inline(border=3, omitsize=True, svgclass='qr', dark='#1c1915'))  # noqa: S704


def _in_fours(secret: str) -> str:
    return ' '.join(secret[n : n + 4] for n in range(0, len(secret), 4))


async def new_app(here: Here) -> None:
    async with here.visit.work() as db:
        signing = await signing_in(db)
    needs_codes = not signing.has_factor or signing.codes_left == 0
    await NewApp(here, fresh=signing.fresh, needs_codes=needs_codes).build()


SCREENS = (Screen(SETUP, new_app, Permission.PROFILE_EDIT, 'settings'),)
