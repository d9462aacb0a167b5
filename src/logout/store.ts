import type { Transaction } from '../storage/database.ts';

/** A token answer so shortly before the end may be stored by the client only after it was told: it is told again. */
const RECENT_TOKEN_SECONDS = 10;
const SECOND_DELIVERY_AFTER_SECONDS = 15;

/**
 * Owes a back-channel logout to every participant that was given tokens and registered where to be told, in the
 * transaction of the end.
 *
 * @param sids of participations that ended in this transaction
 * @see OpenID Connect Back-Channel Logout 1.0 §2.3
 */
export async function oweDeliveries(tx: Transaction, sids: readonly string[]): Promise<void> {
  if (sids.length === 0) return;
  await tx.$executeRaw`
    INSERT INTO delivery (session_uid, sid, client_id, account_id, reason, owed_at, next_attempt_at)
    SELECT p.session_uid, p.sid, p.client_id, s.account_id, p.end_reason, p.end_committed_at,
      p.end_committed_at + make_interval(secs => again.after_seconds)
    FROM participation p
    JOIN session s ON s.uid = p.session_uid
    JOIN client c ON c.client_id = p.client_id AND c.backchannel_logout_uri IS NOT NULL
    JOIN LATERAL (VALUES (0), (${SECOND_DELIVERY_AFTER_SECONDS}::int)) again (after_seconds)
      ON again.after_seconds = 0
        OR p.end_committed_at < p.last_token_at + make_interval(secs => ${RECENT_TOKEN_SECONDS}::int)
    WHERE p.sid = ANY(${[...sids]}) AND p.last_token_at IS NOT NULL`;
}
