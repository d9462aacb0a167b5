import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createGuessThrottle } from '../../src/accounts/guess-throttle.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

let database: TestDatabase;
const key = randomBytes(32);

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

const guesses = () => createGuessThrottle({ db: database.db, key, limit: { failures: 3, windowSeconds: 60 } });
const isThrottled = async (ip: string) => (await guesses().admit(ip)).throttled;

describe('the throttle of user codes', () => {
  it('refuses a network after its wrong guesses, on every node, and no other', async () => {
    const outcomes = await Promise.all(['1', '2', '1', '3', '1'].map((host) => isThrottled(`2001:db8::${host}`)));
    expect(outcomes.filter(Boolean)).toHaveLength(2);
    expect(await guesses().admit('2001:db8::9')).toMatchObject({
      throttled: true,
      retryAfterSeconds: expect.any(Number),
    });
    expect(await isThrottled('2001:db8:0:1::9')).toBe(false);
    expect(await isThrottled('192.0.2.1')).toBe(false);
  });

  it('does not count what was right', async () => {
    for (let i = 0; i < 10; i += 1) {
      const admission = await guesses().admit('192.0.2.2');
      if (admission.throttled) throw new Error('throttled');
      await admission.succeeded();
    }
    expect(await isThrottled('192.0.2.2')).toBe(false);
  });

  it('keeps no address in the clear', async () => {
    await guesses().admit('192.0.2.77');
    const rows = await database.query<{ key: string }>('SELECT key FROM throttle');
    expect(rows.map(({ key: tag }) => tag).join(' ')).not.toMatch(/192\.0\.2|2001:db8/);
  });
});
