-- Device codes. A user code is short, so that only its HMAC is kept; it is nobody else's while its device code is there.
-- One decision is taken about a device code, and polls that come too early are told to slow down.
ALTER TABLE "artifact" ADD COLUMN "user_code_hmac" bytea;
ALTER TABLE "artifact" ADD COLUMN "decided_at" timestamptz(3);
ALTER TABLE "artifact" ADD COLUMN "poll_after" timestamptz(3);
ALTER TABLE "artifact" ADD COLUMN "poll_interval_seconds" integer;
CREATE UNIQUE INDEX "artifact_user_code_hmac" ON "artifact" ("user_code_hmac") WHERE "payload" IS NOT NULL;
