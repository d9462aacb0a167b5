import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  formatDuration,
  MAX_DURATION_SECONDS,
  parseDuration,
  readDuration,
  writeDuration,
} from '../../src/policy/durations.ts';

describe('reading a duration', () => {
  it.each([
    ['90s', 90],
    ['15m', 900],
    ['12h', 43_200],
    ['30d', 2_592_000],
    ['400d', MAX_DURATION_SECONDS],
    [' 5m ', 300],
    ['60', 60],
    [60, 60],
    [1, 1],
    [MAX_DURATION_SECONDS, MAX_DURATION_SECONDS],
  ])('%p is %d seconds', (input, seconds) => {
    expect(parseDuration(input)).toBe(seconds);
  });

  it.each([
    [0, '0 is too short: a duration is at least 1s'],
    ['0h', '0h is too short: a duration is at least 1s'],
    [-5, '-5 is too short: a duration is at least 1s'],
    ['-5m', '-5m is too short: a duration is at least 1s'],
    [1.5, '1.5 is a fraction: write whole numbers, such as 90m for one hour and a half'],
    ['1.5h', '1.5h is a fraction: write whole numbers, such as 90m for one hour and a half'],
    ['401d', '401d is too long: the most is 400d'],
    [MAX_DURATION_SECONDS + 1, '34560001 is too long: the most is 400d'],
    ['99999999999999999999999999d', '99999999999999999999999999d is too long: the most is 400d'],
    ['soon', '"soon" is no duration: write 90s, 15m, 12h, 30d, or whole seconds'],
    ['1h30m', '"1h30m" is no duration: write 90s, 15m, 12h, 30d, or whole seconds'],
    ['15M', '"15M" is no duration: write 90s, 15m, 12h, 30d, or whole seconds'],
    ['', '"" is no duration: write 90s, 15m, 12h, 30d, or whole seconds'],
    [Number.NaN, '"NaN" is no duration: write 90s, 15m, 12h, 30d, or whole seconds'],
    [Number.POSITIVE_INFINITY, '"Infinity" is no duration: write 90s, 15m, 12h, 30d, or whole seconds'],
    [null, 'expected a duration such as 90s, 15m, 12h, 30d, or whole seconds'],
    [[5], 'expected a duration such as 90s, 15m, 12h, 30d, or whole seconds'],
  ])('%p is refused and says why', (input, problem) => {
    expect(readDuration(input)).toEqual({ ok: false, problem });
    expect(() => parseDuration(input)).toThrow(problem);
  });

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX_DURATION_SECONDS }), (seconds) => {
        expect(parseDuration(writeDuration(seconds))).toBe(seconds);
      }),
    );
  });
});

describe('saying a duration', () => {
  it.each([
    [0, '0 seconds'],
    [0.9, '0 seconds'],
    [-3, '0 seconds'],
    [1, '1 second'],
    [59.999, '59 seconds'],
    [900, '15 minutes'],
    [3_600, '1 hour'],
    [5_400, '1 hour 30 minutes'],
    [90_061, '1 day 1 hour 1 minute 1 second'],
    [2_592_000, '30 days'],
  ])('%d seconds are "%s"', (seconds, words) => {
    expect(formatDuration(seconds)).toBe(words);
  });

  it.each([
    [90, '90s'],
    [5_400, '90m'],
    [86_400, '1d'],
  ])('%d seconds are written %s in the file', (seconds, text) => {
    expect(writeDuration(seconds)).toBe(text);
  });
});
