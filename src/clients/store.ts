import { builtInPolicy, type Policy } from '../policy/policy.ts';
import type { Database, Transaction } from '../storage/database.ts';
import type { ClientMetadata, DeclaredFacts, DisabledBy, Introspects, RegisteredClient } from './client.ts';

/** One at a time: what a file declares is compared with what is there, and both must hold still. */
const APPLY_LOCK = 7_267_001;

/** Where a new policy version is announced. */
export const POLICY_CHANNEL = 'curfew_policy';

interface ClientRow {
  clientId: string;
  metadata: unknown;
  secretHash: Uint8Array | null;
  disabledAt: Date | null;
  disabledBy: string | null;
}

/** How `client.metadata` is stored: the names of curfew.yaml, so that the column reads like the file. */
interface StoredMetadata extends ClientMetadata {
  first_party: boolean;
  data: string[];
  labels: string[];
  presence: boolean;
  /** Absent where the client was stored before it could be said. */
  introspects?: Introspects;
  allowed_origins: string[];
}

function toClient({ clientId, metadata, secretHash, disabledAt, disabledBy }: ClientRow): RegisteredClient {
  const { first_party, data, labels, presence, introspects, allowed_origins, ...standard } = metadata as StoredMetadata;
  return {
    clientId,
    metadata: standard,
    firstParty: first_party,
    data,
    labels,
    presence,
    introspects: introspects ?? 'own',
    allowedOrigins: allowed_origins,
    ...(secretHash !== null && { secretHash }),
    ...(disabledAt !== null && { disabledAt }),
    ...(disabledBy !== null && { disabledBy: disabledBy as DisabledBy }),
  };
}

const clientColumns = { clientId: true, metadata: true, secretHash: true, disabledAt: true, disabledBy: true } as const;

export async function findClientRow(
  db: Database | Transaction,
  clientId: string,
): Promise<RegisteredClient | undefined> {
  const row = await db.client.findUnique({ where: { clientId }, select: clientColumns });
  return row === null ? undefined : toClient(row);
}

export async function listClientRows(db: Database | Transaction): Promise<RegisteredClient[]> {
  const rows = await db.client.findMany({ select: clientColumns, orderBy: { clientId: 'asc' } });
  return rows.map(toClient);
}

/** Whether any enabled client registered a web origin. */
export async function hasAllowedOrigin(db: Database | Transaction, origin: string): Promise<boolean> {
  const [row] = await db.$queryRaw<{ found: boolean }[]>`
    SELECT EXISTS (SELECT FROM "client" WHERE "disabled_at" IS NULL AND "metadata" -> 'allowed_origins' ? ${origin}) AS found`;
  return row?.found ?? false;
}

/**
 * Locks a client against everything that grants it something: that takes `FOR KEY SHARE`, so it comes wholly before
 * this, and is ended by it, or after it, and sees what this did.
 */
export async function lockClient(tx: Transaction, clientId: string): Promise<RegisteredClient | undefined> {
  await tx.$queryRaw`SELECT 1 FROM "client" WHERE "client_id" = ${clientId} FOR UPDATE`;
  return findClientRow(tx, clientId);
}

/** Locks all clients against other changes of them, while tokens can be granted all the same. */
export async function lockClients(tx: Transaction): Promise<void> {
  await tx.$queryRaw`SELECT 1 FROM "client" ORDER BY "client_id" FOR NO KEY UPDATE`;
}

/** Writes what is declared of a client, new or not; its secret and its being disabled stay as they are. */
export async function upsertClient(tx: Transaction, client: DeclaredFacts): Promise<void> {
  const { clientId, metadata, firstParty, data, labels, presence, introspects, allowedOrigins } = client;
  const stored: StoredMetadata = {
    ...metadata,
    first_party: firstParty,
    data,
    labels,
    presence,
    introspects,
    allowed_origins: allowedOrigins,
  };
  const { backchannel_logout_uri: uri } = metadata;
  await tx.$executeRaw`
    INSERT INTO "client" ("client_id", "metadata", "backchannel_logout_uri", "created_at", "updated_at")
    VALUES (${clientId}, ${JSON.stringify(stored)}::jsonb, ${typeof uri === 'string' ? uri : null}, curfew_instant(), curfew_instant())
    ON CONFLICT ("client_id") DO UPDATE SET "metadata" = EXCLUDED."metadata",
      "backchannel_logout_uri" = EXCLUDED."backchannel_logout_uri", "updated_at" = EXCLUDED."updated_at"`;
}

