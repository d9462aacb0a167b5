import type { ActivityKind, ParticipationLimits } from '../policy/limits.ts';
import type { Database, Transaction } from '../storage/database.ts';
import { Prisma } from '../storage/generated/client.ts';
import type { LiveParticipation, Tombstone } from './session.ts';

type Sql = Database | Transaction;

export async function findLiveParticipation(
  tx: Sql,
  by: { sid: string } | { sessionUid: string; clientId: string },
): Promise<LiveParticipation | undefined> {
  const where =
    'sid' in by
      ? Prisma.sql`sid = ${by.sid}`
      : Prisma.sql`session_uid = ${by.sessionUid} AND client_id = ${by.clientId}`;
  const [participation] = await tx.$queryRaw<LiveParticipation[]>`
    SELECT sid, session_uid AS "sessionUid", client_id AS "clientId", account_id AS "accountId",
      session_kind AS "sessionKind", limits, activity, idle_deadline AS "idleDeadline",
      absolute_deadline AS "absoluteDeadline", session_activity AS "sessionActivity",
      session_idle_deadline AS "sessionIdleDeadline", session_absolute_deadline AS "sessionAbsoluteDeadline",
      read_at AS "readAt"
    FROM live_participation WHERE ${where}`;
  return participation;
}

export async function findLiveParticipations(
  tx: Sql,
  sessionUid: string,
): Promise<{ sid: string; clientId: string }[]> {
  return tx.$queryRaw`SELECT sid, client_id AS "clientId" FROM live_participation WHERE session_uid = ${sessionUid}`;
}

export interface ParticipationToInsert {
  sid: string;
  sessionUid: string;
  clientId: string;
  limits: ParticipationLimits;
  activity: ActivityKind[];
  policyVersion: number;
}

/**
 * Inserts a client's part in a session that is live: locked first, judged after.
 *
 * @returns how many rows: 0 if the session is not live, the client is disabled, or has its part already
 */
export async function insertParticipation(tx: Sql, participation: ParticipationToInsert): Promise<number> {
  const idleSeconds = participation.limits.idleSeconds?.value ?? null;
  const absoluteSeconds = participation.limits.absoluteSeconds?.value ?? null;
  return tx.$executeRaw`
    WITH c AS MATERIALIZED (SELECT disabled_at FROM client WHERE client_id = ${participation.clientId} FOR KEY SHARE),
      l AS MATERIALIZED (SELECT uid, ended_at, deadline, end_with_parent, parent_uid, authenticated_at FROM session
        WHERE uid = ${participation.sessionUid} AND EXISTS (SELECT FROM c WHERE disabled_at IS NULL) FOR KEY SHARE),
      j AS MATERIALIZED (SELECT l.*, curfew_instant() AS now FROM l),
      d AS (SELECT j.*, j.now + make_interval(secs => ${idleSeconds}::int) AS idle_deadline,
          j.authenticated_at + make_interval(secs => ${absoluteSeconds}::int) AS absolute_deadline
        FROM j WHERE is_live_session(j.ended_at, j.deadline, j.end_with_parent, j.parent_uid))
    INSERT INTO participation (sid, session_uid, client_id, began_at, last_active_at, idle_seconds, absolute_seconds,
      limits, activity, policy_version, idle_deadline, absolute_deadline, alarm_at)
    SELECT ${participation.sid}, d.uid, ${participation.clientId}, d.now, d.now, ${idleSeconds}::int,
      ${absoluteSeconds}::int, ${JSON.stringify(participation.limits)}::jsonb, ${participation.activity},
      ${participation.policyVersion}::int, d.idle_deadline, d.absolute_deadline,
      LEAST(d.idle_deadline, d.absolute_deadline)
    FROM d WHERE is_live(NULL, LEAST(d.idle_deadline, d.absolute_deadline))
    ON CONFLICT (session_uid, client_id) WHERE ended_at IS NULL DO NOTHING`;
}

/**
 * Finds a client's last part in a session if that is over: it comes back only after a sign-in later than the end.
 * A client that signed itself out is no such case; the person stays signed in.
 */
export async function findEndedParticipation(
  tx: Sql,
  sessionUid: string,
  clientId: string,
): Promise<(Tombstone & { sid: string; endStored: boolean; beforeSignIn: boolean }) | undefined> {
  const [row] = await tx.$queryRaw<(Tombstone & { sid: string; endStored: boolean; beforeSignIn: boolean })[]>`
    SELECT p.sid, p.session_uid AS "sessionUid", p.idle_seconds AS "idleSeconds", p.absolute_seconds AS "absoluteSeconds",
      p.ended_at IS NOT NULL AS "endStored", coalesce(p.ended_at, p.deadline) AS "endedAt",
      coalesce(p.end_reason, timeout_reason(p.idle_deadline, p.absolute_deadline)) AS reason,
      coalesce(p.ended_at, p.deadline) < s.authenticated_at AS "beforeSignIn"
    FROM participation p JOIN session s ON s.uid = p.session_uid
    WHERE p.session_uid = ${sessionUid} AND p.client_id = ${clientId} AND NOT is_live(p.ended_at, p.deadline)
      AND NOT EXISTS (SELECT FROM live_participation lp WHERE lp.session_uid = p.session_uid AND lp.client_id = p.client_id)
    ORDER BY p.began_at DESC LIMIT 1`;
  return row;
}
