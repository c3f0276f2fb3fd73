"""Second factors: codes of an authenticator app, and recovery codes; a proof of who one is, given anew; one's own password."""

from pathlib import Path

from alembic import op

from portal.db.migrations.words import hand_over, protect, replace, script

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None

SQL = Path(__file__).parent / 'sql'
OWN = (
    'my_signing_in()', 'begin_totp(uuid, text, bytea)', 'waiting_totp(uuid)', 'confirm_totp(uuid, text, bigint)', 'remove_totp(uuid)',
    'set_recovery_codes(bytea[])', 'change_password(text, boolean)', 'letter_to_me(uuid, text)',
)  # fmt: skip
DOOR = (
    'has_factor(uuid, uuid)', 'totp_of(uuid, uuid)', 'use_totp(uuid, uuid, uuid, bigint)', 'recovery_codes_left(uuid, uuid)',
    'use_recovery_code(uuid, uuid, bytea, uuid)', 'proof_refused(uuid, uuid, text, uuid)', 'prove(bytea, text)',
)  # fmt: skip
INTERNAL = ('own_change(boolean)', 'must_keep_factor(uuid, uuid)', 'write_letter(uuid, uuid, uuid, text)')


def upgrade() -> None:
    script((SQL / '0015_tables.sql').read_text())
    for closed in ('totp', 'recovery_code'):
        protect(closed)
        op.execute(f'grant select, insert, update, delete on {closed} to portal_definer')
        op.execute(f'create policy definer on {closed} to portal_definer using (true) with check (true)')
    # letters that the door promises, where there is no context
    op.execute('grant insert (id, tenant_id, kind, to_user_id, state, created_at) on mail_outbox to portal_definer')
    op.execute('create policy definer_writes on mail_outbox for insert to portal_definer with check (true)')
    script((SQL / '0015_factors.sql').read_text())
    for signature in (*OWN, *DOOR, *INTERNAL):
        op.execute(f'revoke execute on function app.{signature} from public')
        op.execute(f'grant execute on function app.{signature} to portal_definer')
    for side, signatures in (('staff', OWN), ('client', OWN), ('door', DOOR)):
        for signature in signatures:
            op.execute(f'grant execute on function app.{signature} to portal_{side}')
    hand_over()
    replace((SQL / '0015_password.sql').read_text())
