"""What somebody will have to answer for stands in the audit log: who, what, in which company, and nothing of what was written."""

import importlib
import json
import pkgutil
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
import pyotp
import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

import portal.domain
from portal.db.cast import Cast, Member
from portal.domain import (
    access,
    categories,
    clients,
    colleagues,
    companies,
    factors,
    invitations,
    limits,
    operations,
    own_address,
    particulars,
    passkeys,
    people,
    policy,
    recovery,
    roles,
    sessions,
    sso,
    team,
    tenants,
    tickets,
    trail,
    viewing,
)
from portal.domain.access import Principal
from portal.domain.base import now
from portal.domain.imports import Kind, doing
from portal.domain.imports.reading import read
from portal.domain.tickets import Status, Where, bulk, exporting, files
from portal.domain.tickets.drafts import NEW_TICKET, reply_to
from portal.passkeys import Made
from portal.visit import Visit
from tests import conftest

VisitAs = Callable[[Member], Awaitable[Visit]]
NEW = 'new'
SAID = 'what nobody else has to read'
Does = Callable[[AsyncSession, Principal, Cast], Awaitable[Any]]


@dataclass(frozen=True)
class Line:
    """`company` and `about` are names in the cast (NEW: made just now); `detail` is what must stand in the line, as JSON has it."""

    action: str
    company: str | None = None
    about: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True)
class Case:
    """`verbs`: what it covers. `before` is done by the same person in a transaction of its own, and not looked at."""

    verbs: str
    who: str
    do: Does
    lines: Callable[[Cast], list[Line]]
    before: Does | None = None


def of_printer(verb: Any, *values: Callable[[Cast], Any], **more: Callable[[Cast], Any]) -> Does:
    return of_ticket('printer', verb, *values, **more)


def of_ticket(name: str, verb: Any, *values: Callable[[Cast], Any], **more: Callable[[Cast], Any]) -> Does:
    async def do(db: AsyncSession, by: Principal, c: Cast) -> Any:
        ticket = await tickets.ticket_by_number(db, getattr(c, name).number, lock=True)
        return await verb(db, by, ticket, *(v(c) for v in values), **{k: v(c) for k, v in more.items()})

    return do


async def ends_own_session(db: AsyncSession, by: Principal, _c: Cast) -> None:
    await sessions.end_session(db, by, (await sessions.my_sessions(db))[0].id)


async def limits_bolt(db: AsyncSession, by: Principal, c: Cast) -> None:
    await limits.limit_company(db, by, c.bolt.id, '30', '')
    await limits.unlimit_company(db, by, c.bolt.id)


async def uploaded(db: AsyncSession, by: Principal, place: str) -> UUID:
    upload = files.Upload('page.txt', 'text/plain', 5, 'x', secrets.token_hex(8))
    return (await files.add_file(db, by, place, upload, usual_mb=1)).id


async def says_with_a_file(db: AsyncSession, by: Principal, c: Cast) -> None:
    file = await uploaded(db, by, reply_to(c.printer.id))
    await of_printer(tickets.reply, lambda _: SAID, files=lambda _: [file])(db, by, c)


async def has_a_passkey_for_a_while(db: AsyncSession, by: Principal, c: Cast) -> None:
    made = Made(secrets.token_bytes(16), b'public', 0, ('usb',), backed_up=False, built_in=False)
    await passkeys.add_passkey(db, by, made, 'Key')
    key = next(key for key in await passkeys.mine(db) if key.name == 'Key')
    await passkeys.rename_passkey(db, by, key.id, 'Blue key')
    await passkeys.remove_passkey(db, by, key.id)


async def a_rule(db: AsyncSession, by: Principal, c: Cast) -> None:
    day = now().date() + timedelta(days=30)
    rule = await policy.add_rule(db, by, user_type='internal', role='', company_id=None, from_on=day, grace_days=7)
    await policy.remove_rule(db, by, rule.id)


async def hurries_and_stops(db: AsyncSession, by: Principal, c: Cast) -> None:
    await recovery.hurry_recovery(db, by, c.mel_acme.user_id)
    await recovery.stop_recovery(db, by, c.mel_acme.user_id)


async def opens(db: AsyncSession, by: Principal, c: Cast) -> None:
    await tickets.open_ticket(
        db, by, company_id=c.acme.id, requester_id=c.ada.user_id, subject='Scanner', text=SAID, visibility='private'
    )


