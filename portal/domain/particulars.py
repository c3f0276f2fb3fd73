"""What a company says of itself: telephone, addresses, and whom to speak to about what. Its client admins keep it, and staff.

All of it is one table of fields, as it stands in a form: `phone`, `street`, `billing-city`, `technical-user`, `site:<id>-name`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, delete
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now, uuid7
from portal.domain.companies import LINES, clean_line, clean_website, locked
from portal.domain.people import Company, clean_email, clean_name, members_of
from portal.domain.phones import clean_phone, region_of, shown
from portal.i18n import _

PLACE = ('street', 'postal_code', 'city', 'country')
OWN = ('phone', 'website', *PLACE)  # in the row of the company
CONTACTS = ('billing', 'technical', 'emergency')
CONTACT = ('user', 'name', 'phone', 'email')
MOST_SITES = 20


class CompanyAddress(SQLModel, table=True):
    """Beside the main one, which stands in the row of the company."""

    __tablename__: str = 'company_address'  # pyright: ignore
    __table_args__ = (ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),)
    id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    company_id: UUID
    kind: str  # billing, of which there is one, or site
    name: str | None = None
    street: str | None = None
    postal_code: str | None = None
    city: str | None = None
    country: str | None = None
    changed_at: datetime = Field(default_factory=now, sa_type=Moment)


class CompanyContact(SQLModel, table=True):
    """A person of the company (`user_id`), or somebody who does not sign in."""

    __tablename__: str = 'company_contact'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(
            ['tenant_id', 'company_id', 'user_id'], ['membership.tenant_id', 'membership.company_id', 'membership.user_id']
        ),
    )
    company_id: UUID = Field(primary_key=True)
    kind: str = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    user_id: UUID | None = None
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    changed_at: datetime = Field(default_factory=now, sa_type=Moment)


class MovedOn(Wrong):
    """Somebody else changed the same field since the form was read. `now` is how all of it stands."""

    def __init__(self, now: Mapping[str, str], **fields: str) -> None:
        super().__init__(**fields)
        self.now = dict(now)


# ---------- questions ----------


async def addresses(db: AsyncSession, company_id: UUID) -> list[CompanyAddress]:
    """That for invoices, then the sites in the order in which they were added."""
    asked = (
        select(CompanyAddress)
        .where(CompanyAddress.company_id == company_id)
        .order_by(CompanyAddress.kind, col(CompanyAddress.id))
    )
    return list(await db.exec(asked))


async def contacts(db: AsyncSession, company_id: UUID) -> dict[str, CompanyContact]:
    found = await db.exec(select(CompanyContact).where(CompanyContact.company_id == company_id))
    return {contact.kind: contact for contact in found}


async def particulars(db: AsyncSession, company: Company) -> dict[str, str]:
    """As it stands in a form: telephone numbers as one reads them, '' where there is nothing."""
    fields = {field: getattr(company, field) or '' for field in OWN}
    for place in await addresses(db, company.id):
        key = 'billing' if place.kind == 'billing' else f'site:{place.id}'
        fields |= {f'{key}-{part}': getattr(place, part) or '' for part in ('name', *PLACE)}
    fields |= {f'billing-{part}': fields.get(f'billing-{part}', '') for part in ('name', *PLACE)}
    known = await contacts(db, company.id)
    for kind in CONTACTS:
        one = known.get(kind)
        values = (str(one.user_id or ''), one.name or '', one.phone or '', one.email or '') if one else ('', '', '', '')
        fields |= {f'{kind}-contact-{part}': value for part, value in zip(CONTACT, values, strict=True)}
    return {field: shown(value) if field.endswith('phone') and value else value for field, value in fields.items()}


# ---------- what can stand in it ----------


def clean(values: Mapping[str, str], timezone: str) -> dict[str, str]:
    """Every field as it is kept, numbers as one reads them; raises Wrong with the words for all that are wrong."""
    kept, wrong = dict[str, str](), dict[str, str]()
    region = region_of(values.get('country'), timezone)
    for field, value in values.items():
        try:
            kept[field] = _clean_one(field, value, region)
        except Wrong as e:
            wrong[field] = next(iter(e.fields.values()))
    for kind in CONTACTS:
        user, *free = (kept.get(f'{kind}-contact-{part}', '') for part in CONTACT)
        if user:
            kept |= {f'{kind}-contact-{part}': '' for part in CONTACT[1:]}
        elif any(free) and not free[0]:
            wrong.setdefault(f'{kind}-contact-name', _('Please enter a name.'))
    if wrong:
        raise Wrong(**wrong)
    return kept


def _clean_one(field: str, value: str, region: str) -> str:
    part = field.rpartition('-')[2]
    if part == 'phone':
        return shown(clean_phone(value, region)) if value.strip() else ''
    if part == 'website':
        return clean_website(value)
    if part == 'email':
        return clean_email(value) if value.strip() else ''
    if part == 'user':
        return value
    if part == 'name':
        return clean_name(value) if value.strip() else ''
    return clean_line(value, field, LINES[part])


# ---------- verbs ----------


@verb(Permission.COMPANY_EDIT)
async def change_own_company(db: AsyncSession, by: Principal, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """A client admin, of the company they are in. Its name stays with the MSP."""
    if by.company is None:
        raise NotFound
    await _change(db, by, by.company.id, before, after)


@verb(Permission.COMPANIES_MANAGE)
async def change_particulars(
    db: AsyncSession, by: Principal, company_id: UUID, before: Mapping[str, str], after: Mapping[str, str]
) -> None:
    """Staff, of any company."""
    await _change(db, by, company_id, before, after)


async def _change(db: AsyncSession, by: Principal, company_id: UUID, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Changes what differs between `before`, which the person was shown, and `after`. What somebody else changed meanwhile stays,
    unless both changed the same field to different things: then nothing happens, and MovedOn says how it stands."""
    after = clean(after, by.tenant.timezone)
    company = await locked(db, company_id)
    here = await particulars(db, company)
    mine = {field: value for field, value in after.items() if value != before.get(field, '')}
    clash = {field for field, value in mine.items() if here.get(field, '') not in (before.get(field, ''), value)}
    if clash:
        raise MovedOn(here, **{field: _meanwhile(here.get(field, '')) for field in clash})
    mine = {field: value for field, value in mine.items() if value != here.get(field, '')}
    if not mine:
        return
    full = here | mine
    await _check_people(db, company, mine)
    for field in OWN:
        if field in mine:
            setattr(company, field, _kept(field, mine[field]))
    for key in {field.rpartition('-')[0] for field in mine if '-' in field}:
        if key.endswith('-contact'):
            await _write_contact(db, company_id, key.removesuffix('-contact'), full)
        else:
            await _write_address(db, company_id, key, full)
    await db.flush()
    await record(db, 'company.changed', company_id=company_id, subject=company_id, fields=sorted(mine),
                 before={field: here.get(field, '') for field in mine}, after=mine)  # fmt: skip


