import { EventEmitter, once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { disableAccount } from '../../src/accounts/accounts.ts';
import { storeBoundArtifact } from '../../src/artifacts/store.ts';
import { logoutClient } from '../../src/clients/registry.ts';
import { beginChildSession } from '../../src/sessions/begin-child-session.ts';
import { endParticipations, endSessions } from '../../src/sessions/end-sessions.ts';
import { joinSession } from '../../src/sessions/join-session.ts';
import { findLiveSession, lockClientOfSessions, recordActivity } from '../../src/sessions/store.ts';
import { transact } from '../../src/storage/transact.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import {
  byAdministrator,
  countOf,
  givenAccount,
  givenChild,
  givenClient,
  givenPart,
  givenSession,
  joining,
  newHash,
  offlineWithParent,
  origin,
  type Person,
  policyOf,
  signIn,
} from '../support/given-sessions.ts';
import { deadlocksOf, holdLock, untilWaiting } from '../support/locks.ts';
import { until } from '../support/until.ts';

const oneOnly = policyOf({
  concurrent: { max: 1, onLimit: 'end-oldest' },
  offline: { idleSeconds: 86_400, absoluteSeconds: 86_400, endWith: 'session' },
});

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  for (const clientId of ['app', 'other', 'third']) await givenClient(database, clientId);
});
afterAll(() => database.close());

/** Copies a person's sessions and participations under new names, in an order that says nothing about their age. */
async function givenMany(person: Person, count: number): Promise<string[]> {
  const parent = await givenSession(database, { person, policy: offlineWithParent });
  await givenPart(database, parent);
  const { sessionUid: child } = await givenChild(database, parent, { policy: offlineWithParent });
  const columnsOf = async (table: string, without: string[]) =>
    (
      await database.query<{ name: string }>(
        `SELECT column_name AS name FROM information_schema.columns
         WHERE table_name = $1 AND is_generated = 'NEVER' AND column_name <> ALL($2)`,
        [table, without],
      )
    )
      .map(({ name }) => name)
      .join(', ');
  const session = await columnsOf('session', ['uid', 'cookie_hash', 'parent_uid']);
  const participation = await columnsOf('participation', ['sid', 'session_uid']);
  await database.query(
    `WITH pairs AS (SELECT md5(n || $1) AS parent, md5(n || 'child' || $1) AS child FROM generate_series(1, $3::int) n),
       sessions AS (INSERT INTO session (uid, parent_uid, ${session})
         SELECT pairs.parent, NULL, ${session} FROM pairs, session WHERE uid = $1
         UNION ALL SELECT pairs.child, pairs.parent, ${session} FROM pairs, session WHERE uid = $2)
     INSERT INTO participation (sid, session_uid, ${participation})
     SELECT md5(pairs.parent || 'sid'), pairs.parent, ${participation} FROM pairs, participation WHERE session_uid = $1
     UNION ALL SELECT md5(pairs.child || 'sid'), pairs.child, ${participation} FROM pairs, participation WHERE session_uid = $2`,
    [parent.uid, child, count],
  );
  const rows = await database.query<{ uid: string }>(
    `SELECT uid FROM session WHERE account_id = $1 AND kind = 'browser' ORDER BY uid`,
    [person.id],
  );
  return rows.map(({ uid }) => uid);
}

const liveOf = ({ id }: Person) => countOf(database, 'session WHERE account_id = $1 AND ended_at IS NULL', [id]);

async function expectNoDeadlock(work: () => Promise<unknown>): Promise<void> {
  const before = await deadlocksOf(database);
  await work();
  expect(await deadlocksOf(database)).toBe(before);
}

