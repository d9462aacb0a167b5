import type { KoaContextWithOIDC } from 'oidc-provider';
import type { Binding } from '../artifacts/artifact.ts';
import { hashArtifact } from '../artifacts/bearer-hash.ts';
import { findLiveArtifact, storeBoundArtifact } from '../artifacts/store.ts';
import type { ChildKind } from '../policy/limits.ts';
import { beginChildSession } from '../sessions/begin-child-session.ts';
import { recordActivity } from '../sessions/store.ts';
import type { Transaction } from '../storage/database.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { originOf, registeredClient, stateOf } from './request-state.ts';

/**
 * Counts an answered authorization request as the client's activity in the browser's session, which is locked by it.
 *
 * @returns false if the session, or the client's part in it, is not live any more
 */
export async function recordAuthorization(
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

/**
 * Begins a child of the browser's session and gives it a grant of its own, a copy of the one that was consented to.
 *
 * @returns undefined if the browser's session is not live, or policy forbids such a child
 */
export async function beginChild(
  { cipher, policy }: AdapterParts,
  tx: Transaction,
  ctx: KoaContextWithOIDC,
  parent: Binding,
  kind: ChildKind,
): Promise<Binding | undefined> {
  const { account, begun, loaded } = stateOf(ctx);
  const client = registeredClient(ctx);
  const session = begun ?? loaded?.session;
  if (!account || !client || !session) return undefined;
  const child = await beginChildSession(tx, policy(), { session, account, client, origin: originOf(ctx) }, kind);
  if (child === undefined) return undefined;

  const parentHash = hashArtifact('Grant', parent.sid);
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
