"""Several tickets at once: what is picked, what can be done with it, how far it has come, and what could not be done."""

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from portal.components.values import MenuItem
from portal.domain.access import Principal
from portal.domain.base import NotFound, Wrong
from portal.domain.tickets.bulk import FIELDS, Change, Field, change_one, dealt_with
from portal.domain.tickets.waiting import today
from portal.domain.tickets.working import ClosedForGood
from portal.i18n import _, day
from portal.logs import reference
from portal.pages.screens import Here
from portal.pages.shared.lists import Choices

Menu = tuple[str, str, list[MenuItem]]  # id, label, lines
SHOW_EACH = 10  # tickets between two words about how far it is


@dataclass
class Run:
    """One change on its way through many tickets."""

    change: Change
    numbers: list[int]  # of the tickets that still wait
    total: int
    changed: int = 0
    failed: list[tuple[int, str]] = field(default_factory=list[tuple[int, str]])
    kept: UUID | None = None  # of the row that says how far it is; a small change has none
    is_stopped: bool = False

    @property
    def done(self) -> int:
        return self.total - len(self.numbers)

    async def go(self, here: Here, show: Callable[[], Awaitable[None]]) -> None:
        """Each ticket in a transaction of its own. Goes on when one leaves the page; raises SignedOut and NotAllowed."""
        while self.numbers and not self.is_stopped:
            if self.done % SHOW_EACH == 0:
                await show()
            await self._one(here, self.numbers[0])
            del self.numbers[0]

    async def _one(self, here: Here, number: int) -> None:
        by = here.visit.by
        try:
            async with here.visit.work() as db:
                changed: bool = await change_one(db, by, number, self.change)
                if self.kept:
                    await dealt_with(db, by, self.kept, number, changed=changed)
        except (Wrong, NotFound, ClosedForGood, DBAPIError) as e:
            why = _why(e)
            if self.kept:
                async with here.visit.work() as db:
                    await dealt_with(db, by, self.kept, number, why=why)
            self.failed.append((number, why))
        else:
            self.changed += changed


def _why(error: Exception) -> str:
    if isinstance(error, Wrong):
        return ' '.join(error.fields.values())
    if isinstance(error, ClosedForGood):
        return _('It was closed too long ago to be reopened.')
    if isinstance(error, NotFound):
        return _('It is not there any more.')
    return _('The database could not do it. ({number})', number=reference(error, 'bulk'))


def change_from(field: str, to: str) -> Change:
    """What somebody chose; raises Wrong for what cannot be chosen at all."""
    known: Iterable[Field] = (f for f in FIELDS if f == field)
    found = next(iter(known), None)
    if found is None or len(to) > 60:
        raise Wrong(field=_('Choose one of the list.'))
    return Change(found, to)


def menus(by: Principal, choices: Choices) -> list[Menu]:
    """What can be done with the picked ones."""
    me = [item for item in choices.person if item[1] == by.user_id]
    others = [item for item in choices.person if item[1] != by.user_id]
    return [
        ('bulk-assign', _('Assign'), [
            *(_line('assign', word, _('To me')) for word, _id, _name in me),
            *(_line('assign', word, name, divided=n == 0) for n, (word, _id, name) in enumerate(others)),
            _line('assign', '', _('Nobody'), divided=True),
        ]),
        ('bulk-status', _('Status'), [_line('status', word, label) for word, _s, label in choices.status]),
        ('bulk-priority', _('Priority'), [_line('priority', word, label) for word, _p, label in choices.priority]),
        ('bulk-category', _('Category'), [
            *(_line('category', word, label) for word, _c, label in choices.category),
            _line('category', '', _('None'), divided=bool(choices.category)),
        ]),
        ('bulk-due', _('Due'), _days(by)),
    ]  # fmt: skip


def described(change: Change, offered: Iterable[Menu]) -> str:
    """What is changed to what, in the words of the menus: `Status: Solved`. What they do not offer any more has no words."""
    wanted = {'data-v-field': change.field, 'data-v-to': change.to}
    label, lines = next((label, lines) for id_, label, lines in offered if id_ == f'bulk-{change.field}')
    value = next((str(line.label) for line in lines if line.attrs == wanted), '')
    if not value and change.field == 'due':
        with suppress(ValueError):
            value = day(date.fromisoformat(change.to))
    return f'{label}: {value}' if value else label


def _days(by: Principal) -> list[MenuItem]:
    first = today(by.tenant)
    days = [(first, _('Today')), (first + timedelta(days=1), _('Tomorrow'))]
    days += [(first + timedelta(days=n), day(first + timedelta(days=n))) for n in (2, 3, 7, 14)]
    return [
        *(_line('due', at.isoformat(), words) for at, words in days),
        MenuItem(_('Another day'), act='ask-due', icon='calendar', divided=True),
        _line('due', '', _('No day')),
    ]


def _line(field: Field, to: str, label: str, *, divided: bool = False) -> MenuItem:
    return MenuItem(label, act='bulk', divided=divided, attrs={'data-v-field': field, 'data-v-to': to})
