"""Passkeys, who needs a second factor from when, and help for who has lost theirs."""

from pathlib import Path

from alembic import op

from portal.db.migrations.words import Side, hand_over, protect, replace, script

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None

SQL = Path(__file__).parent / 'sql'
RECOVERY = ('may_recover(uuid)', 'start_recovery(uuid, text, boolean)', 'stop_recovery(uuid)', 'recoveries()')
OWN = (
    'oneself()', 'my_handle()', 'my_passkeys()', 'add_passkey(jsonb)', 'rename_passkey(uuid, text)', 'remove_passkey(uuid)',
    'decline_passkey()', 'my_access()', *RECOVERY,
)  # fmt: skip
DOOR = (
    'handle_of(uuid, uuid)', 'passkey_at_door(uuid, text, bytea)', 'passkeys_of(uuid, uuid)', 'use_challenge(uuid, bytea, integer)',
    'passkey_used(uuid, uuid, bigint, boolean)', 'lacks_factor(uuid, uuid, text[])',
    'sso_is_too_little(uuid, uuid)', 'set_up_passkey(uuid, uuid, text[], uuid, jsonb)',
    'set_up_totp(uuid, uuid, text[], uuid, uuid, text, bytea, bigint, bytea[])', 'recovery_at_door(uuid, uuid)', 'refuse_recovery(uuid, uuid)',
)  # fmt: skip
STAFF = (*OWN, 'factor_states()', 'hurry_recovery(uuid)')
WORKER = (
    'ask_for_reminders()', 'factor_reminders()', 'factor_due(uuid, uuid)', 'send_recoveries()',
    'recovery_of(uuid, uuid)', 'tidy_challenges()',
)  # fmt: skip
INTERNAL = (
    'access_letter(uuid, uuid, text, uuid)', 'insert_passkey(uuid, uuid, jsonb)', 'factor_rules_for(uuid, uuid)',
    'send_recovery(uuid)', 'finish_recovery(uuid, uuid, uuid, uuid)', 'may_set_up(uuid, uuid, text[], uuid, uuid)',
)  # fmt: skip
REACHED = {
    'passkey': 'select, insert, update, delete', 'passkey_owner': 'select, insert, update',
    'passkey_challenge': 'select, insert, delete', 'factor_rule': 'select', 'factor_reminder': 'select, insert',
    'recovery': 'select, insert, update',
}  # fmt: skip


def upgrade() -> None:
    script((SQL / '0016_tables.sql').read_text())
    for closed in ('passkey', 'passkey_owner', 'passkey_challenge', 'factor_reminder', 'recovery'):
        protect(closed)
    decides = "(select app.may('access.manage'))"
    protect(
        'factor_rule',
        Side('staff', 'select'),
        Side('staff', 'insert', decides, command='insert', name='staff_adds'),
        Side('staff', 'update', decides, command='update', name='staff_changes'),
        Side('staff', 'delete', decides, command='delete', name='staff_removes'),
    )
    op.execute('grant update (recovery_hours) on tenant to portal_staff')
    for part in ('policy', 'passkeys', 'recovery'):
        script((SQL / f'0016_{part}.sql').read_text())
    for table, rights in REACHED.items():
        op.execute(f'grant {rights} on {table} to portal_definer')
        op.execute(f'create policy definer on {table} to portal_definer using (true) with check (true)')
    for signature in {*INTERNAL, *STAFF, *OWN, *DOOR, *WORKER}:
        op.execute(f'revoke execute on function app.{signature} from public')
        op.execute(f'grant execute on function app.{signature} to portal_definer')
    for side, signatures in (('staff', STAFF), ('client', OWN), ('door', DOOR), ('worker', WORKER)):
        for signature in signatures:
            op.execute(f'grant execute on function app.{signature} to portal_{side}')
    hand_over()
    replace((SQL / '0016_replaced.sql').read_text())
