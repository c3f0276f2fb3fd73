"""Passkeys: those one has, and a new one."""

from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action
from portal.domain.base import NotFound, Wrong
from portal.domain.passkeys import NAME_MOST, LastFactor, Mine, mine, remove_passkey, rename_passkey
from portal.i18n import _, day, when
from portal.pages.auth import passkeys as door
from portal.pages.own_passkeys import ADD, OPTIONS
from portal.pages.screens import Here


class Passkeys:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.request = ui.context.client.request

    async def build(self) -> None:
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = 'about-passkey-title'
        with self.dialog:
            self.asking = self.here.island(Markup(''), self._act)
        self.here.wakes(self._again, f'factors:{self.by.user_id}')
        self._told()

    def _told(self) -> None:
        """What became of the one that was being made."""
        said = self.here.query.get('passkey')
        if said:
            self.here.address(replace=True)
        if said == 'added':
            self.here.say(_('Your passkey is here. Next time sign in with it.'))
        elif said == 'none':
            self.here.say(_('No passkey was added: it is here already, or the time was up. Please try again.'), bad=True)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.keys = await mine(db)

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    def _html(self) -> Markup:
        form = door.form(
            self.request, ADD, OPTIONS, _('Add a passkey'), asks='create', kind='' if self.keys else 'primary', wide=False
        )
        return render('shared/passkeys.html', keys=[(key, _icon(key), _about(key)) for key in self.keys], form=form)

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'ask-name-passkey' | 'ask-remove-passkey':
                self._ask(act.name, self._key(act))
            case 'name-passkey':
                await self._rename(act)
            case 'remove-passkey':
                await self._remove(act)
            case 'close':
                self.dialog.close()
            case _:
                pass

    def _key(self, act: Act) -> Mine:
        found = next((key for key in self.keys if str(key.id) == act.key), None)
        if found is None:
            self.dialog.close()
            raise NotFound
        return found

    def _ask(self, about: str, key: Mine, **more: Any) -> None:
        renames = about == 'ask-name-passkey'
        does = (
            Action(_('Save'), type='submit', kind='primary', attrs={'form': 'passkey-name-form'})
            if renames else Action(_('Remove'), act='remove-passkey', kind='danger', attrs={'data-key': str(key.id)})
        )  # fmt: skip
        title = _('How do you call it?') if renames else _('Remove “{name}”?', name=key.name)
        values: dict[str, Any] = {'name': key.name, 'error': '', **more}
        self.asking.set(render(
            'shared/about_passkey.html', renames=renames, key=key, title=title, most=NAME_MOST, only=len(self.keys) == 1,
            actions=[Action(_('Cancel'), act='close', kind='quiet'), does], **values,
        ))  # fmt: skip
        self.dialog.open()

    async def _rename(self, act: Act) -> None:
        key, name = self._key(act), act.text('name')
        try:
            async with self.here.visit.work() as db:
                await rename_passkey(db, self.by, UUID(str(key.id)), name)
        except Wrong as wrong:
            return self._ask('ask-name-passkey', key, name=name, error=wrong.fields['name'])
        self.dialog.close()
        await self._again()
        return self.here.say(_('Saved.'))

    async def _remove(self, act: Act) -> None:
        key = self._key(act)
        self.dialog.close()
        try:
            async with self.here.visit.work() as db:
                await remove_passkey(db, self.by, UUID(str(key.id)))
        except LastFactor as wrong:
            return self.here.say(wrong.fields['passkey'], bad=True)
        await self._again()
        return self.here.say(_('“{name}” is removed. Remove it from the device as well.', name=key.name))


def _icon(key: Mine) -> str:
    if 'internal' in key.transports:
        return 'fingerprint'
    return 'smartphone' if 'hybrid' in key.transports else 'key-round'


def _about(key: Mine) -> str:
    kept = [_('on your devices')] if key.backed_up else []
    used = _('used {when}', when=when(key.used_at)) if key.used_at else _('not used yet')
    return ' · '.join([*kept, _('made {day}', day=day(key.created_at)), used])


async def build(here: Here) -> None:
    await Passkeys(here).build()
