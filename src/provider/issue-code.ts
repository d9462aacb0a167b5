import type { AdapterPayload, KoaContextWithOIDC } from 'oidc-provider';
import { hashArtifact } from '../artifacts/bearer-hash.ts';
import { storeBoundArtifact } from '../artifacts/store.ts';
import { lockClientOfSessions } from '../sessions/store.ts';
import { transact } from '../storage/transact.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { beginChild, recordAuthorization } from './begin-child.ts';
import { sessionLost } from './session-expired.ts';

/**
 * Stores an authorization code, which is where a client's part in a session shows: it is that client's activity, and
 * with consent to `offline_access` the beginning of an offline session, to which the code and all that comes of it belong.
 *
 * @throws login_required if the session ended while the request was under way
 */
export async function issueCode(
  parts: AdapterParts,
  ctx: KoaContextWithOIDC,
  id: string,
  payload: AdapterPayload,
  lifetimeSeconds: number,
): Promise<void> {
  const online = { sessionUid: payload.sessionUid ?? '', sid: payload.grantId ?? '' };
  const issued = await transact(parts.db, async (tx) => {
    const isOffline = payload.scope?.split(' ').includes('offline_access') ?? false;
    if (isOffline) await lockClientOfSessions(tx, payload.clientId ?? '');
    if (!(await recordAuthorization(tx, ctx, online))) return false;
    const binding = isOffline ? await beginChild(parts, tx, ctx, online, 'offline') : online;
    if (binding === undefined) return false;
    const idHash = hashArtifact('AuthorizationCode', id);
    const bound = { ...payload, sessionUid: binding.sessionUid, grantId: binding.sid, sid: binding.sid };
    return storeBoundArtifact(
      tx,
      {
        idHash,
        model: 'AuthorizationCode',
        clientId: payload.clientId,
        accountId: payload.accountId,
        payload: parts.cipher.seal(bound, idHash),
        lifetimeSeconds,
      },
      binding,
    );
  });
  if (!issued) throw sessionLost(ctx);
}
