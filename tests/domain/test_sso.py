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
from portal.domain.base import Wrong, uuid7
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


# ---------- nobody rises by it ----------


@pytest.fixture
async def ivo(visit_as: VisitAs, cast: Cast, maintenance: str) -> Visit:
    """Tess, with a role that sets up access and nothing else."""
    role = uuid7()
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("insert into role (id, tenant_id, name, user_type, permissions) values (%s, %s, 'Access', 'internal', %s)",
                  (role, cast.northwind.id, ['tickets.see', 'profile.edit', 'companies.see', 'access.manage']))  # fmt: skip
        c.execute('update users set staff_role = null, staff_role_id = %s where id = %s', (role, cast.tess.user_id))
    return await visit_as(cast.tess)


@pytest.mark.parametrize('whose', ['staff', 'client', 'acme'])
async def test_whoever_sets_up_access_alone_lets_nobody_in_above_them(
    visit_as: VisitAs, ivo: Visit, cast: Cast, whose: str
) -> None:
    mona, wish = await visit_as(cast.mona), replace(GOOD, whose=str(cast.acme.id) if whose == 'acme' else whose, domains='')
    provider = await made(mona, wish, on=False)
    verbs: tuple[Callable[[Any], Awaitable[Any]], ...] = (
        lambda db: sso.add_provider(db, ivo.by, wish),
        lambda db: sso.change_provider(db, ivo.by, provider.id, replace(wish, client_id='mine')),
        lambda db: sso.keep_secret(db, ivo.by, provider.id, b'mine'),
        lambda db: sso.enable_provider(db, ivo.by, provider.id, True),
        lambda db: sso.remove_provider(db, ivo.by, provider.id),
    )
    for verb in verbs:
        with pytest.raises(Wrong) as wrong:
            async with ivo.work() as db:
                await verb(db)
        assert list(wrong.value.fields) == ['whose']
    questions: tuple[tuple[str, tuple[Any, ...]], ...] = (
        ("update identity_provider set client_id = 'mine' where id = %s", (provider.id,)),
        ('update identity_provider set enabled = true where id = %s', (provider.id,)),
        ('delete from identity_provider where id = %s', (provider.id,)),
        ('select app.keep_identity_secret(%s, %s)', (provider.id, b'mine')),
        ("insert into identity_provider (id, side, kind, name, issuer, client_id) values (%s, 'staff', 'other', 'x', 'https://x.example', 'x')", (uuid7(),)),
        ('insert into sso_only (id, created_by_id) values (%s, %s)', (uuid7(), cast.tess.user_id)),
    )  # fmt: skip
    for question, values in questions:  # nor in the database
        with pytest.raises(DBAPIError):
            async with ivo.work() as db:
                await (await db.connection()).exec_driver_sql(question, values)
    async with ivo.work() as db:
        await sso.note_check(db, ivo.by, provider.id, 'name')  # to look whether it works they may


@pytest.mark.parametrize(('side', 'name'), [('staff', 'mona'), ('client', 'ada'), ('client', 'ugo')])
async def test_nobody_is_linked_by_who_may_do_less(visit_as: VisitAs, ivo: Visit, cast: Cast, side: str, name: str) -> None:
    """Whoever links Mona with an account of their own comes in as Mona."""
    mona, person = await visit_as(cast.mona), getattr(cast, name).user_id
    provider = await made(mona, replace(GOOD, whose=side, domains=''), on=False)
    with pytest.raises(Wrong) as wrong:
        async with ivo.work() as db:
            await sso.link_in_advance(db, ivo.by, provider.id, person, 'mine@evil.example')
    assert list(wrong.value.fields) == ['person']
    with pytest.raises(DBAPIError):
        async with ivo.work() as db:
            await (await db.connection()).exec_driver_sql(
                "insert into identity (id, provider_id, user_id, issuer, subject, linked_by) values (%s, %s, %s, 'https://x.example', 'mine', 'staff')",
                (uuid7(), provider.id, person),
            )  # fmt: skip
    async with mona.work() as db:
        account = await sso.link_in_advance(db, mona.by, provider.id, person, 'hers@acme.example')
    with pytest.raises(Wrong):
        async with ivo.work() as db:
            await sso.unlink(db, ivo.by, account.id)


@pytest.mark.parametrize('change', [{'issuer': 'https://evil.example'}, {'client_id': 'another'}])
async def test_a_secret_goes_to_nobody_else(visit_as: VisitAs, cast: Cast, maintenance: str, change: dict[str, str]) -> None:
    mona = await visit_as(cast.mona)
    provider = await made(mona)
    kept = 'select sealed from identity_secret where id = %s'
    with psycopg.connect(maintenance, autocommit=True) as c:
        async with mona.work() as db:
            await sso.keep_secret(db, mona.by, provider.id, b'sealed')
            await sso.change_provider(db, mona.by, provider.id, replace(GOOD, name='Renamed'))
        assert c.execute(kept, (provider.id,)).fetchone() == (b'sealed',)
        async with mona.work() as db:
            await sso.change_provider(db, mona.by, provider.id, replace(GOOD, **change))
        assert c.execute(kept, (provider.id,)).fetchone() is None
        async with mona.work() as db:  # with the new one at once, it stays
            await sso.change_provider(db, mona.by, provider.id, GOOD)
            await sso.keep_secret(db, mona.by, provider.id, b'new')
        assert c.execute(kept, (provider.id,)).fetchone() == (b'new',)


async def test_people_hear_of_their_accounts(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    mona = await visit_as(cast.mona)
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute('delete from sso_only where tenant_id = %s', (cast.northwind.id,))
    provider = await made(mona)

    async def link() -> Any:
        async with mona.work() as db:
            return (await sso.link_in_advance(db, mona.by, provider.id, cast.bea.user_id, 'b@holding.example')).id

    def letters() -> list[str]:
        with psycopg.connect(maintenance, autocommit=True) as c:
            asked = "select kind from mail_outbox where to_user_id = %s and kind like 'identity%%' order by created_at, id"
            return [row[0] for row in c.execute(asked, (cast.bea.user_id,))]

    account = await link()
    assert letters() == ['identity_linked']
    async with mona.work() as db:
        await sso.unlink(db, mona.by, account)
    assert letters() == ['identity_linked', 'identity_unlinked']
    bea, own = await visit_as(cast.bea), await link()
    async with bea.work() as db:
        await sso.unlink_own(db, bea.by, own)
    await link()
    async with mona.work() as db:
        await sso.remove_provider(db, mona.by, provider.id)
    assert sorted(letters()) == ['identity_linked'] * 3 + ['identity_unlinked'] * 3


def test_the_way_back_on_the_server(cast: Cast, cluster: Cluster, maintenance: str) -> None:
    """Of one MSP alone, and written down."""
    with psycopg.connect(cluster.conninfo('portal_owner'), autocommit=True) as c:
        c.execute('set role portal_definer')  # as the command does
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
