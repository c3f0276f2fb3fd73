"""How one signs in, with what, and where one is signed in: sections of one screen, each an island of its own."""

from collections.abc import Awaitable, Callable

from portal.domain.access import Permission
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.settings.sections import accounts, factors, passkeys, password, sessions
from portal.pages.settings.tabs import head

#: In the order of the screen. Each is the builder of a module in `sections`: it reads, and makes an island where it stands.
SECTIONS: tuple[Callable[[Here], Awaitable[None]], ...] = (
    password.build,
    passkeys.build,
    factors.build,
    sessions.build,
    accounts.build,
)


async def security(here: Here) -> None:
    here.title(_('Security'))
    here.island(head(here.visit, '/settings/security'))
    for section in SECTIONS:
        await section(here)


SCREENS = (Screen('/settings/security', security, Permission.PROFILE_EDIT, 'settings'),)
