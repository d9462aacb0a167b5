import type { ContenderName } from './contender.ts';
import type { OperationCounts, Turn } from './measure.ts';
import { median, quantile } from './statistics.ts';
import type { StormTurn } from './storm.ts';
import { WORKLOADS } from './workloads.ts';

/** One line of the table: medians over the rounds. */
export interface Line {
  workload: string;
  title: string;
  contender: ContenderName;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  cpuMs: number;
  serverCpuMs: number;
  postgresCpuMs: number;
  /** CPU against the hand-written adapter: the median over the rounds of each round's ratio. */
  ratio: number | undefined;
  /** Least and greatest of the rounds. */
  ratioRange: { least: number; greatest: number } | undefined;
  aim: number | undefined;
  statements: number | undefined;
  commits: number | undefined;
  residentBytes: number;
  errors: number;
}

export interface StormLine {
  contender: ContenderName;
  quietP50Ms: number;
  quietP99Ms: number;
  stormP50Ms: number;
  stormP99Ms: number;
  ratio: number;
  refreshQuietP99Ms: number;
  refreshStormP99Ms: number;
  signInsPerSecond: number;
  errors: number;
}

export const STORM_AIM = 3;

export function summarise(turns: readonly Turn[], counts: readonly OperationCounts[]): Line[] {
  return WORKLOADS.flatMap(({ name, title, aim }) => {
    const ofWorkload = turns.filter(({ workload }) => workload === name);
    const contenders = [...new Set(ofWorkload.map(({ contender }) => contender))];
    return contenders.map((contender): Line => {
      const own = ofWorkload.filter((turn) => turn.contender === contender);
      const count = counts.find((each) => each.workload === name && each.contender === contender);
      const of = (pick: (turn: Turn) => number) => median(own.map(pick));
      const ratios = own.flatMap((turn) => {
        const other = ofWorkload.find((each) => each.contender === 'hand-written' && each.round === turn.round);
        return other === undefined ? [] : [cpuOf(turn) / cpuOf(other)];
      });
      return {
        workload: name,
        title,
        contender,
        perSecond: of(({ perSecond }) => perSecond),
        p50Ms: of(({ p50Ms }) => p50Ms),
        p99Ms: of(({ p99Ms }) => p99Ms),
        cpuMs: of(cpuOf),
        serverCpuMs: of(({ serverCpuMs }) => serverCpuMs),
        postgresCpuMs: of(({ postgresCpuMs }) => postgresCpuMs),
        ratio: ratios.length === 0 ? undefined : median(ratios),
        ratioRange: ratios.length === 0 ? undefined : { least: Math.min(...ratios), greatest: Math.max(...ratios) },
        aim: contender === 'curfew' ? aim : undefined,
        statements: count?.statements,
        commits: count?.commits,
        residentBytes: of(({ residentBytes }) => residentBytes),
        errors: own.reduce((sum, { errors }) => sum + errors, 0),
      };
    });
  });
}

/** Latencies of all rounds together: a 99th percentile needs many. */
export function summariseStorm(turns: readonly StormTurn[]): StormLine[] {
  return [...new Set(turns.map(({ contender }) => contender))].map((contender) => {
    const own = turns.filter((turn) => turn.contender === contender);
    const of = (part: number, pick: (turn: StormTurn) => number[]) => quantile(own.flatMap(pick), part);
    const quietP99Ms = of(0.99, ({ quiet }) => quiet);
    const stormP99Ms = of(0.99, ({ storm }) => storm);
    return {
      contender,
      quietP50Ms: of(0.5, ({ quiet }) => quiet),
      quietP99Ms,
      stormP50Ms: of(0.5, ({ storm }) => storm),
      stormP99Ms,
      ratio: stormP99Ms / quietP99Ms,
      refreshQuietP99Ms: of(0.99, ({ quietRefresh }) => quietRefresh),
      refreshStormP99Ms: of(0.99, ({ stormRefresh }) => stormRefresh),
      signInsPerSecond: median(own.map(({ signInsPerSecond }) => signInsPerSecond)),
      errors: own.reduce((sum, { errors }) => sum + errors, 0),
    };
  });
}

const cpuOf = ({ serverCpuMs, postgresCpuMs }: Turn): number => serverCpuMs + postgresCpuMs;
