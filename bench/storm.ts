import type { Contender, ContenderName } from './contender.ts';
import type { HttpClient } from './http-client.ts';
import { closedLoop, type Load, openLoop, requireMostlyRight } from './load.ts';
import type { BenchPostgres } from './postgres.ts';
import { STORM_PARTS } from './workloads.ts';

/** Introspection and refresh at a steady rate, first alone, then while more people sign in than there is CPU for. */
export interface StormTurn {
  contender: ContenderName;
  round: number;
  /** Milliseconds of each introspection. */
  quiet: number[];
  storm: number[];
  quietRefresh: number[];
  stormRefresh: number[];
  signInsPerSecond: number;
  errors: number;
}

const INTROSPECTIONS_PER_SECOND = 100;
const REFRESHES_PER_SECOND = 10;
const SIGN_IN_WORKERS = 8;

export async function measureStorm(
  contender: Contender,
  http: HttpClient,
  postgres: BenchPostgres,
  { round, seconds, warmUpSeconds }: { round: number; seconds: number; warmUpSeconds: number },
): Promise<StormTurn> {
  if (contender.database !== undefined) await postgres.settle(contender.database);
  const introspection = await STORM_PARTS.introspection.prepare(http, 8);
  // A refresh token is used once: none may have its turn again before its answer is there.
  const refreshWorkers = 24;
  const refresh = await STORM_PARTS.refresh.prepare(http, refreshWorkers);
  const signIn = await STORM_PARTS.signIn.prepare(http, SIGN_IN_WORKERS);

  const steady = (forSeconds: number) =>
    Promise.all([
      openLoop(introspection, { workers: 8, perSecond: INTROSPECTIONS_PER_SECOND, seconds: forSeconds }),
      openLoop(refresh, { workers: refreshWorkers, perSecond: REFRESHES_PER_SECOND, seconds: forSeconds }),
    ]);

  await steady(warmUpSeconds);
  const quiet = await steady(seconds);
  let isOver = false;
  const signIns: Load[] = [];
  // The storm is on before the first answer counts, and until the last one.
  const blowing = (async () => {
    while (!isOver) signIns.push(await closedLoop(signIn, SIGN_IN_WORKERS, 0.5));
  })();
  await steady(Math.min(1, warmUpSeconds));
  const storm = await steady(seconds);
  isOver = true;
  await blowing;

  for (const load of [...quiet, ...storm, ...signIns]) requireMostlyRight(load);
  const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);
  return {
    contender: contender.name,
    round,
    quiet: quiet[0].latencies,
    storm: storm[0].latencies,
    quietRefresh: quiet[1].latencies,
    stormRefresh: storm[1].latencies,
    signInsPerSecond: sum(signIns.map(({ latencies }) => latencies.length)) / sum(signIns.map(({ seconds: s }) => s)),
    errors: sum([...quiet, ...storm, ...signIns].map(({ errors }) => errors.length)),
  };
}
