"""One's sessions, those of others, how long they last, and whom a sign-in by a new device is told."""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import psycopg
import pytest

from portal.db.cast import Cast, Member
from portal.db.engine import Database, SignedOut
from portal.domain.access import NotAllowed, ProofNeeded
from portal.domain.base import NotFound, Wrong, uuid7
from portal.domain.limits import change_limits, lasting, limit_company, unlimit_company
from portal.domain.sessions import disown_sessions, end_other_sessions, end_session, my_sessions, own_network, sign_out_person
from portal.visit import Visit, arriving

VisitAs = Callable[[Member], Awaitable[Visit]]
Sql = Callable[..., list[Any]]


@pytest.fixture
def sql(maintenance: str) -> Sql:
    def ask(question: str, *values: Any) -> list[Any]:
        with psycopg.connect(maintenance, autocommit=True) as connection:
            cursor = connection.execute(question, values)  # pyright: ignore[reportArgumentType, reportCallIssue]
            return cursor.fetchall() if cursor.description else []

    return ask


@pytest.fixture
def again(portal: Database) -> Callable[..., Awaitable[str]]:
    """`await again(cast.ada)`: signs in once more, by another device; the cookie."""

    async def sign_in(who: Member, device: str = 'Firefox · Windows', key: bytes | None = None, *, known: bool = False) -> str:
        cookie = secrets.token_urlsafe(32)
        row = await portal.ask(
            'select app.open_session(:token, :tenant, :user, :device, :proofs, :key, :known)',
            token=hashlib.sha256(cookie.encode()).digest(), tenant=who.tenant_id, user=who.user_id, device=device,
            proofs=['password'], key=key or secrets.token_bytes(32), known=known,
        )  # fmt: skip
        assert row[0]
        return cookie

    return sign_in


Again = Callable[..., Awaitable[str]]


async def test_ada_sees_hers_alone_and_no_token(visit_as: VisitAs, cast: Cast, again: Again) -> None:
    await again(cast.ada)
    await again(cast.ugo)
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        mine = await my_sessions(db)
        connection = await db.connection()
        columns = (await connection.exec_driver_sql('select * from app.my_sessions()')).keys()
    assert [(session.device, session.here) for session in mine] == [('Test', True), ('Firefox · Windows', False)]
    assert not {column for column in columns if 'token' in column or 'key' in column}


async def test_an_id_of_somebody_else_does_nothing(visit_as: VisitAs, cast: Cast, sql: Sql) -> None:
    ada = await visit_as(cast.ada)
    for other in (cast.ugo, cast.bea, cast.mona, cast.cleo):
        id_ = sql('select id from session where token_hash = %s', other.token)[0][0]
        with pytest.raises(NotFound):
            async with ada.work() as db:
                await end_session(db, ada.by, id_)
        assert await arriving(other.cookie)
    with pytest.raises(NotFound):
        async with ada.work() as db:
            await end_session(db, ada.by, uuid7())


async def test_one_is_ended_once_however_often_it_is_asked(visit_as: VisitAs, cast: Cast, again: Again, sql: Sql) -> None:
    other, ada = await again(cast.ada), await visit_as(cast.ada)
    async with ada.work() as db:
        id_ = next(session.id for session in await my_sessions(db) if not session.here)

    async def end() -> str:
        try:
            async with ada.work() as db:
                await end_session(db, ada.by, id_)
        except NotFound:
            return 'over'
        return 'ended'

    assert sorted(await asyncio.gather(*(end() for _ in range(5)))) == ['ended', 'over', 'over', 'over', 'over']
    assert await arriving(other) is None
    assert await arriving(cast.ada.cookie)
    asked = "select detail from audit where action = 'session.ended' and subject_id = %s"
    assert sql(asked, cast.ada.user_id) == [({'by': 'list'},)]


async def test_all_others_end_and_nobody_elses(visit_as: VisitAs, cast: Cast, again: Again, sql: Sql) -> None:
    cookies = [await again(cast.ada) for _ in range(2)]
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        assert await end_other_sessions(db, ada.by) == 2
    assert [await arriving(cookie) for cookie in cookies] == [None, None]
    assert await arriving(cast.ada.cookie)
    assert await arriving(cast.ugo.cookie)
    asked = "select detail from audit where action = 'session.others_ended' and subject_id = %s"
    assert sql(asked, cast.ada.user_id) == [({'number': 2},)]


