"""The audit log, a million lines long: its first page and its filters, as staff and as a client admin hear it."""

import functools

import psycopg

from bench.data import Someone
from bench.database import visit_of
from bench.measure import Line, in_turn, median, within
from portal import visit
from portal.db import engine
from portal.db.server import Cluster
from portal.domain.trail import Asked, trail
from portal.visit import Visit

LINES = 1_000_000
MOST = 50  # ms
#: Nine of ten lines are nothing that a client hears of; what is looked for is rare.
FILL = """
    insert into audit (tenant_id, company_id, actor_id, action, subject_id, detail, at)
    select %(tenant)s, %(company)s, %(me)s, case when n %% 100000 = 1 then 'tickets.exported' when n %% 1000 = 1 then 'role.changed'
        else 'tickets.private_listed' end, case when n %% 1000 = 1 then %(me)s end, '{}', now() - make_interval(secs => 20 * n)
    from generate_series(1, %(lines)s - (select count(*) from audit where tenant_id = %(tenant)s)) n"""


def fill(connection: psycopg.Connection, tenant: object, company: object, me: object) -> None:
    """Sealing them is not what is measured: nothing waits for it."""
    connection.execute('set session_replication_role = replica')
    connection.execute(FILL, {'tenant': tenant, 'company': company, 'me': me, 'lines': LINES})
    connection.execute('set session_replication_role = origin')


async def lines(cluster: Cluster, people: dict[str, Someone], times: int) -> list[Line]:
    big, staff = people['big'], people['staff']
    with psycopg.connect(cluster.admin() or '', autocommit=True) as connection:
        fill(connection, big.tenant_id, big.company_id, big.user_id)
        connection.execute('vacuum analyze audit')
        connection.execute("update membership set role = 'ClientAdmin', role_id = null where user_id = %s", (big.user_id,))
        connection.execute("update users set staff_role = 'MspAdmin', staff_role_id = null where id = %s", (staff.user_id,))
    visit.database = engine.connect(cluster)
    try:
        return await measured({'staff': await visit_of(staff), 'client admin': await visit_of(big)}, big, times)
    finally:
        await visit.database.close()


async def measured(visits: dict[str, Visit], big: Someone, times: int) -> list[Line]:
    asked = {'first page': Asked(), 'a common kind': Asked(kind='people'), 'a rare kind': Asked(kind='exports'),
             'one person': Asked(person=big.user_id), 'one company': Asked(company=big.company_id)}  # fmt: skip
    ways = {f'log of {LINES:,} lines, {who}: {what}': functools.partial(_page, by, question)
            for who, by in visits.items() for what, question in asked.items()}  # fmt: skip
    taken = await in_turn(ways, times, warm_up=2)
    return [within(what, median(each), MOST, unit='ms') for what, each in taken.items()]


async def _page(by: Visit, asked: Asked) -> None:
    async with by.work() as db:
        await trail(db, by.by, asked)
