"""Every component in every state, on the page itself. Part of the demo only."""

from portal.components.render import render
from portal.domain.access import Permission
from portal.i18n import _
from portal.pages.screens import Here, Screen


async def gallery(here: Here) -> None:
    from portal.components.gallery import sections  # its samples are only needed here

    here.title(_('Components'))
    looks = [('light', _('Light')), ('dark', _('Dark')), ('auto', _('Automatic'))]
    by = here.visit.by
    # acts lead nowhere, but are answered, or the buttons of the samples would stay busy
    here.island(render('shared/gallery.html', looks=looks, theme=by.theme, sections=sections(by.side)), lambda _act: None)


SCREENS = (Screen('/gallery', gallery, Permission.PROFILE_EDIT, 'gallery'),)
