"""Letters are written in the recipient's language and sent, with retries; or kept for staff to read while no server is set."""

import asyncio
import logging
from datetime import datetime, timedelta
from uuid import UUID

import procrastinate
from sqlalchemy import func as sql
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal import links
from portal.domain.access import Permission, Role, UserType, permissions_of
from portal.domain.base import now
from portal.domain.invitations import DAYS, Invitation
from portal.domain.mail import Letter, LetterState, Promised, later, promise
from portal.domain.people import HANDED, MAIL_EVENTS, Company, Tenant, User, members, switch_of
from portal.domain.tickets import Comment, File, Ticket
from portal.domain.tickets.conversation import can_see
from portal.domain.tickets.sharing import in_copy
from portal.i18n import Voice, known_language, known_timezone, speaking
from portal.jobs import queue as jobs
from portal.jobs.queue import queue, work
from portal.mail.sending import NotSent, Refused, Unreachable, envelope, send
from portal.mail.writing import Facts, SignIn, write
from portal.markdown import prepared, to_html
from portal.settings import Settings

log = logging.getLogger('portal.mail')
FEW, PAGES_FIRST = 3, 1.0  # seconds: pages that show the event have their news first, and this process may be serving them
AGAIN = timedelta(minutes=10)  # so long nobody is told once more that a ticket came into their hands
TRIES = 14  # after 2, 4, 8 … seconds: the last some hours later


@queue.task(name='send_letter', pass_context=True, retry=procrastinate.RetryStrategy(max_attempts=TRIES, exponential_wait=2))
async def send_letter(context: procrastinate.JobContext, letter: str, tenant: str) -> None:
    """Once: whoever comes second finds it sent. The row is locked while the server is spoken to."""
    if e := await _try(context, letter, last=context.job.attempts + 1 >= TRIES):
        raise e


@queue.task(name='send_letters', pass_context=True, retry=procrastinate.RetryStrategy(max_attempts=TRIES, exponential_wait=2))
async def send_letters(context: procrastinate.JobContext, letters: list[str], tenant: str) -> None:
    """What many people are told of one event, one after the other. A letter that fails is tried again by itself, and when the
    server cannot be reached, so are all that are left."""
    if len(letters) > FEW:
        await asyncio.sleep(PAGES_FIRST)
    for n, letter in enumerate(letters):
        e = await _try(context, letter)
        again = letters[n:] if isinstance(e, Unreachable) else [letter] if e else []
        if again:
            async with work(context) as db:
                for each in again:
                    await later(db, 'send_letter', letter=each)
        if isinstance(e, Unreachable):
            break


async def _try(context: procrastinate.JobContext, letter: str, *, last: bool = False) -> Exception | None:
    """What it failed of, if it is to be tried again."""
    try:
        async with work(context) as db:
            await _deliver(db, UUID(letter), jobs.surroundings.settings)
    except Exception as e:
        last = last or isinstance(e, Refused)
        async with work(context) as db:
            row = await db.get_one(Letter, UUID(letter))
            row.error = (e.said if isinstance(e, NotSent) else type(e).__name__)[:200]
            if last:
                row.state = LetterState.FAILED
        known = isinstance(e, NotSent)
        log.warning('letter %s: %s%s', letter, e if known else type(e).__name__, ', given up' if last else '', exc_info=not known)
        return None if last else e
    return None


async def _deliver(db: AsyncSession, letter_id: UUID, settings: Settings) -> None:
    letter = (await db.exec(select(Letter).where(Letter.id == letter_id).with_for_update())).first()
    if letter is None or letter.state is not LetterState.WAITING:
        return
    facts = await _facts(db, letter, settings)
    if facts is None:
        letter.state = LetterState.DROPPED
        return
    with speaking(_voice(facts)):
        written = write(facts)
        message = envelope(letter.id, facts, written, settings)
    letter.subject = written.subject[:400]
    if settings.smtp is None:
        letter.state, letter.text, letter.html = LetterState.KEPT, written.text, written.html
        log.info('letter %s (%s) is kept: no mail server is set', letter.id, letter.kind)
        return
    await send(message, settings.smtp)
    letter.state, letter.sent_at, letter.error = LetterState.SENT, now(), None


def _voice(facts: Facts) -> Voice:
    return Voice(
        known_language(facts.to.language) or facts.tenant.language, known_timezone(facts.to.timezone) or facts.tenant.timezone
    )


