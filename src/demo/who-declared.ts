import { findCurrentPolicy } from '../clients/policy-store.ts';
import { listClients } from '../clients/registry.ts';
import type { Database } from '../storage/database.ts';
import { DEMO_CLIENTS, DEMO_SOURCE } from './demo-declaration.ts';

/**
 * Tells whose clients and policy are in force.
 *
 * The demo declares its own anew at each start, at the ports it has then: over nobody else's. What somebody applied to a
 * demo's data makes it theirs, even if they kept its policy.
 */
export async function whoDeclared(db: Database): Promise<'nobody' | 'demo' | 'somebody'> {
  const { version, source } = await findCurrentPolicy(db);
  const isDemoClient = (id: string) => DEMO_CLIENTS.some(({ clientId }) => clientId === id);
  const others = (await listClients(db)).filter(({ clientId }) => !isDemoClient(clientId));
  // Disabled by the file means: not declared any more.
  if (others.some(({ disabledBy }) => disabledBy !== 'file')) return 'somebody';
  if (version === 0) return 'nobody';
  return source === DEMO_SOURCE ? 'demo' : 'somebody';
}
