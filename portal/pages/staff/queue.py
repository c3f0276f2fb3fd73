"""The queue: by whose turn it is. It is the staff's home."""

from typing import Any
from uuid import UUID

from portal.components.island import Act
from portal.domain.access import Permission
from portal.domain.people import companies
from portal.domain.tickets import Where, counts, take, ticket_by_number
from portal.i18n import L_, _
from portal.pages.screens import Here, Screen
from portal.pages.shared.lists import ListSpec, TicketList, View
from portal.pages.shared.tickets import number_of

VIEWS = (
    View('turn', L_('Our turn first'), lambda here: Where(group='open', sort='turn'), lambda n: n.theirs),
    View(
        'unassigned', L_('Nobody has it'), lambda here: Where(group='open', sort='turn', unassigned=True), lambda n: n.unassigned
    ),
    View(
        'mine',
        L_('Mine'),
        lambda here: Where(group='open', sort='turn', assignee_id=here.visit.by.user_id),
        lambda n: n.assigned_to_me,
    ),
    View('waiting', L_('With clients'), lambda here: Where(group='mine', sort='changed'), lambda n: n.mine),
    View('done', L_('Solved'), lambda here: Where(group='done'), lambda n: n.done),
    View('closed', L_('Closed'), lambda here: Where(group='closed')),
)


class Queue(TicketList):
    async def _act(self, act: Act) -> None:
        if act.name == 'take' and act.key:
            async with self.here.visit.work() as db:
                await take(db, self.here.visit.by, await ticket_by_number(db, number_of(act.key), lock=True))
            self.here.say(_('{ticket} is yours.', ticket=act.key))
            return await self._again()
        return await super()._act(act)


async def queue(here: Here) -> None:
    tenant = here.visit.by.tenant.id
    spec = ListSpec(
        'staff/queue.html', L_('Queue'), here.path, VIEWS,
        counts=lambda db, here: counts(db, here.visit.by.user_id, staff=True),
        topics=lambda here: (f'queue:{tenant}', f'companies:{tenant}'), companies=_companies,
    )  # fmt: skip
    await Queue(spec, here).build()


async def _companies(db: Any) -> list[tuple[UUID, str, str]]:
    return [(c.id, c.slug, c.name) for c in await companies(db)]


SCREENS = (
    Screen('', queue, Permission.TICKETS_SEE, 'queue'),
    Screen('/tickets', queue, Permission.TICKETS_SEE, 'queue'),
)
