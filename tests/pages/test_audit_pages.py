"""The audit log on screen, for staff and for client admins, and as a file."""

import csv
import io
import re
from html import unescape
from typing import Any
from uuid import UUID

import psycopg
import pytest

from portal.db.cast import Cast
from portal.pages import trail_files
from tests.domain.test_trail import write
from tests.visitor import Page, Visitor

Someone = type[Visitor]


def words(page: Page) -> str:
    return re.sub(r'\s+', ' ', unescape(re.sub(r'<[^>]+>', ' ', page.shown)))


def keys(page: Page) -> list[str]:
    return re.findall(r'<tr data-key="([0-9a-f-]{36})"', page.shown)


def lines(maintenance: str, action: str, actor: UUID) -> list[Any]:
    with psycopg.connect(maintenance) as c:
        found = c.execute('select detail from audit where action = %s and actor_id = %s order by at', (action, actor))
        return [row[0] for row in found.fetchall()]


async def test_staff_read_who_did_what(visitor: Someone, cast: Cast, maintenance: str) -> None:
    line = write(maintenance, cast, 'role.changed', company=cast.acme.id, actor=cast.mona.user_id, subject=cast.ugo.user_id,
                 detail='{"before": "ClientUser", "after": "ClientAdmin"}')  # fmt: skip
    page = await visitor(cast.mona).get('/msp/audit')
    assert page.status == 200
    assert 'Mona Reyes staff Changed the role of Ugo Marchetti to Client admin Acme Dental' in words(page)
    assert 'Role before' not in words(page)
    await page.act('unfold', str(line))
    assert 'before after Role Client user Client admin' in words(page)
    await page.act('unfold', str(line))
    assert 'before after' not in words(page)


async def test_filters_stand_in_the_address(visitor: Someone, cast: Cast, maintenance: str) -> None:
    mine = write(maintenance, cast, 'role.changed', company=cast.acme.id, actor=cast.mona.user_id, subject=cast.ugo.user_id)
    bolts = write(maintenance, cast, 'person.added', company=cast.bolt.id, actor=cast.tess.user_id, subject=cast.bea.user_id)
    mona = visitor(cast.mona)
    assert {str(mine), str(bolts)} <= set(keys(await mona.get('/msp/audit?kind=people')))
    assert keys(await mona.get(f'/msp/audit?company={cast.bolt.id}&kind=people')) == [str(bolts)]
    assert str(bolts) in keys(await mona.get('/msp/audit?q=Tess&days=7'))
    page = await mona.get('/msp/audit')
    await page.act('search', q='Tess')
    assert str(bolts) in keys(page)
    assert str(mine) not in keys(page)
    nonsense = await mona.get('/msp/audit?person=x&company=1&days=yes&older=1_2&newer=x&kind=%27&q=%00%25')
    assert nonsense.status == 200


async def test_paging_goes_on_where_it_was(visitor: Someone, cast: Cast, maintenance: str) -> None:
    for n in range(55):
        write(maintenance, cast, 'session.opened', actor=cast.bill.user_id, subject=cast.bill.user_id, minutes_ago=n)
    mona = visitor(cast.mona)
    first = await mona.get(f'/msp/audit?person={cast.bill.user_id}&kind=signin')
    older = re.search(r'href="([^"]+older=[^"]+)"', first.shown)
    assert older
    second = await mona.get(unescape(older[1]))
    assert len(keys(first)) == 50
    assert len(keys(second)) == 5
    assert not set(keys(first)) & set(keys(second))


async def test_a_client_admin_reads_what_concerns_the_company(visitor: Someone, cast: Cast, maintenance: str) -> None:
    write(maintenance, cast, 'role.changed', company=cast.acme.id, actor=cast.mona.user_id, subject=cast.ugo.user_id,
          detail='{"before": "ClientUser", "after": "ClientBilling"}')  # fmt: skip
    page = await visitor(cast.ada).get('/client-portal/acme/settings/log')
    assert page.status == 200
    assert 'Mona Reyes Northwind Changed the role of Ugo Marchetti to Client billing' in words(page)
    assert 'Sealed' not in words(page)
    assert cast.salary.label not in page.html
    for somebody, path in ((cast.ugo, 'acme'), (cast.bill, 'acme'), (cast.mel_bolt, 'bolt')):
        assert (await visitor(somebody).get(f'/client-portal/{path}/settings/log')).status == 403


async def test_the_chain_stands_at_the_foot(visitor: Someone, cast: Cast, portal: Any) -> None:
    from portal.jobs.auditing import seal

    await seal(portal)
    assert re.search(r'\d+ lines?, sealed until \d+', words(await visitor(cast.mona).get('/msp/audit')))


