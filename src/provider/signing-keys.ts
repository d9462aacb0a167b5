import { CompactEncrypt, calculateJwkThumbprint, compactDecrypt, exportJWK, generateKeyPair, type JWK } from 'jose';
import { AppError } from '../errors.ts';
import type { Database } from '../storage/database.ts';
import { transact } from '../storage/transact.ts';
import { findSigningKeys, insertSigningKey, lockSigningKeys, type SigningKeyRow } from './store.ts';

/** RS256 first: every OpenID Connect provider must offer it (Core §15.1), and clients that say nothing get it. */
export const SIGNING_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/**
 * Loads the provider's signing keys, and makes the ones that are missing. Private parts are stored encrypted.
 *
 * @param keys 32 bytes each: the first encrypts, all of them decrypt
 * @throws AppError `key_missing` if a stored key opens with none of them
 */
export async function loadSigningKeys(db: Database, keys: readonly Uint8Array[]): Promise<JWK[]> {
  const rows = await transact(db, async (tx) => {
    await lockSigningKeys(tx);
    const stored = await findSigningKeys(tx);
    const missing = SIGNING_ALGORITHMS.filter((alg) => !stored.some((key) => key.alg === alg));
    for (const alg of missing) {
      await insertSigningKey(tx, await makeSigningKey(alg, keys));
    }
    return missing.length > 0 ? findSigningKeys(tx) : stored;
  });
  const opened = await Promise.all(rows.map((row) => openSigningKey(row, keys)));
  const rank = ({ alg }: JWK) => SIGNING_ALGORITHMS.indexOf(alg as SigningAlgorithm);
  return opened.sort((a, b) => rank(a) - rank(b));
}

async function makeSigningKey(alg: SigningAlgorithm, [key]: readonly Uint8Array[]) {
  if (key === undefined) throw new AppError('key_missing', 'no key to encrypt signing keys with is configured');
  const pair = await generateKeyPair(alg, { extractable: true, modulusLength: 2048 });
  const publicJwk = await exportJWK(pair.publicKey);
  const kid = await calculateJwkThumbprint(publicJwk);
  const jwk = { ...(await exportJWK(pair.privateKey)), kid, alg, use: 'sig' };
  const privateJwe = await new CompactEncrypt(Buffer.from(JSON.stringify(jwk)))
    .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
    .encrypt(key);
  return { kid, alg, publicJwk: { ...publicJwk, kid, alg, use: 'sig' }, privateJwe };
}

async function openSigningKey({ kid, privateJwe }: SigningKeyRow, keys: readonly Uint8Array[]): Promise<JWK> {
  for (const key of keys) {
    try {
      const { plaintext } = await compactDecrypt(privateJwe, key);
      return JSON.parse(Buffer.from(plaintext).toString('utf8')) as JWK;
    } catch {
      // Encrypted under another of the keys, or under none of them: told below.
    }
  }
  throw new AppError(
    'key_missing',
    `signing key ${kid} can't be decrypted: add the secret that it was stored under to CURFEW_SECRET, behind a comma`,
  );
}
