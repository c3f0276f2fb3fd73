"""The tables of single sign-on."""

from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ForeignKeyConstraint, UniqueConstraint
from sqlalchemy.dialects.postgresql import ARRAY
from sqlmodel import Field, SQLModel, Text

from portal.domain.base import TENANT, Moment, now, uuid7


class Provider(SQLModel, table=True):
    """Where people of a side prove who they are. `company_id` None: of all clients, or of the staff."""

    __tablename__: str = 'identity_provider'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'id'),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(['tenant_id', 'created_by_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, foreign_key='tenant.id', sa_column_kwargs=TENANT)
    company_id: UUID | None = None
    side: str
    kind: str
    name: str
    issuer: str
    client_id: str
    domains: list[str] = Field(default_factory=list, sa_type=cast(Any, ARRAY(Text)))
    default_role: str | None = None
    enabled: bool = False
    checked_at: datetime | None = Field(default=None, sa_type=Moment)
    check_problem: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Moment)
    created_by_id: UUID | None = None


class ProviderSecret(SQLModel, table=True):
    """The client secret, encrypted. No side reads it; the door's function hands it to the server."""

    __tablename__: str = 'identity_secret'  # pyright: ignore
    __table_args__ = (ForeignKeyConstraint(['tenant_id', 'id'], ['identity_provider.tenant_id', 'identity_provider.id']),)
    id: UUID = Field(primary_key=True)  # the provider's
    tenant_id: UUID
    sealed: bytes


class Identity(SQLModel, table=True):
    """Somebody's account at a provider. `subject` None: made in advance by address, and not used yet."""

    __table_args__ = (
        UniqueConstraint('tenant_id', 'provider_id', 'issuer', 'subject'),
        UniqueConstraint('tenant_id', 'provider_id', 'user_id'),
        ForeignKeyConstraint(['tenant_id', 'provider_id'], ['identity_provider.tenant_id', 'identity_provider.id']),
        ForeignKeyConstraint(['tenant_id', 'user_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, sa_column_kwargs=TENANT)
    provider_id: UUID
    user_id: UUID
    issuer: str
    subject: str | None = None
    email: str | None = None
    linked_by: str  # email, self, staff, created
    linked_at: datetime = Field(default_factory=now, sa_type=Moment)
    used_at: datetime | None = Field(default=None, sa_type=Moment)


class Flow(SQLModel, table=True):
    """Somebody on their way to a provider and back. Closed to all but the door's functions."""

    __tablename__: str = 'sso_flow'  # pyright: ignore
    __table_args__ = (
        ForeignKeyConstraint(['tenant_id', 'provider_id'], ['identity_provider.tenant_id', 'identity_provider.id']),
    )
    state_hash: bytes = Field(primary_key=True)
    tenant_id: UUID
    provider_id: UUID
    browser_hash: bytes
    purpose: str
    nonce: str
    verifier: str
    onward: str | None = None
    token_hash: bytes | None = None  # of the session that links or confirms
    expires_at: datetime = Field(sa_type=Moment)
    started_at: datetime = Field(sa_type=Moment)


class Only(SQLModel, table=True):
    """The people of a company, or the staff (`company_id` None), come in by a provider only; one account is exempt."""

    __tablename__: str = 'sso_only'  # pyright: ignore
    __table_args__ = (
        UniqueConstraint('tenant_id', 'company_id'),
        ForeignKeyConstraint(['tenant_id', 'company_id'], ['company.tenant_id', 'company.id']),
        ForeignKeyConstraint(['tenant_id', 'exempt_id'], ['users.tenant_id', 'users.id']),
        ForeignKeyConstraint(['tenant_id', 'created_by_id'], ['users.tenant_id', 'users.id']),
    )
    id: UUID = Field(default_factory=uuid7, primary_key=True)
    tenant_id: UUID = Field(default=None, foreign_key='tenant.id', sa_column_kwargs=TENANT)
    company_id: UUID | None = None
    exempt_id: UUID | None = None
    since: datetime = Field(default_factory=now, sa_type=Moment)
    created_by_id: UUID
