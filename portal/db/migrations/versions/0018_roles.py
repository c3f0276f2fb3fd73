"""Roles of a tenant's own, and nobody gives more than they have."""

from pathlib import Path

from alembic import op

from portal.db.migrations.words import hand_over, protect, replace, script

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None

INTERNAL = 'note_where()', 'rights_now()', 'to_give(text[])', 'rights_in(uuid, text, uuid)', 'ways_in(uuid, uuid)'
SIDES = 'people_here(uuid[])', 'working_staff()', 'why_sees(uuid, uuid)'


def upgrade() -> None:
    script((Path(__file__).parent / 'sql' / '0018_roles.sql').read_text())
    protect('membership_seen')
    script("""
        grant select, insert, update on membership_seen to portal_definer;
        create policy definer on membership_seen to portal_definer using (true) with check (true);
        grant delete on role to portal_staff;
    """)
    for function in (*INTERNAL, *SIDES, 'permissions_for(text)'):
        op.execute(f'revoke execute on function app.{function} from public')
        op.execute(f'grant execute on function app.{function} to portal_definer')
    for function in SIDES:
        op.execute(f'grant execute on function app.{function} to portal_staff, portal_client')
    op.execute('grant execute on function app.permissions_for(text) to portal_staff, portal_client, portal_worker')
    hand_over()
    replace("""
        create or replace function app.enter(p_token bytea, p_company uuid, p_rights text) returns void
        language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
        begin
          perform app.enter_quietly(p_token, p_company, p_rights);
          perform app.note_use(p_token);
          perform app.note_where();
        end $$;
    """)
