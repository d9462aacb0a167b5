import { CONTENDER_TITLES } from './contender.ts';
import type { Line, StormLine } from './summary.ts';
import { STORM_AIM } from './summary.ts';

type Row = readonly string[];

const NOT_THERE = 'n/a';
const fixed = (value: number | undefined, digits: number): string =>
  value === undefined || Number.isNaN(value) ? NOT_THERE : value.toFixed(digits);

const HEADER: Row = [
  'workload',
  'contender',
  'ops/s',
  'p50 ms',
  'p99 ms',
  'CPU ms/op',
  'server + Postgres',
  'of hand-written',
  'aim',
  'statements',
  'commits',
  'RSS MB',
];

export function resultRows(lines: readonly Line[]): Row[] {
  return [
    HEADER,
    ...lines.map((line) => [
      line.title,
      CONTENDER_TITLES[line.contender],
      fixed(line.perSecond, line.perSecond < 100 ? 1 : 0),
      fixed(line.p50Ms, 1),
      fixed(line.p99Ms, 1),
      fixed(line.cpuMs, 2),
      `${fixed(line.serverCpuMs, 2)} + ${fixed(line.postgresCpuMs, 2)}`,
      line.ratio === undefined
        ? NOT_THERE
        : `${fixed(line.ratio, 2)} (${fixed(line.ratioRange?.least, 2)}-${fixed(line.ratioRange?.greatest, 2)})`,
      verdict(line.ratio, line.aim),
      fixed(line.statements, 1),
      fixed(line.commits, 1),
      fixed(line.residentBytes / 2 ** 20, 0),
    ]),
  ];
}

export function stormRows(lines: readonly StormLine[]): Row[] {
  return [
    [
      'contender',
      'introspection p50 ms, quiet',
      'p99 ms, quiet',
      'p50 ms, storm',
      'p99 ms, storm',
      'p99 storm/quiet',
      'aim',
      'refresh p99 ms, quiet',
      'refresh p99 ms, storm',
      'sign-ins/s',
    ],
    ...lines.map((line) => [
      CONTENDER_TITLES[line.contender],
      fixed(line.quietP50Ms, 1),
      fixed(line.quietP99Ms, 1),
      fixed(line.stormP50Ms, 1),
      fixed(line.stormP99Ms, 1),
      fixed(line.ratio, 1),
      line.contender === 'curfew' ? verdict(line.ratio, STORM_AIM) : '',
      fixed(line.refreshQuietP99Ms, 1),
      fixed(line.refreshStormP99Ms, 1),
      fixed(line.signInsPerSecond, 1),
    ]),
  ];
}

function verdict(ratio: number | undefined, aim: number | undefined): string {
  if (aim === undefined) return '';
  if (ratio === undefined) return `≤ ${aim}`;
  return `≤ ${aim}: ${ratio <= aim ? 'met' : 'MISSED'}`;
}

/** For a terminal. */
export function textTable([header = [], ...rows]: readonly Row[]): string {
  const widths = header.map((_, at) => Math.max(...[header, ...rows].map((row) => row[at]?.length ?? 0)));
  const line = (row: Row) => row.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ');
  return [line(header), widths.map((width) => '-'.repeat(width)).join('  '), ...rows.map(line)].join('\n');
}

export function markdownTable([header = [], ...rows]: readonly Row[]): string {
  const line = (row: Row) => `| ${row.join(' | ')} |`;
  return [line(header), line(header.map(() => '---')), ...rows.map(line)].join('\n');
}
