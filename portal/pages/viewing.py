"""The banner over every page of staff who look in a client's place: as whom, how long yet, and the way out."""

from markupsafe import Markup
from nicegui import ui

from portal.components.island import Island
from portal.components.render import render
from portal.guard import leave, over
from portal.i18n import now
from portal.pages.auth.plain import STOP
from portal.visit import Visit

EVERY = 15.0  # seconds


class ViewingBanner:
    """Leaves when the time is over; what is read after that is refused by the database in any case."""

    def __init__(self, visit: Visit) -> None:
        assert visit.viewing
        self.visit, self.ends_at, self.client = visit, visit.viewing.ends_at, ui.context.client
        self.minutes = self._left()
        self.island = Island(self._html(), classes='through')
        self.client.on_connect(self._begin)

    def _begin(self) -> None:
        with self.island:
            ui.timer(EVERY, self._tick)
            ui.timer(max(0.0, (self.ends_at - now()).total_seconds()), self._tick, once=True)  # and at the very end

    def _left(self) -> int:
        return max(0, -int(-(self.ends_at - now()).total_seconds() // 60))

    def _html(self) -> Markup:
        return render('viewing.html', name=self.visit.by.name, minutes=self.minutes, stop=STOP)

    async def _tick(self) -> None:
        if now() >= self.ends_at:
            await leave(self.client, over(self.client))
        elif self._left() != self.minutes and not self.island.is_deleted:
            self.minutes = self._left()
            self.island.set(self._html())