async def test_that_was_not_me_ends_all_and_the_password(visit_as: VisitAs, cast: Cast, again: Again, sql: Sql) -> None:
    """Of two at once, one does it; what the thief knows is worth nothing then."""
    cookie, ada = await again(cast.ada), await visit_as(cast.ada)

    async def disown() -> None:
        async with ada.work() as db:
            await disown_sessions(db, ada.by)

    done = await asyncio.gather(*(disown() for _ in range(3)), return_exceptions=True)
    assert all(each is None or isinstance(each, SignedOut) for each in done)
    assert await arriving(cookie) is None
    assert await arriving(cast.ada.cookie) is None
    assert sql('select 1 from credential where user_id = %s', cast.ada.user_id) == []
    assert sql('select 1 from credential where user_id = %s', cast.ugo.user_id) == [(1,)]
    asked = "select count(*) from audit where action = 'session.disowned' and subject_id = %s"
    assert sql(asked, cast.ada.user_id) == [(1,)]


WAYS = {
    'passkey': """insert into passkey (id, tenant_id, user_id, name, credential_id, public_key, sign_count, backed_up, created_at)
        values (gen_random_uuid(), %(tenant)s, %(user)s, %(name)s::text, convert_to(%(name)s::text, 'UTF8'), '', 0, false, %(at)s)""",
    'totp': """insert into totp (id, tenant_id, user_id, name, secret, confirmed_at)
        values (gen_random_uuid(), %(tenant)s, %(user)s, %(name)s, '', %(at)s)""",
    'recovery_code': """insert into recovery_code (tenant_id, user_id, digest, created_at)
        values (%(tenant)s, %(user)s, sha256(convert_to(%(name)s::text, 'UTF8')), %(at)s)""",
    'identity': """insert into identity (id, tenant_id, provider_id, user_id, issuer, subject, linked_by, linked_at)
        select gen_random_uuid(), %(tenant)s, p.id, %(user)s, p.issuer, %(name)s, 'self', %(at)s from identity_provider p
        where p.tenant_id = %(tenant)s and p.id not in (select provider_id from identity where user_id = %(user)s) limit 1""",
}


async def test_that_was_not_me_takes_away_what_was_added_meanwhile(
    visit_as: VisitAs, cast: Cast, again: Again, sql: Sql, maintenance: str
) -> None:
    """A thief has been in for two days. What Ada had before stays; what came since goes, and so does what is under way."""
    await again(cast.ada)
    sql(
        "update session set created_at = now() - interval '2 days' where user_id = %s and token_hash <> %s",
        cast.ada.user_id,
        cast.ada.token,
    )
    with psycopg.connect(maintenance, autocommit=True) as c:
        for days, name in ((9, 'before'), (1, 'thief')):
            at = c.execute('select now() - make_interval(days => %s)', (days,)).fetchone()
            assert at
            for way in WAYS.values():
                c.execute(way, {'tenant': cast.northwind.id, 'user': cast.ada.user_id, 'name': name, 'at': at[0]})  # pyright: ignore
        c.execute("""insert into email_change (tenant_id, user_id, old_email, new_email) values (%s, %s, %s, 'thief@x.example')
            on conflict (tenant_id, user_id) do update set new_email = excluded.new_email, ended_at = null,
              expires_at = now() + interval '1 day'""", (cast.northwind.id, cast.ada.user_id, cast.ada.email))  # fmt: skip
        c.execute("""insert into recovery (tenant_id, user_id, started_by_id, reason, ready_at, expires_at)
            values (%s, %s, %s, 'Called', now(), now() + interval '1 day')""", (cast.northwind.id, cast.ada.user_id, cast.mona.user_id))  # fmt: skip
    before = {table: len(sql(f'select 1 from {table} where user_id = %s', cast.ada.user_id)) for table in WAYS}
    others = {table: sql(f'select count(*) from {table} where user_id <> %s', cast.ada.user_id) for table in WAYS}
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        await disown_sessions(db, ada.by)
    for table in ('passkey', 'totp'):
        names = [row[0] for row in sql(f'select name from {table} where user_id = %s', cast.ada.user_id)]
        assert 'before' in names and 'thief' not in names
    assert len(sql('select 1 from recovery_code where user_id = %s', cast.ada.user_id)) == before['recovery_code'] - 1
    assert sql("select 1 from identity where user_id = %s and subject = 'thief'", cast.ada.user_id) == []
    assert others == {table: sql(f'select count(*) from {table} where user_id <> %s', cast.ada.user_id) for table in WAYS}
    assert sql('select 1 from email_change where user_id = %s and ended_at is null', cast.ada.user_id) == []
    assert sql('select 1 from recovery where user_id = %s and stopped_at is null', cast.ada.user_id) == []
    [(detail,)] = sql("select detail from audit where action = 'session.disowned' and subject_id = %s", cast.ada.user_id)
    assert {'passkey', 'totp', 'codes', 'recovery', 'address'} <= {each['kind'] for each in detail['removed']}


