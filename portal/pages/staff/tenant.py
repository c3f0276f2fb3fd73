"""The MSP's own settings: how it is called and found, its colour, and what holds for everybody unless they chose otherwise."""

from typing import Any

from markupsafe import Markup
from nicegui import ui

from portal import links, tenants
from portal.components.island import Act
from portal.components.render import render
from portal.components.theme import shades
from portal.components.values import Action, Option
from portal.domain.access import Permission
from portal.domain.base import Wrong
from portal.domain.people import Tenant
from portal.domain.tenants import REOPEN_DAYS, change_tenant
from portal.i18n import LANGUAGES, _
from portal.pages.screens import Here, Screen
from portal.pages.settings.zones import zone_options

FIELDS = (
    'name', 'short_name', 'host', 'phone', 'phone_hours', 'accent', 'language', 'timezone', 'reopen_days', 'review_days',
)  # fmt: skip


class TenantSettings:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.errors: dict[str, str] = {}

    async def build(self) -> None:
        self.here.title(_('Portal'))
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        if 'saved' in self.here.query:  # the page came anew: the frame carries the name
            self.here.address(replace=True)
            self.here.say(_('Saved.'))

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            tenant = await db.get_one(Tenant, self.by.tenant.id)
        self.saved: dict[str, str] = {name: str(value) if (value := getattr(tenant, name)) is not None else '' for name in FIELDS}
        self.values = dict(self.saved)

    def _html(self) -> Markup:
        return render(
            'staff/tenant.html', values=self.values, errors=self.errors, shades=self._shades(),
            languages=[Option(key, words) for key, words in LANGUAGES.items()], zones=zone_options(self.saved['timezone']),
            address=links.origin_of(self.saved['host'] or None, ui.context.client.request.state.settings),
            days=REOPEN_DAYS,
            actions=[Action(_('Save changes'), type='submit', kind='primary')],
        )  # fmt: skip

    def _shades(self) -> tuple[str, str] | None:
        """The colour as it will be in light and dark; None without one, or while it is being typed."""
        try:
            return shades(self.values['accent'].strip())
        except ValueError:
            return None

    async def _act(self, act: Act) -> None:
        self.values = {name: act.text(name) for name in FIELDS}
        if act.name == 'colour':
            self.island.set(self._html())
        elif act.name == 'save':
            await self._save()

    async def _save(self) -> None:
        changed: dict[str, Any] = {name: value for name, value in self.values.items() if value != self.saved[name]}
        taken = await tenants.taken(ui.context.client.request.state.settings, self.by.tenant.id)
        try:
            async with self.here.visit.work() as db:
                await change_tenant(db, self.by, taken=taken, **changed)
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        tenants.forget()
        ui.navigate.to(self.here.url('/portal', saved='1'))


async def tenant(here: Here) -> None:
    await TenantSettings(here).build()


SCREENS = (Screen('/portal', tenant, Permission.TENANT_MANAGE, 'portal'),)
