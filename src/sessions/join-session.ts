import { randomBytes } from 'node:crypto';
import { appendEvents } from '../audit/append-event.ts';
import { decideParticipationLimits } from '../policy/decide.ts';
import type { ActivityKind } from '../policy/limits.ts';
import type { ClientFacts, SessionFacts } from '../policy/matching.ts';
import type { Database, Transaction } from '../storage/database.ts';
import { transact } from '../storage/transact.ts';
import type { PolicyInForce } from './begin-session.ts';
import { endParticipationsIn } from './end-sessions.ts';
import { findEndedParticipation, findLiveParticipation, insertParticipation } from './participation-store.ts';
import type { LiveParticipation, LiveSession, Origin } from './session.ts';
import { lockClientOfSessions } from './store.ts';

export interface Joining {
  session: Pick<LiveSession, 'uid' | 'kind' | 'accountId' | 'acr' | 'amr'>;
  account: { roles: string[]; groups: string[] };
  client: ClientFacts;
  origin: Origin;
}

/** Makes a session identifier as a client sees it (`sid`, OpenID Connect Back-Channel Logout 1.0 §2.1): 256 random bits. */
export const newSid = (): string => randomBytes(32).toString('base64url');

/**
 * Finds a client's part in a live session, or begins it. Two authorization requests at once get the same one.
 *
 * @returns undefined if the session is not live any more, or the client's last part ran out after the person signed in:
 *   then it takes a new sign-in
 */
export async function joinSession(
  db: Database,
  inForce: PolicyInForce,
  joining: Joining,
): Promise<LiveParticipation | undefined> {
  const { session, client } = joining;
  const by = { sessionUid: session.uid, clientId: client.clientId };
  const existing = await findLiveParticipation(db, by);
  if (existing) return existing;

  return transact(db, async (tx) => {
    await lockClientOfSessions(tx, client.clientId);
    const ended = await findEndedParticipation(tx, session.uid, client.clientId);
    if (ended && needsSignIn(ended)) return undefined;
    if (ended && !ended.endStored) {
      await endParticipationsIn(tx, { sids: [ended.sid] }, { reason: ended.reason, actor: 'system:deadline' });
    }
    const inserted = await insertParticipation(tx, {
      sid: newSid(),
      ...by,
      ...decide(inForce, joining),
      policyVersion: inForce.version,
    });
    if (inserted > 0) await appendEvents(tx, [participationBegan(joining)]);
    return findLiveParticipation(tx, by);
  });
}

/** Tells a client's last part in this session if the client may come back only after a sign-in. */
export async function findParticipationToRenew(db: Database | Transaction, sessionUid: string, clientId: string) {
  const ended = await findEndedParticipation(db, sessionUid, clientId);
  return ended && needsSignIn(ended) ? ended : undefined;
}

/** A client that signed itself out, while the person stayed signed in, comes back without asking. */
function needsSignIn({ reason, beforeSignIn }: { reason: string; beforeSignIn: boolean }): boolean {
  return !beforeSignIn && reason !== 'rp_logout';
}

function decide({ policy }: PolicyInForce, joining: Joining) {
  const limits = decideParticipationLimits(policy, factsOf(joining));
  return { limits, activity: limits.activity.value as ActivityKind[] };
}

/** What rules may refer to, of a client's part in a session. */
export function factsOf({ session, account, client, origin }: Joining): SessionFacts & ClientFacts {
  return {
    kind: session.kind,
    roles: account.roles,
    groups: account.groups,
    acr: session.acr,
    amr: session.amr,
    ip: origin.ip ?? null,
    clientId: client.clientId,
    data: client.data,
    labels: client.labels,
  };
}

function participationBegan({ session, client, origin }: Joining) {
  return {
    type: 'participation.began',
    outcome: 'success' as const,
    actor: `person:${session.accountId}`,
    accountId: session.accountId ?? undefined,
    sessionUid: session.uid,
    clientId: client.clientId,
    endpoint: origin.endpoint,
    address: origin.ip,
    userAgent: origin.userAgent,
  };
}
