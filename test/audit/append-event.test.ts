import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { disableAccount } from '../../src/accounts/accounts.ts';
import { findLiveArtifact } from '../../src/artifacts/store.ts';
import { appendEvents } from '../../src/audit/append-event.ts';
import type { AuditEvent } from '../../src/audit/audit-event.ts';
import { beginSession } from '../../src/sessions/begin-session.ts';
import { endParticipations, endSessions } from '../../src/sessions/end-sessions.ts';
import { joinSession } from '../../src/sessions/join-session.ts';
import { findLiveParticipation } from '../../src/sessions/participation-store.ts';
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
  joining,
  policyOf,
  signInOf,
  storeToken,
} from '../support/given-sessions.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await testDatabase();
  await givenClient(database, 'app');
});
afterAll(() => database.close());

const event: AuditEvent = { type: 'test.happened', outcome: 'success', actor: 'system:test' };

interface Stored {
  canonical: Buffer;
  occurred_at: Date;
  type: string;
  user_agent: string | null;
  address: string | null;
  details: Record<string, unknown>;
}

async function append(...events: AuditEvent[]): Promise<Stored[]> {
  await appendEvents(database.db, events);
  const rows = await database.query<Stored>('SELECT * FROM audit_event ORDER BY id DESC LIMIT $1', [events.length]);
  return rows.reverse();
}

const canonicalOf = ({ canonical }: Stored) => JSON.parse(canonical.toString('utf8')) as Record<string, unknown>;

describe('the canonical bytes of an event', () => {
  it('are the same whatever order its facts came in', async () => {
    await database.setNow(new Date('2026-03-01T08:00:00.123Z'));
    const [one, two] = await append(
      { ...event, accountId: 'a', details: { b: 1, a: { z: [1, 2], y: null }, ä: true } },
      { details: { ä: true, a: { y: null, z: [1, 2] }, b: 1 }, accountId: 'a', ...event } as AuditEvent,
    );
    expect(one?.canonical.equals(two?.canonical ?? Buffer.of())).toBe(true);
  });

  it('are these: a change of how they are written would make every proof of old ones fail', async () => {
    await database.setNow(new Date('2026-03-01T08:00:00.120Z'));
    const [stored] = await append({
      type: 'session.ended',
      outcome: 'success',
      actor: 'administrator:1',
      accountId: 'account',
      sessionUid: 'uid',
      clientId: 'app',
      endpoint: 'authorization',
      reason: 'admin_forced',
      address: '2001:db8::1',
      userAgent: 'Ünïcode \u{1f511}',
      details: { kind: 'browser', lag: 1.5, at: new Date(0) },
    });
    expect(stored?.canonical.toString('utf8')).toBe(
      '{"type": "session.ended", "actor": "administrator:1", "reason": "admin_forced", "address": "2001:db8::1", ' +
        '"details": {"at": "1970-01-01T00:00:00.000Z", "lag": 1.5, "kind": "browser"}, "outcome": "success", ' +
        '"clientId": "app", "endpoint": "authorization", "accountId": "account", "userAgent": "Ünïcode \u{1f511}", ' +
        '"occurredAt": "2026-03-01T08:00:00.120Z", "sessionUid": "uid"}',
    );
  });

  it('say what the columns beside them say', async () => {
    const [stored] = await append({ ...event, userAgent: 'browser', address: '192.0.2.1', details: { a: 1 } });
    if (stored === undefined) throw new Error('nothing stored');
    expect(canonicalOf(stored)).toMatchObject({
      type: stored.type,
      userAgent: stored.user_agent,
      address: stored.address,
      details: stored.details,
      occurredAt: stored.occurred_at.toISOString(),
    });
  });

  it.each([
    ['NUL', 'before\0after', 'before\uFFFDafter'],
    ['a lone high surrogate', 'before\uD800after', 'before\uFFFDafter'],
    ['a lone low surrogate', '\uDC00', '\uFFFD'],
    ['newlines and quotes', 'a\r\nb"c\\d\te', 'a\r\nb"c\\d\te'],
    ['what looks like an escape', '\\u0000 \\ud800', '\\u0000 \\ud800'],
    ['100 kB', 'x'.repeat(100_000), 'x'.repeat(1_000)],
    ['a surrogate pair where it is cut', `${'x'.repeat(999)}\u{1f511}`, `${'x'.repeat(999)}\uFFFD`],
    ['direction overrides', '\u202Egnp.exe', '\u202Egnp.exe'],
    ['nothing', '', ''],
  ])('hold %s', async (_what, hostile, kept) => {
    const [stored] = await append({
      ...event,
      userAgent: hostile,
      address: hostile,
      endpoint: hostile,
      clientId: hostile,
      details: { text: hostile, [hostile.slice(0, 20)]: hostile, list: [hostile] },
    });
    if (stored === undefined) throw new Error('nothing stored');
    expect(stored).toMatchObject({ user_agent: kept, details: { text: kept, list: [kept] } });
    expect(canonicalOf(stored)).toMatchObject({ userAgent: kept, endpoint: kept, clientId: kept });
    expect(Buffer.from(stored.canonical.toString('utf8')).equals(stored.canonical)).toBe(true);
  });

  it('can be hashed by whoever reads them, and Postgres gets the same', async () => {
    const [stored] = await append({ ...event, userAgent: 'ü' });
    const [row] = await database.query<{ digest: Buffer }>(
      'SELECT sha256(canonical) AS digest FROM audit_event ORDER BY id DESC LIMIT 1',
    );
    expect(row?.digest.equals(hash('sha256', stored?.canonical ?? '', 'buffer'))).toBe(true);
  });

  it('are at the instant of the database, one for events of one act, in their order', async () => {
    const stored = await append({ ...event, type: 'first' }, { ...event, type: 'second' });
    expect(stored.map(({ type }) => type)).toEqual(['first', 'second']);
    expect(new Set(stored.map(({ occurred_at }) => occurred_at.getTime())).size).toBe(1);
  });

  it('need somebody who acted', async () => {
    await expect(appendEvents(database.db, [{ ...event, actor: '' }])).rejects.toThrow();
  });
});