async def renames(db: AsyncSession, by: Principal, c: Cast) -> None:
    company = await people.company_by_slug(db, 'acme')
    before = await companies.details(db, company)
    after = companies.Details(**{**vars_of(before), 'city': 'Hannover', 'note': f'Key: {SAID}'})
    await companies.change_company(db, by, c.acme.id, before, after)


def vars_of(details: companies.Details) -> dict[str, str]:
    return {name: getattr(details, name) for name in companies.FIELDS}


def of_acme(verb: Any, *values: Callable[[Cast], Any], **more: Any) -> Does:
    async def do(db: AsyncSession, by: Principal, c: Cast) -> None:
        await verb(db, by, await people.company_by_slug(db, 'acme'), *(v(c) for v in values), **more)

    return do


async def imports(db: AsyncSession, by: Principal, c: Cast) -> None:
    table = read(f'Name;Note\nGarden Florist;{SAID}\n'.encode())
    batch = await doing.upload(db, by, Kind.COMPANIES, 'clients.csv', table)
    await doing.start(db, by, batch.id)
    while await doing.take_chunk(db, by, batch.id):
        pass


async def gives_up_an_import(db: AsyncSession, by: Principal, c: Cast) -> None:
    batch = await doing.upload(db, by, Kind.COMPANIES, 'clients.csv', read(b'Name\nGarden Florist\n'))
    await doing.start(db, by, batch.id)
    await doing.stop(db, by, batch.id)
    await doing.throw_away(db, by, batch.id)


async def an_own_role(db: AsyncSession, by: Principal, c: Cast) -> None:
    made = await roles.add_role(db, by, name='Lead', user_type=access.UserType.CLIENT, based_on='ClientUser', permissions=[])
    await roles.change_own_role(db, by, made.id, name='Boss', permissions=[access.Permission.MONEY_SEE], seen=made.permissions)
    await roles.remove_role(db, by, made.id)


async def a_category(db: AsyncSession, by: Principal, c: Cast) -> None:
    made = await categories.add_category(db, by, 'Robots')
    await categories.rename_category(db, by, made.id, 'Machines')
    await categories.archive_category(db, by, made.id)
    await categories.restore_category(db, by, made.id)


async def staff_come(db: AsyncSession, by: Principal, c: Cast) -> None:
    await team.add_staff(db, by, name='Nils Berg', email='nils@northwind.example', role='Technician')


def a_provider(c: Cast) -> sso.Wish:
    return sso.Wish(str(c.acme.id), 'other', 'Directory', '', 'https://login.example', 'portal', 'acme.example')


async def sets_up_sso(db: AsyncSession, by: Principal, c: Cast) -> None:
    made = await sso.add_provider(db, by, a_provider(c))
    await sso.change_provider(db, by, made.id, replace(a_provider(c), name='Login'))
    await sso.keep_secret(db, by, made.id, b'sealed')
    await sso.note_check(db, by, made.id, None)
    await sso.enable_provider(db, by, made.id, True)
    linked = await sso.link_in_advance(db, by, made.id, c.ada.user_id, 'a.brandt@holding.example')
    await sso.unlink(db, by, linked.id)
    await sso.allow_passwords(db, by, c.acme.id)
    await sso.require_sso(db, by, c.acme.id)
    await sso.allow_passwords(db, by, c.acme.id)
    await sso.remove_provider(db, by, made.id)


async def unlinks(db: AsyncSession, by: Principal, c: Cast) -> None:
    mine = await (await db.connection()).exec_driver_sql("select app.my_accounts() -> 'accounts' -> 0 ->> 'id'")
    await sso.unlink_own(db, by, UUID(mine.scalar()))


async def removes_a_file(db: AsyncSession, by: Principal, c: Cast) -> None:
    await files.remove_file(db, by, await uploaded(db, by, NEW_TICKET))


async def sets_up_an_app(db: AsyncSession, by: Principal, c: Cast) -> None:
    settings = conftest.test_settings()
    begun = await factors.begin_totp(db, by, settings)
    code = pyotp.TOTP(begun.secret).now()  # pyright: ignore
    await factors.confirm_totp(db, by, settings, begun.id, code=code, name='Phone')
    await factors.new_recovery_codes(db, by)
    await factors.remove_totp(db, by, begun.id)


