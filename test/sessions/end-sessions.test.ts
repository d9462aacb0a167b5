import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { findLiveArtifact, findTombstone } from '../../src/artifacts/store.ts';
import type { EndReason } from '../../src/policy/end-reason.ts';
import {
  endOverdueParticipations,
  endOverdueSessions,
  endParticipations,
  endSessions,
} from '../../src/sessions/end-sessions.ts';
import { findLiveParticipation } from '../../src/sessions/participation-store.ts';
import { findSessionDetails, listSessions } from '../../src/sessions/session-queries.ts';
import { findLiveSession, recordActivity } from '../../src/sessions/store.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { givenServiceTokenRow } from '../support/given-rows.ts';
import {
  byAdministrator,
  countOf,
  endOf,
  givenAccount,
  givenChild,
  givenClient,
  givenPart,
  givenSession,
  offlineWithParent,
  origin,
  policyOf,
  storeToken,
} from '../support/given-sessions.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const policy = policyOf({ idleSeconds: 15 * 60, absoluteSeconds: 8 * 3600 });
const strict = policyOf({ idleSeconds: 15 * 60, absoluteSeconds: 8 * 3600 }, [
  { name: 'restricted', when: { data: ['restricted'] }, limits: { idleSeconds: 300, absoluteSeconds: 3600 } },
]);
const start = new Date('2026-03-01T08:00:00.000Z');
const at = (milliseconds: number) => new Date(start.getTime() + milliseconds);

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  for (const clientId of ['app', 'other', 'strict']) await givenClient(database, clientId);
});
afterAll(() => database.close());
beforeEach(() => database.setNow(start));

const auditOf = (uid: string) =>
  database.query<{ type: string; actor: string; reason: string }>(
    `SELECT type, actor, reason FROM audit_event WHERE session_uid = $1 AND type LIKE '%ended' ORDER BY id`,
    [uid],
  );
const endOfPart = async (sid: string) => {
  const [row] = await database.query<{ at: Date; reason: string }>(
    'SELECT ended_at AS at, end_reason AS reason FROM participation WHERE sid = $1',
    [sid],
  );
  return row;
};

