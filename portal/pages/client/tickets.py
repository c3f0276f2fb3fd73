"""The company's tickets: the list."""

from uuid import UUID

from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission
from portal.domain.people import members
from portal.domain.tickets import Where, counts
from portal.i18n import L_
from portal.pages.screens import Here, Screen
from portal.pages.shared.lists import ListSpec, TicketList, View

VIEWS = (
    View('open', L_('Open'), lambda here: Where(group='open'), lambda n: n.open),
    View('mine', L_('Waiting for you'), lambda here: Where(group='mine'), lambda n: n.mine),
    View('theirs', L_('Being worked on'), lambda here: Where(group='theirs'), lambda n: n.theirs),
    View(
        'asked',
        L_('Asked by you'),
        lambda here: Where(group='open', requester_id=here.visit.by.user_id),
        lambda n: n.requested_by_me,
    ),
    View('unread', L_('Unread'), lambda here: Where(group='all', unread=True), lambda n: n.unread),
    View('done', L_('Solved'), lambda here: Where(group='done'), lambda n: n.done),
    View('closed', L_('Closed'), lambda here: Where(group='closed')),
)


async def _people(db: AsyncSession, here: Here) -> list[tuple[UUID, str]]:
    """For whoever sees more than their own."""
    by = here.visit.by
    if not by.company or not by.may(Permission.TICKETS_SEE_COMPANY):
        return []
    return [(user.id, user.name) for user in await members(db, by.company.id)]


async def tickets(here: Here) -> None:
    by = here.visit.by
    spec = ListSpec(
        'client/tickets.html', L_('Tickets'), '/tickets', VIEWS,
        counts=lambda db, here: counts(db, here.visit.by.user_id, staff=False),
        topics=lambda here: (f'tickets:{by.company.id}', f'unread:{by.user_id}') if by.company else (),
        people=lambda db: _people(db, here), people_label=L_('Person'),
    )  # fmt: skip
    await TicketList(spec, here).build()


SCREENS = (Screen('/tickets', tickets, Permission.TICKETS_SEE, 'tickets'),)
