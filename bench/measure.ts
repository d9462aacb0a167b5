import type { Contender, ContenderName } from './contender.ts';
import type { HttpClient } from './http-client.ts';
import { closedLoop, requireMostlyRight } from './load.ts';
import type { BenchPostgres, StatementCount } from './postgres.ts';
import { cpuSecondsOf, residentBytes } from './processes.ts';
import { quantile } from './statistics.ts';
import type { Workload } from './workloads.ts';

/** One contender's turn at one workload. */
export interface Turn {
  workload: string;
  contender: ContenderName;
  round: number;
  operations: number;
  errors: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  /** CPU time of an operation, milliseconds; Postgres is all of its processes. */
  serverCpuMs: number;
  postgresCpuMs: number;
  residentBytes: number;
}

/** What one operation costs the database; counted apart from the turns, for counting costs CPU. */
export interface OperationCounts {
  workload: string;
  contender: ContenderName;
  /** BEGIN, COMMIT and the like not included. */
  statements: number;
  /** BEGINs: transactions of more than one statement. */
  transactions: number;
  /** Commits that were made durable. */
  commits: number;
  /** For each text, the calls and milliseconds of one operation. */
  texts: StatementCount[];
}

const COUNTED_OPERATIONS = 20;
const CONTROL = /^(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|DEALLOCATE|DISCARD)\b/i;

/** @param http connections to the contender */
export async function measureTurn(
  contender: Contender,
  http: HttpClient,
  workload: Workload,
  postgres: BenchPostgres,
  { round, seconds, warmUpSeconds }: { round: number; seconds: number; warmUpSeconds: number },
): Promise<Turn> {
  if (contender.database !== undefined) await postgres.settle(contender.database);
  const operation = await workload.prepare(http, workload.workers);
  requireMostlyRight(await closedLoop(operation, workload.workers, warmUpSeconds));
  const before = await cpuSeconds(contender, postgres);
  const load = await closedLoop(operation, workload.workers, seconds);
  const after = await cpuSeconds(contender, postgres);
  requireMostlyRight(load);
  const operations = load.latencies.length;
  return {
    workload: workload.name,
    contender: contender.name,
    round,
    operations,
    errors: load.errors.length,
    perSecond: operations / load.seconds,
    p50Ms: quantile(load.latencies, 0.5),
    p99Ms: quantile(load.latencies, 0.99),
    serverCpuMs: ((after.server - before.server) * 1000) / operations,
    postgresCpuMs: ((after.postgres - before.postgres) * 1000) / operations,
    residentBytes: await residentBytes(contender.pid),
  };
}

/** Counts what an operation costs the database, with nothing else under way. */
export async function countOperation(
  contender: Contender,
  http: HttpClient,
  workload: Workload,
  postgres: BenchPostgres,
): Promise<OperationCounts> {
  const operation = await workload.prepare(http, 1);
  const names = { workload: workload.name, contender: contender.name };
  await operation(0);
  const { database } = contender;
  if (database === undefined) return { ...names, statements: 0, transactions: 0, commits: 0, texts: [] };
  const { statements, writes } = await postgres.count(database, async () => {
    for (let count = 0; count < COUNTED_OPERATIONS; count += 1) await operation(0);
  });
  const each = (sum: number) => sum / COUNTED_OPERATIONS;
  const callsOf = (fitting: (query: string) => boolean) =>
    each(statements.filter(({ query }) => fitting(query)).reduce((sum, { calls }) => sum + calls, 0));
  return {
    ...names,
    statements: callsOf((query) => !CONTROL.test(query)),
    transactions: callsOf((query) => /^BEGIN\b/i.test(query)),
    commits: each(writes),
    texts: statements.map(({ query, calls, milliseconds }) => ({
      query: query.replace(/\s+/g, ' ').trim(),
      calls: each(calls),
      milliseconds: each(milliseconds),
    })),
  };
}

async function cpuSeconds(contender: Contender, postgres: BenchPostgres) {
  const [server, database] = await Promise.all([cpuSecondsOf(contender.pid), postgres.cpuSeconds()]);
  return { server, postgres: database };
}
