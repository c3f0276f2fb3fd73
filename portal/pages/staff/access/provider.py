"""One identity provider: what the portal has to know of it, whether it works, and who has an account there."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any
from uuid import UUID

from markupsafe import Markup
from nicegui import ui
from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal import sealing
from portal.components.island import Act
from portal.components.render import render
from portal.components.values import Action, MenuItem, Option, OptionGroup
from portal.domain.access import Permission, UserType, role_label
from portal.domain.base import NotFound, Wrong
from portal.domain.people import Company, Membership, User, companies
from portal.domain.sso import (
    CREATED_AS,
    KINDS,
    Identity,
    Provider,
    Wish,
    add_provider,
    change_provider,
    enable_provider,
    keep_secret,
    link_in_advance,
    linked,
    note_check,
    provider,
    remove_provider,
    unlink,
    wish_of,
)
from portal.i18n import _
from portal.pages.screens import Here, Screen
from portal.pages.shared.sso_check import problem_of
from portal.pages.staff.access.sso import kind_words, state_of, whose_words
from portal.settings import Settings
from portal.sso_links import callback_of

FIELDS = tuple(Wish.__dataclass_fields__)


def problem_words(problem: str) -> str:
    """What a check has found, and what to do about it."""
    return {
        'refused': _('This address leads into a private network. If the provider is in yours, allow it by PORTAL_OUTGOING_NETWORKS.'),
        'name': _('There is no such host. Check how the address is written.'),
        'connection': _('Nobody answers there, or too slowly.'),
        'certificate': _('Its certificate is not one that can be trusted.'),
        'size': _('It answers with far too much: this is no identity provider.'),
        'answer': _('It answers with something else: this is no identity provider.'),
        'metadata': _('There is no description of an identity provider at this address (…/.well-known/openid-configuration).'),
        'issuer': _('It calls itself by another address. Copy the issuer exactly as the provider writes it, with or without a slash at the end.'),
        'endpoint': _('It names an address that is not protected by TLS.'),
        'pkce': _('It does not know PKCE with S256, which the portal asks for.'),
        'keys': _('Its keys cannot be read, or are of a kind that is not safe.'),
        'client': _('It does not know the portal by this client id and secret. Copy both once more; secrets expire.'),
        'secret': _('The secret that is kept here cannot be read any more. Enter it once more.'),
    }.get(problem, _('It does not work.'))  # fmt: skip


def role_options(side: str) -> list[Option]:
    return [Option(role, role_label(role)) for role in CREATED_AS[side]]


def settings() -> Settings:
    return ui.context.client.request.state.settings


class ProviderForm:
    """The fields, for a new one and for one that is there."""

    def __init__(self, here: Here, wish: Wish) -> None:
        self.here, self.by, self.wish, self.has_secret = here, here.visit.by, wish, False
        self.settings = settings()
        self.errors: dict[str, str] = {}

    async def read_companies(self, db: AsyncSession) -> None:
        self.companies = [Option(str(c.id), c.name) for c in await companies(db)]

    def form(self, *, new: bool, actions: list[Action]) -> Markup:
        wish = self.wish
        whose = [Option('client', _('All clients')), Option('staff', _('Staff of {msp}', msp=self.by.tenant.short_name)),
                 OptionGroup(_('The people of a company'), tuple(self.companies))]  # fmt: skip
        return render(
            'staff/provider_form.html', values=asdict(wish), errors=self.errors, new=new, whose=whose, kind=wish.kind,
            kind_words=kind_words(wish.kind), redirect=callback_of(self.by.tenant.host, self.settings),
            roles=[Option('', _('Nobody: they must be known here before')), *role_options(wish.side)], actions=actions,
            has_secret=self.has_secret, creates=wish.whose != 'client', draft=f'provider:{self.by.user_id}' if new else '',
        )  # fmt: skip

    def take(self, act: Act) -> str:
        """The fields as typed; answers the secret."""
        typed = {name: act.text(name) for name in FIELDS if name in act}
        self.wish, self.errors = Wish(**{**asdict(self.wish), **typed}), {}
        return act.text('secret')

    async def keep(self, db: AsyncSession, id: UUID, secret: str) -> None:
        if len(secret) > 500 or not secret.isprintable():
            raise Wrong(secret=_('Copy the secret once more: this is not one.'))
        place = sealing.Place('identity_secret', 'sealed', self.by.tenant.id, id)
        await keep_secret(db, self.by, id, sealing.seal(self.settings, place, secret.encode()))


class NewProvider(ProviderForm):
    def __init__(self, here: Here) -> None:
        kind = here.query.get('kind', 'microsoft')
        if kind not in KINDS:
            raise NotFound
        super().__init__(
            here, Wish(kind=kind, name='' if kind == 'other' else kind_words(kind), whose=here.query.get('for', 'client'))
        )

    async def build(self) -> None:
        async with self.here.visit.work() as db:
            await self.read_companies(db)
        self.here.title(_('Add a provider'))
        self.here.set_primary(None)
        self.island = self.here.island(self._html(), self._act)

    def _html(self) -> Markup:
        actions = [
            Action(_('Save and check'), type='submit', kind='primary'),
            Action(_('Cancel'), href=self.here.url('/access'), kind='quiet'),
        ]
        return render('staff/provider_new.html', here=self.here, title=_('Add {kind}', kind=kind_words(self.wish.kind)),
                      form=self.form(new=True, actions=actions))  # fmt: skip

    async def _act(self, act: Act) -> None:
        secret = self.take(act)
        if act.name == 'save':
            try:
                async with self.here.visit.work() as db:
                    made = await add_provider(db, self.by, self.wish)
                    if secret:
                        await self.keep(db, made.id, secret)
            except Wrong as wrong:
                self.errors = wrong.fields
            else:
                self.island.forget_draft()
                self.here.go(self.here.url(f'/access/sso/{made.id}', check='1'))
                return
        self.island.set(self._html())


class ProviderPage(ProviderForm):
    def __init__(self, here: Here) -> None:
        try:
            self.id = UUID(here.parts['id'])
        except ValueError:
            raise NotFound from None
        super().__init__(here, Wish())

    async def build(self) -> None:
        await self._read()
        self.wish = wish_of(self.provider)
        self.here.title(self.provider.name)
        self.here.set_primary(None)
        self.person = self.account = ''
        if 'check' in self.here.query:
            self.here.address(replace=True)
            await self._check()
        self.island = self.here.island(self._html(), self._act)

    async def _read(self) -> None:
        async with self.here.visit.work() as db:
            self.provider = await provider(db, self.id)
            self.company = await db.get(Company, self.provider.company_id) if self.provider.company_id else None
            self.people = await linked(db, self.id)
            self.could_be = await _could_be(db, self.provider, {user.id for _identity, user in self.people})
            self.has_secret = await _has_secret(db, self.id)
            await self.read_companies(db)

    async def _again(self) -> None:
        await self._read()
        self.island.set(self._html())

    # ---------- what is shown ----------

    def _html(self) -> Markup:
        here, p = self.here, self.provider
        turn = Action(_('Turn it off'), act='off') if p.enabled else Action(_('Turn it on'), act='on', kind='primary')
        return render(
            'staff/provider.html', here=here, provider=p, head=whose_words(here, p, self.company), state=state_of(p), kind=kind_words(p.kind),
            form=self.form(new=False, actions=[Action(_('Save and check'), type='submit', kind='primary')]),
            actions=[Action(_('Check'), act='check', icon='refresh-cw'), turn],
            problem=problem_words(p.check_problem) if p.check_problem else '', people=[self._row(*one) for one in self.people],
            could_be=[Option(str(user.id), user.name) for user in self.could_be], values={'person': self.person, 'account': self.account},
            link_errors=self.errors, link_actions=[Action(_('Link it'), type='submit')],
            remove=[MenuItem(_('Remove {name}', name=p.name), act='remove', danger=True, hint=_('This cannot be taken back'))],
        )  # fmt: skip

    def _row(self, identity: Identity, user: User) -> tuple[Identity, User, str]:
        how = {
            'email': _('by their address'), 'self': _('by themselves'), 'staff': _('by your staff'), 'created': _('made at first sign-in'),
        }[identity.linked_by]  # fmt: skip
        return identity, user, how

    # ---------- what is done ----------

    async def _act(self, act: Act) -> None:
        match act.name:
            case 'save':
                await self._save(act)
            case 'shape':  # a choice that other fields depend on
                self.take(act)
                self.island.set(self._html())
            case 'check':
                await self._check()
                await self._again()
            case 'on' | 'off':
                await self._change(lambda db: enable_provider(db, self.by, self.id, act.name == 'on'),
                                   _('It is on: people can come in by it.') if act.name == 'on' else _('It is off.'))  # fmt: skip
            case 'remove':
                if await self._change(
                    lambda db: remove_provider(db, self.by, self.id), _('The provider is removed.'), read=False
                ):
                    self.here.go(self.here.url('/access'))
            case 'unlink':
                identity = next((i for i, _user in self.people if str(i.id) == act.key), None)
                if identity is None:
                    raise NotFound
                await self._change(lambda db: unlink(db, self.by, identity.id), _('The account is no longer linked.'))
            case 'link':
                await self._link(act)
            case _:
                pass

    async def _save(self, act: Act) -> None:
        secret, had_one = self.take(act), self.has_secret
        try:
            async with self.here.visit.work() as db:
                self.provider = await change_provider(db, self.by, self.id, self.wish)
                if secret:
                    await self.keep(db, self.id, secret)
        except Wrong as wrong:
            self.errors = wrong.fields
            if 'whose' in wrong.fields:  # no field here
                self.here.say(wrong.fields['whose'], bad=True)
            self.island.set(self._html())
            return
        await self._check()
        await self._read()
        if had_one and not self.has_secret:
            self.errors = {
                'secret': _('The secret belonged to the issuer and client id before, and was removed. Enter the new one.')
            }
        self.island.set(self._html())
        self.here.say(_('Saved.'))

    async def _check(self) -> None:
        problem = await problem_of(self.settings, self.by.tenant, self.provider)
        async with self.here.visit.work() as db:
            await note_check(db, self.by, self.id, problem)
            self.provider = await provider(db, self.id)

    async def _change(self, verb: Callable[[AsyncSession], Awaitable[Any]], done: str, *, read: bool = True) -> bool:
        try:
            async with self.here.visit.work() as db:
                await verb(db)
        except Wrong as wrong:
            self.here.say(' '.join(wrong.fields.values()), bad=True)
            return False
        if read:
            await self._again()
        self.here.say(done)
        return True

    async def _link(self, act: Act) -> None:
        self.person, self.account, self.errors = act.text('person'), act.text('account'), {}
        try:
            person = UUID(self.person)
        except ValueError:
            self.errors = {'person': _('Choose somebody.')}
            return self.island.set(self._html())
        try:
            async with self.here.visit.work() as db:
                await link_in_advance(db, self.by, self.id, person, self.account)
        except Wrong as wrong:
            self.errors = {('account' if name == 'email' else name): words for name, words in wrong.fields.items()}
            return self.island.set(self._html())
        self.person = self.account = ''
        await self._again()
        self.here.say(_('Linked: they can come in with that account.'))


async def _could_be(db: AsyncSession, of: Provider, linked_already: set[UUID]) -> list[User]:
    """Whom it could speak for, and who has no account there yet."""
    kind = UserType.INTERNAL if of.side == 'staff' else UserType.CLIENT
    asked = select(User).where(User.user_type == kind.value, col(User.disabled_at).is_(None))
    if of.company_id:
        members = select(Membership.user_id).where(Membership.company_id == of.company_id, col(Membership.ended_at).is_(None))
        asked = asked.where(col(User.id).in_(members))
    found = await db.exec(asked.order_by(func.lower(User.name), col(User.id)).limit(1000))
    return [user for user in found if user.id not in linked_already]


async def _has_secret(db: AsyncSession, id: UUID) -> bool:
    connection = await db.connection()
    return bool((await connection.exec_driver_sql('select app.has_identity_secret(%s)', (id,))).scalar())


async def new_provider(here: Here) -> None:
    await NewProvider(here).build()


async def provider_page(here: Here) -> None:
    await ProviderPage(here).build()


SCREENS = (
    Screen('/access/sso/new', new_provider, Permission.ACCESS_MANAGE, 'access'),
    Screen('/access/sso/{id}', provider_page, Permission.ACCESS_MANAGE, 'access'),
)