def jana(email: str = 'jana@acme.example', role: str = 'ClientUser') -> invitations.Wanted:
    return invitations.Wanted('Jana Hofmann', email, role)


async def invites(db: AsyncSession, by: Principal, c: Cast) -> None:
    made = await invitations.invite(db, by, c.acme.id, jana())
    await invitations.send_again(db, by, c.acme.id, made.id)
    await invitations.withdraw(db, by, c.acme.id, made.id)


async def invites_staff(db: AsyncSession, by: Principal, c: Cast) -> None:
    [made] = await invitations.invite_colleagues(db, by, [jana('nils@northwind.example', 'Technician')])
    await invitations.send_colleague_again(db, by, made.id)
    await invitations.withdraw_colleague(db, by, made.id)


async def moves(db: AsyncSession, by: Principal, c: Cast) -> None:
    before = await particulars.particulars(db, await people.company_by_slug(db, 'acme'))
    if by.is_staff:
        await particulars.change_particulars(db, by, c.acme.id, before, {**before, 'city': 'Celle'})
    else:
        await particulars.change_own_company(db, by, before, {**before, 'city': 'Celle'})


async def changes_address(db: AsyncSession, by: Principal, c: Cast) -> None:
    await own_address.ask_for_address(db, by, 'ugo.m@acme.example')
    await own_address.call_off(db, by)


def only(*lines: Line) -> Callable[[Cast], list[Line]]:
    return lambda _: list(lines)


def printer(action: str, **detail: Any) -> Line:
    return Line(action, 'acme', 'printer', detail)


def statuses(before: Status, after: Status) -> Callable[[Cast], list[Line]]:
    return only(printer('ticket.status', before=before, after=after))


def ids(line: Callable[[Cast], Line | list[Line]]) -> Callable[[Cast], list[Line]]:
    def lines(c: Cast) -> list[Line]:
        found = line(c)
        return found if isinstance(found, list) else [found]

    return lines


