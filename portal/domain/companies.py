"""What is known of a company, and whether it is looked after still."""

import re
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, UserType, verb
from portal.domain.audit import record
from portal.domain.base import NotFound, Wrong, now
from portal.domain.people import RESERVED, Company, CompanyNote, CompanySlug, User, clean_name, names_alone
from portal.domain.phones import clean_phone, region_of
from portal.i18n import _

NOTE_MOST = 5000
#: Fields of a company that are a line of text, with the most signs.
LINES = {'outside_ref': 100, 'street': 200, 'postal_code': 20, 'city': 100, 'country': 100}


@dataclass(frozen=True, slots=True)
class Details:
    """What can be changed of a company, as it stands in a form: '' is nothing."""

    name: str = ''
    slug: str = ''
    phone: str = ''
    website: str = ''
    street: str = ''
    postal_code: str = ''
    city: str = ''
    country: str = ''
    outside_ref: str = ''
    manager: str = ''  # id of somebody on the staff
    note: str = ''


FIELDS = tuple(Details.__dataclass_fields__)


class ChangedMeanwhile(Wrong):
    """Somebody else changed the same field since the form was read. `now` is how it stands."""

    def __init__(self, now: Details, **fields: str) -> None:
        super().__init__(**fields)
        self.now = now


# ---------- what can stand in a field ----------


def clean_line(value: str, field: str, most: int) -> str:
    """One line; raises Wrong where it is too long."""
    value = ' '.join(''.join(c if c.isprintable() else ' ' for c in value).split())
    if len(value) > most:
        raise Wrong(**{field: _('At most {n} letters, please.', n=most)})
    return value


def clean_website(value: str) -> str:
    """With https:// where nothing stands before it; no other schemes."""
    value = clean_line(value, 'website', 290)
    if not value:
        return ''
    if '://' not in value:
        value = f'https://{value}'
    try:
        parts = urlsplit(value)
        host = parts.hostname or ''
    except ValueError:
        host, parts = '', urlsplit('')
    good = parts.scheme in ('http', 'https') and '.' in host and not parts.username and not re.search(r'[\s"<>\\]', value)
    if not good:
        raise Wrong(website=_('This does not look like an address of the web.'))
    return value


def clean_slug(value: str) -> str:
    value = value.strip().lower()
    if not re.fullmatch(r'[a-z0-9](-?[a-z0-9])*', value) or len(value) > 40:
        raise Wrong(slug=_('Small letters, digits and single hyphens, at most 40.'))
    if value in RESERVED:
        raise Wrong(slug=_('This word is needed by the portal itself.'))
    return value


def clean_note(value: str) -> str:
    value = value.replace('\r\n', '\n').replace('\x00', '').strip()
    if len(value) > NOTE_MOST:
        raise Wrong(note=_('At most {n} letters, please.', n=NOTE_MOST))
    return value


def cleaned(details: Details, timezone: str = '') -> Details:
    """Every field as it is kept; raises Wrong with the words for all of them. A number without its country's code is one of the
    company's country, else of that of the time zone."""
    wrong: dict[str, str] = {}
    values = asdict(details)
    rules: dict[str, Any] = {
        'name': clean_name, 'slug': clean_slug, 'phone': partial(clean_phone, region=region_of(details.country, timezone)), 'website': clean_website, 'note': clean_note,
        **{field: partial(clean_line, field=field, most=most) for field, most in LINES.items()},
    }  # fmt: skip
    for field, rule in rules.items():
        try:
            values[field] = rule(values[field])
        except Wrong as e:
            wrong |= e.fields
    if wrong:
        raise Wrong(**wrong)
    return Details(**values)


# ---------- questions ----------


async def details(db: AsyncSession, company: Company) -> Details:
    note = await db.get(CompanyNote, company.id)
    lines = {field: getattr(company, field) or '' for field in (*LINES, 'name', 'slug', 'phone', 'website')}
    return Details(**lines, manager=str(company.manager_id or ''), note=note.body if note else '')


# ---------- verbs ----------


@verb(Permission.COMPANIES_MANAGE)
async def change_company(db: AsyncSession, by: Principal, company_id: UUID, before: Details, after: Details) -> Company:
    """Changes what differs between `before`, which the person was shown, and `after`.

    What somebody else has changed meanwhile stays, unless both changed the same field to different things: then nothing
    happens, and ChangedMeanwhile says how it stands.
    """
    after = cleaned(after, by.tenant.timezone)
    await names_alone(db, by)
    company = await locked(db, company_id)
    here = await details(db, company)
    mine = {f: getattr(after, f) for f in FIELDS if getattr(after, f) != getattr(before, f)}
    clash = {f: getattr(here, f) for f in mine if getattr(here, f) not in (getattr(before, f), mine[f])}
    if clash:
        shown = {f: await _shown(db, f, value) for f, value in clash.items()}
        raise ChangedMeanwhile(here, **{
            f: _('Somebody changed this meanwhile to “{value}”. Save again to keep yours.', value=value) if value
            else _('Somebody emptied this meanwhile. Save again to keep yours.') for f, value in shown.items()
        })  # fmt: skip
    mine = {f: value for f, value in mine.items() if value != getattr(here, f)}
    await _check(db, company, mine)
    await write_changes(db, by, company, mine)
    return company


