import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';

/** Enough that a stolen SHA-256 of it can't be guessed (law 8). */
const SECRET_BYTES = 32;

export function generateSecret(): string {
  return randomBytes(SECRET_BYTES).toString('base64url');
}

export function hashSecret(secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash('sha256').update(secret).digest());
}

/** Tells whether a presented secret is the one that was hashed, in the same time for any wrong one. */
export function secretMatches(secretHash: Uint8Array | undefined, presented: string): boolean {
  const hash = hashSecret(presented);
  return secretHash !== undefined && secretHash.length === hash.length && timingSafeEqual(secretHash, hash);
}
