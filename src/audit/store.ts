import type { Database, Transaction } from '../storage/database.ts';
import type { AuditEvent } from './audit-event.ts';

/** Longer header values are cut: a hostile client must not fill the log. */
const MAX_TEXT_LENGTH = 1_000;

/** Postgres text holds no NUL, and a lone surrogate is no UTF-8. */
const storableText = (text: string): string => text.slice(0, MAX_TEXT_LENGTH).toWellFormed().replaceAll('\0', '\uFFFD');

function storable(_key: string, value: unknown): unknown {
  if (typeof value === 'string') return storableText(value);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [storableText(name), inner]));
}

/**
 * Inserts the events with their canonical bytes, which are what is hashed: the text of a jsonb object is
 * the same on every server, for its keys are sorted and its numbers normalised.
 */
export async function insertEvents(tx: Database | Transaction, events: readonly AuditEvent[]): Promise<void> {
  const rows = JSON.stringify(events, storable);
  await tx.$executeRaw`
    INSERT INTO audit_event
      (occurred_at, type, outcome, account_id, session_uid, client_id, actor, endpoint, reason, address, user_agent, details, canonical)
    SELECT n.now, e."type", e."outcome", e."accountId", e."sessionUid", e."clientId", e."actor", e."endpoint", e."reason",
      e."address", e."userAgent", coalesce(e."details", '{}'),
      convert_to((to_jsonb(e) || jsonb_build_object('occurredAt', to_char(n.now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')))::text, 'UTF8')
    FROM jsonb_to_recordset(${rows}::jsonb) AS e("type" text, "outcome" text, "accountId" text, "sessionUid" text,
      "clientId" text, "actor" text, "endpoint" text, "reason" text, "address" text, "userAgent" text, "details" jsonb),
      (SELECT curfew_instant() AS now) n`;
}
