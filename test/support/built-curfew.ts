import { createAccount } from '../../src/accounts/accounts.ts';
import { createPasswordHasher } from '../../src/accounts/password-hasher.ts';
import { applyDeclaration } from '../../src/clients/apply.ts';
import { parseCurfewYaml } from '../../src/clients/curfew-yaml.ts';
import { createDatabase } from '../../src/storage/database.ts';
import { CURFEW_YAML, PASSWORD, SECRET } from './curfew.ts';
import { type TestDatabase, testDatabase } from './database.ts';
import { type CurfewProcess, type StartOptions, startProcess } from './server-process.ts';

/** The least that is allowed: a built server takes no weaker ones. */
const ARGON2 = { memoryKib: 7_168, iterations: 5, parallelism: 1 };

export const SERVER_ENV = {
  CURFEW_SECRET: Buffer.alloc(32, 7).toString('base64url'),
  ARGON2_MEMORY_KIB: String(ARGON2.memoryKib),
  ARGON2_TIME_COST: String(ARGON2.iterations),
};

export interface BuiltCurfew extends TestDatabase {
  /** Starts the built server on this database. */
  start(options?: StartOptions): Promise<CurfewProcess>;
}

/** A database of one's own with the usual clients and the account `alice`, for built servers to be started on. */
export async function builtCurfew(): Promise<BuiltCurfew> {
  const database = await testDatabase();
  await declare(database.url);
  return {
    ...database,
    start: ({ env = {}, ...options } = {}) =>
      startProcess({ ...options, env: { ...SERVER_ENV, DATABASE_URL: database.url, ...env } }),
  };
}

/** The usual clients, with the usual secret, and accounts in a migrated database. */
export async function declare(url: string, logins: readonly string[] = ['alice']): Promise<void> {
  const db = createDatabase(url, { poolSize: 2 });
  const hasher = createPasswordHasher({ parameters: ARGON2, concurrency: 2, maxWaiting: 100 });
  try {
    const declaration = parseCurfewYaml(CURFEW_YAML, { fileName: 'curfew.yaml' });
    const secrets = new Map(declaration.clients.map(({ clientId }) => [clientId, SECRET]));
    await applyDeclaration(db, declaration, { actor: 'system:test', secrets });
    for (const login of logins) {
      const account = { login, password: PASSWORD, roles: [], email: `${login}@example.test` };
      await createAccount({ db, hasher }, account, { actor: 'system:test' });
    }
  } finally {
    await db.close();
  }
}
