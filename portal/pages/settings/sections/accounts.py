"""One's account at an identity provider, on the screen about security: linked when, unlink, link now."""

from datetime import datetime
from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui

from portal.components.island import Act
from portal.components.render import render
from portal.domain.access import need_fresh
from portal.domain.base import NotFound, Wrong
from portal.domain.sso import unlink_own
from portal.i18n import _
from portal.pages.screens import Here
from portal.sso_links import start_linking


class Accounts:
    """Shows nothing where nothing is set up."""

    def __init__(self, here: Here) -> None:
        self.here = here

    async def build(self) -> None:
        await self._read()
        self.island = self.here.island(self._html(), self._act)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            connection = await db.connection()
            self.mine: dict[str, Any] = (await connection.exec_driver_sql('select app.my_accounts()')).scalar() or {}

    def _html(self) -> Markup:
        accounts, offers = self.mine.get('accounts', []), self.mine.get('offers', [])
        if not accounts and not offers:
            return Markup('')
        for account in accounts:
            for name in ('linked_at', 'used_at'):
                account[name] = datetime.fromisoformat(account[name]) if isinstance(account[name], str) else account[name]
        return render(
            'shared/accounts.html', accounts=accounts, offers=offers, only=self.mine['only'], by=self.here.visit.by,
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'unlink-account':
                await self._unlink(act)
            case 'link-account':
                await self._link(act)
            case _:
                pass

    async def _unlink(self, act: Act) -> None:
        try:
            async with self.here.visit.work() as db:
                await unlink_own(db, self.here.visit.by, _id(act.key))
        except Wrong as wrong:
            self.here.say(wrong.fields['account'], bad=True)
            return
        await self._read()
        self.island.set(self._html())
        self.here.say(_('The account is no longer linked.'))

    async def _link(self, act: Act) -> None:
        """Leaves for the provider; comes back to this screen."""
        offer = next((offer for offer in self.mine.get('offers', []) if offer['id'] == act.key), None)
        if offer is None:
            raise NotFound
        async with self.here.visit.work() as db:
            await need_fresh(db)
        settings = ui.context.client.request.state.settings
        ui.navigate.to(start_linking(settings, self.here.visit.token, offer['id'], self.here.url('/settings/security')))


def _id(key: str | None) -> UUID:
    try:
        return UUID(key or '')
    except ValueError:
        raise NotFound from None


async def build(here: Here) -> None:
    await Accounts(here).build()