describe('ends at once, of hundreds of sessions with their offline sessions, deadlock nowhere', () => {
  it('in opposite orders, by name and by account', async () => {
    const person = await givenAccount(database);
    const uids = await givenMany(person, 300);
    const children = await database.query<{ uid: string }>(
      `SELECT uid FROM session WHERE account_id = $1 AND kind = 'offline' ORDER BY uid DESC`,
      [person.id],
    );
    await expectNoDeadlock(() =>
      Promise.all([
        endSessions(database.db, { uids }, byAdministrator),
        endSessions(database.db, { uids: uids.toReversed() }, byAdministrator),
        endSessions(database.db, { uids: children.map(({ uid }) => uid) }, byAdministrator),
        endSessions(database.db, { accountId: person.id }, byAdministrator),
        disableAccount(database.db, person.id, { actor: 'administrator:test' }),
      ]),
    );
    expect(await liveOf(person)).toBe(0);
  });

  it('of parts of sessions and of whole ones', async () => {
    const person = await givenAccount(database);
    const uids = await givenMany(person, 300);
    const sids = (
      await database.query<{ sid: string }>(
        'SELECT p.sid FROM participation p JOIN session s ON s.uid = p.session_uid WHERE s.account_id = $1 ORDER BY sid DESC',
        [person.id],
      )
    ).map(({ sid }) => sid);
    await expectNoDeadlock(() =>
      Promise.all([
        endParticipations(database.db, { sids }, byAdministrator),
        endSessions(database.db, { uids: uids.toReversed() }, byAdministrator),
        endParticipations(database.db, { sids: sids.toReversed() }, byAdministrator),
        logoutClient(database.db, 'app', { actor: 'administrator:test' }),
        endSessions(database.db, { accountId: person.id }, byAdministrator),
      ]),
    );
    expect(await liveOf(person)).toBe(0);
  });

  it('of an account, while its person signs in where one session is allowed', async () => {
    const person = await givenAccount(database);
    await givenMany(person, 200);
    await expectNoDeadlock(async () => {
      await Promise.all([
        signIn(database, person, oneOnly),
        endSessions(database.db, { accountId: person.id }, byAdministrator),
        signIn(database, person, oneOnly),
        endSessions(database.db, { accountId: person.id, kinds: ['offline'] }, byAdministrator),
        signIn(database, person, oneOnly),
      ]);
    });
    expect(await liveOf(person)).toBeLessThanOrEqual(1);
  });

  it('of an account, while its sessions are used, joined and given tokens', async () => {
    const person = await givenAccount(database);
    const uids = await givenMany(person, 60);
    await expectNoDeadlock(async () => {
      const used = uids.flatMap((sessionUid, n) => {
        const session = { uid: sessionUid, kind: 'browser' as const, accountId: person.id, acr: null, amr: [] };
        return [
          recordActivity(database.db, { sessionUid, movesSession: true, movesParticipation: false, origin }),
          joinSession(database.db, policyOf(), joining(session, n % 2 === 0 ? 'other' : 'third')),
          transact(database.db, (tx) => beginChildSession(tx, offlineWithParent, joining(session, 'other'), 'offline')),
        ];
      });
      await Promise.race(used);
      await Promise.all([
        endSessions(database.db, { accountId: person.id }, byAdministrator),
        logoutClient(database.db, 'other', { actor: 'administrator:test' }),
        ...used,
      ]);
    });
    expect(await liveOf(person)).toBe(0);
  });
});

