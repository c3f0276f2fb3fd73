"""What somebody signs in with: set up, used up, removed; each for oneself alone."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import psycopg
import pyotp
import pytest
from sqlalchemy.exc import DBAPIError

from portal.db.cast import Cast, Member
from portal.db.engine import Database, SignedOut
from portal.domain import factors
from portal.domain.access import ProofNeeded
from portal.domain.base import NotFound, Wrong
from portal.settings import Settings
from portal.visit import Visit
from tests.factors import Phone, stale

VisitAs = Callable[[Member], Awaitable[Visit]]


async def signing(visit: Visit) -> factors.SigningIn:
    async with visit.work() as db:
        return await factors.signing_in(db)


def code_of(secret: str, steps: int = 0) -> str:
    return pyotp.TOTP(secret).at(int(time.time()) + steps * 30)  # pyright: ignore


async def begin(visit: Visit, settings: Settings) -> factors.Begun:
    async with visit.work() as db:
        return await factors.begin_totp(db, visit.by, settings)


async def confirm(visit: Visit, settings: Settings, begun: factors.Begun, code: str, name: str = 'Phone') -> None:
    async with visit.work() as db:
        await factors.confirm_totp(db, visit.by, settings, begun.id, code=code, name=name)


def test_a_code_counts_for_one_step_before_and_after() -> None:
    secret = b'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP'
    app, at = pyotp.TOTP(secret.decode()), 1_800_000_015  # pyright: ignore
    now, step = datetime.fromtimestamp(at, UTC), at // 30
    found = [factors.step_of(secret, app.at(at + n * 30), now) for n in (-2, -1, 0, 1, 2)]
    assert found == [None, step - 1, step, step + 1, None]
    assert factors.step_of(secret, f' {app.at(at)[:3]} {app.at(at)[3:]} ', now) == step
    for typed in ('', '12345', '1234567', 'abcdef', '٠١٢٣٤٥', app.at(at) + '0'):
        assert factors.step_of(secret, typed, now) is None


def test_a_recovery_code_cannot_be_guessed_and_may_be_typed_anyhow(cast: Cast) -> None:
    codes = {factors.new_code() for _n in range(50)}
    assert len(codes) == 50
    assert all(re.fullmatch(r'([A-Z2-7]{4}-){5}[A-Z2-7]{4}', code) for code in codes)  # 24 signs of 5 bits: 120
    who, code = cast.ada, 'ABOI-2345-ABCD-EFGH-JKLM-NPQR'
    one = factors.digest_of(who.tenant_id, who.user_id, code)
    assert factors.digest_of(who.tenant_id, who.user_id, ' 8oa ') != one
    assert (
        factors.digest_of(who.tenant_id, who.user_id, code.lower().replace('-', ' ').replace('o', '0').replace('i', '1')) == one
    )
    assert factors.digest_of(who.tenant_id, cast.ugo.user_id, code) != one


async def test_an_app_counts_once_it_is_confirmed(visit_as: VisitAs, cast: Cast, settings: Settings, maintenance: str) -> None:
    ada = await visit_as(cast.ada)
    begun = await begin(ada, settings)
    assert not (await signing(ada)).has_factor
    with pytest.raises(Wrong):
        await confirm(ada, settings, begun, code_of(begun.secret, 40))
    await confirm(ada, settings, begun, code_of(begun.secret), 'Ada’s phone')
    found = await signing(ada)
    assert found.has_factor
    assert [(app.name, app.used_at) for app in found.apps] == [('Ada’s phone', None)]
    with pytest.raises(NotFound):
        await confirm(ada, settings, begun, code_of(begun.secret))
    with psycopg.connect(maintenance) as c:
        (kept,) = c.execute('select secret from totp where id = %s', (begun.id,)).fetchone() or (b'',)
        proofs = c.execute('select proofs from session where user_id = %s', (cast.ada.user_id,)).fetchone()
    assert begun.secret.encode() not in kept
    assert proofs
    assert 'totp' in proofs[0]


async def test_two_confirm_at_once_and_it_is_set_up_once(visit_as: VisitAs, cast: Cast, settings: Settings) -> None:
    ada = await visit_as(cast.ada)
    begun = await begin(ada, settings)
    done = await asyncio.gather(
        *(confirm(ada, settings, begun, code_of(begun.secret)) for _n in range(4)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in done) == ['NoneType', 'NotFound', 'NotFound', 'NotFound']


async def test_what_was_begun_elsewhere_is_over(visit_as: VisitAs, cast: Cast, settings: Settings) -> None:
    ada = await visit_as(cast.ada)
    first = await begin(ada, settings)
    await begin(ada, settings)
    with pytest.raises(NotFound):
        await confirm(ada, settings, first, code_of(first.secret))


async def test_nobody_confirms_or_removes_what_is_anothers(
    visit_as: VisitAs, cast: Cast, settings: Settings, maintenance: str
) -> None:
    phone, begun = Phone(maintenance, settings, cast.ada), await begin(await visit_as(cast.bill), settings)
    for who in (cast.ugo, cast.bea, cast.mona, cast.cleo):
        other = await visit_as(who)
        with pytest.raises(NotFound):
            await confirm(other, settings, begun, code_of(begun.secret))
        with pytest.raises(NotFound):
            async with other.work() as db:
                await factors.remove_totp(db, other.by, phone.id)
        assert not (await signing(other)).apps
    assert len((await signing(await visit_as(cast.ada))).apps) == 1


@pytest.mark.parametrize('change', ['begin', 'confirm', 'remove', 'codes', 'password'])
async def test_without_a_fresh_proof_nothing_changes(
    visit_as: VisitAs, cast: Cast, settings: Settings, maintenance: str, change: str
) -> None:
    ada, phone = await visit_as(cast.ada), Phone(maintenance, settings, cast.ada)
    begun = await begin(ada, settings)
    stale(maintenance, cast.ada)
    does = {
        'begin': lambda db: factors.begin_totp(db, ada.by, settings),
        'confirm': lambda db: factors.confirm_totp(db, ada.by, settings, begun.id, code=code_of(begun.secret), name='x'),
        'remove': lambda db: factors.remove_totp(db, ada.by, phone.id),
        'codes': lambda db: factors.new_recovery_codes(db, ada.by),
        'password': lambda db: factors.change_password(db, ada.by, 'hash', alone=True),
    }
    with pytest.raises(ProofNeeded):
        async with ada.work() as db:
            await does[change](db)
    found = await signing(ada)
    assert (len(found.apps), found.codes_left) == (1, 0)


@pytest.mark.parametrize(
    'call',
    [
        "app.begin_totp(gen_random_uuid(), 'x', 'x')",
        "app.confirm_totp(gen_random_uuid(), 'x', 1)",
        'app.remove_totp(gen_random_uuid())',
        "app.set_recovery_codes('{}')",
        "app.change_password('x', true)",
    ],
)
async def test_the_database_itself_asks_for_the_fresh_proof(visit_as: VisitAs, cast: Cast, maintenance: str, call: str) -> None:
    """Whoever found a way past the verbs."""
    stale(maintenance, cast.ada)
    ada = await visit_as(cast.ada)
    with pytest.raises(DBAPIError, match='no fresh proof'):
        async with ada.work() as db:
            await (await db.connection()).exec_driver_sql(f'select {call}')


async def test_the_sides_reach_no_secret_and_not_the_doors_functions(visit_as: VisitAs, cast: Cast) -> None:
    ada, where = await visit_as(cast.ada), f"'{cast.northwind.id}', '{cast.ugo.user_id}'"
    for call in (
        f'select app.totp_of({where})',
        f'select app.use_totp({where}, gen_random_uuid(), 9)',
        f"select app.use_recovery_code({where}, 'x', gen_random_uuid())",
        "select app.prove('x', 'totp')",
        'select secret from totp',
        'select digest from recovery_code',
    ):
        with pytest.raises(DBAPIError, match='permission denied'):
            async with ada.work() as db:
                await (await db.connection()).exec_driver_sql(call)


async def test_recovery_codes_are_made_anew_and_the_old_ones_end(
    visit_as: VisitAs, cast: Cast, settings: Settings, maintenance: str, portal: Database
) -> None:
    ada = await visit_as(cast.ada)
    with pytest.raises(NotFound):  # nothing to recover
        async with ada.work() as db:
            await factors.new_recovery_codes(db, ada.by)
    old = Phone(maintenance, settings, cast.ada).recovery_codes()
    async with ada.work() as db:
        codes = await factors.new_recovery_codes(db, ada.by)
    assert (len(codes), (await signing(ada)).codes_left) == (10, 10)
    assert not set(codes) & set(old)
    digest = factors.digest_of(cast.ada.tenant_id, cast.ada.user_id, old[0])
    with psycopg.connect(maintenance) as c:
        assert not c.execute('select 1 from recovery_code where digest = %s', (digest,)).fetchone()


async def test_removing_the_last_factor_ends_its_recovery_codes(
    visit_as: VisitAs, cast: Cast, settings: Settings, maintenance: str
) -> None:
    ada, phone, other = await visit_as(cast.ada), Phone(maintenance, settings, cast.ada), Phone(maintenance, settings, cast.ada)
    phone.recovery_codes(3)
    async with ada.work() as db:
        await factors.remove_totp(db, ada.by, other.id)
    assert (await signing(ada)).codes_left == 3
    async with ada.work() as db:
        await factors.remove_totp(db, ada.by, phone.id)
    found = await signing(ada)
    assert (found.has_factor, found.codes_left) == (False, 0)


async def test_a_short_password_keeps_its_factor(visit_as: VisitAs, cast: Cast, settings: Settings, maintenance: str) -> None:
    ada, phone = await visit_as(cast.ada), Phone(maintenance, settings, cast.ada)
    async with ada.work() as db:
        await factors.change_password(db, ada.by, 'hash of a short one', alone=False)
    with pytest.raises(Wrong, match='factor'):
        async with ada.work() as db:
            await factors.remove_totp(db, ada.by, phone.id)
    assert len((await signing(ada)).apps) == 1
    async with ada.work() as db:
        await factors.change_password(db, ada.by, 'hash of a long one', alone=True)
        await factors.remove_totp(db, ada.by, phone.id)
    with pytest.raises(Wrong, match='password'):
        async with ada.work() as db:
            await factors.change_password(db, ada.by, 'hash of a short one', alone=False)


async def test_who_must_have_a_factor_keeps_the_last_one(
    visit_as: VisitAs, cast: Cast, settings: Settings, maintenance: str
) -> None:
    ada, phone = await visit_as(cast.ada), Phone(maintenance, settings, cast.ada)
    function = """create or replace function app.must_keep_factor(p_tenant uuid, p_user uuid) returns boolean language sql stable
        security definer set search_path = pg_catalog, public, pg_temp as $$ {} $$"""
    with psycopg.connect(maintenance, autocommit=True) as c:
        (before,) = c.execute("select prosrc from pg_proc where proname = 'must_keep_factor'").fetchone() or ('',)
        c.execute(function.format(f"select p_user = '{cast.ada.user_id}'"))  # pyright: ignore
        try:
            with pytest.raises(Wrong, match='factor'):
                async with ada.work() as db:
                    await factors.remove_totp(db, ada.by, phone.id)
        finally:
            c.execute(function.format(before))  # pyright: ignore
    assert len((await signing(ada)).apps) == 1


async def test_a_new_password_ends_the_other_sessions(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    ada = await visit_as(cast.ada)
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute(
            """insert into session (token_hash, tenant_id, user_id, device, expires_at)
               values (sha256('elsewhere'), %s, %s, 'Firefox', now() + interval '1 day')""",
            (cast.ada.tenant_id, cast.ada.user_id),
        )
        async with ada.work() as db:
            await factors.change_password(db, ada.by, 'hash', alone=True)
        alive = c.execute(
            'select token_hash from session where user_id = %s and revoked_at is null', (cast.ada.user_id,)
        ).fetchall()
        kinds = c.execute('select kind from mail_outbox where to_user_id = %s order by id desc', (cast.ada.user_id,)).fetchall()
    assert [row[0] for row in alive] == [ada.token]
    assert ('password_changed',) in kinds


async def test_a_session_that_ends_meanwhile_changes_nothing(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """A thief's session, already inside its transaction when the person changes the password and so ends it."""
    ada = await visit_as(cast.ada)
    with pytest.raises(SignedOut):
        async with ada.work() as db:
            with psycopg.connect(maintenance, autocommit=True) as c:
                c.execute('update session set revoked_at = now() where token_hash = %s', (ada.token,))
            await factors.change_password(db, ada.by, 'hash of the thief', alone=True)
    with psycopg.connect(maintenance) as c:
        (kept,) = c.execute('select password_hash from credential where user_id = %s', (cast.ada.user_id,)).fetchone() or ('',)
    assert kept != 'hash of the thief'