async def _facts(db: AsyncSession, letter: Letter, settings: Settings) -> Facts | None:
    """None when there is nobody any more who may have this letter, or wants it."""
    tenant = await db.get_one(Tenant, letter.tenant_id)
    invitation = await db.get(Invitation, letter.invitation_id) if letter.invitation_id else None
    to = await db.get(User, letter.to_user_id) if letter.to_user_id else await _invited(db, invitation)
    if to is None or to.disabled_at or switch_of(letter.kind) in to.mail_off:
        return None
    ticket = await db.get(Ticket, letter.ticket_id) if letter.ticket_id else None
    if switch_of(letter.kind) in MAIL_EVENTS and (ticket is None or not await _may_read(db, to, ticket)):
        return None
    if letter.kind in HANDED and ticket and (not await _still_holds(db, letter, ticket) or await _said_lately(db, letter)):
        return None
    if (
        letter.kind.startswith('welcome')
        and letter.company_id
        and to.id not in {p.id for p in await members(db, letter.company_id)}
    ):
        return None
    company = await db.get(Company, letter.company_id) if letter.company_id else None
    if company and company.archived_at and to.user_type == 'client':
        return None
    comment = await db.get(Comment, letter.comment_id) if letter.comment_id else None
    await prepared([comment.body] if comment else [])
    session = await _session(db, letter)
    if letter.session_id and session is None:
        return None
    files = select(File.name).where(File.ticket_id == letter.ticket_id, File.comment_id == letter.comment_id)
    origin = links.origin_of(tenant.host, settings)
    if letter.kind in ('address_old', 'address_new'):
        return await _about_address(db, letter, to, tenant, origin, settings)
    link, hours = await _link(db, letter, tenant, to, origin, settings)
    if letter.kind in ('recovery_started', 'recovery_ready') and not link:
        return None  # it was stopped meanwhile
    due = await _due(db, tenant, to) if letter.kind == 'factor_due' else None
    if letter.kind == 'factor_due' and due is None:
        return None
    if letter.kind == 'invitation' and invitation:
        token = links.invitation_token(settings, tenant.id, invitation.id, invitation.number)
        link, hours = f'{origin}/auth/invitation?token={token}', 24 * DAYS
    return Facts(
        letter.kind, to, tenant, origin, until=invitation.expires_at if invitation else None,
        actor=await db.get(User, letter.actor_id) if letter.actor_id else None,
        company=company,
        ticket=ticket, comment=comment, comment_html=to_html(comment.body) if comment else None, link=link, hours=hours,
        sso_only=letter.kind == 'password_reset' and (await db.exec(select(sql.app.sso_only(tenant.id, to.id)))).one(),
        due=due, address=letter.to_address or '', files=list(await db.exec(files.order_by(col(File.id)))) if comment else [],
        session=session, removed=await _removed(db, to) if letter.kind == 'disowned' else (),
    )  # fmt: skip


async def _invited(db: AsyncSession, invitation: Invitation | None) -> User | None:
    """To whom an invitation goes, who is nobody here yet. Not to an address that can never accept it: nobody is told so but the
    log of letters."""
    if invitation is None or invitation.is_over:
        return None
    known = (await db.exec(select(User).where(User.email == invitation.email))).first()
    if known and (known.disabled_at or known.user_type != UserType.CLIENT.value or invitation.company_id is None):
        return None
    user_type = UserType.CLIENT if invitation.company_id else UserType.INTERNAL
    language = invitation.language or (known.language if known else None)
    return User(tenant_id=invitation.tenant_id, email=invitation.email, name=invitation.name, user_type=user_type.value, language=language)  # fmt: skip


async def _about_address(
    db: AsyncSession, letter: Letter, to: User, tenant: Tenant, origin: str, settings: Settings
) -> Facts | None:
    """None for a wish that was called off, or is another one by now. Only the new address hears that it is taken."""
    new = letter.kind == 'address_new'
    asked = sql.app.address_change_of(to.id, letter.to_address if new else None).table_valued('id', 'new_email', 'is_taken')
    found = (await db.exec(select(asked.c.id, asked.c.new_email, asked.c.is_taken))).first()
    if found is None:
        return None
    kind, link = letter.kind, ''
    change, email, is_taken = found
    if new and is_taken:
        kind = 'address_taken'
    else:
        token = links.address_token(settings, tenant.id, change, 'new' if new else 'old')
        link = f'{origin}/auth/address?token={token}'
    return Facts(kind, to, tenant, origin, link=link, hours=24, address=letter.to_address or '', wanted=email)


async def _session(db: AsyncSession, letter: Letter) -> SignIn | None:
    """Only of the person to whom the letter goes."""
    if letter.session_id is None:
        return None
    connection = await db.connection()
    question = 'select device, network, created_at from app.session_facts(%s, %s)'
    row = (await connection.exec_driver_sql(question, (letter.session_id, letter.to_user_id))).first()
    return SignIn(row.device, row.network or '', row.created_at) if row else None


async def _removed(db: AsyncSession, to: User) -> tuple[tuple[str, str], ...]:
    """What ended when they said that somebody else was signed in: kind and name."""
    found = (await db.exec(select(sql.app.disowned_removed(to.id)))).one()
    return tuple((each['kind'], each.get('name') or '') for each in found)


