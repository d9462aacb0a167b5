import { CompactEncrypt, calculateJwkThumbprint, compactDecrypt, exportJWK, generateKeyPair, type JWK } from 'jose';
import { appendEvents } from '../audit/append-event.ts';
import { AppError } from '../errors.ts';
import type { Database, Transaction } from '../storage/database.ts';
import { transact } from '../storage/transact.ts';
import {
  activateSigningKey,
  announceSigningKeys,
  findSigningKeys,
  insertSigningKey,
  lockSigningKeys,
  markSigningKeyRetired,
  type SigningKeyRow,
  updatePrivateJwe,
} from './store.ts';

/** RS256 first: every OpenID Connect provider must offer it (Core §15.1), and clients that say nothing get it. */
export const SIGNING_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** 32 bytes each: the first encrypts private parts, all of them decrypt. */
export type WrappingKeys = readonly Uint8Array[];

/** A key as people see it: without its private part. */
export type SigningKeyInfo = Omit<SigningKeyRow, 'privateJwe'>;

export interface RotateOptions {
  algorithms?: readonly SigningAlgorithm[];
  /** How long the new keys are published before they sign: longer than clients keep our key set. */
  overlapSeconds: number;
  /** Leaves younger keys alone: of nodes that find one due at once, one makes its successor. */
  ifOlderThanSeconds?: number;
  actor: string;
}

export async function listSigningKeys(db: Database): Promise<SigningKeyInfo[]> {
  return (await findSigningKeys(db)).map(({ privateJwe: _private, ...info }) => info);
}

/**
 * Loads the keys that are published, those that sign first. Makes the ones that are missing, and encrypts anew what was
 * stored under a former key.
 *
 * @throws AppError `key_missing` if a stored key opens with none of the wrapping keys
 */
export async function loadSigningKeys(db: Database, wrapping: WrappingKeys): Promise<JWK[]> {
  const published = (await findSigningKeys(db)).filter(isPublished);
  const complete = SIGNING_ALGORITHMS.every((alg) =>
    published.some((key) => key.alg === alg && key.state === 'active'),
  );
  const opened = complete ? await openAll(published, wrapping) : [];
  if (complete && opened.every(({ isCurrent }) => isCurrent)) return inOrder(opened);
  return transact(db, async (tx) => {
    await lockSigningKeys(tx);
    return inOrder(await settle(tx, wrapping));
  });
}

/** Makes what is missing and wraps anew what was wrapped by a former key, while nobody else does. */
async function settle(tx: Transaction, wrapping: WrappingKeys): Promise<OpenedKey[]> {
  const stored = (await findSigningKeys(tx)).filter(isPublished);
  const missing = SIGNING_ALGORITHMS.filter((alg) => !stored.some((key) => key.alg === alg && key.state === 'active'));
  for (const alg of missing)
    await insertSigningKey(tx, { ...(await makeSigningKey(alg, wrapping)), overlapSeconds: 0 });
  const opened = await openAll((await findSigningKeys(tx)).filter(isPublished), wrapping);
  for (const { jwk, row, isCurrent } of opened) {
    if (!isCurrent) await updatePrivateJwe(tx, row.kid, await wrap(jwk, wrapping));
  }
  return opened;
}

/**
 * Makes new keys, which sign after an overlap in which clients can fetch them; the old ones stay published for what they
 * signed. A key that already waits for its turn is left to it.
 *
 * @returns the `kid`s made
 */
export async function rotateSigningKeys(
  db: Database,
  wrapping: WrappingKeys,
  options: RotateOptions,
): Promise<string[]> {
  const { algorithms = SIGNING_ALGORITHMS, overlapSeconds, ifOlderThanSeconds = 0, actor } = options;
  return transact(db, async (tx) => {
    await lockSigningKeys(tx);
    const tooYoung = (await findSigningKeys(tx))
      .filter(
        ({ state, signsForSeconds }) =>
          state === 'next' || (state === 'active' && signsForSeconds < ifOlderThanSeconds),
      )
      .map(({ alg }) => alg);
    const made: string[] = [];
    for (const alg of algorithms.filter((algorithm) => !tooYoung.includes(algorithm))) {
      const key = await makeSigningKey(alg, wrapping);
      await insertSigningKey(tx, { ...key, overlapSeconds });
      await appendEvents(tx, [
        { type: 'signing_key.made', outcome: 'success', actor, details: { kid: key.kid, alg, overlapSeconds } },
      ]);
      made.push(key.kid);
    }
    if (made.length > 0) await announceSigningKeys(tx);
    return made;
  });
}

