"""The named cast: who is who, for tests and demo alike; and for tests a small world of its own at every call."""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Literal
from uuid import UUID

import psycopg
from psycopg import sql

from portal.domain.access import Side
from portal.domain.base import uuid7

PASSWORD = 'correct-horse-northwind'  # noqa: S105  (meant to be known)
NORTHWIND, SOUTHGATE = 'Northwind IT', 'Southgate Systems'

Provider = Literal['Northwind IT', 'Southgate Systems']


@dataclass(frozen=True)
class Person:
    """Of a provider's staff (`staff_role`), or a client in companies (a role by slug)."""

    name: str
    email: str
    provider: Provider
    staff_role: str | None = None
    companies: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def side(self) -> Side:
        return 'staff' if self.staff_role else 'client'


#: Name and provider by the slug in the address.
COMPANIES: dict[str, tuple[str, Provider]] = {
    'acme': ('Acme Dental', NORTHWIND),
    'bolt': ('Bolt Logistics', NORTHWIND),
    'bakery': ('Corner Bakery', SOUTHGATE),
}
PEOPLE: dict[str, Person] = {
    'mona': Person('Mona Reyes', 'mona@northwind.example', NORTHWIND, 'MspAdmin'),
    'tess': Person('Tess Okafor', 'tess@northwind.example', NORTHWIND, 'Technician'),
    'finn': Person('Finn Lund', 'finn@northwind.example', NORTHWIND, 'Finance'),
    'ada': Person('Ada Brandt', 'ada@acme.example', NORTHWIND, companies={'acme': 'ClientAdmin'}),
    'ugo': Person('Ugo Marchetti', 'ugo@acme.example', NORTHWIND, companies={'acme': 'ClientUser'}),
    'bill': Person('Bill Novak', 'bill@acme.example', NORTHWIND, companies={'acme': 'ClientBilling'}),
    'bea': Person('Bea Lindqvist', 'bea@bolt.example', NORTHWIND, companies={'bolt': 'ClientAdmin'}),
    'mel': Person('Mel Duarte', 'mel@both.example', NORTHWIND, companies={'bolt': 'ClientUser', 'acme': 'ClientAdmin'}),
    'stan': Person('Stan Ito', 'stan@southgate.example', SOUTHGATE, 'MspAdmin'),
    'cleo': Person('Cleo Haddad', 'cleo@bakery.example', SOUTHGATE, companies={'bakery': 'ClientAdmin'}),
}

#: What their tickets are about, in this order.
CATEGORIES: dict[Provider, tuple[str, ...]] = {
    NORTHWIND: (
        'Printing',
        'E-mail',
        'Computers',
        'Network and Wi-Fi',
        'Accounts and access',
        'Programs',
        'Telephony',
        'Purchases',
    ),
    SOUTHGATE: ('Tills and tablets', 'Computers', 'Network and Wi-Fi', 'Accounts and access', 'Programs'),
}

Row = dict[str, Any]
#: In this order every row finds those it refers to.
TABLES = (
    'tenant', 'category', 'company', 'role', 'users', 'membership', 'credential', 'session', 'counter', 'ticket',
    'ticket_participant', 'ticket_comment', 'ticket_event', 'file', 'draft', 'notification', 'invitation', 'mail_outbox', 'audit',
    'company_note', 'company_slug', 'import_batch', 'import_row', 'ticket_unread', 'ticket_due', 'saved_view', 'default_view',
    'canned_reply', 'export', 'export_part', 'bulk_change', 'totp', 'recovery_code',
    'passkey', 'passkey_owner', 'passkey_challenge', 'factor_rule', 'factor_reminder', 'recovery',
    'identity_provider', 'identity_secret', 'identity', 'sso_flow', 'sso_only', 'membership_seen',
    'access_review', 'access_review_item', 'company_address', 'company_contact', 'email_change', 'viewing', 'session_limit',
)  # fmt: skip


