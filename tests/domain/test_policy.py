"""Who needs a second factor, and from when; what comes of it for who has none."""

from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest

from portal.db.cast import Cast, Member
from portal.db.engine import Database, SignedOut
from portal.domain import policy
from portal.domain.access import NotAllowed, ProofNeeded
from portal.domain.base import Wrong, now
from portal.visit import Visit, arriving

VisitAs = Callable[[Member], Awaitable[Visit]]
TODAY = now().date()


async def rule(visit_as: VisitAs, cast: Cast, **more: Any) -> policy.FactorRule:
    values: dict[str, Any] = {'user_type': 'client', 'role': 'ClientAdmin', 'company_id': None, 'from_on': TODAY, 'grace_days': 0}
    visit = await visit_as(cast.mona)
    async with visit.work() as db:
        return await policy.add_rule(db, visit.by, **{**values, **more})


async def due(visit_as: VisitAs, who: Member) -> date | None:
    visit = await visit_as(who)
    async with visit.work() as db:
        found = await policy.my_access(db)
    return found.due_at.date() if found.due_at else None


def old(maintenance: str, cast: Cast) -> None:
    """Everybody of Northwind has been there for a month."""
    with psycopg.connect(maintenance, autocommit=True) as c:
        for table in ('users', 'membership'):
            c.execute(f"update {table} set created_at = now() - interval '30 days' where tenant_id = %s", (cast.northwind.id,))  # type: ignore[arg-type]


async def test_the_strictest_rule_counts(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    old(maintenance, cast)
    await rule(visit_as, cast, role='', from_on=TODAY + timedelta(days=40))
    await rule(visit_as, cast, from_on=TODAY + timedelta(days=20))
    await rule(visit_as, cast, company_id=cast.bolt.id, from_on=TODAY + timedelta(days=10))
    assert abs((await due(visit_as, cast.ada) - (TODAY + timedelta(days=20))).days) <= 1  # type: ignore[operator]
    assert abs((await due(visit_as, cast.ugo) - (TODAY + timedelta(days=40))).days) <= 1  # type: ignore[operator]
    assert abs((await due(visit_as, cast.bea) - (TODAY + timedelta(days=10))).days) <= 1  # type: ignore[operator]
    assert await due(visit_as, cast.tess) is None
    assert await due(visit_as, cast.cleo) is None  # of another tenant


async def test_who_comes_later_has_time(visit_as: VisitAs, cast: Cast) -> None:
    """The cast have come today."""
    await rule(visit_as, cast, grace_days=10)
    assert abs((await due(visit_as, cast.ada) - (TODAY + timedelta(days=10))).days) <= 1  # type: ignore[operator]


async def test_after_the_day_a_session_without_one_does_nothing(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """Neither the next request nor the next event of an open page."""
    old(maintenance, cast)
    ada, ugo = await visit_as(cast.ada), await visit_as(cast.ugo)
    await rule(visit_as, cast)
    assert await arriving(cast.ada.cookie) is None
    with pytest.raises(SignedOut):
        async with ada.work():
            pass
    async with ugo.work():
        pass  # he is no client admin
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update session set proofs = '{sso}' where user_id = %s", (cast.ada.user_id,))
    async with ada.work():
        pass  # the company account counts


async def test_sso_counts_only_where_it_is_said(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    old(maintenance, cast)
    await rule(visit_as, cast, sso_counts=False)
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update session set proofs = '{sso}' where user_id = %s", (cast.ada.user_id,))
    assert await arriving(cast.ada.cookie) is None


async def test_whose_role_is_given_later_is_bound_by_then(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    old(maintenance, cast)
    await rule(visit_as, cast)
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update membership set role = 'ClientAdmin' where user_id = %s", (cast.ugo.user_id,))
    assert await arriving(cast.ugo.cookie) is None


async def test_only_who_manages_access_and_with_a_fresh_proof(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    tess = await visit_as(cast.tess)
    async with tess.work() as db:
        with pytest.raises(NotAllowed):
            await policy.add_rule(db, tess.by, user_type='client', role='', company_id=None, from_on=TODAY, grace_days=0)
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update session set proved_at = now() - interval '1 hour' where user_id = %s", (cast.mona.user_id,))
    with pytest.raises(ProofNeeded):
        await rule(visit_as, cast)


async def test_what_cannot_be_is_said_at_its_field(visit_as: VisitAs, cast: Cast) -> None:
    for field, more in (
        ('from_on', {'from_on': TODAY - timedelta(days=5)}), ('grace_days', {'grace_days': 91}), ('role', {'role': 'MspAdmin'}),
        ('company', {'company_id': cast.bakery.id}), ('company', {'user_type': 'internal', 'role': '', 'company_id': cast.acme.id}),
    ):  # fmt: skip
        with pytest.raises(Wrong) as wrong:
            await rule(visit_as, cast, **more)
        assert field in wrong.value.fields
    await rule(visit_as, cast)
    with pytest.raises(Wrong):
        await rule(visit_as, cast)


async def test_staff_see_who_lacks_one(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    old(maintenance, cast)
    await rule(visit_as, cast, from_on=TODAY + timedelta(days=3))
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        found = {one.name: one.has_factor for one in await policy.bound(db)}
    assert found['Ada Brandt'] is False and found['Mel Duarte'] is True
    assert 'Cleo Haddad' not in found and 'Ugo Marchetti' not in found
    tess = await visit_as(cast.tess)
    with pytest.raises(Exception, match='not allowed'):
        async with tess.work() as db:
            await policy.bound(db)


async def test_reminded_once_for_each_day(visit_as: VisitAs, cast: Cast, maintenance: str, portal: Database) -> None:
    old(maintenance, cast)
    await rule(visit_as, cast, from_on=TODAY + timedelta(days=6))

    def remind() -> set[Any]:
        with psycopg.connect(maintenance) as c:
            c.execute('select app.set_context(%s, null, null, %s)', (cast.northwind.id, 'all'))
            return {row[0] for row in c.execute('select app.factor_reminders()')}

    assert remind() == {cast.ada.user_id, cast.bea.user_id}  # Mel has a passkey
    assert remind() == set()