CASES = (
    # tickets
    Case('opening.open_ticket', 'ada', opens, only(Line('ticket.opened', 'acme', detail={'visibility': 'private'}))),
    Case('replying.reply', 'ugo', of_printer(tickets.reply, lambda _: SAID), only()),
    Case('replying.reply files.add_file', 'ugo', says_with_a_file, only(Line('file.sent', 'acme'))),
    Case('replying.note', 'tess', of_printer(tickets.note, lambda _: SAID), only()),
    Case('files.remove_file', 'ada', removes_a_file, only(Line('file.removed', 'acme', detail={'size': 5}))),
    Case('working.change_status', 'tess', of_printer(tickets.change_status, lambda _: 'solved'), statuses(Status.OPEN, Status.SOLVED)),
    Case('working.close', 'ugo', of_printer(tickets.close), statuses(Status.OPEN, Status.CLOSED)),
    Case('working.reopen', 'ugo', of_printer(tickets.reopen), statuses(Status.CLOSED, Status.OPEN), before=of_printer(tickets.close)),
    Case('sharing.add_participants', 'ugo', of_printer(tickets.add_participants, lambda c: [c.bill.user_id]),
         ids(lambda c: printer('ticket.shared', with_user=str(c.bill.user_id)))),
    Case('sharing.remove_participant', 'ugo', of_printer(tickets.remove_participant, lambda c: c.ada.user_id),
         ids(lambda c: printer('ticket.unshared', with_user=str(c.ada.user_id)))),
    Case('sharing.leave', 'ada', of_printer(tickets.leave), ids(lambda c: printer('ticket.unshared', with_user=str(c.ada.user_id)))),
    Case('sharing.change_requester', 'tess', of_printer(tickets.change_requester, lambda c: c.bill.user_id),
         ids(lambda c: [printer('ticket.shared', with_user=str(c.ugo.user_id)),
                        printer('ticket.requester', before=str(c.ugo.user_id), after=str(c.bill.user_id))])),
    Case('sharing.change_visibility', 'ugo', of_printer(tickets.change_visibility, lambda _: 'private'),
         only(printer('ticket.visibility', before='company', after='private'))),
    Case('bulk.change_one', 'tess', lambda db, by, c: bulk.change_one(db, by, c.printer.number, bulk.Change('status', 'solved')),
         statuses(Status.OPEN, Status.SOLVED)),
    Case('exporting.export_tickets', 'ada', lambda db, by, _c: exporting.export_tickets(db, by, Where(group='all', words='kyocera'), 'csv'),
         only(Line('tickets.exported', 'acme', detail={'rows': 1, 'format': 'csv'}))),
    # companies and people
    Case('people.add_company', 'mona', lambda db, by, _c: people.add_company(db, by, 'Garden Florist'),
         only(Line('company.added', NEW, detail={'name': 'Garden Florist'}))),
    Case('companies.change_company', 'mona', renames,
         only(Line('company.changed', 'acme', 'acme', {'fields': ['city', 'note'], 'before': {'city': None}, 'after': {'city': 'Hannover'}}))),
    Case('companies.archive_company', 'mona', lambda db, by, c: companies.archive_company(db, by, c.acme.id),
         only(Line('company.archived', 'acme', 'acme'))),
    Case('companies.restore_company', 'mona', lambda db, by, c: companies.restore_company(db, by, c.acme.id),
         only(Line('company.restored', 'acme', 'acme')), before=lambda db, by, c: companies.archive_company(db, by, c.acme.id)),
    Case('files.set_file_quota', 'mona', of_acme(files.set_file_quota, lambda _: 7),
         only(Line('company.file_quota', 'acme', 'acme', {'before': None, 'after': 7}))),
    Case('people.add_person', 'mona', of_acme(people.add_person, name='Jana Hofmann', email='jana@acme.example', role='ClientUser'),
         only(Line('person.added', 'acme', detail={'role': 'ClientUser'}))),
    Case('people.send_welcome', 'mona', of_acme(people.send_welcome, lambda c: c.ugo.user_id), only(Line('person.welcomed', 'acme', 'ugo'))),
    Case('people.change_role', 'mona', of_acme(people.change_role, lambda c: c.ugo.user_id, role='ClientAdmin'),
         only(Line('role.changed', 'acme', 'ugo', {'before': 'ClientUser', 'after': 'ClientAdmin'}))),
    Case('people.end_membership', 'mona', of_acme(people.end_membership, lambda c: c.ugo.user_id), only(Line('person.removed', 'acme', 'ugo'))),
    Case('clients.change_client', 'mona', lambda db, by, c: clients.change_client(db, by, c.ugo.user_id, name='Ugo M.', phone='0511 1'),
         only(Line('person.changed', None, 'ugo', {'after': {'name': 'Ugo M.', 'phone': '0511 1'}}))),
    Case('clients.change_email', 'mona', lambda db, by, c: clients.change_email(db, by, c.ugo.user_id, 'ugo.m@acme.example'),
         only(Line('person.email', None, 'ugo', {'before': 'ugo@acme.example', 'after': 'ugo.m@acme.example'}))),
    Case('clients.disable_client', 'mona', lambda db, by, c: clients.disable_client(db, by, c.ugo.user_id), only(Line('person.disabled', None, 'ugo'))),
    Case('clients.enable_client', 'mona', lambda db, by, c: clients.enable_client(db, by, c.ugo.user_id), only(Line('person.enabled', None, 'ugo')),
         before=lambda db, by, c: clients.disable_client(db, by, c.ugo.user_id)),
    Case('invitations.invite invitations.send_again invitations.withdraw invitations.invite_all', 'ada', invites,
         only(Line('invitation.sent', 'acme', detail={'email': 'jana@acme.example', 'role': 'ClientUser'}),
              Line('invitation.sent_again', 'acme'), Line('invitation.withdrawn', 'acme'))),
    Case('invitations.invite_colleagues invitations.send_colleague_again invitations.withdraw_colleague', 'mona', invites_staff,
         only(Line('invitation.sent', detail={'role': 'Technician'}), Line('invitation.sent_again'), Line('invitation.withdrawn'))),
    Case('particulars.change_own_company', 'ada', moves, only(Line('company.changed', 'acme', 'acme', {'fields': ['city'], 'after': {'city': 'Celle'}}))),
    Case('particulars.change_particulars', 'mona', moves, only(Line('company.changed', 'acme', 'acme', {'fields': ['city']}))),
    Case('own_address.ask_for_address own_address.call_off', 'ugo', changes_address,
         only(Line('email.asked', 'acme', 'ugo', {'after': 'ugo.m@acme.example'}), Line('email.cancelled', 'acme', 'ugo'))),
    Case('doing.upload doing.start doing.take_chunk', 'mona', imports,
         only(Line('import.uploaded', detail={'kind': 'companies', 'file': 'clients.csv', 'rows': 1}), Line('import.started'),
              Line('company.added', NEW, detail={'name': 'Garden Florist'}), Line('company.changed', NEW, detail={'fields': ['note']}),
              Line('import.done'))),
    Case('doing.stop doing.throw_away', 'mona', gives_up_an_import,
         only(Line('import.uploaded'), Line('import.started'), Line('import.stopped'), Line('import.forgotten'))),
    # how one signs in
    Case('factors.begin_totp factors.confirm_totp factors.new_recovery_codes factors.remove_totp', 'ugo', sets_up_an_app,
         only(Line('factor.added', None, 'ugo', {'kind': 'totp', 'name': 'Phone'}), Line('recovery_codes.made', None, 'ugo', {'count': 10}),
              Line('factor.removed', None, 'ugo', {'kind': 'totp', 'name': 'Phone'}))),
    Case('factors.change_password', 'tess', lambda db, by, _c: factors.change_password(db, by, SAID, alone=True),
         only(Line('password.changed', None, 'tess'))),
    # the MSP
    Case('categories.add_category categories.rename_category categories.archive_category categories.restore_category', 'mona', a_category,
         only(Line('category.added', detail={'name': 'Robots'}), Line('category.renamed', detail={'before': 'Robots', 'after': 'Machines'}),
              Line('category.archived', detail={'name': 'Machines'}), Line('category.restored', detail={'name': 'Machines'}))),
    Case('team.add_staff', 'mona', staff_come, only(Line('staff.added', detail={'role': 'Technician'}))),
    Case('team.change_staff_role', 'mona', lambda db, by, c: team.change_staff_role(db, by, c.finn.user_id, 'Technician'),
         only(Line('staff.role', None, 'finn', {'before': 'Finance', 'after': 'Technician'}))),
    Case('team.disable', 'mona', lambda db, by, c: team.disable(db, by, c.finn.user_id), only(Line('staff.disabled', None, 'finn'))),
    Case('team.enable', 'mona', lambda db, by, c: team.enable(db, by, c.finn.user_id), only(Line('staff.enabled', None, 'finn')),
         before=lambda db, by, c: team.disable(db, by, c.finn.user_id)),
    Case('team.welcome_staff', 'mona', lambda db, by, c: team.welcome_staff(db, by, c.finn.user_id), only(Line('staff.welcomed', None, 'finn'))),
    Case('providers.add_provider providers.change_provider providers.keep_secret providers.note_check providers.enable_provider '
         'accounts.link_in_advance accounts.unlink alone.require_sso alone.allow_passwords providers.remove_provider', 'mona', sets_up_sso,
         only(Line('sso.added', 'acme', detail={'name': 'Directory', 'issuer': 'https://login.example', 'domains': ['acme.example']}),
              Line('sso.changed', 'acme', detail={'before': {'name': 'Directory'}, 'after': {'name': 'Login'}}), Line('sso.secret', 'acme'),
              Line('sso.on', 'acme'), Line('identity.linked', 'acme', 'ada', {'provider': 'Login', 'by': 'staff'}),
              Line('identity.unlinked', 'acme', 'ada', {'provider': 'Login'}), Line('sso.no_longer_only', 'acme', 'acme'),
              Line('sso.only', 'acme', 'acme'), Line('sso.no_longer_only', 'acme', 'acme'), Line('sso.removed', 'acme'))),
    Case('accounts.unlink_own', 'ada', unlinks, only(Line('identity.unlinked', 'acme', 'ada', {'provider': 'Directory'}))),
    # roles
    Case('colleagues.give_role', 'ada', lambda db, by, c: colleagues.give_role(db, by, c.ugo.user_id, 'ClientBilling'),
         only(Line('role.changed', 'acme', 'ugo', {'before': 'ClientUser', 'after': 'ClientBilling'}))),
    Case('colleagues.remove', 'ada', lambda db, by, c: colleagues.remove(db, by, c.ugo.user_id), only(Line('person.removed', 'acme', 'ugo'))),
    Case('roles.add_role roles.change_own_role roles.remove_role', 'mona', an_own_role,
         only(Line('role.added', detail={'name': 'Lead', 'user_type': 'client'}),
              Line('role.edited', detail={'before': 'Lead', 'after': 'Boss', 'given': ['money.see'], 'taken': []}),
              Line('role.removed', detail={'name': 'Boss', 'instead': ''}))),
    Case('sessions.end_session', 'mona', ends_own_session, only(Line('session.ended', None, 'mona', {'by': 'list'}))),
    Case('sessions.disown_sessions', 'mona', lambda db, by, _c: sessions.disown_sessions(db, by),
         only(Line('session.disowned', None, 'mona', {'number': 1}))),
    Case('sessions.sign_out_person', 'mona', lambda db, by, c: sessions.sign_out_person(db, by, c.ugo.user_id),
         only(Line('session.all_ended', None, 'ugo'))),
    Case('limits.change_limits', 'mona', lambda db, by, _c: limits.change_limits(db, by, idle_minutes='60'),
         only(Line('limits.changed', detail={'idle_minutes': 60}))),
    Case('limits.limit_company limits.unlimit_company', 'mona', limits_bolt,
         only(Line('limits.company', 'bolt', 'bolt', {'idle_minutes': 30}), Line('limits.company', 'bolt', 'bolt'))),
    Case('tenants.change_tenant', 'mona', lambda db, by, _c: tenants.change_tenant(db, by, phone='0511 2'),
         only(Line('tenant.changed', detail={'fields': ['phone']}))),
    # how people come in
    Case('passkeys.add_passkey passkeys.rename_passkey passkeys.remove_passkey', 'ugo', has_a_passkey_for_a_while,
         only(Line('passkey.added', None, 'ugo', {'name': 'Key'}), Line('passkey.renamed', 'acme', 'ugo', {'name': 'Blue key'}),
              Line('passkey.removed', None, 'ugo', {'name': 'Blue key'}))),
    Case('policy.add_rule policy.remove_rule', 'mona', a_rule,
         only(Line('factor_rule.added', detail={'user_type': 'internal', 'role': '', 'grace_days': 7}),
              Line('factor_rule.removed', detail={'user_type': 'internal'}))),
    Case('policy.change_recovery_hours', 'mona', lambda db, by, _c: policy.change_recovery_hours(db, by, '48'),
         only(Line('tenant.recovery_hours', detail={'before': 24, 'after': 48}))),
    Case('recovery.start_recovery', 'mona', lambda db, by, c: recovery.start_recovery(db, by, c.mel_acme.user_id, 'Lost'),
         only(Line('recovery.started', None, 'mel_acme', {'reason': 'Lost', 'spoken': False}))),
    Case('recovery.hurry_recovery recovery.stop_recovery', 'mona', hurries_and_stops,
         only(Line('recovery.hurried', None, 'mel_acme'), Line('recovery.stopped', None, 'mel_acme')),
         before=lambda db, by, c: recovery.start_recovery(db, by, c.mel_acme.user_id, 'Lost')),
    Case('viewing.begin_viewing', 'tess', lambda db, by, c: viewing.begin_viewing(db, by, c.ugo.user_id, c.acme.id, 'He asked'),
         only(Line('viewing.begun', 'acme', 'ugo', {'reason': 'He asked'}))),
    Case('trail.begin_export', 'ada', lambda db, by, c: trail.begin_export(db, by, trail.Asked(kind='signin'), 'csv'),
         only(Line('audit.exported', 'acme', detail={'format': 'csv', 'filters': {'kind': 'signin'}}))),
    Case('trail.change_retention', 'mona', lambda db, by, _c: trail.change_retention(db, by, keep_signins_days='90'),
         only(Line('audit.retention', detail={'before': {'keep_signins_days': 180}, 'after': {'keep_signins_days': 90}}))),
)  # fmt: skip

