"""The row of tabs above every screen of the settings."""

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from portal.components.render import render
from portal.components.values import Tab
from portal.domain.access import Permission, Side
from portal.i18n import L_
from portal.visit import Visit


@dataclass(frozen=True, slots=True)
class Part:
    path: str
    label: Any
    needs: Permission
    sides: tuple[Side, ...] = ('client', 'staff')
    writes: bool = False  # as of its screen


PARTS = (
    Part('/settings', L_('Profile'), Permission.PROFILE_EDIT),
    Part('/settings/security', L_('Security'), Permission.PROFILE_EDIT),
    Part('/settings/company', L_('Company'), Permission.COMPANY_EDIT, ('client',), writes=True),
    Part('/settings/people', L_('People and roles'), Permission.PEOPLE_MANAGE, ('client',)),
    Part('/settings/log', L_('Log'), Permission.AUDIT_SEE, ('client',)),
)


def head(visit: Visit, path: str) -> Markup:
    """Title and tabs, for an island of its own above the screen's; `path` is the tab that stands open."""
    parts = [
        part for part in PARTS if visit.by.side in part.sides and visit.may(part.needs) and not (visit.viewing and part.writes)
    ]
    tabs = [Tab(str(part.label), visit.root + part.path, current=part.path == path) for part in parts]
    return render('shared/settings_head.html', tabs=tabs)
