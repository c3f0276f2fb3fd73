"""The same rows by SQL as one would write it by hand for each question: every predicate explicit, no row security."""

from typing import Any, LiteralString

from psycopg import AsyncConnection

from bench.data import Someone

_COLUMNS: LiteralString = """
  select t.id, t.number, t.subject, t.status, t.priority, t.visibility, t.changed_at, t.queue_rank, t.company_id, c.name, c.slug,
    t.requester_id, r.name, t.assignee_id, a.name, left(m.body, 300), s.name
  from ({page}) t join company c on c.id = t.company_id join users r on r.id = t.requester_id
    left join users a on a.id = t.assignee_id left join ticket_comment m on m.id = t.last_comment_id
    left join users s on s.id = m.author_id
  order by {order}"""
_NEWEST: LiteralString = 'changed_at desc, id desc'
_COMPANY: LiteralString = """
  select * from ticket t where tenant_id = %(tenant)s and company_id = %(company)s and (visibility = 'company'
    or requester_id = %(me)s or exists (select from ticket_participant p where p.ticket_id = t.id and p.user_id = %(me)s))"""


def _listing(page: LiteralString, order: LiteralString = _NEWEST) -> str:
    return _COLUMNS.format(page=f'{page} order by {order} limit 26', order=', '.join(f't.{part}' for part in order.split(', ')))


COMPANY_OPEN = _listing(_COMPANY + ' and queue_rank < 30')
COMPANY_ALL = _listing(_COMPANY)
COMPANY_DEEP = _listing(_COMPANY + ' and (changed_at, id) < (%(at)s, %(id)s)')
COMPANY_WORDS = _listing(
    _COMPANY
    + """ and id in (
  select ticket_id from ticket_text where company_id = %(company)s and words @@ to_tsquery('simple', %(words)s))"""
)
OWN_ALL = _listing("""
  select * from (
    select * from ticket where tenant_id = %(tenant)s and company_id = %(company)s and requester_id = %(me)s
    union
    select t.* from ticket_participant p join ticket t on t.id = p.ticket_id
    where p.tenant_id = %(tenant)s and p.user_id = %(me)s and t.company_id = %(company)s) own""")
_TENANT: LiteralString = 'select * from ticket where tenant_id = %(tenant)s'
_TURN: LiteralString = 'queue_rank, changed_at, id'
QUEUE = _listing(_TENANT + ' and queue_rank < 30', _TURN)
QUEUE_DEEP = _listing(_TENANT + ' and queue_rank < 30 and (queue_rank, changed_at, id) > (%(rank)s, %(at)s, %(id)s)', _TURN)
TENANT_WORDS = _listing("""
  select * from ticket where id in (
    select ticket_id from ticket_text where tenant_id = %(tenant)s and staff_words @@ to_tsquery('simple', %(words)s)
    order by ticket_id desc limit 500)""")

_SEEN: LiteralString = """
  tenant_id = %(tenant)s and company_id = %(company)s"""
TICKET = f'select t.*, c.* from ({_COMPANY} and number = %(number)s) t join company c on c.id = t.company_id'
COMMENTS = f'select * from ticket_comment where {_SEEN} and ticket_id = %(id)s and not is_internal order by id desc limit 201'
EVENTS = f'select * from ticket_event where {_SEEN} and ticket_id = %(id)s and not is_internal order by id desc limit 200'
PARTICIPANTS = f'select user_id from ticket_participant where {_SEEN} and ticket_id = %(id)s'
NAMED = 'select * from users where tenant_id = %(tenant)s and id = any(%(people)s)'


class ByHand:
    """Somebody's questions, prepared, without any transaction around them."""

    def __init__(self, db: AsyncConnection, who: Someone) -> None:
        self.db, self.who = db, {'tenant': who.tenant_id, 'company': who.company_id, 'me': who.user_id}

    async def rows(self, question: str, **values: Any) -> list[Any]:
        return await (await self.db.execute(question.encode(), {**self.who, **values}, prepare=True)).fetchall()

    async def conversation(self, number: int) -> None:
        ticket = (await self.rows(TICKET, number=number))[0]
        comments = await self.rows(COMMENTS, id=ticket[0])
        events = await self.rows(EVENTS, id=ticket[0])
        copied = await self.rows(PARTICIPANTS, id=ticket[0])
        people = {*ticket[8:11], *(row[0] for row in copied), *(row[4] for row in comments), *(row[4] for row in events)}
        await self.rows(NAMED, people=list(people - {None}))