#: What nobody has to answer for: one's own desk, and changes that stand in the history of the ticket.
QUIET = {
    'canned.add_canned_reply', 'canned.change_canned_reply', 'canned.delete_canned_reply', 'views.save_view', 'views.change_view',
    'views.delete_view', 'views.begin_with', 'people.change_profile', 'notifications.mark_seen', 'waiting.mark_unread',
    'waiting.mark_all_read', 'drafts.save_draft', 'drafts.touch_draft', 'drafts.drop_earlier', 'drafts.drop_draft',
    'replying.tell_writing', 'exporting.cancel_export', 'bulk.begin_bulk', 'bulk.dealt_with', 'bulk.forget_bulk',
    'categories.move_category', 'doing.match', 'working.take', 'working.assign', 'working.change_priority',
    'working.change_category', 'working.change_subject', 'waiting.change_due',
    'passkeys.decline_passkey',
}  # fmt: skip


# of reviews.confirm_review: tests/jobs/test_invitations.py
def test_every_verb_is_looked_at() -> None:
    """Whoever adds one says what the log holds of it. (`run_again` needs a failed job: below; `end_other_sessions` a second
    session: test_sessions.)"""
    for module in pkgutil.walk_packages(portal.domain.__path__, 'portal.domain.'):
        importlib.import_module(module.name)
    covered = {verb for case in CASES for verb in case.verbs.split()}
    assert covered | QUIET | {'operations.run_again', 'reviews.confirm_review', 'sessions.end_other_sessions'} == set(
        access.VERBS
    )
    assert not covered & QUIET


