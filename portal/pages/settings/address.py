"""The address one signs in with, and the wish for another."""

from markupsafe import Markup

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action
from portal.domain.base import Wrong
from portal.domain.own_address import ask_for_address, call_off, wish
from portal.i18n import _
from portal.pages.screens import Here


class Address:
    """A section of the profile. It asks for a recent proof of who one is."""

    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.typed, self.errors = '', dict[str, str]()

    async def build(self) -> None:
        await self._read()
        self.island = self.here.island(self._html(), self._act)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.wish = await wish(db)

    def _html(self) -> Markup:
        return render(
            'shared/address.html', email=self.by.email, wish=self.wish, typed=self.typed, errors=self.errors,
            actions=[Action(_('Send the letters'), type='submit', kind='primary')], stop=Action(_('Stop it'), act='call-off', kind='quiet'),
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        if act.name == 'ask':
            self.typed, self.errors = act.text('email', 300), {}
            try:
                async with self.here.visit.work() as db:
                    await ask_for_address(db, self.by, self.typed)
            except Wrong as wrong:
                self.errors = wrong.fields
                self.island.set(self._html())
                return
            self.typed = ''
        elif act.name == 'call-off':
            async with self.here.visit.work() as db:
                await call_off(db, self.by)
        await self._read()
        self.island.set(self._html())
