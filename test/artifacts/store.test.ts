import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  consumeArtifact,
  findLiveArtifact,
  findTombstone,
  storeArtifact,
  storeOnce,
  storeServiceArtifact,
  wipeArtifact,
  wipeArtifactsOfGrant,
} from '../../src/artifacts/store.ts';
import { disableClient, logoutClient } from '../../src/clients/registry.ts';
import { endParticipations, endSessions } from '../../src/sessions/end-sessions.ts';
import { joinSession } from '../../src/sessions/join-session.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import {
  byAdministrator,
  countOf,
  givenClient,
  givenPart,
  givenSession,
  joining,
  newHash,
  policyOf,
  storeToken,
} from '../support/given-sessions.ts';
import { deadlocksOf, holdLock, untilWaiting } from '../support/locks.ts';
import { type MovingClock, movingClock } from '../support/moving-clock.ts';

const policy = policyOf({ idleSeconds: 900, absoluteSeconds: 3600 });
const start = new Date('2026-03-01T08:00:00.000Z');
const later = (seconds: number) => new Date(start.getTime() + seconds * 1000);

let database: TestDatabase;
let clock: MovingClock;
beforeAll(async () => {
  database = await testDatabase();
  await givenClient(database, 'app');
  clock = await movingClock(database, start);
});
afterAll(() => database.close());
beforeEach(() => clock.set(start));

async function givenBinding() {
  const session = await givenSession(database, { policy });
  const { sid } = await givenPart(database, session, { policy });
  return { sessionUid: session.uid, sid };
}

const unwiped = (sessionUid: string) =>
  countOf(database, 'artifact WHERE session_uid = $1 AND payload IS NOT NULL', [sessionUid]);
const endBoth = {
  'the session': ({ sessionUid }: { sessionUid: string }) =>
    endSessions(database.db, { uids: [sessionUid] }, byAdministrator),
  'the participation': ({ sid }: { sid: string }) => endParticipations(database.db, { sids: [sid] }, byAdministrator),
  'all of the client': () => logoutClient(database.db, 'app', { actor: 'administrator:test' }),
};
const ends = Object.entries(endBoth);

describe('storing', () => {
  it.each(ends)('while the end of %s is under way leaves nothing', async (_what, end) => {
    for (let round = 0; round < 5; round += 1) {
      const binding = await givenBinding();
      const inserts = Array.from({ length: 40 }, () => storeToken(database, binding));
      await Promise.race(inserts);
      await end(binding);
      const tokens = await Promise.all(inserts);
      for (const { idHash } of tokens) expect(await findLiveArtifact(database.db, idHash)).toBeUndefined();
      expect(await unwiped(binding.sessionUid)).toBe(0);
      expect((await storeToken(database, binding)).stored).toBe(false);
    }
  });

  it.each(ends)('that waits for the end of %s is refused', async (_what, end) => {
    const binding = await givenBinding();
    const first = await storeToken(database, binding);
    // The end gets as far as wiping, with all its locks, and stops there.
    const lock = await holdLock(database, 'SELECT FROM artifact WHERE id_hash = $1 FOR UPDATE', [
      Buffer.from(first.idHash),
    ]);
    const ended = end(binding);
    await untilWaiting(database, 1);
    const late = storeToken(database, binding);
    await untilWaiting(database, 2);
    await lock.release();
    await ended;

    const { stored, idHash } = await late;
    expect(stored).toBe(false);
    expect(await findTombstone(database.db, idHash)).toBeUndefined();
    expect(await unwiped(binding.sessionUid)).toBe(0);
  });

  it.each(ends)('that the end of %s waits for is wiped with it', async (_what, end) => {
    const binding = await givenBinding();
    const idHash = newHash();
    const lock = await holdLock(
      database,
      `WITH s AS (SELECT FROM session WHERE uid = $1 FOR KEY SHARE), p AS (SELECT FROM participation WHERE sid = $2 FOR KEY SHARE)
       INSERT INTO artifact (id_hash, model, session_uid, sid, client_id, payload, created_at, expires_at)
       SELECT $3, 'AccessToken', $1, $2, 'app', '\\x01', curfew_now(), curfew_now() + interval '1 hour' FROM s, p`,
      [binding.sessionUid, binding.sid, Buffer.from(idHash)],
    );
    const ended = end(binding);
    await untilWaiting(database);
    await lock.release();
    await ended;
    expect(await findLiveArtifact(database.db, idHash)).toBeUndefined();
    expect(await unwiped(binding.sessionUid)).toBe(0);
  });

  it('that waited past the deadline is refused', async () => {
    const binding = await givenBinding();
    const lock = await holdLock(database, 'SELECT FROM session WHERE uid = $1 FOR UPDATE', [binding.sessionUid]);
    const late = storeToken(database, binding);
    await untilWaiting(database);
    await clock.set(later(900));
    await lock.release();
    expect((await late).stored).toBe(false);
  });

  it('that waited for the participation past the deadline is refused', async () => {
    const binding = await givenBinding();
    const lock = await holdLock(database, 'SELECT FROM participation WHERE sid = $1 FOR UPDATE', [binding.sid]);
    const late = storeToken(database, binding);
    await untilWaiting(database);
    await clock.set(later(900));
    await lock.release();
    expect((await late).stored).toBe(false);
  });

  it('cuts the lifetime at the absolute deadline', async () => {
    const binding = await givenBinding();
    const { idHash } = await storeToken(database, binding, { lifetimeSeconds: 100 * 86_400 });
    expect(await findLiveArtifact(database.db, idHash)).toMatchObject({ expiresAt: later(3600) });
  });

  it('under a session that is not the participation’s stores nothing', async () => {
    const [one, two] = [await givenBinding(), await givenBinding()];
    expect((await storeToken(database, { sessionUid: one.sessionUid, sid: two.sid })).stored).toBe(false);
    const { idHash } = await storeToken(database, one);
    expect((await storeToken(database, two, { idHash })).stored).toBe(false);
    expect(await findLiveArtifact(database.db, idHash)).toMatchObject({ sid: one.sid });
  });
});

