"""The staff's side: its screens, its navigation, and the numbers in it."""

from typing import Any

from portal.domain.access import Permission
from portal.domain.tickets import counts
from portal.i18n import L_
from portal.pages import exports, gallery, settings
from portal.pages.frame import Place, SideSpec
from portal.pages.staff import (
    access,
    audit,
    categories,
    companies,
    explaining,
    health,
    mail,
    new_ticket,
    queue,
    replies,
    roles,
    team,
    tenant,
    ticket,
    view_as,
)
from portal.settings import Settings
from portal.visit import Visit

PLACES = (
    Place('queue', L_('Queue'), '', 'list-checks', Permission.TICKETS_SEE, count='ours', counts=L_('with us')),
    Place('companies', L_('Companies'), '/companies', 'building-2', Permission.COMPANIES_SEE, L_('Clients')),
    Place('team', L_('Team'), '/team', 'users', Permission.STAFF_MANAGE, L_('Tenant')),
    Place('roles', L_('Roles'), '/roles', 'key-round', Permission.ROLES_MANAGE, L_('Tenant')),
    Place('access', L_('Access'), '/access', 'shield-check', Permission.ACCESS_MANAGE, L_('Tenant')),
    Place('categories', L_('Categories'), '/categories', 'tag', Permission.TENANT_MANAGE, L_('Tenant')),
    Place('mail', L_('Mail'), '/mail', 'mail', Permission.MAIL_READ, L_('Tenant')),
    Place('portal', L_('Portal'), '/portal', 'sliders-horizontal', Permission.TENANT_MANAGE, L_('Tenant')),
    Place('audit', L_('Audit log'), '/audit', 'scroll-text', Permission.AUDIT_SEE, L_('Tenant')),
    Place('health', L_('Health'), '/health', 'activity', Permission.TENANT_MANAGE, L_('Tenant')),
    Place('replies', L_('Canned replies'), '/replies', 'message-square', Permission.DESK_OWN, L_('You')),
    Place('settings', L_('Settings'), '/settings', 'settings-2', Permission.PROFILE_EDIT, L_('You')),
)
SCREENS = (
    *queue.SCREENS, *new_ticket.SCREENS, *ticket.SCREENS, *companies.SCREENS, *team.SCREENS, *roles.SCREENS, *access.SCREENS, *explaining.SCREENS, *categories.SCREENS, *mail.SCREENS, *tenant.SCREENS,
    *health.SCREENS, *audit.SCREENS, *view_as.SCREENS, *replies.SCREENS, *settings.SCREENS, *exports.screens('queue'),
)  # fmt: skip


def spec(portal: Settings) -> SideSpec:
    screens = SCREENS + (gallery.SCREENS if portal.demo else ())
    return SideSpec(screens, PLACES, ('queue', 'companies', 'settings'), _numbers, _topics)


async def _numbers(db: Any, visit: Visit) -> dict[str, int]:
    numbers = await counts(db, visit.by.user_id, staff=True)
    return {'ours': numbers.theirs, 'unread': numbers.unread}


def _topics(visit: Visit) -> tuple[str, ...]:
    return (f'queue:{visit.by.tenant.id}',)
