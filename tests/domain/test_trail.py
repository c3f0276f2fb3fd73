"""The audit log as people read it: in words, filtered, page by page; and what a client admin hears of it."""

import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text

import portal
from portal.db.cast import Cast, Member
from portal.domain.access import NotAllowed, ProofNeeded
from portal.domain.base import Wrong
from portal.domain.trail import Asked, begin_export, change_retention, trail
from portal.domain.trail_words import SENTENCES, changes, sentence
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
            found |= set(re.findall(r"""\brecord\(\s*(?:self\.)?\w+,\s*'([a-z]+\.[a-z_]+)'""", path.read_text()))
            found |= set(re.findall(r"""\.note\(\s*'([a-z]+\.[a-z_]+)'""", path.read_text()))
        elif path.suffix == '.sql':
            for call in re.findall(r'(?:write_audit|add_audit|app\.record)\((.{0,200})', path.read_text(), re.DOTALL):
                found |= set(re.findall(r"'([a-z]+\.[a-z_]+)'", call[:200].split(');')[0]))
    found = {action for action in found if not action.startswith('app.')}
    assert len(found) > 40
    assert found <= set(SENTENCES), f'no words for {sorted(found - set(SENTENCES))}'


async def test_lines_are_told_in_words(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    at = cast.acme.id
    lines = {
        write(maintenance, cast, 'role.changed', company=at, actor=cast.mona.user_id, subject=cast.ugo.user_id,
              detail='{"before": "ClientUser", "after": "ClientAdmin"}'): 'Changed the role of Ugo Marchetti to Client admin',
        write(maintenance, cast, 'ticket.private_read', company=at, actor=cast.tess.user_id, subject=cast.payroll.id):
            f'Read {cast.payroll.label}, which is private',
        write(maintenance, cast, 'session.opened', actor=cast.ada.user_id, subject=cast.ada.user_id, detail='{"proofs": ["password", "totp"]}'):
            'Signed in with a password, a code',
        write(maintenance, cast, 'newly.invented', actor=cast.ada.user_id): 'newly.invented',
    }  # fmt: skip
    mona = await visit_as(cast.mona)
    async with mona.work() as db:
        found = await trail(db, mona.by, Asked())
    told = {line.id: sentence(line, found) for line in found.lines}
    assert {id_: told[id_] for id_ in lines} == lines
    role = next(line for line in found.lines if line.action == 'role.changed')
    assert changes(role, found) == [('Role', 'Client user', 'Client admin')]


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
