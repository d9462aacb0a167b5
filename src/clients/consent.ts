import type { Database, Transaction } from '../storage/database.ts';
import { addConsent, findConsentRow } from './store.ts';

/** What a person agreed that a client may have. It outlives sessions: they are asked again only for more. */
export interface Consent {
  scopes: string[];
  claims: string[];
}

export async function findConsent(
  db: Database | Transaction,
  accountId: string,
  clientId: string,
): Promise<Consent | undefined> {
  return findConsentRow(db, accountId, clientId);
}

/** Adds scopes and claims to what a person agreed to before. */
export async function recordConsent(
  db: Database | Transaction,
  consent: { accountId: string; clientId: string; scopes: readonly string[]; claims?: readonly string[] },
): Promise<void> {
  await addConsent(db, { ...consent, scopes: [...consent.scopes], claims: [...(consent.claims ?? [])] });
}
