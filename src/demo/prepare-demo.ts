import { createHmac, randomBytes } from 'node:crypto';
import { createAccount, findAccountByLogin } from '../accounts/accounts.ts';
import type { PasswordHasher } from '../accounts/password-hasher.ts';
import { applyDeclaration } from '../clients/apply.ts';
import type { Database } from '../storage/database.ts';
import {
  DEMO_CLIENTS,
  DEMO_SOURCE,
  type DemoClientId,
  type DemoPortNumbers,
  demoDeclaration,
} from './demo-declaration.ts';

const ACTOR = 'system:demo';

export const DEMO_ACCOUNTS = [
  { login: 'alice', name: 'Alice Example', email: 'alice@example.test', roles: [] },
  { login: 'admin', name: 'Adam Administrator', email: 'admin@example.test', roles: ['admin'] },
] as const;

export interface PreparedDemo {
  secrets: Record<DemoClientId, string>;
  /** Those made now: their passwords are shown once. */
  newAccounts: { login: string; password: string; roles: readonly string[] }[];
}

/**
 * Declares the demo's clients at the ports they have this time, and makes its accounts if there are none. A second start
 * finds everything as it was: secrets are derived, not made anew.
 */
export async function prepareDemo(
  { db, hasher, key }: { db: Database; hasher: PasswordHasher; key: Uint8Array },
  ports: DemoPortNumbers,
): Promise<PreparedDemo> {
  const secrets = Object.fromEntries(
    DEMO_CLIENTS.map(({ clientId }) => [clientId, createHmac('sha256', key).update(clientId).digest('base64url')]),
  ) as Record<DemoClientId, string>;
  await applyDeclaration(db, demoDeclaration({ ports }), {
    actor: ACTOR,
    secrets: new Map(Object.entries(secrets)),
    source: DEMO_SOURCE,
  });

  const newAccounts: PreparedDemo['newAccounts'] = [];
  for (const account of DEMO_ACCOUNTS) {
    if (await findAccountByLogin(db, account.login)) continue;
    const password = randomBytes(12).toString('base64url');
    await createAccount({ db, hasher }, { ...account, password }, { actor: ACTOR });
    newAccounts.push({ login: account.login, password, roles: account.roles });
  }
  return { secrets, newAccounts };
}
