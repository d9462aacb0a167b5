import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { prepareDataDirectory } from '../src/storage/data-directory.ts';
import { startOrJoinEmbedded } from '../src/storage/embedded-postgres.ts';
import { childrenOf, cpuSecondsOfTree, pin } from './processes.ts';

/**
 * Durable as in production. What Postgres does at times of its own is kept out of the turns, where it would be charged
 * to whoever is measured just then: tables are vacuumed between turns, and checkpoints are far apart.
 */
const SETTINGS = {
  fsync: 'on',
  synchronous_commit: 'on',
  full_page_writes: 'on',
  autovacuum: 'off',
  checkpoint_timeout: '1h',
  max_wal_size: '16GB',
  shared_buffers: '256MB',
  shared_preload_libraries: 'pg_stat_statements',
};

/** Curfew compares clocks every few seconds, whatever is asked of it. */
const BACKGROUND = '%extract($1 FROM curfew_now())%';

export interface StatementCount {
  query: string;
  calls: number;
  milliseconds: number;
}

export interface Counts {
  statements: StatementCount[];
  /** Transactions that wrote, and so were made durable. */
  writes: number;
}

export interface BenchPostgres {
  version: string;
  createDatabase(name: string): Promise<string>;
  query(database: string, sql: string, values?: unknown[]): Promise<void>;
  /** What `work` costs in statements and commits; nothing else may use the cluster meanwhile. */
  count(database: string, work: () => Promise<void>): Promise<Counts>;
  /** Leaves nothing of an earlier turn to be done in a later one. */
  settle(database: string): Promise<void>;
  cpuSeconds(): Promise<number>;
  stop(): Promise<void>;
}

/** Starts a cluster of this run's own. */
export async function startPostgres(core: string | undefined): Promise<BenchPostgres> {
  const folder = await mkdtemp(join(tmpdir(), 'curfew-bench-'));
  const watchdog = watch(folder);
  await prepareDataDirectory(folder, { isDefault: false, embedded: true, log: () => undefined });
  const server = await startOrJoinEmbedded(folder, { settings: SETTINGS });
  const postmaster = Number((await readFile(join(folder, 'postgres', 'postmaster.pid'), 'utf8')).split('\n')[0]);
  if (core !== undefined) for (const pid of [postmaster, ...(await childrenOf(postmaster))]) await pin(pid, core);

  const urlOf = (database: string) => Object.assign(new URL(server.url), { pathname: `/${database}` }).href;
  const connections = new Map<string, pg.Client>();
  async function connection(database: string): Promise<pg.Client> {
    const known = connections.get(database);
    if (known) return known;
    const client = new pg.Client({ connectionString: urlOf(database) });
    await client.connect();
    connections.set(database, client);
    return client;
  }
  const control = await connection('postgres');
  await control.query('CREATE EXTENSION pg_stat_statements');
  await trackStatements('none');

  /** The next transaction number, read without taking one. */
  async function nextTransaction(): Promise<number> {
    const { rows } = await control.query('SELECT pg_snapshot_xmax(pg_current_snapshot())::text AS xid');
    return Number(rows[0]?.xid);
  }

  async function trackStatements(which: 'top' | 'none'): Promise<void> {
    await control.query(`ALTER SYSTEM SET pg_stat_statements.track = '${which}'`);
    await control.query('SELECT pg_reload_conf()');
    // Backends read it before their next statement, once the signal has reached them.
    await new Promise((resolve) => setTimeout(resolve, 200));
  }

  return {
    version: String((await control.query('SHOW server_version')).rows[0]?.server_version),

    async createDatabase(name) {
      await control.query(`CREATE DATABASE ${name}`);
      return urlOf(name);
    },

    async query(database, sql, values) {
      await (await connection(database)).query(sql, values);
    },

    async count(database, work) {
      await trackStatements('top');
      const before = await nextTransaction();
      await control.query('SELECT pg_stat_statements_reset()');
      await work();
      const { rows } = await control.query<StatementCount>(
        `SELECT query, calls::int, total_exec_time AS milliseconds FROM pg_stat_statements s
         JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = $1 AND query NOT LIKE $2 ORDER BY calls DESC, query`,
        [database, BACKGROUND],
      );
      const writes = (await nextTransaction()) - before;
      await trackStatements('none');
      return { statements: rows, writes };
    },

    async settle(database) {
      await (await connection(database)).query('VACUUM (ANALYZE)');
    },

    cpuSeconds: () => cpuSecondsOfTree(postmaster),

    async stop() {
      for (const client of connections.values()) await client.end();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
      watchdog.stdin.end();
    },
  };
}

/** A run that is killed leaves nothing: this waits for the end of its standard input, which is the end of the run. */
function watch(folder: string) {
  const script =
    'cat; read pid < "$0/postgres/postmaster.pid" && kill -QUIT "$pid"; sleep 1; case "$0" in */curfew-bench-*) rm -rf "$0";; esac';
  const watchdog = spawn('/bin/sh', ['-c', script, folder], { stdio: ['pipe', 'ignore', 'ignore'], detached: true });
  watchdog.unref();
  return watchdog;
}
