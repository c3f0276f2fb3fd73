"""Mona changes what holds for everybody at Northwind; nobody else may, and nothing of Southgate moves."""

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from portal import tenants
from portal.db.cast import Cast
from portal.domain.base import Wrong
from portal.domain.tenants import change_tenant
from portal.settings import Settings
from tests.visitor import Page, Visitor

GOOD = {
    'name': 'Northwind IT GmbH', 'short_name': 'Northwind', 'phone': '030 23125 420', 'phone_hours': 'Mo–Fr 7:30–18:00',
    'accent': '#0A7D4F', 'language': 'de', 'timezone': 'Europe/Vienna', 'reopen_days': '7', 'review_days': '0',
}  # fmt: skip


def row(maintenance: str, cast: Cast, tenant: str = 'northwind') -> dict[str, Any]:
    from psycopg.rows import dict_row

    with psycopg.connect(maintenance) as c:
        ask = c.cursor(row_factory=dict_row)
        found = ask.execute('select * from tenant where id = %s', (getattr(cast, tenant).id,)).fetchone()
    assert found
    return found


async def save(page: Page, values: dict[str, str]) -> None:
    form = next(island for island in page.islands if 'data-act="save"' in str(island.content))
    await page.send(form, {'act': 'save', 'key': None, 'values': values, 'number': 1})


async def test_mona_changes_everything_at_once(visitor: type[Visitor], cast: Cast, maintenance: str) -> None:
    before = row(maintenance, cast, 'southgate')
    page = await visitor(cast.mona).get('/msp/portal')
    await save(page, {**GOOD, 'host': cast.northwind.host})
    found = row(maintenance, cast)
    assert {name: str(found[name]) for name in GOOD} == {**GOOD, 'accent': '#0a7d4f'}
    assert row(maintenance, cast, 'southgate') == before
    with psycopg.connect(maintenance) as c:
        noted = c.execute(
            "select detail from audit where tenant_id = %s and action = 'tenant.changed'", (cast.northwind.id,)
        ).fetchall()
    assert [sorted(line[0]['fields']) for line in noted] == [sorted(set(GOOD) - {'short_name'})]
    ada = (await visitor(cast.ada).get('/client-portal/acme')).html
    assert 'Northwind IT GmbH' in ada
    assert '030 23125 420' in ada
    assert '--accent' in ada


async def test_what_is_wrong_is_said_at_its_field_and_nothing_is_lost(
    visitor: type[Visitor], cast: Cast, maintenance: str
) -> None:
    before = row(maintenance, cast)
    page = await visitor(cast.mona).get('/msp/portal')
    wrong = {
        'name': ' ', 'short_name': 'x' * 61, 'host': 'https://portal.example/x', 'accent': 'green', 'language': 'xx',
        'timezone': 'Moon/Crater', 'reopen_days': '٣', 'review_days': '13', 'phone': 'x' * 41,
    }  # fmt: skip
    await save(page, {**GOOD, **wrong})
    assert row(maintenance, cast) == before
    assert page.shown.count('is-wrong') == len(wrong)
    for typed in ('https://portal.example/x', 'green', '٣', 'Mo–Fr 7:30–18:00'):
        assert typed in page.shown


@pytest.mark.parametrize(
    ('host', 'kept'), [('Portal.Example.COM.', 'portal.example.com'), ('münchen.example', 'xn--mnchen-3ya.example'), ('', None)]
)
async def test_a_host_is_kept_as_browsers_send_it(
    visit_as: Any, cast: Cast, maintenance: str, host: str, kept: str | None
) -> None:
    mona = await visit_as(cast.mona)
    with psycopg.connect(maintenance) as c:
        c.execute('update tenant set host = null where host = %s', (kept,))  # of an earlier run
    async with mona.work() as db:
        await change_tenant(db, mona.by, host=host)
    assert row(maintenance, cast)['host'] == kept


async def test_a_host_that_another_has_is_refused(visit_as: Any, cast: Cast, maintenance: str) -> None:
    mona = await visit_as(cast.mona)
    with pytest.raises(Wrong) as refusal:
        async with mona.work() as db:
            await change_tenant(db, mona.by, name='Changed as well', host=cast.southgate.host)
    assert list(refusal.value.fields) == ['host']
    assert row(maintenance, cast)['name'] == 'Northwind IT'


async def test_nobody_gets_in_front_of_who_answers_at_the_portals_own_address(
    visit_as: Any, cast: Cast, maintenance: str, settings: Settings
) -> None:
    """Northwind answers where no tenant is named. Stan cannot take the portal's own name, nor the one the operator named."""
    tenants.forget()
    there = replace(settings, url='https://msp.example.net', tenant=cast.northwind.host)
    taken, stan = await tenants.taken(there, cast.southgate.id), await visit_as(cast.stan)
    assert taken == {'msp.example.net', cast.northwind.host}
    assert await tenants.taken(there, cast.northwind.id) == set()
    tenants.forget()
    for wanted in ({'host': 'MSP.Example.net.'}, {'name': cast.northwind.host}):
        with pytest.raises(Wrong) as refusal:
            async with stan.work() as db:
                await change_tenant(db, stan.by, taken=taken, **wanted)
        assert list(refusal.value.fields) == list(wanted)
    assert row(maintenance, cast, 'southgate')['name'] == 'Southgate Systems'
