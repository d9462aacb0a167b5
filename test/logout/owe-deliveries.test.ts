import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { endParticipations, endSessions } from '../../src/sessions/end-sessions.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import { byAdministrator, givenClient, givenPart, givenSession, storeToken } from '../support/given-sessions.ts';

const start = new Date('2026-03-01T08:00:00.000Z');
const later = (milliseconds: number) => new Date(start.getTime() + milliseconds);

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await givenClient(database, 'app');
  await givenClient(database, 'silent');
  await database.query(`UPDATE client SET backchannel_logout_uri = NULL WHERE client_id = 'silent'`);
});
afterAll(() => database.close());
beforeEach(() => database.setNow(start));

const deliveriesOf = (sid: string) =>
  database.query(
    `SELECT session_uid, client_id, account_id, reason, state, attempt, owed_at, next_attempt_at
     FROM delivery WHERE sid = $1 ORDER BY next_attempt_at`,
    [sid],
  );

async function given(clientId: string, { withToken = true } = {}) {
  const session = await givenSession(database);
  const { sid } = await givenPart(database, session, { clientId });
  if (withToken) await storeToken(database, { sessionUid: session.uid, sid });
  return { session, sid };
}

describe('the end of a participation owes its client', () => {
  it('one message, with all that it takes to send it when everything else is wiped', async () => {
    const { session, sid } = await given('app');
    await database.setNow(later(60_000));
    await endSessions(database.db, { uids: [session.uid] }, byAdministrator);
    expect(await deliveriesOf(sid)).toEqual([
      {
        session_uid: session.uid,
        client_id: 'app',
        account_id: session.accountId,
        reason: 'admin_forced',
        state: 'pending',
        attempt: 0,
        owed_at: later(60_000),
        next_attempt_at: later(60_000),
      },
    ]);
  });

  it.each([
    ['a second one 15 s later if it was given tokens 9.999 s before', 9_999, [9_999, 24_999]],
    ['no second one if that was 10 s before', 10_000, [10_000]],
  ])('%s', async (_behaviour, after, expected) => {
    const { session, sid } = await given('app');
    await database.setNow(later(after));
    await endSessions(database.db, { uids: [session.uid] }, byAdministrator);
    const deliveries = await deliveriesOf(sid);
    expect(deliveries.map(({ next_attempt_at }) => next_attempt_at)).toEqual(expected.map(later));
  });

  it('one for a timeout as much as for a logout', async () => {
    const { session, sid } = await given('app');
    await database.setNow(later(3_600_000));
    await endSessions(database.db, { uids: [session.uid] }, byAdministrator);
    expect(await deliveriesOf(sid)).toMatchObject([{ reason: 'idle_timeout', owed_at: later(3_600_000) }]);
  });

  it('one when it alone ends, and none more when the session does', async () => {
    const { session, sid } = await given('app');
    await database.setNow(later(60_000));
    await endParticipations(database.db, { sids: [sid] }, { reason: 'token_reuse', actor: 'client:app' });
    await endSessions(database.db, { uids: [session.uid] }, byAdministrator);
    expect(await deliveriesOf(sid)).toMatchObject([{ reason: 'token_reuse' }]);
  });

  it('none if it was never given a token, or told nowhere to send it', async () => {
    for (const { session, sid } of [await given('app', { withToken: false }), await given('silent')]) {
      await endSessions(database.db, { uids: [session.uid] }, byAdministrator);
      expect(await deliveriesOf(sid)).toEqual([]);
    }
  });
});