describe('the end of a session', () => {
  it('ends participations and artifacts with it, owes deliveries and is written down, all at once', async () => {
    const session = await givenSession(database, { policy });
    const app = await givenPart(database, session);
    const other = await givenPart(database, session, { clientId: 'other' });
    const { idHash } = await storeToken(database, { sessionUid: session.uid, sid: app.sid });
    await storeToken(database, { sessionUid: session.uid, sid: other.sid });

    expect(
      await endSessions(database.db, { uids: [session.uid] }, { ...byAdministrator, note: 'a stolen laptop' }),
    ).toEqual({ found: 1, ended: 1 });

    expect(await findLiveSession(database.db, { uid: session.uid })).toBeUndefined();
    expect(await findLiveParticipation(database.db, { sid: app.sid })).toBeUndefined();
    expect(await findLiveArtifact(database.db, idHash)).toBeUndefined();
    expect(await findTombstone(database.db, idHash)).toMatchObject({ reason: 'admin_forced', endedAt: start });
    expect(await endOf(database, session.uid)).toEqual({
      endedAt: start,
      committedAt: start,
      reason: 'admin_forced',
      note: 'a stolen laptop',
    });
    expect(await countOf(database, 'artifact WHERE session_uid = $1 AND payload IS NOT NULL', [session.uid])).toBe(0);
    expect(await countOf(database, 'delivery WHERE session_uid = $1', [session.uid])).toBe(4);
    expect(await auditOf(session.uid)).toEqual([
      { type: 'session.ended', actor: 'administrator:test', reason: 'admin_forced' },
      { type: 'participation.ended', actor: 'administrator:test', reason: 'admin_forced' },
      { type: 'participation.ended', actor: 'administrator:test', reason: 'admin_forced' },
    ]);
  });

  it('happens once when twenty want it at once: one audit event, one set of deliveries', async () => {
    const session = await givenSession(database, { policy });
    const { sid } = await givenPart(database, session);
    await storeToken(database, { sessionUid: session.uid, sid });
    await database.setNow(at(MINUTE));

    const results = await Promise.all(
      Array.from({ length: 20 }, (_, caller) =>
        caller % 2 === 0
          ? endSessions(database.db, { uids: [session.uid] }, byAdministrator)
          : endSessions(database.db, { accountId: session.accountId }, { reason: 'user_ended', actor: 'person:x' }),
      ),
    );

    expect(results.map(({ ended }) => ended).sort()).toEqual([...Array(19).fill(0), 1]);
    expect(await auditOf(session.uid)).toHaveLength(2);
    expect(await countOf(database, 'delivery WHERE sid = $1', [sid])).toBe(1);
  });

  it('is no error when it is over, and changes nothing', async () => {
    const session = await givenSession(database, { policy });
    await endSessions(database.db, { uids: [session.uid] }, byAdministrator);
    const before = await endOf(database, session.uid);
    await database.setNow(at(HOUR));
    expect(
      await endSessions(database.db, { uids: [session.uid] }, { reason: 'user_ended', actor: 'person:x' }),
    ).toEqual({ found: 0, ended: 0 });
    expect(await endOf(database, session.uid)).toEqual(before);
  });

  it.each<[string, number, EndReason, number]>([
    ['a millisecond before the deadline is what was asked for', 15 * MINUTE - 1, 'admin_forced', 15 * MINUTE - 1],
    ['at the deadline is the timeout', 15 * MINUTE, 'idle_timeout', 15 * MINUTE],
    ['an hour later still is the timeout, at the deadline exactly', HOUR, 'idle_timeout', 15 * MINUTE],
  ])('%s', async (_behaviour, asked, reason, ended) => {
    const session = await givenSession(database, { policy });
    await database.setNow(at(asked));
    await endSessions(database.db, { uids: [session.uid] }, { ...byAdministrator, note: 'why' });

    expect(await endOf(database, session.uid)).toEqual({
      endedAt: at(ended),
      committedAt: at(asked),
      reason,
      note: reason === 'admin_forced' ? 'why' : null,
    });
    const actor = reason === 'admin_forced' ? 'administrator:test' : 'system:deadline';
    expect(await auditOf(session.uid)).toEqual([{ type: 'session.ended', actor, reason }]);
  });

  it('names the absolute timeout where that came first', async () => {
    const session = await givenSession(database, { policy: policyOf({ idleSeconds: 3600, absoluteSeconds: 3600 }) });
    await database.setNow(at(2 * HOUR));
    await endOverdueSessions(database.db);
    expect(await endOf(database, session.uid)).toMatchObject({ reason: 'absolute_timeout', endedAt: at(HOUR) });
  });

  it('by the alarm takes what is overdue, and nothing that activity moved', async () => {
    const quiet = await givenSession(database, { policy });
    const busy = await givenSession(database, { policy });
    await database.setNow(at(14 * MINUTE));
    await recordActivity(database.db, {
      sessionUid: busy.uid,
      movesSession: true,
      movesParticipation: false,
      origin,
    });
    await database.setNow(at(16 * MINUTE));

    expect(await endOverdueSessions(database.db)).toMatchObject({ ended: 1 });
    expect(await endOf(database, quiet.uid)).toMatchObject({ reason: 'idle_timeout', endedAt: at(15 * MINUTE) });
    expect(await findLiveSession(database.db, { uid: busy.uid })).toBeDefined();
    await database.setNow(at(30 * MINUTE));
    await endOverdueSessions(database.db);
    expect(await endOf(database, busy.uid)).toMatchObject({ reason: 'idle_timeout', endedAt: at(29 * MINUTE) });
  });

  it('leaves a participation the end that it had: its own timeout, at its own deadline', async () => {
    const session = await givenSession(database, { policy: strict });
    const { sid } = await givenPart(database, session, { clientId: 'strict', policy: strict, data: ['restricted'] });
    const app = await givenPart(database, session);
    await database.setNow(at(10 * MINUTE));
    await endSessions(database.db, { uids: [session.uid] }, byAdministrator);

    expect(await endOfPart(sid)).toEqual({ at: at(5 * MINUTE), reason: 'idle_timeout' });
    expect(await endOfPart(app.sid)).toEqual({ at: at(10 * MINUTE), reason: 'admin_forced' });
  });

  it('for a whole account covers its offline sessions, and nobody else', async () => {
    const person = await givenAccount(database);
    const [one, two, stranger] = [
      await givenSession(database, { person, policy }),
      await givenSession(database, { person, policy }),
      await givenSession(database, { policy }),
    ];
    await givenPart(database, one);
    const child = await givenChild(database, one);
    await endSessions(database.db, { accountId: person.id, exceptUid: two.uid }, byAdministrator);

    expect(await findLiveSession(database.db, { uid: one.uid })).toBeUndefined();
    expect(await findLiveSession(database.db, { uid: child.sessionUid })).toBeUndefined();
    expect(await findLiveSession(database.db, { uid: two.uid })).toBeDefined();
    expect(await findLiveSession(database.db, { uid: stranger.uid })).toBeDefined();
  });

  it('for everyone covers what clients hold for themselves', async () => {
    const own = await testDatabase();
    try {
      await givenClient(own, 'app');
      await givenSession(own, { policy });
      await givenServiceTokenRow(own, 'service');
      expect(await endSessions(own.db, { everyone: true }, byAdministrator)).toEqual({ found: 1, ended: 1 });
      expect(await countOf(own, 'artifact WHERE payload IS NOT NULL')).toBe(0);
    } finally {
      await own.close();
    }
  });

  it.each([{}, { kinds: ['browser' as const] }, { exceptUid: 'x' }])(
    'is refused when it says nothing about which: %j',
    async (selector) => {
      await expect(endSessions(database.db, selector, byAdministrator)).rejects.toThrow(TypeError);
    },
  );

  it('of an empty list ends nothing', async () => {
    expect(await endSessions(database.db, { uids: [] }, byAdministrator)).toEqual({ found: 0, ended: 0 });
    await expect(endParticipations(database.db, {}, byAdministrator)).rejects.toThrow(TypeError);
  });
});

