import type { EndReason } from '../policy/end-reason.ts';
import type { ActivityKind, ParticipationLimits, SessionKind, SessionLimits } from '../policy/limits.ts';
import type { Database } from '../storage/database.ts';
import { Prisma } from '../storage/generated/client.ts';

/** Reads for people who look after sessions. Nothing here grants anything. */

export type LifeState = 'live' | 'ended';

/** What an administrator sees of a session in a list. */
export interface SessionSummary {
  uid: string;
  kind: SessionKind;
  parentUid: string | null;
  accountId: string | null;
  /** Null once the account is deleted. */
  login: string | null;
  state: LifeState;
  beganAt: Date;
  authenticatedAt: Date | null;
  lastActiveAt: Date;
  idleDeadline: Date;
  absoluteDeadline: Date;
  deadline: Date;
  /** Past its deadline a session ended at it, whether or not that is stored yet. */
  endedAt: Date | null;
  endReason: EndReason | null;
  endNote: string | null;
  ip: string | null;
  userAgent: string | null;
  /** Those with a live participation. */
  clients: string[];
}

export interface SessionFilter {
  accountId?: string;
  clientId?: string;
  parentUid?: string;
  kind?: SessionKind;
  state?: LifeState;
  reason?: EndReason;
  limit: number;
}

/** One client's part in a session, as an administrator sees it. */
export interface ParticipationDetails {
  sid: string;
  clientId: string;
  state: LifeState;
  beganAt: Date;
  lastActiveAt: Date;
  lastTokenAt: Date | null;
  limits: ParticipationLimits;
  idleDeadline: Date | null;
  absoluteDeadline: Date | null;
  endedAt: Date | null;
  endReason: EndReason | null;
}

/** One message owed to a client about an end. */
export interface DeliveryDetails {
  id: string;
  clientId: string;
  sid: string;
  reason: EndReason;
  state: 'pending' | 'delivered' | 'failed';
  attempt: number;
  owedAt: Date;
  nextAttemptAt: Date;
  deliveredAt: Date | null;
  lastStatus: number | null;
  lastError: string | null;
}

export interface SessionDetails extends SessionSummary {
  acr: string | null;
  amr: string[];
  policyVersion: number;
  /** Each with the rule that set it. */
  limits: SessionLimits;
  activity: ActivityKind[];
  lastEndpoint: string | null;
  lastClientId: string | null;
  endCommittedAt: Date | null;
  participations: ParticipationDetails[];
  children: SessionSummary[];
  deliveries: DeliveryDetails[];
}

/** What ends with its parent has the deadlines of both. */
const deadlineWithParent = Prisma.sql`
  LEFT JOIN session t ON t.uid = s.parent_uid AND s.end_with_parent
  CROSS JOIN LATERAL (SELECT LEAST(s.deadline, t.deadline) AS at, timeout_reason(
    LEAST(s.idle_deadline, t.idle_deadline), LEAST(s.absolute_deadline, t.absolute_deadline)) AS reason) d`;

/** Every session with its state now; `n.now` is one instant for all rows, so that a list agrees with itself. */
const sessions = Prisma.sql`
  SELECT s.*, a.login, d.at AS effective_deadline,
    CASE WHEN s.ended_at IS NULL AND n.now < d.at THEN 'live' ELSE 'ended' END AS state,
    CASE WHEN s.ended_at IS NULL AND d.at <= n.now THEN d.at ELSE s.ended_at END AS end_at,
    CASE WHEN s.ended_at IS NULL AND d.at <= n.now THEN d.reason ELSE s.end_reason END AS reason,
    ARRAY(SELECT p.client_id FROM participation p WHERE p.session_uid = s.uid AND p.ended_at IS NULL
      AND s.ended_at IS NULL AND n.now < LEAST(p.deadline, d.at) ORDER BY 1) AS clients
  FROM session s LEFT JOIN account a ON a.id = s.account_id CROSS JOIN (SELECT curfew_now() AS now) n
    ${deadlineWithParent}`;

const summaryColumns = Prisma.sql`
  v.uid, v.kind, v.parent_uid AS "parentUid", v.account_id AS "accountId", v.login, v.state, v.began_at AS "beganAt",
  v.authenticated_at AS "authenticatedAt", v.last_active_at AS "lastActiveAt", v.idle_deadline AS "idleDeadline",
  v.absolute_deadline AS "absoluteDeadline", v.effective_deadline AS deadline, v.end_at AS "endedAt", v.reason AS "endReason",
  v.end_note AS "endNote", v.ip, v.user_agent AS "userAgent", v.clients`;

