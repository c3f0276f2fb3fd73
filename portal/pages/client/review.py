"""Do these people still work here? Answered in a minute."""

from uuid import UUID

from markupsafe import Markup

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, Column, Crumb, Option
from portal.domain.access import Permission
from portal.domain.base import Wrong
from portal.domain.reviews import Confirmed, Reviewed, confirm_review, next_review, people_to_review, standing
from portal.i18n import _, day
from portal.pages.screens import Here, Screen


class ReviewPage:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by
        assert self.by.company
        self.company = self.by.company
        self.leave: set[UUID] = set()
        self.asking, self.error = False, ''

    async def build(self) -> None:
        self.here.title(_('Do these people still work here?'))
        self.here.set_primary(None)
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        self.here.wakes(self._again, f'invitations:{self.company.id}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.standing = await standing(db, self.company.id)
            self.people: list[Reviewed] = await people_to_review(db, self.by)
            self.next = await next_review(db, self.by, self.standing.confirmed_at)
        self.leave &= {person.id for person in self.people if not person.fixed}

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    def _html(self) -> Markup:
        crumbs = [Crumb(_('Settings'), self.here.url('/settings')), Crumb(_('People and roles'), self.here.url('/settings/people')),
                  Crumb(_('Do these people still work here?'))]  # fmt: skip
        gone = [person.name for person in self.people if person.id in self.leave]
        return render(
            'client/review.html', crumbs=crumbs, company=self.company.name, review=self.standing.open, standing=self.standing,
            next=self.next, people=self.people, leave=self.leave, gone=gone, asking=self.asking, error=self.error,
            columns=[Column(_('Person')), Column(_('Role')), Column(_('Last here')), Column(_('Still here?'), right=True)],
            seen=lambda person: day(person.seen_at) if person.seen_at else _('Not lately'),
            actions=[Action(_('All of them still work here'), act='all', kind='primary')] if not self.leave and not self.asking
            else [Action(_('Go on'), type='submit', kind='primary')],
            answers=[Option('stay', _('Still here')), Option('leave', _('Has left'))],
            sure=[Action(_('Confirm, and remove them'), act='confirm', kind='danger'), Action(_('Back'), act='back', kind='quiet')],
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        self.error = ''
        match act.name:
            case 'choose' | 'look':
                gone = {
                    name.partition('-')[2]
                    for name, value in act.values.items()
                    if name.startswith('person-') and value == 'leave'
                }
                self.leave = {person.id for person in self.people if str(person.id) in gone and not person.fixed}
                self.asking = act.name == 'look' and bool(self.leave)
                if act.name == 'look' and not self.leave:
                    return await self._confirm()
            case 'all':
                self.leave = set()
                return await self._confirm()
            case 'confirm' if self.asking:
                return await self._confirm()
            case 'back':
                self.asking = False
            case _:
                pass
        self.island.set(self._html())
        return None

    async def _confirm(self) -> None:
        review, n = self.standing.open, len(self.leave)
        if review is None:
            return
        said, bad = _('Thank you. That was all.') if not n else _('Thank you. Who left can no longer come in.'), False
        try:
            async with self.here.visit.work() as db:
                await confirm_review(db, self.by, review.id, [person.id for person in self.people], self.leave)
        except Confirmed:
            said = _('Somebody else has answered meanwhile. Nothing was changed by you.')
        except Wrong as wrong:
            said, bad = wrong.fields['people'], True
        self.asking = False
        self.leave = set() if not bad else self.leave
        await self._again()
        self.here.say(said, bad=bad)


async def review(here: Here) -> None:
    await ReviewPage(here).build()


SCREENS = (Screen('/settings/people/review', review, Permission.PEOPLE_MANAGE, 'settings', writes=True),)
