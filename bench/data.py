"""A million tickets on a server of their own, in `bench/.data`: made once, and anew when the migrations have changed."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import psycopg

from portal import settings as portal_settings
from portal.db import migrate, roles, server
from portal.settings import Settings

HERE = Path(__file__).parent
FOLDER, SQL = HERE / '.data', HERE / 'data.sql'
SECRET = 'a-secret-for-measuring-that-is-long-enough'
PASSWORD = 'moss-lantern-quarry-eleven'  # of those who sign in
#: The tenant with a tenth of all tickets; in it the companies that are measured.
TENANT, BIG, SMALL = 'Bench MSP 1', 'company-1', 'company-2'
COMMON, RARE = 'printer', 'zebra'  # in 1 of 12 subjects; in 1 of 10,000
SCALE = {'tenants': 50, 'companies': 200, 'tickets': 1_000_000, 'of_tenant': 100_000, 'of_big': 5_000, 'of_small': 5}
#: Name of the account, and the company in whose portal they are.
CROWD = [(f'staff{n}', None) for n in range(2, 11)] + [(f'c1p{n}', BIG) for n in range(40)]
WORKERS = [(f'staff{n}', None) for n in range(2, 11)] + [(f'c{n}p0', f'company-{n}') for n in range(3, 194)]
PEOPLE = {'big': ('c1p0', BIG), 'small': ('c2p0', SMALL), 'user': ('c1p5', BIG), 'staff': ('staff1', None)}


@dataclass(frozen=True)
class Someone:
    """Signed in, in the big tenant."""

    key: str
    user_id: UUID
    tenant_id: UUID
    company_id: UUID | None
    slug: str | None

    @property
    def cookie(self) -> str:
        return f'bench-{self.key}'

    @property
    def root(self) -> str:
        return f'/client-portal/{self.slug}' if self.slug else '/msp'


def settings(**more: str) -> Settings:
    return portal_settings.load(
        {
            'PORTAL_DATA_DIR': str(FOLDER),
            'PORTAL_SECRET_KEY': SECRET,
            'PORTAL_TENANT': TENANT,
            'PORTAL_LOG_LEVEL': 'ERROR',
            **more,
        }
    )


def ready(running: server.Cluster) -> dict[str, Someone]:
    """Makes the data if they are not there, and signs everybody in."""
    stamp, made_with = FOLDER / 'made-with', _hash()
    if not stamp.exists() or stamp.read_text() != made_with:
        stamp.unlink(missing_ok=True)
        _make(running)
        stamp.write_text(made_with)
    with psycopg.connect(running.admin() or '', autocommit=True) as db:
        return {key: _sign_in(db, key, *who) for key, who in PEOPLE.items()}


def crowd(running: server.Cluster) -> list[Someone]:
    """Staff and clients of the big company, signed in: 49 people."""
    return _signed_in(running, CROWD)


def workers(running: server.Cluster) -> list[Someone]:
    """Nine of the staff, and somebody of each of 191 companies, signed in."""
    return _signed_in(running, WORKERS)


def with_password(running: server.Cluster, most: int) -> list[str]:
    """Addresses of so many clients of the big tenant, who can sign in with PASSWORD."""
    from portal.pages.auth.passwords import HASHER

    with psycopg.connect(running.admin() or '', autocommit=True) as db:
        found = db.execute(
            """select u.id, u.tenant_id, u.email from users u join tenant t on t.id = u.tenant_id
               where t.name = %s and u.user_type = 'client' order by u.email limit %s""",
            (TENANT, most),
        ).fetchall()
        hashed = HASHER.hash(PASSWORD)
        db.cursor().executemany(
            """insert into credential (user_id, tenant_id, password_hash) values (%s, %s, %s)
               on conflict (user_id) do update set password_hash = excluded.password_hash""",
            [(user, tenant, hashed) for user, tenant, _email in found],
        )
        db.execute('delete from attempt')
    return [email for _user, _tenant, email in found]


def _signed_in(running: server.Cluster, people: Sequence[tuple[str, str | None]]) -> list[Someone]:
    with psycopg.connect(running.admin() or '', autocommit=True) as db:
        return [_sign_in(db, login, login, slug) for login, slug in people]


def _hash() -> str:
    migrations = [p for p in sorted((HERE.parent / 'portal/db/migrations').rglob('*')) if p.suffix in ('.py', '.sql')]
    content = b''.join(path.read_bytes() for path in (*migrations, SQL))
    return hashlib.sha256(content + repr(SCALE).encode()).hexdigest()


def _make(running: server.Cluster) -> None:
    maintenance = running.admin() or ''
    print(f'Making {SCALE["tickets"]:,} tickets: about two minutes, once …', flush=True)
    with psycopg.connect(maintenance, dbname='postgres', autocommit=True) as connection:
        db = cast(Any, connection)
        db.execute(f'drop database if exists {running.database} with (force)')
        db.execute(f'create database {running.database}')
    roles.prepare(maintenance, running.database, SECRET.encode())
    migrate.upgrade(running)
    with psycopg.connect(maintenance, autocommit=True) as connection:
        db = cast(Any, connection)
        db.execute("set session_replication_role = replica; set synchronous_commit = off; set maintenance_work_mem = '512MB'")
        indexes = db.execute(
            """select indexname, indexdef from pg_indexes
               where tablename in ('ticket', 'ticket_comment', 'ticket_event', 'ticket_text', 'ticket_word') and indexdef not like '%UNIQUE%'"""
        ).fetchall()
        for name, _definition in indexes:
            db.execute(f'drop index {name}')
        db.execute(SQL.read_text().format(**SCALE, common=COMMON, rare=RARE, tenant=TENANT))
        db.execute('select app.index_everything()')
        for _name, definition in indexes:
            db.execute(definition)
        db.execute('vacuum analyze')
        db.execute('checkpoint')


def _sign_in(db: psycopg.Connection[Any], key: str, login: str, slug: str | None) -> Someone:
    row = db.execute(
        """select u.id, u.tenant_id, c.id from users u join tenant t on t.id = u.tenant_id
           left join company c on c.tenant_id = t.id and c.slug = %s where t.name = %s and u.email = %s""",
        (slug, TENANT, f'{login}@bench.example'),
    ).fetchone()
    assert row
    user, tenant, company = row
    someone = Someone(key, user, tenant, company, slug)
    db.execute(
        """insert into session (token_hash, tenant_id, user_id, device, expires_at)
           values (sha256(convert_to(%s, 'UTF8')), %s, %s, 'Bench', now() + interval '1 day')
           on conflict (token_hash) do update set last_seen_at = now(), expires_at = excluded.expires_at, revoked_at = null""",
        (someone.cookie, someone.tenant_id, someone.user_id),
    )
    return someone