describe('an offline session that begins while its parent ends', () => {
  /** As an authorization code with `offline_access` is issued: activity, child, grant, code. */
  const goOffline = (session: Parameters<typeof joining>[0], sid: string, policy: typeof offlineWithParent) =>
    transact(database.db, async (tx) => {
      await lockClientOfSessions(tx, 'app');
      const activity = { sessionUid: session.uid, sid, movesSession: true, movesParticipation: true, origin };
      if (!(await recordActivity(tx, activity))) return undefined;
      const child = await beginChildSession(tx, policy, joining(session), 'offline');
      if (child === undefined) return undefined;
      const code = { idHash: newHash(), model: 'AuthorizationCode', payload: Uint8Array.of(1), lifetimeSeconds: 60 };
      await storeBoundArtifact(tx, code, child);
      return child;
    });

  it.each([
    ['of the account, though it would outlive its parent', policyOf(), (accountId: string) => ({ accountId })],
    ['of the parent, if it ends with it', offlineWithParent, (_account: string, uid: string) => ({ uids: [uid] })],
  ])('is ended by the end %s', async (_what, policy, selectorOf) => {
    for (let round = 0; round < 8; round += 1) {
      const session = await givenSession(database, { policy });
      const { sid } = await givenPart(database, session, { policy });
      const began = Array.from({ length: 4 }, () => goOffline(session, sid, policy));
      await Promise.race([...began, new Promise((resolve) => setTimeout(resolve, round * 2))]);
      await endSessions(database.db, selectorOf(session.accountId, session.uid), byAdministrator);
      await Promise.all(began);
      expect(await countOf(database, 'session WHERE account_id = $1 AND ended_at IS NULL', [session.accountId])).toBe(
        0,
      );
      const left =
        'artifact a JOIN session s ON s.uid = a.session_uid WHERE s.account_id = $1 AND a.payload IS NOT NULL';
      expect(await countOf(database, left, [session.accountId])).toBe(0);
    }
  });

  it('while the end of the account waits for the parent is ended with all others', async () => {
    const session = await givenSession(database);
    const lock = await holdLock(database, 'SELECT FROM session WHERE uid = $1 FOR KEY SHARE', [session.uid]);
    const ended = endSessions(database.db, { accountId: session.accountId }, byAdministrator);
    await untilWaiting(database);
    // Before the end gets its lock, and after it chose what to end.
    const child = 'a-child-that-came-late';
    const columns = (
      await database.query<{ name: string }>(
        `SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'session'
         AND is_generated = 'NEVER' AND column_name NOT IN ('uid', 'kind', 'parent_uid', 'cookie_hash')`,
      )
    )
      .map(({ name }) => name)
      .join(', ');
    await database.query(
      `INSERT INTO session (uid, kind, parent_uid, ${columns})
       SELECT $1, 'offline', uid, ${columns} FROM session WHERE uid = $2`,
      [child, session.uid],
    );
    await lock.release();

    expect(await ended).toEqual({ found: 2, ended: 2 });
    expect(await findLiveSession(database.db, { uid: child })).toBeUndefined();
  });

  it('is refused when the end came first', async () => {
    const session = await givenSession(database);
    const { sid } = await givenPart(database, session);
    const lock = await holdLock(database, 'SELECT FROM participation WHERE sid = $1 FOR UPDATE', [sid]);
    const ended = endSessions(database.db, { uids: [session.uid] }, byAdministrator);
    await untilWaiting(database, 1);
    const child = transact(database.db, (tx) => beginChildSession(tx, policyOf(), joining(session), 'offline'));
    await untilWaiting(database, 2);
    await lock.release();
    await ended;
    expect(await child).toBeUndefined();
  });

  it('and the client is logged out at once, deadlock nowhere', async () => {
    await expectNoDeadlock(async () => {
      for (let round = 0; round < 10; round += 1) {
        const session = await givenSession(database);
        const { sid } = await givenPart(database, session);
        const began = Array.from({ length: 3 }, () => goOffline(session, sid, policyOf()));
        await Promise.all([logoutClient(database.db, 'app', { actor: 'administrator:test' }), ...began]);
      }
    });
  });
});

describe('a transaction that Postgres chose to break a deadlock', () => {
  it('runs again', async () => {
    const [one, two] = [await givenSession(database), await givenSession(database)];
    let holding = 0;
    const bothHold = new EventEmitter();
    const lockBoth = (from: string, then: string) =>
      transact(database.db, async (tx) => {
        await tx.$executeRaw`SELECT FROM session WHERE uid = ${from} FOR UPDATE`;
        holding += 1;
        if (holding < 2) await once(bothHold, 'now');
        else bothHold.emit('now');
        await tx.$executeRaw`SELECT FROM session WHERE uid = ${then} FOR UPDATE`;
        return then;
      });
    const before = await deadlocksOf(database);
    const results = await Promise.all([lockBoth(one.uid, two.uid), lockBoth(two.uid, one.uid)]);
    expect(results).toEqual([two.uid, one.uid]);
    expect(holding).toBe(3);
    // Postgres counts with a delay.
    await until(async () => (await deadlocksOf(database)) === before + 1, 'the one deadlock in the statistics');
  });
});