async def _may_read(db: AsyncSession, to: User, ticket: Ticket) -> bool:
    """Asked when the letter is sent: between promise and sending somebody may have left the company."""
    return to.user_type == 'internal' or await can_see(db, ticket, to.id)


async def _still_holds(db: AsyncSession, letter: Letter, ticket: Ticket) -> bool:
    """Who was put in copy by mistake and taken out again gets no letter that says they are."""
    match letter.kind:
        case 'requester':
            return ticket.requester_id == letter.to_user_id
        case 'assigned':
            return ticket.assignee_id == letter.to_user_id
        case _:
            return letter.to_user_id in await in_copy(db, ticket)


async def _said_lately(db: AsyncSession, letter: Letter) -> bool:
    """The same was promised to them just before, and is sent or will be."""
    same = select(Letter.id).where(
        Letter.to_user_id == letter.to_user_id, Letter.ticket_id == letter.ticket_id, Letter.kind == letter.kind,
        col(Letter.id) < letter.id, col(Letter.created_at) > letter.created_at - AGAIN,
        col(Letter.state).in_((LetterState.WAITING, LetterState.SENT, LetterState.KEPT)),
    )  # fmt: skip
    return (await db.exec(same.limit(1))).first() is not None


async def _link(
    db: AsyncSession, letter: Letter, tenant: Tenant, to: User, origin: str, settings: Settings
) -> tuple[str, int]:  # fmt: skip
    if letter.kind in ('recovery_started', 'recovery_ready'):
        under_way = (await db.exec(select(sql.app.recovery_of(tenant.id, to.id)))).one()
        what, address = ('stop', '/auth/recovery/stop') if letter.kind == 'recovery_started' else ('use', '/auth/recovery')
        return (f'{origin}{address}?token={links.recovery_token(settings, under_way, what)}', 0) if under_way else ('', 0)
    if letter.kind not in ('welcome', 'password_reset', 'many_failures', 'disowned'):
        return '', 0
    kind: links.Kind = 'welcome' if letter.kind == 'welcome' else 'reset'
    mark = (await db.exec(select(sql.app.password_mark(tenant.id, to.id)))).one()
    token = links.password_token(settings, tenant.id, to.id, kind, mark)
    return f'{origin}/auth/password-reset/set-new-password?token={token}', links.AGES[kind] // 3600


@queue.task(name='reset_asked', pass_context=True, retry=procrastinate.RetryStrategy(max_attempts=8, exponential_wait=2))
async def reset_asked(context: procrastinate.JobContext, user_type: str, email: str, kind: str, tenant: str) -> None:
    """Somebody asked for a new password. Only here is looked up whether there is such a person."""
    async with work(context) as db:
        found = select(User).where(User.email == email, User.user_type == user_type, col(User.disabled_at).is_(None))
        if user := (await db.exec(found)).first():
            await promise(db, [Promised(kind=kind, to_user_id=user.id)])


async def _due(db: AsyncSession, tenant: Tenant, to: User) -> datetime | None:
    """From when they need a second factor; None if they do not, or have one by now."""
    asked = select(sql.app.factor_due(tenant.id, to.id), sql.app.has_factor(tenant.id, to.id))
    due, has = (await db.exec(asked)).one()
    return None if has else due


@queue.task(name='signed_in', pass_context=True, retry=procrastinate.RetryStrategy(max_attempts=8, exponential_wait=2))
async def signed_in(context: procrastinate.JobContext, session: str, tenant: str) -> None:
    """After every sign-in: whether its person is to hear of a new device is decided here, and once."""
    async with work(context) as db:
        connection = await db.connection()
        whom = (await connection.exec_driver_sql('select app.announce_session(%s)', (session,))).scalar()
        if whom:
            await promise(db, [Promised(kind='new_device', to_user_id=whom, session_id=UUID(session))])


@queue.task(name='disowned', pass_context=True, retry=procrastinate.RetryStrategy(max_attempts=8, exponential_wait=2))
async def disowned(context: procrastinate.JobContext, person: str, tenant: str) -> None:
    """Somebody else was signed in as this person: they get a way back in, and staff who decide about access hear of it."""
    async with work(context) as db:
        asked = select(User, Role).outerjoin(Role, col(Role.id) == User.staff_role_id)
        of_staff = User.user_type == UserType.INTERNAL.value, col(User.disabled_at).is_(None), User.id != UUID(person)
        told = [
            Promised(kind='disowned_by', to_user_id=user.id, actor_id=UUID(person))
            for user, own in await db.exec(asked.where(*of_staff).order_by(col(User.id)))
            if Permission.ACCESS_MANAGE in permissions_of(user.staff_role or '', own.permissions if own else None)
        ]
        await promise(db, [Promised(kind='disowned', to_user_id=UUID(person)), *told])
