import type { EndReason } from '../policy/end-reason.ts';
import type { SessionKind } from '../policy/limits.ts';
import type { Transaction } from '../storage/database.ts';
import { Prisma } from '../storage/generated/client.ts';

/** Which sessions to end; what is left out doesn't narrow. `overdue`: those past their deadline and nothing else. */
export interface SessionSelector {
  uids?: readonly string[];
  accountId?: string;
  kinds?: readonly SessionKind[];
  exceptUid?: string;
  everyone?: true;
  overdue?: true;
}

export interface EndedSessionRow {
  uid: string;
  kind: SessionKind;
  accountId: string | null;
  endedAt: Date;
  endCommittedAt: Date;
  reason: EndReason;
  deadline: Date;
  lastEndpoint: string | null;
  lastClientId: string | null;
  ip: string | null;
  userAgent: string | null;
}

export interface EndedParticipationRow {
  sid: string;
  sessionUid: string;
  clientId: string;
  accountId: string | null;
  endedAt: Date;
  reason: EndReason;
}

export interface LockedForEnd {
  /** How many the selector chose, ended meanwhile or not: fewer than the limit means that these were the last. */
  chosen: number;
  /** Those not ended yet; of concurrent callers exactly one gets each session, and owes what follows. */
  uids: string[];
}

/**
 * Locks the sessions that an end is about to judge, and the children that end with them: first sessions without a
 * parent, then children, each in `uid` order, so that two ends can't deadlock. While a parent is locked no child begins,
 * and a later statement (READ COMMITTED) sees those that began while this waited.
 */
export async function lockForEnd(tx: Transaction, selector: SessionSelector, limit: number): Promise<LockedForEnd> {
  const selected = whereSelected(selector);
  const parents = await lockRows(
    tx,
    Prisma.sql`SELECT uid FROM session WHERE ended_at IS NULL AND parent_uid IS NULL AND ${selected}
      ORDER BY uid LIMIT ${limit}::int`,
  );
  const children = await lockRows(
    tx,
    Prisma.sql`(SELECT uid FROM session WHERE ended_at IS NULL AND parent_uid IS NOT NULL AND ${selected}
        ORDER BY uid LIMIT ${limit - parents.length}::int)
      UNION SELECT uid FROM session
        WHERE ended_at IS NULL AND end_with_parent AND parent_uid = ANY(${parents.map(({ uid }) => uid)})`,
  );
  const locked = [...parents, ...children];
  return { chosen: locked.length, uids: locked.filter(({ ended }) => !ended).map(({ uid }) => uid) };
}

async function lockRows(tx: Transaction, chosen: Prisma.Sql): Promise<{ uid: string; ended: boolean }[]> {
  return tx.$queryRaw<{ uid: string; ended: boolean }[]>`
    WITH chosen AS MATERIALIZED (${chosen})
    SELECT uid, ended_at IS NOT NULL AS ended FROM session WHERE uid IN (SELECT uid FROM chosen) ORDER BY uid FOR UPDATE`;
}

function whereSelected({ uids, accountId, kinds, exceptUid, everyone, overdue }: SessionSelector): Prisma.Sql {
  const conditions = [
    uids && Prisma.sql`uid = ANY(${[...uids]})`,
    accountId !== undefined && Prisma.sql`account_id = ${accountId}`,
    everyone && Prisma.sql`account_id IS NOT NULL`,
    overdue && Prisma.sql`alarm_at <= (SELECT curfew_now()) AND deadline <= (SELECT curfew_now())`,
  ].filter((condition) => condition instanceof Prisma.Sql);
  if (conditions.length === 0) throw new TypeError('an end needs to be told which sessions');
  if (kinds) conditions.push(Prisma.sql`kind = ANY(${[...kinds]})`);
  if (exceptUid !== undefined) conditions.push(Prisma.sql`uid <> ${exceptUid}`);
  return Prisma.join(conditions, ' AND ');
}

export interface EndUpdate {
  uids: readonly string[];
  reason: EndReason;
  note: string | undefined;
  /** End only what is past its deadline. */
  overdue: boolean;
}

/**
 * Marks locked sessions as ended. Past its deadline, or that of the parent it ends with, a session ended by the timeout
 * and at the deadline, whoever asked.
 */
export async function markSessionsEnded(tx: Transaction, end: EndUpdate): Promise<EndedSessionRow[]> {
  return tx.$queryRaw<EndedSessionRow[]>`
    WITH n AS MATERIALIZED (SELECT curfew_instant() AS now),
      e AS MATERIALIZED (SELECT c.uid, n.now, LEAST(c.deadline, t.deadline) AS deadline, timeout_reason(
          LEAST(c.idle_deadline, t.idle_deadline), LEAST(c.absolute_deadline, t.absolute_deadline)) AS timeout
        FROM n CROSS JOIN session c LEFT JOIN session t ON t.uid = c.parent_uid AND c.end_with_parent
        WHERE c.uid = ANY(${end.uids}))
    UPDATE session s SET ended_at = LEAST(e.deadline, e.now), end_committed_at = e.now, payload = NULL,
      end_reason = CASE WHEN e.now < e.deadline THEN ${end.reason} ELSE e.timeout END,
      end_note = CASE WHEN e.now < e.deadline THEN ${end.note ?? null} END
    FROM e
    WHERE s.uid = e.uid AND s.ended_at IS NULL AND (NOT ${end.overdue} OR e.deadline <= e.now)
    RETURNING s.uid, s.kind, s.account_id AS "accountId", s.ended_at AS "endedAt", s.end_committed_at AS "endCommittedAt",
      s.end_reason AS reason, e.deadline, s.last_endpoint AS "lastEndpoint", s.last_client_id AS "lastClientId", s.ip,
      s.user_agent AS "userAgent"`;
}