describe('dead stays dead: storing again', () => {
  it('what was wiped is refused', async () => {
    const binding = await givenBinding();
    const { idHash } = await storeToken(database, binding);
    await wipeArtifact(database.db, idHash);
    expect((await storeToken(database, binding, { idHash })).stored).toBe(false);
    expect(await findLiveArtifact(database.db, idHash)).toBeUndefined();
  });

  it('what has run out is refused', async () => {
    const binding = await givenBinding();
    const { idHash } = await storeToken(database, binding, { lifetimeSeconds: 10 });
    const unbound = { idHash: newHash(), model: 'Interaction', payload: Uint8Array.of(1), lifetimeSeconds: 10 };
    expect(await storeArtifact(database.db, unbound)).toBe(true);
    expect(await storeArtifact(database.db, unbound)).toBe(true);
    await clock.set(later(10));
    expect((await storeToken(database, binding, { idHash })).stored).toBe(false);
    expect(await storeArtifact(database.db, unbound)).toBe(false);
    expect(await findLiveArtifact(database.db, unbound.idHash)).toBeUndefined();
  });

  it('what was consumed leaves it consumed', async () => {
    const binding = await givenBinding();
    const { idHash } = await storeToken(database, binding, { model: 'RefreshToken' });
    expect(await consumeArtifact(database.db, idHash)).toBe(true);
    await storeToken(database, binding, { model: 'RefreshToken', idHash });
    expect(await findLiveArtifact(database.db, idHash)).toMatchObject({ consumedAt: start });
    expect(await consumeArtifact(database.db, idHash)).toBe(false);
  });
});

describe('consuming', () => {
  it('succeeds for one of fifty at once', async () => {
    const binding = await givenBinding();
    const { idHash } = await storeToken(database, binding, { model: 'AuthorizationCode' });
    const results = await Promise.all(Array.from({ length: 50 }, () => consumeArtifact(database.db, idHash)));
    expect(results.filter(Boolean)).toHaveLength(1);
  });

  it.each(ends)('that waits for the end of %s fails', async (_what, end) => {
    const binding = await givenBinding();
    const { idHash } = await storeToken(database, binding);
    const other = await storeToken(database, binding);
    const lock = await holdLock(database, 'SELECT FROM artifact WHERE id_hash = $1 FOR UPDATE', [
      Buffer.from(other.idHash),
    ]);
    const ended = end(binding);
    await untilWaiting(database, 1);
    const consumed = consumeArtifact(database.db, idHash);
    await untilWaiting(database, 2);
    await lock.release();
    await ended;
    expect(await consumed).toBe(false);
    const [row] = await database.query('SELECT consumed_at FROM artifact WHERE id_hash = $1', [Buffer.from(idHash)]);
    expect(row).toEqual({ consumed_at: null });
  });

  it.each(['session WHERE uid', 'participation WHERE sid'])(
    'that waited past the deadline for a lock fails: %s',
    async (from) => {
      const binding = await givenBinding();
      const { idHash } = await storeToken(database, binding, { lifetimeSeconds: 3600 });
      const key = from.startsWith('session') ? binding.sessionUid : binding.sid;
      const lock = await holdLock(database, `SELECT FROM ${from} = $1 FOR UPDATE`, [key]);
      const consumed = consumeArtifact(database.db, idHash);
      await untilWaiting(database);
      await clock.set(later(900));
      await lock.release();
      expect(await consumed).toBe(false);
    },
  );

  it('fails at the instant at which it runs out', async () => {
    const binding = await givenBinding();
    const { idHash } = await storeToken(database, binding, { lifetimeSeconds: 10 });
    await clock.set(later(10));
    expect(await consumeArtifact(database.db, idHash)).toBe(false);
  });
});

