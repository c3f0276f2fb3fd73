"""The client's side: its screens, its navigation, and the numbers in it."""

from typing import Any

from portal.domain.access import Permission
from portal.domain.tickets import counts
from portal.i18n import L_
from portal.pages import exports, gallery, settings
from portal.pages.client import home, new_ticket, review, ticket, tickets, welcome
from portal.pages.frame import Place, SideSpec
from portal.pages.screens import Screen
from portal.pages.settings import log, people
from portal.pages.shared.company_details import company_details
from portal.pages.shared.inviting import invite_to_company
from portal.settings import Settings
from portal.visit import Visit

PLACES = (
    Place('home', L_('Home'), '', 'house', Permission.TICKETS_SEE),
    Place(
        'tickets',
        L_('Tickets'),
        '/tickets',
        'messages-square',
        Permission.TICKETS_SEE,
        L_('Help'),
        count='unread',
        counts=L_('unread'),
    ),
    Place('settings', L_('Settings'), '/settings', 'settings-2', Permission.PROFILE_EDIT, L_('You')),
)
SCREENS = (
    *home.SCREENS, *tickets.SCREENS, *new_ticket.SCREENS, *ticket.SCREENS, *welcome.SCREENS,
    # before anybody of that name
    Screen('/settings/people/invite', invite_to_company, Permission.PEOPLE_MANAGE, 'settings', writes=True),
    *review.SCREENS,
    Screen('/settings/company', company_details, Permission.COMPANY_EDIT, 'settings', writes=True),
    *settings.SCREENS, *people.SCREENS, *log.SCREENS, *exports.screens('tickets'),
)  # fmt: skip


def spec(portal: Settings) -> SideSpec:
    screens = SCREENS + (gallery.SCREENS if portal.demo else ())
    return SideSpec(screens, PLACES, ('home', 'tickets', 'settings'), _numbers, _topics)


async def _numbers(db: Any, visit: Visit) -> dict[str, int]:
    return {'unread': (await counts(db, visit.by.user_id, staff=False)).unread}


def _topics(visit: Visit) -> tuple[str, ...]:
    return (f'tickets:{visit.by.company.id}',) if visit.by.company else ()
