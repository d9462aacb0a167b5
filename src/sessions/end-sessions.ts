import {
  wipeArtifactsOfClient,
  wipeArtifactsOfParticipations,
  wipeArtifactsOfSessions,
  wipeServiceArtifacts,
} from '../artifacts/store.ts';
import { appendEvents } from '../audit/append-event.ts';
import { oweDeliveries } from '../logout/store.ts';
import type { EndReason } from '../policy/end-reason.ts';
import type { Database, Transaction } from '../storage/database.ts';
import { transact } from '../storage/transact.ts';
import {
  type EndedParticipationRow,
  type EndedSessionRow,
  lockForEnd,
  lockParticipationsForEnd,
  markParticipationsEnded,
  markParticipationsOfSessionsEnded,
  markSessionsEnded,
  type ParticipationSelector,
  type SessionSelector,
} from './end-store.ts';
import type { Actor } from './session.ts';

export type { ParticipationSelector, SessionSelector } from './end-store.ts';

/** Who ends something, and why. Past its deadline the reason is the timeout, whoever asks. */
export interface EndAct {
  reason: EndReason;
  actor: Actor;
  /** An administrator's free text. */
  note?: string | undefined;
}

export interface EndResult {
  /** How many were there to end when the locks were taken. */
  found: number;
  ended: number;
}

/** One transaction ends so many at most: locks and memory stay bounded however many are to end. */
const BATCH = 500;
const ALL = 2 ** 31 - 1;

/** Fewer chosen than the batch holds: these were the last. What others ended meanwhile counts as chosen. */
interface Batch extends EndResult {
  chosen: number;
}

const ALARM: EndAct = { reason: 'idle_timeout', actor: 'system:alarm' };

/**
 * Ends sessions, in batches of a transaction each: the end, the wiping of artifacts, the deliveries owed and the audit
 * events commit together or not at all. Ended already is no error.
 */
export async function endSessions(db: Database, selector: SessionSelector, act: EndAct): Promise<EndResult> {
  return inBatches(db, (tx) => endSessionBatch(tx, selector, act, BATCH));
}

/** {@link endSessions} inside the caller's transaction, for an act whose ends must commit with it. */
export async function endSessionsIn(tx: Transaction, selector: SessionSelector, act: EndAct): Promise<EndResult> {
  const { found, ended } = await endSessionBatch(tx, selector, act, ALL);
  return { found, ended };
}

/** Ends the sessions whose deadline has passed. */
export async function endOverdueSessions(db: Database): Promise<EndResult> {
  return endSessions(db, { overdue: true }, ALARM);
}

/**
 * Ends participations alone: their clients are told, the rest of the session goes on. An offline or device session is
 * its one participation, so it ends with it.
 */
export async function endParticipations(
  db: Database,
  selector: ParticipationSelector,
  act: EndAct,
): Promise<EndResult> {
  return inBatches(db, (tx) => endParticipationBatch(tx, selector, act, BATCH));
}

/** {@link endParticipations} inside the caller's transaction. */
export async function endParticipationsIn(
  tx: Transaction,
  selector: ParticipationSelector,
  act: EndAct,
): Promise<EndResult> {
  const { found, ended } = await endParticipationBatch(tx, selector, act, ALL);
  return { found, ended };
}

/** Ends the participations whose own deadline has passed. */
export async function endOverdueParticipations(db: Database): Promise<EndResult> {
  return endParticipations(db, { overdue: true }, ALARM);
}

async function inBatches(db: Database, batch: (tx: Transaction) => Promise<Batch>): Promise<EndResult> {
  const total = { found: 0, ended: 0 };
  for (;;) {
    const { chosen, found, ended } = await transact(db, batch);
    total.found += found;
    total.ended += ended;
    if (chosen < BATCH) return total;
  }
}

