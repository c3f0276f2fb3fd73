"""Migrations run as portal_owner, one transaction each, and never wait long for a lock."""

from alembic import context
from sqlalchemy import NullPool, create_engine, text
from sqlmodel import SQLModel

from portal.domain import notifications, tickets

_ = notifications, tickets  # they fill the metadata
url = context.config.attributes['url']
engine = create_engine(url, poolclass=NullPool)  # a pooled connection would keep a template database busy
with engine.connect() as connection:
    milliseconds = int(context.config.attributes['lock_timeout'])
    connection.execute(text(f'set lock_timeout = {milliseconds}'))
    connection.execute(text('create schema if not exists migration'))
    connection.commit()
    context.configure(
        connection=connection, target_metadata=SQLModel.metadata, transaction_per_migration=True, compare_type=True,
        version_table_schema='migration',
    )  # fmt: skip
    with context.begin_transaction():
        context.run_migrations()
