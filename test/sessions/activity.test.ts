import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { hashBearer } from '../../src/artifacts/bearer-hash.ts';
import { findLiveSession, recordActivity, saveSession } from '../../src/sessions/store.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { givenClient, givenPart, givenSession, origin, policyOf } from '../support/given-sessions.ts';
import { holdLock, untilWaiting } from '../support/locks.ts';
import { type MovingClock, movingClock } from '../support/moving-clock.ts';

const MINUTE = 60_000;
const IDLE = 15 * MINUTE;
const policy = policyOf({ idleSeconds: 15 * 60, absoluteSeconds: 8 * 3600 });
const strict = policyOf({ idleSeconds: 15 * 60, absoluteSeconds: 8 * 3600 }, [
  { name: 'restricted', when: { data: ['restricted'] }, limits: { idleSeconds: 300, absoluteSeconds: 3600 } },
]);

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await givenClient(database, 'app');
  await givenClient(database, 'strict');
});
afterAll(() => database.close());

const start = new Date('2026-03-01T08:00:00.000Z');
let clock: MovingClock;
beforeAll(async () => {
  clock = await movingClock(database, start);
});
beforeEach(() => clock.set(start));

const at = (milliseconds: number) => new Date(start.getTime() + milliseconds);
const move = (sessionUid: string, sid?: string) =>
  recordActivity(database.db, { sessionUid, sid, movesSession: true, movesParticipation: sid !== undefined, origin });

