-- What a client admin may hear of, and how it is asked whether they may see it; null: nothing for them. What concerns a `person` or a
-- `role` stands without a company and is told alike to every company of the person, or with people of that role, so that none tells of
-- another; where a company stands at it (who signed somebody out, who began a recovery), it is told there alone. What is `there`
-- is told where a company stands at it and nowhere else: of an account at a provider the company whose provider it is, wherever its
-- person was; of a recovery that was stopped or hurried the company that began it. Indexes of `audit` depend on it: whoever changes it makes them anew.
create function app.told(p_action text) returns text language sql immutable parallel safe as $$
  select case
    when p_action in ('company.changed', 'company.archived', 'company.restored', 'company.file_quota', 'person.added', 'person.created',
      'person.removed', 'person.welcomed', 'role.changed', 'tickets.exported', 'audit.exported', 'invitation.sent', 'invitation.sent_again',
      'invitation.withdrawn', 'invitation.accepted', 'invitation.declined', 'review.confirmed', 'limits.company', 'sso.added', 'sso.changed',
      'sso.secret', 'sso.on', 'sso.off', 'sso.removed', 'sso.only', 'sso.no_longer_only', 'sso.refused', 'factor_rule.added',
      'factor_rule.removed') then 'company'
    when p_action in ('ticket.opened', 'ticket.shared', 'ticket.unshared', 'ticket.requester', 'ticket.visibility', 'ticket.status',
      'ticket.private_read', 'files.downloaded') then 'ticket'
    when p_action = 'file.downloaded' then 'file'
    when p_action in ('viewing.begun', 'viewing.screen', 'viewing.downloaded', 'viewing.ended') then 'viewing'
    when p_action in ('session.opened', 'session.refused', 'session.ended', 'session.all_ended', 'session.others_ended', 'session.disowned',
      'proof.refused', 'password.set', 'password.changed', 'person.changed', 'person.email', 'person.disabled', 'person.enabled',
      'factor.added', 'factor.removed', 'passkey.added', 'passkey.removed', 'passkey.cloned', 'recovery_code.used', 'recovery_codes.made',
      'recovery.started', 'recovery.refused', 'recovery.finished') then 'person'
    when p_action = 'role.edited' then 'role'
    when p_action in ('identity.linked', 'identity.unlinked', 'recovery.hurried', 'recovery.stopped') then 'there'
  end $$;

-- By which of the tenant's settings a line is kept; null: for ever, since the chain needs it.
create function app.kept_as(p_action text) returns text language sql immutable as $$
  select case
    when p_action = 'audit.removed' then null
    when p_action like 'session.%' or p_action in ('proof.refused', 'sso.refused') then 'signins'
    when p_action in ('ticket.private_read', 'tickets.private_listed', 'file.downloaded', 'files.downloaded', 'viewing.screen',
      'viewing.downloaded', 'letter.read', 'access.denied') then 'reading'
    else 'changes' end $$;

create function app.add_audit(p_tenant uuid, p_company uuid, p_actor uuid, p_action text, p_subject uuid, p_detail jsonb,
                              p_session uuid, p_network text, p_as uuid) returns uuid
language sql security definer set search_path = pg_catalog, public, pg_temp as $$
  insert into audit (tenant_id, company_id, actor_id, action, subject_id, detail, session, network, as_user_id)
  values (p_tenant, p_company, p_actor, p_action, p_subject, p_detail, p_session, p_network, p_as) returning id $$;

-- The door says from where somebody comes, by a setting of the transaction; a session remembers it.
create function app.note_network() returns trigger language plpgsql as $$
begin
  new.network := nullif(left(current_setting('app.network', true), 60), '');
  return new;
end $$;
create trigger network before insert on session for each row execute function app.note_network();

-- A signed-in person asked for what is not theirs. At most twenty lines an hour for one person: the last says that there was more.
create function app.denied(p_token bytea, p_what text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare me record; s record; n integer;
begin
  select * into me from app.live_session(p_token);
  if not found then return; end if;
  perform pg_advisory_xact_lock(hashtextextended('denied:' || me.user_id, 0));  -- one at a time, in all their sessions: one line says "more"
  select x.id, x.network into s from session x where x.token_hash = p_token;
  select count(*) into n from (select from audit a where a.tenant_id = me.tenant_id and a.actor_id = me.user_id
    and a.action = 'access.denied' and a.at > clock_timestamp() - interval '1 hour' limit 20) lately;
  if n < 20 then
    perform app.add_audit(me.tenant_id, null, me.user_id, 'access.denied', null,
      jsonb_build_object('what', left(p_what, 200)) || case when n = 19 then '{"more": true}' else '{}' end::jsonb, s.id, s.network, null);
  end if;
end $$;

-- Staff had private tickets in a list, a search or an export: a line for each of them, once a day for each person and ticket.
create function app.note_private(p_tickets uuid[], p_how text) returns void
language plpgsql security definer set search_path = pg_catalog, public, pg_temp as $$
declare network text;
begin
  if app.tenant() is null or session_user <> 'portal_staff' then raise exception 'no context' using errcode = '42501'; end if;
  select s.network into network from session s where s.tenant_id = app.tenant() and s.id = app.session();
  perform app.add_audit(t.tenant_id, t.company_id, app.person(), 'tickets.private_listed', t.id, jsonb_build_object('how', left(p_how, 20)),
      app.session(), network, null)
    from ticket t where t.id = any (p_tickets) and t.tenant_id = app.tenant() and t.visibility = 'private' and not exists (
      select from audit a where a.tenant_id = t.tenant_id and a.subject_id = t.id and a.actor_id = app.person()
        and a.action in ('tickets.private_listed', 'ticket.private_read') and a.at > clock_timestamp() - interval '1 day');
end $$;
