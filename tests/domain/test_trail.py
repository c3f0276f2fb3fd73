"""The audit log as people read it: in words, filtered, page by page; and what a client admin hears of it."""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text

import portal
from portal.db.cast import Cast, Member
from portal.domain import access
from portal.domain.access import NotAllowed, ProofNeeded, UserType
from portal.domain.audit import record
from portal.domain.base import Wrong
from portal.domain.rights import label_of
from portal.domain.trail import Asked, begin_export, change_retention, trail
from portal.domain.trail_kinds import KINDS
from portal.domain.trail_words import SENTENCES, changes, facts, sentence
from portal.visit import Visit

VisitAs = Callable[[Member], Awaitable[Visit]]
PORTAL = Path(portal.__file__).parent


def write(maintenance: str, cast: Cast, action: str, *, company: UUID | None = None, actor: UUID | None = None, subject: UUID | None = None,
          detail: str = '{}', minutes_ago: float = 0) -> UUID:  # fmt: skip
    """A line as the portal would have written it."""
    with psycopg.connect(maintenance) as c:
        row = c.execute(
            """insert into audit (tenant_id, company_id, actor_id, action, subject_id, detail, at)
            values (%s, %s, %s, %s, %s, %s, clock_timestamp() - make_interval(secs => %s)) returning id""",
            (cast.northwind.id, company, actor, action, subject, detail, minutes_ago * 60),
        ).fetchone()
    assert row
    return row[0]


async def seen(visit: Visit, asked: Asked | None = None) -> list[UUID]:
    async with visit.work() as db:
        return [line.id for line in (await trail(db, visit.by, asked or Asked())).lines]


def test_every_action_that_is_recorded_has_words() -> None:
    found: set[str] = set()
    for path in PORTAL.rglob('*'):
        if path.suffix == '.py':
            found |= set(re.findall(r"""\brecord\(\s*(?:self\.)?\w+,\s*'([a-z_]+\.[a-z_]+)'""", path.read_text()))
            found |= set(re.findall(r"""\.note\(\s*'([a-z]+\.[a-z_]+)'""", path.read_text()))
        elif path.suffix == '.sql':
            for call in re.findall(r'(?:write_audit|add_audit|app\.record)\((.{0,200})', path.read_text(), re.DOTALL):
                found |= set(re.findall(r"'([a-z_]+\.[a-z_]+)'", call[:200].split(');')[0]))
    found = {action for action in found if not action.startswith('app.')}
    assert len(found) > 40
    assert found <= set(SENTENCES), f'no words for {sorted(found - set(SENTENCES))}'


def test_every_action_with_words_is_of_a_kind() -> None:
    of_kinds = {action for _name, actions in KINDS.values() for action in actions}
    assert of_kinds == set(SENTENCES)


