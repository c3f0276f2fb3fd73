"""Letters about who belongs where: to an old address, and to nobody of a company that is archived."""

from collections.abc import Awaitable, Callable

import psycopg

from portal import visit
from portal.db.cast import Cast, Member
from portal.domain.clients import change_email
from portal.domain.companies import archive_company
from portal.domain.tickets import reply, ticket_by_number
from portal.visit import Visit
from tests.workers import Outbox, Postman, Working, part

VisitAs = Callable[[Member], Awaitable[Visit]]


async def test_both_addresses_hear_of_a_change(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working
) -> None:
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        await change_email(db, mona.by, cast.ugo.user_id, 'ugo.marchetti@acme.example')
    async with working():
        await outbox.quiet()
    to_new, to_old = (
        [m for m in post.letters if m['X-Envelope'] == address] for address in ('ugo.marchetti@acme.example', 'ugo@acme.example')
    )
    assert len(to_new) == len(to_old) == 1
    assert 'From now on you sign in with it' in part(to_new[0], 'plain').replace('\n', ' ')
    old = part(to_old[0], 'plain').replace('\n', ' ')
    assert 'you no longer sign in with this one' in old
    assert 'ugo.marchetti@' not in old + part(to_old[0], 'html')  # whoever reads there now need not know


async def test_nobody_of_an_archived_company_gets_a_letter_about_it(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working
) -> None:  # fmt: skip
    tess, mona = await visit_as(cast.tess), await visit_as(cast.mona)
    async with tess.work() as db:
        await reply(db, tess.by, await ticket_by_number(db, cast.printer.number), 'It was the drum.')
    async with mona.work() as db:
        await archive_company(db, mona.by, cast.acme.id)
    async with working():
        await outbox.quiet()
    assert outbox.states('reply', cast.ugo) == ['dropped']
    assert not post.to(cast.ugo)


async def test_a_letter_for_a_new_password_says_that_it_is_not_enough(
    cast: Cast, post: Postman, outbox: Outbox, working: Working, maintenance: str
) -> None:
    """To whom comes in by an identity provider only, and to nobody else."""
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute('update identity_provider set enabled = true where company_id = %s', (cast.acme.id,))
    for who in (cast.ada, cast.bea):
        await visit.database.ask(
            "select app.ask_reset(:tenant, 'client', :email, 'password_reset')", tenant=who.tenant_id, email=who.email
        )
    async with working():
        await outbox.quiet()
    for who, told in ((cast.ada, True), (cast.bea, False)):
        [letter] = post.to(who)
        assert ('with a password you cannot come in' in part(letter, 'plain').replace('\n', ' ')) is told
