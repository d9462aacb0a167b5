import { appendEvents } from '../audit/append-event.ts';
import { AppError } from '../errors.ts';
import { type EndResult, endParticipationsIn } from '../sessions/end-sessions.ts';
import type { Database, Transaction } from '../storage/database.ts';
import { transact } from '../storage/transact.ts';
import { type RegisteredClient, usesSecret } from './client.ts';
import { generateSecret, hashSecret } from './secret.ts';
import {
  findClientRow,
  hasAllowedOrigin,
  listClientRows,
  lockClient,
  markClientDisabled,
  markClientEnabled,
  writeSecretHash,
} from './store.ts';

/** Who does something to a client, and what they say about it. */
export interface ClientAct {
  /** Typed and never empty, such as `command_line:root`. */
  actor: string;
  note?: string;
}

/** Finds a client, disabled ones too. Read from the database every time: a copy could outlive a disable. */
export async function findClient(db: Database | Transaction, clientId: string): Promise<RegisteredClient | undefined> {
  // Postgres has no NUL in its texts, and fails rather than find nothing.
  return clientId.includes('\0') ? undefined : findClientRow(db, clientId);
}

/** Tells whether a client registered a web origin for calls from its pages. */
export async function isRegisteredOrigin(db: Database | Transaction, origin: string): Promise<boolean> {
  return hasAllowedOrigin(db, origin);
}

/** All clients, by `client_id`. */
export async function listClients(db: Database | Transaction): Promise<RegisteredClient[]> {
  return listClientRows(db);
}

/**
 * Gives a client a new secret; the old one is worthless at once.
 *
 * @returns the secret, which nobody can read again
 * @throws AppError `not_found`, `usage` for a client that has no secret
 */
export async function rotateSecret(db: Database, clientId: string, { actor }: ClientAct): Promise<string> {
  return transact(db, async (tx) => {
    const { metadata } = await requireLocked(tx, clientId);
    if (!usesSecret(metadata)) {
      throw new AppError('usage', `client ${clientId} does not authenticate with a secret`, { status: 409 });
    }
    const secret = generateSecret();
    await writeSecretHash(tx, clientId, hashSecret(secret));
    await appendEvents(tx, [{ type: 'client.secret_rotated', outcome: 'success', actor, clientId }]);
    return secret;
  });
}

/**
 * Disables a client: nothing is granted to it any more, its participations end and its own tokens are wiped. It stays
 * disabled until it is enabled by hand, whatever the file says. Disabled already is no error.
 *
 * @throws AppError `not_found`
 */
export async function disableClient(db: Database, clientId: string, act: ClientAct): Promise<EndResult> {
  return transact(db, async (tx) => {
    const { disabledBy } = await requireLocked(tx, clientId);
    await markClientDisabled(tx, clientId, 'hand');
    if (disabledBy !== 'hand') {
      await appendEvents(tx, [{ type: 'client.disabled', outcome: 'success', actor: act.actor, clientId }]);
    }
    return endParticipationsIn(tx, { clientId }, { reason: 'client_removed', ...act });
  });
}

/** Lets a client take part again; what ended stays ended. @throws AppError `not_found` */
export async function enableClient(db: Database, clientId: string, { actor }: ClientAct): Promise<void> {
  await transact(db, async (tx) => {
    const { disabledAt } = await requireLocked(tx, clientId);
    if (disabledAt === undefined) return;
    await markClientEnabled(tx, clientId);
    await appendEvents(tx, [{ type: 'client.enabled', outcome: 'success', actor, clientId }]);
  });
}

/** Ends all participations of a client and wipes its own tokens; the client may begin anew. @throws AppError `not_found` */
export async function logoutClient(db: Database, clientId: string, act: ClientAct): Promise<EndResult> {
  return transact(db, async (tx) => {
    await requireLocked(tx, clientId);
    return endParticipationsIn(tx, { clientId }, { reason: 'admin_forced', ...act });
  });
}

async function requireLocked(tx: Transaction, clientId: string): Promise<RegisteredClient> {
  const client = await lockClient(tx, clientId);
  if (client === undefined) throw new AppError('not_found', `no client ${clientId}`, { status: 404 });
  return client;
}
