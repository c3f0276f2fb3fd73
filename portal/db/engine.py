"""The pools, one per login role, and the one way to a session: through a context."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal, cast

from psycopg.errors import InvalidAuthorizationSpecification
from sqlalchemy import QueuePool, event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session as OrmSession
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.db.server import Cluster

Role = Literal['staff', 'client', 'door', 'worker']
ROLES: tuple[Role, ...] = ('staff', 'client', 'door', 'worker')
#: From which network the request at the door comes: the audit log keeps it.
whence: ContextVar[str] = ContextVar('whence', default='')


class SignedOut(Exception):
    """The session is over: revoked, expired, or its person may no longer come in here."""


class NoContext(Exception):
    """A transaction without a principal: always a fault in the program."""


@dataclass(frozen=True)
class Database:
    """The portal's connections to one database."""

    cluster: Cluster
    engines: dict[Role, AsyncEngine]

    def conninfo(self, role: Role) -> str:
        return self.cluster.conninfo(f'portal_{role}')

    @asynccontextmanager
    async def work(self, role: Role, enter: str, *key: Any, steady: bool = False) -> AsyncGenerator[AsyncSession]:
        """One unit of work: one transaction, its context entered at its begin, one commit at its end.

        `steady`: what others change meanwhile is not seen, however many questions are asked.
        Raises SignedOut when the context may not be entered (any more).
        """
        try:
            async with AsyncSession(self.engines[role], expire_on_commit=False) as db:
                db.sync_session.info['enter'] = (enter, key)
                await _enter(db, {'isolation_level': 'REPEATABLE READ'} if steady else {})
                yield db
                await db.commit()
        except DBAPIError as e:
            if isinstance(e.orig, InvalidAuthorizationSpecification):
                raise SignedOut from None
            raise

    async def ask(self, question: str, **values: Any) -> Any:
        """A question of the door, which needs no context: first row or None. Retried once on a connection that died."""
        for last in (False, True):
            try:
                async with self.engines['door'].begin() as connection:
                    if network := whence.get():
                        await connection.execute(text("select set_config('app.network', :network, true)"), {'network': network})
                    return (await connection.execute(text(question), values)).first()
            except DBAPIError as e:
                if last or not e.connection_invalidated:
                    raise
        raise AssertionError

    @property
    def at_work(self) -> bool:
        """Whether something is being done for somebody."""
        return any(_in_use(self.engines[role]) for role in ('staff', 'client', 'door'))

    async def close(self) -> None:
        for engine in self.engines.values():
            await engine.dispose()


def _in_use(engine: AsyncEngine) -> int:
    return cast(QueuePool, engine.pool).checkedout()


async def _enter(db: AsyncSession, options: dict[str, Any]) -> None:
    """At the door, not at the first query (`after_begin` waits for that): a dead session must not start its handler.

    A connection that died in the pool (server restarted) is replaced here, where nothing has been done yet.
    """
    try:
        await db.connection(execution_options=options)
    except DBAPIError as e:
        if not e.connection_invalidated:
            raise
        await db.rollback()
        await db.connection(execution_options=options)


def connect(cluster: Cluster, *, pool_size: int = 5) -> Database:
    """Nothing is opened here; each pool connects at its first use, on the loop that uses it.

    At most 2 × pool_size connections for each side, half as many for the door, and a few for the worker.
    """

    def engine(role: Role) -> AsyncEngine:
        size = pool_size if role in ('staff', 'client') else max(2, pool_size // 2)
        return create_async_engine(
            cluster.url(f'portal_{role}'), hide_parameters=True, pool_size=size, max_overflow=size, pool_recycle=1800,
            pool_timeout=10, pool_use_lifo=True,  # a connection that was just used has its statements prepared
            connect_args={'options': '-c timezone=UTC', 'connect_timeout': 5, 'prepare_threshold': 2},
        )  # fmt: skip

    return Database(cluster, {role: engine(role) for role in ROLES})


@event.listens_for(OrmSession, 'after_begin')  # also fires for AsyncSession, inside its greenlet
def enter_context(session: OrmSession, transaction: Any, connection: Any) -> None:
    if transaction.nested:
        return  # a savepoint stays in the context of its transaction
    if 'enter' not in session.info:
        raise NoContext
    function, key = session.info['enter']
    places = ', '.join(['%s'] * len(key))
    connection.exec_driver_sql(f'select app.{function}({places})', key)  # fixed names, never input
