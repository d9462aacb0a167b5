import type { AdapterPayload, KoaContextWithOIDC } from 'oidc-provider';
import type { Binding } from '../artifacts/artifact.ts';
import { hashArtifact } from '../artifacts/bearer-hash.ts';
import { findLiveArtifact, storeBoundArtifact } from '../artifacts/store.ts';
import { beginOfflineSession } from '../sessions/begin-offline-session.ts';
import { lockClientOfSessions, recordActivity } from '../sessions/store.ts';
import type { Transaction } from '../storage/database.ts';
import { transact } from '../storage/transact.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { originOf, registeredClient, stateOf } from './request-state.ts';
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
    if (!(await recordCodeActivity(tx, ctx, online))) return false;
    const binding = isOffline ? await goOffline(parts, tx, ctx, online) : online;
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

async function recordCodeActivity(
  tx: Transaction,
  ctx: KoaContextWithOIDC,
  { sessionUid, sid }: Binding,
): Promise<boolean> {
  const { bound } = stateOf(ctx);
  const kind = ctx.oidc.prompts.has('none') ? 'silent' : 'interactive';
  const deadlines = await recordActivity(tx, {
    sessionUid,
    sid,
    movesSession: bound?.sessionActivity.includes(kind) ?? false,
    movesParticipation: bound?.activity.includes(kind) ?? false,
    origin: originOf(ctx),
  });
  return deadlines !== undefined;
}

/** Begins the offline session and gives it a grant of its own, a copy of the one that was consented to. */
async function goOffline(
  { cipher, policy }: AdapterParts,
  tx: Transaction,
  ctx: KoaContextWithOIDC,
  online: Binding,
): Promise<Binding | undefined> {
  const { account, begun, loaded } = stateOf(ctx);
  const client = registeredClient(ctx);
  const session = begun ?? loaded?.session;
  if (!account || !client || !session) return undefined;
  const child = await beginOfflineSession(tx, policy(), { session, account, client, origin: originOf(ctx) });
  if (child === undefined) return undefined;

  const parentHash = hashArtifact('Grant', online.sid);
  const parentGrant = await findLiveArtifact(tx, parentHash);
  if (parentGrant === undefined) return undefined;
  const grant = cipher.open(parentGrant.payload, parentHash);
  const idHash = hashArtifact('Grant', child.sid);
  const { exp: _exp, ...rest } = grant;
  const stored = await storeBoundArtifact(
    tx,
    {
      idHash,
      model: 'Grant',
      clientId: client.clientId,
      accountId: session.accountId ?? undefined,
      payload: cipher.seal({ ...rest, jti: child.sid }, idHash),
      lifetimeSeconds: 400 * 86_400,
    },
    child,
  );
  return stored ? child : undefined;
}
