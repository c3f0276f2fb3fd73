"""Who is looking, and the unit of work: the only bridge between NiceGUI and the rest."""

import hashlib
import re
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from nicegui import Client, ui
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.db.engine import Database
from portal.domain.access import CompanyCard, Permission, Principal, TenantCard, permissions_of
from portal.i18n import Voice, known_language, known_timezone

database: Database = None  # type: ignore[assignment]  # set once, when the portal starts
#: Whether a page works by itself, woken by somebody else's change: that does not keep its session alive.
unasked: ContextVar[bool] = ContextVar('unasked', default=False)
#: Light, dark or auto, of the request that is being answered: NiceGUI asks its pages for it outside of any slot.
theme: ContextVar[str] = ContextVar('theme', default='auto')


@dataclass(frozen=True, slots=True)
class Visit:
    """A signed-in person on an address: the principal, and the key to work as it."""

    token: bytes  # SHA-256 of the cookie
    by: Principal
    rights: str  # what `by` may, as the database says it: the built-in role, or the permissions of a tenant's own

    def may(self, what: Permission) -> bool:
        return self.by.may(what)

    @property
    def root(self) -> str:
        """Where this side, and for a client this company, begins in the address."""
        return '/msp' if self.by.company is None else f'/client-portal/{self.by.company.slug}'

    def work(self) -> AbstractAsyncContextManager[AsyncSession]:
        """`async with visit.work() as db:` enters the session anew, at once; raises SignedOut if it is over, or if its person
        has other rights by now: a page that did not hear of it does nothing with those it was built for."""
        company = self.by.company.id if self.by.company else None
        enter = 'enter_quietly' if unasked.get() else 'enter'
        return database.work(self.by.side, enter, self.token, company, self.rights)


@dataclass(frozen=True, slots=True)
class Arrival:
    """What the session says before an address is chosen: a client may belong to several companies."""

    token: bytes
    facts: dict[str, Any]

    @property
    def side(self) -> str:
        return 'staff' if self.facts['user_type'] == 'internal' else 'client'

    @property
    def tenant_id(self) -> UUID:
        return UUID(self.facts['tenant']['id'])

    @property
    def user_id(self) -> UUID:
        return UUID(self.facts['user_id'])

    @property
    def voice(self) -> Voice:
        return self.staff().by.voice

    @property
    def slugs(self) -> list[str]:
        return [c['slug'] for c in self.facts['companies']]

    def staff(self) -> Visit:
        return self._visit(self.facts, None)

    def client(self, slug: str) -> Visit | None:
        """None for a company that is not there or not theirs."""
        mine = next((c for c in self.facts['companies'] if c['slug'] == slug), None)
        return self._visit(mine, _company(mine)) if mine else None

    def _visit(self, role: dict[str, Any], company: CompanyCard | None) -> Visit:
        facts, tenant = self.facts, tenant_card(self.facts['tenant'])
        by = Principal(
            tenant=tenant, user_id=UUID(facts['user_id']), name=facts['name'], email=facts['email'],
            side='client' if company else 'staff', role=role['role'] or role['own_role'] or '',
            permissions=permissions_of(role['role'] or '', role['permissions']), company=company,
            companies=tuple(_company(c) for c in facts['companies']),
            voice=Voice(known_language(facts['language']) or tenant.language,
                        known_timezone(facts['timezone']) or tenant.timezone),
            theme=facts['theme'],
        )  # fmt: skip
        return Visit(self.token, by, role['role'] or ','.join(role['permissions'] or ()))


def _company(facts: dict[str, Any]) -> CompanyCard:
    return CompanyCard(UUID(facts['id']), facts['slug'], facts['name'])


def tenant_card(facts: dict[str, Any]) -> TenantCard:
    return TenantCard(**{**facts, 'id': UUID(facts['id'])})


def token_of(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode()).digest()


async def arriving(cookie: str | None) -> Arrival | None:
    """The live session of a cookie, or None."""
    if not cookie or len(cookie) > 200:
        return None
    token = token_of(cookie)
    row = await database.ask('select app.whoami(:token)', token=token)
    return Arrival(token, row[0]) if row and row[0] else None


async def moved(arrival: Arrival, slug: str) -> str | None:
    """Where a company of theirs is found now that had this address before."""
    if not re.fullmatch(r'[a-z0-9-]{1,60}', slug):
        return None
    row = await database.ask('select app.moved(:token, :slug)', token=arrival.token, slug=slug)
    return row[0] if row else None


def visit() -> Visit:
    """Of the page being built or the event being handled."""
    return ui.context.client.request.state.visit


def visit_of(client: Client) -> Visit | None:
    """Whose page this is; None for a page that belongs to nobody."""
    request = client._request  # pyright: ignore[reportPrivateUsage]
    return getattr(request.state, 'visit', None) if request else None
