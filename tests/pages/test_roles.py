"""The pages of roles and of a company's people, as somebody with the source at hand would use them."""

from uuid import UUID

import psycopg

from portal.db.cast import Cast, Member
from portal.domain.imports.fields import role_named
from tests.pages.test_team import words
from tests.visitor import Page, Visitor

Someone = type[Visitor]


def ask(maintenance: str, question: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(maintenance, autocommit=True) as connection:
        return connection.execute(question, values).fetchall()  # type: ignore[arg-type]


async def form(page: Page, act: str, /, **values: object) -> None:
    island = next(i for i in page.islands if 'rights-table' in str(i.content))
    await page.send(island, {'act': act, 'key': None, 'values': values, 'number': 1})


async def colleague(visitor: Someone, who: Member, user: UUID) -> Page:
    return await visitor(who).get(f'{who.root}/settings/people/{user}')


async def test_mona_makes_a_role_and_sees_what_it_says(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await visitor(cast.mona).get('/msp/roles/new?for=client')
    assert page.status == 200
    await form(page, 'tick', name='Lead', based_on='ClientUser', permissions=['tickets.see_company', 'tickets.open'])
    assert 'Sees all tickets of the company but private ones of others. May: Open tickets.' in words(page)
    await form(page, 'save', name='Lead', based_on='ClientUser',
               permissions=['tickets.see_company', 'tickets.open', 'tenant.manage', 'nonsense'])  # fmt: skip
    rows = ask(maintenance, "select user_type, permissions from role where tenant_id = %s and name = 'Lead'", cast.northwind.id)
    assert rows == [('client', ['tickets.see', 'tickets.see_company', 'tickets.open', 'profile.edit'])]


async def test_a_built_in_role_is_not_changed_from_the_browser(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await visitor(cast.mona).get('/msp/roles/ClientUser')
    assert 'Built-in roles stay as they are.' in words(page)
    before = ask(maintenance, 'select count(*) from role')
    for name in ('save', 'remove'):
        await form(page, name, name='X', permissions=['people.manage'])
    assert ask(maintenance, 'select count(*) from role') == before


async def test_a_client_admin_sees_the_own_company_alone(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.ada).get('/client-portal/acme/settings/people')
    seen = words(page)
    for name in ('Ada Brandt', 'Bill Novak', 'Mel Duarte', 'Ugo Marchetti'):
        assert name in seen
    for foreign in ('Bea Lindqvist', 'Cleo Haddad', 'Tess Okafor', 'Bolt'):
        assert foreign not in page.html
    mel = await colleague(visitor, cast.ada, cast.mel_acme.user_id)
    assert mel.status == 200
    assert 'Bolt' not in mel.html
    found = await visitor(cast.ada).get('/client-portal/acme/settings/people?q=bill')
    assert 'Bill Novak' in words(found)
    assert 'Ugo Marchetti' not in words(found)


async def test_foreign_people_are_not_there(visitor: Someone, cast: Cast) -> None:
    missing = await colleague(visitor, cast.ada, UUID('00000000-0000-7000-8000-000000000001'))
    for who in (cast.bea, cast.cleo, cast.tess, cast.mona):
        page = await colleague(visitor, cast.ada, who.user_id)
        assert (page.status, words(page)) == (missing.status, words(missing)) == (404, words(missing))
    assert (await visitor(cast.ada).get('/client-portal/acme/settings/people/nonsense')).status == 404


async def test_a_role_that_cannot_be_given_is_refused_with_words(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await colleague(visitor, cast.ada, cast.ugo.user_id)
    for role in ('MspAdmin', 'nonsense', str(cast.acme.id)):
        await page.act('role', role=role)
        assert 'Choose a role.' in words(page)
    await page.act('role', role='ClientBilling')
    rows = ask(maintenance, 'select role from membership where user_id = %s and company_id = %s', cast.ugo.user_id, cast.acme.id)
    assert rows == [('ClientBilling',)]


async def test_who_lost_the_right_does_nothing_on_an_open_page(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await colleague(visitor, cast.mel_acme, cast.ugo.user_id)
    ask(maintenance, "update membership set role = 'ClientUser' where user_id = %s and company_id = %s returning 1",
        cast.mel_acme.user_id, cast.acme.id)  # fmt: skip
    await page.act('role', role='ClientAdmin')
    rows = ask(maintenance, 'select role from membership where user_id = %s and company_id = %s', cast.ugo.user_id, cast.acme.id)
    assert rows == [('ClientUser',)]


async def test_own_roles_are_offered_and_known_to_imports(visitor: Someone, cast: Cast) -> None:
    page = await visitor(cast.mona).get('/msp/companies/acme')
    assert 'Reader' in words(page)
    team = await visitor(cast.mona).get('/msp/team')
    assert f'href="/msp/team/{cast.tess.user_id}"' in team.shown
    for path, name in (
        (f'/msp/team/{cast.tess.user_id}', 'Tess Okafor'),
        (f'/msp/people/{cast.mel_bolt.user_id}/access?company=bolt', 'Mel Duarte'),
    ):
        why = await visitor(cast.mona).get(path)
        assert name in words(why)
        assert 'Close and reopen tickets' in words(why)
    assert role_named(' reader', {'Reader': 'its id'}) == 'its id'
    assert role_named('Client admin', {'Reader': 'its id'}) == 'ClientAdmin'


async def test_a_client_admin_signs_somebody_out_after_being_asked(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await colleague(visitor, cast.ada, cast.ugo.user_id)
    await page.act('ask-sign-out')
    assert 'Sign out Ugo Marchetti everywhere?' in words(page)
    living = 'select count(*) from session where user_id = %s and revoked_at is null'
    assert ask(maintenance, living, cast.ugo.user_id) != [(0,)]
    await page.act('sign-out')
    assert ask(maintenance, living, cast.ugo.user_id) == [(0,)]
    own = await colleague(visitor, cast.ada, cast.ada.user_id)
    assert 'ask-sign-out' not in own.shown


async def test_a_client_admin_helps_with_a_lost_factor(visitor: Someone, cast: Cast, maintenance: str) -> None:
    ask(
        maintenance,
        """insert into passkey (id, tenant_id, user_id, name, credential_id, public_key, sign_count, transports, backed_up)
           select gen_random_uuid(), tenant_id, id, 'Key', 'id', 'none', 0, '{}', false from users where id = %s returning 1""",
        cast.ugo.user_id,
    )
    page = await colleague(visitor, cast.ada, cast.ugo.user_id)
    await page.act('ask-recovery', key=str(cast.ugo.user_id))
    await page.act('start-recovery', key=str(cast.ugo.user_id), reason='His phone is in the lake')
    assert 'Help with a lost factor is under way.' in words(page)
    assert ask(maintenance, 'select started_by_id from recovery where user_id = %s', cast.ugo.user_id) == [(cast.ada.user_id,)]
    await page.act('stop-recovery', key=str(cast.ugo.user_id))
    assert 'is under way' not in words(page)


async def test_with_an_old_proof_no_dialog_opens_in_which_one_types(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await visitor(cast.mona).get('/msp/team')
    ask(
        maintenance,
        "update session set proved_at = now() - interval '16 minutes' where user_id = %s returning 1",
        cast.mona.user_id,
    )
    await page.act('ask-role', key=str(cast.tess.user_id))
    assert 'What may Tess Okafor do?' not in words(page)
