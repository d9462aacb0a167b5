import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto';

const VERSION = 1;
const KEY_ID_BYTES = 4;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 1 + KEY_ID_BYTES + IV_BYTES + TAG_BYTES;

export interface PayloadCipher {
  /** @param boundTo what the ciphertext belongs to: it opens for nothing else */
  seal(payload: unknown, boundTo: Uint8Array): Uint8Array<ArrayBuffer>;
  /** @throws Error if the bytes were changed, belong to another row, or were sealed under a key that isn't known any more */
  open(sealed: Uint8Array, boundTo: Uint8Array): Record<string, unknown>;
}

/**
 * Encrypts payloads with AES-256-GCM: oidc-provider puts bearer values inside them (a token's own `jti`, the session
 * cookie in an interaction), and a stolen database must not be a stolen login.
 *
 * @param keys 32 bytes each; the first seals, all of them open, so that the key can be rotated
 */
export function createPayloadCipher(keys: readonly Uint8Array[]): PayloadCipher {
  const known = new Map(keys.map((key) => [keyId(key).toString('hex'), key]));
  const [current] = keys;
  if (current === undefined) throw new TypeError('a payload cipher needs a key');
  const currentId = keyId(current);

  return {
    seal(payload, boundTo) {
      const iv = randomBytes(IV_BYTES);
      const cipher = createCipheriv('aes-256-gcm', current, iv);
      cipher.setAAD(boundTo);
      const ciphertext = Buffer.concat([cipher.update(JSON.stringify(payload), 'utf8'), cipher.final()]);
      return Uint8Array.from(Buffer.concat([Buffer.of(VERSION), currentId, iv, cipher.getAuthTag(), ciphertext]));
    },

    open(sealed, boundTo) {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      if (bytes.length < HEADER_BYTES || bytes[0] !== VERSION) throw new Error('not a sealed payload');
      const key = known.get(bytes.subarray(1, 1 + KEY_ID_BYTES).toString('hex'));
      if (key === undefined) throw new Error('the payload was sealed under a key that is not configured');
      const ivStart = 1 + KEY_ID_BYTES;
      const tagStart = ivStart + IV_BYTES;
      const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(ivStart, tagStart));
      decipher.setAAD(boundTo);
      decipher.setAuthTag(bytes.subarray(tagStart, HEADER_BYTES));
      const plaintext = Buffer.concat([decipher.update(bytes.subarray(HEADER_BYTES)), decipher.final()]);
      return JSON.parse(plaintext.toString('utf8')) as Record<string, unknown>;
    },
  };
}

const keyId = (key: Uint8Array): Buffer => hash('sha256', key, 'buffer').subarray(0, KEY_ID_BYTES);