def lines_of(maintenance: str, tenant: UUID) -> dict[UUID, tuple[Any, ...]]:
    with psycopg.connect(maintenance) as c:
        rows = c.execute(
            'select id, action, actor_id, company_id, subject_id, detail from audit where tenant_id = %s order by at', (tenant,)
        )
        return {row[0]: row[1:] for row in rows}  # fmt: skip


@pytest.mark.parametrize('case', CASES, ids=[f'{case.verbs.split()[0]}-{n}' for n, case in enumerate(CASES)])
async def test_what_is_done_stands_in_the_log(visit_as: VisitAs, cast: Cast, maintenance: str, case: Case) -> None:
    who: Member = getattr(cast, case.who)
    visit = await visit_as(who)
    if case.before:
        async with visit.work() as db:
            await case.before(db, visit.by, cast)
    before = lines_of(maintenance, who.tenant_id)
    async with visit.work() as db:
        await case.do(db, visit.by, cast)
    found = [line for id_, line in lines_of(maintenance, who.tenant_id).items() if id_ not in before]
    expected = case.lines(cast)
    assert [action for action, *_rest in found] == [line.action for line in expected]
    for (_action, actor, company, subject, detail), line in zip(found, expected, strict=True):
        assert actor == who.user_id
        if line.company == NEW:
            assert company == subject is not None
        else:
            assert company == (getattr(cast, line.company).id if line.company else None)
        if line.about:
            thing = getattr(cast, line.about)
            assert subject == (thing.user_id if isinstance(thing, Member) else thing.id)
        assert {key: detail.get(key) for key in line.detail} == dict(line.detail)
        assert SAID not in json.dumps(detail)


