"""Search through everything that is said, with ranking and without minding typing errors; exports that are kept for some days."""

from pathlib import Path

from alembic import op

from portal.db.migrations.words import Side, hand_over, protect, script, unforced

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

SQL = Path(__file__).parent / 'sql'
NEW = (
    'app.plain(text)', 'app.vector(text, "char")', 'app.words_in(text)', 'app.query_of(text[], text, text)',
    'app.words_met(text, text[])', 'app.telling_words(tsvector)', 'app.learn_words(uuid, uuid, tsvector)',
    'app.joined(tsvector, tsvector)', 'app.index_everything()', 'app.search_tickets(text, integer, uuid, boolean)',
    'app.tickets_by_names(text[], uuid)', 'app.nearest_words(text)',
    'app.find_names(text, integer)', 'app.rare_of(text[], bigint[], boolean)',
    'app.enter_export(bigint, text)', 'app.tidy_exports()',
)  # fmt: skip
ANYONE = 'portal_staff, portal_client, portal_door, portal_worker, portal_definer'


def upgrade() -> None:
    op.execute('create extension if not exists pg_trgm')
    op.execute('create extension if not exists unaccent')
    script('drop function app.search_tickets(text, integer); alter table ticket drop column words;')
    script((SQL / '0006_search.sql').read_text())
    with unforced('ticket', 'ticket_comment', 'ticket_text', 'ticket_word'):
        op.execute('select app.index_everything()')
    for table in ('ticket_text', 'ticket_word'):
        protect(table)
        _for_functions(table, 'select, insert, update' if table == 'ticket_text' else 'select, insert')
    _for_functions('ticket_comment', 'select')
    mine = 'user_id = (select app.person())'
    ours = f'company_id = (select app.company()) and {mine}'
    protect(
        'export', Side('staff', 'select, insert, update', mine), Side('client', 'select, insert, update', ours),
        Side('worker', 'select, update'),
    )  # fmt: skip
    protect('export_part', Side('staff', 'select, insert, delete', mine), Side('client', 'select, insert, delete', ours))
    for table in ('export', 'export_part'):
        _for_functions(table, 'select')
    script(f"""
        revoke execute on function {', '.join(NEW)} from public;
        grant execute on function app.plain(text), app.vector(text, "char"), app.words_in(text), app.words_met(text, text[]) to {ANYONE};
        grant execute on function app.query_of(text[], text, text) to portal_staff, portal_definer;
        grant execute on function app.rare_of(text[], bigint[], boolean), app.telling_words(tsvector), app.joined(tsvector, tsvector),
          app.learn_words(uuid, uuid, tsvector) to portal_definer;
        grant execute on function app.search_tickets(text, integer, uuid, boolean), app.nearest_words(text)
          to portal_staff, portal_client, portal_definer;
        grant execute on function app.tickets_by_names(text[], uuid) to portal_definer;
        grant execute on function app.find_names(text, integer) to portal_staff;
        grant execute on function app.enter_export(bigint, text) to portal_staff, portal_client;
        grant execute on function app.tidy_exports() to portal_worker;
        grant delete on export, export_part to portal_definer;
        insert into app.task values ('make_export');
    """)
    hand_over()


def _for_functions(table: str, rights: str) -> None:
    op.execute(f'grant {rights} on {table} to portal_definer')
    op.execute(f'create policy definer on {table} to portal_definer using (true) with check (true)')
