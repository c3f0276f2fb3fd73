"""What a person chooses for themselves, on either side: name, language, time zone, look, and which letters reach them."""

from functools import cache
from typing import Any
from zoneinfo import available_timezones

from markupsafe import Markup
from nicegui import ui

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Option, OptionGroup
from portal.domain.access import Permission
from portal.domain.base import Wrong
from portal.domain.people import MAIL_EVENTS, User, change_profile
from portal.i18n import LANGUAGES, _, clock, now, voice
from portal.pages.screens import Here, Screen

_REGIONS = ('Africa', 'America', 'Antarctica', 'Arctic', 'Asia', 'Atlantic', 'Australia', 'Europe', 'Indian', 'Pacific')


def _region_words(region: str) -> str:
    return {
        'Africa': _('Africa'), 'America': _('America'), 'Antarctica': _('Antarctica'), 'Arctic': _('Arctic'), 'Asia': _('Asia'),
        'Atlantic': _('Atlantic'), 'Australia': _('Australia'), 'Europe': _('Europe'), 'Indian': _('Indian Ocean'),
        'Pacific': _('Pacific'),
    }[region]  # fmt: skip


@cache
def _cities() -> dict[str, list[str]]:
    """Time zones by region, as the IANA names them; without the old names that have none, but for UTC."""
    cities: dict[str, list[str]] = {region: [] for region in _REGIONS}
    for name in sorted(available_timezones()):
        region = name.partition('/')[0]
        if region in cities and '/' in name:
            cities[region].append(name)
    return cities


def zone_words(name: str) -> str:
    """`America/New_York` → `New York`"""
    return name.partition('/')[2].replace('_', ' ').replace('/', ', ') or name


def _current(zone: str) -> str:
    region = zone.partition('/')[0]
    return f'{zone_words(zone)} ({_region_words(region)})' if region in _REGIONS else zone


def zone_options(current: str) -> list[OptionGroup]:
    """The current one first, so that it is seen without looking for it."""
    first = Option(current, _current(current))
    rest = [
        OptionGroup(_region_words(region), tuple(Option(name, zone_words(name)) for name in names if name != current))
        for region, names in _cities().items()
    ]
    other = (OptionGroup(_('Everywhere the same'), (Option('UTC', 'UTC'),)),) if current != 'UTC' else ()
    return [OptionGroup(_('Now'), (first,)), *rest, *other]


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
        self.island = self.here.island(self._html(), self._act)
        self.look = self.here.island(self._look())
        if 'saved' in self.here.query:  # the page came anew, since the frame speaks differently now
            self.here.address(replace=True)
            self.here.say(_('Saved.'))

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            me = await db.get_one(User, self.by.user_id)
        self.theme = me.theme
        self.saved: dict[str, Any] = {
            'name': me.name, 'language': voice().language, 'timezone': voice().timezone,
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
        self.values = {**{name: act.text(name) for name in ('name', 'language', 'timezone')}, 'mail': act.all('mail')}
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
