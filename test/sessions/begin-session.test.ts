import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { deleteAccount, disableAccount, setPassword } from '../../src/accounts/accounts.ts';
import { beginSession } from '../../src/sessions/begin-session.ts';
import { endSessions } from '../../src/sessions/end-sessions.ts';
import { joinSession } from '../../src/sessions/join-session.ts';
import { findLiveSession } from '../../src/sessions/store.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import {
  byAdministrator,
  countOf,
  endOf,
  givenAccount,
  givenChild,
  givenClient,
  givenPart,
  givenSession,
  hasher,
  joining,
  type Person,
  policyOf,
  signIn,
  signInOf,
} from '../support/given-sessions.ts';
import { deadlocksOf, holdLock, untilWaiting } from '../support/locks.ts';

const oneOnly = policyOf({ concurrent: { max: 1, onLimit: 'end-oldest' } });
const oneOrNone = policyOf({ concurrent: { max: 1, onLimit: 'refuse' } });
const twoAtMost = policyOf({ concurrent: { max: 2, onLimit: 'end-oldest' } });
const act = { actor: 'administrator:test' };

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await givenClient(database, 'app');
});
afterAll(() => database.close());

const liveOf = ({ id }: Person) => countOf(database, 'live_session WHERE account_id = $1', [id]);
const changes: [string, string, (person: Person) => Promise<unknown>][] = [
  ['disabling the account', 'account_disabled', ({ id }) => disableAccount(database.db, id, act)],
  ['deleting the account', 'account_disabled', ({ id }) => deleteAccount(database.db, id, act)],
  [
    'setting its password',
    'credential_changed',
    ({ id }) => setPassword({ db: database.db, hasher }, { accountId: id, password: 'another password' }, act),
  ],
];

describe('a sign-in', () => {
  it.each(changes)('racing %s leaves no live session', async (_what, _refusal, change) => {
    for (let round = 0; round < 10; round += 1) {
      const person = await givenAccount(database);
      const signIns = Array.from({ length: 6 }, () => signIn(database, person));
      const changed = round % 2 === 0 ? Promise.race(signIns).then(() => change(person)) : change(person);
      await Promise.all([...signIns, changed]);
      expect(await liveOf(person)).toBe(0);
    }
  });

  it.each(changes)('that waits for %s is refused, and that is written down', async (_what, refusal, change) => {
    const person = await givenAccount(database);
    const other = await givenSession(database, { person });
    // The change has the account, and waits for the session that it has to end.
    const lock = await holdLock(database, 'SELECT FROM session WHERE uid = $1 FOR UPDATE', [other.uid]);
    const changed = change(person);
    await untilWaiting(database, 1);
    const attempt = await signInOf(database, person);
    const began = beginSession(database.db, policyOf(), attempt);
    await untilWaiting(database, 2);
    await lock.release();
    await changed;

    expect(await began).toEqual({ begun: false, refusal });
    expect(await liveOf(person)).toBe(0);
    expect(
      await database.query('SELECT type, outcome, reason FROM audit_event WHERE session_uid = $1', [attempt.uid]),
    ).toEqual([{ type: 'session.refused', outcome: 'denied', reason: refusal }]);
  });

  it.each(changes)('that %s waits for is ended by it', async (_what, _refusal, change) => {
    const person = await givenAccount(database);
    const other = await givenSession(database, { person, policy: oneOnly });
    // The sign-in has the account, and waits for the session that it has to end.
    const lock = await holdLock(database, 'SELECT FROM session WHERE uid = $1 FOR UPDATE', [other.uid]);
    const began = signIn(database, person, oneOnly);
    await untilWaiting(database, 1);
    const changed = change(person);
    await untilWaiting(database, 2);
    await lock.release();

    expect(await began).toMatchObject({ begun: true });
    await changed;
    expect(await liveOf(person)).toBe(0);
  });

  it('with an old password, checked before it was set, begins nothing', async () => {
    const person = await givenAccount(database);
    const attempt = await signInOf(database, person);
    await setPassword({ db: database.db, hasher }, { accountId: person.id, password: 'another password' }, act);
    expect(await beginSession(database.db, policyOf(), attempt)).toEqual({
      begun: false,
      refusal: 'credential_changed',
    });
  });

  it('into a session that ended revives nothing', async () => {
    const person = await givenAccount(database);
    const { uid } = await givenSession(database, { person });
    await endSessions(database.db, { uids: [uid] }, byAdministrator);
    const before = await endOf(database, uid);
    const again = { ...(await signInOf(database, person)), uid };
    expect(await beginSession(database.db, policyOf(), again)).toEqual({ begun: false, refusal: 'session_ended' });
    expect(await endOf(database, uid)).toEqual(before);
    expect(await findLiveSession(database.db, { uid })).toBeUndefined();
  });

  it('into a session that is being ended waits, and revives nothing', async () => {
    const person = await givenAccount(database);
    const session = await givenSession(database, { person });
    const { sid } = await givenPart(database, session);
    const lock = await holdLock(database, 'SELECT FROM participation WHERE sid = $1 FOR UPDATE', [sid]);
    const ended = endSessions(database.db, { uids: [session.uid] }, byAdministrator);
    await untilWaiting(database, 1);
    const began = beginSession(database.db, policyOf(), { ...(await signInOf(database, person)), uid: session.uid });
    await untilWaiting(database, 2);
    await lock.release();
    await ended;
    expect(await began).toEqual({ begun: false, refusal: 'session_ended' });
  });

  it('does not take over the session of another account', async () => {
    const { uid, accountId } = await givenSession(database);
    const other = await givenAccount(database);
    const result = await beginSession(database.db, policyOf(), { ...(await signInOf(database, other)), uid });
    expect(result).toEqual({ begun: false, refusal: 'session_ended' });
    expect(await findLiveSession(database.db, { uid })).toMatchObject({ accountId });
  });

  it('again in the same session starts both limits again and stays the same session', async () => {
    const person = await givenAccount(database);
    const first = await givenSession(database, { person });
    const again = await signInOf(database, person);
    const result = await beginSession(database.db, oneOnly, { ...again, uid: first.uid });
    expect(result).toMatchObject({ begun: true, session: { uid: first.uid, authenticatedAt: again.authenticatedAt } });
    expect(await liveOf(person)).toBe(1);
  });
});

