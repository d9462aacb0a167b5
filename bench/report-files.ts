import { readFile, writeFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import type { Arguments } from './arguments.ts';
import type { OperationCounts, Turn } from './measure.ts';
import { plotRatios } from './report-plot.ts';
import { markdownTable, resultRows, stormRows } from './report-table.ts';
import { type Line, STORM_AIM, type StormLine } from './summary.ts';

export interface Results {
  measuredAt: string;
  machine: Machine;
  settings: Pick<Arguments, 'rounds' | 'seconds' | 'warmUpSeconds'>;
  lines: Line[];
  stormLines: StormLine[];
  turns: Turn[];
  counts: OperationCounts[];
  /** Workload and contender that can't do it. */
  notApplicable: { workload: string; contender: string }[];
}

export interface Machine {
  cpu: string;
  cores: number;
  memoryGib: number;
  kernel: string;
  node: string;
  postgres: string;
  pinned: boolean;
}

const BEGIN = '<!-- last run: written by npm run bench -->';
const END = '<!-- end of last run -->';

export function describeMachine(postgres: string, pinned: boolean): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release().split('.', 2).join('.'),
    node: process.version,
    postgres,
    pinned,
  };
}

/** Writes what is kept of a run; in RESULTS.md only the part that is the run's, the rest is people's. */
export async function writeResults(folder: URL, results: Results): Promise<void> {
  await writeFile(new URL('results.json', folder), `${JSON.stringify(results, rounded, 2)}\n`);
  await writeFile(new URL('results.svg', folder), plotRatios(results.lines));
  const file = new URL('RESULTS.md', folder);
  const known = await readFile(file, 'utf8').catch(() => `# How fast it is\n\n${BEGIN}\n${END}\n`);
  const [before = '', rest = ''] = known.split(BEGIN);
  const [, after = ''] = rest.split(END);
  await writeFile(file, `${before}${BEGIN}\n${describeRun(results)}\n${END}${after}`);
}

/** Digits that no measurement has would only make differences. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' ? Number(value.toFixed(4)) : value;

function describeRun({ measuredAt, machine, settings, lines, stormLines, notApplicable }: Results): string {
  const { cpu, cores, memoryGib, kernel, node, postgres, pinned } = machine;
  const met = lines.filter(({ aim, ratio }) => aim !== undefined && ratio !== undefined && ratio <= aim);
  const missed = lines.filter(({ aim, ratio }) => aim !== undefined && ratio !== undefined && ratio > aim);
  const storm = stormLines.find(({ contender }) => contender === 'curfew');
  const aims = [
    ...met.map(({ title, ratio, aim }) => `- met: ${title}: ${ratio?.toFixed(2)} (≤ ${aim})`),
    ...missed.map(({ title, ratio, aim }) => `- **missed**: ${title}: ${ratio?.toFixed(2)} (≤ ${aim})`),
    ...(storm
      ? [
          `- ${storm.ratio <= STORM_AIM ? 'met' : '**missed**'}: p99 of introspection in a storm of sign-ins, against its quiet value: ${storm.ratio.toFixed(1)} (≤ ${STORM_AIM})`,
        ]
      : []),
    ...notApplicable.map(({ workload, contender }) => `- not there yet: ${workload}: ${contender}`),
  ];
  return [
    `Measured ${measuredAt.slice(0, 10)} on ${cpu}, ${cores} cores, ${memoryGib} GiB, Linux ${kernel}, Node ${node}, Postgres ${postgres}; ` +
      `${settings.rounds} rounds of ${settings.seconds} s after ${settings.warmUpSeconds} s of warm-up. ` +
      (pinned
        ? 'Server and Postgres had one core, the load the other.'
        : '**Nothing was pinned to cores: compare the CPU figures only.**'),
    '',
    'CPU of Curfew against the hand-written adapter, as aimed for:',
    '',
    ...aims,
    '',
    '![CPU per operation against the hand-written adapter](results.svg)',
    '',
    markdownTable(resultRows(lines)),
    ...(stormLines.length > 0 ? ['', markdownTable(stormRows(stormLines))] : []),
  ].join('\n');
}
