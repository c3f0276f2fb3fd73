"""Words for migrations: what a table needs beyond its columns."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

from alembic import op


def script(sql: str) -> None:
    """Several statements at once, by the driver: without parameters, so nothing in them is taken for one."""
    cast(Any, op.get_bind().connection.driver_connection).execute(sql)


@dataclass(frozen=True)
class Side:
    """What one side may do with a table: rights, a condition beside the tenant's, and the command of the policy."""

    who: str
    rights: str
    only: str = ''
    command: str = ''  # of the policy; by default `select` where that is all, else `all`
    name: str = ''


def protect(table: str, *sides: Side, key: str = 'tenant_id') -> None:
    """Row security, forced, with one policy per side and purpose. Without sides: closed to all but the definer functions.

    The backup reads every table, and changes none.
    """
    op.execute(f'alter table {table} enable row level security')
    op.execute(f'alter table {table} force row level security')
    op.execute(f'create policy backup on {table} for select to portal_backup using (true)')
    op.execute(f'grant select on {table} to portal_backup')
    for side in sides:
        rule = f'{key} = (select app.tenant())' + (f' and {side.only}' if side.only else '')
        command = side.command or ('select' if side.rights == 'select' else 'all')
        clause = 'with check' if command == 'insert' else 'using'
        op.execute(f'create policy {side.name or side.who} on {table} for {command} to portal_{side.who} {clause} ({rule})')
        op.execute(f'grant {side.rights} on {table} to portal_{side.who}')


def definer(tables: Mapping[str, str], **callers: tuple[str, ...]) -> None:
    """The functions of schema `app`: owned by portal_definer, called only by whom is named; and the tables they reach.

    `callers` maps a side (or `everyone`) to signatures. Functions that are not SECURITY DEFINER keep their owner.
    """
    op.execute('revoke all on schema app from public')
    op.execute('grant usage on schema app to portal_staff, portal_client, portal_worker, portal_door, portal_definer')
    op.execute('revoke execute on all functions in schema app from public')
    op.execute('grant execute on all functions in schema app to portal_definer')
    for table, rights in tables.items():
        op.execute(f'grant {rights} on {table} to portal_definer')
        op.execute(f'create policy definer on {table} to portal_definer using (true) with check (true)')
    for who, signatures in callers.items():
        roles = 'portal_staff, portal_client, portal_worker, portal_door' if who == 'everyone' else f'portal_{who}'
        for signature in signatures:
            op.execute(f'grant execute on function app.{signature} to {roles}')
    hand_over()


#: SECURITY DEFINER functions belong to portal_definer, which owns no table and cannot sign in.
HAND_OVER = """
        grant create on schema app to portal_definer;
        do $$ declare f record; begin
          for f in select p.oid::regprocedure as name from pg_proc p where p.pronamespace = 'app'::regnamespace and p.prosecdef
            and p.proowner <> 'portal_definer'::regrole loop
            execute format('alter function %s owner to portal_definer', f.name);
          end loop;
        end $$;
        revoke create on schema app from portal_definer;
"""


def hand_over() -> None:
    """Of the functions that were just made."""
    script(HAND_OVER)


def replace(functions: str) -> None:
    """`create or replace` for functions that portal_definer owns already; their grants stay."""
    script('grant create on schema app to portal_definer; set local role portal_definer')
    script(functions)
    script('reset role; revoke create on schema app from portal_definer')


@contextmanager
def unforced(*tables: str) -> Generator[None]:
    """For moving data: the owner sees every tenant's rows, inside this migration's transaction only.

    Without it a data migration touches no row and says nothing.
    """
    for table in tables:
        op.execute(f'alter table {table} no force row level security')
    yield
    for table in tables:
        op.execute(f'alter table {table} force row level security')
