import { hashArtifact } from '../artifacts/bearer-hash.ts';
import { storeOnce } from '../artifacts/store.ts';
import type { AdapterParts } from './adapter-parts.ts';

/** How far in the future a proof may be dated (oidc-provider's window for `iat`), and so be good for longer than its record. */
const FUTURE_SECONDS = 300;

/**
 * Whether a proof or a client assertion is presented for the first time: of parallel uses of one exactly one is.
 *
 * It takes the place of oidc-provider's find and save, between which a replay fits. Each endpoint says in its own error
 * what it thinks of a second use.
 *
 * @see RFC 9449 §11.1 (`jti` of a DPoP proof), RFC 7523 §3 (`jti` of an assertion)
 */
export function createUniquenessCheck({ db, cipher }: Pick<AdapterParts, 'db' | 'cipher'>) {
  return async (iss: string, jti: string, exp: number): Promise<boolean> => {
    const idHash = hashArtifact('ReplayDetection', `${iss}\0${jti}`);
    const lifetimeSeconds = Math.max(1, Math.ceil(exp - Date.now() / 1000)) + FUTURE_SECONDS;
    return storeOnce(db, { idHash, model: 'ReplayDetection', payload: cipher.seal({}, idHash), lifetimeSeconds });
  };
}