async def write_changes(db: AsyncSession, by: Principal, company: Company, changes: dict[str, str]) -> None:
    """Values that are clean and were checked."""
    if not changes:
        return
    await record(db, 'company.changed', company_id=company.id, subject=company.id,
                 before={f: getattr(company, f) for f in changes if hasattr(company, f)}, after={f: v for f, v in changes.items() if f != 'note'},
                 fields=list(changes))  # fmt: skip
    for field, value in changes.items():
        match field:
            case 'note':
                await _write_note(db, by, company, value)
            case 'manager':
                company.manager_id = UUID(value) if value else None
            case 'slug':
                await _move(db, by, company, value)
            case _:
                setattr(company, field, value or None)
    await db.flush()


async def _check(db: AsyncSession, company: Company, changes: dict[str, str]) -> None:
    """Whether it can be so beside the others; raises Wrong for every field that cannot."""
    wrong: dict[str, str] = {}
    others = select(Company.name).where(Company.id != company.id)
    if (name := changes.get('name')) and (await db.exec(others.where(func.lower(Company.name) == name.lower()))).first():
        wrong['name'] = _('A company of this name is here already.')
    if (ref := changes.get('outside_ref')) and (other := (await db.exec(others.where(Company.outside_ref == ref))).first()):
        wrong['outside_ref'] = _('This is the reference of {company}.', company=other)
    if slug := changes.get('slug'):
        formerly = select(CompanySlug.company_id).where(CompanySlug.slug == slug, CompanySlug.company_id != company.id)
        if (await db.exec(others.where(Company.slug == slug))).first() or (await db.exec(formerly)).first():
            wrong['slug'] = _('This address is, or was, that of another company.')
    if (manager := changes.get('manager')) and not await _on_staff(db, manager):
        wrong['manager'] = _('Choose somebody of your staff.')
    if wrong:
        raise Wrong(**wrong)


async def _on_staff(db: AsyncSession, user_id: str) -> bool:
    try:
        asked = select(User.id).where(
            User.id == UUID(user_id), User.user_type == UserType.INTERNAL.value, col(User.disabled_at).is_(None)
        )
    except ValueError:
        return False
    return (await db.exec(asked)).first() is not None


async def _shown(db: AsyncSession, field: str, value: str) -> str:
    if field != 'manager' or not value:
        return value
    person = await db.get(User, UUID(value))
    return person.name if person else ''


async def _write_note(db: AsyncSession, by: Principal, company: Company, body: str) -> None:
    note = await db.get(CompanyNote, company.id)
    if note and not body:
        await db.delete(note)
    elif note:
        note.body, note.author_id, note.changed_at = body, by.user_id, now()
    elif body:
        db.add(CompanyNote(tenant_id=by.tenant.id, company_id=company.id, body=body, author_id=by.user_id))


async def _move(db: AsyncSession, by: Principal, company: Company, slug: str) -> None:
    """The old address goes on leading here; a former one of its own can come back."""
    if own := await db.get(CompanySlug, (by.tenant.id, slug)):
        await db.delete(own)
    db.add(CompanySlug(tenant_id=by.tenant.id, slug=company.slug, company_id=company.id))
    company.slug = slug


@verb(Permission.COMPANIES_MANAGE)
async def archive_company(db: AsyncSession, by: Principal, company_id: UUID) -> None:
    """Its people are out with the commit: their open pages leave, and no letter about it goes out to them any more. Staff go
    on reading its tickets."""
    company = await locked(db, company_id)
    if company.archived_at is None:
        company.archived_at = now()
        await record(db, 'company.archived', company_id=company.id, subject=company.id)


@verb(Permission.COMPANIES_MANAGE)
async def restore_company(db: AsyncSession, by: Principal, company_id: UUID) -> None:
    """Its people can come in again, as before."""
    company = await locked(db, company_id)
    if company.archived_at is not None:
        company.archived_at = None
        await record(db, 'company.restored', company_id=company.id, subject=company.id)


async def locked(db: AsyncSession, company_id: UUID) -> Company:
    asked = select(Company).where(Company.id == company_id).with_for_update(key_share=True)
    found = (await db.exec(asked.execution_options(populate_existing=True))).first()
    if found is None:
        raise NotFound
    return found
