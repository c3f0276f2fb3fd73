"""What nobody came back to goes: drafts, their files, and bytes that no row knows."""

import os
import time
from pathlib import Path
from uuid import UUID

import psycopg

from portal import settings
from portal.db.cast import Cast
from portal.db.engine import Database
from portal.domain.base import uuid7
from portal.jobs.sweeping import sweep
from portal.storage import Store

DAYS = 86400


def put(store: Store, days_old: float) -> str:
    with store.incoming() as incoming:
        incoming.write(b'x')
        stored_as = incoming.keep()
    at = time.time() - days_old * DAYS
    os.utime(store.path(stored_as), (at, at))
    return stored_as


def row(
    c: psycopg.Connection, cast: Cast, stored_as: str, place: str | None, days_old: float, draft_days_old: float | None
) -> UUID:
    file, who = uuid7(), {'tenant': cast.northwind.id, 'company': cast.acme.id, 'me': cast.ugo.user_id, 'place': place}
    c.execute(
        """insert into file (id, tenant_id, company_id, author_id, place, name, media_type, size, sha256, stored_as, created_at)
           values (%(id)s, %(tenant)s, %(company)s, %(me)s, %(place)s, 'x', 'text/plain', 1, '', %(as)s, now() - make_interval(days => %(days)s))""",
        {**who, 'id': file, 'as': stored_as, 'days': days_old},
    )
    if draft_days_old is not None:
        c.execute(
            """insert into draft (id, tenant_id, company_id, user_id, place, saved_at)
               values (%(id)s, %(tenant)s, %(company)s, %(me)s, %(place)s, now() - make_interval(days => %(days)s))""",
            {**who, 'id': uuid7(), 'days': draft_days_old},
        )
    return file


async def test_what_is_forgotten_goes_and_nothing_else(portal: Database, cast: Cast, maintenance: str, tmp_path: Path) -> None:
    store = Store(settings.load({'PORTAL_DATA_DIR': str(tmp_path)}))
    orphan, new_orphan, kept, forgotten, without = put(store, 2), put(store, 0), put(store, 100), put(store, 100), put(store, 2)
    with psycopg.connect(maintenance) as c:
        stays = row(c, cast, kept, 'swept:1', 100, 80)
        goes = [row(c, cast, forgotten, 'swept:2', 100, 91), row(c, cast, without, 'swept:3', 2, None)]
    await sweep(portal, store)
    with psycopg.connect(maintenance) as c:
        there = {r[0] for r in c.execute('select id from file where id = any (%s)', ([stays, *goes],)).fetchall()}
        drafts = {
            r[0] for r in c.execute("select place from draft where place like 'swept:%%' and user_id = %s", (cast.ugo.user_id,))
        }
    assert there == {stays}
    assert drafts == {'swept:1'}
    assert {name for name in (orphan, new_orphan, kept, forgotten, without) if store.path(name).exists()} == {new_orphan, kept}
