"""Letters to those who are invited, to client admins who are asked, and about another address; sent by a real worker."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from sqlalchemy import text

from portal import links as signing
from portal import visit as visiting
from portal.db.cast import Cast, Member
from portal.db.engine import Database
from portal.domain.access import NotAllowed, ProofNeeded
from portal.domain.base import Wrong
from portal.domain.invitations import Wanted, invite, withdraw
from portal.domain.own_address import ask_for_address, call_off, wish
from portal.domain.reviews import Confirmed, confirm_review, people_to_review, standing
from portal.settings import Settings
from portal.visit import Visit, arriving
from tests.workers import Outbox, Postman, Working, links, part

VisitAs = Callable[[Member], Awaitable[Visit]]
NEW = 'ugo.new@acme.example'


def to(post: Postman, address: str) -> list[str]:
    return [part(letter, 'plain') for letter in post.letters if letter['X-Envelope'] == address]


def token(post: Postman, address: str) -> str:
    [letter] = [each for each in post.letters if each['X-Envelope'] == address]
    [link] = {link for link in links(letter) if 'token=' in link}
    return link.partition('token=')[2]


# ---------- invitations ----------


async def test_the_letter_names_who_invites_and_its_link_works(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working, settings: Settings
) -> None:
    ada = await visit_as(cast.ada)
    outbox.ask('update users set name = %s where id = %s', 'Ada <b>evil.example</b>\u2066', cast.ada.user_id)
    async with ada.work() as db:
        made = await invite(db, ada.by, cast.acme.id, Wanted('Jana Hofmann', 'jana@acme.example', 'ClientUser', 'de'))
        await invite(db, ada.by, cast.acme.id, Wanted('Tess', cast.tess.email, 'ClientUser'))
        gone = await invite(db, ada.by, cast.acme.id, Wanted('Gone', 'gone@acme.example', 'ClientUser'))
        await withdraw(db, ada.by, cast.acme.id, gone.id)
    async with working():
        await outbox.quiet()
    [letter] = [each for each in post.letters if each['X-Envelope'] == 'jana@acme.example']
    plain, html = part(letter, 'plain'), part(letter, 'html')
    assert 'Northwind IT' in plain
    assert 'Acme Dental' in plain
    assert '<b>evil' not in html
    assert 'evil.example' not in plain + html + letter['Subject']  # no mail program makes a link of it
    assert {link for link in links(letter) if 'northwind' not in link and cast.northwind.host not in link} == set()
    assert signing.read_invitation(settings, token(post, 'jana@acme.example')) == (cast.northwind.id, made.id, 1)
    assert to(post, cast.tess.email) == []  # she is on the staff: Ada does not hear of it
    assert to(post, 'gone@acme.example') == []


async def test_whoever_invited_hears_of_it(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working
) -> None:
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        made = await invite(db, ada.by, cast.acme.id, Wanted('Bea', cast.bea.email, 'ClientUser'))
    question = 'select app.accept_invitation(:tenant, :id, 1, :me, gen_random_uuid(), null, null, null)'
    assert (await visiting.database.ask(question, tenant=made.tenant_id, id=made.id, me=cast.bea.user_id))[0]
    async with working():
        await outbox.quiet()
    assert any('Bea Lindqvist belongs to Acme Dental now' in letter.replace('\n', ' ') for letter in to(post, cast.ada.email))


# ---------- do these people still work here? ----------


async def opened(database: Database) -> None:
    async with database.engines['worker'].begin() as connection:
        await connection.execute(text('select app.open_reviews()'))


async def test_a_review_is_opened_once_and_reminded_of_twice(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working, database: Database
) -> None:
    outbox.ask("update company set created_at = now() - interval '200 days' where id = %s", cast.acme.id)
    outbox.ask("update access_review set confirmed_at = now() - interval '91 days' where company_id = %s", cast.acme.id)
    for _again in range(2):
        await opened(database)
    for days in (8, 15, 30):
        outbox.ask(
            f"update access_review set opened_at = now() - interval '{days} days' where company_id = %s and confirmed_at is null",
            cast.acme.id,
        )
        await opened(database)
    async with working():
        await outbox.quiet()
    said = [letter.replace('\n', ' ') for letter in to(post, cast.ada.email)]
    assert len(said) == 3
    assert sum('This is a reminder' in letter for letter in said) == 2
    assert all('/client-portal/acme/settings/people/review' in letter for letter in said)
    assert len(to(post, cast.mel_acme.email)) == 3  # the other client admin
    assert to(post, cast.ugo.email) == []


async def test_it_is_not_opened_where_it_is_switched_off(cast: Cast, outbox: Outbox, database: Database) -> None:
    outbox.ask("update company set created_at = now() - interval '200 days' where id = %s", cast.acme.id)
    outbox.ask("update access_review set confirmed_at = now() - interval '91 days' where company_id = %s", cast.acme.id)
    outbox.ask('update tenant set review_days = 0 where id = %s', cast.northwind.id)
    await opened(database)
    assert outbox.ask('select id from access_review where company_id = %s and confirmed_at is null', cast.acme.id) == []


async def test_one_confirms_and_who_left_is_out(visit_as: VisitAs, cast: Cast, outbox: Outbox) -> None:
    outbox.ask(
        'insert into access_review (tenant_id, company_id, due_at) values (%s, %s, now())', cast.northwind.id, cast.acme.id
    )
    ada, mel, bea, ugo = [await visit_as(who) for who in (cast.ada, cast.mel_acme, cast.bea, cast.ugo)]
    async with ada.work() as db:
        review = (await standing(db, cast.acme.id)).open
        people = await people_to_review(db, ada.by)
    assert review
    shown = [person.id for person in people]
    assert {person.name for person in people} == {'Ada Brandt', 'Ugo Marchetti', 'Bill Novak', 'Mel Duarte'}
    for who, leave, wrong in (
        (ada, [cast.ada.user_id], Wrong), (bea, [cast.bea.user_id], (Wrong, Confirmed)), (ugo, [], NotAllowed),
    ):  # fmt: skip
        with pytest.raises(wrong):
            async with who.work() as db:
                await confirm_review(db, who.by, review.id, shown, leave)
    async with bea.work() as db:
        assert (await db.connection()) is not None
        done = (
            await (await db.connection()).execute(text('select app.confirm_review(:id, :none)'), {'id': review.id, 'none': []})
        ).scalar()
    assert done is False  # a forged id of another company
    with pytest.raises(Wrong):  # somebody who was not on the list
        async with ada.work() as db:
            await confirm_review(db, ada.by, review.id, shown[:-1], [])
    async with ada.work() as db:
        await confirm_review(db, ada.by, review.id, shown, [cast.ugo.user_id])
    with pytest.raises(Confirmed):
        async with mel.work() as db:
            await confirm_review(db, mel.by, review.id, [p for p in shown if p != cast.ugo.user_id], [cast.bill.user_id])
    arrival = await arriving(cast.ugo.cookie)
    assert arrival
    assert arrival.slugs == []
    bill = await arriving(cast.bill.cookie)
    assert bill
    assert bill.slugs == ['acme']
    [(detail,)] = outbox.ask("select detail from audit where action = 'review.confirmed' and subject_id = %s", review.id)
    assert detail == {'kept': ['Ada Brandt', 'Bill Novak', 'Mel Duarte'], 'removed': ['Ugo Marchetti']}


async def test_two_confirm_at_once_and_one_answer_counts(visit_as: VisitAs, cast: Cast, outbox: Outbox) -> None:
    """Ada lets Ugo go, Mel lets Bill go, in the same moment, several times each."""
    outbox.ask(
        'insert into access_review (tenant_id, company_id, due_at) values (%s, %s, now())', cast.northwind.id, cast.acme.id
    )
    ada, mel = await visit_as(cast.ada), await visit_as(cast.mel_acme)
    async with ada.work() as db:
        review = (await standing(db, cast.acme.id)).open
        shown = [person.id for person in await people_to_review(db, ada.by)]
    assert review

    async def confirms(visit: Visit, leaves: Member) -> str:
        async with visit.work() as db:
            await confirm_review(db, visit.by, review.id, shown, [leaves.user_id])
        return leaves.name

    both = [confirms(visit, leaves) for _n in range(4) for visit, leaves in ((ada, cast.ugo), (mel, cast.bill))]
    came = await asyncio.gather(*both, return_exceptions=True)
    [gone] = [each for each in came if isinstance(each, str)]
    assert all(isinstance(each, str | Confirmed) for each in came)
    out = outbox.ask("""select u.name from membership m join users u on u.id = m.user_id
                        where m.company_id = %s and m.ended_at is not null""", cast.acme.id)  # fmt: skip
    assert out == [(gone,)]
    assert len(outbox.ask("select 1 from audit where action = 'review.confirmed' and subject_id = %s", review.id)) == 1
    assert len(outbox.ask('select 1 from access_review_item where review_id = %s', review.id)) == len(shown)


async def test_the_review_says_when_somebody_was_at_this_company(visit_as: VisitAs, cast: Cast, outbox: Outbox) -> None:
    """Mel works at Bolt as well: at Acme that is not seen."""
    outbox.ask("update membership_seen set at = '2026-01-01' where user_id = %s", cast.mel_acme.user_id)
    async with (await visit_as(cast.mel_bolt)).work():
        pass
    ada = await visit_as(cast.ada)
    async with ada.work() as db:
        seen = {person.name: person.seen_at for person in await people_to_review(db, ada.by)}
    mel = seen['Mel Duarte']
    assert mel is None or mel.isoformat() < '2026-01-03'
    assert seen['Ada Brandt']
    assert seen['Ada Brandt'].isoformat() > '2026-01-03'


# ---------- another address ----------


async def confirm(settings: Settings, token: str) -> str:
    claimed = signing.read_address(settings, token)
    assert claimed
    row = await visiting.database.ask('select app.confirm_address(:t, :id, :side)', t=claimed[0], id=claimed[1], side=claimed[2])
    return str(row[0])


@pytest.mark.parametrize('order', [(0, 1), (1, 0)])
async def test_both_mailboxes_agree_in_any_order(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working, settings: Settings, order: tuple[int, int]
) -> None:
    ugo = await visit_as(cast.ugo)
    async with ugo.work() as db:
        await ask_for_address(db, ugo.by, NEW)
    async with working():
        await outbox.quiet()
        tokens = [token(post, cast.ugo.email), token(post, NEW)]
        assert await confirm(settings, tokens[order[0]]) == 'half'
        assert await arriving(cast.ugo.cookie)
        assert await confirm(settings, tokens[order[0]]) == 'half'  # twice the same is not both
        assert await confirm(settings, tokens[order[1]]) == 'done'
        assert await arriving(cast.ugo.cookie) is None
        assert await confirm(settings, tokens[order[1]]) == 'dead'
        await outbox.quiet()
    assert outbox.ask('select email from users where id = %s', cast.ugo.user_id) == [(NEW,)]
    assert any('as you asked and confirmed' in letter.replace('\n', ' ') for letter in to(post, NEW))
    assert any('call Northwind IT at once' in letter.replace('\n', ' ') for letter in to(post, cast.ugo.email))


async def test_links_followed_at_once_change_the_address_once(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working, settings: Settings
) -> None:
    ugo = await visit_as(cast.ugo)
    async with ugo.work() as db:
        await ask_for_address(db, ugo.by, NEW)
    async with working():
        await outbox.quiet()
        tokens = [token(post, cast.ugo.email), token(post, NEW)]
        said = await asyncio.gather(*(confirm(settings, each) for _n in range(4) for each in tokens))
        await outbox.quiet()
    assert said.count('done') == 1
    assert set(said) <= {'half', 'done', 'dead'}
    assert outbox.ask('select email from users where id = %s', cast.ugo.user_id) == [(NEW,)]
    changes = "select 1 from audit where action = 'person.email' and subject_id = %s"
    assert len(outbox.ask(changes, cast.ugo.user_id)) == 1
    letters = "select kind from mail_outbox where to_user_id = %s and kind in ('email_changed', 'email_was') order by kind"
    assert outbox.ask(letters, cast.ugo.user_id) == [('email_changed',), ('email_was',)]


async def test_only_its_owner_hears_that_an_address_is_taken(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working, settings: Settings
) -> None:
    """Ugo sees the same for Bea's address as for one that nobody has; no link goes to it, so it never comes to be."""
    ugo = await visit_as(cast.ugo)
    async with ugo.work() as db:
        await ask_for_address(db, ugo.by, cast.bea.email)
    async with ugo.work() as db:
        waits = await wish(db)
    assert waits
    assert (waits.email, waits.old_done, waits.new_done) == (cast.bea.email, False, False)
    async with working():
        await outbox.quiet()
    assert 'It belongs to a login already' in to(post, cast.bea.email)[0].replace('\n', ' ')
    assert 'token=' not in to(post, cast.bea.email)[0]
    assert await confirm(settings, token(post, cast.ugo.email)) == 'half'


