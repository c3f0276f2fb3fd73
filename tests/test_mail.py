"""Letters on their way, with a real SMTP server: whom they reach, what they say, and what becomes of them when it fails."""

import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from portal import visit
from portal.db import cast as casting
from portal.db.cast import SECRET, Cast, Member
from portal.domain.base import uuid7
from portal.domain.people import Tenant, User, add_person, company_by_slug, end_membership
from portal.domain.tickets import (
    add_participants,
    assign,
    change_requester,
    change_status,
    note,
    open_ticket,
    remove_participant,
    reply,
    ticket_by_number,
)
from portal.domain.tickets.drafts import reply_to
from portal.domain.tickets.files import Upload, add_file
from portal.jobs.letters import TRIES
from portal.mail.writing import OF_ACCOUNT, Facts, write
from tests import workers
from tests.visitor import Page, Visitor
from tests.workers import Outbox, Postman, Working, links, part, until

NEW_PASSWORD = 'moss-lantern-quarry-eleven'


own, maintenance, database, post, working, outbox = workers.FIXTURES


VisitAs = Callable[[Member], Awaitable[visit.Visit]]


@pytest.fixture
def does(visit_as: VisitAs, cast: Cast) -> Callable[..., Awaitable[Any]]:
    """`await does(cast.tess, reply, 'Which colour?')`: a verb on the printer's ticket, in one unit of work."""

    async def do(who: Member, verb: Any, *values: Any, number: int = cast.printer.number, **more: Any) -> None:
        here = await visit_as(who)
        async with here.work() as db:
            await verb(db, here.by, await ticket_by_number(db, number), *values, **more)

    return do


Does = Callable[..., Awaitable[Any]]


async def asked(visit_as: VisitAs, who: Member, **more: Any) -> int:
    """A new ticket of a client; its number."""
    here = await visit_as(who)
    assert who.company_id
    values = {'subject': 'The printer smokes', 'text': 'Since *this* morning.', 'requester_id': who.user_id, **more}
    async with here.work() as db:
        return (await open_ticket(db, here.by, company_id=who.company_id, **values)).number


# ---------- whom it reaches, and what it says ----------


async def test_a_new_ticket_reaches_everyone_who_works_the_queue_and_people_in_copy(
    working: Working, post: Postman, outbox: Outbox, visit_as: VisitAs, cast: Cast
) -> None:
    async with working():
        number = await asked(visit_as, cast.ada, copy=[cast.ugo.user_id])
        await outbox.quiet()
    assert {letter['X-Envelope'] for letter in post.letters} == {cast.mona.email, cast.tess.email, cast.ugo.email}
    letter = post.to(cast.ugo)[0]
    assert letter['Subject'] == f'[T-{number}] The printer smokes'
    assert 'Ada Brandt opened a ticket' in part(letter, 'plain')
    assert 'Since *this* morning.' in part(letter, 'plain')
    assert 'Since <em>this</em> morning.' in part(letter, 'html')


