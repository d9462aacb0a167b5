import { realpath } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { AppError } from '../errors.ts';
import { errorCode } from './data-directory.ts';
import {
  type Cluster,
  choosePort,
  dropStalePidFile,
  findPostmaster,
  isAlive,
  isPostgres,
  type Launch,
  launch,
  openCluster,
  rememberPort,
  SUPERUSER,
  shutDown,
} from './postgres-cluster.ts';

const DATABASE = 'curfew';
const START_TIMEOUT_SECONDS = 60;

/**
 * Who uses the embedded Postgres holds this advisory lock in its `postgres` database, shared. Whoever leaves and
 * then gets it alone is the last and stops the server. A process that was killed holds no locks.
 */
const USERS_LOCK = 0x63_75_72_67;

/** Postgres could not start because another one, starting or stopping, is in its way: worth another try. */
const IN_THE_WAY = /postmaster\.pid|shared memory|lock file/;
const PORT_TAKEN = /could not create any TCP\/IP sockets|could not bind|address already in use/i;

export interface EmbeddedPostgres {
  /** Connection string of the `curfew` database; holds the password. */
  readonly url: string;
  /** This process started the server; others may have joined it since. */
  readonly owner: boolean;
  /** Leaves; the last to leave stops the server. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Told when the server had to be started again. */
  log?: (message: string) => void;
  /** Server settings on top of ours. */
  settings?: Readonly<Record<string, string>>;
  initdbFlags?: readonly string[];
}

interface Lease {
  client: pg.Client;
  port: number;
  /** Started by this process. */
  started: boolean;
  /** Resolves when the connection is gone. */
  lost: Promise<void>;
}

/**
 * Starts the embedded Postgres of a data folder or joins the one that runs: a server and any number of commands
 * share it, in any order of coming and going, and one that a killed process left behind is taken over.
 *
 * While in use it is started again, on the same port, should it die.
 *
 * @throws AppError `data_directory`, `database_version`, `unsupported_platform`
 */
export async function startOrJoinEmbedded(
  dataDir: string,
  { log = () => undefined, settings = {}, initdbFlags = [] }: EmbeddedPostgresOptions = {},
): Promise<EmbeddedPostgres> {
  const cluster = await openCluster(dataDir, initdbFlags);
  let lease = await takeLease(cluster, settings);
  await createDatabase(lease.client);
  const { port, started } = lease;
  const leaving = new AbortController();

  async function keepRunning(): Promise<void> {
    for (;;) {
      await lease.lost;
      if (leaving.signal.aborted) return;
      log('The embedded Postgres is gone and is started again.');
      try {
        lease = await takeLease(cluster, settings, leaving.signal);
        if (leaving.signal.aborted) await leave(cluster, lease.client);
        else if (lease.port !== port) log(`The embedded Postgres had to move to port ${lease.port}: restart Curfew.`);
      } catch (error) {
        if (leaving.signal.aborted) return;
        log(`The embedded Postgres does not start again: ${error instanceof Error ? error.message : error}`);
        await delay(1_000);
      }
    }
  }
  const keeping = keepRunning();

  return {
    url: connectionString(cluster, port, DATABASE),
    owner: started,
    async stop() {
      leaving.abort();
      await leave(cluster, lease.client);
      await keeping;
    },
  };
}

async function takeLease(
  cluster: Cluster,
  settings: Readonly<Record<string, string>>,
  signal?: AbortSignal,
): Promise<Lease> {
  const giveUpAt = performance.now() + START_TIMEOUT_SECONDS * 1_000;
  const portsTaken = new Set<number>();
  let launched: Launch | undefined;
  while (performance.now() < giveUpAt) {
    // What was launched is joined first, so that it can be stopped.
    if (launched === undefined) signal?.throwIfAborted();
    const running = await findPostmaster(cluster.folder);
    const joined = running && (await join(cluster, running.port));
    if (joined) {
      await rememberPort(cluster.dataDir, running.port);
      return { ...joined, port: running.port, started: launched !== undefined && launched.failure() === undefined };
    }
    const failure = launched?.failure();
    if (launched && failure !== undefined) {
      if (PORT_TAKEN.test(failure)) portsTaken.add(launched.port);
      else if (!IN_THE_WAY.test(failure)) throw startFailure(cluster, failure);
      launched = undefined;
      await delay(100);
    }
    if (launched === undefined && !(running && (await isPostgres(running.pid)))) {
      if (running && isAlive(running.pid)) await dropStalePidFile(cluster.folder, running.pid);
      launched = await launch(cluster, await choosePort(cluster.dataDir, portsTaken), settings);
    }
    await delay(20);
  }
  throw startFailure(cluster, `no answer within ${START_TIMEOUT_SECONDS} s`);
}

/** @returns undefined when nobody answers there yet, or it is not this data folder's server */
async function join(cluster: Cluster, port: number): Promise<Omit<Lease, 'port' | 'started'> | undefined> {
  const client = new pg.Client({
    connectionString: connectionString(cluster, port, 'postgres'),
    application_name: 'curfew lease',
    connectionTimeoutMillis: 5_000,
    keepAlive: true,
  });
  client.on('error', () => undefined);
  const lost = new Promise<void>((resolve) => client.once('end', resolve));
  try {
    await client.connect();
    const { rows } = await client.query<{ folder: string }>(`SELECT current_setting('data_directory') AS folder`);
    if ((await realpath(rows[0]?.folder ?? '')) !== cluster.folder) throw new Error('another data folder');
    await client.query('SELECT pg_advisory_lock_shared($1)', [USERS_LOCK]);
    return { client, lost };
  } catch {
    await client.end().catch(() => undefined);
    return undefined;
  }
}

async function leave(cluster: Cluster, client: pg.Client): Promise<void> {
  try {
    // Let go first: of two that leave together the later one then finds nobody else.
    await client.query('SELECT pg_advisory_unlock_shared($1)', [USERS_LOCK]);
    const { rows } = await client.query<{ alone: boolean }>('SELECT pg_try_advisory_lock($1) AS alone', [USERS_LOCK]);
    if (rows[0]?.alone) await shutDown(cluster);
  } catch {
    // The server is gone already.
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function createDatabase(client: pg.Client): Promise<void> {
  const { rowCount } = await client.query('SELECT FROM pg_database WHERE datname = $1', [DATABASE]);
  if (rowCount) return;
  await client.query(`CREATE DATABASE ${DATABASE}`).catch((error: unknown) => {
    // Created by another process meanwhile.
    if (errorCode(error) !== '42P04' && errorCode(error) !== '23505') throw error;
  });
}

function connectionString({ password }: Cluster, port: number, database: string): string {
  return `postgresql://${SUPERUSER}:${password}@127.0.0.1:${port}/${database}`;
}

function startFailure({ folder, logFile }: Cluster, reason: string): AppError {
  return new AppError(
    'data_directory',
    `The embedded Postgres in ${folder} does not start: ${reason} (more in ${logFile}). ` +
      'If the folder is damaged, restore it from a backup or start with another DATA_DIR.',
  );
}