describe('a proof’s identifier', () => {
  it('is stored by one of fifty at once', async () => {
    const once = { idHash: newHash(), model: 'ReplayDetection', payload: Uint8Array.of(1), lifetimeSeconds: 60 };
    const results = await Promise.all(Array.from({ length: 50 }, () => storeOnce(database.db, once)));
    expect(results.filter(Boolean)).toHaveLength(1);
  });
});

describe('a client that is disabled', () => {
  const service = (clientId: string) => ({
    idHash: newHash(),
    model: 'ClientCredentials',
    clientId,
    payload: Uint8Array.of(1),
    lifetimeSeconds: 300,
  });

  it('while it is given tokens keeps none, its own ones included', async () => {
    for (let round = 0; round < 3; round += 1) {
      const clientId = `service-${round}`;
      await givenClient(database, clientId);
      const session = await givenSession(database, { policy });
      const { sid } = await givenPart(database, session, { clientId, policy });
      const binding = { sessionUid: session.uid, sid };
      const given = Array.from({ length: 20 }, async (_, n) =>
        n % 2 === 0 ? storeToken(database, binding) : storeServiceArtifact(database.db, service(clientId)),
      );
      await Promise.race(given);
      await disableClient(database.db, clientId, { actor: 'administrator:test' });
      await Promise.all(given);
      const left = 'artifact WHERE (client_id = $1 OR sid = $2) AND payload IS NOT NULL';
      expect(await countOf(database, left, [clientId, sid])).toBe(0);
      expect(await storeServiceArtifact(database.db, service(clientId))).toBe(false);
    }
  });

  it('while it joins sessions has no part left in any', async () => {
    for (let round = 0; round < 3; round += 1) {
      const clientId = `joiner-${round}`;
      await givenClient(database, clientId);
      const sessions = await Promise.all(Array.from({ length: 12 }, () => givenSession(database, { policy })));
      const joins = sessions.map((session) => joinSession(database.db, policy, joining(session, clientId)));
      await Promise.race(joins);
      await disableClient(database.db, clientId, { actor: 'administrator:test' });
      await Promise.all(joins);
      expect(await countOf(database, 'live_participation WHERE client_id = $1', [clientId])).toBe(0);
      const [session] = sessions;
      if (session) expect(await joinSession(database.db, policy, joining(session, clientId))).toBeUndefined();
    }
  });
});

describe('wiping', () => {
  it('what a grant gave out, while its end wipes it too, breaks no deadlock', async () => {
    const before = await deadlocksOf(database);
    for (let round = 0; round < 10; round += 1) {
      const binding = await givenBinding();
      await Promise.all(Array.from({ length: 30 }, () => storeToken(database, binding)));
      await Promise.all([
        wipeArtifactsOfGrant(database.db, binding.sid, 'AccessToken'),
        endBoth['the participation'](binding),
        wipeArtifactsOfGrant(database.db, binding.sid, 'AccessToken'),
        endBoth['the session'](binding),
      ]);
      expect(await unwiped(binding.sessionUid)).toBe(0);
    }
    expect(await deadlocksOf(database)).toBe(before);
  });

  it('tells one of many callers that it was there', async () => {
    const { idHash } = await storeToken(database, await givenBinding());
    const results = await Promise.all(Array.from({ length: 10 }, () => wipeArtifact(database.db, idHash)));
    expect(results.filter(Boolean)).toHaveLength(1);
  });
});