describe('an offline session', () => {
  it('outlives the timeout and the plain sign-out of its parent unless policy says otherwise', async () => {
    const parent = await givenSession(database, { policy });
    await givenPart(database, parent);
    const child = await givenChild(database, parent);
    await endSessions(database.db, { uids: [parent.uid] }, { reason: 'user_ended', actor: 'person:x' });
    await database.setNow(at(24 * HOUR));
    await endOverdueSessions(database.db);
    expect(await findLiveSession(database.db, { uid: child.sessionUid })).toBeDefined();
  });

  it('with endWith: session ends with the plain sign-out of its parent', async () => {
    const parent = await givenSession(database, { policy: offlineWithParent });
    await givenPart(database, parent);
    const child = await givenChild(database, parent, { policy: offlineWithParent });
    const { idHash } = await storeToken(database, child);
    await endSessions(database.db, { uids: [parent.uid] }, { reason: 'user_ended', actor: 'person:x' });
    expect(await endOf(database, child.sessionUid)).toMatchObject({ reason: 'user_ended', endedAt: start });
    expect(await findLiveArtifact(database.db, idHash)).toBeUndefined();
  });

  it('with endWith: session is dead the moment its parent is, whether or not anybody has ended that', async () => {
    const parent = await givenSession(database, { policy: offlineWithParent });
    await givenPart(database, parent);
    const child = await givenChild(database, parent, { policy: offlineWithParent });
    const { idHash } = await storeToken(database, child, { lifetimeSeconds: 3600 });
    await database.setNow(at(30 * MINUTE - 1));
    expect(await findLiveArtifact(database.db, idHash)).toMatchObject({ sessionIdleDeadline: at(30 * MINUTE) });
    await database.setNow(at(30 * MINUTE));

    expect(await findLiveSession(database.db, { uid: child.sessionUid })).toBeUndefined();
    expect(await findLiveParticipation(database.db, { sid: child.sid })).toBeUndefined();
    expect(await findLiveArtifact(database.db, idHash)).toBeUndefined();
    expect(await findTombstone(database.db, idHash)).toMatchObject({
      reason: 'idle_timeout',
      endedAt: at(30 * MINUTE),
    });
    expect((await storeToken(database, child)).stored).toBe(false);
    const activity = { sessionUid: child.sessionUid, sid: child.sid, movesSession: true, movesParticipation: true };
    expect(await recordActivity(database.db, { ...activity, origin })).toBeUndefined();
    expect(await findSessionDetails(database.db, child.sessionUid)).toMatchObject({
      state: 'ended',
      endReason: 'idle_timeout',
      endedAt: at(30 * MINUTE),
      participations: [{ state: 'ended', endReason: 'idle_timeout', endedAt: at(30 * MINUTE) }],
    });
    expect(await listSessions(database.db, { parentUid: parent.uid, state: 'live', limit: 10 })).toEqual([]);

    await database.setNow(at(HOUR));
    expect(await endOverdueSessions(database.db)).toEqual({ found: 2, ended: 2 });
    expect(await endOf(database, child.sessionUid)).toMatchObject({
      reason: 'idle_timeout',
      endedAt: at(30 * MINUTE),
    });
  });

  it('with endWith: session ends at the deadline of its parent when somebody ends it later', async () => {
    const parent = await givenSession(database, { policy: offlineWithParent });
    await givenPart(database, parent);
    const child = await givenChild(database, parent, { policy: offlineWithParent });
    await database.setNow(at(HOUR));
    await endSessions(database.db, { uids: [child.sessionUid] }, byAdministrator);
    expect(await endOf(database, child.sessionUid)).toMatchObject({
      reason: 'idle_timeout',
      endedAt: at(30 * MINUTE),
    });
  });
});

