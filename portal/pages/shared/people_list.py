"""A page with a list of people, a form for one more, and a dialog that asks before something is done with one of them."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.components.island import Act, Island
from portal.components.render import render
from portal.components.values import Action, Option, Text
from portal.domain.base import NotFound, Wrong
from portal.domain.people import User
from portal.i18n import _
from portal.pages.screens import Here
from portal.pages.shared.people import with_link


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of the list, ready to be shown."""

    id: UUID
    name: str
    email: str
    role: str  # its key: a built-in name, or the id of one of the tenant's own
    role_words: str
    state: Markup
    active: bool


class PeopleList:
    """What such pages have in common; each reads and shows for itself, and asks with a template of its own."""

    people: list[Person]
    island: Island
    draft: str
    template: str

    def __init__(self, here: Here, first: str) -> None:
        """`first`: the role that is chosen from the start."""
        self.here, self.by, self.first = here, here.visit.by, first
        self.roles: Sequence[Option] = ()
        self.dialog: ui.dialog | None = None
        self.errors: dict[str, Text] = {}
        self.values = self._nothing_typed()

    def _nothing_typed(self) -> dict[str, str]:
        return {'name': '', 'email': '', 'role': self.first}

    def build_dialog(self, labelled_by: str) -> None:
        """For whoever may do something."""
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = labelled_by
        with self.dialog:
            self.asking = self.here.island(Markup(''), self._act)

    async def _act(self, act: Act) -> None:
        raise NotImplementedError

    async def _again(self) -> None:
        """Reads anew, and shows it."""
        raise NotImplementedError

    def _html(self) -> Markup:
        raise NotImplementedError

    def _person(self, act: Act) -> Person:
        """Of the row something was done to; raises NotFound."""
        person = next((p for p in self.people if str(p.id) == act.key), None)
        if person is None:
            self._close()  # it asked about somebody who is gone
            raise NotFound
        return person

    def _ask(self, about: str, title: str, does: Action, template: str = '', **more: Any) -> None:
        """Once, and naming whom it is about."""
        if self.dialog is None:
            raise NotFound
        actions = [Action(_('Cancel'), act='close', kind='quiet'), does]
        self.asking.set(render(template or self.template, about=about, title=title, actions=actions, **more))
        self.dialog.open()

    def _ask_role(self, person: Person, *, role: str = '', error: str = '', **more: Any) -> None:
        does = Action(_('Change the role'), type='submit', kind='primary', attrs={'form': 'role-form'})
        self._ask('ask-role', _('What may {name} do?', name=person.name), does, person=person, role_options=self.roles,
                  role=role or person.role, error=error, **more)  # fmt: skip

    def _close(self) -> None:
        if self.dialog:
            self.dialog.close()

    async def _add(self, act: Act, verb: Callable[[AsyncSession, dict[str, str]], Awaitable[User]]) -> User | None:
        """None if something is wrong, which then stands at the fields."""
        self.values, self.errors = {name: act.text(name) for name in ('name', 'email', 'role')}, {}
        try:
            async with self.here.visit.work() as db:
                person = await verb(db, self.values)
        except Wrong as wrong:
            self.errors = with_link(wrong, self.here)
            self.island.set(self._html())
            return None
        self.values = self._nothing_typed()
        await self._again()
        self.island.forget_draft(self.draft)
        return person

    async def _change_role(self, act: Act, verb: Callable[[AsyncSession, UUID, str], Awaitable[None]], **more: Any) -> None:
        person, role = self._person(act), act.text('role')
        try:
            async with self.here.visit.work() as db:
                await verb(db, person.id, role)
        except Wrong as wrong:
            self._ask_role(person, role=role, error=wrong.fields['role'], **more)
            return
        await self._done(_('{name} is {role} now.', name=person.name, role=self._role_words(role)))

    def _role_words(self, role: str) -> str:
        return next((str(option.label) for option in self.roles if option.value == role), role)

    async def _change(self, verb: Callable[[AsyncSession], Awaitable[None]], done: str) -> None:
        """Beside no field: what cannot be is said in a toast, and the list shows how it stands."""
        try:
            async with self.here.visit.work() as db:
                await verb(db)
        except Wrong as wrong:
            await self._done(' '.join(wrong.fields.values()), bad=True)
            return
        await self._done(done)

    async def _done(self, words: str, *, bad: bool = False) -> None:
        self._close()
        await self._again()
        self.here.say(words, bad=bad)
