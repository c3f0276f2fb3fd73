"""Lines of the audit log that pages and doors write, not verbs."""

from typing import Any
from uuid import UUID

import psycopg

from portal.db.cast import PASSWORD, Cast, Member
from tests.visitor import Visitor

Someone = type[Visitor]
OF_CAST = ('ticket.opened',)  # of the cast's own past


def lines(maintenance: str, who: Member) -> list[tuple[str, UUID | None, UUID | None, Any]]:
    """Action, company, subject and detail of what they did."""
    with psycopg.connect(maintenance) as c:
        found = c.execute(
            'select action, company_id, subject_id, detail from audit where actor_id = %s order by at', (who.user_id,)
        )
        return [line for line in found.fetchall() if line[0] not in OF_CAST]


async def test_staff_who_read_a_private_ticket_are_named(visitor: Someone, cast: Cast, maintenance: str) -> None:
    """Once for a page; nothing for one that the company sees, and nothing for the people in it."""
    await visitor(cast.tess).get(f'/msp/tickets/{cast.printer.label}')
    page = await visitor(cast.tess).get(f'/msp/tickets/{cast.payroll.label}')
    await page.act('say', body='On it', do='note')  # read anew
    await visitor(cast.ada).get(f'/client-portal/acme/tickets/{cast.payroll.label}')
    assert lines(maintenance, cast.tess) == [('ticket.private_read', cast.acme.id, cast.payroll.id, {})]
    assert lines(maintenance, cast.ada) == []


async def test_coming_and_going(visitor: Someone, cast: Cast, maintenance: str) -> None:
    browser = visitor(host=cast.northwind.host).http
    await browser.post('/auth/client-portal/signin', data={'email': cast.bill.email, 'password': 'not this one at all'})
    await browser.post('/auth/client-portal/signin', data={'email': cast.bill.email, 'password': PASSWORD})
    await browser.post('/auth/signout')
    me = cast.bill.user_id
    found = lines(maintenance, cast.bill)
    assert [line[:3] for line in found] == [(f'session.{what}', None, me) for what in ('refused', 'opened', 'ended')]
    assert PASSWORD not in repr(found)


async def test_staff_who_have_a_private_ticket_in_a_list_a_search_or_an_export(
    visitor: Someone, cast: Cast, maintenance: str
) -> None:
    """Once a day for each person and ticket; not what the company sees, and nothing of clients."""

    def found(who: Member) -> set[tuple[str, UUID | None, str]]:
        return {
            (action, about, detail['how'])
            for action, _company, about, detail in lines(maintenance, who)
            if action == 'tickets.private_listed'
        }

    listed = {cast.payroll.id, cast.salary.id}
    for _twice in range(2):
        page = await visitor(cast.tess).get('/msp?view=all')
        await page.go('/msp')
    assert {about for _a, about, _how in found(cast.tess)} <= listed
    assert len(found(cast.tess)) == len([line for line in lines(maintenance, cast.tess) if line[0] == 'tickets.private_listed'])
    await visitor(cast.finn).get(f'/msp?q={cast.payroll.label}')
    assert ('tickets.private_listed', cast.payroll.id, 'search') in found(cast.finn)
    await visitor(cast.mona).get('/msp/companies/acme')
    assert found(cast.mona)
    await visitor(cast.ada).get('/client-portal/acme/tickets?view=all')
    assert not found(cast.ada)