async function endSessionBatch(tx: Transaction, selector: SessionSelector, act: EndAct, limit: number): Promise<Batch> {
  const { chosen, uids } = await lockForEnd(tx, selector, limit);
  if (selector.everyone) await wipeServiceArtifacts(tx);
  if (uids.length === 0) return { chosen, found: 0, ended: 0 };
  const sessions = await markSessionsEnded(tx, {
    uids,
    reason: act.reason,
    note: act.note,
    overdue: selector.overdue ?? false,
  });
  const endedUids = sessions.map(({ uid }) => uid);
  const participations = await markParticipationsOfSessionsEnded(tx, endedUids);
  await wipeArtifactsOfSessions(tx, endedUids);
  await oweDeliveries(
    tx,
    participations.map(({ sid }) => sid),
  );
  await appendEvents(tx, [
    ...sessions.filter(({ accountId }) => accountId !== null).map((session) => sessionEnded(session, act)),
    ...participations.map((participation) => participationEnded(participation, act)),
  ]);
  return { chosen, found: uids.length, ended: sessions.length };
}

async function endParticipationBatch(
  tx: Transaction,
  selector: ParticipationSelector,
  act: EndAct,
  limit: number,
): Promise<Batch> {
  const locked = await lockParticipationsForEnd(tx, selector, limit);
  if (selector.clientId !== undefined) await wipeArtifactsOfClient(tx, selector.clientId);
  if (locked.length === 0) return { chosen: 0, found: 0, ended: 0 };
  const isChild = ({ kind }: { kind: string }) => kind === 'offline' || kind === 'device';
  const children = locked.filter(isChild).map(({ sessionUid }) => sessionUid);
  const overdue = selector.overdue && { overdue: selector.overdue };
  const childEnds = children.length === 0 ? { ended: 0 } : await endSessionsIn(tx, { uids: children, ...overdue }, act);

  const participations = await markParticipationsEnded(tx, {
    sids: locked.filter((row) => !isChild(row)).map(({ sid }) => sid),
    reason: act.reason,
    overdue: selector.overdue ?? false,
  });
  const sids = participations.map(({ sid }) => sid);
  await wipeArtifactsOfParticipations(tx, sids);
  await oweDeliveries(tx, sids);
  await appendEvents(
    tx,
    participations.map((participation) => participationEnded(participation, act)),
  );
  return { chosen: locked.length, found: locked.length, ended: participations.length + childEnds.ended };
}

/** A timeout is nobody's act: the system's, at the person's last endpoint. */
function actorOf(reason: EndReason, act: EndAct): { actor: Actor; note?: string } {
  if (reason === act.reason && act !== ALARM) return { actor: act.actor, ...(act.note && { note: act.note }) };
  return { actor: 'system:deadline' };
}

function sessionEnded(session: EndedSessionRow, act: EndAct) {
  const { actor, note } = actorOf(session.reason, act);
  return {
    type: 'session.ended',
    outcome: 'success' as const,
    actor,
    accountId: session.accountId ?? undefined,
    sessionUid: session.uid,
    clientId: session.lastClientId ?? undefined,
    endpoint: session.lastEndpoint ?? undefined,
    reason: session.reason,
    address: session.ip ?? undefined,
    userAgent: session.userAgent ?? undefined,
    details: {
      kind: session.kind,
      endedAt: session.endedAt,
      deadline: session.deadline,
      lagMilliseconds: session.endCommittedAt.getTime() - session.endedAt.getTime(),
      ...(note && { note }),
    },
  };
}

function participationEnded(participation: EndedParticipationRow, act: EndAct) {
  const { actor, note } = actorOf(participation.reason, act);
  return {
    type: 'participation.ended',
    outcome: 'success' as const,
    actor,
    accountId: participation.accountId ?? undefined,
    sessionUid: participation.sessionUid,
    clientId: participation.clientId,
    reason: participation.reason,
    details: { endedAt: participation.endedAt, ...(note && { note }) },
  };
}
