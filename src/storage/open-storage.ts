import type { Config } from '../config.ts';
import { AppError } from '../errors.ts';
import { waitForDatabase } from './availability.ts';
import { prepareDataDirectory } from './data-directory.ts';
import { createDatabase, type Database } from './database.ts';
import { startOrJoinEmbedded } from './embedded-postgres.ts';
import { migrate, pendingMigrations } from './migrate.ts';
import { deriveSecrets, loadMasterKeys, type Secrets } from './secrets.ts';

export interface Storage {
  db: Database;
  /** For connections of their own; holds the password. */
  url: string;
  secrets: Secrets;
  /** Where the embedded Postgres and generated secrets are kept; undefined if neither is. */
  dataDir: string | undefined;
  close(): Promise<void>;
}

export interface OpenStorageOptions {
  /** For people: what is waited for, or done otherwise than asked. */
  log: (message: string) => void;
  /** Bring the schema up to date, or refuse to work with an older one. */
  migrations: 'apply' | 'require';
}

/**
 * Opens what the configuration names: the database, embedded or not, its schema, and the keys.
 *
 * @throws AppError with a sentence that says what to do
 */
export async function openStorage(config: Config, { log, migrations }: OpenStorageOptions): Promise<Storage> {
  const isEmbedded = config.databaseUrl === undefined;
  const needsDataDir = isEmbedded || config.masterKeys.length === 0;
  const dataDir = needsDataDir
    ? await prepareDataDirectory(config.dataDir, { isDefault: config.dataDirIsDefault, embedded: isEmbedded, log })
    : undefined;
  const embedded = isEmbedded ? await startOrJoinEmbedded(dataDir ?? config.dataDir, { log }) : undefined;
  try {
    const url = embedded?.url ?? config.databaseUrl ?? '';
    if (embedded === undefined)
      await waitForDatabase(url, { timeoutSeconds: config.databaseConnectTimeoutSeconds, log });
    const masterKeys =
      config.masterKeys.length > 0 ? config.masterKeys : await loadMasterKeys(dataDir ?? config.dataDir);
    if (migrations === 'apply') await migrate(url);
    const db = createDatabase(url, { poolSize: config.databasePoolSize });
    if (migrations === 'require') await requireMigrated(db);
    return {
      db,
      url,
      secrets: deriveSecrets(masterKeys),
      dataDir,
      async close() {
        await db.close();
        await embedded?.stop();
      },
    };
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

async function requireMigrated(db: Database): Promise<void> {
  const pending = await pendingMigrations(db.pool);
  if (pending.length === 0) return;
  await db.close();
  throw new AppError('migration_failed', `The database lacks ${pending.join(', ')}: run "curfew migrate" first.`);
}