async def test_a_letter_of_an_earlier_wish_leads_nowhere_else(
    visit_as: VisitAs, cast: Cast, post: Postman, outbox: Outbox, working: Working, settings: Settings
) -> None:
    """Asked for one address, then another, before the worker came: the first gets no link for the second."""
    ugo = await visit_as(cast.ugo)
    for address in ('first@evil.example', NEW):
        async with ugo.work() as db:
            await ask_for_address(db, ugo.by, address)
    async with working():
        await outbox.quiet()
    assert to(post, 'first@evil.example') == []
    async with ugo.work() as db:
        await call_off(db, ugo.by)
    assert await confirm(settings, token(post, NEW)) == 'dead'


async def test_asking_needs_a_fresh_proof_and_stops_after_five(visit_as: VisitAs, cast: Cast, outbox: Outbox) -> None:
    ugo = await visit_as(cast.ugo)
    for n in range(5):
        async with ugo.work() as db:
            await ask_for_address(db, ugo.by, f'ugo{n}@acme.example')
    with pytest.raises(Wrong):
        async with ugo.work() as db:
            await ask_for_address(db, ugo.by, 'ugo6@acme.example')
    outbox.ask("update session set proved_at = now() - interval '1 hour' where user_id = %s", cast.ada.user_id)
    ada = await visit_as(cast.ada)
    with pytest.raises(ProofNeeded):
        async with ada.work() as db:
            await ask_for_address(db, ada.by, 'ada2@acme.example')
