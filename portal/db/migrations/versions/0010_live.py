"""What one open page has read may be shown by others whose people may see it: asked here, for their sessions."""

from alembic import op

from portal.db.migrations.words import hand_over, script

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    script("""
        grant select, update (seen_at) on notification to portal_definer;
        create policy definer on notification to portal_definer using (true) with check (true);

        -- Those of the sessions whose people may see the ticket now; what they were told of it is seen, and nothing of it unread.
        -- The rule is the one of the policies of `ticket` (a test compares).
        create function app.look(p_ticket uuid, p_tokens bytea[]) returns setof bytea
        language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
        declare found bytea[]; looking uuid[];
        begin
          select array_agg(k.token), array_agg(s.user_id) into found, looking
            from ticket t cross join unnest(p_tokens) as k(token) cross join lateral app.live_session(k.token) s
            where t.id = p_ticket and t.tenant_id = app.tenant() and s.tenant_id = t.tenant_id and case s.user_type
              when 'internal' then session_user = 'portal_staff'
              else session_user = 'portal_client' and exists (
                select from membership m join company c on c.tenant_id = m.tenant_id and c.id = m.company_id
                  left join role r on r.tenant_id = m.tenant_id and r.id = m.role_id
                where m.tenant_id = t.tenant_id and m.company_id = t.company_id and m.user_id = s.user_id and m.ended_at is null
                  and c.archived_at is null and m.company_id = app.company()
                  and (t.requester_id = m.user_id or t.visibility = 'company' and app.reach_of(m.role, r.permissions) = 'company'
                       or exists (select from ticket_participant p where p.ticket_id = t.id and p.user_id = m.user_id))) end;
          update notification set seen_at = now()
            where tenant_id = app.tenant() and ticket_id = p_ticket and user_id = any (looking) and seen_at is null;
          delete from ticket_unread where tenant_id = app.tenant() and ticket_id = p_ticket and user_id = any (looking);
          return query select unnest(found);
        end $$;
    """)
    op.execute('revoke execute on function app.look(uuid, bytea[]) from public')
    op.execute('grant execute on function app.look(uuid, bytea[]) to portal_staff, portal_client')
    hand_over()
