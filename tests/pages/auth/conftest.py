"""Somebody at the doors of a tenant of their own."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import httpx
import psycopg
import pytest
from sqlalchemy import event

from portal import links, visit
from portal.db.cast import Cast, Member
from portal.db.engine import Database
from portal.settings import Settings
from tests.visitor import Visitor

CLIENT, STAFF = '/auth/client-portal/signin', '/auth/msp/signin'
SET = '/auth/password-reset/set-new-password'
NEW = 'moss-lantern-quarry-eleven'


@pytest.fixture
def browser(visitor: type[Visitor], cast: Cast) -> Callable[..., httpx.AsyncClient]:
    """`browser()`: a fresh one, at Northwind; it keeps cookies."""

    def make(who: Member | None = None, host: str = cast.northwind.host) -> httpx.AsyncClient:
        return visitor(who, host=host).http

    return make


Sql = Callable[..., list[Any]]


@pytest.fixture
def sql(maintenance: str) -> Sql:
    """Rows of the database, past everything that protects them."""

    def ask(question: str, *values: Any) -> list[Any]:
        with psycopg.connect(maintenance, autocommit=True) as connection:
            cursor = connection.execute(question, values)  # pyright: ignore[reportArgumentType, reportCallIssue]
            return cursor.fetchall() if cursor.description else []

    return ask


@pytest.fixture
def long_waits(maintenance: str) -> Iterator[None]:
    """Every wait is sixty times as long: it cannot be over because a busy machine was slow."""
    with psycopg.connect(maintenance) as c:
        c.execute("""create function public.wait_longer() returns trigger language plpgsql as $$ begin
            if new.blocked_until > clock_timestamp() and new.blocked_until is distinct from old.blocked_until then
              new.blocked_until := clock_timestamp() + (new.blocked_until - clock_timestamp()) * 60; end if; return new; end $$;
            create trigger wait_longer before update on attempt for each row execute function wait_longer()""")
    yield
    with psycopg.connect(maintenance) as c:
        c.execute('drop trigger wait_longer on attempt; drop function public.wait_longer')


@pytest.fixture
def questions(portal: Database) -> Any:
    """What the door has been asked since the list was cleared."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        asked.append(statement)

    engine = portal.engines['door'].sync_engine
    event.listen(engine, 'before_cursor_execute', note)
    yield asked
    event.remove(engine, 'before_cursor_execute', note)


async def reset_link(settings: Settings, tenant: UUID, user: UUID) -> str:
    """The token that the letter carries."""
    question = 'select mark from app.person_for_reset(:tenant, :user)'
    row = await visit.database.ask(question, tenant=tenant, user=user)
    return links.password_token(settings, tenant, user, 'reset', row.mark)


async def sign_in(browser: httpx.AsyncClient, email: str, password: str, door: str = CLIENT) -> httpx.Response:
    return await browser.post(door, data={'email': email, 'password': password})
