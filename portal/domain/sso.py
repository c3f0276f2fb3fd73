"""Single sign-on: the identity providers of the staff, of all clients or of a company; the accounts people have there; and who
comes in by them only.

A provider of a company speaks for its people alone. What that means for people of several companies is decided in the database
(`app.sso_fits`), at every sign-in.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel, Text, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, UserType, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now, uuid7
from portal.domain.people import Company, Membership, User, clean_email, clean_name
from portal.i18n import _

MICROSOFT, GOOGLE = 'https://login.microsoftonline.com', 'https://accounts.google.com'
KINDS = ('microsoft', 'google', 'other')
#: Roles that a provider may give to people it creates: none that gives rights over others.
CREATED_AS = {'staff': ('Technician', 'Finance'), 'client': ('ClientUser', 'ClientBilling')}
MOST_DOMAINS = 50
#: Of addresses that anybody can have: no company speaks for them.
PUBLIC_MAIL = frozenset((
    'gmail.com', 'googlemail.com', 'outlook.com', 'hotmail.com', 'live.com', 'msn.com', 'yahoo.com', 'icloud.com', 'me.com', 'gmx.de',
    'gmx.net', 'gmx.com', 'web.de', 't-online.de', 'freenet.de', 'proton.me', 'protonmail.com', 'aol.com', 'mail.com', 'posteo.de',
))  # fmt: skip


class Provider(SQLModel, table=True):
    """Where people of a side prove who they are. `company_id` None: of all clients, or of the staff."""

    __tablename__: str = 'identity_provider'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(['tenant_id', 'created_by_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, foreign_key='tenant.id', sa_column_kwargs=TENANT)
    company_id: UUID | None = None
    side: str
    kind: str
    name: str
    issuer: str
    client_id: str
    domains: list[str] = Field(default_factory=list, sa_type=cast(Any, ARRAY(Text)))
    default_role: str | None = None
    enabled: bool = False
    checked_at: datetime | None = Field(default=None, sa_type=Moment)
    check_problem: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    created_by_id: UUID | None = None


class ProviderSecret(SQLModel, table=True):
    """The client secret, encrypted. No side reads it; the door's function hands it to the server."""

    __tablename__: str = 'identity_secret'  # pyright: ignore
    __table_args__ = (ForeignKeyConstraint(['tenant_id', 'id'], ['identity_provider.tenant_id', 'identity_provider.id']),)
    id: UUID = Field(primary_key=True)  # the provider's
    tenant_id: UUID
    sealed: bytes


class Identity(SQLModel, table=True):
    """Somebody's account at a provider. `subject` None: made in advance by address, and not used yet."""

    __table_args__ = (
        UniqueConstraint('tenant_id', 'provider_id', 'issuer', 'subject'),
        UniqueConstraint('tenant_id', 'provider_id', 'user_id'),
        ForeignKeyConstraint(['tenant_id', 'provider_id'], ['identity_provider.tenant_id', 'identity_provider.id']),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    provider_id: UUID
    user_id: UUID
    issuer: str
    subject: str | None = None
    email: str | None = None
    linked_by: str  # email, self, staff, created
    linked_at: datetime = Field(default_factory=now, sa_type=Moment)
    used_at: datetime | None = Field(default=None, sa_type=Moment)


class Flow(SQLModel, table=True):
    """Somebody on their way to a provider and back. Closed to all but the door's functions."""

    __tablename__: str = 'sso_flow'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'provider_id'], ['identity_provider.tenant_id', 'identity_provider.id']),
    )
    state_hash: bytes = Field(primary_key=True)
    tenant_id: UUID
    provider_id: UUID
    browser_hash: bytes
    purpose: str
    nonce: str
    verifier: str
    onward: str | None = None
    token_hash: bytes | None = None  # of the session that links or confirms
    expires_at: datetime = Field(sa_type=Moment)
    started_at: datetime = Field(sa_type=Moment)


