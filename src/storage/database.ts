import { createHash } from 'node:crypto';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { type Prisma, PrismaClient } from './generated/client.ts';

/** What each connection starts with. Instants travel without an offset, so its time zone must be UTC. */
const SESSION_SETTINGS: Readonly<Record<string, string>> = {
  TimeZone: 'UTC',
  // Postgres would plan some of our look-ups anew each time, which costs ten times what they do.
  plan_cache_mode: 'force_generic_plan',
  // An answer later than this helps nobody; ends of ten thousand sessions go in batches that take less.
  statement_timeout: '15s',
  // Waiting longer for a row means that its holder hangs.
  lock_timeout: '10s',
  // A process that hangs in a transaction holds locks that an end must get.
  idle_in_transaction_session_timeout: '15s',
};

/** Prepared statements stay in the server's memory per connection; texts past these go unprepared. */
const MAX_PREPARED_STATEMENTS = 500;

const CONNECT_TIMEOUT_MS = 5_000;
/** Past the server's own timeout: then not the statement is slow, but nobody is there to say so. */
const ANSWER_TIMEOUT_MS = 16_000;
const TRANSACTION_MAX_WAIT_MS = 5_000;
const TRANSACTION_TIMEOUT_MS = 15_000;
/** A query that waits for a lock must not keep a process from ending. */
const CLOSE_TIMEOUT_MS = 1_000;

export interface DatabaseOptions {
  /** Most connections this process opens. */
  poolSize?: number;
  /** Told about connections lost while idle: harmless, the pool opens new ones. */
  onConnectionLost?: (error: Error) => void;
}

/** A transaction, or the database itself where a single statement needs none. */
export type Transaction = Prisma.TransactionClient;

export interface Database extends PrismaClient {
  /** The connections underneath, for libraries that speak to Postgres themselves. */
  readonly pool: pg.Pool;
  close(): Promise<void>;
}

/**
 * Opens the database; connections are made when needed, so this does not tell whether it is there.
 */
export function createDatabase(
  url: string,
  { poolSize = 10, onConnectionLost = () => undefined }: DatabaseOptions = {},
): Database {
  const pool = new pg.Pool(connectionOptions(url, poolSize));
  const connections = trackConnections(pool);
  // Without a listener an idle connection's end would end the process.
  pool.on('error', onConnectionLost);
  const adapter = new PrismaPg(pool, { statementNameGenerator: statementNames(), onConnectionError: onConnectionLost });
  const client = new PrismaClient({
    adapter,
    errorFormat: 'minimal',
    transactionOptions: { maxWait: TRANSACTION_MAX_WAIT_MS, timeout: TRANSACTION_TIMEOUT_MS },
  });
  return Object.assign(client, {
    pool,
    async close() {
      const late = setTimeout(() => connections.forEach(cut), CLOSE_TIMEOUT_MS);
      await client.$disconnect();
      await pool.end();
      clearTimeout(late);
    },
  });
}

function trackConnections(pool: pg.Pool): ReadonlySet<pg.PoolClient> {
  const connections = new Set<pg.PoolClient>();
  pool.on('connect', (connection) => connections.add(connection));
  pool.on('remove', (connection) => connections.delete(connection));
  return connections;
}

/** In the middle of a query a connection's end is immediate: whoever waits for the answer gets an error. */
function cut(connection: pg.PoolClient): void {
  if (connection instanceof pg.Client) void connection.end();
}

/** Connection settings that anything of ours that opens a connection by itself uses too. */
export function connectionOptions(url: string, max: number): pg.PoolConfig {
  const connectionUrl = new URL(url);
  // Given in the address, they would replace ours instead of joining them.
  const given = connectionUrl.searchParams.get('options') ?? '';
  connectionUrl.searchParams.delete('options');
  const ours = Object.entries(SESSION_SETTINGS).map(([name, value]) => `-c ${name}=${value}`);
  return {
    connectionString: connectionUrl.href,
    options: [...ours, given].join(' ').trim(),
    application_name: 'curfew',
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
    keepAlive: true,
    max,
  };
}

function statementNames(): (query: { sql: string }) => string {
  const names = new Map<string, string>();
  return ({ sql }) => {
    const known = names.get(sql);
    if (known !== undefined) return known;
    if (names.size >= MAX_PREPARED_STATEMENTS) return '';
    const name = createHash('sha256').update(sql).digest('base64url');
    names.set(sql, name);
    return name;
  };
}
