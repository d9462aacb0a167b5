import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createSignInThrottle, networkOf, type SignInThrottle } from '../../src/accounts/throttle.ts';
import { createDatabase } from '../../src/storage/database.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';

let database: TestDatabase;
const key = randomBytes(32);
const limits = {
  accountAndAddress: { failures: 3, windowSeconds: 60 },
  account: { failures: 6, windowSeconds: 600 },
  address: { failures: 8, windowSeconds: 600 },
};

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

const throttled = () => createSignInThrottle({ db: database.db, key, limits });
let counter = 0;
const next = () => {
  counter += 1;
  return counter;
};
const someAddress = () => `198.51.${100 + Math.floor(counter / 250)}.${(next() % 250) + 1}`;
const somebody = () => `person${next()}`;

async function fail(throttle: SignInThrottle, times: number, attempt: () => { login: string; ip: string }) {
  const outcomes: boolean[] = [];
  for (let i = 0; i < times; i += 1) outcomes.push((await throttle.admit(attempt())).throttled);
  return outcomes;
}

async function succeed(throttle: SignInThrottle, attempt: { login: string; ip: string }) {
  const admission = await throttle.admit(attempt);
  if (admission.throttled) throw new Error('throttled');
  await admission.succeeded();
}

describe('the throttle of sign-in', () => {
  it('refuses an account from an address after its failures, and tells when to come back', async () => {
    const attempt = { login: somebody(), ip: someAddress() };
    expect(await fail(throttled(), 3, () => attempt)).toEqual([false, false, false]);
    const { retryAfterSeconds } = (await throttled().admit(attempt)) as { retryAfterSeconds: number };
    expect(retryAfterSeconds).toBeGreaterThan(50);
    expect(retryAfterSeconds).toBeLessThanOrEqual(60);
  });

  it('forgets nothing when another process takes over', async () => {
    const attempt = { login: somebody(), ip: someAddress() };
    await fail(throttled(), 3, () => attempt);
    const restarted = createDatabase(database.url);
    expect(await createSignInThrottle({ db: restarted, key, limits }).admit(attempt)).toMatchObject({
      throttled: true,
    });
    await restarted.close();
  });

  it('lets nobody overtake the count by guessing in parallel', async () => {
    const attempt = { login: somebody(), ip: someAddress() };
    const throttle = throttled();
    const admissions = await Promise.all(Array.from({ length: 30 }, () => throttle.admit(attempt)));
    expect(admissions.filter((admission) => !admission.throttled).length).toBeLessThanOrEqual(3);
  });

  it('does not lengthen the wait by attempts that it refuses', async () => {
    const attempt = { login: somebody(), ip: someAddress() };
    await fail(throttled(), 20, () => attempt);
    const tag = await database.query(`SELECT max(points) AS most FROM throttle WHERE key LIKE 'pair:%'`);
    expect(tag[0]?.most).toBe(3);
  });

  it('limits an account that is tried from many addresses', async () => {
    const login = somebody();
    expect((await fail(throttled(), 7, () => ({ login, ip: someAddress() }))).lastIndexOf(false)).toBe(5);
  });

  it('limits an address that tries many accounts', async () => {
    const ip = someAddress();
    expect((await fail(throttled(), 9, () => ({ login: somebody(), ip }))).lastIndexOf(false)).toBe(7);
  });

  it('starts again at none when the password was right', async () => {
    const attempt = { login: somebody(), ip: someAddress() };
    await fail(throttled(), 2, () => attempt);
    await succeed(throttled(), attempt);
    expect(await fail(throttled(), 3, () => attempt)).toEqual([false, false, false]);
  });

  it('does not count an attempt whose password was never looked at', async () => {
    const attempt = { login: somebody(), ip: someAddress() };
    for (let i = 0; i < 10; i += 1) {
      const admission = await throttled().admit(attempt);
      if (!admission.throttled) await admission.withdrawn();
    }
    expect(await fail(throttled(), 3, () => attempt)).toEqual([false, false, false]);
  });

  it('locks nobody out of an address where they signed in before, while strangers guess', async () => {
    const atHome = { login: somebody(), ip: someAddress() };
    await succeed(throttled(), atHome);
    await fail(throttled(), 50, () => ({ login: atHome.login, ip: someAddress() }));
    expect(await throttled().admit({ ...atHome, ip: someAddress() })).toMatchObject({ throttled: true });
    expect(await throttled().admit(atHome)).toMatchObject({ throttled: false });
  });

  it('locks nobody out for what others do behind the same address', async () => {
    const colleague = { login: somebody(), ip: someAddress() };
    await succeed(throttled(), colleague);
    await fail(throttled(), 50, () => ({ login: somebody(), ip: colleague.ip }));
    expect(await throttled().admit({ login: somebody(), ip: colleague.ip })).toMatchObject({ throttled: true });
    expect(await throttled().admit(colleague)).toMatchObject({ throttled: false });
  });

  it('lets a person in again once the window is over', async () => {
    const attempt = { login: somebody(), ip: someAddress() };
    await fail(throttled(), 3, () => attempt);
    await database.query('UPDATE throttle SET expire = expire - 60000');
    expect(await throttled().admit(attempt)).toMatchObject({ throttled: false });
  });

  it('stores neither logins nor addresses', async () => {
    const attempt = { login: 'someone.readable', ip: '203.0.113.77' };
    await succeed(throttled(), attempt);
    const rows = await database.query<{ key: string }>('SELECT key FROM throttle');
    expect(JSON.stringify(rows)).not.toMatch(/readable|203\.0\.113/);
  });

  it('refuses everyone when it can not count', async () => {
    const unreachable = createDatabase('postgresql://nobody@127.0.0.1:9/none');
    const throttle = createSignInThrottle({ db: unreachable, key, limits });
    await expect(throttle.admit({ login: 'a', ip: '203.0.113.1' })).rejects.toMatchObject({
      code: 'temporarily_unavailable',
      status: 503,
    });
    await unreachable.close();
  });
});

describe('the network of an address', () => {
  it.each([
    ['198.51.100.7', '198.51.100.7'],
    ['::ffff:198.51.100.7', '198.51.100.7'],
    ['::ffff:c633:6407', '198.51.100.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['not an address', 'not an address'],
  ])('of %s is %s', (ip, network) => {
    expect(networkOf(ip)).toBe(network);
  });
});
