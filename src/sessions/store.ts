import type { SessionKind, SessionLimits } from '../policy/limits.ts';
import type { Database, Transaction } from '../storage/database.ts';
import type { Deadlines, LiveSession, Origin, Tombstone } from './session.ts';

type Sql = Database | Transaction;

/** The account as a sign-in finds it, locked: disabling it or setting its password waits until the sign-in is done. */
export async function lockAccount(
  tx: Transaction,
  accountId: string,
): Promise<{ roles: string[]; groups: string[]; credentialVersion: number; disabledAt: Date | null } | undefined> {
  const [row] = await tx.$queryRaw<
    { roles: string[]; groups: string[]; credentialVersion: number; disabledAt: Date | null }[]
  >`
    SELECT roles, groups, credential_version AS "credentialVersion", disabled_at AS "disabledAt" FROM account
    WHERE id = ${accountId} FOR NO KEY UPDATE`;
  return row;
}

/**
 * Locks a client against being disabled, before any session is locked: what disables it takes its sessions after it,
 * and two that take them in opposite orders would deadlock.
 */
export async function lockClientOfSessions(tx: Transaction, clientId: string): Promise<void> {
  await tx.$executeRaw`SELECT FROM client WHERE client_id = ${clientId} FOR KEY SHARE`;
}

/** The live browser sessions of an account but one, oldest first. */
export async function findLiveBrowserSessions(tx: Sql, accountId: string, exceptUid: string): Promise<string[]> {
  const rows = await tx.liveSession.findMany({
    where: { accountId, kind: 'browser', uid: { not: exceptUid } },
    orderBy: [{ beganAt: 'asc' }, { uid: 'asc' }],
    select: { uid: true },
  });
  return rows.map(({ uid }) => uid);
}

/** Locks a session against its end, and tells whether it was live after the wait. */
export async function lockLiveSession(tx: Transaction, uid: string): Promise<boolean> {
  const [row] = await tx.$queryRaw<{ live: boolean }[]>`
    WITH l AS MATERIALIZED (SELECT ended_at, deadline, end_with_parent, parent_uid FROM session WHERE uid = ${uid}
      FOR KEY SHARE)
    SELECT is_live_session(ended_at, deadline, end_with_parent, parent_uid) AS live FROM l`;
  return row?.live ?? false;
}

export interface SessionToInsert {
  uid: string;
  kind: SessionKind;
  parentUid?: string | undefined;
  accountId?: string | undefined;
  authenticatedAt?: Date | undefined;
  limits: SessionLimits;
  policyVersion: number;
  endWithParent?: boolean | undefined;
  acr?: string | undefined;
  amr: readonly string[];
  cookieHash?: Uint8Array<ArrayBuffer> | undefined;
  payload?: Uint8Array<ArrayBuffer> | undefined;
  origin: Origin;
}

/** Locks sessions in `uid` order, so that two callers can't deadlock. */
export async function lockSessions(tx: Transaction, uids: readonly string[]): Promise<void> {
  await tx.$executeRaw`SELECT uid FROM session WHERE uid = ANY(${uids}) ORDER BY uid FOR UPDATE`;
}

/**
 * Inserts a session whose `uid` never existed.
 *
 * @returns undefined if there is one with that `uid`, live or ended: dead stays dead
 */
export async function insertSession(tx: Sql, session: SessionToInsert): Promise<LiveSession | undefined> {
  const { idleSeconds, absoluteSeconds, activity } = session.limits;
  const [row] = await tx.$queryRaw<{ uid: string }[]>`
    INSERT INTO session (uid, kind, parent_uid, account_id, cookie_hash, began_at, authenticated_at, last_active_at,
      last_endpoint, last_client_id, ip, user_agent, idle_seconds, absolute_seconds, limits, activity, end_with_parent,
      policy_version, idle_deadline, absolute_deadline, alarm_at, acr, amr, payload)
    SELECT ${session.uid}, ${session.kind}, ${session.parentUid ?? null}, ${session.accountId ?? null},
      ${session.cookieHash ?? null}, d.now, ${session.authenticatedAt ?? null}::timestamptz, d.now,
      ${session.origin.endpoint}, ${session.origin.clientId ?? null}, ${session.origin.ip ?? null},
      ${session.origin.userAgent ?? null}, ${idleSeconds.value}::int, ${absoluteSeconds.value}::int,
      ${JSON.stringify(session.limits)}::jsonb, ${activity.value}, ${session.endWithParent ?? false},
      ${session.policyVersion}::int, d.idle_deadline, d.absolute_deadline, LEAST(d.idle_deadline, d.absolute_deadline),
      ${session.acr ?? null}, ${[...session.amr]}, ${session.payload ?? null}
    FROM (SELECT n.now, n.now + make_interval(secs => ${idleSeconds.value}::int) AS idle_deadline,
      coalesce(${session.authenticatedAt ?? null}::timestamptz, n.now)
        + make_interval(secs => ${absoluteSeconds.value}::int) AS absolute_deadline
      FROM (SELECT curfew_instant() AS now) n) d
    ON CONFLICT (uid) DO NOTHING
    RETURNING uid`;
  return row && findLiveSession(tx, { uid: row.uid });
}

