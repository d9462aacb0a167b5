import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { clampSeconds, sessionDeadlines } from '../../src/policy/deadlines.ts';

const eight = new Date('2026-01-01T08:00:00.000Z');
const at = (time: string): Date => new Date(`2026-01-01T${time}Z`);

describe('session deadlines', () => {
  it.each([
    ['the idle timeout comes first for a quiet session', 900, 43_200, '08:15:00.000', 'idle_timeout'],
    ['the absolute timeout caps a long idle limit', 43_200, 3_600, '09:00:00.000', 'absolute_timeout'],
    ['the absolute timeout is the reason when both fall together', 900, 900, '08:15:00.000', 'absolute_timeout'],
  ])('%s', (_behaviour, idleSeconds, absoluteSeconds, time, reason) => {
    const session = { authenticatedAt: eight, lastActiveAt: eight };
    const deadlines = sessionDeadlines(session, { idleSeconds, absoluteSeconds });
    expect(deadlines).toMatchObject({ deadline: at(time), reason });
  });

  it('activity moves the idle deadline to the millisecond and leaves the absolute one', () => {
    const session = { authenticatedAt: eight, lastActiveAt: at('08:10:00.123') };
    expect(sessionDeadlines(session, { idleSeconds: 900, absoluteSeconds: 43_200 })).toEqual({
      idleDeadline: at('08:25:00.123'),
      absoluteDeadline: at('20:00:00.000'),
      deadline: at('08:25:00.123'),
      reason: 'idle_timeout',
    });
  });

  it('counts real seconds over a change of summer time', () => {
    const beforeTheChange = new Date('2026-03-29T01:30:00.000+01:00');
    const session = { authenticatedAt: beforeTheChange, lastActiveAt: beforeTheChange };
    const { deadline } = sessionDeadlines(session, { idleSeconds: 3_600, absoluteSeconds: 43_200 });
    expect(deadline).toEqual(new Date('2026-03-29T03:30:00.000+02:00'));
  });
});

describe('clamping a lifetime', () => {
  it.each([
    ['the limit, when every deadline is later', 300, ['08:30:00.000', '20:00:00.000'], 300],
    ['what is left until the earliest deadline', 300, ['08:04:00.000', '20:00:00.000'], 240],
    ['the limit, when the deadline is exactly there', 300, ['08:05:00.000'], 300],
    ['a second less, when the deadline is a millisecond earlier', 300, ['08:04:59.999'], 299],
    ['one, when exactly a second is left', 300, ['08:00:01.000'], 1],
    ['nothing, when less than a second is left', 300, ['08:00:00.999'], 0],
    ['nothing, at the deadline', 300, ['08:00:00.000'], 0],
    ['nothing, past the deadline', 300, ['07:00:00.000'], 0],
    ['the limit, when there is no deadline', 300, [null], 300],
    ['what is left until the one deadline that there is', 300, [null, '08:00:30.000'], 30],
    ['nothing, when the limit is under a second', 0.5, [], 0],
  ])('gives %s', (_behaviour, limitSeconds, times, seconds) => {
    const deadlines = times.map((time) => (time === null ? null : at(time)));
    expect(clampSeconds({ limitSeconds, now: eight, deadlines })).toBe(seconds);
  });

  it.each([
    ['now', { limitSeconds: 300, now: new Date(Number.NaN), deadlines: [] }],
    ['a deadline', { limitSeconds: 300, now: eight, deadlines: [new Date(Number.NaN), null] }],
    ['the limit', { limitSeconds: Number.NaN, now: eight, deadlines: [] }],
  ])('gives nothing when %s is no number', (_what, clamp) => {
    expect(clampSeconds(clamp)).toBe(0);
  });

  it('passes neither a deadline nor the limit, and wastes less than a second', () => {
    const instant = fc.integer({ min: 0, max: 4_000_000_000_000 }).map((ms) => new Date(ms));
    const deadline = fc.option(instant, { nil: null });
    const limit = fc.integer({ min: 1, max: 34_560_000 });
    fc.assert(
      fc.property(instant, fc.array(deadline), limit, (now, deadlines, limitSeconds) => {
        const seconds = clampSeconds({ limitSeconds, now, deadlines });
        const lefts = deadlines.flatMap((d) => (d === null ? [] : [d.getTime() - now.getTime()]));
        const left = Math.min(limitSeconds * 1000, ...lefts);
        expect(Number.isInteger(seconds)).toBe(true);
        expect(seconds * 1000).toBeLessThanOrEqual(Math.max(0, left));
        expect(left - seconds * 1000).toBeLessThan(1000);
      }),
    );
  });
});