async def test_a_letter_as_a_mail_program_sees_it(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    host = f'{cast.northwind.host.removesuffix(".localhost")}.portal-of-a-managed-service-provider.example'  # longer than a header line
    outbox.ask('update tenant set host = %s where id = %s', host, cast.northwind.id)
    async with working():
        await does(cast.tess, reply, 'Which **colour**?')
        await outbox.quiet()
    letter = post.to(cast.ugo)[0]
    thread = f'<ticket-{cast.printer.id}@{host}>'
    assert letter['Subject'] == f'[{cast.printer.label}] Kyocera at reception prints blank pages'
    assert letter['To'] == 'Ugo Marchetti <ugo@acme.example>'
    assert letter['From'] == f'Northwind IT <portal@{host}>'
    assert letter['References'] == letter['In-Reply-To'] == thread
    assert all(f'References: {thread}\r\n'.encode() in content for content in post.contents)  # in clear
    assert letter['Auto-Submitted'] == 'auto-generated'
    assert letter.get_content_type() == 'multipart/alternative'
    assert [p.get_content_type() for p in letter.iter_parts()] == ['text/plain', 'text/html']
    assert {part['content-type'].params['charset'] for part in letter.iter_parts()} == {'utf-8'}
    assert 'Which **colour**?' in part(letter, 'plain')
    assert 'Which <strong>colour</strong>?' in part(letter, 'html')
    ids = {letter['Message-ID'].strip() for letter in post.letters}
    assert len(ids) == len(post.letters)
    assert all(name.endswith(f'@{host}>') for name in ids)


async def test_links_lead_to_the_tenants_own_address_and_to_the_readers_side(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    async with working():
        await does(cast.tess, reply, 'Which colour?')
        await does(cast.ugo, reply, 'Grey.')
        await outbox.quiet()
    origin = f'http://{cast.northwind.host}:8080'
    client, staff = f'{origin}/client-portal/acme', f'{origin}/msp'
    assert links(post.to(cast.ugo)[0]) == {f'{client}/tickets/{cast.printer.label}', f'{client}/settings'}
    assert links(post.to(cast.tess)[0]) == {f'{staff}/tickets/{cast.printer.label}', f'{staff}/settings'}


async def test_the_sender_and_the_address_can_be_set(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    outbox.ask('update tenant set host = null where id = %s', cast.northwind.id)
    async with working(PORTAL_MAIL_FROM='Help desk <help@northwind.example>', PORTAL_URL='https://help.northwind.example'):
        await does(cast.tess, reply, 'Which colour?')
        await outbox.quiet()
    letter = post.to(cast.ugo)[0]
    assert letter['From'] == 'Help desk <help@northwind.example>'
    assert all(link.startswith('https://help.northwind.example/client-portal/acme/') for link in links(letter))


async def test_everyone_reads_it_in_their_own_language(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    outbox.ask("update users set language = 'de' where id = %s", cast.ugo.user_id)
    outbox.ask("update users set language = 'en-XA' where id = %s", cast.ada.user_id)
    async with working():
        await does(cast.tess, reply, 'Which colour?')
        await outbox.quiet()
    german, marked = post.to(cast.ugo)[0], post.to(cast.ada)[0]
    assert '<html lang="de">' in part(german, 'html')
    assert '⟦Tess Okafor ' in part(marked, 'plain')  # the language in which a test sees that a word was translated
    assert '⟦Tess Okafor ' in part(marked, 'html')
    assert '⟦' not in part(german, 'plain')


async def test_a_status_change_says_how_it_stands_on_the_readers_side(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    async with working():
        await does(cast.mona, change_status, 'waiting_client')
        await outbox.quiet()
    assert {letter['X-Envelope'] for letter in post.letters} == {cast.ugo.email, cast.ada.email, cast.tess.email}
    to_ugo, to_tess = part(post.to(cast.ugo)[0], 'plain'), part(post.to(cast.tess)[0], 'plain')
    assert 'Mona Reyes changed the ticket:' in to_ugo
    assert to_ugo.splitlines()[0] != to_tess.splitlines()[0]


async def test_no_letter_for_what_one_does_oneself_and_none_to_strangers(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    async with working():
        await does(cast.ugo, reply, 'Grey.')
        await outbox.quiet()
    assert {letter['X-Envelope'] for letter in post.letters} == {cast.ada.email, cast.tess.email}


async def test_an_internal_note_sends_nothing_ever(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    async with working():
        await does(cast.mona, note, 'Sell them a new one')
        await does(cast.mona, reply, 'We look into it.')
        await outbox.quiet()
    assert {letter['X-Envelope'] for letter in post.letters} == {cast.ugo.email, cast.ada.email, cast.tess.email}
    assert len(post.letters) == 3
    assert not any('Sell them' in part(letter, kind) for letter in post.letters for kind in ('plain', 'html'))


async def test_files_are_named_and_need_no_words(
    working: Working, post: Postman, outbox: Outbox, does: Does, visit_as: VisitAs, cast: Cast
) -> None:
    """What came with a note stays unsaid."""
    tess, place = await visit_as(cast.tess), reply_to(cast.printer.id)

    async def sent(name: str) -> list[Any]:
        upload = Upload(name, 'text/plain', 5, 'x', uuid7().hex)
        async with tess.work() as db:
            return [(await add_file(db, tess.by, place, upload, usual_mb=1)).id]

    async with working():
        await does(cast.tess, note, 'Between us', files=await sent('margins.txt'))
        await does(cast.tess, reply, '', files=await sent('offer <b>.txt'))
        await outbox.quiet()
    letter = post.to(cast.ugo)[0]
    assert 'Attached: offer <b>.txt' in part(letter, 'plain')
    assert 'Attached: offer &lt;b&gt;.txt' in part(letter, 'html')
    assert not any('margins' in part(each, 'plain') for each in post.letters)


async def test_being_put_in_copy_is_told_once_and_only_while_it_holds(
    working: Working, post: Postman, outbox: Outbox, does: Does, visit_as: VisitAs, cast: Cast
) -> None:
    """Of a private ticket with a note: taken out and put in again; in his language; who is out by then gets nothing."""
    bill, ada = cast.bill, cast.ada
    outbox.ask("update users set language = 'en-XA' where id = %s", bill.user_id)
    number = await asked(visit_as, cast.ugo, visibility='private')
    await does(cast.tess, note, f'Between us: {SECRET}', number=number)
    async with working():
        await outbox.quiet()
        for verb in (add_participants, remove_participant, add_participants):
            who = [bill.user_id] if verb is add_participants else bill.user_id
            await does(cast.tess, verb, who, number=number)
            await outbox.quiet()
    await does(cast.ugo, add_participants, [ada.user_id], number=number)
    await does(cast.ugo, remove_participant, ada.user_id, number=number)
    async with working():
        await outbox.quiet()
    assert (outbox.states('copy', bill), outbox.states('copy', ada)) == (['sent', 'dropped'], ['dropped'])
    (letter,) = post.to(bill)
    assert f'⟦Tess Okafor hàš pût ýöû îñ çöpý öf T-{number}⟧' in part(letter, 'plain')
    assert SECRET not in str(letter)
    assert any(link.endswith(f'/client-portal/acme/tickets/T-{number}') for link in links(letter))


async def test_a_ticket_that_becomes_ones_own_is_told_unless_switched_off(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    outbox.ask("update users set mail_off = '{new_ticket}' where id = %s", cast.mona.user_id)
    async with working():
        await does(cast.tess, change_requester, cast.bill.user_id)
        await does(cast.tess, assign, cast.mona.user_id)
        await does(cast.mona, assign, cast.tess.user_id)
        await outbox.quiet()
    said = {letter['X-Envelope']: part(letter, 'plain').splitlines()[0] for letter in post.letters}
    assert said == {
        cast.bill.email: f'Tess Okafor has made {cast.printer.label} your ticket',
        cast.tess.email: f'Mona Reyes has assigned {cast.printer.label} to you',
    }


async def test_a_private_ticket_reaches_only_whom_it_concerns(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    async with working():
        await does(cast.tess, reply, 'Please send it again.', number=cast.salary.number)
        await outbox.quiet()
    assert {letter['X-Envelope'] for letter in post.letters} == {cast.ugo.email, cast.bill.email, cast.mona.email}


async def test_whoever_switched_an_event_off_gets_none(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    outbox.ask("update users set mail_off = '{reply}' where id = %s", cast.ugo.user_id)
    async with working():
        await does(cast.tess, reply, 'Which colour?')
        await does(cast.tess, change_status, 'solved')
        await outbox.quiet()
    assert ['Okafor changed' in part(letter, 'plain') for letter in post.to(cast.ugo)] == [True]
    assert len(post.to(cast.ada)) == 2
    assert outbox.states('reply', cast.ugo) == []


# ---------- between promise and sending ----------


@pytest.mark.parametrize(
    'change',
    [
        'update membership set ended_at = now() where user_id = %s',
        "update users set mail_off = '{reply}' where id = %s",
        'update users set disabled_at = now() where id = %s',
    ],
    ids=['left the company', 'switched it off', 'was disabled'],
)
async def test_what_happens_before_it_is_sent_still_counts(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast, change: str
) -> None:
    await does(cast.tess, reply, 'Which colour?')
    outbox.ask(change, cast.ugo.user_id)
    async with working():
        await outbox.quiet()
    assert post.to(cast.ugo) == []
    assert outbox.letters('reply', cast.ugo) == [('dropped', None, None, None)]
    assert len(post.to(cast.ada)) == 1


async def test_of_what_was_rolled_back_nothing_is_sent(
    working: Working, post: Postman, outbox: Outbox, does: Does, visit_as: VisitAs, cast: Cast
) -> None:
    tess = await visit_as(cast.tess)

    async def half() -> None:
        async with tess.work() as db:
            await reply(db, tess.by, await ticket_by_number(db, cast.printer.number), 'Never said')
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await half()
    async with working():
        await does(cast.tess, reply, 'Said')
        await outbox.quiet()
    assert len(post.to(cast.ugo)) == 1
    assert 'Never said' not in part(post.to(cast.ugo)[0], 'plain')


# ---------- what people write into it ----------


async def test_line_breaks_in_names_and_subjects_add_no_header(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    """The forms take none; whatever gets past them is still only a word in its header."""
    trick = 'Hi\r\nBcc: everyone@evil.example\nX-Evil: 1'
    outbox.ask('update ticket set subject = %s where id = %s', trick, cast.printer.id)
    outbox.ask('update users set name = %s where id = any(%s)', trick, [cast.ugo.user_id, cast.tess.user_id])
    outbox.ask('update tenant set name = %s where id = %s', trick, cast.northwind.id)
    async with working():
        await does(cast.tess, reply, 'Which colour?')
        await outbox.quiet()
    letter = post.to(cast.ugo)[0]
    assert not {'bcc', 'x-evil'} & {name.lower() for name in letter}
    assert letter['Subject'] == f'[{cast.printer.label}] Hi Bcc: everyone@evil.example X-Evil: 1'
    assert letter['To'].addresses[0].addr_spec == cast.ugo.email
    assert len(letter['To'].addresses) == len(letter['From'].addresses) == 1


async def test_a_new_tickets_subject_cannot_carry_a_header(
    working: Working, post: Postman, outbox: Outbox, visit_as: VisitAs, cast: Cast
) -> None:
    async with working():
        number = await asked(visit_as, cast.ada, subject='Hi\r\nBcc: everyone@evil.example')
        await outbox.quiet()
    assert post.to(cast.tess)[0]['Subject'] == f'[T-{number}] Hi Bcc: everyone@evil.example'
    assert not any('Bcc' in letter for letter in post.letters)


async def test_words_of_people_are_words_in_the_html_part(
    working: Working, post: Postman, outbox: Outbox, visit_as: VisitAs, cast: Cast
) -> None:
    async with working():
        await asked(
            visit_as, cast.ada, subject='<img src=x> & {{7*7}}', text='<script>alert(1)</script> [a](javascript:alert(1))'
        )
        await outbox.quiet()
    html = part(post.to(cast.tess)[0], 'html')
    assert '&lt;img src=x&gt; &amp; {{7*7}}' in html
    assert '<script' not in html
    assert 'href="javascript' not in html
    assert '<script>alert(1)</script>' in part(post.to(cast.tess)[0], 'plain')


async def test_names_of_the_world(working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast) -> None:
    name = 'Jörg "Joe" Ünal, Łódź <ceo@evil.example>'
    outbox.ask('update users set name = %s where id = %s', name, cast.ugo.user_id)
    async with working():
        await does(cast.tess, reply, 'Welche Farbe, bitte? 🖨 ')
        await outbox.quiet()
    [address] = post.to(cast.ugo)[0]['To'].addresses
    assert (address.display_name, address.addr_spec) == (name, 'ugo@acme.example')
    assert 'Welche Farbe, bitte? 🖨' in part(post.to(cast.ugo)[0], 'plain')


# ---------- when the server is in trouble ----------


async def test_away_for_a_while_then_it_arrives_once(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    post.close()
    async with working():
        await does(cast.tess, reply, 'Which colour?')
        await until(lambda: outbox.letters('reply', cast.ugo)[0][1])
        assert outbox.states('reply', cast.ugo) == ['waiting']
        await post.open()
        await outbox.quiet()
    assert len(post.to(cast.ugo)) == 1
    assert outbox.letters('reply', cast.ugo) == [('sent', None, None, None)]


async def test_a_mailbox_that_is_not_there_fails_with_the_reason_and_the_others_go(
    working: Working, post: Postman, outbox: Outbox, does: Does, visitor: type[Visitor], cast: Cast
) -> None:
    post.answer_to[cast.ugo.email] = ['550 5.1.1 No such mailbox here']
    async with working():
        await does(cast.tess, reply, 'Which colour?')
        await outbox.quiet()
    [(state, error, *_text)] = outbox.letters('reply', cast.ugo)
    assert state == 'failed'
    assert error is not None
    assert '550 5.1.1 No such mailbox here' in error
    assert outbox.states('reply', cast.ada) == ['sent']
    assert 'No such mailbox here' in (await visitor(cast.mona).get('/msp/mail')).shown


async def test_not_now_is_tried_again(working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast) -> None:
    post.answer_to[cast.ugo.email] = ['451 4.7.1 Come back later']
    async with working():
        await does(cast.tess, reply, 'Which colour?')
        await until(lambda: outbox.letters('reply', cast.ugo)[0][1])
        [(state, error, *_text)] = outbox.letters('reply', cast.ugo)
        assert state == 'waiting'
        assert error is not None
        assert '451 4.7.1 Come back later' in error
        await outbox.quiet()
    assert len(post.to(cast.ugo)) == 1
    assert outbox.letters('reply', cast.ugo) == [('sent', None, None, None)]


async def test_whether_it_was_taken_is_unknown_it_goes_once_more_under_the_same_name(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    post.dies_after_data = [cast.ugo.email]
    async with working():
        await does(cast.tess, reply, 'Which colour?')
        await outbox.quiet()
    letters = post.to(cast.ugo)
    assert len(letters) == 2
    assert len({letter['Message-ID'] for letter in letters}) == 1
    assert outbox.states('reply', cast.ugo) == ['sent']


async def test_what_was_taken_is_not_sent_again_when_the_farewell_fails(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    post.dies_at_quit = True
    async with working():
        await does(cast.tess, reply, 'Which colour?')
        await outbox.quiet()
    assert len(post.to(cast.ugo)) == 1
    assert outbox.letters('reply', cast.ugo) == [('sent', None, None, None)]


async def test_after_many_tries_it_is_given_up_and_says_why(
    working: Working, post: Postman, outbox: Outbox, does: Does, cast: Cast
) -> None:
    post.close()
    await does(cast.tess, reply, 'Which colour?')
    async with working():
        await until(lambda: outbox.letters('reply', cast.ugo)[0][1])
    outbox.ask("update jobs.procrastinate_jobs set attempts = %s, scheduled_at = null where task_name = 'send_letter'", TRIES - 1)
    async with working():
        await outbox.quiet()
    assert outbox.letters('reply', cast.ugo) == [('failed', 'SMTPConnectError', None, None)]


async def test_an_address_no_mail_program_could_write_fails_and_says_so(
    working: Working, outbox: Outbox, does: Does, cast: Cast
) -> None:
    """No form takes it; an import could. It must not wait for ever."""
    outbox.ask("update users set email = 'no address' where id = %s", cast.ugo.user_id)
    async with working():
        await does(cast.tess, reply, 'Which colour?')
        await outbox.quiet()
    [(state, error, *_text)] = outbox.letters('reply', cast.ugo)
    assert state == 'failed'
    assert error
    assert outbox.states('reply', cast.ada) == ['sent']


# ---------- without a server ----------


async def test_without_a_server_the_text_is_kept_and_mona_reads_it(
    working: Working, post: Postman, outbox: Outbox, does: Does, visitor: type[Visitor], cast: Cast
) -> None:
    async with working(smtp=False):
        await does(cast.tess, reply, 'Which colour?')
        await outbox.quiet()
    [(state, _error, text, html)] = outbox.letters('reply', cast.ugo)
    assert state == 'kept'
    assert text is not None
    assert 'Which colour?' in text
    assert html is not None
    assert 'Which colour?' in html
    assert post.letters == []
    listed = await visitor(cast.mona).get('/msp/mail')
    assert 'Ugo Marchetti' in listed.shown
    rows = re.findall(r'<tr data-key="([^"]+)"', listed.shown)
    letters = [await visitor(cast.mona).get(f'/msp/mail/{key}') for key in rows[:2]]
    assert all('Which colour?' in letter.shown for letter in letters)


# ---------- letters with a key ----------


async def test_a_forgotten_password_from_the_form_to_signing_in(
    working: Working, post: Postman, outbox: Outbox, visitor: type[Visitor], cast: Cast
) -> None:
    """The letter's link works once; whoever was signed in is not any more."""
    somebody = visitor(host=cast.northwind.host)
    assert (await visitor(cast.ugo).get('/client-portal/acme')).status == 200
    async with working():
        sent = await somebody.post('/auth/client-portal/forgot-password', email=f' {cast.ugo.email.upper()} ')
        assert sent.status == 200
        await until(lambda: post.to(cast.ugo))
        await outbox.quiet()
    [letter] = post.to(cast.ugo)
    [link] = links(letter)
    assert link.startswith(f'http://{cast.northwind.host}:8080/auth/password-reset/set-new-password?token=')
    path = f'{urlsplit(link).path}?{urlsplit(link).query}'
    assert (await somebody.get(path)).status == 200

    done = await somebody.post(path, token=path.partition('token=')[2], password=NEW_PASSWORD)
    assert (done.status, done.answer.headers['location']) == (303, '/auth/client-portal/signin?why=set')
    assert (await somebody.get(path)).status == 410
    assert (await somebody.post(path, token=path.partition('token=')[2], password='another-' + NEW_PASSWORD)).status == 410
    assert (
        (await visitor(cast.ugo).get('/client-portal/acme')).answer.headers['location'].startswith('/auth/client-portal/signin')
    )

    old = await _sign_in(visitor(host=cast.northwind.host), casting.PASSWORD)
    assert old.status == 401
    new = await _sign_in(visitor(host=cast.northwind.host), NEW_PASSWORD)
    assert new.status == 303
    assert outbox.letters('password_reset', cast.ugo) == [('sent', None, None, None)]  # its key is nowhere in the database


async def _sign_in(somebody: Visitor, password: str) -> Page:
    return await somebody.post('/auth/client-portal/signin', email='ugo@acme.example', password=password)


async def test_who_is_unknown_gets_the_same_answer_and_no_letter(
    working: Working, post: Postman, outbox: Outbox, visitor: type[Visitor], cast: Cast
) -> None:
    """So does an address of the other side: Tess is no client."""
    async with working():
        answers = [
            await visitor(host=cast.northwind.host).post('/auth/client-portal/forgot-password', email=address)
            for address in (cast.ugo.email, 'nobody@acme.example', cast.tess.email, cast.cleo.email)
        ]
        await until(lambda: post.to(cast.ugo))
        await outbox.quiet()
    assert {page.status for page in answers} == {200}
    asked = [
        letter['X-Envelope'] for letter in post.letters if 'new password' in letter['Subject']
    ]  # jobs of other tests write, too
    assert asked == [cast.ugo.email]


async def test_a_welcome_opens_the_door_for_the_first_time(
    working: Working, post: Postman, outbox: Outbox, visit_as: VisitAs, visitor: type[Visitor], cast: Cast
) -> None:
    mona = await visit_as(cast.mona)
    async with working():
        async with mona.work() as db:
            await add_person(
                db, mona.by, await company_by_slug(db, 'acme'), name='Nia Park', email='nia@acme.example', role='ClientUser'
            )
        await until(lambda: post.letters)
        await outbox.quiet()
    [letter] = post.letters
    assert letter['To'] == 'Nia Park <nia@acme.example>'
    assert letter['Subject'] == 'Your access to the client portal of Northwind IT'
    assert 'Acme Dental' in part(letter, 'plain')
    [link] = links(letter)
    token = link.partition('token=')[2]
    somebody = visitor(host=cast.northwind.host)
    done = await somebody.post(urlsplit(link).path, token=token, password=NEW_PASSWORD)
    assert done.status == 303
    came = await somebody.post('/auth/client-portal/signin', email='nia@acme.example', password=NEW_PASSWORD)
    assert came.status == 303
    assert (await somebody.get('/client-portal/acme')).status == 200


async def test_no_welcome_for_whoever_was_removed_meanwhile(
    working: Working, post: Postman, outbox: Outbox, visit_as: VisitAs, cast: Cast
) -> None:
    """It would carry a link that opens an account."""
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        acme = await company_by_slug(db, 'acme')
        person = await add_person(db, mona.by, acme, name='Nia Park', email='nia@acme.example', role='ClientUser')
        await end_membership(db, mona.by, acme, person.id)
    async with working():
        await outbox.quiet()
    assert post.letters == []
    assert outbox.ask('select state from mail_outbox where to_user_id = %s', person.id) == [('dropped',)]


def test_every_letter_about_ones_own_account_says_what_to_do_and_leads_there() -> None:
    to = User(email='ada@acme.example', name='Ada Brandt', user_type='client')
    for kind in OF_ACCOUNT:
        written = write(Facts(kind, to, Tenant(name='Northwind IT', short_name='Northwind'), 'https://portal.example'))
        assert written.subject
        assert 'Ada Brandt' in written.text
        assert 'If that was' in written.text
        assert 'https://portal.example/client-portal/settings/security' in written.text
        assert 'https://portal.example/client-portal/settings/security' in written.html