def insert(connection: psycopg.Connection[Any], rows: Mapping[str, Sequence[Row]]) -> None:
    """Rows by table, all in one round trip. The rows of a table have the same columns."""
    with connection.pipeline():
        for table in TABLES:
            if some := rows.get(table):
                connection.execute(_insertion(table, tuple(some[0])), (json.dumps(some, default=_plain),))


@cache
def _insertion(table: str, columns: tuple[str, ...]) -> sql.Composed:
    names = sql.SQL(', ').join(map(sql.Identifier, columns))
    statement = 'insert into {table} ({names}) select {names} from jsonb_populate_recordset(null::{table}, %s::jsonb)'
    return sql.SQL(statement).format(table=sql.Identifier(table), names=names)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return f'\\x{value.hex()}' if isinstance(value, bytes) else str(value)


# ---------- for tests ----------

#: Stands in every internal note: no client may ever meet it.
SECRET = 'spare-fuser-in-the-van'  # noqa: S105


#: What the cast have not read; they have had all else open.
UNREAD = (('ada', 'printer'), ('ugo', 'printer'), ('mona', 'scanners'), ('bea', 'scanners'), ('stan', 'oven'), ('cleo', 'oven'))


@dataclass(frozen=True)
class Tenant:
    id: UUID
    name: str
    host: str


@dataclass(frozen=True)
class Company:
    id: UUID
    tenant_id: UUID
    slug: str
    name: str


@dataclass(frozen=True)
class Member:
    """Somebody signed in, on one side, and as a client in one company."""

    user_id: UUID
    tenant_id: UUID
    host: str
    side: Side
    company_id: UUID | None
    slug: str | None
    name: str
    email: str
    role: str
    cookie: str = field(repr=False)

    @property
    def token(self) -> bytes:
        """What the database knows of the session."""
        return hashlib.sha256(self.cookie.encode()).digest()

    @property
    def root(self) -> str:
        return f'/client-portal/{self.slug}' if self.slug else '/msp'


@dataclass(frozen=True)
class Ticket:
    id: UUID
    number: int

    @property
    def label(self) -> str:
        return f'T-{self.number}'


@dataclass(frozen=True)
class Cast:
    northwind: Tenant
    southgate: Tenant
    acme: Company
    bolt: Company
    bakery: Company
    mona: Member
    tess: Member
    finn: Member
    ada: Member
    ugo: Member
    bill: Member
    bea: Member
    mel_bolt: Member
    mel_acme: Member  # the same person and session
    stan: Member
    cleo: Member
    printer: Ticket  # Acme: Ugo's, about printing, Ada in copy, a conversation and an internal note; Tess has it
    payroll: Ticket  # Acme: Ada's, private, nobody in copy
    salary: Ticket  # Acme: Ugo's, private, Bill in copy
    calendar: Ticket  # Acme: Ugo's, solved
    certificate: Ticket  # Acme: Ada's, closed 60 days ago
    scanners: Ticket  # Bolt: Bea's, new, with an internal note
    oven: Ticket  # Bakery: Cleo's, with an internal note

    @property
    def members(self) -> list[Member]:
        """Everybody; Mel once for each company."""
        return [value for f in fields(self) if isinstance(value := getattr(self, f.name), Member)]


