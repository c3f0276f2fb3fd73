"""What a row would do, decided from its cells and from what is there. The trial and the import itself decide by the same rules."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from uuid import UUID

from sqlalchemy import any_, func, literal, or_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Text, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Role, UserType
from portal.domain.base import Wrong
from portal.domain.companies import LINES, Details, cleaned
from portal.domain.imports.fields import fields_of, role_named
from portal.domain.imports.model import Batch, Kind, Outcome
from portal.domain.people import Company, CompanyNote, Membership, User, clean_email, clean_name
from portal.domain.phones import clean_phone
from portal.i18n import _

Problems = dict[str, str]  # words by field; '' is the whole row


@dataclass(frozen=True, slots=True)
class Decision:
    outcome: Outcome
    values: Mapping[str, str] = field(default_factory=dict[str, str])  # as they will stand
    changes: Mapping[str, str] = field(default_factory=dict[str, str])
    target: UUID | None = None  # the company, or the person, that is there already
    company: UUID | None = None  # of a person
    problems: Problems = field(default_factory=dict[str, str])


def refused(problems: Problems, values: Mapping[str, str]) -> Decision:
    return Decision(Outcome.REFUSE, values, problems=problems)


def values_of(batch: Batch, cells: list[str]) -> dict[str, str]:
    """The cells by field; those that are missing at the end of a row are empty."""
    return {
        f.name: cells[place] if place < len(cells) else '' for f in fields_of(batch.kind)
        if (place := batch.mapping.get(f.name)) is not None
    }  # fmt: skip


# ---------- what is there ----------


@dataclass(slots=True)
class KnownCompany:
    id: UUID
    archived: bool
    values: dict[str, str]


@dataclass(slots=True)
class Companies:
    """Those that rows name, to be found as a row may name them; and the addresses of the staff."""

    by_id: dict[UUID, KnownCompany] = field(default_factory=dict[UUID, KnownCompany])
    by_ref: dict[str, KnownCompany] = field(default_factory=dict[str, KnownCompany])
    by_name: dict[str, KnownCompany] = field(default_factory=dict[str, KnownCompany])
    by_slug: dict[str, KnownCompany] = field(default_factory=dict[str, KnownCompany])
    staff: dict[str, str] = field(default_factory=dict[str, str])  # id by address
    roles: dict[str, str] = field(default_factory=dict[str, str])  # the tenant's own for clients: id by name

    def named(self, words: str) -> KnownCompany | None:
        return self.by_ref.get(words) or self.by_name.get(words.lower()) or self.by_slug.get(words.lower())


@dataclass(slots=True)
class KnownPerson:
    id: UUID
    user_type: str
    disabled: bool
    name: str
    phone: str
    roles: dict[UUID, str] = field(default_factory=dict[UUID, str])  # by company: its key


People = dict[str, KnownPerson]  # by address


def names_in(batch: Batch, rows: Iterable[list[str]]) -> set[str]:
    """The words by which rows (their cells) name companies: names, references, addresses."""
    fields = ('name', 'outside_ref') if batch.kind is Kind.COMPANIES else ('company',)
    cells = [values.get(name, '') for values in (values_of(batch, row) for row in rows) for name in fields]
    return {*cells, *(' '.join(cell.split()) for cell in cells)} - {''}


async def known_companies(db: AsyncSession, names: Iterable[str], chosen: str = '') -> Companies:
    """Those of these names, references or addresses, and the `chosen` one (an id)."""
    known = Companies()
    words = literal(sorted(names), ARRAY(cast(Any, Text)))
    named = or_(
        func.lower(Company.name).in_(select(func.lower(func.unnest(words)))),
        col(Company.slug).in_(select(func.lower(func.unnest(words)))),
        col(Company.outside_ref) == any_(words),
        *([col(Company.id) == UUID(chosen)] if chosen else []),
    )
    asked = (
        select(Company, CompanyNote.body)
        .outerjoin(CompanyNote, col(CompanyNote.company_id) == Company.id)
        .where(named)
        .order_by(col(Company.id))
    )
    for company, note in await db.exec(asked):
        lines = {name: getattr(company, name) or '' for name in (*LINES, 'name', 'phone', 'website')}
        one = KnownCompany(company.id, company.archived_at is not None,
                           {**lines, 'manager': str(company.manager_id or ''), 'note': note or ''})  # fmt: skip
        known.by_id[company.id] = one
        known.by_name.setdefault(company.name.lower(), one)
        known.by_slug[company.slug] = one
        if company.outside_ref:
            known.by_ref[company.outside_ref] = one
    staff = select(User.email, User.id).where(User.user_type == UserType.INTERNAL.value, col(User.disabled_at).is_(None))
    own = select(Role.name, Role.id).where(Role.user_type == UserType.CLIENT.value)
    known.roles = {name: str(id_) for name, id_ in await db.exec(own)}
    known.staff = {email: str(id_) for email, id_ in await db.exec(staff)}
    return known


async def known_people(db: AsyncSession, emails: Iterable[str]) -> People:
    addresses = sorted({email.strip().lower() for email in emails})
    there = any_(literal(addresses, ARRAY(cast(Any, Text))))
    users = list(await db.exec(select(User).where(col(User.email) == there)))
    found = {u.id: KnownPerson(u.id, u.user_type, u.disabled_at is not None, u.name, u.phone or '') for u in users}
    asked = (
        select(Membership.user_id, Membership.company_id, Membership.role, Membership.role_id)
        .join(User, col(User.id) == Membership.user_id)
        .where(col(User.email) == there, col(Membership.ended_at).is_(None))
    )
    for user_id, company_id, role, role_id in await db.exec(asked):
        found[user_id].roles[company_id] = role or str(role_id)
    return {u.email: found[u.id] for u in users}


# ---------- companies ----------


def decide_company(values: dict[str, str], known: Companies) -> Decision:
    """By the reference where it has one, else by the name. An empty cell changes nothing."""
    wrong, manager = dict[str, str](), values.get('manager', '').strip().lower()
    plain = {name: value for name, value in values.items() if name != 'manager'}
    try:
        details = cleaned(Details(**{**plain, 'slug': 'company', 'manager': ''}))
        clean = {name: getattr(details, name) for name in plain}
    except Wrong as e:
        wrong, clean = {**e.fields}, plain
    if manager:
        if manager in known.staff:
            clean['manager'] = known.staff[manager]
        else:
            wrong['manager'] = _('Nobody on your staff has this address.')
    if wrong:
        return refused(wrong, values)
    name, ref = clean['name'], clean.get('outside_ref', '')
    here = (known.by_ref.get(ref) if ref else None) or known.by_name.get(name.lower())
    if here is None:
        return Decision(Outcome.ADD, {**clean, 'manager': manager}, {f: v for f, v in clean.items() if v})
    theirs = here.values['outside_ref']
    if ref and theirs and theirs != ref:
        return refused(
            {'outside_ref': _('{company} is here already, with the reference {ref}.', company=here.values['name'], ref=theirs)},
            values,
        )
    other = known.by_name.get(name.lower())
    if other and other.id != here.id:
        return refused({'name': _('Another company is called so already.')}, values)
    if here.archived:
        return refused({'name': _('{company} is archived. Bring it back first.', company=here.values['name'])}, values)
    changes = {f: v for f, v in clean.items() if v and v != here.values.get(f, '')}
    shown = {**here.values, **changes, 'manager': manager}
    return Decision(Outcome.CHANGE if changes else Outcome.LEAVE, shown, changes, here.id)


# ---------- people ----------


def decide_person(values: dict[str, str], options: Mapping[str, Any], known: Companies, people: People) -> Decision:
    """By the address. Whoever is here already gets what differs, and the company if they do not belong to it."""
    wrong: Problems = {}
    clean: dict[str, str] = {}
    for name, rule in (('email', clean_email), ('name', clean_name), ('phone', clean_phone)):
        if name in values:
            try:
                clean[name] = rule(values[name])
            except Wrong as e:
                wrong |= e.fields
    company = _company_of(values, options, known, wrong)
    wanted = values.get('role', '').strip()
    role = role_named(wanted, known.roles) if wanted else None
    if wanted and role is None:
        wrong['role'] = _('There is no such role for clients.')
    person = people.get(clean.get('email', ''))
    if person and person.user_type != UserType.CLIENT.value:
        wrong['email'] = _('This is the address of somebody on your staff.')
    elif person and person.disabled:
        wrong['email'] = _('{name} is disabled. Enable them first.', name=person.name)
    if wrong or company is None:
        return refused(wrong, values)
    shown = {**clean, 'company': company.values['name']}
    if person is None or company.id not in person.roles:
        changes = {'role': role or str(options.get('role') or 'ClientUser')}
        if clean.get('phone') and (person is None or clean['phone'] != person.phone):
            changes['phone'] = clean['phone']
        if person and clean['name'] != person.name:
            changes['name'] = clean['name']
        outcome = Outcome.CHANGE if person else Outcome.ADD
        return Decision(outcome, {**shown, 'role': changes['role']}, changes, person.id if person else None, company.id)
    before = {'name': person.name, 'phone': person.phone, 'role': person.roles[company.id]}
    after = {'name': clean['name'], 'phone': clean.get('phone') or person.phone, 'role': role or before['role']}
    changes = {f: v for f, v in after.items() if v != before[f]}
    return Decision(Outcome.CHANGE if changes else Outcome.LEAVE, {**shown, **after}, changes, person.id, company.id)


def _company_of(values: dict[str, str], options: Mapping[str, Any], known: Companies, wrong: Problems) -> KnownCompany | None:
    words, chosen = values.get('company', ''), str(options.get('company') or '')
    found = known.named(words) if words else known.by_id.get(UUID(chosen)) if chosen else None
    if found is None:
        wrong['company'] = _('There is no such company.') if words else _('No company stands here, and none is chosen for all.')
    elif found.archived:
        wrong['company'] = _('{company} is archived. Bring it back first.', company=found.values['name'])
    return found


# ---------- the whole file ----------


def decide_all(batch: Batch, rows: list[tuple[int, list[str]]], known: Companies, people: People) -> list[tuple[int, Decision]]:
    """Each row, with what the rows before it would have done already taken for done: a second one of the same is refused."""
    seen: dict[str, tuple[int, str]] = {}
    names: dict[str, tuple[int, str]] = {}
    decided: list[tuple[int, Decision]] = []
    for number, cells in rows:
        values = values_of(batch, cells)
        if missing := _wrong_shape(batch, cells, values):
            decision = refused(missing, values)
        elif batch.kind is Kind.COMPANIES:
            decision = _once(number, decide_company(values, known), seen)
        else:
            decision = _once_person(number, decide_person(values, batch.options, known, people), seen, names)
        decided.append((number, decision))
    return decided


def _wrong_shape(batch: Batch, cells: list[str], values: dict[str, str]) -> Problems:
    if any(cells[len(batch.columns) :]):
        return {'': _('This row has more cells than there are headings.')}
    return {
        f.name: _('No column is chosen for it.')
        for f in fields_of(batch.kind) if f.needed and f.name not in values
    }  # fmt: skip


def _once(number: int, decision: Decision, seen: dict[str, tuple[int, str]]) -> Decision:
    if decision.outcome is Outcome.REFUSE:
        return decision
    name, ref = decision.values['name'], decision.values.get('outside_ref', '')
    keys = {f'name {name.lower()}': 'name', **({f'ref {ref}': 'outside_ref'} if ref else {})}
    if decision.target:
        keys[f'id {decision.target}'] = 'name'
    for key, field_name in keys.items():
        if key in seen:
            return refused({field_name: _('This company stands in line {n} already.', n=seen[key][0])}, decision.values)
    seen |= dict.fromkeys(keys, (number, ''))
    return decision


def _once_person(
    number: int, decision: Decision, seen: dict[str, tuple[int, str]], names: dict[str, tuple[int, str]]
) -> Decision:  # fmt: skip
    if decision.outcome is Outcome.REFUSE:
        return decision
    email = decision.values['email']
    key = f'{email} {decision.company}'
    if key in seen:
        return refused(
            {'email': _('This address stands in line {n} already, for the same company.', n=seen[key][0])}, decision.values
        )
    first = names.setdefault(email, (number, decision.values['name']))
    if first[1] != decision.values['name']:
        return refused({'name': _('In line {n} the same address has another name.', n=first[0])}, decision.values)
    seen[key] = (number, '')
    return decision
