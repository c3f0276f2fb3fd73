CREATE TABLE tenant (
  id uuid PRIMARY KEY,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  short_name text NOT NULL CHECK (length(short_name) BETWEEN 1 AND 60),
  host text UNIQUE CHECK (host = lower(host)),
  accent text CHECK (accent ~ '^#[0-9a-f]{6}$'),
  phone text, phone_hours text,
  language text NOT NULL DEFAULT 'en', timezone text NOT NULL DEFAULT 'UTC',
  idle_minutes integer NOT NULL DEFAULT 480 CHECK (idle_minutes > 0),
  session_hours integer NOT NULL DEFAULT 168 CHECK (session_hours > 0),
  reopen_days integer NOT NULL DEFAULT 14 CHECK (reopen_days >= 0),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE company (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant() REFERENCES tenant,
  slug text NOT NULL CHECK (slug ~ '^[a-z0-9](-?[a-z0-9])*$'),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  outside_ref text,
  archived_at timestamptz, created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, id), UNIQUE (tenant_id, slug)
);

CREATE TABLE role (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant() REFERENCES tenant,
  name text NOT NULL, user_type text NOT NULL CHECK (user_type IN ('internal', 'client')),
  permissions text[] NOT NULL,
  UNIQUE (tenant_id, id), UNIQUE (tenant_id, name)
);

CREATE TABLE users (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant() REFERENCES tenant,
  email text NOT NULL CHECK (email = lower(email) AND length(email) <= 254),
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  user_type text NOT NULL CHECK (user_type IN ('internal', 'client')),
  staff_role text, staff_role_id uuid,
  language text, timezone text,
  theme text NOT NULL DEFAULT 'auto' CHECK (theme IN ('auto', 'light', 'dark')),
  mail_off text[] NOT NULL DEFAULT '{}',
  disabled_at timestamptz, created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, id), UNIQUE (tenant_id, email),
  FOREIGN KEY (tenant_id, staff_role_id) REFERENCES role (tenant_id, id),
  CHECK (num_nonnulls(staff_role, staff_role_id) = CASE user_type WHEN 'internal' THEN 1 ELSE 0 END)
);

CREATE TABLE membership (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant(),
  user_id uuid NOT NULL, company_id uuid NOT NULL,
  role text, role_id uuid,
  created_at timestamptz NOT NULL DEFAULT now(), ended_at timestamptz,
  UNIQUE (tenant_id, company_id, user_id),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id),
  FOREIGN KEY (tenant_id, company_id) REFERENCES company (tenant_id, id),
  FOREIGN KEY (tenant_id, role_id) REFERENCES role (tenant_id, id),
  CHECK (num_nonnulls(role, role_id) = 1)
);
CREATE INDEX membership_user ON membership (tenant_id, user_id);

CREATE TABLE credential (
  user_id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL,
  password_hash text NOT NULL, changed_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);