async def test_it_asks_for_a_proof_since_it_takes_factors_away(visit_as: VisitAs, cast: Cast, sql: Sql) -> None:
    ada = await visit_as(cast.ada)
    sql("update session set proved_at = now() - interval '16 minutes' where user_id = %s", cast.ada.user_id)
    with pytest.raises(ProofNeeded):
        async with ada.work() as db:
            await disown_sessions(db, ada.by)
    assert await arriving(cast.ada.cookie)


async def test_who_was_signed_out_gets_a_letter_that_names_who_did_it(visit_as: VisitAs, cast: Cast, sql: Sql) -> None:
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        await sign_out_person(db, ada.by, cast.ugo.user_id)
    asked = "select args from jobs.procrastinate_jobs where task_name = 'access_letter' and args ->> 'user' = %s"
    [(args,)] = sql(asked, str(cast.ugo.user_id))
    assert (args['kind'], args['actor']) == ('signed_out', str(cast.ada.user_id))


@pytest.mark.parametrize(
    ('who', 'whom', 'ends'),
    [
        ('ada', 'ugo', True), ('ada', 'bea', False), ('ada', 'mona', False), ('ada', 'cleo', False), ('ugo', 'bill', None),
        ('bea', 'ugo', False), ('mona', 'ugo', True), ('mona', 'tess', True), ('mona', 'cleo', False), ('mona', 'stan', False),
        ('tess', 'ugo', None), ('finn', 'ugo', None), ('bea', 'mel_bolt', True),
    ],
)  # fmt: skip
async def test_who_may_sign_out_whom(visit_as: VisitAs, cast: Cast, who: str, whom: str, ends: bool | None) -> None:
    by, other = await visit_as(getattr(cast, who)), getattr(cast, whom)
    refusal = {True: None, False: NotFound, None: NotAllowed}[ends]
    if refusal:
        with pytest.raises(refusal):
            async with by.work() as db:
                await sign_out_person(db, by.by, other.user_id)
        async with by.work() as db:  # nor past the verb
            connection = await db.connection()
            said = await connection.exec_driver_sql('select app.sign_out_person(%s)', (other.user_id,))
            assert said.scalar() is False
    else:
        async with by.work() as db:
            await sign_out_person(db, by.by, other.user_id)
    assert bool(await arriving(other.cookie)) is not bool(ends)


# ---------- how long they last ----------


async def aged(sql: Sql, who: Member, used: str, opened: str = '0 hours') -> None:
    sql(
        'update session set last_seen_at = now() - %s::interval, created_at = now() - %s::interval where token_hash = %s',
        used, opened, who.token,
    )  # fmt: skip


async def test_staff_and_clients_have_limits_of_their_own(visit_as: VisitAs, cast: Cast, sql: Sql) -> None:
    mona = await visit_as(cast.mona)
    for who in (cast.ada, cast.tess):
        await aged(sql, who, '20 minutes')
    async with mona.work() as db:
        await change_limits(db, mona.by, staff_idle_minutes='15')
    assert await arriving(cast.ada.cookie)
    assert await arriving(cast.tess.cookie) is None
    async with mona.work() as db:
        await change_limits(db, mona.by, session_hours='1', idle_minutes='60')
    await aged(sql, cast.ugo, '0 minutes', '61 minutes')
    assert await arriving(cast.ugo.cookie) is None  # also of a session that was open already


async def test_of_several_companies_the_strictest_holds(visit_as: VisitAs, cast: Cast, sql: Sql) -> None:
    mona, mel = await visit_as(cast.mona), await visit_as(cast.mel_bolt)
    async with mona.work() as db:
        await limit_company(db, mona.by, cast.acme.id, '30', '')
    async with mel.work() as db:
        assert (await lasting(db))[0] == 30
    for who in (cast.mel_bolt, cast.ada, cast.bea):
        await aged(sql, who, '40 minutes')
    assert await arriving(cast.mel_bolt.cookie) is None
    assert await arriving(cast.ada.cookie) is None
    assert await arriving(cast.bea.cookie)
    async with mona.work() as db:
        await unlimit_company(db, mona.by, cast.acme.id)
    assert await arriving(cast.ada.cookie)


