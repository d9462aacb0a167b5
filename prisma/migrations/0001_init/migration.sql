-- The one clock. Everything that judges time calls it; tests replace it in their own database.
CREATE FUNCTION curfew_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
  AS 'SELECT clock_timestamp()';

-- An instant as it is stored. Postgres would round to the millisecond, and a deadline must not be late.
CREATE FUNCTION curfew_instant() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
  AS 'SELECT date_trunc(''milliseconds'', curfew_now())';

-- Law 1. A session or participation is live iff it has not ended and now < deadline.
CREATE FUNCTION is_live(ended_at timestamptz, deadline timestamptz) RETURNS boolean LANGUAGE sql VOLATILE PARALLEL SAFE
  AS 'SELECT ended_at IS NULL AND (deadline IS NULL OR curfew_now() < deadline)';

-- Which of its timeouts a session or participation past its deadline ran into.
CREATE FUNCTION timeout_reason(idle_deadline timestamptz, absolute_deadline timestamptz) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  AS 'SELECT CASE WHEN absolute_deadline IS NULL OR idle_deadline < absolute_deadline THEN ''idle_timeout'' ELSE ''absolute_timeout'' END';

CREATE TABLE "session" (
  "uid" text PRIMARY KEY,
  "kind" text NOT NULL CHECK ("kind" IN ('browser', 'offline', 'device', 'anonymous')),
  "parent_uid" text,
  "account_id" text,
  "cookie_hash" bytea,
  "began_at" timestamptz(3) NOT NULL,
  "authenticated_at" timestamptz(3),
  "last_active_at" timestamptz(3) NOT NULL,
  "last_endpoint" text,
  "last_client_id" text,
  "ip" text,
  "user_agent" text,
  "idle_seconds" integer NOT NULL CHECK ("idle_seconds" > 0),
  "absolute_seconds" integer NOT NULL CHECK ("absolute_seconds" > 0),
  "limits" jsonb NOT NULL,
  "activity" text[] NOT NULL,
  "end_with_parent" boolean NOT NULL DEFAULT false,
  "policy_version" integer NOT NULL,
  "idle_deadline" timestamptz(3) NOT NULL,
  "absolute_deadline" timestamptz(3) NOT NULL,
  "deadline" timestamptz(3) NOT NULL GENERATED ALWAYS AS (LEAST("idle_deadline", "absolute_deadline")) STORED,
  "alarm_at" timestamptz(3),
  "acr" text,
  "amr" text[] NOT NULL,
  "ended_at" timestamptz(3),
  "end_committed_at" timestamptz(3),
  "end_reason" text,
  "end_note" text,
  "payload" bytea,
  CONSTRAINT "session_account" CHECK (("kind" = 'anonymous') = ("account_id" IS NULL)),
  CONSTRAINT "session_end_is_whole" CHECK (("ended_at" IS NULL) = ("end_reason" IS NULL) AND ("ended_at" IS NULL) = ("end_committed_at" IS NULL)),
  CONSTRAINT "session_end_wipes" CHECK ("ended_at" IS NULL OR "payload" IS NULL)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX "session_cookie_hash_key" ON "session" ("cookie_hash");
-- Lazy: activity leaves alarm_at alone, so that its update stays heap-only.
CREATE INDEX "session_alarm_at" ON "session" ("alarm_at") WHERE "ended_at" IS NULL;
CREATE INDEX "session_account_id" ON "session" ("account_id") WHERE "ended_at" IS NULL;
CREATE INDEX "session_parent_uid" ON "session" ("parent_uid") WHERE "ended_at" IS NULL AND "parent_uid" IS NOT NULL;

CREATE FUNCTION parent_is_live(parent_uid text) RETURNS boolean LANGUAGE sql VOLATILE PARALLEL SAFE
  AS 'SELECT EXISTS (SELECT FROM session p WHERE p.uid = parent_is_live.parent_uid AND is_live(p.ended_at, p.deadline))';

-- A session that ends with its parent is live only while that is.
CREATE FUNCTION is_live_session(ended_at timestamptz, deadline timestamptz, end_with_parent boolean, parent_uid text)
  RETURNS boolean LANGUAGE sql VOLATILE PARALLEL SAFE
  AS 'SELECT is_live(ended_at, deadline) AND (NOT end_with_parent OR parent_is_live(parent_uid))';

CREATE TABLE "participation" (
  "sid" text PRIMARY KEY,
  "session_uid" text NOT NULL,
  "client_id" text NOT NULL,
  "began_at" timestamptz(3) NOT NULL,
  "last_active_at" timestamptz(3) NOT NULL,
  "last_token_at" timestamptz(3),
  "idle_seconds" integer CHECK ("idle_seconds" > 0),
  "absolute_seconds" integer CHECK ("absolute_seconds" > 0),
  "limits" jsonb NOT NULL,
  "activity" text[] NOT NULL,
  "policy_version" integer NOT NULL,
  "idle_deadline" timestamptz(3),
  "absolute_deadline" timestamptz(3),
  "deadline" timestamptz(3) GENERATED ALWAYS AS (LEAST("idle_deadline", "absolute_deadline")) STORED,
  "alarm_at" timestamptz(3),
  "ended_at" timestamptz(3),
  "end_committed_at" timestamptz(3),
  "end_reason" text,
  CONSTRAINT "participation_end_is_whole" CHECK (("ended_at" IS NULL) = ("end_reason" IS NULL) AND ("ended_at" IS NULL) = ("end_committed_at" IS NULL))
) WITH (fillfactor = 70);
-- A client that comes back after its end gets a new row and a new sid.
CREATE UNIQUE INDEX "participation_live_client" ON "participation" ("session_uid", "client_id") WHERE "ended_at" IS NULL;
CREATE INDEX "participation_session_uid_idx" ON "participation" ("session_uid");
CREATE INDEX "participation_alarm_at" ON "participation" ("alarm_at") WHERE "ended_at" IS NULL;
CREATE INDEX "participation_client_id" ON "participation" ("client_id") WHERE "ended_at" IS NULL;

CREATE TABLE "artifact" (
  "id_hash" bytea PRIMARY KEY,
  "model" text NOT NULL,
  "session_uid" text,
  "sid" text,
  "client_id" text,
  "account_id" text,
  "payload" bytea,
  "created_at" timestamptz(3) NOT NULL,
  "expires_at" timestamptz(3) NOT NULL,
  "consumed_at" timestamptz(3)
);
CREATE INDEX "artifact_expires_at_idx" ON "artifact" ("expires_at");
CREATE INDEX "artifact_session_uid" ON "artifact" ("session_uid") WHERE "payload" IS NOT NULL AND "session_uid" IS NOT NULL;
CREATE INDEX "artifact_sid" ON "artifact" ("sid") WHERE "payload" IS NOT NULL AND "sid" IS NOT NULL;
CREATE INDEX "artifact_client_id" ON "artifact" ("client_id") WHERE "payload" IS NOT NULL AND "session_uid" IS NULL;

-- What ends with its parent has the deadlines of both.
CREATE VIEW "live_session" AS
  SELECT s."uid", s."kind", s."parent_uid", s."account_id", s."cookie_hash", s."began_at", s."authenticated_at", s."last_active_at",
    s."idle_seconds", s."absolute_seconds", s."limits", s."activity", s."policy_version",
    LEAST(s."idle_deadline", t."idle_deadline") AS "idle_deadline",
    LEAST(s."absolute_deadline", t."absolute_deadline") AS "absolute_deadline", LEAST(s."deadline", t."deadline") AS "deadline",
    s."acr", s."amr", s."payload", curfew_instant() AS "read_at"
  FROM "session" s
  LEFT JOIN "session" t ON t."uid" = s."parent_uid" AND s."end_with_parent"
  WHERE is_live_session(s."ended_at", s."deadline", s."end_with_parent", s."parent_uid");

CREATE VIEW "live_participation" AS
  SELECT p."sid", p."session_uid", p."client_id", p."began_at", p."last_active_at", p."limits", p."activity",
    p."idle_deadline", p."absolute_deadline", s."account_id", s."kind" AS "session_kind", s."activity" AS "session_activity",
    LEAST(s."idle_deadline", t."idle_deadline") AS "session_idle_deadline",
    LEAST(s."absolute_deadline", t."absolute_deadline") AS "session_absolute_deadline",
    curfew_instant() AS "read_at"
  FROM "participation" p
  JOIN "session" s ON s."uid" = p."session_uid"
  LEFT JOIN "session" t ON t."uid" = s."parent_uid" AND s."end_with_parent"
  WHERE is_live(p."ended_at", p."deadline")
    AND is_live_session(s."ended_at", s."deadline", s."end_with_parent", s."parent_uid");

CREATE VIEW "live_artifact" AS
  SELECT a."id_hash", a."model", a."session_uid", a."sid", a."client_id", a."account_id", a."payload", a."expires_at", a."consumed_at",
    s."kind" AS "session_kind", COALESCE(s."activity", '{}') AS "session_activity",
    LEAST(s."idle_deadline", t."idle_deadline") AS "session_idle_deadline",
    LEAST(s."absolute_deadline", t."absolute_deadline") AS "session_absolute_deadline",
    p."limits" AS "participation_limits", COALESCE(p."activity", '{}') AS "participation_activity",
    p."idle_deadline" AS "participation_idle_deadline", p."absolute_deadline" AS "participation_absolute_deadline",
    curfew_instant() AS "read_at"
  FROM "artifact" a
  LEFT JOIN "session" s ON s."uid" = a."session_uid"
  LEFT JOIN "session" t ON t."uid" = s."parent_uid" AND s."end_with_parent"
  LEFT JOIN "participation" p ON p."sid" = a."sid"
  WHERE a."payload" IS NOT NULL AND curfew_now() < a."expires_at"
    AND (a."session_uid" IS NULL
      OR (s."uid" IS NOT NULL AND is_live_session(s."ended_at", s."deadline", s."end_with_parent", s."parent_uid")))
    AND (a."sid" IS NULL OR (p."sid" IS NOT NULL AND is_live(p."ended_at", p."deadline")));

CREATE TABLE "account" (
  "id" text PRIMARY KEY,
  "login" text NOT NULL,
  "email" text,
  "name" text,
  "roles" text[] NOT NULL,
  "groups" text[] NOT NULL,
  "credential_version" integer NOT NULL DEFAULT 1,
  "disabled_at" timestamptz(3),
  "created_at" timestamptz(3) NOT NULL,
  "updated_at" timestamptz(3) NOT NULL
);
CREATE UNIQUE INDEX "account_login_key" ON "account" ("login");

CREATE TABLE "credential" (
  "account_id" text NOT NULL REFERENCES "account" ("id") ON DELETE CASCADE,
  "kind" text NOT NULL,
  "hash" text NOT NULL,
  "updated_at" timestamptz(3) NOT NULL,
  PRIMARY KEY ("account_id", "kind")
);

CREATE TABLE "consent" (
  "account_id" text NOT NULL REFERENCES "account" ("id") ON DELETE CASCADE,
  "client_id" text NOT NULL,
  "scopes" text[] NOT NULL,
  "claims" text[] NOT NULL,
  "updated_at" timestamptz(3) NOT NULL,
  PRIMARY KEY ("account_id", "client_id")
);

CREATE TABLE "client" (
  "client_id" text PRIMARY KEY,
  "metadata" jsonb NOT NULL,
  "secret_hash" bytea,
  "backchannel_logout_uri" text,
  "disabled_at" timestamptz(3),
  "disabled_by" text,
  "created_at" timestamptz(3) NOT NULL,
  "updated_at" timestamptz(3) NOT NULL
);

CREATE TABLE "policy_version" (
  "version" integer PRIMARY KEY,
  "policy" jsonb NOT NULL,
  "source" text,
  "actor" text NOT NULL,
  "applied_at" timestamptz(3) NOT NULL
);

CREATE TABLE "delivery" (
  "id" bigserial PRIMARY KEY,
  "session_uid" text NOT NULL,
  "sid" text NOT NULL,
  "client_id" text NOT NULL,
  "account_id" text,
  "reason" text NOT NULL,
  "state" text NOT NULL DEFAULT 'pending' CHECK ("state" IN ('pending', 'delivered', 'failed')),
  "attempt" integer NOT NULL DEFAULT 0,
  "owed_at" timestamptz(3) NOT NULL,
  "next_attempt_at" timestamptz(3) NOT NULL,
  "last_status" integer,
  "last_error" text,
  "delivered_at" timestamptz(3)
);
CREATE INDEX "delivery_due" ON "delivery" ("next_attempt_at") WHERE "state" = 'pending';
CREATE INDEX "delivery_sid_idx" ON "delivery" ("sid");

CREATE TABLE "audit_event" (
  "id" bigserial PRIMARY KEY,
  "occurred_at" timestamptz(3) NOT NULL,
  "type" text NOT NULL,
  "outcome" text NOT NULL,
  "account_id" text,
  "session_uid" text,
  "client_id" text,
  "actor" text NOT NULL CHECK ("actor" <> ''),
  "endpoint" text,
  "reason" text,
  "address" text,
  "user_agent" text,
  "details" jsonb NOT NULL,
  "canonical" bytea NOT NULL
);
CREATE INDEX "audit_event_session_uid_idx" ON "audit_event" ("session_uid");
CREATE INDEX "audit_event_occurred_at_idx" ON "audit_event" ("occurred_at");

CREATE TABLE "signing_key" (
  "kid" text PRIMARY KEY,
  "alg" text NOT NULL,
  "public_jwk" jsonb NOT NULL,
  "private_jwe" text NOT NULL,
  "created_at" timestamptz(3) NOT NULL,
  "retired_at" timestamptz(3)
);

CREATE TABLE "throttle" (
  "key" varchar(255) PRIMARY KEY,
  "points" integer NOT NULL DEFAULT 0,
  "expire" bigint
);