CREATE TABLE session (
  token_hash bytea PRIMARY KEY CHECK (length(token_hash) = 32),
  tenant_id uuid NOT NULL, user_id uuid NOT NULL,
  device text NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(), last_seen_at timestamptz NOT NULL DEFAULT now(),
  expires_at timestamptz NOT NULL, revoked_at timestamptz,
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX session_of_user ON session (tenant_id, user_id) WHERE revoked_at IS NULL;

-- Failed attempts to come in, by bucket (what is counted is decided by the door; only a digest of it is kept).
CREATE TABLE attempt (
  bucket bytea PRIMARY KEY,
  failures integer NOT NULL, blocked_until timestamptz NOT NULL, touched_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE counter (
  tenant_id uuid NOT NULL REFERENCES tenant,
  kind text NOT NULL, value integer NOT NULL,
  PRIMARY KEY (tenant_id, kind)
);

CREATE TABLE ticket (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant(),
  company_id uuid NOT NULL,
  number integer NOT NULL,
  subject text NOT NULL CHECK (length(subject) BETWEEN 1 AND 200),
  status text NOT NULL CHECK (status IN ('new', 'open', 'waiting_client', 'waiting_supplier', 'solved', 'closed')),
  priority text NOT NULL CHECK (priority IN ('low', 'normal', 'high', 'urgent')),
  visibility text NOT NULL CHECK (visibility IN ('company', 'private')),
  requester_id uuid NOT NULL, author_id uuid NOT NULL, assignee_id uuid, follows_id uuid, last_comment_id uuid,
  outside_ref text,
  created_at timestamptz NOT NULL DEFAULT now(), changed_at timestamptz NOT NULL DEFAULT now(), closed_at timestamptz,
  queue_rank smallint NOT NULL GENERATED ALWAYS AS (
    CASE status WHEN 'new' THEN 0 WHEN 'open' THEN 0 WHEN 'waiting_supplier' THEN 10 WHEN 'waiting_client' THEN 20
                WHEN 'solved' THEN 30 ELSE 40 END
  + CASE priority WHEN 'urgent' THEN 0 WHEN 'high' THEN 1 WHEN 'normal' THEN 2 ELSE 3 END) STORED,
  words tsvector NOT NULL GENERATED ALWAYS AS (to_tsvector('simple'::regconfig, subject)) STORED,
  UNIQUE (tenant_id, company_id, id), UNIQUE (tenant_id, number),
  CHECK ((status = 'closed') = (closed_at IS NOT NULL)),
  FOREIGN KEY (tenant_id, company_id) REFERENCES company (tenant_id, id),
  FOREIGN KEY (tenant_id, company_id, requester_id) REFERENCES membership (tenant_id, company_id, user_id),
  FOREIGN KEY (tenant_id, author_id) REFERENCES users (tenant_id, id),
  FOREIGN KEY (tenant_id, assignee_id) REFERENCES users (tenant_id, id),
  CONSTRAINT ticket_follows_fkey FOREIGN KEY (tenant_id, company_id, follows_id) REFERENCES ticket (tenant_id, company_id, id)
);
CREATE INDEX ticket_changed ON ticket (tenant_id, changed_at DESC, id DESC);
CREATE INDEX ticket_company_changed ON ticket (tenant_id, company_id, changed_at DESC, id DESC);
CREATE INDEX ticket_company_open ON ticket (tenant_id, company_id, changed_at DESC, id DESC) WHERE queue_rank < 30;
CREATE INDEX ticket_queue ON ticket (tenant_id, queue_rank, changed_at, id) WHERE queue_rank < 30;
CREATE INDEX ticket_assigned ON ticket (tenant_id, assignee_id, queue_rank, changed_at, id) WHERE queue_rank < 30;
CREATE INDEX ticket_requested ON ticket (tenant_id, company_id, requester_id, changed_at DESC, id DESC);
CREATE INDEX ticket_words ON ticket USING gin (tenant_id, words);

CREATE TABLE ticket_participant (
  ticket_id uuid NOT NULL, user_id uuid NOT NULL,
  tenant_id uuid NOT NULL DEFAULT app.tenant(), company_id uuid NOT NULL,
  added_by_id uuid NOT NULL, added_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (ticket_id, user_id),
  FOREIGN KEY (tenant_id, company_id, ticket_id) REFERENCES ticket (tenant_id, company_id, id),
  FOREIGN KEY (tenant_id, company_id, user_id) REFERENCES membership (tenant_id, company_id, user_id),
  FOREIGN KEY (tenant_id, added_by_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX ticket_participant_user ON ticket_participant (tenant_id, user_id, ticket_id);

CREATE TABLE ticket_comment (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant(), company_id uuid NOT NULL, ticket_id uuid NOT NULL,
  author_id uuid NOT NULL,
  body text NOT NULL CHECK (length(body) BETWEEN 1 AND 50000),
  is_internal boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (tenant_id, company_id, ticket_id, id),
  FOREIGN KEY (tenant_id, company_id, ticket_id) REFERENCES ticket (tenant_id, company_id, id),
  FOREIGN KEY (tenant_id, author_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX ticket_comment_order ON ticket_comment (tenant_id, ticket_id, id);
ALTER TABLE ticket ADD CONSTRAINT ticket_last_comment_fkey FOREIGN KEY (tenant_id, company_id, id, last_comment_id)
  REFERENCES ticket_comment (tenant_id, company_id, ticket_id, id) DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE ticket_event (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant(), company_id uuid NOT NULL, ticket_id uuid NOT NULL,
  actor_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('status', 'priority', 'assignee', 'participant')),
  before text, after text,
  is_internal boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (tenant_id, company_id, ticket_id) REFERENCES ticket (tenant_id, company_id, id),
  FOREIGN KEY (tenant_id, actor_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX ticket_event_order ON ticket_event (tenant_id, ticket_id, id);
CREATE INDEX ticket_event_lately ON ticket_event (tenant_id, company_id, id DESC);

CREATE TABLE file (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant(), company_id uuid NOT NULL, ticket_id uuid NOT NULL, comment_id uuid,
  author_id uuid NOT NULL,
  name text NOT NULL, media_type text NOT NULL, size integer NOT NULL CHECK (size >= 0), sha256 text NOT NULL,
  stored_as text NOT NULL UNIQUE,
  is_internal boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  FOREIGN KEY (tenant_id, company_id, ticket_id) REFERENCES ticket (tenant_id, company_id, id),
  FOREIGN KEY (tenant_id, company_id, ticket_id, comment_id) REFERENCES ticket_comment (tenant_id, company_id, ticket_id, id),
  FOREIGN KEY (tenant_id, author_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX file_of_ticket ON file (tenant_id, ticket_id, id);

CREATE TABLE notification (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant(),
  user_id uuid NOT NULL, company_id uuid NOT NULL, ticket_id uuid NOT NULL, actor_id uuid NOT NULL,
  kind text NOT NULL CHECK (kind IN ('new_ticket', 'reply', 'status', 'note')),
  created_at timestamptz NOT NULL DEFAULT now(), seen_at timestamptz,
  FOREIGN KEY (tenant_id, user_id) REFERENCES users (tenant_id, id),
  FOREIGN KEY (tenant_id, actor_id) REFERENCES users (tenant_id, id),
  FOREIGN KEY (tenant_id, company_id, ticket_id) REFERENCES ticket (tenant_id, company_id, id)
);
CREATE INDEX notification_newest ON notification (tenant_id, user_id, id DESC);
CREATE INDEX notification_unseen ON notification (tenant_id, user_id) WHERE seen_at IS NULL;

CREATE TABLE mail_outbox (
  id uuid PRIMARY KEY,
  tenant_id uuid NOT NULL DEFAULT app.tenant(),
  kind text NOT NULL, to_user_id uuid NOT NULL, actor_id uuid, company_id uuid, ticket_id uuid, comment_id uuid,
  state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'kept', 'dropped', 'failed')),
  subject text, text text, html text, error text,
  created_at timestamptz NOT NULL DEFAULT now(), sent_at timestamptz,
  FOREIGN KEY (tenant_id, to_user_id) REFERENCES users (tenant_id, id),
  FOREIGN KEY (tenant_id, actor_id) REFERENCES users (tenant_id, id),
  FOREIGN KEY (tenant_id, company_id) REFERENCES company (tenant_id, id),
  FOREIGN KEY (tenant_id, company_id, ticket_id) REFERENCES ticket (tenant_id, company_id, id),
  FOREIGN KEY (tenant_id, company_id, ticket_id, comment_id) REFERENCES ticket_comment (tenant_id, company_id, ticket_id, id)
);
CREATE INDEX mail_outbox_newest ON mail_outbox (tenant_id, id);

CREATE TABLE audit (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  tenant_id uuid NOT NULL REFERENCES tenant,
  company_id uuid,
  at timestamptz NOT NULL DEFAULT clock_timestamp(),
  actor_id uuid, action text NOT NULL, subject_id uuid,
  detail jsonb NOT NULL DEFAULT '{}',
  FOREIGN KEY (tenant_id, company_id) REFERENCES company (tenant_id, id),
  FOREIGN KEY (tenant_id, actor_id) REFERENCES users (tenant_id, id)
);
CREATE INDEX audit_newest ON audit (tenant_id, at DESC);
