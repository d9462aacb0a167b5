import { calculateJwkThumbprint, decodeProtectedHeader } from 'jose';
import type { KoaContextWithOIDC } from 'oidc-provider';

/**
 * Whether a bound token comes without a proof by its key. The proof was verified before the token was looked up.
 *
 * @param jkt the key that the token is bound to, if it is
 * @see RFC 9449 §5 (refresh tokens of public clients)
 */
export async function isAnotherSender(ctx: KoaContextWithOIDC, jkt: unknown): Promise<boolean> {
  if (jkt === undefined) return false;
  const proof = ctx.get('dpop');
  if (proof === '') return true;
  const { jwk } = decodeProtectedHeader(proof);
  return jwk === undefined || (await calculateJwkThumbprint(jwk)) !== jkt;
}
