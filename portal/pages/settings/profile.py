"""What a person chooses for themselves, on either side: name, language, time zone, look, and which letters reach them."""

from typing import Any

from markupsafe import Markup
from nicegui import ui

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Option
from portal.domain.access import Permission
from portal.domain.base import Wrong
from portal.domain.people import MAIL_EVENTS, User, change_profile
from portal.domain.phones import shown
from portal.i18n import LANGUAGES, _, clock, now, voice
from portal.pages.screens import Here, Screen
from portal.pages.settings.address import Address
from portal.pages.settings.tabs import head
from portal.pages.settings.zones import zone_options


def letter_words(event: str, *, staff: bool) -> tuple[str, str]:
    """What a kind of letter is about, and when it comes."""
    if staff:
        return {
            'new_ticket': (_('A new ticket concerns me'), _('It is assigned to me, or nobody has it yet')),
            'reply': (_('A client replies'), _('On tickets that I have, or that nobody has')),
            'status': (_('A ticket of mine changes'), _('It is closed or opened again')),
        }[event]
    return {
        'new_ticket': (_('A new ticket concerns me'), _('Somebody opens it for me, makes it mine, or puts me in copy')),
        'reply': (_('Somebody replies to me'), _('On tickets that I asked for or am in copy of')),
        'status': (_('A ticket of mine changes'), _('It is solved, closed or opened again')),
    }[event]


class Settings:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        self.errors: dict[str, str] = {}

    async def build(self) -> None:
        self.here.title(_('Settings'))
        await self._read()
        self.here.island(head(self.here.visit, '/settings'))
        self.island = self.here.island(self._html(), self._act)
        await Address(self.here).build()
        self.look = self.here.island(self._look())
        if 'saved' in self.here.query:  # the page came anew, since the frame speaks differently now
            self.here.address(replace=True)
            self.here.say(_('Saved.'))

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            me = await db.get_one(User, self.by.user_id)
        self.theme = me.theme
        self.saved: dict[str, Any] = {
            'name': me.name, 'phone': shown(me.phone or ''), 'language': voice().language, 'timezone': voice().timezone,
            'mail': [event for event in MAIL_EVENTS if event not in me.mail_off],
        }  # fmt: skip
        self.values = dict(self.saved)

    def _html(self) -> Markup:
        by, values = self.by, self.values
        return render(
            'shared/settings.html', by=by, values=values, errors=self.errors,
            languages=[Option(key, words) for key, words in LANGUAGES.items()], zones=zone_options(self.saved['timezone']),
            local_time=clock(now()),
            letters=[(event, *letter_words(event, staff=by.is_staff)) for event in MAIL_EVENTS],
            actions=[Action(_('Save changes'), type='submit', kind='primary')],
        )  # fmt: skip

    def _look(self) -> Markup:
        """Apart: it is kept the moment one chooses it, by portal.js, and must not be put back by what is saved above."""
        looks = [('light', _('Light')), ('dark', _('Dark')), ('auto', _('Automatic'))]
        return render('shared/look.html', looks=looks, theme=self.theme)

    async def _act(self, act: Act) -> None:
        if act.name != 'save':
            return
        self.values = {**{name: act.text(name) for name in ('name', 'phone', 'language', 'timezone')}, 'mail': act.all('mail')}
        self.errors = {}
        changed = {name: value for name, value in self.values.items() if value != self.saved[name]}
        try:
            async with self.here.visit.work() as db:
                await change_profile(db, self.by, **self._for_domain(changed))
        except Wrong as wrong:
            self.errors = wrong.fields
            self.island.set(self._html())
            return
        if changed.keys() & {'name', 'language', 'timezone'}:
            ui.navigate.to(self.here.url('/settings', saved='1'))
            return
        await self._read()
        self.island.set(self._html())
        self.here.say(_('Saved.'))

    @staticmethod
    def _for_domain(changed: dict[str, Any]) -> dict[str, Any]:
        """Only what changed: a language one never chose goes on following the tenant's."""
        wanted = {name: value for name, value in changed.items() if name != 'mail'}
        if 'mail' in changed:
            wanted['mail_off'] = [event for event in MAIL_EVENTS if event not in changed['mail']]
        return wanted


async def settings(here: Here) -> None:
    await Settings(here).build()


SCREENS = (Screen('/settings', settings, Permission.PROFILE_EDIT, 'settings'),)
