"""Setting up single sign-on: what can stand in a provider, whose domain is whose, and nobody locks themselves out."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from portal.db.cast import Cast, Member
from portal.db.engine import SignedOut
from portal.db.server import Cluster
from portal.domain import sso
from portal.domain.access import ProofNeeded
from portal.domain.base import Wrong
from portal.domain.sso import Wish
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]
GOOD = Wish('client', 'other', 'Directory', '', 'https://login.example/realms/us', 'portal', 'acme.example')
GUID = '8f2c1d3e-0000-4000-8000-1234567890ab'


async def made(mona: Visit, wish: Wish = GOOD, *, on: bool = True) -> sso.Provider:
    async with mona.work() as db:
        provider = await sso.add_provider(db, mona.by, wish)
        if on:
            await sso.enable_provider(db, mona.by, provider.id, True)
        return provider


@pytest.mark.parametrize(('wish', 'issuer'), [
    (replace(GOOD, kind='microsoft', directory=GUID.upper()), f'https://login.microsoftonline.com/{GUID}/v2.0'),
    (replace(GOOD, kind='google'), 'https://accounts.google.com'), (GOOD, 'https://login.example/realms/us'),
])  # fmt: skip
async def test_who_speaks(visit_as: VisitAs, cast: Cast, wish: Wish, issuer: str) -> None:
    provider = await made(await visit_as(cast.mona), wish)
    assert (provider.issuer, provider.domains, provider.enabled) == (issuer, ['acme.example'], True)


@pytest.mark.parametrize(('change', 'field'), [
    ({'kind': 'microsoft', 'directory': 'common'}, 'directory'), ({'kind': 'microsoft', 'directory': 'organizations'}, 'directory'),
    ({'kind': 'microsoft', 'directory': f'{GUID}/../common'}, 'directory'), ({'issuer': 'https://login.microsoftonline.com/common/v2.0'}, 'issuer'),
    ({'issuer': 'ftp://login.example'}, 'issuer'), ({'issuer': 'https://user@login.example'}, 'issuer'), ({'issuer': 'https://a.example?x'}, 'issuer'),
    ({'issuer': 'javascript:alert(1)'}, 'issuer'), ({'client_id': ''}, 'client_id'), ({'client_id': 'a b'}, 'client_id'),
    ({'domains': 'gmail.com'}, 'domains'), ({'domains': 'example'}, 'domains'), ({'domains': '*.example.com'}, 'domains'),
    ({'domains': 'ada@acme.example'}, 'domains'), ({'name': ''}, 'name'), ({'whose': 'nobody'}, 'whose'), ({'default_role': 'ClientUser'}, 'default_role'),
    ({'whose': 'staff', 'default_role': 'MspAdmin'}, 'default_role'), ({'whose': 'staff', 'default_role': 'ClientUser'}, 'default_role'),
    ({'whose': 'staff', 'default_role': 'Technician', 'domains': ''}, 'domains'),
])  # fmt: skip
async def test_what_cannot_be(visit_as: VisitAs, cast: Cast, change: dict[str, Any], field: str) -> None:
    with pytest.raises(Wrong) as wrong:
        await made(await visit_as(cast.mona), replace(GOOD, **change))
    assert field in wrong.value.fields


async def test_a_company_of_another_msp(visit_as: VisitAs, cast: Cast) -> None:
    with pytest.raises(Wrong) as wrong:
        await made(await visit_as(cast.mona), replace(GOOD, whose=str(cast.bakery.id)))
    assert list(wrong.value.fields) == ['whose']


async def test_of_two_who_name_a_domain_one_has_it(visit_as: VisitAs, cast: Cast) -> None:
    mona = await visit_as(cast.mona)
    wishes = [
        replace(GOOD, name=f'{n}', whose=str(company.id))
        for n, company in enumerate((cast.acme, cast.bolt, cast.acme, cast.bolt))
    ]
    outcomes = await asyncio.gather(*(made(mona, wish) for wish in wishes), return_exceptions=True)
    assert sorted(isinstance(o, Wrong) for o in outcomes) == [False, True, True, True]
    assert (await made(mona, replace(GOOD, whose='staff'))).domains == ['acme.example']  # at another door


async def test_it_needs_a_fresh_proof(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update session set proved_at = now() - interval '16 minutes' where user_id = %s", (cast.mona.user_id,))
    with pytest.raises(ProofNeeded):
        await made(await visit_as(cast.mona))


@pytest.mark.parametrize('name', ['mona', 'tess', 'ada'])
async def test_nobody_reads_a_secret(visit_as: VisitAs, cast: Cast, name: str) -> None:
    visit = await visit_as(getattr(cast, name))
    for question in ('select sealed from identity_secret', 'select verifier from sso_flow'):
        with pytest.raises(DBAPIError):
            async with visit.work() as db:
                await (await db.connection()).exec_driver_sql(question)


async def test_whose_provider_it_is_is_nobody_else_s_business(visit_as: VisitAs, cast: Cast) -> None:
    """Staff without the right see no row; clients have none to the table."""
    tess, ada = await visit_as(cast.tess), await visit_as(cast.ada)
    async with tess.work() as db:
        assert not (await db.exec(select(sso.Provider))).all()
        assert not (await db.exec(select(sso.Identity))).all()
    with pytest.raises(DBAPIError):
        async with ada.work() as db:
            await db.exec(select(sso.Provider.name))


async def test_what_ada_learns_of_her_company(visit_as: VisitAs, cast: Cast) -> None:
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        await sso.allow_passwords(db, mona.by, cast.acme.id)  # the cast's own
    await made(mona, replace(GOOD, name='Acme account', whose=str(cast.acme.id)))
    for who, names in ((cast.ada, ['Acme account']), (cast.bea, []), (cast.tess, []), (cast.cleo, [])):
        visit = await visit_as(who)
        async with visit.work() as db:
            found = (await (await db.connection()).exec_driver_sql('select app.my_accounts()')).scalar()
        assert found
        assert [offer['name'] for offer in found['offers']] == names


async def test_only_by_a_provider_needs_one(visit_as: VisitAs, cast: Cast) -> None:
    mona = await visit_as(cast.mona)
    provider = await made(mona, replace(GOOD, whose=str(cast.acme.id)), on=False)
    for company, field in ((cast.acme.id, 'whose'), (None, 'whose')):
        with pytest.raises(Wrong) as wrong:
            async with mona.work() as db:
                await sso.require_sso(db, mona.by, company, None)
        assert list(wrong.value.fields) == [field]
    async with mona.work() as db:
        await sso.allow_passwords(db, mona.by, cast.acme.id)  # the cast's own
        await sso.enable_provider(db, mona.by, provider.id, True)
        assert await sso.unready(db, cast.acme.id) == ['Mel Duarte']
        await sso.require_sso(db, mona.by, cast.acme.id)
    for verb in (
        lambda db: sso.enable_provider(db, mona.by, provider.id, False),
        lambda db: sso.remove_provider(db, mona.by, provider.id),
    ):
        with pytest.raises(Wrong):  # nobody could come in any more
            async with mona.work() as db:
                await verb(db)


async def test_the_staff_keep_somebody_with_a_password(visit_as: VisitAs, cast: Cast) -> None:
    mona = await visit_as(cast.mona)
    await made(mona, replace(GOOD, whose='staff'))
    for exempt in (None, cast.tess.user_id, cast.ada.user_id, cast.stan.user_id):
        with pytest.raises(Wrong) as wrong:
            async with mona.work() as db:
                await sso.require_sso(db, mona.by, None, exempt)
        assert list(wrong.value.fields) == ['exempt']
    tess = await visit_as(cast.tess)
    async with mona.work() as db:
        await sso.require_sso(db, mona.by, None, cast.mona.user_id)
    with pytest.raises(SignedOut):  # her session was opened with a password
        async with tess.work():
            pass
    async with mona.work() as db:  # Mona's goes on
        await sso.allow_passwords(db, mona.by, None)


async def test_nobody_gives_up_their_last_way_in(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    ada, mona = await visit_as(cast.ada), await visit_as(cast.mona)
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute('delete from sso_only where company_id = %s', (cast.acme.id,))  # it waits for a provider
        c.execute('delete from identity where user_id = %s', (cast.ada.user_id,))
        c.execute('delete from credential where user_id = %s', (cast.ada.user_id,))
    accounts = []
    for n in (1, 2):
        provider = await made(mona, replace(GOOD, name=f'{n}', domains=''))
        async with mona.work() as db:
            accounts.append((await sso.link_in_advance(db, mona.by, provider.id, cast.ada.user_id, f'subject-{n}')).id)

    async def unlink(identity: Any) -> None:
        async with ada.work() as db:
            await sso.unlink_own(db, ada.by, identity)

    outcomes = await asyncio.gather(*(unlink(identity) for identity in accounts), return_exceptions=True)
    assert sorted(isinstance(o, Wrong) for o in outcomes) == [False, True]


async def test_an_account_linked_in_advance_is_one_person_s(visit_as: VisitAs, cast: Cast) -> None:
    mona = await visit_as(cast.mona)
    provider = await made(mona, replace(GOOD, whose=str(cast.acme.id)))
    async with mona.work() as db:
        await sso.link_in_advance(db, mona.by, provider.id, cast.ada.user_id, ' A.Brandt@Holding.example ')
    for who, account, field in ((cast.ugo, 'a.brandt@holding.example', 'account'), (cast.bea, 'x', 'person'), (cast.tess, 'x', 'person'),
                                (cast.cleo, 'x', 'person'), (cast.ugo, '', 'account')):  # fmt: skip
        with pytest.raises(Wrong) as wrong:
            async with mona.work() as db:
                await sso.link_in_advance(db, mona.by, provider.id, who.user_id, account)
        assert list(wrong.value.fields) == [field]


def test_the_way_back_on_the_server(cast: Cast, cluster: Cluster, maintenance: str) -> None:
    """Of one MSP alone, and written down."""
    with psycopg.connect(cluster.conninfo('portal_owner'), autocommit=True) as c:
        for what, changed in (('staff', 0), ('bakery', 0), ('bolt', 1), ('bolt', 0)):
            assert c.execute('select app.sso_off(%s, %s)', (cast.northwind.host, what)).fetchone() == (changed,)
    with psycopg.connect(maintenance) as c:
        left = c.execute(
            'select company_id from sso_only where tenant_id in (%s, %s)', (cast.northwind.id, cast.southgate.id)
        ).fetchall()
        logged = c.execute(
            "select action, detail ->> 'by' from audit where company_id = %s and actor_id is null", (cast.bolt.id,)
        ).fetchall()
    assert {row[0] for row in left} == {cast.acme.id, cast.bakery.id}
    assert logged == [('sso.no_longer_only', 'the server')]
