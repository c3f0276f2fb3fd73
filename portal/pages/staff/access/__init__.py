"""How people may come in, as the MSP decides it: sections of one screen, each an island of its own."""

from collections.abc import Awaitable, Callable

from portal.components.render import macro
from portal.domain.access import Permission
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.staff.access import factors, limits, provider, sso

#: In the order of the screen. Each is the builder of a module beside this one: it reads, and makes an island where it stands.
SECTIONS: tuple[Callable[[Here], Awaitable[None]], ...] = (factors.build, sso.build, limits.build)


async def access(here: Here) -> None:
    here.title(_('Access'))
    here.set_primary(None)
    here.island(macro('page_head')(_('Access'), lead=_('How people come in, and what is asked of them.')))
    for section in SECTIONS:
        await section(here)


SCREENS = (Screen('/access', access, Permission.ACCESS_MANAGE, 'access'), *provider.SCREENS)
