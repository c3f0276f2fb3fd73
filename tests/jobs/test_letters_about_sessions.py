"""What people hear of sign-ins: a device that is new, and somebody who was signed in as they."""

import hashlib
import secrets
from collections.abc import Awaitable, Callable

from portal import visit
from portal.db.cast import Cast, Member
from portal.db.engine import whence
from portal.domain.sessions import disown_sessions
from portal.settings import Settings
from portal.visit import Visit
from tests.factors import Phone
from tests.workers import Outbox, Postman, Working, part

VisitAs = Callable[[Member], Awaitable[Visit]]


async def sign_in(who: Member, device: str) -> None:
    token = whence.set('203.0.113.0/24')
    await visit.database.ask(
        'select app.open_session(:token, :tenant, :user, :device, :proofs, :key)', token=hashlib.sha256(secrets.token_bytes(8)).digest(),
        tenant=who.tenant_id, user=who.user_id, device=device, proofs=['password'], key=secrets.token_bytes(32),
    )  # fmt: skip
    whence.reset(token)


async def test_a_new_device_is_told_with_where_and_when(cast: Cast, post: Postman, outbox: Outbox, working: Working) -> None:
    for _n in range(3):  # a browser that keeps no cookies
        await sign_in(cast.ada, 'Firefox · Windows')
    async with working():
        await outbox.quiet()
    [letter] = post.to(cast.ada)
    text = part(letter, 'plain').replace('\n', ' ')
    assert 'Firefox · Windows (203.0.113.0/24)' in text
    assert '/client-portal/settings/security' in text


async def test_who_was_not_alone_gets_a_link_and_admins_hear_of_it(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working, maintenance: str, settings: Settings
) -> None:  # fmt: skip
    Phone(maintenance, settings, cast.ada, 'Thief’s phone')
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        await disown_sessions(db, ada.by)
    async with working():
        await outbox.quiet()
    [to_ada], [to_mona] = post.to(cast.ada), post.to(cast.mona)
    assert 'set-new-password?token=' in part(to_ada, 'plain')
    assert '“Thief’s phone”' in part(to_ada, 'plain').replace('\n', ' ')
    assert f'/msp/people/{cast.ada.user_id}' in part(to_mona, 'plain')
    assert 'token=' not in part(to_mona, 'plain')
    assert not post.to(cast.tess)  # a technician does not decide about access
    assert not post.to(cast.ugo)
    assert not post.to(cast.stan)
