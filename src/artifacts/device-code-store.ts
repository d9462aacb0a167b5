import type { Database, Transaction } from '../storage/database.ts';
import type { ArtifactToStore, Binding } from './artifact.ts';

type Sql = Database | Transaction;

/** How long a device waits between polls, unless it was told to slow down (RFC 8628 §3.2). */
const POLL_INTERVAL_SECONDS = 5;
/** What each poll that comes too early adds (RFC 8628 §3.5). */
const SLOW_DOWN_SECONDS = 5;
/** Two polls don't take the same time on their way. */
const POLL_GRACE_SECONDS = 1;

export interface DeviceCodeToStore extends ArtifactToStore {
  clientId: string;
  userCodeHmac: Uint8Array<ArrayBuffer>;
}

/**
 * Stores a device code that waits for a person. Its client is locked before it is judged, as for what clients hold for
 * themselves: until it is decided about, that is what a device code is.
 *
 * @returns false if the client is disabled, or another device code that waits has the same user code
 */
export async function storeDeviceCode(sql: Sql, code: DeviceCodeToStore): Promise<boolean> {
  const stored = await sql.$executeRaw`
    WITH c AS MATERIALIZED (SELECT client_id, disabled_at FROM client WHERE client_id = ${code.clientId} FOR KEY SHARE),
      j AS MATERIALIZED (SELECT c.*, curfew_instant() AS now FROM c)
    INSERT INTO artifact (id_hash, model, client_id, payload, created_at, expires_at, user_code_hmac)
    SELECT ${code.idHash}, ${code.model}, j.client_id, ${code.payload}, j.now,
      j.now + make_interval(secs => ${code.lifetimeSeconds}::int), ${code.userCodeHmac}
    FROM j WHERE j.disabled_at IS NULL
    ON CONFLICT DO NOTHING`;
  return stored > 0;
}

/**
 * Finds the device code that a user code stands for, to be read by its hash.
 *
 * @param hmacs of the user code under each key that may have been in use
 */
export async function findDeviceCodeHash(
  sql: Sql,
  hmacs: readonly Uint8Array<ArrayBuffer>[],
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const [row] = await sql.$queryRaw<{ idHash: Uint8Array<ArrayBuffer> }[]>`
    SELECT id_hash AS "idHash" FROM artifact
    WHERE user_code_hmac = ANY(${[...hmacs]}) AND payload IS NOT NULL AND curfew_now() < expires_at`;
  return row && Uint8Array.from(row.idHash);
}

export interface DeviceCodeUpdate {
  idHash: Uint8Array<ArrayBuffer>;
  payload: Uint8Array<ArrayBuffer>;
  /** Whether this is the decision, after which there is no other. */
  isDecision: boolean;
  /** Of the session that the approval began in this transaction, with which the code lives and dies from here on. */
  approval?: Binding & { accountId: string };
}

/**
 * Stores the next state of a device code while nobody has decided about it. Its time runs on. Locks first, then judges.
 *
 * @returns false if it was decided about, or is over
 */
export async function updateDeviceCode(
  sql: Sql,
  { idHash, payload, isDecision, approval }: DeviceCodeUpdate,
): Promise<boolean> {
  const updated = await sql.$executeRaw`
    WITH l AS MATERIALIZED (SELECT id_hash, expires_at FROM artifact
        WHERE id_hash = ${idHash} AND decided_at IS NULL AND payload IS NOT NULL FOR UPDATE),
      j AS MATERIALIZED (SELECT l.*, curfew_instant() AS now FROM l)
    UPDATE artifact SET payload = ${payload}, decided_at = CASE WHEN ${isDecision} THEN j.now END,
      session_uid = ${approval?.sessionUid ?? null}, sid = ${approval?.sid ?? null},
      account_id = ${approval?.accountId ?? null}
    FROM j WHERE artifact.id_hash = j.id_hash AND j.now < j.expires_at`;
  return updated > 0;
}

/**
 * Counts a poll for a device code that nobody has decided about.
 *
 * @returns whether it came too early, which lengthens the interval from then on
 * @see RFC 8628 §3.5 (`slow_down`)
 */
export async function recordPoll(sql: Sql, idHash: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const [poll] = await sql.$queryRaw<{ isTooEarly: boolean }[]>`
    WITH l AS MATERIALIZED (SELECT id_hash, poll_after, coalesce(poll_interval_seconds, ${POLL_INTERVAL_SECONDS}::int) AS seconds
        FROM artifact WHERE id_hash = ${idHash} AND decided_at IS NULL FOR NO KEY UPDATE),
      j AS MATERIALIZED (SELECT l.*, curfew_instant() AS now FROM l),
      d AS (SELECT j.id_hash, j.now, coalesce(j.now < j.poll_after, false) AS early,
          j.seconds + CASE WHEN j.now < j.poll_after THEN ${SLOW_DOWN_SECONDS}::int ELSE 0 END AS seconds
        FROM j)
    UPDATE artifact SET poll_interval_seconds = d.seconds,
      poll_after = d.now + make_interval(secs => d.seconds - ${POLL_GRACE_SECONDS}::int)
    FROM d WHERE artifact.id_hash = d.id_hash
    RETURNING d.early AS "isTooEarly"`;
  return poll?.isTooEarly ?? false;
}
