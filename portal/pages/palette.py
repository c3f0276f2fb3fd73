"""Search from everywhere (Ctrl K): tickets, for staff companies and people, places and what one can do."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from portal.components.island import Act, Island
from portal.components.render import macro
from portal.components.values import Hit, HitGroup, Text
from portal.domain.access import Permission
from portal.domain.tickets import Where, listing
from portal.domain.tickets.private import saw_private
from portal.domain.tickets.searching import Found, Named, find_names, passages
from portal.domain.tickets.words import status_words
from portal.i18n import _
from portal.pages.shared.lists import search_note
from portal.pages.shared.tickets import passage_line
from portal.snippets import marked
from portal.visit import Visit

MOST = 6
LOOKS = 3
LONGEST = 200


class Palette:
    """`places` are (label, address, icon) of what this person may go to; the first is what one can do."""

    def __init__(self, visit: Visit, places: list[tuple[str, str, str]], on_act: Callable[[Act], Any]) -> None:
        self.visit, self.places, self.asked = visit, places, 0
        self.island = Island(self._html('', self._go_to('')), on_act, classes='through')

    async def find(self, act: Act) -> None:
        """A later question overtakes this answer."""
        words = ' '.join(act.text('q')[:LONGEST].split())
        self.asked += 1
        mine = self.asked
        groups, note = (await self._look(words)) if words else ([], '')
        if mine == self.asked and not self.island.is_deleted:
            self.island.set(self._html(words, [*groups, *self._go_to(words)], note))

    async def _look(self, words: str) -> tuple[list[HitGroup], Text]:
        may_see = self.visit.may(Permission.TICKETS_SEE)
        async with self.visit.work() as db:
            names = await find_names(db, words) if self.visit.may(Permission.COMPANIES_SEE) and self.visit.by.is_staff else []
            page = await listing(db, Where(group='all', words=words, sort='best'), most=MOST) if may_see else None
            found = page.found if page else None
            if page and self.visit.by.is_staff:
                await saw_private(db, self.visit.by.user_id, page.rows, 'search')
            texts = await passages(db, [row.id for row in page.rows], found.words) if page and found else {}
        groups = [HitGroup(_('Tickets'), self._tickets(page.rows, found, texts))] if page and found and page.rows else []
        if companies := [n for n in names if n.person is None]:
            groups.append(HitGroup(_('Companies'), tuple(self._named(n, words) for n in companies)))
        if people := [n for n in names if n.person]:
            groups.append(HitGroup(_('People'), tuple(self._named(n, words) for n in people)))
            if self.visit.may(Permission.VIEW_AS):
                groups.append(HitGroup(_('Look at the portal as'), tuple(self._look_as(n) for n in people[:LOOKS])))
        return groups, search_note(found)

    def _tickets(self, rows: list[Any], found: Found, texts: dict[Any, tuple[str, bool]]) -> tuple[Hit, ...]:
        by, root = self.visit.by, self.visit.root
        return tuple(
            Hit(
                marked(row.subject, found.words), f'{root}/tickets/T-{row.number}', 'messages-square',
                f'T-{row.number} · ' + (row.company if by.is_staff else status_words(row.status, by.side, by.tenant.short_name)),
                passage_line(texts.get(row.id), found.words),
            )
            for row in rows
        )  # fmt: skip

    def _named(self, named: Named, words: str) -> Hit:
        href = f'{self.visit.root}/companies/{named.company_slug}'
        if named.person is None:
            return Hit(marked(named.company, words), href, 'building-2')
        return Hit(marked(named.person, words), href, 'user-round', named.company, marked(named.email or '', words))

    def _look_as(self, named: Named) -> Hit:
        href = f'{self.visit.root}/view-as/{named.person_id}?{urlencode({"company": named.company_slug})}'
        return Hit(_('View as {name}', name=named.person), href, 'eye', named.company)

    def _go_to(self, words: str) -> list[HitGroup]:
        wanted = words.casefold()
        hits = [Hit(marked(label, words), href, icon) for label, href, icon in self.places if wanted in label.casefold()]
        if words and self.visit.may(Permission.TICKETS_SEE):
            hits.insert(0, Hit(_('All tickets with “{words}”', words=words), self._all(words), 'search'))
        return [HitGroup(_('Go to'), tuple(hits))] if hits else []

    def _all(self, words: str) -> str:
        return f'{self.visit.root}/tickets?{urlencode({"q": words})}'

    def _html(self, words: str, groups: list[HitGroup], note: Text = '') -> Any:
        return macro('palette')(groups, words, f'{self.visit.root}/tickets', note)