async def test_lines_are_told_in_words(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    at = cast.acme.id
    edited = write(maintenance, cast, 'role.edited', actor=cast.mona.user_id, subject=uuid4(),
                   detail='{"before": "Reader", "after": "Reader", "given": ["money.see"], "taken": []}')  # fmt: skip
    lines = {
        write(maintenance, cast, 'role.changed', company=at, actor=cast.mona.user_id, subject=cast.ugo.user_id,
              detail='{"before": "ClientUser", "after": "ClientAdmin"}'): 'Changed the role of Ugo Marchetti to Client admin',
        write(maintenance, cast, 'ticket.private_read', company=at, actor=cast.tess.user_id, subject=cast.payroll.id):
            f'Read {cast.payroll.label}, which is private',
        write(maintenance, cast, 'session.opened', actor=cast.ada.user_id, subject=cast.ada.user_id, detail='{"proofs": ["password", "totp"]}'):
            'Signed in with a password, a code',
        write(maintenance, cast, 'identity.linked', company=at, actor=cast.mona.user_id, subject=cast.ugo.user_id,
              detail='{"provider": "Acme Entra", "by": "staff"}'): 'Linked the account of Ugo Marchetti with Acme Entra',
        write(maintenance, cast, 'invitation.sent', company=at, actor=cast.ada.user_id, subject=uuid4(),
              detail='{"email": "jana@acme.example", "name": "Jana", "role": "ClientUser"}'): 'Invited jana@acme.example as Client user',
        write(maintenance, cast, 'recovery.started', company=at, actor=cast.ada.user_id, subject=cast.ugo.user_id,
              detail='{"reason": "Lost it", "spoken": false}'): 'Began to help Ugo Marchetti, who lost their second factor',
        edited: 'Changed the role Reader',
        write(maintenance, cast, 'newly.invented', actor=cast.ada.user_id): 'newly.invented',
    }  # fmt: skip
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        found = await trail(db, mona.by, Asked())
    told = {line.id: sentence(line, found) for line in found.lines}
    assert {id_: told[id_] for id_ in lines} == lines
    role = next(line for line in found.lines if line.action == 'role.changed')
    assert changes(role, found) == [('Role', 'Client user', 'Client admin')]
    given = next(line for line in found.lines if line.id == edited)
    assert facts(given, staff=False) == [('Given', label_of(access.Permission.MONEY_SEE, UserType.CLIENT))]


async def test_filters(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    acme, bolt = cast.acme.id, cast.bolt.id
    by_mona = write(maintenance, cast, 'role.changed', company=acme, actor=cast.mona.user_id, subject=cast.ugo.user_id)
    of_bolt = write(maintenance, cast, 'person.added', company=bolt, actor=cast.mona.user_id, subject=cast.bea.user_id)
    signed = write(maintenance, cast, 'session.opened', actor=cast.ugo.user_id, subject=cast.ugo.user_id)
    read = write(maintenance, cast, 'ticket.private_read', company=acme, actor=cast.tess.user_id, subject=cast.payroll.id)
    old = write(maintenance, cast, 'session.opened', actor=cast.ada.user_id, subject=cast.ada.user_id, minutes_ago=60 * 24 * 40)
    mona = await visit_as(cast.mona)

    async def found(**asked: object) -> set[UUID]:
        return set(await seen(mona, Asked(**asked))) & {by_mona, of_bolt, signed, read, old}  # type: ignore[arg-type]

    assert await found() == {by_mona, of_bolt, signed, read, old}
    assert await found(person=cast.ugo.user_id) == {by_mona, signed}
    assert await found(company=bolt) == {of_bolt}
    assert await found(kind='signin') == {signed, old}
    assert await found(kind='people', person=cast.mona.user_id, company=acme) == {by_mona}
    assert await found(words='tess') == {read}
    assert await found(words='UGO') == {by_mona, signed}
    assert await found(words='Bolt') == {of_bolt}
    assert await found(words=cast.payroll.label) == {read}
    assert await found(words='session.opened', person=cast.ada.user_id) == {old}
    assert await found(words='100%') == set()
    assert await found(words='nobody of that name') == set()


async def test_page_by_page_nothing_is_left_out_or_told_twice(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    for n in range(7):
        write(maintenance, cast, 'session.opened', actor=cast.bill.user_id, subject=cast.bill.user_id, minutes_ago=n)
    mona = await visit_as(cast.mona)
    asked, pages = Asked(person=cast.bill.user_id, kind='signin'), []
    async with mona.work() as db:
        page = await trail(db, mona.by, asked, 3)
        pages.append(page)
        while page.older:
            page = await trail(db, mona.by, Asked(person=cast.bill.user_id, kind='signin', older=page.older), 3)
            pages.append(page)
        back = await trail(db, mona.by, Asked(person=cast.bill.user_id, kind='signin', newer=pages[1].newer), 3)
    ids = [line.id for page in pages for line in page.lines]
    assert len(ids) == len(set(ids)) == 7
    assert [line.id for line in back.lines] == ids[:3]
    assert not pages[0].newer
    assert not back.newer


# ---------- what a client admin hears ----------


async def test_a_client_admin_hears_what_concerns_the_company(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    acme, bolt = cast.acme.id, cast.bolt.id
    ours = {
        write(maintenance, cast, 'role.changed', company=acme, actor=cast.mona.user_id, subject=cast.ugo.user_id),
        write(
            maintenance,
            cast,
            'viewing.begun',
            company=acme,
            actor=cast.tess.user_id,
            subject=cast.ugo.user_id,
            detail='{"reason": "x"}',
        ),
        write(maintenance, cast, 'session.opened', actor=cast.ugo.user_id, subject=cast.ugo.user_id),
        write(maintenance, cast, 'session.opened', actor=cast.mel_acme.user_id, subject=cast.mel_acme.user_id),
        write(
            maintenance, cast, 'ticket.private_read', company=acme, actor=cast.tess.user_id, subject=cast.payroll.id
        ),  # Ada's own
        write(maintenance, cast, 'ticket.status', company=acme, actor=cast.tess.user_id, subject=cast.printer.id),
    }
    others = {
        # of other companies, of staff among themselves
        write(maintenance, cast, 'role.changed', company=bolt, actor=cast.mona.user_id, subject=cast.mel_bolt.user_id),
        write(maintenance, cast, 'viewing.screen', company=bolt, actor=cast.tess.user_id, subject=cast.bea.user_id),
        write(maintenance, cast, 'session.opened', actor=cast.bea.user_id, subject=cast.bea.user_id),
        write(maintenance, cast, 'session.opened', actor=cast.tess.user_id, subject=cast.tess.user_id),
        write(maintenance, cast, 'staff.role', actor=cast.mona.user_id, subject=cast.tess.user_id),
        write(maintenance, cast, 'letter.read', company=acme, actor=cast.mona.user_id, subject=cast.ugo.user_id),
        write(maintenance, cast, 'tickets.private_listed', company=acme, actor=cast.tess.user_id, subject=cast.payroll.id),
        write(maintenance, cast, 'access.denied', actor=cast.ugo.user_id),
        # notes, private tickets of others, files of either, and what is not foreseen
        write(maintenance, cast, 'company.changed', company=acme, actor=cast.tess.user_id, subject=acme, detail='{"fields": ["note"]}'),
        write(maintenance, cast, 'ticket.private_read', company=acme, actor=cast.tess.user_id, subject=cast.salary.id),
        write(maintenance, cast, 'ticket.shared', company=acme, actor=cast.ugo.user_id, subject=cast.salary.id),
        write(maintenance, cast, 'file.downloaded', company=acme, actor=cast.tess.user_id, subject=uuid4(), detail=f'{{"ticket": "{cast.printer.id}"}}'),
        write(maintenance, cast, 'file.sent', company=acme, actor=cast.tess.user_id, subject=uuid4()),
        write(maintenance, cast, 'viewing.screen', company=acme, actor=cast.tess.user_id, subject=cast.ugo.user_id, detail=f'{{"ticket": "{cast.salary.id}"}}'),
        write(maintenance, cast, 'newly.invented', company=acme, actor=cast.mona.user_id),
    }  # fmt: skip
    ada = await visit_as(cast.ada)
    found = set(await seen(ada))
    assert ours <= found
    assert not others & found
    async with ada.work() as db:  # the same without our own question
        rows = await db.exec(text('select id from audit'))  # type: ignore[call-overload]
        assert not others & {row[0] for row in rows}
    # a person of two companies is told alike to both, and nothing of the other
    mel = {id_ for id_ in ours if id_ in set(await seen(await visit_as(cast.bea)))}
    assert len(mel) == 1


#: Of a person, without a company: every company of theirs hears it alike.
OF_A_PERSON = (
    'factor.added', 'factor.removed', 'passkey.added', 'passkey.removed', 'passkey.cloned', 'recovery_code.used', 'recovery_codes.made',
    'password.changed', 'proof.refused', 'session.all_ended', 'session.others_ended', 'session.disowned', 'recovery.started',
    'recovery.finished',
)  # fmt: skip
#: Where a company stands at it, that one alone hears it.
OF_A_COMPANY = (
    'recovery.started', 'recovery.hurried', 'recovery.stopped', 'recovery.refused', 'recovery.finished', 'session.all_ended', 'identity.linked',
    'identity.unlinked', 'sso.added', 'sso.changed', 'sso.secret', 'sso.on', 'sso.off', 'sso.removed', 'sso.only', 'sso.no_longer_only',
    'sso.refused', 'person.created', 'person.added', 'person.removed', 'role.changed', 'invitation.sent', 'invitation.sent_again',
    'invitation.withdrawn', 'invitation.accepted', 'invitation.declined', 'review.confirmed', 'company.changed', 'limits.company',
    'factor_rule.added', 'factor_rule.removed',
)  # fmt: skip
#: Nobody's business but the tenant's, or the person's.
OF_NO_CLIENT = (
    'email.asked', 'email.cancelled', 'session.proved', 'passkey.renamed', 'role.added', 'role.removed', 'limits.changed',
    'tenant.recovery_hours', 'staff.role', 'letter.read', 'access.denied',
)  # fmt: skip


async def test_of_somebody_in_two_companies_each_hears_its_own(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    mel = cast.mel_acme.user_id
    alike = {write(maintenance, cast, action, actor=mel, subject=mel) for action in OF_A_PERSON}
    at_acme = {
        write(maintenance, cast, action, company=cast.acme.id, actor=cast.mona.user_id, subject=mel) for action in OF_A_COMPANY
    }
    at_bolt = {
        write(maintenance, cast, action, company=cast.bolt.id, actor=cast.mona.user_id, subject=mel) for action in OF_A_COMPANY
    }
    to_none = {write(maintenance, cast, action, company=company, actor=mel, subject=mel)
               for action in OF_NO_CLIENT for company in (None, cast.acme.id, cast.bolt.id)}  # fmt: skip
    # what names a company, and stands at none, is told to none
    to_none |= {write(maintenance, cast, action, actor=mel, subject=mel)
                for action in ('identity.linked', 'sso.added', 'person.added', 'recovery.stopped', 'recovery.hurried')}  # fmt: skip
    to_none |= {
        write(maintenance, cast, 'session.disowned', actor=mel, subject=mel, detail='{"removed": [{"name": "Acme Entra"}]}')
    }
    everything = alike | at_acme | at_bolt | to_none
    for admin, ours in ((cast.ada, at_acme), (cast.bea, at_bolt)):
        visit = await visit_as(admin)
        async with visit.work() as db:
            told = {line.id for line in (await trail(db, visit.by, Asked(), 300)).lines}
            rows = {row[0] for row in await db.exec(text('select id from audit'))}  # type: ignore[call-overload]
        assert told & everything == rows & everything == alike | ours
    assert not everything & set(await seen(await visit_as(cast.stan)))


async def test_a_role_that_is_edited_is_told_where_people_have_it(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    mine, foreign = uuid4(), uuid4()
    with psycopg.connect(maintenance) as c:
        for role, member in ((mine, cast.ugo), (foreign, cast.mel_bolt)):
            c.execute(
                "insert into role (id, tenant_id, user_type, name, permissions) values (%s, %s, 'client', %s, '{tickets.see}')",
                (role, cast.northwind.id, f'Reader {role}'),
            )
            c.execute('update membership set role = null, role_id = %s where user_id = %s and company_id = %s',
                      (role, member.user_id, member.company_id))  # fmt: skip
    told = write(maintenance, cast, 'role.edited', actor=cast.mona.user_id, subject=mine)
    not_told = write(maintenance, cast, 'role.edited', actor=cast.mona.user_id, subject=foreign)
    found = set(await seen(await visit_as(cast.ada)))
    assert told in found
    assert not_told not in found
    assert told in set(await seen(await visit_as(cast.ada), Asked(kind='people')))


async def test_what_one_does_about_oneself_stands_at_no_company(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """Mel may be at Bolt just then; at Acme she has the same second factor. A company that is not hers she cannot name."""
    visit, mel = await visit_as(cast.mel_bolt), cast.mel_bolt.user_id
    async with visit.work() as db:
        await record(db, 'factor.added', subject=mel)
        await record(db, 'identity.linked', subject=mel, company_id=cast.acme.id)
        await record(db, 'identity.unlinked', subject=mel, company_id=cast.bakery.id)
        await record(db, 'ticket.opened', company_id=cast.acme.id)
    with psycopg.connect(maintenance) as c:
        lines = dict(
            c.execute("select action, company_id from audit where actor_id = %s and action !~ '^session'", (mel,)).fetchall()
        )
    assert lines['factor.added'] is None
    assert lines['identity.linked'] == cast.acme.id
    assert lines['identity.unlinked'] is None
    assert lines['ticket.opened'] == cast.bolt.id


@pytest.mark.parametrize('column', ['network', 'session'])
async def test_no_client_learns_where_somebody_was(visit_as: VisitAs, cast: Cast, column: str) -> None:
    """Mel's line at Acme would tell in which network she works for Bolt."""
    ada = await visit_as(cast.ada)
    with pytest.raises(Exception, match='permission denied'):
        async with ada.work() as db:
            await db.exec(text(f'select {column} from audit'))  # type: ignore[call-overload]


@pytest.mark.parametrize('name', ['ugo', 'bill', 'tess', 'finn'])
async def test_the_log_needs_its_permission(visit_as: VisitAs, cast: Cast, name: str) -> None:
    visit = await visit_as(getattr(cast, name))
    with pytest.raises(NotAllowed):
        await seen(visit)
    if visit.by.side == 'client':  # and the policy asks for it, too
        async with visit.work() as db:
            assert not (await db.exec(text('select 1 from audit'))).all()  # type: ignore[call-overload]


async def test_nobody_sees_another_tenants_log(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    line = write(maintenance, cast, 'role.changed', company=cast.acme.id, actor=cast.mona.user_id, subject=cast.ugo.user_id)
    for who in (cast.stan, cast.cleo, cast.bea):
        assert line not in await seen(await visit_as(who))


async def test_what_is_refused_cannot_be_hidden_among_many(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    """From two sessions at once, too: there are twenty lines, and the last says that there was more."""
    here = await visit_as(cast.mel_acme)
    there = replace(here, token=secrets.token_bytes(32))
    with psycopg.connect(maintenance) as c:
        c.execute(
            """insert into session select (jsonb_populate_record(s, jsonb_build_object('token_hash', %s::bytea, 'id', gen_random_uuid()))).*
            from session s where token_hash = %s""",
            (there.token, here.token),
        )
    await asyncio.gather(*(visit.note_denied(f'/{n}') for n in range(16) for visit in (here, there)))
    with psycopg.connect(maintenance) as c:
        lines = c.execute("select detail ? 'more' from audit where action = 'access.denied' and actor_id = %s order by at, id",
                          (cast.mel_acme.user_id,)).fetchall()  # fmt: skip
    assert [more for (more,) in lines] == [False] * 19 + [True]


# ---------- export and retention ----------


async def test_export_and_retention_ask_for_a_proof(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    with psycopg.connect(maintenance) as c:
        c.execute("update session set proved_at = now() - interval '1 hour' where user_id = %s", (cast.mona.user_id,))
    mona = await visit_as(cast.mona)
    with pytest.raises(ProofNeeded):
        async with mona.work() as db:
            await begin_export(db, mona.by, Asked(), 'csv')
    with pytest.raises(ProofNeeded):
        async with mona.work() as db:
            await change_retention(db, mona.by, keep_signins_days='90')


async def test_retention_has_bounds(visit_as: VisitAs, cast: Cast) -> None:
    """Nobody empties the log by keeping it for a day."""
    mona = await visit_as(cast.mona)
    for wrong in (
        {'keep_signins_days': '1'},
        {'keep_reading_days': '89'},
        {'keep_changes_days': '364'},
        {'keep_changes_days': '٩٠٠'},
    ):
        with pytest.raises(Wrong):
            async with mona.work() as db:
                await change_retention(db, mona.by, **wrong)
