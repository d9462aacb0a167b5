import { AppError } from '../errors.ts';

const UNIT_SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 } as const;

/** The longest duration that policy may state: 400 days, the longest that a browser keeps a cookie (RFC 6265bis §5.5). */
export const MAX_DURATION_SECONDS = 400 * UNIT_SECONDS.d;

export type DurationReading = { ok: true; seconds: number } | { ok: false; problem: string };

/**
 * Reads a duration such as `90s`, `15m`, `12h`, `30d`, or a number of whole seconds.
 *
 * Anything that isn't a whole number of seconds from 1 to 400 days is a problem: 0 would mean "never" to
 * one reader and "for ever" to another.
 */
export function readDuration(input: unknown): DurationReading {
  if (typeof input !== 'number' && typeof input !== 'string') {
    return { ok: false, problem: 'expected a duration such as 90s, 15m, 12h, 30d, or whole seconds' };
  }
  const shown = String(input);
  const [, sign, digits, fraction, unit] = /^([-+]?)(\d+)(\.\d+)?([smhd]?)$/.exec(shown.trim()) ?? [];
  if (digits === undefined) {
    return { ok: false, problem: `"${shown}" is no duration: write 90s, 15m, 12h, 30d, or whole seconds` };
  }
  if (fraction !== undefined) {
    return { ok: false, problem: `${shown} is a fraction: write whole numbers, such as 90m for one hour and a half` };
  }
  const seconds = Number(digits) * UNIT_SECONDS[(unit || 's') as keyof typeof UNIT_SECONDS];
  if (seconds === 0 || sign === '-') return { ok: false, problem: `${shown} is too short: a duration is at least 1s` };
  if (seconds > MAX_DURATION_SECONDS) return { ok: false, problem: `${shown} is too long: the most is 400d` };
  return { ok: true, seconds };
}

/**
 * Reads a duration that must be one.
 *
 * @returns whole seconds
 * @throws AppError `invalid_configuration`
 */
export function parseDuration(input: unknown): number {
  const reading = readDuration(input);
  if (!reading.ok) throw new AppError('invalid_configuration', reading.problem);
  return reading.seconds;
}

const UNITS = [
  ['day', 'd'],
  ['hour', 'h'],
  ['minute', 'm'],
  ['second', 's'],
] as const;

/** Says a duration in words for people: `1 hour 30 minutes`. Parts of a second are dropped, never rounded up. */
export function formatDuration(seconds: number): string {
  let rest = Math.max(0, Math.floor(seconds));
  const parts: string[] = [];
  for (const [word, unit] of UNITS) {
    const count = Math.floor(rest / UNIT_SECONDS[unit]);
    rest -= count * UNIT_SECONDS[unit];
    if (count > 0) parts.push(`${count} ${word}${count === 1 ? '' : 's'}`);
  }
  return parts.join(' ') || '0 seconds';
}

/** Writes a duration as curfew.yaml would, in the largest unit that divides it: `90m`. */
export function writeDuration(seconds: number): string {
  const [, unit] = UNITS.find(([, letter]) => seconds % UNIT_SECONDS[letter] === 0) ?? ['second', 's'];
  return `${seconds / UNIT_SECONDS[unit]}${unit}`;
}