describe('where one session is allowed', () => {
  it('of sign-ins at once exactly one leaves a live session', async () => {
    for (let round = 0; round < 5; round += 1) {
      const person = await givenAccount(database);
      const results = await Promise.all(Array.from({ length: 8 }, () => signIn(database, person, oneOnly)));
      expect(results.every(({ begun }) => begun)).toBe(true);
      expect(await liveOf(person)).toBe(1);
      expect(
        await countOf(database, `session WHERE account_id = $1 AND end_reason = 'concurrency_limit'`, [person.id]),
      ).toBe(7);
    }
  });

  it('and more are refused, of sign-ins at once exactly one succeeds', async () => {
    const person = await givenAccount(database);
    const results = await Promise.all(Array.from({ length: 8 }, () => signIn(database, person, oneOrNone)));
    expect(results.filter(({ begun }) => begun)).toHaveLength(1);
    expect(results.filter((result) => !result.begun && result.refusal === 'concurrency_limit')).toHaveLength(7);
    expect(await liveOf(person)).toBe(1);
  });

  it('a sign-in that comes to nothing ends none of the others', async () => {
    const person = await givenAccount(database);
    const kept = await givenSession(database, { person });
    const over = await givenSession(database, { person });
    await endSessions(database.db, { uids: [over.uid] }, byAdministrator);
    const result = await beginSession(database.db, oneOnly, { ...(await signInOf(database, person)), uid: over.uid });
    expect(result).toMatchObject({ refusal: 'session_ended' });
    expect(await findLiveSession(database.db, { uid: kept.uid })).toBeDefined();
  });

  it('offline sessions do not count', async () => {
    const person = await givenAccount(database);
    const first = await givenSession(database, { person });
    const child = await givenChild(database, first);
    await signIn(database, person, oneOnly);
    expect(await findLiveSession(database.db, { uid: child.sessionUid })).toBeDefined();
  });
});

describe('where two sessions are allowed', () => {
  it('the oldest ends', async () => {
    const person = await givenAccount(database);
    const uids: string[] = [];
    for (let n = 0; n < 3; n += 1) uids.push((await givenSession(database, { person, policy: twoAtMost })).uid);
    const live = await Promise.all(
      uids.map(async (uid) => (await findLiveSession(database.db, { uid })) !== undefined),
    );
    expect(live).toEqual([false, true, true]);
  });
});

describe('joining', () => {
  it('by one client many times at once gives one part, with one sid', async () => {
    const session = await givenSession(database);
    const parts = await Promise.all(
      Array.from({ length: 20 }, () => joinSession(database.db, policyOf(), joining(session))),
    );
    expect(new Set(parts.map((part) => part?.sid)).size).toBe(1);
    expect(parts[0]?.sid).toEqual(expect.any(String));
    const began = `audit_event WHERE session_uid = $1 AND type = 'participation.began'`;
    expect(await countOf(database, began, [session.uid])).toBe(1);
  });

  it('a session that is being ended is refused', async () => {
    const session = await givenSession(database);
    const other = await givenPart(database, session);
    await givenClient(database, 'late');
    const lock = await holdLock(database, 'SELECT FROM participation WHERE sid = $1 FOR UPDATE', [other.sid]);
    const ended = endSessions(database.db, { uids: [session.uid] }, byAdministrator);
    await untilWaiting(database, 1);
    const joined = joinSession(database.db, policyOf(), joining(session, 'late'));
    await untilWaiting(database, 2);
    await lock.release();
    await ended;
    expect(await joined).toBeUndefined();
    expect(await countOf(database, 'participation WHERE session_uid = $1 AND ended_at IS NULL', [session.uid])).toBe(0);
  });

  it('after its own part ran out takes a sign-in later than that, and a new sid', async () => {
    const own = await testDatabase();
    try {
      await givenClient(own, 'strict');
      const policy = policyOf({}, [{ name: 'r', when: { data: ['restricted'] }, limits: { idleSeconds: 300 } }]);
      const person = await givenAccount(own);
      const session = await givenSession(own, { person, policy });
      const request = joining(session, 'strict', ['restricted']);
      const first = await joinSession(own.db, policy, request);
      await own.travel(300_000);
      expect(await joinSession(own.db, policy, request)).toBeUndefined();
      await beginSession(own.db, policy, { ...(await signInOf(own, person)), uid: session.uid });
      const second = await joinSession(own.db, policy, request);
      expect(second?.sid).toEqual(expect.any(String));
      expect(second?.sid).not.toBe(first?.sid);
    } finally {
      await own.close();
    }
  });
});

it('none of this needed a deadlock broken', async () => {
  expect(await deadlocksOf(database)).toBe(0);
});
