import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { AppError } from '../errors.ts';

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 3_000;
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Codes that mean: the database can't be asked now, and may be in a moment.
 *
 * SQLSTATE classes 08 (connection), 53 (resources), 57P (operator intervention) and 25006 (a standby after failover),
 * lock and statement timeouts, system calls, and Prisma's own words for them.
 *
 * @see PostgreSQL, appendix A: error codes; Prisma error reference
 */
const UNAVAILABLE_CODES = new RegExp(
  [
    '08\\w{3}|53\\w{3}|57P0[1-5]|57014|55P03|25006|25P03|25P04',
    'ECONNREFUSED|ECONNRESET|ECONNABORTED|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EHOSTDOWN',
    'P1001|P1002|P1008|P1011|P1017|P2024|P2028|P2037',
  ].join('|'),
);
const WHOLE_CODE = new RegExp(`^(?:${UNAVAILABLE_CODES.source})$`);

/** What pg and Prisma's adapter say without a code. */
const UNAVAILABLE_KINDS = new Set(['DatabaseNotReachable', 'ConnectionClosed', 'SocketTimeout', 'TooManyConnections']);
const UNAVAILABLE_MESSAGES =
  /Connection terminated|Client has encountered a connection error|Client was closed|timeout exceeded when trying to connect|timeout expired|the database system is (?:starting up|shutting down|in recovery)|Query read timeout/;

/**
 * Recognises that the database could not be asked, however deep in an error that is said: HTTP answers it with 503.
 */
export function isUnavailable(error: unknown): boolean {
  for (const layer of layersOf(error, 0)) {
    const { code, originalCode, kind, message } = layer;
    if ([code, originalCode].some((value) => typeof value === 'string' && WHOLE_CODE.test(value))) return true;
    if (typeof kind === 'string' && UNAVAILABLE_KINDS.has(kind)) return true;
    if (typeof message === 'string' && UNAVAILABLE_MESSAGES.test(message)) return true;
  }
  return false;
}

export interface WaitOptions {
  timeoutSeconds: number;
  log: (message: string) => void;
  /** Aborted: nobody waits any more. */
  signal?: AbortSignal | undefined;
}

/**
 * Waits until the database answers, and tells that it waits.
 *
 * Only what may pass by itself is waited for: a wrong password or a missing database is reported at once.
 *
 * @throws AppError `database_unreachable`; an `AbortError` when the signal is aborted
 */
export async function waitForDatabase(url: string, { timeoutSeconds, log, signal }: WaitOptions): Promise<void> {
  const { host } = new URL(url);
  const giveUpAt = performance.now() + timeoutSeconds * 1_000;
  for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    const failure = await tryConnect(url);
    if (failure === undefined) return;
    const reason = reasonOf(failure);
    if (!isUnavailable(failure)) {
      throw new AppError(
        'database_unreachable',
        `The database at ${host} refuses the connection (${reason}): check DATABASE_URL.`,
        { cause: failure },
      );
    }
    const left = giveUpAt - performance.now();
    if (left <= 0) {
      throw new AppError(
        'database_unreachable',
        `The database at ${host} did not answer within ${timeoutSeconds} s (${reason}): check DATABASE_URL and that the server runs.`,
        { cause: failure },
      );
    }
    log(`The database at ${host} does not answer (${reason}); trying for another ${Math.ceil(left / 1_000)} s.`);
    await delay(Math.min(pause, left), undefined, { signal });
  }
}

async function tryConnect(url: string): Promise<unknown> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: ANSWER_TIMEOUT_MS,
    query_timeout: ANSWER_TIMEOUT_MS,
  });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT 1');
    return undefined;
  } catch (error) {
    return error ?? new Error('no reason given');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** Never the connection string, which holds the password. */
function reasonOf(error: unknown): string {
  for (const { message, code } of layersOf(error, 0)) {
    if (typeof message === 'string' && message !== '') return message;
    if (typeof code === 'string') return code;
  }
  return 'no reason given';
}

type Layer = Record<'code' | 'originalCode' | 'kind' | 'message', unknown>;

/** Prisma keeps the driver's error in `meta.driverAdapterError`, errors keep theirs in `cause` or `errors`. */
function* layersOf(error: unknown, depth: number): Generator<Layer> {
  if (typeof error !== 'object' || error === null || depth > 5) return;
  const { code, originalCode, kind, message, cause, meta, errors } = error as Partial<Layer> & {
    cause?: unknown;
    meta?: { driverAdapterError?: unknown };
    errors?: unknown;
  };
  yield { code, originalCode, kind, message };
  const inner = [cause, meta?.driverAdapterError, ...(Array.isArray(errors) ? errors : [])];
  for (const next of inner) yield* layersOf(next, depth + 1);
}
