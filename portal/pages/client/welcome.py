"""The first screen of somebody who has just come: what it is for, and the first step."""

from portal.components.render import render
from portal.components.values import Action
from portal.domain.access import Permission
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.shared.tickets import first_name


async def welcome(here: Here) -> None:
    by = here.visit.by
    here.title(_('Welcome'))
    here.set_primary(None)
    actions = [Action(_('See what is going on'), href=here.url(''), kind='quiet')]
    if by.may(Permission.TICKETS_OPEN):
        actions.insert(0, Action(_('Ask for help'), href=here.url('/tickets/new'), kind='primary', icon='plus'))
    here.island(render(
        'client/welcome.html', here=here, name=first_name(by.name), msp=by.tenant, company=by.company, actions=actions,
    ))  # fmt: skip


SCREENS = (Screen('/welcome', welcome, Permission.TICKETS_SEE, 'home'),)
