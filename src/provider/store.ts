import type { Database, Transaction } from '../storage/database.ts';

/** Where a changed set of signing keys is announced. */
export const SIGNING_KEY_CHANNEL = 'curfew_signing_key';

/** `next`: published and not signing yet. `active`: signs. `retiring`: published for what it signed. `retired`: gone. */
export type SigningKeyState = 'next' | 'active' | 'retiring' | 'retired';

export interface SigningKeyRow {
  kid: string;
  alg: string;
  privateJwe: string;
  createdAt: Date;
  signsFrom: Date;
  retiredAt: Date | null;
  state: SigningKeyState;
  /** Since when a younger key of its algorithm signs in its place; null if none does. */
  supersededAt: Date | null;
  /** Age of the two at the database's clock, whole seconds; negative while it waits. */
  signsForSeconds: number;
  supersededForSeconds: number | null;
}

/** All signing keys, those of an algorithm youngest first. Which of them signs is for the database's clock to say. */
export async function findSigningKeys(sql: Database | Transaction): Promise<SigningKeyRow[]> {
  return sql.$queryRaw<SigningKeyRow[]>`
    WITH n AS MATERIALIZED (SELECT curfew_instant() AS now)
    SELECT k.kid, k.alg, k.private_jwe AS "privateJwe", k.created_at AS "createdAt", k.signs_from AS "signsFrom",
      k.retired_at AS "retiredAt", younger.signs_from AS "supersededAt",
      floor(extract(epoch FROM n.now - k.signs_from))::int AS "signsForSeconds",
      floor(extract(epoch FROM n.now - younger.signs_from))::int AS "supersededForSeconds",
      CASE WHEN k.retired_at IS NOT NULL THEN 'retired' WHEN n.now < k.signs_from THEN 'next'
        WHEN younger.signs_from IS NOT NULL THEN 'retiring' ELSE 'active' END AS state
    FROM signing_key k CROSS JOIN n
    LEFT JOIN LATERAL (SELECT min(y.signs_from) AS signs_from FROM signing_key y
      WHERE y.alg = k.alg AND y.retired_at IS NULL AND (y.signs_from, y.kid) > (k.signs_from, k.kid)
        AND y.signs_from <= n.now) younger ON true
    ORDER BY k.alg, k.signs_from DESC, k.kid DESC`;
}

/** Lets one process change the set of keys while the others wait to see what it did. */
export async function lockSigningKeys(tx: Transaction): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('curfew:signing_key', 0))`;
}

export interface SigningKeyToInsert {
  kid: string;
  alg: string;
  publicJwk: object;
  privateJwe: string;
  /** How long it is published before it signs. */
  overlapSeconds: number;
}

export async function insertSigningKey(tx: Transaction, key: SigningKeyToInsert): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO signing_key (kid, alg, public_jwk, private_jwe, created_at, signs_from)
    SELECT ${key.kid}, ${key.alg}, ${JSON.stringify(key.publicJwk)}::jsonb, ${key.privateJwe}, n.now,
      n.now + make_interval(secs => ${key.overlapSeconds}::int)
    FROM (SELECT curfew_instant() AS now) n`;
}

/** Stores a key's private part as it is encrypted now. */
export async function updatePrivateJwe(tx: Transaction, kid: string, privateJwe: string): Promise<void> {
  await tx.$executeRaw`UPDATE signing_key SET private_jwe = ${privateJwe} WHERE kid = ${kid}`;
}

/** Lets a key that waits sign from now on. */
export async function activateSigningKey(tx: Transaction, kid: string): Promise<void> {
  await tx.$executeRaw`UPDATE signing_key SET signs_from = curfew_instant() WHERE kid = ${kid}`;
}

export async function markSigningKeyRetired(tx: Transaction, kid: string): Promise<void> {
  await tx.$executeRaw`UPDATE signing_key SET retired_at = curfew_instant() WHERE kid = ${kid} AND retired_at IS NULL`;
}

/** Tells all nodes, when the transaction commits. */
export async function announceSigningKeys(tx: Transaction): Promise<void> {
  await tx.$executeRaw`SELECT pg_notify(${SIGNING_KEY_CHANNEL}, '')`;
}

/** The database's clock, to which a sign-in is dated. */
export async function readClock(db: Database): Promise<Date> {
  const [row] = await db.$queryRaw<{ now: Date }[]>`SELECT curfew_instant() AS now`;
  if (row === undefined) throw new Error('the database told no time');
  return row.now;
}
