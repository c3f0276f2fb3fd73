"""The words on screen and in letters for what is stored."""

from portal.domain.access import Side
from portal.domain.tickets.model import Priority, Status
from portal.i18n import _


def status_words(status: Status, side: Side, msp: str) -> str:
    """Whose turn it is, as this side says it. `msp` is the tenant's short name."""
    if side == 'client':
        return {
            Status.NEW: _('New, with {msp}', msp=msp),
            Status.OPEN: _('With {msp}', msp=msp),
            Status.WAITING_CLIENT: _('Waiting for you'),
            Status.WAITING_SUPPLIER: _('With the supplier'),
            Status.SOLVED: _('Solved'),
            Status.CLOSED: _('Closed'),
        }[status]
    return {
        Status.NEW: _('New'),
        Status.OPEN: _('In work'),
        Status.WAITING_CLIENT: _('With client'),
        Status.WAITING_SUPPLIER: _('With supplier'),
        Status.SOLVED: _('Solved'),
        Status.CLOSED: _('Closed'),
    }[status]


def priority_words(priority: Priority) -> str:
    return {
        Priority.LOW: _('Low'),
        Priority.NORMAL: _('Normal'),
        Priority.HIGH: _('High'),
        Priority.URGENT: _('Urgent'),
    }[priority]