def make(maintenance_conninfo: str) -> Cast:
    """Two tenants of their own, Northwind IT and Southgate Systems, everybody signed in. As a superuser."""
    scene = _Scene()
    northwind, southgate = scene.tenant(NORTHWIND, 'Northwind', 'nw'), scene.tenant(SOUTHGATE, 'Southgate', 'sg')
    tenants = {NORTHWIND: northwind, SOUTHGATE: southgate}
    companies = {slug: scene.company(tenants[owner], slug, name) for slug, (name, owner) in COMPANIES.items()}
    members: dict[str, Member] = {}
    for key, person in PEOPLE.items():
        found = scene.person(tenants[person.provider], person, companies)
        members |= {key if len(found) == 1 else f'{key}_{member.slug}': member for member in found}
    for slug, by, admin in (('acme', 'mona', 'ada'), ('bolt', 'mona', 'bea'), ('bakery', 'stan', 'cleo')):
        scene.around_company(companies[slug], by=members[by])
        scene.around_admin(companies[slug], members[admin])
    everything: dict[str, Any] = {**companies, **members, **_tickets(scene, members)}
    _desk(scene, members, everything)
    _access(scene, members)
    _providers(scene, members)
    with _connection(maintenance_conninfo).transaction():
        insert(_connection(maintenance_conninfo), scene.rows)
        unread = [f'{members[who].user_id} {everything[ticket].id}' for who, ticket in UNREAD]
        _connection(maintenance_conninfo).execute(
            "delete from ticket_unread where tenant_id = any(%s) and user_id || ' ' || ticket_id <> all(%s)",
            ([northwind.id, southgate.id], unread),
        )
    return Cast(northwind=northwind, southgate=southgate, **everything)


_kept: dict[str, psycopg.Connection[Any]] = {}


def _connection(conninfo: str) -> psycopg.Connection[Any]:
    """Kept open: to connect anew takes longer than everything else."""
    if conninfo not in _kept or _kept[conninfo].closed:
        _kept[conninfo] = psycopg.connect(conninfo, autocommit=True)
    return _kept[conninfo]


def _tickets(scene: '_Scene', m: Mapping[str, Member]) -> dict[str, Ticket]:
    printer = scene.ticket(m['ugo'], 'Kyocera at reception prints blank pages', 'open', copy=[m['ada']], assignee=m['tess'],
                           about='Printing')  # fmt: skip
    scene.comment(printer, m['ugo'], 'The paper comes out **blank**.')
    scene.comment(printer, m['tess'], 'Does copying on the device itself work?')
    scene.comment(printer, m['tess'], f'Seen before: {SECRET}', internal=True)
    scene.comment(printer, m['ugo'], 'Copying works.')
    scene.around(printer, by=m['tess'], to=m['ugo'])
    scene.unsent(printer, m['ugo'])
    scene.setting_up(m['ugo'])
    payroll = scene.ticket(m['ada'], 'Access to the payroll folder for the tax adviser', 'open', private=True)
    scene.comment(payroll, m['ada'], 'Only for Frau Wagenknecht.')
    salary = scene.ticket(m['ugo'], 'Question about my salary statement', 'waiting_client', private=True, copy=[m['bill']])
    scene.comment(salary, m['ugo'], 'The attachment does not open.')
    calendar = scene.ticket(m['ugo'], 'Calendar of room 2 shows nothing', 'solved')
    scene.comment(calendar, m['ugo'], 'Since this morning.')
    certificate = scene.ticket(m['ada'], 'Certificate warning when opening the calendar', 'closed', days_ago=60)
    scene.comment(certificate, m['ada'], 'Is that dangerous?')
    scanners = scene.ticket(m['bea'], 'Handheld scanners in Halle 4 lose Wi-Fi', 'new', priority='urgent')
    scene.comment(scanners, m['bea'], 'Every few minutes.')
    scene.comment(scanners, m['mona'], f'Access point 7. {SECRET}', internal=True)
    scene.around(scanners, by=m['mona'], to=m['bea'])
    scene.unsent(scanners, m['bea'])
    scene.setting_up(m['bea'])
    oven = scene.ticket(m['cleo'], 'The tablet beside the oven is off', 'open', copy=[m['cleo']])
    scene.comment(oven, m['cleo'], 'It was warm there.')
    scene.comment(oven, m['stan'], f'Not covered. {SECRET}', internal=True)
    scene.around(oven, by=m['stan'], to=m['cleo'])
    scene.unsent(oven, m['cleo'])
    scene.setting_up(m['cleo'])
    return {
        'printer': printer, 'payroll': payroll, 'salary': salary, 'calendar': calendar, 'certificate': certificate,
        'scanners': scanners, 'oven': oven,
    }  # fmt: skip


