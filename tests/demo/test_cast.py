"""The cast that every other test relies on."""

from typing import Any, LiteralString

import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg import sql

from portal.db import cast as casting
from portal.db.cast import Cast


@pytest.fixture
def look(maintenance: str) -> Any:
    with psycopg.connect(maintenance) as connection:
        yield connection


def test_every_call_makes_tenants_of_its_own(cast: Cast, maintenance: str) -> None:
    other = casting.make(maintenance)
    assert other.northwind.id != cast.northwind.id
    assert other.northwind.host != cast.northwind.host


def test_everybody_of_the_table_is_there_and_signed_in(cast: Cast, look: psycopg.Connection[Any]) -> None:
    assert {member.email for member in cast.members} == {person.email for person in casting.PEOPLE.values()}
    for member in cast.members:
        [(facts,)] = look.execute('select app.whoami(%s)', (member.token,)).fetchall()
        assert facts['name'] == member.name
        role = facts['role'] or {c['slug']: c['role'] for c in facts['companies']}[member.slug]
        assert role == member.role


def test_mel_is_one_person_in_two_companies(cast: Cast) -> None:
    assert cast.mel_bolt.cookie == cast.mel_acme.cookie
    assert (cast.mel_bolt.slug, cast.mel_bolt.role) == ('bolt', 'ClientUser')
    assert (cast.mel_acme.slug, cast.mel_acme.role) == ('acme', 'ClientAdmin')


def test_the_password_opens_the_door(cast: Cast, look: psycopg.Connection[Any]) -> None:
    [(hashed,)] = look.execute('select password_hash from credential where user_id = %s', (cast.ada.user_id,)).fetchall()
    assert PasswordHasher().verify(hashed, casting.PASSWORD)


def test_each_tenant_has_a_row_in_every_table_that_tenants_have(cast: Cast, look: psycopg.Connection[Any]) -> None:
    columns: LiteralString = """
        select table_name from information_schema.columns join information_schema.tables using (table_schema, table_name)
        where column_name = 'tenant_id' and table_schema = 'public' and table_type = 'BASE TABLE'"""
    tables = {table for (table,) in look.execute(columns)}
    assert tables >= {'ticket', 'audit', 'session'}
    tables -= {'audit_waiting', 'audit_seal', 'audit_removed'}  # kept by the functions of the log: tests/test_audit_verify.py
    question = sql.SQL('select exists (select from {} where tenant_id = %s)')
    empty = [
        (table, tenant.name)
        for table in tables
        for tenant in (cast.northwind, cast.southgate)
        if look.execute(question.format(sql.Identifier(table)), (tenant.id,)).fetchone() != (True,)
    ]
    assert empty == []


def test_the_secret_stands_in_notes_alone(cast: Cast, look: psycopg.Connection[Any]) -> None:
    found = look.execute(
        'select company_id, is_internal from ticket_comment where body like %s', (f'%{casting.SECRET}%',)
    ).fetchall()
    assert all(is_internal for _, is_internal in found)
    assert {cast.acme.id, cast.bolt.id, cast.bakery.id} <= {company for company, _ in found}
