"""What it takes to write: a ticket and a reply with all that belongs to them, beside the same rows by SQL by hand.

With them come the audit log, the notification of everyone concerned, and the letters in the outbox with their jobs.
"""

import functools
from typing import Any, LiteralString

import psycopg
from psycopg.types.json import Jsonb

from bench.data import Someone
from bench.database import visit_of
from bench.measure import Line, Way, in_turn, median, within
from portal import visit
from portal.db import engine
from portal.db.server import Cluster
from portal.domain.tickets import open_ticket, reply, ticket_by_number
from portal.visit import Visit

MOST = 15  # ms, server
TEXT = 'It happens since this morning on every second device; restarting it does not help. ' * 3

_COMMENT: LiteralString = """
  insert into ticket_comment (id, tenant_id, company_id, ticket_id, author_id, body)
  values (gen_random_uuid(), %(tenant)s, %(company)s, %(ticket)s, %(me)s, %(text)s) returning id"""
_TELL: LiteralString = """
  insert into notification (id, tenant_id, user_id, company_id, ticket_id, kind, actor_id)
  select gen_random_uuid(), %(tenant)s, unnest(%(people)s::uuid[]), %(company)s, %(ticket)s, 'reply', %(me)s"""
_PROMISE: LiteralString = """
  insert into mail_outbox (id, tenant_id, kind, to_user_id, actor_id, company_id, ticket_id, comment_id)
  select gen_random_uuid(), %(tenant)s, 'reply', unnest(%(people)s::uuid[]), %(me)s, %(company)s, %(ticket)s, %(comment)s returning id"""
_JOB: LiteralString = "select app.defer(%(tenant)s, 'send_letter', %(args)s)"
_AUDIT: LiteralString = """
  insert into audit (tenant_id, company_id, actor_id, action, subject_id) values (%(tenant)s, %(company)s, %(me)s, 'ticket.opened', %(ticket)s)"""


async def lines(cluster: Cluster, people: dict[str, Someone], times: int) -> list[Line]:
    visit.database = engine.connect(cluster)
    async with await psycopg.AsyncConnection.connect(cluster.admin() or '', autocommit=True) as db:
        try:
            big, staff = people['big'], people['staff']
            of_big, of_staff = await visit_of(big), await visit_of(staff)
            row = await (await db.execute(
                """select id, number, requester_id from ticket where tenant_id = %s and company_id = %s and queue_rank < 20
                   and assignee_id is not null order by changed_at desc limit 1""", (big.tenant_id, big.company_id),
            )).fetchone()  # fmt: skip
            assert row
            ticket, number, requester = row
            opened = await (await db.execute(
                "select id from users where tenant_id = %s and staff_role is not null", (big.tenant_id,)
            )).fetchall()  # fmt: skip
            helpers = [each[0] for each in opened]
            found: list[Line] = []
            pairs: list[tuple[str, Way, Way]] = [
                ('a client opens a ticket, 10 staff told', functools.partial(_by_hand, db, big, None, helpers), _opening(of_big)),
                ('staff reply, the requester told', functools.partial(_by_hand, db, staff, ticket, [requester], big.company_id),
                 _replying(of_staff, number)),
            ]  # fmt: skip
            for what, hand, ours in pairs:
                taken = await in_turn({'hand': hand, 'ours': ours}, times)
                hand_ms, ours_ms = median(taken['hand']), median(taken['ours'])
                found.append(within(f'{what}: with audit, bell and outbox', ours_ms, MOST, unit='ms', digits=1,
                                    baseline=f'{hand_ms:.1f} ms', value=f'{ours_ms / hand_ms:.1f} ×'))  # fmt: skip
            return found
        finally:
            await visit.database.close()


async def _by_hand(db: psycopg.AsyncConnection[Any], who: Someone, ticket: Any, told: list[Any], company: Any = None) -> None:
    values: dict[str, Any] = {'tenant': who.tenant_id, 'company': company or who.company_id, 'me': who.user_id, 'ticket': ticket,
                              'text': TEXT, 'people': told}  # fmt: skip
    async with db.transaction():
        if ticket is None:
            row = await (await db.execute(
                """insert into counter values (%(tenant)s, 'ticket', 1) on conflict (tenant_id, kind) do update set value = counter.value + 1
                   returning value""", values,
            )).fetchone()  # fmt: skip
            assert row
            row = await (await db.execute(
                """insert into ticket (id, tenant_id, company_id, number, subject, status, priority, visibility, requester_id, author_id)
                   values (gen_random_uuid(), %(tenant)s, %(company)s, %(number)s, 'The printer is slow', 'new', 'normal', 'company', %(me)s, %(me)s)
                   returning id""", {**values, 'number': row[0]},
            )).fetchone()  # fmt: skip
            assert row
            values['ticket'] = row[0]
        said = await (await db.execute(_COMMENT, values)).fetchone()
        assert said
        values['comment'] = said[0]
        await db.execute('update ticket set last_comment_id = %(comment)s, changed_at = now() where id = %(ticket)s', values)
        await db.execute(_TELL, values)
        for letter in await (await db.execute(_PROMISE, values)).fetchall():
            await db.execute(_JOB, {'tenant': who.tenant_id, 'args': Jsonb({'letter': str(letter[0])})})
        if ticket is None:
            await db.execute(_AUDIT, values)


def _opening(by: Visit) -> Way:
    async def write() -> None:
        assert by.by.company
        async with by.work() as db:
            await open_ticket(
                db, by.by, company_id=by.by.company.id, requester_id=by.by.user_id, subject='The printer is slow', text=TEXT,
                priority='normal', visibility='company',
            )  # fmt: skip

    return write


def _replying(by: Visit, number: int) -> Way:
    async def write() -> None:
        async with by.work() as db:
            await reply(db, by.by, await ticket_by_number(db, number, lock=True), TEXT, then='waiting_client')

    return write