def _desk(scene: '_Scene', m: Mapping[str, Member], tickets: Mapping[str, Any]) -> None:
    """What staff keep for their work: a view and a reply of the team's, a view of Tess's own; and a ticket that is due."""
    for owner, begins, ticket in (('mona', 'finn', 'printer'), ('stan', 'stan', 'oven')):
        me, view = {'tenant_id': m[owner].tenant_id}, uuid7()
        kept: Row = {**me, 'owner_id': m[owner].user_id, 'is_shared': True}
        scene.add('saved_view', **kept, id=view, name='Urgent ones', query={'priority': 'urgent'}, created_at=scene.now)
        scene.add('default_view', **me, user_id=m[begins].user_id, view_id=view)
        scene.add('canned_reply', **kept, id=uuid7(), title='Restart it', changed_at=scene.now,
                  body=f'Hello {{first_name}}, please restart it. {SECRET}')  # fmt: skip
        scene.add('bulk_change', **me, id=uuid7(), user_id=m[begins].user_id, field='priority', value='high', failed=[], changed=0,
                  numbers=[tickets[ticket].number], total=1, touched_at=scene.now)  # fmt: skip
        scene.add('ticket_due', **scene.part(tickets[ticket]), due_on=scene.now.date().isoformat(), is_open=True)
    own: Row = {'tenant_id': m['tess'].tenant_id, 'owner_id': m['tess'].user_id, 'is_shared': False}
    scene.add('saved_view', **own, id=uuid7(), name='Acme', query={'company': 'acme'}, created_at=scene.now)


def _access(scene: '_Scene', m: Mapping[str, Member]) -> None:
    """How some of them come in. Nobody needs a second factor for two years; those with a passkey are few, and not used in tests."""
    far = scene.now + timedelta(days=700)
    for helped, helps, at in (('mel_acme', 'mona', 'ada'), ('stan', 'cleo', 'cleo')):
        company = m[at].company_id
        me: Row = {'tenant_id': m[helped].tenant_id, 'user_id': m[helped].user_id}
        scene.add('passkey', **me, id=uuid7(), name='Blue key', credential_id=secrets.token_bytes(16), public_key=b'none', sign_count=0,
                  transports=['usb'], backed_up=False, created_at=scene.now)  # fmt: skip
        scene.add('passkey_owner', **me, handle=secrets.token_bytes(32))
        scene.add('passkey_challenge', tenant_id=me['tenant_id'], digest=secrets.token_bytes(32), expires_at=scene.now)
        scene.add('factor_rule', tenant_id=me['tenant_id'], id=uuid7(), company_id=company, user_type='client',
                  role='ClientBilling', grace_days=14,
                  from_on=far.date().isoformat(), sso_counts=True, made_by_id=m[helps].user_id, made_at=scene.now)  # fmt: skip
        scene.add('factor_reminder', **me, due_on=far.date().isoformat(), days=14)
        scene.add('recovery', **me, company_id=company, id=uuid7(), started_by_id=m[helps].user_id, reason='Lost on the train', started_at=scene.now,
                  ready_at=scene.now, expires_at=scene.now, needs_staff=False, used_at=scene.now)  # fmt: skip


def _providers(scene: '_Scene', m: Mapping[str, Member]) -> None:
    """Each MSP has begun to set up single sign-on for its clients, and has not turned it on."""
    for admin, client in (('mona', 'ada'), ('mona', 'bea'), ('stan', 'cleo')):
        tenant, me = {'tenant_id': m[admin].tenant_id}, uuid7()
        issuer, company = f'https://login.{client}.invalid', m[client].company_id
        scene.add('identity_provider', **tenant, id=me, company_id=company, side='client', kind='other', name='Directory',
                  issuer=issuer, client_id='portal', domains=[], enabled=False, created_at=scene.now,
                  created_by_id=m[admin].user_id)  # fmt: skip
        scene.add('identity_secret', **tenant, id=me, sealed=b'sealed')
        scene.add('identity', **tenant, id=uuid7(), provider_id=me, user_id=m[client].user_id, issuer=issuer, subject='1',
                  linked_by='staff', linked_at=scene.now)  # fmt: skip
        scene.add('sso_flow', **tenant, provider_id=me, state_hash=secrets.token_bytes(32), browser_hash=b'b', purpose='signin',
                  nonce='n', verifier='v', started_at=scene.now, expires_at=scene.now + timedelta(minutes=10))  # fmt: skip
        scene.add('sso_only', **tenant, id=uuid7(), company_id=company, since=scene.now, created_by_id=m[admin].user_id)


