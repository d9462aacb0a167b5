import type { Database, Transaction } from '../storage/database.ts';
import type { AuditEvent } from './audit-event.ts';
import { insertEvents } from './store.ts';

export type { AuditEvent, AuditOutcome } from './audit-event.ts';

/**
 * Appends events to the audit log, in the transaction of what they tell: an event that can't be written stops the act.
 * The database's clock gives the time.
 */
export async function appendEvents(tx: Database | Transaction, events: readonly AuditEvent[]): Promise<void> {
  if (events.length > 0) await insertEvents(tx, events);
}