/** Ends what is left of the sessions' participations; one past its own deadline ended then, by its own timeout. */
export async function markParticipationsOfSessionsEnded(
  tx: Transaction,
  uids: readonly string[],
): Promise<EndedParticipationRow[]> {
  return tx.$queryRaw<EndedParticipationRow[]>`
    UPDATE participation p SET ended_at = LEAST(p.deadline, s.ended_at), end_committed_at = s.end_committed_at,
      end_reason = CASE WHEN p.deadline IS NULL OR s.ended_at < p.deadline THEN s.end_reason
        ELSE timeout_reason(p.idle_deadline, p.absolute_deadline) END
    FROM session s
    WHERE s.uid = p.session_uid AND p.session_uid = ANY(${uids}) AND p.ended_at IS NULL
    RETURNING p.sid, p.session_uid AS "sessionUid", p.client_id AS "clientId", s.account_id AS "accountId",
      p.ended_at AS "endedAt", p.end_reason AS reason`;
}

/** Which participations to end alone; what is left out doesn't narrow. */
export interface ParticipationSelector {
  sids?: readonly string[];
  clientId?: string;
  overdue?: true;
}

/**
 * Finds the participations to end, and locks their sessions in the order of {@link lockForEnd}: an end of the session
 * itself, which takes them along, comes before or after, never between.
 */
export async function lockParticipationsForEnd(
  tx: Transaction,
  selector: ParticipationSelector,
  limit: number,
): Promise<{ sid: string; sessionUid: string; kind: SessionKind }[]> {
  const conditions = [
    selector.sids && Prisma.sql`p.sid = ANY(${[...selector.sids]})`,
    selector.clientId !== undefined && Prisma.sql`p.client_id = ${selector.clientId}`,
    selector.overdue && Prisma.sql`p.alarm_at <= (SELECT curfew_now()) AND p.deadline <= (SELECT curfew_now())`,
  ].filter((condition) => condition instanceof Prisma.Sql);
  if (conditions.length === 0) throw new TypeError('an end needs to be told which participations');
  const chosen = await tx.$queryRaw<{ sid: string; sessionUid: string }[]>`
    SELECT p.sid, p.session_uid AS "sessionUid" FROM participation p
    WHERE p.ended_at IS NULL AND ${Prisma.join(conditions, ' AND ')} ORDER BY p.session_uid, p.sid LIMIT ${limit}::int`;
  if (chosen.length === 0) return [];
  const sessions = await tx.$queryRaw<{ uid: string; kind: SessionKind }[]>`
    SELECT uid, kind FROM session WHERE uid = ANY(${[...new Set(chosen.map(({ sessionUid }) => sessionUid))]})
    ORDER BY parent_uid IS NOT NULL, uid FOR NO KEY UPDATE`;
  const kinds = new Map(sessions.map(({ uid, kind }) => [uid, kind]));
  return chosen.map((row) => ({ ...row, kind: kinds.get(row.sessionUid) ?? 'browser' }));
}

export async function markParticipationsEnded(
  tx: Transaction,
  end: { sids: readonly string[]; reason: EndReason; overdue: boolean },
): Promise<EndedParticipationRow[]> {
  return tx.$queryRaw<EndedParticipationRow[]>`
    WITH l AS MATERIALIZED (SELECT sid FROM participation WHERE sid = ANY(${end.sids}) AND ended_at IS NULL
        ORDER BY sid FOR UPDATE),
      n AS MATERIALIZED (SELECT curfew_instant() AS now FROM (SELECT count(*) FROM l) after_the_locks)
    UPDATE participation p SET ended_at = LEAST(p.deadline, s.deadline, n.now), end_committed_at = n.now,
      end_reason = CASE WHEN n.now < LEAST(p.deadline, s.deadline) THEN ${end.reason}
        ELSE timeout_reason(LEAST(p.idle_deadline, s.idle_deadline), LEAST(p.absolute_deadline, s.absolute_deadline)) END
    FROM session s, n
    WHERE s.uid = p.session_uid AND p.sid IN (SELECT sid FROM l) AND p.ended_at IS NULL
      AND (NOT ${end.overdue} OR p.deadline <= n.now)
    RETURNING p.sid, p.session_uid AS "sessionUid", p.client_id AS "clientId", s.account_id AS "accountId",
      p.ended_at AS "endedAt", p.end_reason AS reason`;
}
