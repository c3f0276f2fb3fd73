"""Invitations, the review of who still works somewhere, what a company says of itself, and a change of one's own address."""

from pathlib import Path

from alembic import op

from portal.db.migrations.words import Side, hand_over, protect, script

revision = '0019'
down_revision = '0018'
branch_labels = None
depends_on = None

SQL = Path(__file__).parent / 'sql'
OURS = 'company_id = (select app.company())'
INVITES = f"{OURS} and (select app.may('people.manage'))"
EDITS = f"{OURS} and (select app.may('company.edit'))"


def upgrade() -> None:
    script((SQL / '0019_tables.sql').read_text())
    _policies()
    script((SQL / '0019_functions.sql').read_text())
    _functions()
    hand_over()


def _policies() -> None:
    protect(
        'invitation',
        Side('staff', 'select, insert, update'),
        Side('client', 'select, insert, update', INVITES),
        Side('worker', 'select'),
    )
    protect('access_review', Side('staff', 'select'), Side('client', 'select', INVITES))
    protect('access_review_item', Side('staff', 'select'), Side('client', 'select', INVITES))
    protect(
        'company_address',
        Side('staff', 'select, insert, update, delete'),
        Side('client', 'select', OURS, command='select'),
        Side('client', 'insert, update, delete', EDITS, name='client_edits', command='all'),
    )
    protect(
        'company_contact',
        Side('staff', 'select, insert, update, delete'),
        Side('client', 'select', OURS, command='select'),
        Side('client', 'insert, update, delete', EDITS, name='client_edits', command='all'),
    )
    protect('email_change')
    script("""
        create policy client_edits on company for update to portal_client
          using (tenant_id = (select app.tenant()) and id = (select app.company()) and (select app.may('company.edit')));
        grant update (phone, website, street, postal_code, city, country) on company to portal_client;
        grant update (phone) on users to portal_client;
        -- letters to those who are invited, and nobody else
        create policy client_invites on mail_outbox for insert to portal_client
          with check (tenant_id = (select app.tenant()) and company_id = (select app.company()) and kind = 'invitation'
            and actor_id = (select app.person()) and to_user_id is null and to_address is null and ticket_id is null
            and comment_id is null and (select app.may('people.manage'))
            and exists (select from invitation i where i.id = invitation_id and i.company_id = (select app.company())));
        grant insert on mail_outbox to portal_definer;
        grant update (review_days) on tenant to portal_staff;
        grant insert, update on membership to portal_definer;
    """)
    for table, rights in {
        'invitation': 'select, update', 'access_review': 'select, insert, update', 'access_review_item': 'insert', 'email_change': 'select, insert, update, delete',
    }.items():  # fmt: skip
        op.execute(f'grant {rights} on {table} to portal_definer')
        op.execute(f'create policy definer on {table} to portal_definer using (true) with check (true)')


def _functions() -> None:
    grants = {
        'portal_door': (
            'invited(uuid, uuid, integer)',
            'invited_by_sso(uuid, uuid)',
            'accept_invitation(uuid, uuid, integer, uuid, uuid, text, text, text)',
            'decline_invitation(uuid, uuid, integer)',
            'address_change(uuid, uuid, text)',
            'confirm_address(uuid, uuid, text)',
            'cancel_address(uuid, uuid)',
        ),
        'portal_staff, portal_client': ('ask_for_address(text)', 'my_address_change()', 'cancel_my_address_change()'),
        'portal_worker': ('open_reviews()', 'address_change_of(uuid, text)'),
        'portal_client': ('confirm_review(uuid, uuid[])',),
        'portal_definer': (
            'letter(uuid, text, uuid, text, uuid, uuid, uuid)',
            'invitation_state(invitation)',
            'inviter_may(invitation)',
            'managers_of(uuid, uuid)',
        ),
    }
    for who, signatures in grants.items():
        for signature in signatures:
            op.execute(f'revoke execute on function app.{signature} from public')
            op.execute(f'grant execute on function app.{signature} to {who}, portal_definer')