export interface Authentication {
  uid: string;
  accountId: string;
  authenticatedAt: Date;
  limits: SessionLimits;
  policyVersion: number;
  acr?: string | undefined;
  amr: readonly string[];
  origin: Origin;
}

/**
 * Gives an anonymous session its account, or a signed-in one a new authentication: both limits start again
 * (NIST SP 800-63B-4 §5.2). The caller has locked the session; an ended one, or one of another account, is left alone.
 */
export async function updateAuthentication(tx: Transaction, authn: Authentication): Promise<LiveSession | undefined> {
  const { idleSeconds, absoluteSeconds, activity } = authn.limits;
  const updated = await tx.$executeRaw`
    UPDATE session s SET kind = 'browser', account_id = ${authn.accountId},
      authenticated_at = ${authn.authenticatedAt}::timestamptz, last_active_at = n.now,
      last_endpoint = ${authn.origin.endpoint}, last_client_id = ${authn.origin.clientId ?? null},
      ip = ${authn.origin.ip ?? null}, user_agent = ${authn.origin.userAgent ?? null},
      idle_seconds = ${idleSeconds.value}::int, absolute_seconds = ${absoluteSeconds.value}::int,
      limits = ${JSON.stringify(authn.limits)}::jsonb, activity = ${activity.value},
      policy_version = ${authn.policyVersion}::int,
      idle_deadline = n.now + make_interval(secs => ${idleSeconds.value}::int),
      absolute_deadline = ${authn.authenticatedAt}::timestamptz + make_interval(secs => ${absoluteSeconds.value}::int),
      alarm_at = LEAST(s.alarm_at, n.now + make_interval(secs => ${idleSeconds.value}::int),
        ${authn.authenticatedAt}::timestamptz + make_interval(secs => ${absoluteSeconds.value}::int)),
      acr = ${authn.acr ?? null}, amr = ${[...authn.amr]}
    FROM (SELECT curfew_instant() AS now) n
    WHERE s.uid = ${authn.uid} AND s.kind IN ('anonymous', 'browser')
      AND (s.account_id IS NULL OR s.account_id = ${authn.accountId}) AND is_live(s.ended_at, s.deadline)`;
  if (updated === 0) return undefined;
  await tx.$executeRaw`
    UPDATE participation SET
      absolute_deadline = ${authn.authenticatedAt}::timestamptz + make_interval(secs => absolute_seconds),
      alarm_at = LEAST(alarm_at, ${authn.authenticatedAt}::timestamptz + make_interval(secs => absolute_seconds))
    WHERE session_uid = ${authn.uid} AND absolute_seconds IS NOT NULL AND is_live(ended_at, deadline)`;
  return findLiveSession(tx, { uid: authn.uid });
}

/** Finds a live session, by its `uid` or by the hash of its cookie. */
export async function findLiveSession(
  tx: Sql,
  by: { uid: string } | { cookieHash: Uint8Array<ArrayBuffer> },
): Promise<LiveSession | undefined> {
  const row = await tx.liveSession.findUnique({ where: by });
  return row === null ? undefined : (row as unknown as LiveSession);
}

export interface SessionSave {
  uid: string;
  /** The cookie that the request came with; another one since then means that this save is late. */
  loadedCookieHash: Uint8Array<ArrayBuffer> | null;
  cookieHash: Uint8Array<ArrayBuffer>;
  payload: Uint8Array<ArrayBuffer>;
  /** Whether the request is interactive activity. */
  active: boolean;
  origin: Origin;
}

/** `late`: the session is live, and its cookie another one by now. */
export type SaveOutcome = 'saved' | 'late' | 'dead';

/**
 * Saves what oidc-provider keeps in a session: only while it is live, and only over the cookie that the request loaded.
 * Locks first, then judges: a WHERE clause alone would not be evaluated again after a wait for a lock that only was held.
 */
export async function saveSession(tx: Sql, save: SessionSave): Promise<SaveOutcome> {
  const [row] = await tx.$queryRaw<{ outcome: SaveOutcome }[]>`
    WITH l AS MATERIALIZED (SELECT uid, ended_at, deadline, cookie_hash FROM session WHERE uid = ${save.uid} FOR UPDATE),
      j AS MATERIALIZED (SELECT l.*, curfew_instant() AS now, is_live(l.ended_at, l.deadline) AS live FROM l),
      saved AS (UPDATE session s SET payload = ${save.payload}, cookie_hash = ${save.cookieHash},
          last_active_at = CASE WHEN ${save.active} THEN j.now ELSE s.last_active_at END,
          idle_deadline = CASE WHEN ${save.active} THEN j.now + make_interval(secs => s.idle_seconds) ELSE s.idle_deadline END,
          last_endpoint = CASE WHEN ${save.active} THEN ${save.origin.endpoint} ELSE s.last_endpoint END,
          last_client_id = CASE WHEN ${save.active} THEN ${save.origin.clientId ?? null} ELSE s.last_client_id END,
          ip = CASE WHEN ${save.active} THEN ${save.origin.ip ?? null} ELSE s.ip END,
          user_agent = CASE WHEN ${save.active} THEN ${save.origin.userAgent ?? null} ELSE s.user_agent END
        FROM j WHERE s.uid = j.uid AND j.live AND j.cookie_hash IS NOT DISTINCT FROM ${save.loadedCookieHash} RETURNING s.uid)
    SELECT CASE WHEN saved.uid IS NOT NULL THEN 'saved' WHEN j.live THEN 'late' ELSE 'dead' END AS outcome
    FROM j LEFT JOIN saved ON true`;
  return row?.outcome ?? 'dead';
}

