import type { Database, Transaction } from '../storage/database.ts';
import type { ArtifactTombstone, ArtifactToStore, Binding, LiveArtifact } from './artifact.ts';

type Sql = Database | Transaction;

/** The one way to read an artifact: a dead one is not there. */
export async function findLiveArtifact(sql: Sql, idHash: Uint8Array<ArrayBuffer>): Promise<LiveArtifact | undefined> {
  // Not through Prisma's model: what it builds around the statement costs twice the statement, on the hottest path there is.
  const [artifact] = await sql.$queryRaw<LiveArtifact[]>`
    SELECT model, session_uid AS "sessionUid", sid, client_id AS "clientId", account_id AS "accountId", payload,
      expires_at AS "expiresAt", consumed_at AS "consumedAt", session_kind AS "sessionKind",
      session_activity AS "sessionActivity", session_idle_deadline AS "sessionIdleDeadline",
      session_absolute_deadline AS "sessionAbsoluteDeadline", participation_limits AS "participationLimits",
      participation_activity AS "participationActivity", participation_idle_deadline AS "participationIdleDeadline",
      participation_absolute_deadline AS "participationAbsoluteDeadline", read_at AS "readAt"
    FROM live_artifact WHERE id_hash = ${idHash}`;
  return artifact;
}

/** The one exception to law 1: reason and times of what is dead. */
export async function findTombstone(sql: Sql, idHash: Uint8Array<ArrayBuffer>): Promise<ArtifactTombstone | undefined> {
  const [row] = await sql.$queryRaw<ArtifactTombstone[]>`
    SELECT a.model, a.session_uid AS "sessionUid", a.sid, a.client_id AS "clientId", a.account_id AS "accountId",
      a.consumed_at AS "consumedAt", e.reason, e.at AS "endedAt", e.idle_seconds AS "idleSeconds",
      e.absolute_seconds AS "absoluteSeconds"
    FROM artifact a
    LEFT JOIN LATERAL (
        SELECT coalesce(ended_at, deadline) AS at, coalesce(end_reason, timeout_reason(idle_deadline, absolute_deadline)) AS reason,
          idle_seconds, absolute_seconds
        FROM session WHERE NOT is_live(ended_at, deadline) AND uid IN (a.session_uid,
          (SELECT c.parent_uid FROM session c WHERE c.uid = a.session_uid AND c.end_with_parent AND c.ended_at IS NULL))
        UNION ALL
        SELECT coalesce(ended_at, deadline), coalesce(end_reason, timeout_reason(idle_deadline, absolute_deadline)),
          idle_seconds, absolute_seconds
        FROM participation WHERE sid = a.sid AND NOT is_live(ended_at, deadline)
        ORDER BY at LIMIT 1) e ON true
    WHERE a.id_hash = ${idHash}`;
  return row;
}

/**
 * Stores an artifact that belongs to no session, or its next state while it is live.
 *
 * @returns false if there was one that is dead: dead stays dead
 */
export async function storeArtifact(sql: Sql, artifact: ArtifactToStore): Promise<boolean> {
  const stored = await sql.$executeRaw`
    INSERT INTO artifact (id_hash, model, client_id, account_id, payload, created_at, expires_at)
    SELECT ${artifact.idHash}, ${artifact.model}, ${artifact.clientId ?? null}, ${artifact.accountId ?? null},
      ${artifact.payload}, n.now, n.now + make_interval(secs => ${artifact.lifetimeSeconds}::int)
    FROM (SELECT curfew_instant() AS now) n
    ON CONFLICT (id_hash) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at
    WHERE artifact.payload IS NOT NULL AND curfew_now() < artifact.expires_at`;
  return stored > 0;
}

/**
 * Stores what a client holds for itself. Its row is locked before it is judged: disabling the client waits and then
 * wipes this too, or came first and nothing is stored.
 *
 * @returns false if the client is disabled or gone
 */
export async function storeServiceArtifact(
  sql: Sql,
  artifact: ArtifactToStore & { clientId: string },
): Promise<boolean> {
  const stored = await sql.$executeRaw`
    WITH c AS MATERIALIZED (SELECT client_id, disabled_at FROM client WHERE client_id = ${artifact.clientId} FOR KEY SHARE),
      j AS MATERIALIZED (SELECT c.*, curfew_instant() AS now FROM c)
    INSERT INTO artifact (id_hash, model, client_id, payload, created_at, expires_at)
    SELECT ${artifact.idHash}, ${artifact.model}, j.client_id, ${artifact.payload}, j.now,
      j.now + make_interval(secs => ${artifact.lifetimeSeconds}::int)
    FROM j WHERE j.disabled_at IS NULL`;
  return stored > 0;
}

/**
 * Stores an artifact that lives and dies with a participation, only while that is live. The locks come first and the
 * judgement after, so that an end either sees the artifact and wipes it, or was before it and nothing is stored.
 *
 * @param issuesTokens whether the client is given tokens with it, and so has to be told of the end
 * @returns false if session, participation or the artifact's earlier state is dead
 */
