"""What stands above every screen for one person: that a second factor is needed soon, or that a passkey would be less to type."""

from markupsafe import Markup
from nicegui import ui

from portal.components.island import Act, Island
from portal.components.render import render
from portal.db.engine import SignedOut
from portal.domain.passkeys import decline_passkey
from portal.domain.policy import MyAccess, my_access
from portal.guard import leave, over
from portal.i18n import _, _m, _mn, day
from portal.live import Subscription, moment
from portal.logs import reference
from portal.pages.auth import passkeys as door
from portal.pages.own_passkeys import ADD, OPTIONS
from portal.visit import Visit


class Banners:
    def __init__(self, visit: Visit, access: MyAccess) -> None:
        self.visit, self.access = visit, access
        since = moment()
        self.island = Island(self._html(), self._act, classes='through')
        subscription = Subscription(self.island, self._again, f'factors:{visit.by.user_id}', since=since)
        self.island.client.on_delete(subscription.close)

    async def _again(self) -> None:
        """A factor was added, or removed."""
        try:
            async with self.visit.work() as db:
                self.access = await my_access(db)
        except SignedOut:
            return  # the page hears of it by itself
        except Exception as e:
            reference(e, 'banners')
            return
        self.island.set(self._html())

    def _html(self) -> Markup:
        days, due = self.access.days_left, self.access.due_at
        words = None
        if days is not None and due is not None:
            words = (
                _mn('<b>{n} day left.</b> From {day} you need a second factor to come in: a passkey, or an app with codes.',
                    '<b>{n} days left.</b> From {day} you need a second factor to come in: a passkey, or an app with codes.',
                    days, day=day(due))
                if days else _m('<b>You need a second factor</b> to come in the next time: a passkey, or an app with codes.')
            )  # fmt: skip
        offers = self.access.typed and not (self.access.has_passkey or self.access.declined or words)
        if not (words or offers):
            return Markup()
        form = door.form(ui.context.client.request, ADD, OPTIONS, _('Set up a passkey'), asks='create', wide=False)
        return render('shared/banners.html', due=words, offers=offers, form=form, security=f'{self.visit.root}/settings/security')

    async def _act(self, act: Act) -> None:
        if act.name != 'no-passkey':
            return
        self.island.set(Markup())
        try:
            async with self.visit.work() as db:
                await decline_passkey(db, self.visit.by)
        except SignedOut:
            await leave(self.island.client, over(self.island.client))
        except Exception as e:
            reference(e, 'banners')
