import { type Config, loadConfig } from '../config.ts';
import { openServer, openStorage, type Storage } from '../storage/open-storage.ts';

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

const OPTIONS = {
  log: (message: string) => void process.stderr.write(`${message}\n`),
  /** A person waits for the answer; the server is more patient. */
  connectTimeoutSeconds: 5,
  poolSize: 4,
};

/** What a command works with. */
export interface CommandContext extends Pick<Storage, 'db' | 'secrets'> {
  config: Config;
}

/**
 * Runs a command's work on the database of the settings: a server of one's own, or the embedded one, beside whoever uses
 * it already. Whatever happens, all is left as it was found.
 *
 * The embedded database is migrated on the way. One that others look after is not: that is for `curfew migrate`.
 *
 * @throws AppError `migration_failed` if migrations are pending
 */
export async function withDatabase<T>(work: (context: CommandContext) => Promise<T>): Promise<T> {
  const config = loadConfig(process.env, { cwd: process.cwd() });
  const storage = await openStorage(config, { ...OPTIONS, migrations: 'require' });
  return leavingCleanly(storage.close, () => work({ ...storage, config }));
}

/** The same one step earlier: the database is there, whatever is in it. */
export async function withDatabaseUrl<T>(work: (context: { url: string; config: Config }) => Promise<T>): Promise<T> {
  const config = loadConfig(process.env, { cwd: process.cwd() });
  const server = await openServer(config, OPTIONS);
  return leavingCleanly(server.stop, () => work({ url: server.url, config }));
}

/** Ctrl-C must not leave a server behind that only this command needed. */
async function leavingCleanly<T>(leave: () => Promise<void>, work: () => Promise<T>): Promise<T> {
  const handlers = Object.entries(SIGNALS).map(([signal, exitCode]) => {
    const handler = () => {
      leave().finally(() => process.exit(exitCode));
    };
    process.once(signal, handler);
    return { signal, handler };
  });
  try {
    return await work();
  } finally {
    for (const { signal, handler } of handlers) process.off(signal, handler);
    await leave();
  }
}