async def test_it_leaves_as_a_file_without_formulas(visitor: Someone, cast: Cast, maintenance: str) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute("update users set name = '=cmd|x' where id = %s", (cast.ugo.user_id,))
    write(
        maintenance,
        cast,
        'viewing.begun',
        company=cast.acme.id,
        actor=cast.ugo.user_id,
        subject=cast.ugo.user_id,
        detail='{"reason": "+1"}',
    )
    answer = (await visitor(cast.mona).get('/msp/audit/export.csv?days=7')).answer
    assert answer.status_code == 200
    rows = list(csv.reader(io.StringIO(answer.content.decode('utf-8-sig'))))
    assert rows[0][:4] == ['When', 'Who', 'As', 'Did what']
    told = next(row for row in rows if row[1] == "'=cmd|x")
    assert "'+1" in told
    assert lines(maintenance, 'audit.exported', cast.mona.user_id)[0]['format'] == 'csv'
    xlsx = (await visitor(cast.mona).get('/msp/audit/export.xlsx')).answer
    assert xlsx.content[:2] == b'PK'
    ours = (await visitor(cast.ada).get('/client-portal/acme/settings/log/export.csv')).answer
    assert ours.status_code == 200
    assert 'Company' not in ours.text.splitlines()[0]
    assert cast.salary.label not in ours.text


async def test_a_file_that_ends_too_soon_says_so(
    visitor: Someone, cast: Cast, maintenance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute("""insert into audit (tenant_id, actor_id, action, subject_id, detail)
            select %s, %s, 'session.opened', %s, '{}' from generate_series(1, 5)""",
            (cast.northwind.id, cast.bill.user_id, cast.bill.user_id))  # fmt: skip
    monkeypatch.setattr(trail_files, 'PAGE', 2)
    path = f'/msp/audit/export.csv?person={cast.bill.user_id}'
    whole = (await visitor(cast.mona).get(path)).answer.text
    assert 'The file ends here' not in whole
    monkeypatch.setattr(trail_files, 'EXPORT_MOST', 4)
    rows = (await visitor(cast.mona).get(path)).answer.text.splitlines()
    assert 'The file ends here, after 4 lines.' in rows[-1]
    assert len(rows) == 1 + 4 + 1


async def test_the_file_needs_the_right_and_a_proof(visitor: Someone, cast: Cast, maintenance: str) -> None:
    assert (await visitor(cast.ugo).get('/client-portal/acme/settings/log/export.csv')).status == 404
    assert (await visitor(cast.tess).get('/msp/audit/export.csv')).status == 404
    assert (await visitor(cast.mona).get('/msp/audit/export.exe')).status == 404
    with psycopg.connect(maintenance) as c:
        c.execute("update session set proved_at = now() - interval '1 hour' where user_id = %s", (cast.mona.user_id,))
    led = (await visitor(cast.mona).get('/msp/audit/export.csv')).answer
    assert led.headers['location'] == '/auth/confirm?next=%2Fmsp%2Faudit'
    assert not lines(maintenance, 'audit.exported', cast.mona.user_id)


async def test_from_where_somebody_signed_in(visitor: Someone, cast: Cast, maintenance: str) -> None:
    """The network, not the address; what is done in that session has it, too."""
    from portal.db.cast import PASSWORD

    browser = visitor(host=cast.northwind.host).http
    await browser.post('/auth/client-portal/signin', data={'email': cast.ada.email, 'password': 'not this one at all'})
    await browser.post('/auth/client-portal/signin', data={'email': cast.ada.email, 'password': PASSWORD})
    await browser.get('/client-portal/bolt')
    with psycopg.connect(maintenance) as c:
        found = c.execute("""select action, network, session is not null from audit where actor_id = %s and action <> 'ticket.opened' order by at""",
                          (cast.ada.user_id,)).fetchall()  # fmt: skip
    assert found == [
        ('session.refused', '127.0.0.0/24', False), ('session.opened', '127.0.0.0/24', True), ('access.denied', '127.0.0.0/24', True),
    ]  # fmt: skip


async def test_how_long_it_is_kept(visitor: Someone, cast: Cast, maintenance: str) -> None:
    page = await visitor(cast.mona).get('/msp/audit')
    await page.act('keep', keep_signins_days='1', keep_reading_days='365', keep_changes_days='1095')
    assert 'A number of days from 30 to 3650.' in words(page)
    await page.act('keep', keep_signins_days='90', keep_reading_days='365', keep_changes_days='1095')
    assert lines(maintenance, 'audit.retention', cast.mona.user_id) == [
        {'before': {'keep_signins_days': 180}, 'after': {'keep_signins_days': 90}}
    ]
    assert 'Changed how long the log is kept' in words(page)
