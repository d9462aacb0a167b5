import { type AdapterPayload, errors, type KoaContextWithOIDC } from 'oidc-provider';
import { hashArtifact } from '../artifacts/bearer-hash.ts';
import { updateDeviceCode } from '../artifacts/device-code-store.ts';
import { lockClientOfSessions } from '../sessions/store.ts';
import { transact } from '../storage/transact.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { beginChild, recordAuthorization } from './begin-child.ts';
import { sessionLost } from './session-expired.ts';

/**
 * Stores that a person approved a device: a session of its own begins, to which the device code and all that comes of it
 * belong. Session and decision commit together; of two that decide at once one does.
 *
 * @throws login_required if the browser's session ended while the request was under way; expired_token if somebody
 *   decided before, or the code is over
 * @see RFC 8628 §3.3
 */
export async function approveDevice(
  parts: AdapterParts,
  ctx: KoaContextWithOIDC,
  id: string,
  payload: AdapterPayload,
): Promise<void> {
  const online = { sessionUid: payload.sessionUid ?? '', sid: payload.grantId ?? '' };
  const idHash = hashArtifact('DeviceCode', id);
  const isBegun = await transact(parts.db, async (tx) => {
    await lockClientOfSessions(tx, payload.clientId ?? '');
    if (!(await recordAuthorization(tx, ctx, online))) return false;
    const child = await beginChild(parts, tx, ctx, online, 'device');
    if (child === undefined) return false;
    const bound = { ...payload, sessionUid: child.sessionUid, grantId: child.sid, sid: child.sid };
    const isStored = await updateDeviceCode(tx, {
      idHash,
      payload: parts.cipher.seal(bound, idHash),
      isDecision: true,
      approval: { ...child, accountId: payload.accountId ?? '' },
    });
    if (!isStored) throw new errors.ExpiredToken('the device code can not be used any more');
    return true;
  });
  if (!isBegun) throw sessionLost(ctx);
}