describe('an act whose event can not be written', () => {
  beforeAll(() =>
    database.query(`CREATE FUNCTION refuse_event() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the disk is full'; END $$;
      CREATE TRIGGER refuse BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION refuse_event();
      ALTER TABLE audit_event DISABLE TRIGGER refuse`),
  );

  async function refused(work: () => Promise<unknown>): Promise<void> {
    await database.query('ALTER TABLE audit_event ENABLE TRIGGER refuse');
    try {
      await expect(work()).rejects.toThrow('the disk is full');
    } finally {
      await database.query('ALTER TABLE audit_event DISABLE TRIGGER refuse');
    }
  }

  it('has not begun a session', async () => {
    const attempt = await signInOf(database, await givenAccount(database));
    await refused(() => beginSession(database.db, policyOf(), attempt));
    expect(await countOf(database, 'session WHERE uid = $1', [attempt.uid])).toBe(0);
  });

  it('has not let a client join', async () => {
    const session = await givenSession(database);
    await refused(() => joinSession(database.db, policyOf(), joining(session)));
    expect(await countOf(database, 'participation WHERE session_uid = $1', [session.uid])).toBe(0);
  });

  it('has not begun an offline session', async () => {
    const session = await givenSession(database);
    await refused(() => givenChild(database, session));
    expect(await countOf(database, 'session WHERE parent_uid = $1', [session.uid])).toBe(0);
  });

  it('has ended nothing, wiped nothing and owes nothing', async () => {
    const session = await givenSession(database);
    const { sid } = await givenPart(database, session);
    const { idHash } = await storeToken(database, { sessionUid: session.uid, sid });
    await refused(() => endSessions(database.db, { uids: [session.uid] }, byAdministrator));
    await refused(() => endParticipations(database.db, { sids: [sid] }, byAdministrator));

    expect(await findLiveSession(database.db, { uid: session.uid })).toBeDefined();
    expect(await findLiveParticipation(database.db, { sid })).toBeDefined();
    expect(await findLiveArtifact(database.db, idHash)).toBeDefined();
    expect(await countOf(database, 'delivery WHERE sid = $1', [sid])).toBe(0);
    await endSessions(database.db, { uids: [session.uid] }, byAdministrator);
    expect(await endOf(database, session.uid)).toMatchObject({ reason: 'admin_forced' });
  });

  it('has not disabled an account', async () => {
    const person = await givenAccount(database);
    const { uid } = await givenSession(database, { person });
    await refused(() => disableAccount(database.db, person.id, { actor: 'administrator:test' }));
    expect(await countOf(database, 'account WHERE id = $1 AND disabled_at IS NULL', [person.id])).toBe(1);
    expect(await findLiveSession(database.db, { uid })).toBeDefined();
  });
});
