import { type Config, loadConfig } from '../config.ts';
import { AppError } from '../errors.ts';
import { waitForDatabase } from '../storage/availability.ts';
import { prepareDataDirectory } from '../storage/data-directory.ts';
import { createDatabase, type Database } from '../storage/database.ts';
import { type EmbeddedPostgres, startOrJoinEmbedded } from '../storage/embedded-postgres.ts';
import { migrate, pendingMigrations } from '../storage/migrate.ts';

/** A person waits for the answer; the server is more patient. */
const CONNECT_TIMEOUT_SECONDS = 5;
const POOL_SIZE = 4;
const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/** What a command works with. */
export interface CommandContext {
  db: Database;
  config: Config;
}

/**
 * Runs a command's work on the database of the settings: a server of one's own, or the embedded one, which is joined
 * if it runs and started if it doesn't. Whatever happens, all is left as it was found.
 *
 * The embedded database is migrated on the way. One that others look after is not: that is for `curfew migrate`.
 *
 * @throws AppError `migration_failed` if migrations are pending
 */
export async function withDatabase<T>(work: (context: CommandContext) => Promise<T>): Promise<T> {
  return withDatabaseUrl(async ({ url, config, embedded }) => {
    if (embedded) await migrate(url);
    const db = createDatabase(url, { poolSize: POOL_SIZE });
    try {
      if (!embedded) await requireMigrated(db);
      return await work({ db, config });
    } finally {
      await db.close();
    }
  });
}

/** The same one step earlier: the database is there, whatever is in it. */
export async function withDatabaseUrl<T>(
  work: (context: { url: string; config: Config; embedded: boolean }) => Promise<T>,
): Promise<T> {
  const config = loadConfig(process.env, { cwd: process.cwd() });
  if (config.databaseUrl !== undefined) {
    await waitForDatabase(config.databaseUrl, { timeoutSeconds: CONNECT_TIMEOUT_SECONDS, log: () => undefined });
    return work({ url: config.databaseUrl, config, embedded: false });
  }
  const postgres = await embeddedPostgres(config);
  const removeHandlers = stopOnSignal(postgres);
  try {
    return await work({ url: postgres.url, config, embedded: true });
  } finally {
    removeHandlers();
    await postgres.stop();
  }
}

async function embeddedPostgres({ dataDir, dataDirIsDefault }: Config): Promise<EmbeddedPostgres> {
  const log = (message: string) => process.stderr.write(`${message}\n`);
  return startOrJoinEmbedded(await prepareDataDirectory(dataDir, { isDefault: dataDirIsDefault, embedded: true, log }));
}

async function requireMigrated(db: Database): Promise<void> {
  const pending = await pendingMigrations(db.pool);
  if (pending.length === 0) return;
  throw new AppError(
    'migration_failed',
    `the database lacks what this version needs (${pending.join(', ')}): run \`curfew migrate\` first`,
  );
}

/** Ctrl-C must not leave a server behind that only this command needed. */
function stopOnSignal(postgres: EmbeddedPostgres): () => void {
  const handlers = Object.entries(SIGNALS).map(([signal, exitCode]) => {
    const handler = () => {
      postgres.stop().finally(() => process.exit(exitCode));
    };
    process.once(signal, handler);
    return () => process.off(signal, handler);
  });
  return () => {
    for (const remove of handlers) remove();
  };
}
