import { randomBytes, randomUUID } from 'node:crypto';
import { createAccount } from '../../src/accounts/accounts.ts';
import { createPasswordHasher } from '../../src/accounts/password-hasher.ts';
import type { Binding } from '../../src/artifacts/artifact.ts';
import { storeBoundArtifact } from '../../src/artifacts/store.ts';
import type { Limits } from '../../src/policy/limits.ts';
import { builtInPolicy, type Rule } from '../../src/policy/policy.ts';
import { beginChildSession } from '../../src/sessions/begin-child-session.ts';
import { type BeginResult, beginSession, type PolicyInForce, type SignIn } from '../../src/sessions/begin-session.ts';
import { type Joining, joinSession } from '../../src/sessions/join-session.ts';
import type { LiveParticipation, LiveSession } from '../../src/sessions/session.ts';
import { transact } from '../../src/storage/transact.ts';
import type { TestDatabase } from './database.ts';

export const hasher = createPasswordHasher({
  parameters: { memoryKib: 64, iterations: 2, parallelism: 1 },
  concurrency: 2,
  maxWaiting: 100,
});

export const byAdministrator = { reason: 'admin_forced', actor: 'administrator:test' } as const;
export const origin = { endpoint: 'authorization', clientId: 'app', ip: '192.0.2.1', userAgent: 'a browser' };

/** A policy of the built-in limits, some of them replaced, with these rules alone. */
export function policyOf(limits: Partial<Limits> = {}, rules: Rule[] = []): PolicyInForce {
  return { version: 1, policy: { default: { ...builtInPolicy.default, ...limits }, rules } };
}

export interface Person {
  id: string;
  credentialVersion: number;
}

export async function givenAccount({ db }: TestDatabase, roles: string[] = []): Promise<Person> {
  const login = `person-${randomUUID()}`;
  return createAccount({ db, hasher }, { login, roles, password: 'a fine password' }, { actor: 'system:test' });
}

/** A client that wants to be told of ends. */
export async function givenClient({ query }: TestDatabase, clientId: string): Promise<void> {
  await query(
    `INSERT INTO client (client_id, metadata, backchannel_logout_uri, created_at, updated_at)
     SELECT $1, '{}', 'https://rp.example/backchannel', t, t FROM (SELECT curfew_instant() AS t) at`,
    [clientId],
  );
}

export async function signInOf({ query }: TestDatabase, person: Person): Promise<SignIn> {
  const [clock] = await query<{ now: Date }>('SELECT curfew_instant() AS now');
  return {
    uid: randomBytes(32).toString('base64url'),
    accountId: person.id,
    credentialVersion: person.credentialVersion,
    authenticatedAt: clock?.now ?? new Date(Number.NaN),
    acr: 'aal1',
    amr: ['pwd'],
    origin,
  };
}

export async function signIn(database: TestDatabase, person: Person, policy = policyOf()): Promise<BeginResult> {
  return beginSession(database.db, policy, await signInOf(database, person));
}

export async function givenSession(
  database: TestDatabase,
  { person, policy }: { person?: Person; policy?: PolicyInForce } = {},
): Promise<LiveSession & { accountId: string }> {
  const { id: accountId, ...rest } = person ?? (await givenAccount(database));
  const result = await signIn(database, { id: accountId, ...rest }, policy);
  if (!result.begun) throw new Error(result.refusal);
  return { ...result.session, accountId };
}

export function joining(session: Joining['session'], clientId = 'app', data: string[] = []): Joining {
  return { session, account: { roles: [], groups: [] }, client: { clientId, data, labels: [] }, origin };
}

/** A client's part in a session. */
export async function givenPart(
  { db }: TestDatabase,
  session: Joining['session'],
  { clientId = 'app', policy = policyOf(), data = [] as string[] } = {},
): Promise<LiveParticipation> {
  const part = await joinSession(db, policy, joining(session, clientId, data));
  if (part === undefined) throw new Error('the client may not join');
  return part;
}

/** An offline session of a session. */
export async function givenChild(
  { db }: TestDatabase,
  session: Joining['session'],
  { policy = policyOf(), clientId = 'app' } = {},
): Promise<Binding> {
  const child = await transact(db, (tx) => beginChildSession(tx, policy, joining(session, clientId), 'offline'));
  if (child === undefined) throw new Error('no offline session');
  return child;
}

export const offlineWithParent = policyOf({
  offline: { idleSeconds: 14 * 86_400, absoluteSeconds: 30 * 86_400, endWith: 'session' },
});

export interface GivenToken {
  idHash: Uint8Array<ArrayBuffer>;
  stored: boolean;
}

export async function storeToken(
  { db }: TestDatabase,
  binding: Binding,
  { model = 'AccessToken', lifetimeSeconds = 300, idHash = newHash() } = {},
): Promise<GivenToken> {
  const artifact = { idHash, model, clientId: 'app', payload: Uint8Array.of(1), lifetimeSeconds };
  return { idHash, stored: await storeBoundArtifact(db, artifact, binding, { issuesTokens: true }) };
}

export const newHash = (): Uint8Array<ArrayBuffer> => Uint8Array.from(randomBytes(32));

export interface EndedRow {
  endedAt: Date | null;
  reason: string | null;
  note: string | null;
  committedAt: Date | null;
}

export async function endOf({ query }: TestDatabase, uid: string): Promise<EndedRow | undefined> {
  const [row] = await query<EndedRow>(
    `SELECT ended_at AS "endedAt", end_reason AS reason, end_note AS note, end_committed_at AS "committedAt"
     FROM session WHERE uid = $1`,
    [uid],
  );
  return row;
}

export async function countOf({ query }: TestDatabase, from: string, values: unknown[] = []): Promise<number> {
  const [row] = await query<{ n: number }>(`SELECT count(*)::int AS n FROM ${from}`, values);
  return row?.n ?? Number.NaN;
}