export async function storeBoundArtifact(
  sql: Sql,
  artifact: ArtifactToStore,
  { sessionUid, sid }: Binding,
  { issuesTokens = false }: { issuesTokens?: boolean } = {},
): Promise<boolean> {
  const stored = await sql.$executeRaw`
    WITH s AS MATERIALIZED (SELECT uid, ended_at, deadline, absolute_deadline, end_with_parent, parent_uid FROM session
        WHERE uid = ${sessionUid} FOR KEY SHARE),
      p AS MATERIALIZED (SELECT sid, ended_at, deadline, absolute_deadline FROM participation
        WHERE sid = ${sid} AND session_uid IN (SELECT uid FROM s) FOR KEY SHARE),
      j AS MATERIALIZED (SELECT s.uid, p.sid, curfew_instant() AS now,
          LEAST(s.absolute_deadline, p.absolute_deadline) AS absolute_deadline,
          is_live_session(s.ended_at, s.deadline, s.end_with_parent, s.parent_uid)
            AND is_live(p.ended_at, p.deadline) AS live
        FROM s CROSS JOIN p),
      told AS (UPDATE participation SET last_token_at = j.now FROM j
        WHERE participation.sid = j.sid AND j.live AND ${issuesTokens})
    INSERT INTO artifact (id_hash, model, session_uid, sid, client_id, account_id, payload, created_at, expires_at)
    SELECT ${artifact.idHash}, ${artifact.model}, j.uid, j.sid, ${artifact.clientId ?? null},
      ${artifact.accountId ?? null}, ${artifact.payload}, j.now,
      LEAST(j.now + make_interval(secs => ${artifact.lifetimeSeconds}::int), j.absolute_deadline)
    FROM j WHERE j.live
    ON CONFLICT (id_hash) DO UPDATE SET payload = excluded.payload, expires_at = excluded.expires_at
    WHERE artifact.payload IS NOT NULL AND artifact.sid = excluded.sid AND artifact.session_uid = excluded.session_uid
      AND curfew_now() < artifact.expires_at`;
  return stored > 0;
}

/**
 * Consumes an artifact, which succeeds once and while it is live.
 *
 * @returns false for every caller but one
 */
export async function consumeArtifact(sql: Sql, idHash: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const consumed = await sql.$executeRaw`
    WITH a AS MATERIALIZED (SELECT id_hash, session_uid, sid FROM artifact WHERE id_hash = ${idHash}),
      s AS MATERIALIZED (SELECT uid, ended_at, deadline, end_with_parent, parent_uid FROM session
        WHERE uid IN (SELECT session_uid FROM a) FOR KEY SHARE),
      p AS MATERIALIZED (SELECT sid, ended_at, deadline FROM participation WHERE sid IN (SELECT sid FROM a)
        AND (SELECT count(*) FROM s) >= 0 FOR KEY SHARE),
      j AS MATERIALIZED (SELECT a.id_hash, curfew_instant() AS now,
          (a.session_uid IS NULL OR (s.uid IS NOT NULL
            AND is_live_session(s.ended_at, s.deadline, s.end_with_parent, s.parent_uid)))
          AND (a.sid IS NULL OR (p.sid IS NOT NULL AND is_live(p.ended_at, p.deadline))) AS live
        FROM a LEFT JOIN s ON true LEFT JOIN p ON true)
    UPDATE artifact SET consumed_at = j.now FROM j
    WHERE artifact.id_hash = j.id_hash AND j.live AND artifact.consumed_at IS NULL AND artifact.payload IS NOT NULL
      AND j.now < artifact.expires_at`;
  return consumed > 0;
}

/** @returns whether there was something to wipe; of concurrent callers one gets true */
export async function wipeArtifact(sql: Sql, idHash: Uint8Array<ArrayBuffer>): Promise<boolean> {
  return (
    (await sql.$executeRaw`UPDATE artifact SET payload = NULL WHERE id_hash = ${idHash} AND payload IS NOT NULL`) > 0
  );
}

/**
 * Wipes what one grant gave out, of one model: revocation (RFC 7009 §2.1). Locks the participation first, as its end
 * does: two that wipe many artifacts in whatever order would deadlock.
 */
export async function wipeArtifactsOfGrant(sql: Sql, sid: string, model: string): Promise<void> {
  await sql.$executeRaw`
    WITH p AS MATERIALIZED (SELECT sid FROM participation WHERE sid = ${sid} FOR UPDATE)
    UPDATE artifact SET payload = NULL FROM p
    WHERE artifact.sid = p.sid AND artifact.model = ${model} AND artifact.payload IS NOT NULL`;
}

export async function wipeArtifactsOfSessions(tx: Transaction, uids: readonly string[]): Promise<void> {
  await tx.$executeRaw`UPDATE artifact SET payload = NULL WHERE session_uid = ANY(${uids}) AND payload IS NOT NULL`;
}

export async function wipeArtifactsOfParticipations(tx: Transaction, sids: readonly string[]): Promise<void> {
  await tx.$executeRaw`UPDATE artifact SET payload = NULL WHERE sid = ANY(${sids}) AND payload IS NOT NULL`;
}

/** Wipes what a client holds for itself: its client_credentials tokens have no session that could end. */
export async function wipeArtifactsOfClient(tx: Transaction, clientId: string): Promise<void> {
  await tx.$executeRaw`
    UPDATE artifact SET payload = NULL WHERE client_id = ${clientId} AND session_uid IS NULL AND payload IS NOT NULL`;
}

/** Wipes what clients hold for themselves, all of them. */
export async function wipeServiceArtifacts(tx: Transaction): Promise<void> {
  await tx.$executeRaw`
    UPDATE artifact SET payload = NULL
    WHERE client_id IS NOT NULL AND session_uid IS NULL AND payload IS NOT NULL`;
}

/** Stores a proof's identifier for as long as it could be replayed. @returns false if it was there: a replay */
export async function storeOnce(sql: Sql, artifact: ArtifactToStore): Promise<boolean> {
  const stored = await sql.$executeRaw`
    INSERT INTO artifact (id_hash, model, payload, created_at, expires_at)
    SELECT ${artifact.idHash}, ${artifact.model}, ${artifact.payload}, n.now,
      n.now + make_interval(secs => ${artifact.lifetimeSeconds}::int)
    FROM (SELECT curfew_instant() AS now) n
    ON CONFLICT (id_hash) DO NOTHING`;
  return stored > 0;
}
