import type { Config } from '../config.ts';
import { AppError } from '../errors.ts';
import { waitForDatabase } from './availability.ts';
import { prepareDataDirectory } from './data-directory.ts';
import { createDatabase, type Database } from './database.ts';
import { startOrJoinEmbedded } from './embedded-postgres.ts';
import { migrate, pendingMigrations } from './migrate.ts';
import { deriveSecrets, loadMasterKeys, type Secrets } from './secrets.ts';

export interface Server {
  /** Connection string; holds the password. */
  url: string;
  /** The one that comes along, which nobody else looks after. */
  embedded: boolean;
  /** Leaves an embedded server; the last to leave stops it. */
  stop(): Promise<void>;
}

export interface Storage {
  db: Database;
  /** For connections of their own; holds the password. */
  url: string;
  /** Derived from the master key, which is read, or generated, when this is first asked for. */
  secrets(): Promise<Secrets>;
  close(): Promise<void>;
}

export interface OpenOptions {
  /** For people: what is waited for, or done otherwise than asked. */
  log: (message: string) => void;
  /** How long a server of one's own is waited for; the embedded one is started here. */
  connectTimeoutSeconds: number;
  /** Aborted: nobody waits for it any longer. */
  signal?: AbortSignal;
}

export interface OpenStorageOptions extends OpenOptions {
  /** What to do about a schema that is behind, where others look after the database; the embedded one is migrated. */
  migrations: 'apply' | 'require';
  poolSize: number;
}

/**
 * Opens the database, its schema up to date, and what keys are derived from.
 *
 * @throws AppError with a sentence that says what to do; `migration_failed` if migrations are required and pending
 */
export async function openStorage(config: Config, options: OpenStorageOptions): Promise<Storage> {
  const server = await openServer(config, options);
  try {
    if (server.embedded || options.migrations === 'apply') await migrate(server.url);
    const db = createDatabase(server.url, { poolSize: options.poolSize });
    if (!server.embedded && options.migrations === 'require') await requireMigrated(db);
    let secrets: Promise<Secrets> | undefined;
    return {
      db,
      url: server.url,
      secrets: () => (secrets ??= openSecrets(config, options.log)),
      async close() {
        await db.close();
        await server.stop();
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/**
 * Makes sure that a server answers, whatever is in it: the one of the settings, or the embedded one, which is joined if
 * it runs and started if it doesn't.
 *
 * @throws AppError `database_unreachable`, `data_directory`, `database_version`, `unsupported_platform`
 */
export async function openServer(config: Config, { log, connectTimeoutSeconds, signal }: OpenOptions): Promise<Server> {
  const url = config.databaseUrl;
  if (url !== undefined) {
    await waitForDatabase(url, { timeoutSeconds: connectTimeoutSeconds, log, signal });
    return { url, embedded: false, stop: async () => undefined };
  }
  const postgres = await startOrJoinEmbedded(await dataDirOf(config, log), { log });
  return { url: postgres.url, embedded: true, stop: () => postgres.stop() };
}

async function openSecrets(config: Config, log: OpenOptions['log']): Promise<Secrets> {
  if (config.masterKeys.length > 0) return deriveSecrets(config.masterKeys);
  return deriveSecrets(await loadMasterKeys(await dataDirOf(config, log)));
}

async function dataDirOf({ dataDir, dataDirIsDefault, databaseUrl }: Config, log: OpenOptions['log']): Promise<string> {
  return prepareDataDirectory(dataDir, { isDefault: dataDirIsDefault, embedded: databaseUrl === undefined, log });
}

async function requireMigrated(db: Database): Promise<void> {
  const pending = await pendingMigrations(db.pool);
  if (pending.length === 0) return;
  await db.close();
  throw new AppError(
    'migration_failed',
    `the database lacks what this version needs (${pending.join(', ')}): run \`curfew migrate\` first`,
  );
}
