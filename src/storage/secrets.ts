import { hkdfSync, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { AppError } from '../errors.ts';
import { createOnce } from './data-directory.ts';

const KEY_BYTES = 32;

/** What keys are for; a name must never be given to another purpose. */
export type KeyPurpose = 'payload' | 'cookie' | 'form' | 'notice' | 'throttle' | 'user-code' | 'signing-key' | 'demo';

/** Keys of 32 bytes derived from the master keys. */
export interface Secrets {
  /** One for each master key, in their order: the first is used, all are accepted. */
  keys(purpose: KeyPurpose): readonly [Uint8Array<ArrayBuffer>, ...Uint8Array<ArrayBuffer>[]];
}

/**
 * Derives independent keys for each purpose, so that one secret is all an operator keeps and rotates.
 *
 * @see RFC 5869 (HKDF)
 */
export function deriveSecrets(masterKeys: readonly Uint8Array[]): Secrets {
  const [current, ...former] = masterKeys;
  if (current === undefined) throw new AppError('key_missing', 'There is no master key: set CURFEW_SECRET.');
  const derive = (purpose: KeyPurpose) => (master: Uint8Array) =>
    new Uint8Array(hkdfSync('sha256', master, new Uint8Array(0), `curfew ${purpose} v1`, KEY_BYTES));
  return {
    keys: (purpose) => [derive(purpose)(current), ...former.map(derive(purpose))],
  };
}

/**
 * Reads the master key that an earlier start generated in the data folder, or generates it.
 *
 * @throws AppError `data_directory`, also when the file was changed: with another key nothing stored can be read
 */
export async function loadMasterKeys(dataDir: string): Promise<Uint8Array[]> {
  const file = join(dataDir, 'secrets');
  const text = await createOnce(file, () => `${randomBytes(KEY_BYTES).toString('base64url')}\n`);
  const keys = text.trim().split(',');
  if (!keys.every((key) => /^[\w-]{43}$/.test(key.trim()))) {
    throw new AppError(
      'data_directory',
      `${file} holds no key of ${KEY_BYTES} bytes in base64url: restore it from a backup.`,
    );
  }
  return keys.map((key) => new Uint8Array(Buffer.from(key.trim(), 'base64url')));
}
