/** What somebody would create for a hand-written adapter: one table for everything. */
export const SCHEMA = `
  CREATE TABLE oidc_payload (
    id text NOT NULL,
    type text NOT NULL,
    payload jsonb NOT NULL,
    grant_id text,
    user_code text,
    uid text,
    expires_at timestamptz,
    consumed_at timestamptz,
    PRIMARY KEY (id, type)
  );
  CREATE INDEX ON oidc_payload (grant_id);
  CREATE INDEX ON oidc_payload (user_code);
  CREATE INDEX ON oidc_payload (uid);
  CREATE TABLE account (
    id text PRIMARY KEY,
    login text NOT NULL UNIQUE,
    password_hash text NOT NULL,
    email text,
    name text
  );`;