export interface ActivityRecord {
  sessionUid: string;
  sid?: string | undefined;
  /** Whether this kind of activity moves the session's idle deadline, and whether it moves the participation's. */
  movesSession: boolean;
  movesParticipation: boolean;
  origin: Origin;
}

/**
 * Moves idle deadlines. Locks first, then judges, so that an activity that waited past the deadline is refused.
 *
 * @returns the deadlines that hold now; undefined if session or participation was dead, after the wait
 */
export async function recordActivity(tx: Sql, activity: ActivityRecord): Promise<Deadlines | undefined> {
  const sid = activity.sid ?? null;
  const [deadlines] = await tx.$queryRaw<Deadlines[]>`
    WITH l AS MATERIALIZED (SELECT uid, ended_at, deadline, idle_deadline, absolute_deadline, end_with_parent, parent_uid
        FROM session WHERE uid = ${activity.sessionUid} FOR NO KEY UPDATE),
      lp AS MATERIALIZED (SELECT sid, ended_at, deadline, idle_deadline, absolute_deadline FROM participation
        WHERE sid = ${sid} AND session_uid IN (SELECT uid FROM l) FOR NO KEY UPDATE),
      j AS MATERIALIZED (SELECT l.uid, lp.sid, curfew_instant() AS now, l.idle_deadline, l.absolute_deadline,
          CASE WHEN l.end_with_parent THEN l.parent_uid END AS parent_uid,
          lp.idle_deadline AS participation_idle, lp.absolute_deadline AS participation_absolute,
          is_live_session(l.ended_at, l.deadline, l.end_with_parent, l.parent_uid)
            AND (${sid}::text IS NULL OR (lp.sid IS NOT NULL AND is_live(lp.ended_at, lp.deadline))) AS live
        FROM l LEFT JOIN lp ON true),
      moved AS (UPDATE session s SET last_active_at = j.now, idle_deadline = j.now + make_interval(secs => s.idle_seconds),
          last_endpoint = ${activity.origin.endpoint}, last_client_id = ${activity.origin.clientId ?? null},
          ip = coalesce(${activity.origin.ip ?? null}, s.ip), user_agent = coalesce(${activity.origin.userAgent ?? null}, s.user_agent)
        FROM j WHERE s.uid = j.uid AND j.live AND ${activity.movesSession} RETURNING s.idle_deadline),
      moved_part AS (UPDATE participation p SET last_active_at = j.now,
          idle_deadline = j.now + make_interval(secs => p.idle_seconds)
        FROM j WHERE p.sid = j.sid AND j.live AND ${activity.movesParticipation} RETURNING p.idle_deadline)
    SELECT LEAST(coalesce(moved.idle_deadline, j.idle_deadline), t.idle_deadline) AS "sessionIdle",
      LEAST(j.absolute_deadline, t.absolute_deadline) AS "sessionAbsolute",
      coalesce(moved_part.idle_deadline, j.participation_idle) AS "participationIdle",
      j.participation_absolute AS "participationAbsolute"
    FROM j LEFT JOIN moved ON true LEFT JOIN moved_part ON true LEFT JOIN session t ON t.uid = j.parent_uid
    WHERE j.live`;
  return deadlines;
}

/** Finds why and when the session of a cookie ended: for texts and the audit log, never to grant anything. */
export async function findSessionTombstone(
  tx: Sql,
  by: { cookieHash: Uint8Array<ArrayBuffer> } | { uid: string },
): Promise<Tombstone | undefined> {
  const cookieHash = 'cookieHash' in by ? by.cookieHash : null;
  const uid = 'uid' in by ? by.uid : null;
  const [row] = await tx.$queryRaw<Tombstone[]>`
    SELECT uid AS "sessionUid", idle_seconds AS "idleSeconds", absolute_seconds AS "absoluteSeconds",
      coalesce(ended_at, deadline) AS "endedAt",
      coalesce(end_reason, timeout_reason(idle_deadline, absolute_deadline)) AS reason
    FROM session
    WHERE (cookie_hash = ${cookieHash} OR uid = ${uid}) AND kind <> 'anonymous' AND NOT is_live(ended_at, deadline)`;
  return row;
}