class _Scene:
    """Collects rows, to be written at once."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Row]] = {table: [] for table in TABLES}
        self.now = datetime.now(UTC)
        self._by_id: dict[UUID, Row] = {}
        self.categories: dict[UUID, dict[str, UUID]] = {}

    def tenant(self, name: Provider, short_name: str, prefix: str) -> Tenant:
        tenant = Tenant(uuid7(), name, f'{prefix}-{secrets.token_hex(4)}.localhost')
        self.add(
            'tenant', id=tenant.id, name=name, short_name=short_name, host=tenant.host, language='en', timezone='Europe/Berlin',
            idle_minutes=480, session_hours=168, reopen_days=14, recovery_hours=24, review_days=90, created_at=self.now - timedelta(days=500),
        )  # fmt: skip
        self.categories[tenant.id] = {category: uuid7() for category in CATEGORIES[name]}
        for place, (category, me) in enumerate(self.categories[tenant.id].items(), 1):
            self.add('category', id=me, tenant_id=tenant.id, name=category, place=place, created_at=self.now)
        self.add('counter', tenant_id=tenant.id, kind='ticket', value=1000)
        self._by_id[tenant.id] = self.rows['counter'][-1]
        self.add('role', id=uuid7(), tenant_id=tenant.id, name='Reader', user_type='client', permissions=['tickets.see'])
        return tenant

    def company(self, tenant: Tenant, slug: str, name: str) -> Company:
        company = Company(uuid7(), tenant.id, slug, name)
        self.add('company', id=company.id, tenant_id=tenant.id, slug=slug, name=name, created_at=self.now)
        return company

    def person(self, tenant: Tenant, person: Person, companies: Mapping[str, Company]) -> list[Member]:
        """Signed in. One Member for staff, and for clients one in each company."""
        me, cookie, user_type = uuid7(), secrets.token_urlsafe(32), 'internal' if person.staff_role else 'client'
        self.add(
            'users', id=me, tenant_id=tenant.id, email=person.email, name=person.name, user_type=user_type,
            staff_role=person.staff_role, theme='auto', mail_off=[], created_at=self.now,
        )  # fmt: skip
        self.add('credential', user_id=me, tenant_id=tenant.id, password_hash=_cheap_hash(), changed_at=self.now)
        self.add('session', token_hash=hashlib.sha256(cookie.encode()).digest(), tenant_id=tenant.id, user_id=me, device='Test',
                  created_at=self.now, last_seen_at=self.now, expires_at=self.now + timedelta(days=1))  # fmt: skip
        for slug, role in person.companies.items():
            self.add('membership', id=uuid7(), tenant_id=tenant.id, user_id=me, company_id=companies[slug].id, role=role,
                      created_at=self.now)  # fmt: skip
            self.add('membership_seen', tenant_id=tenant.id, company_id=companies[slug].id, user_id=me, at=self.now)

        def member(company: Company | None, role: str) -> Member:
            place = (company.id, company.slug) if company else (None, None)
            return Member(me, tenant.id, tenant.host, person.side, *place, person.name, person.email, role, cookie)

        if person.staff_role:
            return [member(None, person.staff_role)]
        return [member(companies[slug], role) for slug, role in person.companies.items()]

    def ticket(
        self, of: Member, subject: str, status: str, *, private: bool = False, priority: str = 'normal',
        copy: Sequence[Member] = (), assignee: Member | None = None, days_ago: float = 0.1, about: str = '',
    ) -> Ticket:  # fmt: skip
        counter, at = self._by_id[of.tenant_id], self.now - timedelta(days=days_ago)
        counter['value'] += 1
        ticket = Ticket(uuid7(), counter['value'])
        where = {'tenant_id': of.tenant_id, 'company_id': of.company_id}
        self.add(
            'ticket', **where, id=ticket.id, number=ticket.number, subject=subject, status=status, priority=priority,
            visibility='private' if private else 'company', requester_id=of.user_id, author_id=of.user_id,
            assignee_id=assignee.user_id if assignee else None, category_id=self.categories[of.tenant_id].get(about), last_comment_id=None, created_at=at - timedelta(days=1),
            changed_at=at, closed_at=at if status == 'closed' else None,
        )  # fmt: skip
        self._by_id[ticket.id] = self.rows['ticket'][-1]
        for member in copy:
            self.add('ticket_participant', **where, ticket_id=ticket.id, user_id=member.user_id, added_by_id=of.user_id,
                      added_at=at)  # fmt: skip
        return ticket

    def comment(self, ticket: Ticket, by: Member, body: str, *, internal: bool = False) -> None:
        row, me = self._by_id[ticket.id], uuid7()
        self.add('ticket_comment', **self.part(ticket), id=me, author_id=by.user_id, body=body, is_internal=internal,
                  created_at=row['changed_at'])  # fmt: skip
        if not internal:
            row['last_comment_id'] = me

    def around(self, ticket: Ticket, *, by: Member, to: Member) -> None:
        """One row of everything else that hangs on a ticket."""
        row, part = self._by_id[ticket.id], self.part(ticket)
        self.add('ticket_event', **part, id=uuid7(), actor_id=by.user_id, kind='status', before='new', after=row['status'],
                  is_internal=False, created_at=row['changed_at'])  # fmt: skip
        self.add(
            'file', **part, id=uuid7(), place=None, comment_id=row['last_comment_id'], author_id=to.user_id, name='page.txt',
            media_type='text/plain', size=5, sha256=hashlib.sha256(b'blank').hexdigest(), stored_as=secrets.token_hex(16),
            is_internal=False, created_at=row['changed_at'],
        )  # fmt: skip
        told = {**part, 'actor_id': by.user_id, 'kind': 'reply', 'created_at': row['changed_at']}
        self.add('notification', **told, id=uuid7(), user_id=to.user_id)
        self.add('mail_outbox', **told, id=uuid7(), to_user_id=to.user_id, comment_id=row['last_comment_id'], state='sent',
                  subject=f'[{ticket.label}] {row["subject"]}', sent_at=self.now)  # fmt: skip
        self.add(
            'audit', id=uuid7(), tenant_id=row['tenant_id'], company_id=row['company_id'], at=row['created_at'],
            actor_id=to.user_id, action='ticket.opened', subject_id=ticket.id, detail={'number': ticket.number},
        )  # fmt: skip

        self.add(
            'viewing', id=uuid7(), tenant_id=row['tenant_id'], company_id=row['company_id'], session=uuid7(), staff_id=by.user_id,
            user_id=to.user_id, reason='They asked what they should see', begun_at=row['created_at'],
            ends_at=row['created_at'] + timedelta(minutes=30), ended_at=row['created_at'] + timedelta(minutes=4),
        )  # fmt: skip
        mine, export = {'tenant_id': row['tenant_id'], 'company_id': row['company_id'], 'user_id': to.user_id}, uuid7()
        self.add(
            'export', **mine, id=export, format='csv', wanted={'group': 'all'}, language='en', timezone='UTC', state='ready', done=1,
            size=5, created_at=self.now, ready_at=self.now, expires_at=self.now + timedelta(days=7), seen_at=self.now,
        )  # fmt: skip
        self.add('export_part', **mine, export_id=export, n=0, bytes=b'T-1\r\n')

    def unsent(self, ticket: Ticket, by: Member) -> None:
        """What somebody has begun to write, with a file that is not sent either; no form shows this place."""
        where = {'tenant_id': by.tenant_id, 'company_id': by.company_id, 'place': f'unsent:{ticket.id}'}
        self.add('draft', **where, id=uuid7(), user_id=by.user_id, version=1, content={'body': 'I think'}, earlier=[],
                  saved_at=self.now)  # fmt: skip
        self.add(
            'file', **where, id=uuid7(), ticket_id=None, comment_id=None, author_id=by.user_id, name='unsent.txt',
            media_type='text/plain', size=5, sha256=hashlib.sha256(b'blank').hexdigest(), stored_as=secrets.token_hex(16),
            is_internal=False, created_at=self.now,
        )  # fmt: skip

    def setting_up(self, by: Member) -> None:
        """An authenticator app that somebody has not confirmed yet: nothing is asked of them."""
        mine = {'tenant_id': by.tenant_id, 'user_id': by.user_id, 'created_at': self.now}
        self.add('totp', **mine, id=uuid7(), name='Phone', secret=secrets.token_bytes(60), last_step=0)
        self.add('recovery_code', **mine, id=uuid7(), digest=secrets.token_bytes(32))

    def around_admin(self, company: Company, admin: Member) -> None:
        """What a client admin looks after: somebody invited, a review, an address, a contact; and they wanted another address."""
        where, me, review = {'tenant_id': company.tenant_id, 'company_id': company.id}, admin.user_id, uuid7()
        self.add('invitation', **where, id=uuid7(), email=f'jonas@{company.slug}.example', name='Jonas Weber', role='ClientUser',
                  number=1, invited_by_id=me, created_at=self.now, sent_at=self.now, expires_at=self.now + timedelta(days=7))  # fmt: skip
        self.add('access_review', **where, id=review, opened_at=self.now - timedelta(days=9), due_at=self.now, reminders=1,
                  confirmed_at=self.now - timedelta(days=1), confirmed_by_id=me)  # fmt: skip
        self.add('access_review_item', **where, review_id=review, user_id=me, kept=True)
        self.add('company_address', **where, id=uuid7(), kind='billing', name='Accounts', street='Hafenstraße 2',
                  postal_code='30159', city='Hannover', country='Germany', changed_at=self.now)  # fmt: skip
        self.add('company_contact', **where, kind='technical', user_id=me, changed_at=self.now)
        self.add(
            'email_change', id=uuid7(), tenant_id=company.tenant_id, user_id=me, old_email=admin.email, new_email=f'new-{admin.email}',
            asked_at=self.now, expires_at=self.now, ended_at=self.now, began_at=self.now, times=1,
        )  # fmt: skip

    def around_company(self, company: Company, *, by: Member) -> None:
        """One row of everything that hangs on a company, and an import that was tried."""
        where, me, batch = {'tenant_id': company.tenant_id, 'company_id': company.id}, by.user_id, uuid7()
        self.add('company_note', **where, body=f'Key at the reception. {SECRET}', author_id=me, changed_at=self.now)
        self.add('company_slug', **where, slug=f'old-{company.slug}')
        self.add('session_limit', **where, session_hours=168, changed_at=self.now)
        self.add(
            'import_batch', id=batch, tenant_id=company.tenant_id, kind='companies', file_name='clients.csv', encoding='utf_8',
            delimiter=';', columns=['Name'], mapping={'name': 0}, options={}, state='ready', author_id=me, created_at=self.now,
            touched_at=self.now,
        )  # fmt: skip
        self.add('import_row', batch_id=batch, tenant_id=company.tenant_id, number=2, cells=[company.name], problems=[])

    def part(self, ticket: Ticket) -> Row:
        row = self._by_id[ticket.id]
        return {'tenant_id': row['tenant_id'], 'company_id': row['company_id'], 'ticket_id': ticket.id}

    def add(self, table: str, **row: Any) -> None:
        self.rows[table].append(row)


@cache
def _cheap_hash() -> str:
    """Of PASSWORD. As cheap as Argon2id can be: nobody has to be kept out of a test."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
