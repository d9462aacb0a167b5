import { randomBytes } from 'node:crypto';
import type { Binding } from '../artifacts/artifact.ts';
import { appendEvents } from '../audit/append-event.ts';
import { decideChildLimits, decideChildSetting, decideParticipationLimits } from '../policy/decide.ts';
import type { ChildKind } from '../policy/limits.ts';
import type { Transaction } from '../storage/database.ts';
import type { PolicyInForce } from './begin-session.ts';
import { factsOf, type Joining, newSid } from './join-session.ts';
import { insertParticipation } from './participation-store.ts';
import { findLiveSession, insertSession, lockLiveSession } from './store.ts';

/**
 * Begins the child session that consent to `offline_access` or the approval of a device asks for: own limits, own
 * participation, own `sid`. The parent is locked and judged first, so that none begins from a dead one.
 *
 * @returns undefined if the parent is not live, or policy forbids sessions of that kind
 * @see OpenID Connect Core 1.0 §11, RFC 8628 §3.3
 */
export async function beginChildSession(
  tx: Transaction,
  { version, policy }: PolicyInForce,
  joining: Joining,
  kind: ChildKind,
): Promise<Binding | undefined> {
  const limits = decideChildLimits(policy, factsOf(joining), kind);
  if (limits === 'forbid' || !(await lockLiveSession(tx, joining.session.uid))) return undefined;
  const parent = await findLiveSession(tx, { uid: joining.session.uid });
  if (parent?.accountId == null) return undefined;

  const participation = decideParticipationLimits(
    policy,
    factsOf({ ...joining, session: { ...joining.session, kind } }),
  );
  const { value: setting } = decideChildSetting(policy, factsOf(joining), kind);
  const child = await insertSession(tx, {
    uid: randomBytes(32).toString('base64url'),
    kind,
    parentUid: parent.uid,
    accountId: parent.accountId,
    authenticatedAt: parent.authenticatedAt ?? undefined,
    limits,
    policyVersion: version,
    endWithParent: setting !== 'forbid' && setting.endWith === 'session',
    acr: parent.acr ?? undefined,
    amr: parent.amr,
    origin: joining.origin,
  });
  if (child === undefined) return undefined;

  // Its own deadlines are the session's: a child session is its one participation.
  const { idleSeconds: _idle, absoluteSeconds: _absolute, ...participationLimits } = participation;
  const sid = newSid();
  const joined = await insertParticipation(tx, {
    sid,
    sessionUid: child.uid,
    clientId: joining.client.clientId,
    limits: participationLimits,
    activity: limits.activity.value,
    policyVersion: version,
  });
  if (joined === 0) return undefined;
  await appendEvents(tx, [
    {
      type: 'session.began',
      outcome: 'success',
      actor: `person:${parent.accountId}`,
      accountId: parent.accountId,
      sessionUid: child.uid,
      clientId: joining.client.clientId,
      endpoint: joining.origin.endpoint,
      address: joining.origin.ip,
      userAgent: joining.origin.userAgent,
      details: {
        kind,
        parentUid: parent.uid,
        idleDeadline: child.idleDeadline,
        absoluteDeadline: child.absoluteDeadline,
        policyVersion: version,
      },
    },
  ]);
  return { sessionUid: child.uid, sid };
}