def _meanwhile(value: str) -> str:
    if value:
        return _('Somebody changed this meanwhile to “{value}”. Save again to keep yours.', value=value)
    return _('Somebody emptied this meanwhile. Save again to keep yours.')


def _kept(field: str, value: str) -> str | None:
    """Numbers for telephones: what is shown has the country's code, so they are read without a region."""
    return (clean_phone(value) if field.endswith('phone') else value) or None


async def _check_people(db: AsyncSession, company: Company, mine: Mapping[str, str]) -> None:
    """A contact is somebody who belongs to the company now."""
    for field, value in mine.items():
        if field.endswith('-user') and value:
            try:
                belongs = await members_of(db, company.id, [UUID(value)])
            except ValueError:
                belongs = set[UUID]()
            if not belongs:
                raise Wrong(**{field: _('Choose somebody of the company.')})


async def _write_contact(db: AsyncSession, company_id: UUID, kind: str, values: Mapping[str, str]) -> None:
    if kind not in CONTACTS:
        raise NotFound
    user, name, phone, email = (values.get(f'{kind}-contact-{part}', '') for part in CONTACT)
    kept: dict[str, Any] = {'user_id': UUID(user) if user else None, 'name': None if user else name or None,
                            'phone': None if user else _kept('phone', phone), 'email': None if user else email or None}  # fmt: skip
    one = (
        await db.exec(select(CompanyContact).where(CompanyContact.company_id == company_id, CompanyContact.kind == kind))
    ).first()
    if not user and not name:
        if one:
            await db.delete(one)
    elif one:
        for field, value in {**kept, 'changed_at': now()}.items():
            setattr(one, field, value)
    else:
        db.add(CompanyContact(company_id=company_id, kind=kind, **kept))


async def _write_address(db: AsyncSession, company_id: UUID, key: str, values: Mapping[str, str]) -> None:
    """One that is emptied is gone."""
    kept: dict[str, Any] = {part: values.get(f'{key}-{part}', '') or None for part in ('name', *PLACE)}
    here = select(CompanyAddress).where(CompanyAddress.company_id == company_id)
    site: UUID | None = None
    if key == 'billing':
        place = (await db.exec(here.where(CompanyAddress.kind == 'billing'))).first()
    else:
        try:
            site = UUID(key.removeprefix('site:'))
        except ValueError:
            raise NotFound from None
        place = (await db.exec(here.where(CompanyAddress.id == site, CompanyAddress.kind == 'site'))).first()
    if not any(kept.values()):
        if place:
            await db.exec(delete(CompanyAddress).where(col(CompanyAddress.id) == place.id))  # pyright: ignore
        return
    if place:
        for field, value in {**kept, 'changed_at': now()}.items():
            setattr(place, field, value)
        return
    if key != 'billing' and len(list(await db.exec(here.where(CompanyAddress.kind == 'site')))) >= MOST_SITES:
        raise Wrong(**{f'{key}-name': _('At most {n} sites.', n=MOST_SITES)})
    db.add(CompanyAddress(id=site or uuid7(), company_id=company_id, kind='billing' if key == 'billing' else 'site', **kept))
    await db.flush()