@pytest.mark.parametrize(
    'wanted', [{'idle_minutes': '4'}, {'idle_minutes': '600', 'session_hours': '2'}, {'staff_session_hours': '0'}, {'session_hours': '٣'},
               {'staff_idle_minutes': '43201'}],
)  # fmt: skip
async def test_limits_are_bounded(visit_as: VisitAs, cast: Cast, sql: Sql, wanted: dict[str, str]) -> None:
    mona = await visit_as(cast.mona)
    with pytest.raises(Wrong):
        async with mona.work() as db:
            await change_limits(db, mona.by, **wanted)
    asked = 'select idle_minutes, session_hours, staff_idle_minutes, staff_session_hours from tenant where id = %s'
    assert sql(asked, cast.northwind.id) == [(480, 168, 480, 168)]


async def test_a_company_only_asks_for_less(visit_as: VisitAs, cast: Cast) -> None:
    mona, stan = await visit_as(cast.mona), await visit_as(cast.stan)
    for values in (('480', ''), ('', '168'), ('', ''), ('x', '')):
        with pytest.raises(Wrong):
            async with mona.work() as db:
                await limit_company(db, mona.by, cast.acme.id, *values)
    with pytest.raises(Wrong):
        async with stan.work() as db:
            await limit_company(db, stan.by, cast.acme.id, '30', '')


async def test_to_ask_how_long_it_lasts_keeps_nothing_alive(portal: Database, cast: Cast, sql: Sql) -> None:
    async def left(function: str) -> int | None:
        row = await portal.ask(f'select app.{function}(:token)', token=cast.ada.token)
        return row[0]

    await aged(sql, cast.ada, '479 minutes')
    assert 0 < (await left('session_left') or 0) <= 60
    assert 0 < (await left('session_left') or 0) <= 60
    assert (await left('stay') or 0) > 60 * 470
    await aged(sql, cast.ada, '481 minutes')
    assert await left('stay') is None
    assert await arriving(cast.ada.cookie) is None


# ---------- a new device ----------


async def told(sql: Sql, cast: Cast, session: UUID, maintenance: str) -> UUID | None:
    """What the job decides."""
    with psycopg.connect(maintenance) as c:
        c.execute("select app.set_context(%s, null, null, 'all')", (cast.northwind.id,))
        row = c.execute('select app.announce_session(%s)', (session,)).fetchone()
    assert row
    return row[0]


async def test_a_new_device_is_told_once_and_what_is_known_never(cast: Cast, again: Again, sql: Sql, maintenance: str) -> None:
    def newest() -> UUID:
        return sql('select id from session where user_id = %s order by created_at desc limit 1', cast.ada.user_id)[0][0]

    async def asks() -> UUID | None:
        return await told(sql, cast, newest(), maintenance)

    key = secrets.token_bytes(32)
    await again(cast.ada, 'Firefox · Windows', key)
    assert await asks() == cast.ada.user_id
    assert await asks() is None  # once
    await again(cast.ada, 'Safari · Mac', key)  # the same browser, after an update of its words
    assert await asks() is None
    await again(cast.ada, 'Firefox · Windows')  # keeps no cookies: not each time
    assert await asks() is None
    sql("update session set created_at = created_at - interval '40 days', last_seen_at = last_seen_at - interval '40 days' "
        'where user_id = %s', cast.ada.user_id)  # fmt: skip
    await again(cast.ada, 'Firefox · Windows')
    assert await asks() == cast.ada.user_id
    await again(cast.ada, 'Chrome · Android', known=True)  # right after a new password by this browser
    assert await asks() is None


async def test_a_known_device_is_new_after_another_password(
    cast: Cast, again: Again, sql: Sql, maintenance: str, portal: Database
) -> None:
    key = secrets.token_bytes(32)
    await again(cast.ada, key=key)
    mark = (await portal.ask('select app.device_mark(:t, :u)', t=cast.northwind.id, u=cast.ada.user_id))[0]
    sql('update credential set changed_at = now() where user_id = %s', cast.ada.user_id)
    assert (await portal.ask('select app.device_mark(:t, :u)', t=cast.northwind.id, u=cast.ada.user_id))[0] != mark
    await again(cast.ada, key=key)
    newest = sql('select id from session where user_id = %s order by created_at desc limit 1', cast.ada.user_id)[0][0]
    assert await told(sql, cast, newest, maintenance) == cast.ada.user_id


async def test_the_first_sign_in_of_all_is_no_news(cast: Cast, again: Again, sql: Sql, maintenance: str) -> None:
    sql('delete from session where user_id = %s', cast.ada.user_id)
    await again(cast.ada)
    first = sql('select id from session where user_id = %s', cast.ada.user_id)[0][0]
    assert await told(sql, cast, first, maintenance) is None


def test_which_networks_the_world_does_not_see() -> None:
    assert own_network('127.0.0.0/24')
    assert own_network('192.168.7.0/24')
    assert not own_network('93.184.216.0/24')
    assert not own_network('nowhere')
