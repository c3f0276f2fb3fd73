"""One's own password: when it was changed, and changing it."""

from markupsafe import Markup

from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action
from portal.domain.access import need_fresh
from portal.domain.base import NotFound, Wrong
from portal.domain.factors import SigningIn, change_password, signing_in
from portal.i18n import _
from portal.pages.auth import asking, confirm, passwords, throttle
from portal.pages.auth.methods import password as again
from portal.pages.auth.methods.kinds import Person
from portal.pages.screens import Here


class Password:
    def __init__(self, here: Here, signing: SigningIn) -> None:
        self.here, self.by, self.signing = here, here.visit.by, signing
        self.open = 'password' in here.query
        self.errors: dict[str, str] = {}
        self.strength = ''
        self.island = here.island(self._html(), self._act)

    @property
    def least(self) -> int:
        """Characters of a new one."""
        return passwords.LEAST_WITH_FACTOR if self.signing.has_factor else passwords.LEAST

    def _html(self) -> Markup:
        words = _('Change password') if self.signing.password_at else _('Set a password')
        return render(
            'shared/own_password.html', at=self.signing.password_at, open=self.open, email=self.by.email, errors=self.errors,
            strength=self.strength, least=self.least, words=words,
            actions=[Action(words, type='submit', kind='primary'), Action(_('Cancel'), act='close-password', kind='quiet')],
        )  # fmt: skip

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'open-password':
                await self._begin()
            case 'close-password':
                self._close()
            case 'change-password':
                await self._change(*(str(act.values.get(name, '')) for name in ('current', 'password')))

    async def _begin(self) -> None:
        """Whoever has a second factor, or no password, proves first that it is them."""
        self.here.query = {**self.here.query, 'password': 'change'}  # where one comes back to
        async with self.here.visit.work() as db:
            self.signing = await signing_in(db)
            if self.signing.has_factor or self.signing.password_at is None:
                await need_fresh(db)
        self.open = True
        self.island.set(self._html())

    def _close(self) -> None:
        self.open, self.errors, self.strength = False, {}, ''
        self.here.address(replace=True, **{name: value for name, value in self.here.query.items() if name != 'password'})
        self.island.set(self._html())

    async def _change(self, current: str, password: str) -> None:
        self.errors, self.strength = {}, ''
        try:
            await self._try(current, password)
        except Wrong as wrong:
            self.errors = wrong.fields
        except throttle.TooSoon as e:
            self.errors = {'current': e.words}
        except passwords.Busy:
            self.errors = {'password': _('The portal is busy just now, please try again in a moment.')}
        if self.errors:
            self.island.set(self._html())
            return
        async with self.here.visit.work() as db:
            self.signing = await signing_in(db)
        self._close()
        self.here.say(_('Your password is changed. Wherever else you were signed in, you are signed out.'))

    async def _try(self, current: str, password: str) -> None:
        if self.signing.password_at and (wrong := await self._is_not(current)):
            raise Wrong(current=wrong)
        also = (self.by.tenant.name,)
        verdict = await passwords.verdict(password, email=self.by.email, name=self.by.name, also=also, least=self.least)
        if verdict.problem:
            self.strength = verdict.strength
            raise Wrong(password=verdict.problem)
        hashed, alone = await passwords.hashed(password), len(passwords.normal(password)) >= passwords.LEAST
        async with self.here.visit.work() as db:
            await change_password(db, self.by, hashed, alone=alone)

    async def _is_not(self, current: str) -> str:
        """'' for the right one, which is a fresh proof of who has nothing stronger; else what is wrong."""
        person = Person(self.by.tenant.id, self.by.user_id, self.by.name, self.by.email, self.by.side)
        wrong = await asking.attempt(self.here.request, person, again.METHOD, {'password': current})
        if not wrong and not self.signing.has_factor:
            await confirm.proved(self.here.visit.token, 'password')
        return wrong


async def build(here: Here) -> None:
    try:
        async with here.visit.work() as db:
            signing = await signing_in(db)
    except NotFound:  # staff who look as somebody else
        return
    Password(here, signing)
