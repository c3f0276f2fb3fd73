"""Letters about how somebody comes in: written by jobs, since functions of the database promise them."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import psycopg
import pytest

from portal.db.cast import Cast, Member
from portal.domain import policy, recovery
from portal.domain.base import now
from portal.jobs.access import ask_for_reminders
from portal.mail.access import KINDS
from portal.settings import Settings
from portal.visit import Visit
from tests.factors import Phone
from tests.workers import Outbox, Postman, Working, part, until

VisitAs = Callable[[Member], Awaitable[Visit]]


@pytest.fixture
def phone(maintenance: str, settings: Settings, cast: Cast) -> Phone:
    """Ugo has a factor that he can have lost."""
    return Phone(maintenance, settings, cast.ugo)


async def arrived(post: Postman, who: Member, n: int) -> list[str]:
    """The plain texts of so many letters, on one line each."""
    await until(lambda: len(post.to(who)) >= n)
    return [part(letter, 'plain').replace('\n', ' ') for letter in post.to(who)]


@pytest.mark.usefixtures('phone')
async def test_who_is_helped_hears_of_it_and_gets_the_link(
    visit_as: VisitAs, cast: Cast, post: Postman, working: Working
) -> None:  # fmt: skip
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        await recovery.start_recovery(db, mona.by, cast.ugo.user_id, 'Phone lost', spoken=True)
    async with working():
        letters = await arrived(post, cast.ugo, 2)
    stop, use = sorted(letters, key=lambda text: '/auth/recovery?token=' in text)
    assert f'http://{cast.ugo.host}' in stop and '/auth/recovery/stop?token=' in stop and 'Mona Reyes says' in stop
    assert '/auth/recovery?token=' in use and 'Phone lost' not in use + stop


@pytest.mark.usefixtures('phone')
async def test_the_link_of_what_was_stopped_goes_to_nobody(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working
) -> None:  # fmt: skip
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        await recovery.start_recovery(db, mona.by, cast.ugo.user_id, 'Phone lost', spoken=True)
    async with mona.work() as db:
        await recovery.stop_recovery(db, mona.by, cast.ugo.user_id)
    async with working():
        kinds = 'recovery_started', 'recovery_ready'
        await until(lambda: all(outbox.states(kind, cast.ugo) == ['dropped'] for kind in kinds))
    assert not post.to(cast.ugo)


async def test_reminded_before_the_day(
    visit_as: VisitAs, cast: Cast, post: Postman, working: Working, maintenance: str
) -> None:  # fmt: skip
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute("update membership set created_at = now() - interval '30 days' where tenant_id = %s", (cast.northwind.id,))
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        day = now().date() + timedelta(days=6)
        await policy.add_rule(db, mona.by, user_type='client', role='ClientAdmin', company_id=None, from_on=day, grace_days=0)
    async with working():
        await ask_for_reminders(0)
        letters = await arrived(post, cast.ada, 1)
    assert 'asks you for more than a password' in letters[0] and '/settings/security' in letters[0]
    assert not post.to(cast.ugo)


def test_every_kind_has_words() -> None:
    from types import SimpleNamespace

    from portal.mail import access

    someone = SimpleNamespace(name='Ada Brandt')
    for kind in KINDS:
        facts = SimpleNamespace(kind=kind, to=someone, actor=someone, tenant=SimpleNamespace(name='Northwind IT'), due=now())
        assert access.subject(facts) and len(access.paragraphs(facts)) > 1 and access.button(facts)  # type: ignore[arg-type]