describe('the end of a participation', () => {
  it('leaves the session and its other clients', async () => {
    const session = await givenSession(database, { policy });
    const app = await givenPart(database, session);
    const other = await givenPart(database, session, { clientId: 'other' });
    const token = await storeToken(database, { sessionUid: session.uid, sid: app.sid });
    const kept = await storeToken(database, { sessionUid: session.uid, sid: other.sid });
    const results = await Promise.all([
      endParticipations(database.db, { sids: [app.sid] }, { reason: 'rp_logout', actor: 'client:app' }),
      endParticipations(database.db, { sids: [app.sid] }, { reason: 'token_reuse', actor: 'client:app' }),
    ]);

    expect(results.map(({ ended }) => ended).sort()).toEqual([0, 1]);
    expect(await findLiveArtifact(database.db, token.idHash)).toBeUndefined();
    expect(await findLiveArtifact(database.db, kept.idHash)).toBeDefined();
    expect(await findLiveSession(database.db, { uid: session.uid })).toBeDefined();
    expect(await auditOf(session.uid)).toHaveLength(1);
  });

  it('past its own deadline was then, by its own timeout, and the alarm takes those alone', async () => {
    const session = await givenSession(database, { policy: strict });
    const { sid } = await givenPart(database, session, { clientId: 'strict', policy: strict, data: ['restricted'] });
    const app = await givenPart(database, session);
    await database.setNow(at(5 * MINUTE - 1));
    expect(await endOverdueParticipations(database.db)).toEqual({ found: 0, ended: 0 });
    await database.setNow(at(7 * MINUTE));
    expect(await endOverdueParticipations(database.db)).toEqual({ found: 1, ended: 1 });
    expect(await endOfPart(sid)).toEqual({ at: at(5 * MINUTE), reason: 'idle_timeout' });
    expect(await findLiveParticipation(database.db, { sid: app.sid })).toBeDefined();
  });

  it('of an offline session is the end of it', async () => {
    const parent = await givenSession(database, { policy });
    await givenPart(database, parent);
    const child = await givenChild(database, parent);
    await endParticipations(database.db, { sids: [child.sid] }, { reason: 'token_reuse', actor: 'client:app' });
    expect(await endOf(database, child.sessionUid)).toMatchObject({ reason: 'token_reuse' });
    expect(await findLiveSession(database.db, { uid: parent.uid })).toBeDefined();
  });
});

describe('many sessions', () => {
  /** Rows as begin and join leave them, in numbers. */
  async function givenMany(count: number): Promise<string> {
    const model = await givenSession(database, { policy });
    await givenPart(database, model);
    const columns = await database.query<{ name: string }>(
      `SELECT column_name AS name FROM information_schema.columns
       WHERE table_name = 'session' AND is_generated = 'NEVER' AND column_name NOT IN ('uid', 'cookie_hash')`,
    );
    const names = columns.map(({ name }) => name).join(', ');
    await database.query(
      `INSERT INTO session (uid, ${names})
       SELECT 'many-' || gen_random_uuid(), ${names} FROM session, generate_series(2, $2) WHERE uid = $1`,
      [model.uid, count],
    );
    return model.accountId;
  }

  it('two thousand of them end, in transactions of five hundred', async () => {
    const accountId = await givenMany(2_000);
    const before = await countOf(database, 'audit_event');
    expect(await endSessions(database.db, { accountId }, byAdministrator)).toEqual({ found: 2_000, ended: 2_000 });
    expect((await countOf(database, 'audit_event')) - before).toBe(2_001);
    const [transactions] = await database.query<{ n: number }>(
      'SELECT count(DISTINCT xmin::text)::int AS n FROM session WHERE account_id = $1',
      [accountId],
    );
    expect(transactions?.n).toBe(4);
  });

  it.each([499, 500, 501, 1_000])('%i of them end to the last', async (count) => {
    const accountId = await givenMany(count);
    expect(await endSessions(database.db, { accountId }, byAdministrator)).toEqual({ found: count, ended: count });
    expect(await countOf(database, 'live_session WHERE account_id = $1', [accountId])).toBe(0);
  });

  it('whoever asks for an end that somebody else is at gets it whole: none is live when either returns', async () => {
    const accountId = await givenMany(1_600);
    const ends = Array.from({ length: 4 }, async () => {
      const { ended } = await endSessions(database.db, { accountId }, byAdministrator);
      return { ended, left: await countOf(database, 'live_session WHERE account_id = $1', [accountId]) };
    });
    const results = await Promise.all(ends);
    expect(results.map(({ left }) => left)).toEqual([0, 0, 0, 0]);
    expect(results.reduce((sum, { ended }) => sum + ended, 0)).toBe(1_600);
  });
});
