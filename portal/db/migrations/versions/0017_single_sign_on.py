"""Single sign-on: identity providers, the accounts people have there, and who comes in by them only."""

from pathlib import Path

from alembic import op

from portal.db.migrations.words import Side, hand_over, protect, script

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None

SQL = Path(__file__).parent / 'sql'
MANAGE = "(select app.may('access.manage'))"
DOOR = (
    'sso_offers(uuid, text)', 'sso_for_domain(uuid, text, text)', 'sso_way(uuid, uuid)', 'sso_provider(uuid, uuid)',
    'sso_begin(uuid, uuid, bytea, bytea, text, text, text, text, bytea)', 'sso_take(uuid, bytea, bytea)',
    'sso_enter(uuid, uuid, text, text, text, boolean, text, uuid)', 'sso_link(bytea, uuid, uuid, text, text, text)',
    'sso_prove(bytea, uuid, uuid, text, text)', 'sso_mine(uuid, uuid)', 'sso_only(uuid, uuid)', 'identity_secret(uuid, uuid)',
)  # fmt: skip
OWN = 'my_accounts()', 'unlink_account(uuid)'


def upgrade() -> None:
    script((SQL / '0017_tables.sql').read_text())
    for table in ('identity_provider', 'identity', 'sso_only'):
        protect(table, Side('staff', 'select, insert, update, delete', MANAGE))
    protect('identity_secret')
    protect('sso_flow')
    script((SQL / '0017_functions.sql').read_text())
    for table, rights in {
        'identity_provider': 'select, update',  # to lock a row
        'identity_secret': 'select, insert, update, delete',
        'identity': 'select, insert, update, delete',
        'sso_flow': 'select, insert, update, delete',  # update: to lock what is over
        'sso_only': 'select, delete',
    }.items():
        op.execute(f'grant {rights} on {table} to portal_definer')
        op.execute(f'create policy definer on {table} to portal_definer using (true) with check (true)')
    op.execute('grant insert on membership to portal_definer')
    callers = {
        'door': DOOR,
        'staff': (*OWN, 'keep_identity_secret(uuid, bytea)', 'sso_unready(uuid)', 'came_by_sso()', 'has_identity_secret(uuid)'),
        'client': OWN,
        'worker': ('sso_only(uuid, uuid)',),
        'definer': ('sso_fits(identity_provider, users, text)', 'sso_off(text, text)', *DOOR),
    }
    signatures = {signature for some in callers.values() for signature in some}
    for signature in signatures:
        op.execute(f'revoke execute on function app.{signature} from public')
    for who, some in callers.items():
        for signature in some:
            op.execute(f'grant execute on function app.{signature} to portal_{who}')
    hand_over()