class Only(SQLModel, table=True):
    """The people of a company, or the staff (`company_id` None), come in by a provider only; one account is exempt."""

    __tablename__: str = 'sso_only'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'company_id'),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(['tenant_id', 'exempt_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'created_by_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, foreign_key='tenant.id', sa_column_kwargs=TENANT)
    company_id: UUID | None = None
    exempt_id: UUID | None = None
    since: datetime = Field(default_factory=now, sa_type=Moment)
    created_by_id: UUID


# ---------- what can stand in a field ----------

FIELDS = ('side', 'company', 'kind', 'name', 'directory', 'issuer', 'client_id', 'domains', 'creates', 'default_role')
_GUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
_DOMAIN = re.compile(r'(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?')


@dataclass(frozen=True, slots=True)
class Wish:
    """A provider as it stands in a form; `whose`: 'staff', 'client' (all of them), or the id of a company."""

    whose: str = 'client'
    kind: str = 'microsoft'
    name: str = ''
    directory: str = ''  # of Microsoft: the tenant id
    issuer: str = ''
    client_id: str = ''
    domains: str = ''
    default_role: str = ''

    @property
    def side(self) -> str:
        return 'staff' if self.whose == 'staff' else 'client'


def wish_of(provider: Provider) -> Wish:
    whose = str(provider.company_id) if provider.company_id else provider.side
    directory = provider.issuer.removeprefix(f'{MICROSOFT}/').removesuffix('/v2.0') if provider.kind == 'microsoft' else ''
    return Wish(whose, provider.kind, provider.name, directory, provider.issuer if provider.kind == 'other' else '',
                provider.client_id, '\n'.join(provider.domains), provider.default_role or '')  # fmt: skip


def issuer_of(wish: Wish) -> str:
    """Raises Wrong. Microsoft's shared addresses (common, organizations) are refused: everybody in the world has an account there,
    with an address of their own choosing."""
    if wish.kind == 'google':
        return GOOGLE
    if wish.kind == 'microsoft':
        directory = wish.directory.strip().lower()
        if not _GUID.fullmatch(directory):
            raise Wrong(directory=_('The tenant id has 36 signs, such as 8f2c…-…: Microsoft Entra shows it under Overview.'))
        return f'{MICROSOFT}/{directory}/v2.0'
    issuer = wish.issuer.strip()
    good = re.fullmatch(r'https?://[A-Za-z0-9.:\[\]-]+(/[\x21-\x7e]*)?', issuer) and len(issuer) <= 300
    if not good or '?' in issuer or '#' in issuer or '\\' in issuer:
        raise Wrong(issuer=_('An address such as https://login.example.com/realms/us, as the provider calls itself.'))
    if issuer.startswith(MICROSOFT):
        raise Wrong(issuer=_('Add Microsoft 365 instead, and enter the tenant id.'))
    return issuer


def domains_of(text: str) -> list[str]:
    """One for each line, comma or space. Raises Wrong."""
    found = sorted({word.lstrip('@').rstrip('.').lower() for word in re.split(r'[\s,;]+', text) if word.strip('@.')})
    for domain in found:
        try:
            plain = domain.encode('idna').decode()
        except UnicodeError:
            plain = ''
        if not _DOMAIN.fullmatch(plain):
            raise Wrong(domains=_('“{domain}” is no domain. Write example.com, one on each line.', domain=domain[:60]))
        if plain in PUBLIC_MAIL:
            raise Wrong(domains=_('Anybody can have an address of {domain}: nobody can speak for it.', domain=domain))
    if len(found) > MOST_DOMAINS:
        raise Wrong(domains=_('At most {n} domains, please.', n=MOST_DOMAINS))
    return [domain.encode('idna').decode() for domain in found]


def _cleaned(wish: Wish) -> dict[str, Any]:
    """As it is kept; raises Wrong with the words for every field."""
    wrong: dict[str, str] = {}
    good: dict[str, Any] = {'side': wish.side, 'kind': wish.kind}
    if wish.kind not in KINDS:
        wrong['kind'] = _('Choose one.')
    for field, clean in (
        ('name', lambda: clean_name(wish.name, most=60)),
        ('issuer', lambda: issuer_of(wish)),
        ('domains', lambda: domains_of(wish.domains)),
        ('client_id', lambda: _client_id(wish.client_id)),
        ('default_role', lambda: _default_role(wish)),
    ):
        try:
            good[field] = clean()
        except Wrong as e:
            wrong |= e.fields
    if good.get('default_role') and not good.get('domains', [1]):
        wrong['domains'] = _('For which addresses may people be created? Name the domains.')
    if wrong:
        raise Wrong(**wrong)
    return good


def _client_id(text: str) -> str:
    text = text.strip()
    if not text or len(text) > 300 or not re.fullmatch(r'[\x21-\x7e]+', text):
        raise Wrong(client_id=_('The provider shows it where you registered the portal.'))
    return text


def _default_role(wish: Wish) -> str | None:
    if not wish.default_role:
        return None
    if wish.whose == 'client':
        raise Wrong(default_role=_('For all clients nobody can be created: it would not be known for which company.'))
    if wish.default_role not in CREATED_AS[wish.side]:
        raise Wrong(default_role=_('Choose a role.'))
    return wish.default_role


# ---------- questions ----------


async def providers(db: AsyncSession) -> list[tuple[Provider, Company | None]]:
    """Of the staff first, then of all clients, then by company."""
    asked = (
        select(Provider, Company)
        .outerjoin(Company, col(Company.id) == Provider.company_id)
        .order_by(
            col(Provider.side).desc(),
            col(Company.id).is_not(None),
            func.lower(Company.name),
            func.lower(Provider.name),
            col(Provider.id),
        )
    )
    return [(provider, company) for provider, company in await db.exec(asked)]


async def provider(db: AsyncSession, provider_id: UUID, *, lock: bool = False) -> Provider:
    """Raises NotFound."""
    asked = select(Provider).where(Provider.id == provider_id)
    found = (await db.exec(asked.with_for_update().execution_options(populate_existing=True) if lock else asked)).first()
    if found is None:
        raise NotFound
    return found


async def linked(db: AsyncSession, provider_id: UUID) -> list[tuple[Identity, User]]:
    asked = select(Identity, User).join(User, col(User.id) == Identity.user_id).where(Identity.provider_id == provider_id)
    return list(await db.exec(asked.order_by(func.lower(User.name), col(User.id)).limit(500)))


async def only(db: AsyncSession) -> list[tuple[Only, Company | None, User | None]]:
    """Who comes in by a provider only, the staff first."""
    asked = (
        select(Only, Company, User)
        .outerjoin(Company, col(Company.id) == Only.company_id)
        .outerjoin(User, col(User.id) == Only.exempt_id)
        .order_by(col(Only.company_id).is_not(None), func.lower(Company.name))
    )
    return [(rule, company, exempt) for rule, company, exempt in await db.exec(asked)]


async def unready(db: AsyncSession, company_id: UUID | None) -> list[str]:
    """The names of those who could not come in by a provider."""
    await db.flush()
    connection = await db.connection()
    return list((await connection.exec_driver_sql('select name from app.sso_unready(%s)', (company_id,))).scalars())


# ---------- verbs ----------


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def add_provider(db: AsyncSession, by: Principal, wish: Wish) -> Provider:
    """Off at first. Raises Wrong for each field."""
    await _alone(db, by)
    good = _cleaned(wish)
    company = await _company(db, wish)
    await _domains_free(db, None, good)
    made = Provider(tenant_id=by.tenant.id, company_id=company, created_by_id=by.user_id, **good)
    db.add(made)
    await db.flush()
    await record(db, 'sso.added', company_id=company, subject=made.id, name=made.name, issuer=made.issuer, domains=made.domains)
    return made


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def change_provider(db: AsyncSession, by: Principal, provider_id: UUID, wish: Wish) -> Provider:
    """For whom it is stays. With another issuer it is another provider: nobody's account counts any more."""
    await _alone(db, by)
    found = await provider(db, provider_id, lock=True)
    good = _cleaned(Wish(wish_of(found).whose, wish.kind, wish.name, wish.directory, wish.issuer, wish.client_id, wish.domains,
                         wish.default_role))  # fmt: skip
    await _domains_free(db, found, good)
    before = {name: getattr(found, name) for name in good}
    changed = {name: value for name, value in good.items() if value != before[name]}
    if not changed:
        return found
    for name, value in changed.items():
        setattr(found, name, value)
    if 'issuer' in changed or 'client_id' in changed:
        found.checked_at = found.check_problem = None
    await record(db, 'sso.changed', company_id=found.company_id, subject=found.id, name=found.name,
                 before={name: before[name] for name in changed}, after=changed)  # fmt: skip
    return found


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def keep_secret(db: AsyncSession, by: Principal, provider_id: UUID, sealed: bytes) -> None:
    """The client secret, sealed by the caller for this provider."""
    found = await provider(db, provider_id)
    connection = await db.connection()
    await connection.exec_driver_sql('select app.keep_identity_secret(%s, %s)', (found.id, sealed))
    await record(db, 'sso.secret', company_id=found.company_id, subject=found.id, name=found.name)


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def enable_provider(db: AsyncSession, by: Principal, provider_id: UUID, enabled: bool) -> None:
    """Without a provider that is on, passwords count again for those who should come in by one only."""
    await _alone(db, by)
    found = await provider(db, provider_id, lock=True)
    if found.enabled == enabled:
        return
    if not enabled:
        await _still_needed(db, found)
    found.enabled = enabled
    await record(db, 'sso.on' if enabled else 'sso.off', company_id=found.company_id, subject=found.id, name=found.name)


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def remove_provider(db: AsyncSession, by: Principal, provider_id: UUID) -> None:
    """With everybody's accounts there."""
    await _alone(db, by)
    found = await provider(db, provider_id, lock=True)
    await _still_needed(db, found)
    await record(db, 'sso.removed', company_id=found.company_id, subject=found.id, name=found.name, issuer=found.issuer)
    await db.delete(found)


@verb(Permission.ACCESS_MANAGE)
async def note_check(db: AsyncSession, by: Principal, provider_id: UUID, problem: str | None) -> None:
    """What the last try to reach it has shown."""
    found = await provider(db, provider_id)
    found.checked_at, found.check_problem = now(), problem


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def link_in_advance(db: AsyncSession, by: Principal, provider_id: UUID, user_id: UUID, account: str) -> Identity:
    """`account`: the address by which the provider knows them, or their subject there. Raises Wrong(account=…, person=…)."""
    found = await provider(db, provider_id, lock=True)
    person = await _theirs(db, found, user_id)
    account = account.strip()
    if not account or len(account) > 255 or not account.isprintable():
        raise Wrong(account=_('Their e-mail address at the provider, or their id there.'))
    email = clean_email(account) if '@' in account and '|' not in account else None
    same = Identity.email == email if email else Identity.subject == account
    taken = select(Identity).where(Identity.provider_id == found.id, same, Identity.user_id != person.id)
    if (await db.exec(taken)).first():
        raise Wrong(account=_('This account belongs to somebody else already.'))
    for old in await db.exec(select(Identity).where(Identity.provider_id == found.id, Identity.user_id == person.id)):
        await db.delete(old)
    await db.flush()
    made = Identity(
        tenant_id=by.tenant.id, provider_id=found.id, user_id=person.id, issuer=found.issuer, subject=None if email else account,
        email=email, linked_by='staff',
    )  # fmt: skip
    db.add(made)
    await db.flush()
    await record(db, 'identity.linked', company_id=found.company_id, subject=person.id, provider=found.name, by='staff')
    return made


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def unlink(db: AsyncSession, by: Principal, identity_id: UUID) -> None:
    """The account is no way in any more; its person may be known by address again, at the next coming."""
    found = await db.get(Identity, identity_id)
    if found is None:
        raise NotFound
    named = await provider(db, found.provider_id)
    await record(db, 'identity.unlinked', company_id=named.company_id, subject=found.user_id, provider=named.name)
    await db.delete(found)


@verb(Permission.PROFILE_EDIT, fresh=True)
async def unlink_own(db: AsyncSession, by: Principal, identity_id: UUID) -> None:
    """Raises NotFound, and Wrong where it is the last way in."""
    connection = await db.connection()
    named = (await connection.exec_driver_sql('select app.unlink_account(%s)', (identity_id,))).scalar()
    if named is None:
        raise NotFound
    if named == '':
        raise Wrong(account=_('This is your only way in. Set a password first, or link another account.'))


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def require_sso(db: AsyncSession, by: Principal, company_id: UUID | None, exempt_id: UUID | None = None) -> None:
    """From the commit on: sessions that were opened by a password end, but one's own must be good. For the staff (None) one
    account has to stay that comes in by its password, `exempt_id`: an MSP admin, for the day the provider is away."""
    await _alone(db, by)
    side = 'client' if company_id else 'staff'
    usable = select(Provider.id).where(Provider.side == side, col(Provider.enabled), col(Provider.check_problem).is_(None))
    if company_id:
        if await db.get(Company, company_id) is None:
            raise NotFound
        usable = usable.where(col(Provider.company_id).is_(None) | (col(Provider.company_id) == company_id))
    if not (await db.exec(usable)).first():
        raise Wrong(whose=_('There is no provider for them yet that is on and works.'))
    if company_id is None:
        exempt = await db.get(User, exempt_id) if exempt_id else None
        if exempt is None or exempt.disabled_at is not None or exempt.staff_role != 'MspAdmin':
            raise Wrong(exempt=_('Choose an MSP admin who can still come in with a password when the provider is away.'))
        if by.user_id != exempt.id and not await _came_by_provider(db):
            raise Wrong(whose=_('First sign in by the provider yourself: so you know that it works.'))
    before = (await db.exec(select(Only).where(Only.company_id == company_id))).first()
    if before:
        if before.exempt_id == exempt_id:
            return
        await db.delete(before)
        await db.flush()
    db.add(Only(tenant_id=by.tenant.id, company_id=company_id, exempt_id=exempt_id, created_by_id=by.user_id))
    await db.flush()
    await record(db, 'sso.only', company_id=company_id, subject=company_id, exempt=exempt_id)


@verb(Permission.ACCESS_MANAGE, fresh=True)
async def allow_passwords(db: AsyncSession, by: Principal, company_id: UUID | None) -> None:
    """Passwords and passkeys count again."""
    await _alone(db, by)
    found = (await db.exec(select(Only).where(Only.company_id == company_id))).first()
    if found is None:
        return
    await db.delete(found)
    await record(db, 'sso.no_longer_only', company_id=company_id, subject=company_id)


# ---------- what they share ----------


async def _alone(db: AsyncSession, by: Principal) -> None:
    """Until the commit nobody else of the tenant changes providers: of two who name the same domain, one comes second."""
    await db.exec(select(func.pg_advisory_xact_lock(func.hashtext('portal.sso'), func.hashtext(str(by.tenant.id)))))


async def _came_by_provider(db: AsyncSession) -> bool:
    connection = await db.connection()
    return bool((await connection.exec_driver_sql('select app.came_by_sso()')).scalar())


async def _company(db: AsyncSession, wish: Wish) -> UUID | None:
    if wish.whose in ('staff', 'client'):
        return None
    try:
        found = await db.get(Company, UUID(wish.whose))
    except ValueError:
        found = None
    if found is None or found.archived_at is not None:
        raise Wrong(whose=_('Choose for whom.'))
    return found.id


async def _domains_free(db: AsyncSession, me: Provider | None, good: dict[str, Any]) -> None:
    """A domain leads to one provider of a side."""
    asked = select(Provider).where(Provider.side == good['side'])
    for other in await db.exec(asked):
        if (me is None or other.id != me.id) and (twice := set(other.domains) & set(good['domains'])):
            raise Wrong(domains=_('{domain} belongs to {name} already.', domain=min(twice), name=other.name))


async def _still_needed(db: AsyncSession, me: Provider) -> None:
    """Raises Wrong if people have no other provider, and must come by one."""
    others = select(Provider.company_id).where(Provider.side == me.side, col(Provider.enabled), Provider.id != me.id)
    left = set(await db.exec(others))
    asked = select(Only.company_id).where(col(Only.company_id).is_(None) == (me.side == 'staff'))
    for company_id in await db.exec(asked):
        concerned = me.side == 'staff' or me.company_id in (None, company_id)
        if me.enabled and concerned and company_id not in left and None not in left:
            raise Wrong(provider=_('People come in by this alone. Allow passwords first, under Access.'))


async def _theirs(db: AsyncSession, to: Provider, user_id: UUID) -> User:
    """Somebody the provider can speak for; raises Wrong(person=…)."""
    person = await db.get(User, user_id)
    good = person is not None and person.user_type == (UserType.INTERNAL if to.side == 'staff' else UserType.CLIENT).value
    if good and to.company_id:
        belongs = select(Membership.id).where(
            Membership.user_id == user_id, Membership.company_id == to.company_id, col(Membership.ended_at).is_(None)
        )
        good = (await db.exec(belongs)).first() is not None
    if not good or person is None:
        raise Wrong(person=_('Choose somebody.'))
    return person
