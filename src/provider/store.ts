import type { Database, Transaction } from '../storage/database.ts';

export interface SigningKeyRow {
  kid: string;
  alg: string;
  privateJwe: string;
}

/** The signing keys in use, newest first: oidc-provider signs with the first of an algorithm. */
export async function findSigningKeys(db: Database | Transaction): Promise<SigningKeyRow[]> {
  return db.signingKey.findMany({
    where: { retiredAt: null },
    orderBy: [{ createdAt: 'desc' }, { kid: 'asc' }],
    select: { kid: true, alg: true, privateJwe: true },
  });
}

/** Lets one starter make keys while the others wait for them. */
export async function lockSigningKeys(tx: Transaction): Promise<void> {
  await tx.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended('curfew:signing_key', 0))`;
}

export async function insertSigningKey(tx: Transaction, key: SigningKeyRow & { publicJwk: object }): Promise<void> {
  await tx.$executeRaw`
    INSERT INTO signing_key (kid, alg, public_jwk, private_jwe, created_at)
    VALUES (${key.kid}, ${key.alg}, ${JSON.stringify(key.publicJwk)}::jsonb, ${key.privateJwe}, curfew_instant())`;
}

/** The database's clock, to which a sign-in is dated. */
export async function readClock(db: Database): Promise<Date> {
  const [row] = await db.$queryRaw<{ now: Date }[]>`SELECT curfew_instant() AS now`;
  if (row === undefined) throw new Error('the database told no time');
  return row.now;
}