export async function writeSecretHash(
  tx: Transaction,
  clientId: string,
  secretHash: Uint8Array<ArrayBuffer> | null,
): Promise<void> {
  await tx.$executeRaw`
    UPDATE "client" SET "secret_hash" = ${secretHash}, "updated_at" = curfew_instant() WHERE "client_id" = ${clientId}`;
}

/** Disables a client. Disabled by hand outranks disabled by the file, which would undo it. */
export async function markClientDisabled(tx: Transaction, clientId: string, by: DisabledBy): Promise<void> {
  await tx.$executeRaw`
    UPDATE "client" SET "disabled_at" = COALESCE("disabled_at", curfew_instant()), "updated_at" = curfew_instant(),
      "disabled_by" = CASE WHEN "disabled_by" = 'hand' THEN 'hand' ELSE ${by} END
    WHERE "client_id" = ${clientId}`;
}

export async function markClientEnabled(tx: Transaction, clientId: string): Promise<void> {
  await tx.$executeRaw`
    UPDATE "client" SET "disabled_at" = NULL, "disabled_by" = NULL, "updated_at" = curfew_instant()
    WHERE "client_id" = ${clientId}`;
}

/** Waits for its turn to apply a file; released with the end of the transaction. */
export async function lockApply(tx: Transaction): Promise<void> {
  await tx.$queryRaw`SELECT 1 FROM (SELECT pg_advisory_xact_lock(${APPLY_LOCK})) locked`;
}

export async function findNewestPolicy(
  db: Database | Transaction,
): Promise<{ version: number; policy: Policy; source?: string } | undefined> {
  const row = await db.policyVersion.findFirst({
    orderBy: { version: 'desc' },
    select: { version: true, policy: true, source: true },
  });
  if (row === null) return undefined;
  const { version, source } = row;
  const policy = row.policy as unknown as Policy;
  // A version stored before a limit was known has the built-in one.
  const complete = { ...policy, default: { ...builtInPolicy.default, ...policy.default } };
  return { version, policy: complete, ...(source !== null && { source }) };
}

export interface NewPolicyVersion {
  version: number;
  policy: Policy;
  source: string | undefined;
  actor: string;
}

/** Appends a policy version and tells all nodes once it is committed. */
export async function insertPolicyVersion(
  tx: Transaction,
  { version, policy, source, actor }: NewPolicyVersion,
): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO "policy_version" ("version", "policy", "source", "actor", "applied_at")
    VALUES (${version}, ${JSON.stringify(policy)}::jsonb, ${source ?? null}, ${actor}, curfew_instant())`;
  await tx.$queryRaw`SELECT 1 FROM (SELECT pg_notify(${POLICY_CHANNEL}, ${String(version)})) told`;
}

export interface ConsentRow {
  scopes: string[];
  claims: string[];
}

export async function findConsentRow(
  db: Database | Transaction,
  accountId: string,
  clientId: string,
): Promise<ConsentRow | undefined> {
  const row = await db.consent.findUnique({
    where: { accountId_clientId: { accountId, clientId } },
    select: { scopes: true, claims: true },
  });
  return row ?? undefined;
}

/** Adds to what was agreed before; in one statement, so that two consents at once both count. */
export async function addConsent(
  db: Database | Transaction,
  { accountId, clientId, scopes, claims }: ConsentRow & { accountId: string; clientId: string },
): Promise<void> {
  await db.$executeRaw`
    INSERT INTO "consent" AS c ("account_id", "client_id", "scopes", "claims", "updated_at")
    VALUES (${accountId}, ${clientId}, ${scopes}::text[], ${claims}::text[], curfew_instant())
    ON CONFLICT ("account_id", "client_id") DO UPDATE SET "updated_at" = EXCLUDED."updated_at",
      "scopes" = ARRAY(SELECT DISTINCT unnest(c."scopes" || EXCLUDED."scopes") ORDER BY 1),
      "claims" = ARRAY(SELECT DISTINCT unnest(c."claims" || EXCLUDED."claims") ORDER BY 1)`;
}
