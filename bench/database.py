"""What the database answers: SQL by hand beside the domain's call in its unit of work."""

import functools
from collections.abc import Awaitable, Callable

import psycopg

from bench import byhand
from bench.byhand import ByHand
from bench.data import COMMON, RARE, Someone
from bench.measure import Line, Way, against, in_turn, median
from portal import visit
from portal.db import engine
from portal.db.server import Cluster
from portal.domain.tickets import Cursor, Where, conversation, listing
from portal.visit import Visit

DEEP = 4_000  # rows down the list
FACTOR, PLUS = 1.5, 2.0


async def lines(cluster: Cluster, people: dict[str, Someone], times: int) -> list[Line]:
    visit.database = engine.connect(cluster)
    async with await psycopg.AsyncConnection.connect(cluster.admin() or '', autocommit=True) as db:
        try:
            return [*await _beside_sql(db, people, times), *await _sizes(people, times)]
        finally:
            await visit.database.close()


async def _beside_sql(db: psycopg.AsyncConnection, people: dict[str, Someone], times: int) -> list[Line]:
    big, user, staff = (ByHand(db, people[key]) for key in ('big', 'user', 'staff'))
    of_big, of_user, of_staff = [await visit_of(people[key]) for key in ('big', 'user', 'staff')]
    row = (await big.rows(byhand.COMPANY_ALL.replace('limit 26', f'offset {DEEP} limit 1')))[0]
    deep = {'at': row[6], 'id': row[0]}
    row = (await staff.rows(byhand.QUEUE.replace('limit 26', 'offset 1000 limit 1')))[0]
    deep_queue = {'rank': row[7], 'at': row[6], 'id': row[0]}
    number = (await big.rows(byhand.COMPANY_ALL))[10][1]
    everything, turn = Where(group='all'), Where(sort='turn')
    pairs: list[tuple[str, Way, Way]] = [
        ('client, 5,000 tickets: list, open', _rows(big, byhand.COMPANY_OPEN), _listed(of_big, Where())),
        ('client, 5,000 tickets: list, all', _rows(big, byhand.COMPANY_ALL), _listed(of_big, everything)),
        (f'client, 5,000 tickets: page after row {DEEP:,}', _rows(big, byhand.COMPANY_DEEP, **deep),
         _listed(of_big, Where(group='all', cursor=Cursor((deep['at'], deep['id']))))),
        ('client who sees only their own of 5,000', _rows(user, byhand.OWN_ALL), _listed(of_user, everything)),
        (f'client, 5,000 tickets: search, common “{COMMON}”', _rows(big, byhand.COMPANY_WORDS, words=f'{COMMON}:*'),
         _listed(of_big, Where(group='all', words=COMMON))),
        (f'client, 5,000 tickets: search, rare “{RARE}”', _rows(big, byhand.COMPANY_WORDS, words=f'{RARE}:*'),
         _listed(of_big, Where(group='all', words=RARE))),
        ('client: one ticket of 1,000,000', functools.partial(big.conversation, number), _opened(of_big, number)),
        ('staff, 100,000 tickets: queue by turn', _rows(staff, byhand.QUEUE), _listed(of_staff, turn)),
        ('staff, 100,000 tickets: queue after row 1,000', _rows(staff, byhand.QUEUE_DEEP, **deep_queue),
         _listed(of_staff, Where(sort='turn', cursor=Cursor(tuple(deep_queue.values()))))),
        (f'staff, 100,000 tickets: search, common “{COMMON}”', _rows(staff, byhand.TENANT_WORDS, words=f'{COMMON}:*'),
         _listed(of_staff, Where(group='all', words=COMMON))),
        (f'staff, 100,000 tickets: search, rare “{RARE}”', _rows(staff, byhand.TENANT_WORDS, words=f'{RARE}:*'),
         _listed(of_staff, Where(group='all', words=RARE))),
    ]  # fmt: skip
    found: list[Line] = []
    for what, hand, ours in pairs:
        taken = await in_turn({'hand': hand, 'ours': ours}, times)
        found.append(against(what, median(taken['hand']), median(taken['ours']), factor=FACTOR, plus=PLUS))
    return found


async def _sizes(people: dict[str, Someone], times: int) -> list[Line]:
    small, big = [_listed(await visit_of(people[key]), Where()) for key in ('small', 'big')]
    taken = await in_turn({'small': small, 'big': big}, 2 * times)
    what = 'first page of 5,000 tickets beside one of 5'
    return [against(what, median(taken['small']), median(taken['big']), factor=1.3)]


async def a_number(cluster: Cluster, people: dict[str, Someone]) -> int:
    """Of a ticket of the big company that is not its newest."""
    async with await psycopg.AsyncConnection.connect(cluster.admin() or '', autocommit=True) as db:
        return (await ByHand(db, people['big']).rows(byhand.COMPANY_ALL))[10][1]


async def visit_of(who: Someone) -> Visit:
    arrival = await visit.arriving(who.cookie)
    assert arrival
    found = arrival.client(who.slug) if who.slug else arrival.staff()
    assert found
    return found


def _rows(hand: ByHand, question: str, **values: object) -> Callable[[], Awaitable[object]]:
    return lambda: hand.rows(question, **values)


def _listed(by: Visit, where: Where) -> Way:
    async def ask() -> None:
        async with by.work() as db:
            await listing(db, where)

    return ask


def _opened(by: Visit, number: int) -> Way:
    async def ask() -> None:
        async with by.work() as db:
            await conversation(db, number)

    return ask
