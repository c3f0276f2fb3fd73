"""What tickets are about: a short list of the tenant's own, in an order of its own. Used ones are archived, not deleted."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import UniqueConstraint, func
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.audit import record
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now, uuid7
from portal.domain.people import clean_name
from portal.i18n import _

NAME_MOST = 60


class Category(SQLModel, table=True):
    __table_args__ = (UniqueConstraint('tenant_id', 'id'),)
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, foreign_key='tenant.id', sa_column_kwargs=TENANT)
    name: str
    place: int  # in the order that people see
    archived_at: datetime | None = Field(default=None, sa_type=Moment)  # not offered any more
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


async def categories(db: AsyncSession, *, archived: bool = False) -> list[Category]:
    """In their order; those that are still offered, or all."""
    found = select(Category).order_by(col(Category.place), col(Category.id))
    return list(await db.exec(found if archived else found.where(col(Category.archived_at).is_(None))))


async def offered(db: AsyncSession, category_id: UUID | None) -> UUID | None:
    """The id if it can be chosen; raises Wrong(category=…)."""
    if category_id is not None and not any(c.id == category_id for c in await categories(db)):
        raise Wrong(category=_('Choose one of the categories.'))
    return category_id


@verb(Permission.TENANT_MANAGE)
async def add_category(db: AsyncSession, by: Principal, name: str) -> Category:
    """At the end of the list."""
    name = await _free_name(db, name)
    place = (await db.exec(select(func.coalesce(func.max(Category.place), 0)))).one() + 1
    category = Category(tenant_id=by.tenant.id, name=name, place=place)
    db.add(category)
    await db.flush()
    await record(db, 'category.added', subject=category.id, name=name)
    return category


@verb(Permission.TENANT_MANAGE)
async def rename_category(db: AsyncSession, by: Principal, category_id: UUID, name: str) -> None:
    """Also on the tickets that have it, and in their history."""
    category = await _category(db, category_id)
    name = await _free_name(db, name, besides=category)
    if name == category.name:
        return
    before, category.name = category.name, name
    await db.flush()
    await record(db, 'category.renamed', subject=category.id, before=before, after=name)


@verb(Permission.TENANT_MANAGE)
async def move_category(db: AsyncSession, by: Principal, category_id: UUID, steps: int) -> None:
    """By so many places down, or up where it is negative; among those that are offered. At an end it stays."""
    rows = list(await db.exec(select(Category).order_by(col(Category.place), col(Category.id)).with_for_update()))
    shown = [c for c in rows if c.archived_at is None]
    at = next((n for n, c in enumerate(shown) if c.id == category_id), None)
    if at is None:
        raise NotFound
    shown.insert(max(0, min(len(shown) - 1, at + steps)), shown.pop(at))
    _number(shown + [c for c in rows if c.archived_at])
    await db.flush()


def _number(rows: Sequence[Category]) -> None:
    for place, category in enumerate(rows, 1):
        category.place = place


@verb(Permission.TENANT_MANAGE)
async def archive_category(db: AsyncSession, by: Principal, category_id: UUID) -> None:
    """It is not offered any more; tickets that have it keep it."""
    category = await _category(db, category_id)
    if category.archived_at is None:
        category.archived_at = now()
        await db.flush()
        await record(db, 'category.archived', subject=category.id, name=category.name)


@verb(Permission.TENANT_MANAGE)
async def restore_category(db: AsyncSession, by: Principal, category_id: UUID) -> None:
    category = await _category(db, category_id)
    if category.archived_at is not None:
        category.archived_at = None
        await db.flush()
        await record(db, 'category.restored', subject=category.id, name=category.name)


async def _category(db: AsyncSession, category_id: UUID) -> Category:
    found = (await db.exec(select(Category).where(Category.id == category_id).with_for_update())).first()
    if found is None:
        raise NotFound
    return found


async def _free_name(db: AsyncSession, name: str, *, besides: Category | None = None) -> str:
    name = clean_name(name, most=NAME_MOST)
    taken = (await db.exec(select(Category).where(func.lower(Category.name) == name.lower()))).first()
    if taken and taken is not besides:
        words = _('There is a category of this name already.')
        raise Wrong(name=words if taken.archived_at is None else _('An archived category has this name: restore it instead.'))
    return name
