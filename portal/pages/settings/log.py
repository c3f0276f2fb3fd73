"""What a client admin sees of the log: what concerns the company."""

from portal.domain.access import Permission
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.settings.tabs import head
from portal.pages.shared.trail import TrailPage


class CompanyTrail(TrailPage):
    path = '/settings/log'

    async def build(self) -> None:
        self.here.island(head(self.here.visit, self.path))
        await super().build()

    def _title(self) -> None:
        self.here.title(_('Log'))


async def log(here: Here) -> None:
    await CompanyTrail(here).build()


SCREENS = (Screen('/settings/log', log, Permission.AUDIT_SEE, 'settings'),)