async def test_what_is_refused_leaves_no_line(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    before = lines_of(maintenance, cast.northwind.id)
    finn = await visit_as(cast.finn)
    for do in (staff_come, renames, of_printer(tickets.change_status, lambda _: 'solved')):
        with pytest.raises(access.NotAllowed):
            async with finn.work() as db:
                await do(db, finn.by, cast)
    assert lines_of(maintenance, cast.northwind.id) == before


async def test_a_job_that_is_run_again(visit_as: VisitAs, cast: Cast, maintenance: str) -> None:
    with psycopg.connect(maintenance, autocommit=True) as c:
        c.execute('set search_path = public, jobs')
        args = json.dumps({'tenant': str(cast.northwind.id)})
        made = """insert into procrastinate_jobs (queue_name, task_name, args, status, attempts)
                  values ('default', 'tidy', %s, 'failed', 8) returning id"""
        (job,) = c.execute(made, (args,)).fetchone() or (0,)
        mona = await visit_as(cast.mona)
        async with mona.work() as db:
            await operations.run_again(db, mona.by, job)
        c.execute('delete from procrastinate_jobs where id = %s', (job,))
    action, actor, *_rest, detail = list(lines_of(maintenance, cast.northwind.id).values())[-1]
    assert (action, actor, detail) == ('job.repeated', cast.mona.user_id, {'job': job})
