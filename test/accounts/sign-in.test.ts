import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Account } from '../../src/accounts/account.ts';
import { createAccount, disableAccount } from '../../src/accounts/accounts.ts';
import { createPasswordHasher } from '../../src/accounts/password-hasher.ts';
import { createSignIn } from '../../src/accounts/sign-in.ts';
import { createSignInThrottle } from '../../src/accounts/throttle.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { cheap, cheapHasher, watchedHasher } from './hashers.ts';

let database: TestDatabase;
const hasher = cheapHasher();
const act = { actor: 'command_line:test' };
const password = 'correct horse battery';

beforeAll(async () => {
  database = await testDatabase();
});
afterAll(() => database.close());

function signInWith(parts: { hasher?: typeof hasher } = {}) {
  const { db } = database;
  return createSignIn({ db, hasher, throttle: createSignInThrottle({ db, key: randomBytes(32) }), ...parts });
}

async function givenAccount(login: string): Promise<Account> {
  return createAccount({ db: database.db, hasher }, { login, password, roles: ['staff'] }, act);
}

const ip = '192.0.2.10';

describe('sign-in', () => {
  it('gives the account with the version of the credential that was checked', async () => {
    const account = await givenAccount('alice');
    expect(await signInWith()({ login: 'alice', password, ip })).toEqual({ ok: true, account });
    expect(account).toMatchObject({ login: 'alice', roles: ['staff'], groups: [], credentialVersion: 1 });
  });

  it.each([' Bob ', 'BOB', 'ＢＯＢ'])('takes %s for the login bob', async (login) => {
    const { db } = database;
    if ((await db.account.findUnique({ where: { login: 'bob' } })) === null) await givenAccount('bob');
    expect(await signInWith()({ login, password, ip })).toMatchObject({ ok: true });
  });

  it('answers an unknown login, a disabled account and a wrong password alike, after the same work', async () => {
    await givenAccount('carol');
    const dave = await givenAccount('dave');
    await disableAccount(database.db, dave.id, act);
    await createAccount({ db: database.db, hasher }, { login: 'without-password' }, act);
    const attempts = [
      { login: 'nobody', password },
      { login: 'dave', password },
      { login: 'carol', password: 'wrong' },
      { login: 'carol', password: 'x'.repeat(5_000) },
      { login: 'without-password', password },
      { login: 'nul\0byte', password },
      { login: '\uD800', password },
      { login: '', password: '' },
    ];
    for (const attempt of attempts) {
      const watched = watchedHasher(hasher);
      const result = await signInWith({ hasher: watched })({ ...attempt, ip });
      expect(result).toEqual({ ok: false, reason: 'wrong_credentials' });
      expect(watched.verified).toHaveLength(1);
    }
  });

  it('rehashes a password whose parameters were raised, and only then', async () => {
    const account = await givenAccount('erin');
    const stored = async () => {
      const row = await database.db.credential.findFirstOrThrow({ where: { accountId: account.id } });
      return row.hash;
    };
    const before = await stored();
    await signInWith()({ login: 'erin', password, ip });
    expect(await stored()).toBe(before);

    const raised = cheapHasher({ ...cheap, memoryKib: 256 });
    await signInWith({ hasher: raised })({ login: 'erin', password: 'wrong', ip });
    expect(await stored()).toBe(before);
    const result = await signInWith({ hasher: raised })({ login: 'erin', password, ip });
    expect(result).toMatchObject({ ok: true, account: { credentialVersion: 1 } });
    expect(await stored()).toMatch(/m=256,/);
    expect(await signInWith({ hasher: raised })({ login: 'erin', password, ip })).toMatchObject({ ok: true });
  });

  it('does not count an attempt for which the queue has no room', async () => {
    await givenAccount('frank');
    const full = { ...createPasswordHasher({ parameters: cheap, concurrency: 0, maxWaiting: 0 }) };
    const key = randomBytes(32);
    const throttle = createSignInThrottle({ db: database.db, key });
    const refusing = createSignIn({ db: database.db, hasher: full, throttle });
    for (let i = 0; i < 8; i += 1) {
      await expect(refusing({ login: 'frank', password, ip })).rejects.toMatchObject({ code: 'queue_full' });
    }
    const signIn = createSignIn({ db: database.db, hasher, throttle });
    expect(await signIn({ login: 'frank', password, ip })).toMatchObject({ ok: true });
  });

  it('is throttled after repeated failures, the right password included', async () => {
    await givenAccount('grace');
    const signIn = signInWith();
    for (let i = 0; i < 5; i += 1) await signIn({ login: 'grace', password: 'wrong', ip });
    const result = await signIn({ login: 'grace', password, ip });
    expect(result).toMatchObject({ ok: false, reason: 'throttled', retryAfterSeconds: expect.any(Number) });
  });

  it('leaves an audit event for each outcome, without the login or the password', async () => {
    const account = await givenAccount('heidi');
    const from = { ip: '192.0.2.99', userAgent: 'test browser' };
    const signIn = signInWith();
    await signIn({ login: 'heidi', password, ...from });
    for (let i = 0; i < 6; i += 1) await signIn({ login: 'heidi', password: 'wrong', ...from });
    const events = await database.query(
      `SELECT type, outcome, actor, account_id, user_agent FROM audit_event WHERE address = '192.0.2.99' ORDER BY id`,
    );
    const failed = { type: 'sign_in.failed', outcome: 'failure', actor: 'person:unknown', account_id: account.id };
    expect(events).toMatchObject([
      { type: 'sign_in.succeeded', outcome: 'success', actor: `person:${account.id}`, account_id: account.id },
      ...Array.from({ length: 5 }, () => failed),
      { type: 'sign_in.throttled', outcome: 'denied', actor: 'person:unknown', account_id: null },
    ]);
    expect(JSON.stringify(events)).not.toMatch(/heidi|wrong/);
  });
});
