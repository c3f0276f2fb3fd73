"""Where one is signed in: each device with its last use, ending one or all, and what to do when it was somebody else."""

from uuid import UUID

from markupsafe import Markup
from nicegui import ui

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action
from portal.domain.base import NotFound
from portal.domain.limits import lasting
from portal.domain.sessions import SignedIn, disown_sessions, end_other_sessions, end_session, my_sessions, own_network
from portal.i18n import _, _n
from portal.pages.screens import Here

MOBILE = ('iPhone', 'iPad', 'Android')


def proof_words(proofs: tuple[str, ...]) -> str:
    """By what its person proved who they are."""
    words = {
        'password': _('with the password'),
        'totp': _('with a code'),
        'passkey': _('with a passkey'),
        'recovery': _('with a recovery code'),
        'sso': _('with the company account'),
    }
    return ', '.join(words[proof] for proof in proofs if proof in words)


def place_words(network: str) -> str:
    if network in ('', 'nowhere'):
        return ''
    return _('own network {network}', network=network) if own_network(network) else network


def length_words(minutes: int) -> str:
    """`8 hours`; what is no whole number of days or hours stays in minutes."""
    if minutes >= 2 * 1440 and minutes % 1440 == 0:
        return _n('{n} day', '{n} days', minutes // 1440)
    if minutes % 60 == 0:
        return _n('{n} hour', '{n} hours', minutes // 60)
    return _n('{n} minute', '{n} minutes', minutes)


class Sessions:
    def __init__(self, here: Here) -> None:
        self.here, self.by = here, here.visit.by

    async def build(self) -> None:
        await self._read()
        self.island = self.here.island(self._html(), self._act)
        self.dialog = ui.dialog()
        self.dialog.props['aria-labelledby'] = 'not-me-title'
        with self.dialog:
            self.here.island(self._question(), self._act)
        self.here.wakes(self._again, f'sessions:{self.by.user_id}')

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.sessions = await my_sessions(db)
            self.lasts = await lasting(db)

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        if not self.sessions:  # staff who look in somebody's place
            return Markup('')
        return render(
            'shared/sessions.html', sessions=[(each, self._icon(each), place_words(each.network), proof_words(each.proofs))
                                              for each in self.sessions],
            idle=length_words(self.lasts[0]), whole=length_words(self.lasts[1]),
        )  # fmt: skip

    @staticmethod
    def _icon(session: SignedIn) -> str:
        return 'smartphone' if any(word in session.device for word in MOBILE) else 'monitor'

    @staticmethod
    def _question() -> Markup:
        return render(
            'shared/not_me.html',
            actions=[Action(_('Cancel'), act='close', kind='quiet'), Action(_('End everything'), act='disown', kind='danger')],
        )

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'end':
                await self._end(act)
            case 'end-others':
                async with self.here.visit.work() as db:
                    n = await end_other_sessions(db, self.by)
                await self._again()
                self.here.say(_n('{n} other session has ended.', '{n} other sessions have ended.', n))
            case 'not-me':
                self.dialog.open()
            case 'close':
                self.dialog.close()
            case 'disown':
                async with self.here.visit.work() as db:
                    await disown_sessions(db, self.by)
            case _:
                pass

    async def _end(self, act: Act) -> None:
        try:
            async with self.here.visit.work() as db:
                await end_session(db, self.by, UUID(act.key or ''))
        except (ValueError, NotFound):  # it is over already
            return await self._again()
        await self._again()
        return self.here.say(_('That device is signed out.'))


async def build(here: Here) -> None:
    await Sessions(here).build()
