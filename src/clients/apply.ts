import { timingSafeEqual } from 'node:crypto';
import { type AuditEvent, appendEvents } from '../audit/append-event.ts';
import { builtInPolicy } from '../policy/policy.ts';
import { type EndResult, endParticipationsIn } from '../sessions/end-sessions.ts';
import type { Database, Transaction } from '../storage/database.ts';
import { transact } from '../storage/transact.ts';
import { type RegisteredClient, usesSecret } from './client.ts';
import type { ClientDeclaration } from './client-metadata-schema.ts';
import type { CurfewYaml } from './curfew-yaml.ts';
import { type Change, differenceOf } from './difference.ts';
import { generateSecret, hashSecret } from './secret.ts';
import {
  findNewestPolicy,
  insertPolicyVersion,
  listClientRows,
  lockApply,
  lockClient,
  lockClients,
  markClientDisabled,
  markClientEnabled,
  upsertClient,
  writeSecretHash,
} from './store.ts';

export interface ApplyOptions {
  /** Typed and never empty, such as `command_line:root`. */
  actor: string;
  /** Secrets that the environment gave, by `client_id`. */
  secrets: ReadonlyMap<string, string>;
  /** Where the declaration comes from, for whoever asks later. */
  source?: string;
  /** Only tells what would change. */
  dryRun?: boolean;
}

export interface ApplyResult {
  changes: Change[];
  /** Clients that were there before and whose secret is another one, or gone, from now on. */
  secretsChanged: string[];
  /** Generated ones, which nobody can read again. */
  generatedSecrets: { clientId: string; secret: string }[];
  /** Of the policy that holds afterwards. */
  policyVersion: number;
  ended: EndResult;
}

/**
 * Makes the registry and the policy what a file declares, all of it or nothing.
 *
 * A client gone from the file is disabled and its participations end; one that is back is enabled again, unless it was
 * disabled by hand. Two that apply at once take turns, so that the later one sees what the earlier one did.
 */
export async function applyDeclaration(
  db: Database,
  declaration: CurfewYaml,
  options: ApplyOptions,
): Promise<ApplyResult> {
  return transact(db, async (tx) => {
    await lockApply(tx);
    await lockClients(tx);
    const registered = new Map((await listClientRows(tx)).map((client) => [client.clientId, client]));
    const newest = await findNewestPolicy(tx);
    const stored = { clients: [...registered.values()], policy: newest?.policy ?? builtInPolicy };
    const changes = differenceOf(stored, declaration);
    const secrets = declaration.clients.map((client) => secretAct(client, registered.get(client.clientId), options));
    const secretsChanged = secrets.filter(({ act }) => act === 'replace' || act === 'remove').map(({ id }) => id);
    const result = { changes, secretsChanged, generatedSecrets: [], policyVersion: newest?.version ?? 0 };
    if (options.dryRun) return { ...result, ended: { found: 0, ended: 0 } };

    await writeClients(tx, declaration.clients, changes);
    const generatedSecrets = await writeSecrets(tx, secrets);
    await appendEvents(tx, [
      ...changes.flatMap((change) => clientEvent(change, options.actor)),
      ...secretsChanged.map((clientId) => secretEvent(clientId, options.actor)),
    ]);
    const ended = await removeClients(tx, changes, options.actor);
    const policyVersion = await writePolicy(tx, declaration, { changes, stored: newest?.version }, options);
    return { ...result, generatedSecrets, policyVersion, ended };
  });
}

async function writeClients(
  tx: Transaction,
  declared: readonly ClientDeclaration[],
  changes: readonly Change[],
): Promise<void> {
  const idsOf = (...kinds: Change['kind'][]) =>
    new Set(
      changes.flatMap((change) => ('clientId' in change && kinds.includes(change.kind) ? [change.clientId] : [])),
    );
  const changed = idsOf('client_added', 'client_changed');
  for (const client of declared.filter(({ clientId }) => changed.has(clientId))) await upsertClient(tx, client);
  for (const clientId of idsOf('client_returned')) await markClientEnabled(tx, clientId);
}

async function removeClients(tx: Transaction, changes: readonly Change[], actor: string): Promise<EndResult> {
  const total = { found: 0, ended: 0 };
  const removed = changes.flatMap((change) => (change.kind === 'client_removed' ? [change.clientId] : [])).sort();
  // All clients before any session: what is granted meanwhile locks its client first, then a session.
  for (const clientId of removed) await lockClient(tx, clientId);
  for (const clientId of removed) {
    await markClientDisabled(tx, clientId, 'file');
    const { found, ended } = await endParticipationsIn(tx, { clientId }, { reason: 'client_removed', actor });
    total.found += found;
    total.ended += ended;
  }
  return total;
}

async function writePolicy(
  tx: Transaction,
  { policy }: CurfewYaml,
  { changes, stored }: { changes: readonly Change[]; stored: number | undefined },
  { actor, source }: ApplyOptions,
): Promise<number> {
  const policyChanges = changes.filter(({ kind }) => kind.startsWith('policy_'));
  // The first file is stored even if it says what is built in: what is built in may be another in a later release.
  if (stored !== undefined && policyChanges.length === 0) return stored;
  const version = (stored ?? 0) + 1;
  await insertPolicyVersion(tx, { version, policy, source, actor });
  const details = { version, changes: policyChanges };
  await appendEvents(tx, [{ type: 'policy.changed', outcome: 'success', actor, details }]);
  return version;
}

interface SecretAct {
  id: string;
  act: 'keep' | 'set' | 'replace' | 'remove' | 'generate';
  given?: string;
}

function secretAct(
  { clientId: id, metadata }: ClientDeclaration,
  registered: RegisteredClient | undefined,
  { secrets }: ApplyOptions,
): SecretAct {
  const { secretHash } = registered ?? {};
  if (!usesSecret(metadata)) return { id, act: secretHash === undefined ? 'keep' : 'remove' };
  const given = secrets.get(id);
  if (given === undefined) return { id, act: secretHash === undefined ? 'generate' : 'keep' };
  if (secretHash === undefined) return { id, act: 'set', given };
  return timingSafeEqual(hashSecret(given), secretHash) ? { id, act: 'keep' } : { id, act: 'replace', given };
}

async function writeSecrets(tx: Transaction, acts: readonly SecretAct[]): Promise<ApplyResult['generatedSecrets']> {
  const generated: ApplyResult['generatedSecrets'] = [];
  for (const { id: clientId, act, given } of acts) {
    if (act === 'keep') continue;
    const secret = act === 'generate' ? generateSecret() : given;
    await writeSecretHash(tx, clientId, secret === undefined ? null : hashSecret(secret));
    if (act === 'generate' && secret !== undefined) generated.push({ clientId, secret });
  }
  return generated;
}

const CLIENT_EVENTS: Partial<Record<Change['kind'], string>> = {
  client_added: 'client.registered',
  client_changed: 'client.updated',
  client_returned: 'client.enabled',
  client_removed: 'client.disabled',
};

function clientEvent(change: Change, actor: string): AuditEvent[] {
  const type = CLIENT_EVENTS[change.kind];
  if (type === undefined || !('clientId' in change)) return [];
  const details = { by: 'file', ...('fields' in change && { fields: change.fields }) };
  return [{ type, outcome: 'success', actor, clientId: change.clientId, details }];
}

function secretEvent(clientId: string, actor: string): AuditEvent {
  return { type: 'client.secret_changed', outcome: 'success', actor, clientId, details: { by: 'file' } };
}
