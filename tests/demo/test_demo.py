"""The demo in a database: loaded once, whole, consistent, and closed again to its owner."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, LiteralString

import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg import sql

from portal import demo, settings
from portal.db import cast, lint, migrate, roles
from portal.db.errors import CannotStart
from portal.db.server import Cluster
from portal.settings import Settings
from portal.storage import Store


@pytest.fixture(scope='module')
def home(cluster: Cluster, settings: Settings) -> Iterator[Cluster]:
    """A database of its own with the demo in it."""
    name = f'{cluster.database}_demo'
    admin = cluster.admin() or ''
    with psycopg.connect(admin, dbname='postgres', autocommit=True) as server:
        server.execute(sql.SQL('drop database if exists {} with (force)').format(sql.Identifier(name)))
        roles.prepare(admin, name, settings.secret, create=True)
        migrate.upgrade(cluster, name)
        there = replace(cluster, database=name)
        assert demo.load(there, settings)
        yield there
        server.execute(sql.SQL('drop database {} with (force)').format(sql.Identifier(name)))


@pytest.fixture
def look(home: Cluster) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(home.admin() or '', dbname=home.database) as connection:
        yield connection


def faults(look: psycopg.Connection[Any], question: LiteralString) -> list[Any]:
    return look.execute(question).fetchall()


def test_a_second_start_loads_nothing(home: Cluster, settings: Settings, look: psycopg.Connection[Any]) -> None:
    before = faults(look, 'select count(*), max(id::text) from audit')
    look.commit()
    assert not demo.load(home, settings)
    assert faults(look, 'select count(*), max(id::text) from audit') == before


def test_demo_and_real_data_never_share_a_database(home: Cluster, cluster: Cluster, maintenance: str, settings: Settings) -> None:
    with_demo = replace(settings, demo=True)
    cast.make(maintenance)
    demo.refuse_mixing(home, with_demo)
    demo.refuse_mixing(cluster, settings)
    with pytest.raises(CannotStart, match='PORTAL_DEMO: the database in DATABASE_URL has a provider in it already'):
        demo.refuse_mixing(cluster, with_demo)
    with pytest.raises(CannotStart, match='this database holds the demo'):
        demo.refuse_mixing(home, settings)


def test_afterwards_the_owner_is_kept_out_again(home: Cluster) -> None:
    assert lint.problems(home.conninfo('portal_owner')) == []
    with psycopg.connect(home.conninfo('portal_owner')) as owner:
        assert owner.execute('select count(*) from ticket').fetchone() == (0,)


@pytest.mark.parametrize('person', cast.PEOPLE.values(), ids=cast.PEOPLE.keys())
def test_everybody_can_sign_in(home: Cluster, look: psycopg.Connection[Any], person: cast.Person) -> None:
    [(tenant,)] = look.execute('select id from tenant where name = %s', (person.provider,)).fetchall()
    kind = 'internal' if person.staff_role else 'client'
    with psycopg.connect(home.conninfo('portal_door')) as door:
        [(_, hashed)] = door.execute('select * from app.door(%s, %s, %s)', (tenant, kind, person.email)).fetchall()
    hasher = PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1)
    assert hasher.verify(hashed, cast.PASSWORD)
    assert not hasher.check_needs_rehash(hashed)


def test_both_tenants_are_found_by_their_hosts(home: Cluster) -> None:
    with psycopg.connect(home.conninfo('portal_door')) as door:
        for host, name in (
            ('localhost', 'Northwind IT'),
            ('southgate.localhost', 'Southgate Systems'),
            ('127.0.0.1', 'Northwind IT'),
        ):
            [(card,)] = door.execute('select app.tenant_for(%s, %s)', (host, demo.NORTHWIND)).fetchall()
            assert card['name'] == name


def test_every_status_appears(look: psycopg.Connection[Any]) -> None:
    found = faults(look, 'select distinct status, visibility from ticket')
    assert {status for status, _ in found} == {'new', 'open', 'waiting_client', 'waiting_supplier', 'solved', 'closed'}
    assert {visibility for _, visibility in found} == {'company', 'private'}
    assert faults(look, 'select from ticket where follows_id is not null')
    assert faults(look, 'select from ticket where author_id <> requester_id')


def test_acme_has_six_open_tickets_and_two_of_them_wait_for_the_client(look: psycopg.Connection[Any]) -> None:
    found = faults(look, "select status from ticket join company c on c.id = company_id where slug = 'acme' and queue_rank < 30")
    assert len(found) == 6
    assert found.count(('waiting_client',)) == 2


def test_numbers_follow_the_order_of_opening(look: psycopg.Connection[Any]) -> None:
    assert faults(look, """
        select a.number, b.number from ticket a join ticket b using (tenant_id)
        where a.number < b.number and (a.created_at > b.created_at or a.id > b.id)""") == []  # fmt: skip
    assert faults(look, """
        select t.name from tenant t left join counter c on c.tenant_id = t.id and c.kind = 'ticket'
        where c.value is distinct from (select max(number) from ticket where tenant_id = t.id)""") == []  # fmt: skip
    assert faults(look, "select number from ticket where subject like 'Kyocera at reception%'") == [(1058,)]


def test_tickets_agree_with_what_was_said_on_them(look: psycopg.Connection[Any]) -> None:
    assert faults(look, """
        select t.number from ticket t cross join lateral (
          select id, created_at from ticket_comment c where c.ticket_id = t.id and not is_internal order by id desc limit 1) last
        where t.last_comment_id is distinct from last.id or t.changed_at < last.created_at""") == []  # fmt: skip
    assert faults(look, """
        select t.number from ticket t join ticket_event e on e.ticket_id = t.id
        group by t.id having t.changed_at < max(e.created_at)
          or t.status <> (array_agg(e.after order by e.id desc) filter (where e.kind = 'status'))[1]""") == []  # fmt: skip
    assert faults(look, "select number from ticket where status = 'closed' and closed_at > changed_at") == []
    assert faults(look, """
        select a.body, b.body from ticket_comment a join ticket_comment b using (ticket_id)
        where a.id < b.id and a.created_at >= b.created_at""") == []  # fmt: skip


def test_bells_tell_what_is_true(look: psycopg.Connection[Any]) -> None:
    unseen = dict(faults(look, """
        select split_part(email, '@', 1), count(*) from notification join users u on u.id = user_id
        where seen_at is null group by 1"""))  # fmt: skip
    assert unseen.keys() >= {'ada', 'ugo', 'tess', 'mona', 'cleo'}
    assert faults(look, 'select from notification where user_id = actor_id or seen_at < created_at') == []
    assert faults(look, """
        select n.id from notification n join users u on u.id = n.user_id join ticket t on t.id = n.ticket_id
        where u.user_type = 'client' and (n.kind = 'note' or u.id <> t.requester_id and not exists (
          select from ticket_participant p where p.ticket_id = t.id and p.user_id = u.id))""") == []  # fmt: skip


def test_letters_are_sent_and_carry_no_note(look: psycopg.Connection[Any]) -> None:
    assert {state for (state,) in faults(look, 'select distinct state from mail_outbox')} == {'sent'}
    assert faults(look, 'select from mail_outbox join ticket_comment c on c.id = comment_id where c.is_internal') == []


def test_every_opening_is_in_the_audit_log(look: psycopg.Connection[Any]) -> None:
    assert (
        faults(
            look,
            """
        select number from ticket t where not exists (select from audit where subject_id = t.id and action = 'ticket.opened')""",
        )
        == []
    )


def test_accounts_speak_of_people_by_name_role_and_address() -> None:
    assert demo.accounts(demo.NORTHWIND, 'staff')[1] == ('Tess Okafor', 'Technician', 'tess@northwind.example')
    clients = {name: role for name, role, _ in demo.accounts(demo.NORTHWIND, 'client')}
    assert clients['Ada Brandt'] == 'Client admin, Acme Dental'
    assert clients['Mel Duarte'] == 'Client user, Bolt Logistics · Client admin, Acme Dental'
    assert [name for name, *_ in demo.accounts('Southgate Systems', 'client')] == ['Cleo Haddad']


def test_the_greeting_names_addresses_people_and_password() -> None:
    found = demo.greeting(settings.load({'PORTAL_DEMO': '1', 'PORTAL_PORT': '8123', 'PORTAL_DEMO_PASSWORD': 'another-one'}))
    for words in (
        'http://localhost:8123/auth/msp/signin', 'http://localhost:8123/auth/client-portal/signin',
        'http://southgate.localhost:8123/auth/msp/signin', 'another-one', *(p.email for p in cast.PEOPLE.values()),
    ):  # fmt: skip
        assert words in found


def test_behind_a_proxy_the_greeting_names_its_address() -> None:
    env = {'PORTAL_DEMO': '1', 'PORTAL_URL': 'https://demo.example.com', 'PORTAL_DEMO_PASSWORD': 'another-one'}
    found = demo.greeting(settings.load(env))
    assert 'https://demo.example.com/auth/msp/signin' in found
    assert 'localhost' not in found


def test_its_files_lie_where_the_rows_say(look: psycopg.Connection[Any], settings: Settings) -> None:
    """A picture with its preview, a PDF, and a log on an internal note, which is as internal as the note."""
    found = look.execute('select name, media_type, stored_as, sha256, size, width, is_internal from file').fetchall()
    assert {(name, media_type, internal) for name, media_type, *_rest, internal in found} == {
        ('print-queue.png', 'image/png', False), ('Kennwort.png', 'image/png', False),
        ('Verkabelungsplan.pdf', 'application/pdf', False), ('ups-halle-4.log', 'text/plain', True),
    }  # fmt: skip
    store = Store(settings)
    for _name, media_type, stored_as, sha256, size, width, _internal in found:
        content = store.path(stored_as).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (sha256, size)
        assert store.preview_path(stored_as).exists() == bool(width) == (media_type == 'image/png')