/** Lists people's sessions, the newest first; browsers before sign-in are nobody's and left out. */
export async function listSessions(db: Database, filter: SessionFilter): Promise<SessionSummary[]> {
  const { accountId, clientId, parentUid, kind, state, reason, limit } = filter;
  const conditions = [
    Prisma.sql`v.kind <> 'anonymous'`,
    accountId !== undefined && Prisma.sql`v.account_id = ${accountId}`,
    parentUid !== undefined && Prisma.sql`v.parent_uid = ${parentUid}`,
    kind !== undefined && Prisma.sql`v.kind = ${kind}`,
    clientId !== undefined &&
      Prisma.sql`EXISTS (SELECT FROM participation p WHERE p.session_uid = v.uid AND p.client_id = ${clientId})`,
    state !== undefined && Prisma.sql`v.state = ${state}`,
    // Implied by the state, and what the partial indexes are made for.
    state === 'live' && Prisma.sql`v.ended_at IS NULL`,
    reason !== undefined && Prisma.sql`v.reason = ${reason}`,
  ].filter((condition) => condition !== false);
  return db.$queryRaw<SessionSummary[]>`
    SELECT ${summaryColumns} FROM (${sessions}) v WHERE ${Prisma.join(conditions, ' AND ')}
    ORDER BY v.began_at DESC, v.uid LIMIT ${limit}::int`;
}

/** Finds a session with everything that is known of it: limits, participations, children, deliveries. */
export async function findSessionDetails(db: Database, uid: string): Promise<SessionDetails | undefined> {
  const [session] = await db.$queryRaw<Omit<SessionDetails, 'participations' | 'children' | 'deliveries'>[]>`
    SELECT ${summaryColumns}, v.acr, v.amr, v.policy_version AS "policyVersion", v.limits, v.activity,
      v.last_endpoint AS "lastEndpoint", v.last_client_id AS "lastClientId", v.end_committed_at AS "endCommittedAt"
    FROM (${sessions}) v WHERE v.uid = ${uid}`;
  if (session === undefined) return undefined;
  return {
    ...session,
    participations: await listParticipations(db, uid),
    children: await listSessions(db, { parentUid: uid, limit: 1_000 }),
    deliveries: await listDeliveries(db, uid),
  };
}

async function listParticipations(db: Database, sessionUid: string): Promise<ParticipationDetails[]> {
  return db.$queryRaw<ParticipationDetails[]>`
    SELECT p.sid, p.client_id AS "clientId", p.began_at AS "beganAt", p.last_active_at AS "lastActiveAt",
      p.last_token_at AS "lastTokenAt", p.limits, p.idle_deadline AS "idleDeadline",
      p.absolute_deadline AS "absoluteDeadline",
      CASE WHEN p.ended_at IS NULL AND n.now < LEAST(p.deadline, d.at) THEN 'live' ELSE 'ended' END AS state,
      CASE WHEN p.ended_at IS NULL AND LEAST(p.deadline, d.at) <= n.now THEN LEAST(p.deadline, d.at)
        ELSE p.ended_at END AS "endedAt",
      CASE WHEN p.ended_at IS NOT NULL THEN p.end_reason
        WHEN p.deadline <= LEAST(d.at, n.now) THEN timeout_reason(p.idle_deadline, p.absolute_deadline)
        WHEN d.at <= n.now THEN d.reason END AS "endReason"
    FROM participation p JOIN session s ON s.uid = p.session_uid CROSS JOIN (SELECT curfew_now() AS now) n
      ${deadlineWithParent}
    WHERE p.session_uid = ${sessionUid} ORDER BY p.began_at, p.client_id, p.sid`;
}

async function listDeliveries(db: Database, sessionUid: string): Promise<DeliveryDetails[]> {
  return db.$queryRaw<DeliveryDetails[]>`
    SELECT id::text, client_id AS "clientId", sid, reason, state, attempt, owed_at AS "owedAt",
      next_attempt_at AS "nextAttemptAt", delivered_at AS "deliveredAt", last_status AS "lastStatus",
      last_error AS "lastError"
    FROM delivery WHERE session_uid = ${sessionUid} ORDER BY delivery.id`;
}
