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
