-- A key is published before it signs, so that clients' caches have it by then.
ALTER TABLE "signing_key" ADD COLUMN "signs_from" timestamptz(3);
UPDATE "signing_key" SET "signs_from" = "created_at";
ALTER TABLE "signing_key" ALTER COLUMN "signs_from" SET NOT NULL;
