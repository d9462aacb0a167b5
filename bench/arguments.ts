import { parseArgs } from 'node:util';
import { CONTENDER_NAMES, type ContenderName } from './contender.ts';
import { WORKLOAD_NAMES } from './workloads.ts';

export interface Arguments {
  rounds: number;
  /** Measured, of each turn; the warm-up before it is not. */
  seconds: number;
  warmUpSeconds: number;
  workloads: readonly string[];
  contenders: readonly ContenderName[];
  /** Prints the statements of an operation. */
  statements: boolean;
  /** Another build of Curfew than `dist/`. */
  dist: string | undefined;
  /** Where the contenders' CPU profiles go. */
  profile: string | undefined;
  /** Whether a whole run writes the files that are kept. */
  write: boolean;
}

export const HELP = `Usage: npm run bench -- [options]

Measures Curfew side by side with plain oidc-provider: with its in-memory adapter, and with a hand-written adapter for
Postgres. Servers and Postgres share one core, the load comes from another one.

Options:
  --rounds N          rounds; medians are taken over them (default 5)
  --seconds N         measured seconds of each turn (default 5)
  --warm-up N         seconds before each turn that do not count (default 2)
  --only WORKLOAD     this workload alone; may be repeated: ${WORKLOAD_NAMES.join(', ')}
  --contenders LIST   comma-separated: ${CONTENDER_NAMES.join(', ')}
  --statements        print the statements of one operation
  --dist FOLDER       measure this build of Curfew instead of dist/
  --profile FOLDER    write CPU profiles of the servers there; the figures are then slower
  --no-write          leave bench/results.json, results.svg and RESULTS.md as they are, as every partial run does
  --help              print this`;

/** @returns undefined when help was asked for @throws Error with a sentence for the one who typed */
export function parseArguments(argv: readonly string[]): Arguments | undefined {
  const { values } = parseArgs({
    args: [...argv],
    allowNegative: true,
    options: {
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '5' },
      'warm-up': { type: 'string', default: '2' },
      only: { type: 'string', multiple: true, default: [] },
      contenders: { type: 'string', default: CONTENDER_NAMES.join(',') },
      statements: { type: 'boolean', default: false },
      dist: { type: 'string' },
      profile: { type: 'string' },
      write: { type: 'boolean', default: true },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  return {
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    warmUpSeconds: positive('warm-up', values['warm-up']),
    workloads: values.only.length === 0 ? WORKLOAD_NAMES : values.only.map((name) => oneOf(WORKLOAD_NAMES, name)),
    contenders: values.contenders.split(',').map((name) => oneOf(CONTENDER_NAMES, name.trim())),
    statements: values.statements,
    dist: values.dist,
    profile: values.profile,
    write: values.write,
  };
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`--${name} takes a number above 0, not "${text}"`);
  return value;
}

function oneOf<T extends string>(known: readonly T[], name: string): T {
  const found = known.find((each) => each === name);
  if (found === undefined) throw new Error(`"${name}" is none of ${known.join(', ')}`);
  return found;
}