/**
 * Takes a key out of the published set, at once and for good: nothing it signed verifies any more. If it is the one
 * that signs, the one that waits takes its place, or a new one does.
 *
 * @throws AppError `not_found`
 */
export async function retireSigningKey(
  db: Database,
  wrapping: WrappingKeys,
  kid: string,
  { actor }: { actor: string },
): Promise<void> {
  await transact(db, async (tx) => {
    await lockSigningKeys(tx);
    const keys = await findSigningKeys(tx);
    const key = keys.find((candidate) => candidate.kid === kid);
    if (key === undefined) throw new AppError('not_found', `no signing key ${kid}`, { status: 404 });
    if (key.state === 'retired') return;
    await markSigningKeyRetired(tx, kid);
    const waiting = keys.find(({ alg, state }) => alg === key.alg && state === 'next');
    if (key.state === 'active' && waiting) await activateSigningKey(tx, waiting.kid);
    await settle(tx, wrapping);
    await appendEvents(tx, [
      { type: 'signing_key.retired', outcome: 'success', actor, details: { kid, alg: key.alg, was: key.state } },
    ]);
    await announceSigningKeys(tx);
  });
}

interface OpenedKey {
  jwk: JWK;
  row: SigningKeyRow;
  /** Encrypted under the first of the wrapping keys. */
  isCurrent: boolean;
}

const isPublished = ({ state }: SigningKeyRow): boolean => state !== 'retired';

/** oidc-provider signs with the first key of an algorithm. */
function inOrder(opened: readonly OpenedKey[]): JWK[] {
  const byAlgorithm = ({ row }: OpenedKey) => SIGNING_ALGORITHMS.indexOf(row.alg as SigningAlgorithm);
  const bySigning = ({ row }: OpenedKey) => ['active', 'next', 'retiring'].indexOf(row.state);
  return [...opened]
    .sort((a, b) => bySigning(a) - bySigning(b) || byAlgorithm(a) - byAlgorithm(b))
    .map(({ jwk }) => jwk);
}

async function makeSigningKey(alg: SigningAlgorithm, wrapping: WrappingKeys) {
  const pair = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
  const publicJwk = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  const jwk = { ...(await exportJWK(pair.privateKey)), kid, alg, use: 'sig' };
  return { kid, alg, publicJwk: { ...publicJwk, kid, alg, use: 'sig' }, privateJwe: await wrap(jwk, wrapping) };
}

async function wrap(jwk: JWK, [key]: WrappingKeys): Promise<string> {
  if (key === undefined) throw new AppError('key_missing', 'no key to encrypt signing keys with is configured');
  return new CompactEncrypt(Buffer.from(JSON.stringify(jwk)))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(key);
}

async function openAll(rows: readonly SigningKeyRow[], wrapping: WrappingKeys): Promise<OpenedKey[]> {
  return Promise.all(rows.map((row) => openSigningKey(row, wrapping)));
}

async function openSigningKey(row: SigningKeyRow, wrapping: WrappingKeys): Promise<OpenedKey> {
  for (const [position, key] of wrapping.entries()) {
    try {
      const { plaintext } = await compactDecrypt(row.privateJwe, key);
      return { jwk: JSON.parse(Buffer.from(plaintext).toString('utf8')) as JWK, row, isCurrent: position === 0 };
    } catch {
      // Encrypted under another of the keys, or under none of them: told below.
    }
  }
  throw new AppError(
    'key_missing',
    `signing key ${row.kid} can't be decrypted: add the secret that it was stored under to CURFEW_SECRET, behind a comma`,
  );
}
