import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Clock, startClock } from '../../src/storage/clock.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

const HOUR_MS = 3_600_000;
let database: TestDatabase;
let clock: Clock;

beforeEach(async () => {
  database = await testDatabase();
  clock = await startClock(database.db.pool);
});
afterEach(async () => {
  jest.restoreAllMocks();
  clock.stop();
  await database.close();
});

describe('the clock', () => {
  it('is trusted when host and database agree', () => {
    expect(Math.abs(clock.offsetMs)).toBeLessThan(100);
    expect(clock.isTrusted(500)).toBe(true);
  });

  it.each([
    ['ahead', HOUR_MS],
    ['behind', -HOUR_MS],
  ])('is not trusted when the database is an hour %s, and brings instants to the host', async (_where, offsetMs) => {
    await database.travel(offsetMs);
    await clock.measure();
    expect(Math.abs(clock.offsetMs - offsetMs)).toBeLessThan(100);
    expect(clock.isTrusted(500)).toBe(false);
    expect(clock.isTrusted(2 * HOUR_MS)).toBe(true);
    const instant = new Date('2026-01-01T12:00:00Z');
    expect(Math.abs(clock.toHost(instant).getTime() - (instant.getTime() - offsetMs))).toBeLessThan(100);
  });

  it('notices at once that the host stepped', () => {
    const real = Date.now;
    jest.spyOn(Date, 'now').mockImplementation(() => real() + HOUR_MS);
    expect(clock.isTrusted(500)).toBe(false);
    expect(Math.abs(clock.offsetMs + HOUR_MS)).toBeLessThan(100);
  });

  it('is not trusted long after the last answer', () => {
    const real = performance.now.bind(performance);
    jest.spyOn(Date, 'now').mockImplementation(() => performance.timeOrigin + performance.now());
    jest.spyOn(performance, 'now').mockImplementation(() => real() + 31_000);
    expect(clock.current).toBeUndefined();
    expect(clock.isTrusted(500)).toBe(false);
  });

  it('counts the doubt of a slow answer', async () => {
    const slow = await startClock({
      query: (async (query: { text: string }) => {
        const result = await database.db.pool.query(query.text);
        await database.query('SELECT pg_sleep(0.05)');
        return result;
      }) as unknown as typeof database.db.pool.query,
    });
    expect(slow.isTrusted(10)).toBe(false);
    expect(slow.isTrusted(500)).toBe(true);
    slow.stop();
  });
});
