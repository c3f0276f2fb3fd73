"""Saved views: what somebody on the staff, or the whole team, asks the queue for again and again."""

import unicodedata
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import Column, ForeignKeyConstraint, Index, UniqueConstraint, delete, text
from sqlalchemy import func as sql
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Field, SQLModel, col, or_, select
from sqlmodel.ext.asyncio.session import AsyncSession

from portal.domain.access import Permission, Principal, verb
from portal.domain.base import TENANT, Moment, NotFound, Wrong, now, uuid7
from portal.i18n import _

NAME_MOST = 60
MOST = 30  # of one's own, and of the team's


class SavedView(SQLModel, table=True):
    """A name for what stands in the address of the queue."""

    __tablename__: str = 'saved_view'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        ForeignKeyConstraint(['tenant_id', 'owner_id'], ['users.tenant_id', 'users.id']),
        Index(
            'saved_view_own', 'tenant_id', 'owner_id', text('lower(name)'), unique=True, postgresql_where=text('NOT is_shared')
        ),
        Index('saved_view_shared', 'tenant_id', text('lower(name)'), unique=True, postgresql_where=text('is_shared')),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    owner_id: UUID
    name: str
    query: dict[str, str] = Field(sa_column=Column(cast(Any, JSONB), nullable=False))
    is_shared: bool = False
    created_at: datetime = Field(default_factory=now, sa_type=Moment)


class DefaultView(SQLModel, table=True):
    """With which saved view somebody begins."""

    __tablename__: str = 'default_view'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'view_id'], ['saved_view.tenant_id', 'saved_view.id'], ondelete='CASCADE'),
        Index('default_view_of', 'tenant_id', 'view_id'),
    )
    user_id: UUID = Field(primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    view_id: UUID


async def saved_views(db: AsyncSession, by: Principal) -> list[SavedView]:
    """One's own and the team's, in the order in which they were made."""
    mine = or_(SavedView.owner_id == by.user_id, SavedView.is_shared)
    return list(await db.exec(select(SavedView).where(mine).order_by(col(SavedView.id)).limit(2 * MOST)))


async def default_view(db: AsyncSession, by: Principal) -> UUID | None:
    return (await db.exec(select(DefaultView.view_id).where(DefaultView.user_id == by.user_id))).first()


@verb(Permission.DESK_OWN)
async def save_view(db: AsyncSession, by: Principal, *, name: str, query: Mapping[str, str], shared: bool = False) -> SavedView:
    """Raises Wrong for a name that is missing, too long or taken."""
    if shared:
        by.need(Permission.DESK_TEAM)
    name = await _free_name(db, by, name, shared=shared)
    if len([v for v in await saved_views(db, by) if v.is_shared == shared]) >= MOST:
        raise Wrong(name=_('There are {n} already. Delete one first.', n=MOST))
    view = SavedView(tenant_id=by.tenant.id, owner_id=by.user_id, name=name, query=dict(query), is_shared=shared)
    db.add(view)
    await _kept(db)
    return view


@verb(Permission.DESK_OWN)
async def change_view(
    db: AsyncSession, by: Principal, view_id: UUID, *, name: str, shared: bool | None = None, query: Mapping[str, str] | None = None
) -> SavedView:  # fmt: skip
    """Its name, whether the team has it, and what it asks for; what is None stays."""
    view = await _view(db, by, view_id)
    if shared is not None and shared != view.is_shared:
        by.need(Permission.DESK_TEAM)
        view.is_shared = shared
    with db.no_autoflush:
        view.name = await _free_name(db, by, name, shared=view.is_shared, but=view.id)
    if query is not None:
        view.query = dict(query)
    await _kept(db)
    return view


@verb(Permission.DESK_OWN)
async def delete_view(db: AsyncSession, by: Principal, view_id: UUID) -> None:
    await db.delete(await _view(db, by, view_id))
    await db.flush()


@verb(Permission.DESK_OWN)
async def begin_with(db: AsyncSession, by: Principal, view_id: UUID | None) -> None:
    """The view that the queue opens with; None: the usual one."""
    await db.exec(delete(DefaultView).where(col(DefaultView.user_id) == by.user_id))
    if view_id is None:
        return
    if view_id not in {view.id for view in await saved_views(db, by)}:
        raise NotFound
    row = insert(DefaultView).values(user_id=by.user_id, tenant_id=by.tenant.id, view_id=view_id)
    await cast(Any, db).exec(row.on_conflict_do_update(index_elements=['user_id'], set_={'view_id': view_id}))


async def _view(db: AsyncSession, by: Principal, view_id: UUID) -> SavedView:
    """To be changed: one's own, or the team's by those who may."""
    view = (await db.exec(select(SavedView).where(SavedView.id == view_id).with_for_update())).first()
    if view is None or (view.owner_id != by.user_id and not view.is_shared):
        raise NotFound
    if view.is_shared:
        by.need(Permission.DESK_TEAM)
    return view


async def _kept(db: AsyncSession) -> None:
    """Of two who give the same name at the same moment, the second hears of it."""
    try:
        await db.flush()
    except IntegrityError:
        raise Wrong(name=_('There is a view of this name already.')) from None


async def _free_name(db: AsyncSession, by: Principal, name: str, *, shared: bool, but: UUID | None = None) -> str:
    name = ' '.join(unicodedata.normalize('NFC', ''.join(c if c.isprintable() else ' ' for c in name)).split())
    if not name:
        raise Wrong(name=_('Give it a name.'))
    if len(name) > NAME_MOST:
        raise Wrong(name=_('At most {n} letters, please.', n=NAME_MOST))
    same = select(SavedView.id).where(sql.lower(SavedView.name) == name.lower(), SavedView.is_shared == shared)
    if not shared:
        same = same.where(SavedView.owner_id == by.user_id)
    if any(found != but for found in await db.exec(same)):
        raise Wrong(name=_('There is a view of this name already.'))
    return name
