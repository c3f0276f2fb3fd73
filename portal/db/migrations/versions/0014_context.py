"""The context says more of who is looking: what they may do, by which session, for whom, and how fresh the proof of it is."""

from pathlib import Path

from alembic import op

from portal.db.migrations.words import hand_over, replace, script

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None

SQL = Path(__file__).parent / 'sql'


def upgrade() -> None:
    script("""
        alter table session
          add column id uuid not null default gen_random_uuid(),
          -- by what its person proved who they are: password, totp, passkey, recovery, sso
          add column proofs text[] not null default '{password}',
          add column proved_at timestamptz not null default now(),  -- when they last did
          add column device_key bytea,  -- digest of the cookie by which the device is known
          add unique (tenant_id, id);
    """)
    # what was before the switch stays; a proof from before it is not fresh
    script("""
        alter table session no force row level security;
        update session set proved_at = created_at;
        alter table session force row level security;
    """)
    script((SQL / '0014_context.sql').read_text())
    op.execute('drop function app.open_session(bytea, uuid, uuid, text)')
    signature = 'open_session(bytea, uuid, uuid, text, text[], bytea)'
    everyone = 'may(text)', 'session()', 'viewer()', 'fresh()'
    internal = 'set_context(uuid, uuid, uuid, text, text[], uuid, uuid, boolean)', 'permissions_of(text, text[])'
    for function in (signature, *everyone, *internal):
        op.execute(f'revoke execute on function app.{function} from public')
        op.execute(f'grant execute on function app.{function} to portal_definer')
    op.execute(f'grant execute on function app.{signature} to portal_door')
    for function in everyone:
        op.execute(f'grant execute on function app.{function} to portal_staff, portal_client, portal_worker, portal_door')
    hand_over()
    replace((SQL / '0014_entering.sql').read_text())
