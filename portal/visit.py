"""Who is looking, and the unit of work: the only bridge between NiceGUI and the rest."""

import contextlib
import hashlib
import json
import re
from contextlib import AbstractAsyncContextManager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from nicegui import Client, ui
from psycopg.errors import InvalidAuthorizationSpecification
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionFree
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.db.engine import Database, SignedOut
from portal.domain.access import CompanyCard, Permission, Principal, TenantCard, permissions_of
from portal.i18n import Voice, known_language, known_timezone

database: Database = None  # type: ignore[assignment]  # set once, when the portal starts
#: Whether a page works by itself, woken by somebody else's change: that does not keep its session alive.
unasked: ContextVar[bool] = ContextVar('unasked', default=False)
#: Light, dark or auto, of the request that is being answered: NiceGUI asks its pages for it outside of any slot.
theme: ContextVar[str] = ContextVar('theme', default='auto')


@dataclass(frozen=True, slots=True)
class Viewing:
    """Somebody of the staff looks in a client's place."""

    id: UUID
    staff_id: UUID
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class Visit:
    """A signed-in person on an address: the principal, and the key to work as it."""

    token: bytes  # SHA-256 of the cookie
    by: Principal
    rights: str  # what `by` may, as the database says it: the built-in role, or the permissions of a tenant's own
    viewing: Viewing | None = None  # then `by` is the client, and the session one of the staff's

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
        if self.viewing:
            return database.work('client', 'enter_viewing', self.token, company, self.rights, unasked.get())
        enter = 'enter_quietly' if unasked.get() else 'enter'
        return database.work(self.by.side, enter, self.token, company, self.rights)

    async def note(self, action: str, **detail: Any) -> None:
        """What was looked at in a client's place, in the log: the unit of work itself writes nothing. Raises SignedOut."""
        assert self.viewing
        values = {'token': self.token, 'viewing': self.viewing.id, 'action': action, 'detail': json.dumps(detail, default=str)}
        try:
            await database.ask('select app.note_viewing(:token, :viewing, :action, cast(:detail as jsonb))', **values)
        except DBAPIError as e:
            if isinstance(e.orig, InvalidAuthorizationSpecification):
                raise SignedOut from None
            raise

    async def note_denied(self, what: str) -> None:
        """They asked for what is not theirs."""
        await note_denied(self.token, what)


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

    def looking(self, seen: dict[str, Any]) -> Visit:
        """In the place of a client: what `app.viewing_of` says. In one's own language and look."""
        me, company = self.staff().by, _company(seen['company'])
        by = Principal(
            tenant=me.tenant, user_id=UUID(seen['user_id']), name=seen['name'], email=seen['email'], side='client',
            role=seen['role'] or seen['own_role'] or '', permissions=permissions_of('', seen['permissions']), company=company,
            companies=(company,), voice=me.voice, theme=me.theme, viewer=me.user_id,
        )  # fmt: skip
        rights = f'{seen["id"]}:{",".join(seen["permissions"])}'
        return Visit(self.token, by, rights, Viewing(UUID(seen['id']), me.user_id, datetime.fromisoformat(seen['ends_at'])))

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


async def looking(arrival: Arrival, slug: str) -> Visit | None:
    """The visit of staff who look in the place of a client of this company now."""
    if not re.fullmatch(r'[a-z0-9-]{1,60}', slug):
        return None
    row = await database.ask('select app.viewing_of(:token, :slug)', token=arrival.token, slug=slug)
    return arrival.looking(row[0]) if row and row[0] else None


async def note_denied(token: bytes, what: str) -> None:
    """A line in the log, of which there are not many in an hour. Without it the answer is the same."""
    with contextlib.suppress(DBAPIError, NoConnectionFree, OSError):
        await database.ask('select app.denied(:token, :what)', token=token, what=what.replace('\x00', '')[:200])


def visit() -> Visit:
    """Of the page being built or the event being handled."""
    return ui.context.client.request.state.visit


def visit_of(client: Client) -> Visit | None:
    """Whose page this is; None for a page that belongs to nobody."""
    request = client._request  # pyright: ignore[reportPrivateUsage]
    return getattr(request.state, 'visit', None) if request else None
