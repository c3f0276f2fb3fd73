"""The audit log of the tenant, for staff who may see it; and how long it is kept."""

from typing import Any

from portal.components.island import Act
from portal.components.values import Action
from portal.domain.access import Permission
from portal.domain.base import Wrong
from portal.domain.people import Tenant
from portal.domain.trail import KEEP, change_retention
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.shared.trail import TrailPage


class StaffTrail(TrailPage):
    def __init__(self, here: Here) -> None:
        super().__init__(here)
        self.errors: dict[str, str] = {}
        self.typed: dict[str, str] = {}

    async def _read_more(self, db: Any) -> None:
        tenant = await db.get_one(Tenant, self.by.tenant.id)
        self.values = {name: str(getattr(tenant, name)) for name in KEEP} | self.typed

    def _more(self) -> dict[str, Any]:
        if not self.by.may(Permission.TENANT_MANAGE):
            return super()._more()
        fields = (
            ('keep_signins_days', _('Signing in and out, days'), _('Also what was refused. Usual: 180')),
            ('keep_reading_days', _('Who looked and downloaded, days'), _('Usual: 365')),
            (
                'keep_changes_days',
                _('Everything else, days'),
                _('As long as claims can be made. Usual: 1,095, which are three years'),
            ),
        )
        actions = [Action(_('Save'), type='submit', kind='primary')]
        return {
            'retention': {
                'fields': fields,
                'typed': self.values,
                'errors': self.errors,
                'draft': f'keep:{self.by.user_id}',
                'actions': actions,
            }
        }

    async def _own_act(self, act: Act) -> None:
        if act.name != 'keep':
            return
        self.typed, self.errors = {name: act.text(name).strip() for name in KEEP}, {}
        try:
            async with self.here.visit.work() as db:
                await change_retention(db, self.by, **self.typed)
        except Wrong as wrong:
            self.errors = wrong.fields
        else:
            self.typed = {}
            self.here.say(_('Saved.'))
        self.island.set(await self._html())
        if not self.typed:
            self.island.forget_draft(f'keep:{self.by.user_id}')


async def audit(here: Here) -> None:
    await StaffTrail(here).build()


SCREENS = (Screen('/audit', audit, Permission.AUDIT_SEE, 'audit'),)
