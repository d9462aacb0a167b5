import { appendEvents } from '../audit/append-event.ts';
import { decideSessionLimits } from '../policy/decide.ts';
import type { Policy } from '../policy/policy.ts';
import type { Database, Transaction } from '../storage/database.ts';
import { transact } from '../storage/transact.ts';
import { endSessionsIn } from './end-sessions.ts';
import type { LiveSession, Origin } from './session.ts';
import { findLiveBrowserSessions, insertSession, lockAccount, lockSessions, updateAuthentication } from './store.ts';

/** A person who has just shown who they are. */
export interface SignIn {
  /** The session that oidc-provider names: new, anonymous so far, or signed in and authenticating again. */
  uid: string;
  accountId: string;
  /** The version of the credentials that were checked: a password set meanwhile voids the check. */
  credentialVersion: number;
  authenticatedAt: Date;
  acr?: string | undefined;
  amr: readonly string[];
  origin: Origin;
}

export interface PolicyInForce {
  version: number;
  policy: Policy;
}

export type BeginRefusal = 'account_disabled' | 'credential_changed' | 'concurrency_limit' | 'session_ended';

export type BeginResult = { begun: true; session: LiveSession } | { begun: false; refusal: BeginRefusal };

/**
 * Begins a session, or notes a new authentication in a live one, in one transaction. The account is locked first:
 * what disables it or changes its credentials waits and then ends this session too, or came first and refuses it.
 */
export async function beginSession(
  db: Database,
  { version, policy }: PolicyInForce,
  signIn: SignIn,
): Promise<BeginResult> {
  return transact(db, async (tx) => {
    const account = await lockAccount(tx, signIn.accountId);
    if (account === undefined || account.disabledAt !== null) return refuse(tx, signIn, 'account_disabled');
    if (account.credentialVersion !== signIn.credentialVersion) return refuse(tx, signIn, 'credential_changed');

    const limits = decideSessionLimits(policy, {
      kind: 'browser',
      roles: account.roles,
      groups: account.groups,
      acr: signIn.acr ?? null,
      amr: [...signIn.amr],
      ip: signIn.origin.ip ?? null,
    });
    const others = limits.concurrent ? await findLiveBrowserSessions(tx, signIn.accountId, signIn.uid) : [];
    await lockSessions(tx, [signIn.uid, ...others]);
    const { max, onLimit } = limits.concurrent?.value ?? { max: Number.POSITIVE_INFINITY, onLimit: 'refuse' };
    const tooMany = others.slice(0, Math.max(0, others.length + 1 - max));
    if (tooMany.length > 0 && onLimit === 'refuse') return refuse(tx, signIn, 'concurrency_limit');

    const authentication = { ...signIn, limits, policyVersion: version };
    const inserted = await insertSession(tx, { ...authentication, kind: 'browser' });
    const session = inserted ?? (await updateAuthentication(tx, authentication));
    if (session === undefined) return refuse(tx, signIn, 'session_ended');
    if (tooMany.length > 0) {
      await endSessionsIn(tx, { uids: tooMany }, { reason: 'concurrency_limit', actor: `person:${signIn.accountId}` });
    }
    await appendEvents(tx, [
      {
        ...eventOf(signIn),
        type: inserted ? 'session.began' : 'session.reauthenticated',
        outcome: 'success',
        details: {
          idleDeadline: session.idleDeadline,
          absoluteDeadline: session.absoluteDeadline,
          policyVersion: version,
        },
      },
    ]);
    return { begun: true, session };
  });
}

async function refuse(tx: Transaction, signIn: SignIn, refusal: BeginRefusal): Promise<BeginResult> {
  await appendEvents(tx, [{ ...eventOf(signIn), type: 'session.refused', outcome: 'denied', reason: refusal }]);
  return { begun: false, refusal };
}

function eventOf({ uid, accountId, acr, amr, origin }: SignIn) {
  return {
    actor: `person:${accountId}`,
    accountId,
    sessionUid: uid,
    clientId: origin.clientId,
    endpoint: origin.endpoint,
    address: origin.ip,
    userAgent: origin.userAgent,
    details: { acr, amr },
  };
}