describe('activity', () => {
  it('moves the idle deadline and nothing else', async () => {
    const { uid } = await givenSession(database, { policy });
    await clock.set(at(10 * MINUTE));

    expect(await move(uid)).toEqual({
      sessionIdle: at(25 * MINUTE),
      sessionAbsolute: at(8 * 60 * MINUTE),
      participationIdle: null,
      participationAbsolute: null,
    });
  });

  it.each([
    ['a millisecond before the deadline counts', IDLE - 1, true],
    ['at the deadline is refused', IDLE, false],
    ['after the deadline is refused', IDLE + 1, false],
  ])('%s', async (_behaviour, after, counts) => {
    const { uid } = await givenSession(database, { policy });
    await clock.set(at(after));
    expect((await move(uid)) !== undefined).toBe(counts);
    expect((await findLiveSession(database.db, { uid })) !== undefined).toBe(counts);
  });

  it.each([
    ['a share of the row', 'FOR SHARE'],
    ['the whole row', 'FOR UPDATE'],
  ])('that waited past the deadline for %s is refused', async (_what, strength) => {
    const { uid } = await givenSession(database, { policy });
    const lock = await holdLock(database, `SELECT FROM session WHERE uid = $1 ${strength}`, [uid]);
    const moved = move(uid);
    await untilWaiting(database);
    await clock.set(at(IDLE));
    await lock.release();

    expect(await moved).toBeUndefined();
    expect(await findLiveSession(database.db, { uid })).toBeUndefined();
  });

  it('that waited past the deadline for a row that was changed meanwhile is refused', async () => {
    const { uid } = await givenSession(database, { policy });
    const lock = await holdLock(database, `UPDATE session SET ip = '192.0.2.99' WHERE uid = $1`, [uid]);
    const moved = move(uid);
    await untilWaiting(database);
    await clock.set(at(IDLE));
    await lock.release();

    expect(await moved).toBeUndefined();
  });

  it('that waited for other activity is judged by the deadline that this one left', async () => {
    const { uid } = await givenSession(database, { policy });
    await clock.set(at(10 * MINUTE));
    const lock = await holdLock(
      database,
      `UPDATE session SET idle_deadline = curfew_instant() + interval '15 minutes' WHERE uid = $1`,
      [uid],
    );
    const moved = move(uid);
    await untilWaiting(database);
    await clock.set(at(20 * MINUTE));
    await lock.release();

    expect(await moved).toMatchObject({ sessionIdle: at(35 * MINUTE) });
  });

  it('that waited for the participation past its deadline is refused, and moves the session no more than it', async () => {
    const session = await givenSession(database, { policy: strict });
    const { sid } = await givenPart(database, session, { clientId: 'strict', policy: strict, data: ['restricted'] });
    const lock = await holdLock(database, 'SELECT FROM participation WHERE sid = $1 FOR UPDATE', [sid]);
    const moved = move(session.uid, sid);
    await untilWaiting(database);
    await clock.set(at(5 * MINUTE));
    await lock.release();

    expect(await moved).toBeUndefined();
    expect(await findLiveSession(database.db, { uid: session.uid })).toMatchObject({ idleDeadline: at(IDLE) });
  });

  it('of a save that waited past the deadline is refused, and nothing is saved', async () => {
    const { uid } = await givenSession(database, { policy });
    const save = (loaded: string | null, cookie: string) =>
      saveSession(database.db, {
        uid,
        loadedCookieHash: loaded === null ? null : hashBearer(loaded),
        cookieHash: hashBearer(cookie),
        payload: Uint8Array.of(1),
        active: true,
        origin,
      });
    expect(await save(null, 'first')).toBe('saved');
    const lock = await holdLock(database, 'SELECT FROM session WHERE uid = $1 FOR SHARE', [uid]);
    const saved = save('first', 'second');
    await untilWaiting(database);
    await clock.set(at(IDLE));
    await lock.release();

    expect(await saved).toBe('dead');
    expect(await database.query('SELECT cookie_hash FROM session WHERE uid = $1', [uid])).toEqual([
      { cookie_hash: Buffer.from(hashBearer('first')) },
    ]);
  });

  it('is saved over the cookie that the request came with, and over no newer one', async () => {
    const { uid } = await givenSession(database, { policy });
    const save = (loaded: string | null, cookie: string) =>
      saveSession(database.db, {
        uid,
        loadedCookieHash: loaded === null ? null : hashBearer(loaded),
        cookieHash: hashBearer(cookie),
        payload: Uint8Array.of(1),
        active: false,
        origin,
      });
    await save(null, 'one');
    expect(await Promise.all([save('one', 'two'), save('one', 'three')])).toEqual(
      expect.arrayContaining(['saved', 'late']),
    );
    expect(await save('one', 'one')).toBe('late');
  });

  it('touches no indexed column: its updates stay in the page', async () => {
    const session = await givenSession(database, { policy: strict });
    const { sid } = await givenPart(database, session, { clientId: 'strict', policy: strict, data: ['restricted'] });
    const updatesOf = async (table: string) => {
      await database.db.$queryRaw`SELECT count(pg_stat_force_next_flush())`;
      await database.db.$queryRaw`SELECT 1`;
      const [row] = await database.query<{ all: number; hot: number }>(
        `SELECT n_tup_upd::int AS all, n_tup_hot_upd::int AS hot FROM pg_stat_user_tables WHERE relname = $1`,
        [table],
      );
      return row ?? { all: 0, hot: 0 };
    };
    const before = { session: await updatesOf('session'), participation: await updatesOf('participation') };
    for (let second = 1; second <= 30; second += 1) {
      await clock.set(at(second * 1000));
      expect(await move(session.uid, sid)).toBeDefined();
      // Whatever else runs may keep old versions alive: there has to be room in the page.
      await database.query('VACUUM session, participation');
    }
    for (const table of ['session', 'participation'] as const) {
      const after = await updatesOf(table);
      expect(after.all - before[table].all).toBeGreaterThanOrEqual(30);
      expect(after.hot - before[table].hot).toBe(after.all - before[table].all);
    }
  });
});

describe('a deadline', () => {
  it.each([
    ['08:00:00.000999', '08:15:00.000'],
    ['08:00:00.0005', '08:15:00.000'],
    ['08:00:00.999999', '08:15:00.999'],
  ])('is cut to the millisecond, never rounded up: begun at %s it is %s', async (began, deadline) => {
    await database.query(`CREATE OR REPLACE FUNCTION curfew_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
      AS $$SELECT timestamptz '2026-03-01 ${began}+00'$$`);
    const { uid } = await givenSession(database, { policy });
    const expected = new Date(`2026-03-01T${deadline}Z`);
    expect(await findLiveSession(database.db, { uid })).toMatchObject({ idleDeadline: expected });
    expect(await move(uid)).toMatchObject({ sessionIdle: expected });
    const [stored] = await database.query<{ late: boolean }>(
      `SELECT idle_deadline > curfew_now() + interval '15 minutes' AS late FROM session WHERE uid = $1`,
      [uid],
    );
    expect(stored?.late).toBe(false);
  });

  it('is what Postgres would have made late by rounding', async () => {
    const [rounded] = await database.query<{ late: boolean }>(
      `SELECT timestamptz(3) '2026-03-01 08:00:00.0006+00' > timestamptz '2026-03-01 08:00:00.0006+00' AS late`,
    );
    expect(rounded?.late).toBe(true);
  });
});