async def test_every_change_of_factors_is_told_by_letter(
    visit_as: VisitAs, cast: Cast, settings: Settings, maintenance: str
) -> None:
    ugo = await visit_as(cast.ugo)
    begun = await begin(ugo, settings)
    await confirm(ugo, settings, begun, code_of(begun.secret))
    async with ugo.work() as db:
        await factors.new_recovery_codes(db, ugo.by)
        await factors.remove_totp(db, ugo.by, begun.id)
    with psycopg.connect(maintenance) as c:
        rows = c.execute(
            "select kind from mail_outbox where to_user_id = %s and kind ~ 'factor|recovery' order by id", (cast.ugo.user_id,)
        ).fetchall()
    assert [row[0] for row in rows] == ['factor_added', 'recovery_codes_made', 'factor_removed']


async def test_staff_who_look_as_somebody_see_and_change_nothing(cast: Cast, maintenance: str, visit_as: VisitAs) -> None:
    """A context with a viewer, as it is while staff look at the portal as a client does."""
    with psycopg.connect(maintenance) as c:
        (session,) = c.execute('select id from session where user_id = %s', (cast.ada.user_id,)).fetchone() or (None,)
        c.execute(
            "select app.set_context(%s, %s, %s, 'company', '{profile.edit}', %s, %s, true)",
            (cast.northwind.id, cast.acme.id, cast.ada.user_id, session, cast.tess.user_id),
        )
        assert c.execute('select app.my_signing_in()').fetchone() == (None,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match='no person'):
            c.execute("select app.change_password('x', true)")
