import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { consumeArtifact, findLiveArtifact, storeBoundArtifact } from '../../src/artifacts/store.ts';
import { clampSeconds } from '../../src/policy/deadlines.ts';
import type { EndReason } from '../../src/policy/end-reason.ts';
import { beginSession } from '../../src/sessions/begin-session.ts';
import {
  endOverdueParticipations,
  endOverdueSessions,
  endParticipations,
  endSessions,
} from '../../src/sessions/end-sessions.ts';
import { joinSession } from '../../src/sessions/join-session.ts';
import { findLiveParticipation } from '../../src/sessions/participation-store.ts';
import { findLiveSession, recordActivity } from '../../src/sessions/store.ts';
import { type TestDatabase, testDatabase } from '../support/database.ts';
import {
  byAdministrator,
  countOf,
  givenAccount,
  givenClient,
  joining,
  newHash,
  origin,
  type Person,
  policyOf,
  signInOf,
} from '../support/given-sessions.ts';
import { type MovingClock, movingClock } from '../support/moving-clock.ts';

const IDLE = 600;
const ABSOLUTE = 3_600;
const PART_IDLE = 200;
const PART_ABSOLUTE = 1_500;
const TOKEN = 300;
const CLIENTS = ['app', 'strict'] as const;
const policy = policyOf({ idleSeconds: IDLE, absoluteSeconds: ABSOLUTE }, [
  { name: 'strict', when: { clients: ['strict'] }, limits: { idleSeconds: PART_IDLE, absoluteSeconds: PART_ABSOLUTE } },
]);

let database: TestDatabase;
let clock: MovingClock;
let now = Date.parse('2026-03-01T08:00:00.000Z');
let people: Person[];
beforeAll(async () => {
  database = await testDatabase();
  for (const clientId of CLIENTS) await givenClient(database, clientId);
  clock = await movingClock(database, new Date(now));
  people = [await givenAccount(database), await givenAccount(database)];
});
afterAll(() => database.close());

interface Life {
  idle: number;
  absolute: number;
  end?: { at: number; reason: EndReason };
}
interface ModelPart extends Life {
  sid: string;
  clientId: (typeof CLIENTS)[number];
}
interface ModelSession extends Life {
  uid: string;
  person: Person;
  parts: ModelPart[];
  authenticated: number;
}
interface ModelToken {
  idHash: Uint8Array<ArrayBuffer>;
  session: ModelSession;
  part: ModelPart;
  expires: number;
  used: boolean;
}

const deadlineOf = (life: Life) => Math.min(life.idle, life.absolute);
const isLive = (life: Life) => life.end === undefined && now < deadlineOf(life);
const timeoutOf = (life: Life): EndReason => (life.idle < life.absolute ? 'idle_timeout' : 'absolute_timeout');

/** Sessions, parts and tokens as the laws want them, in memory. */
class Model {
  sessions: ModelSession[] = [];
  tokens: ModelToken[] = [];

  end(life: Life, reason: EndReason): void {
    if (life.end !== undefined) return;
    const deadline = deadlineOf(life);
    life.end = now < deadline ? { at: now, reason } : { at: deadline, reason: timeoutOf(life) };
  }

  endSession(session: ModelSession, reason: EndReason): void {
    if (session.end !== undefined) return;
    this.end(session, reason);
    const { at, reason: because } = session.end ?? { at: now, reason };
    for (const part of session.parts) this.endPartWith(part, at, because);
  }

  endPartWith(part: ModelPart, at: number, reason: EndReason): void {
    if (part.end !== undefined) return;
    const deadline = deadlineOf(part);
    part.end = at < deadline ? { at, reason } : { at: deadline, reason: timeoutOf(part) };
  }

  isTokenLive({ session, part, expires }: ModelToken): boolean {
    return isLive(session) && isLive(part) && now < expires;
  }
}

type Step =
  | { do: 'begin'; person: number }
  | { do: 'sign in again'; session: number }
  | { do: 'activity'; session: number; part: number | null }
  | { do: 'join'; session: number; client: number }
  | { do: 'store'; session: number; part: number }
  | { do: 'consume'; token: number }
  | { do: 'end session'; session: number }
  | { do: 'end part'; session: number; part: number }
  | { do: 'log out'; person: number }
  | { do: 'alarm' }
  | { do: 'wait'; seconds: number; milliseconds: number };

const any = fc.nat({ max: 5 });
const steps = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: fc.record({ do: fc.constant('begin' as const), person: fc.nat({ max: 1 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('sign in again' as const), session: any }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('activity' as const), session: any, part: fc.option(any) }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('join' as const), session: any, client: fc.nat({ max: 1 }) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('store' as const), session: any, part: any }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('consume' as const), token: any }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('end session' as const), session: any }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('end part' as const), session: any, part: any }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('log out' as const), person: fc.nat({ max: 1 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('alarm' as const) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('wait' as const),
        seconds: fc.constantFrom(1, 60, PART_IDLE - 60, PART_IDLE, TOKEN, IDLE - 60, IDLE, PART_ABSOLUTE, ABSOLUTE),
        milliseconds: fc.constantFrom(-1, 0, 1, 500),
      }),
    },
  ),
  { minLength: 1, maxLength: 40 },
) satisfies fc.Arbitrary<Step[]>;

const pick = <T>(list: readonly T[], index: number): T | undefined => list[index % Math.max(1, list.length)];
const seconds = (count: number) => count * 1_000;

async function take(model: Model, step: Step): Promise<void> {
  const { db } = database;
  switch (step.do) {
    case 'begin': {
      const person = people[step.person];
      if (person === undefined) return;
      const attempt = await signInOf(database, person);
      expect(await beginSession(db, policy, attempt)).toMatchObject({ begun: true });
      model.sessions.push({
        uid: attempt.uid,
        person,
        parts: [],
        authenticated: now,
        idle: now + seconds(IDLE),
        absolute: now + seconds(ABSOLUTE),
      });
      return;
    }
    case 'sign in again': {
      const session = pick(model.sessions, step.session);
      if (session === undefined) return;
      const again = { ...(await signInOf(database, session.person)), uid: session.uid };
      const result = await beginSession(db, policy, again);
      expect(result.begun).toBe(isLive(session));
      if (!result.begun) return;
      const live = session.parts.filter((part) => isLive(part));
      session.authenticated = now;
      session.idle = now + seconds(IDLE);
      session.absolute = now + seconds(ABSOLUTE);
      for (const part of live.filter(({ clientId }) => clientId === 'strict')) {
        part.absolute = now + seconds(PART_ABSOLUTE);
      }
      return;
    }
    case 'activity': {
      const session = pick(model.sessions, step.session);
      if (session === undefined) return;
      const part = step.part === null ? undefined : pick(session.parts, step.part);
      const deadlines = await recordActivity(db, {
        sessionUid: session.uid,
        sid: part?.sid,
        movesSession: true,
        movesParticipation: part !== undefined,
        origin,
      });
      const counts = isLive(session) && (part === undefined || isLive(part));
      expect(deadlines !== undefined).toBe(counts);
      if (!counts) return;
      session.idle = now + seconds(IDLE);
      if (part?.clientId === 'strict') part.idle = now + seconds(PART_IDLE);
      return;
    }
    case 'join': {
      const session = pick(model.sessions, step.session);
      const clientId = CLIENTS[step.client];
      if (session === undefined || clientId === undefined) return;
      const known = { uid: session.uid, kind: 'browser' as const, accountId: session.person.id, acr: null, amr: [] };
      const theirs = session.parts.filter((part) => part.clientId === clientId);
      const last = theirs.at(-1);
      const mayJoin =
        isLive(session) &&
        (last === undefined || isLive(last) || (last.end?.at ?? deadlineOf(last)) < session.authenticated);
      const joined = await joinSession(db, policy, joining(known, clientId));
      expect(joined !== undefined).toBe(mayJoin);
      if (joined === undefined) return;
      const existing = session.parts.find(({ sid }) => sid === joined.sid);
      if (existing !== undefined) {
        expect(isLive(existing)).toBe(true);
        return;
      }
      for (const part of theirs) {
        expect(isLive(part)).toBe(false);
        model.end(part, 'idle_timeout');
      }
      session.parts.push({
        sid: joined.sid,
        clientId,
        idle: joined.idleDeadline?.getTime() ?? Number.POSITIVE_INFINITY,
        absolute: joined.absoluteDeadline?.getTime() ?? Number.POSITIVE_INFINITY,
      });
      return;
    }
    case 'store': {
      const session = pick(model.sessions, step.session);
      const part = session && pick(session.parts, step.part);
      if (session === undefined || part === undefined) return;
      const deadlines = [session.idle, session.absolute, part.idle, part.absolute];
      const lifetimeSeconds = clampSeconds({
        limitSeconds: TOKEN,
        now: new Date(now),
        deadlines: deadlines.map((at) => (Number.isFinite(at) ? new Date(at) : null)),
      });
      const idHash = newHash();
      const payload = Uint8Array.of(1);
      const stored = await storeBoundArtifact(
        db,
        { idHash, model: 'RefreshToken', payload, lifetimeSeconds: Math.max(1, lifetimeSeconds) },
        { sessionUid: session.uid, sid: part.sid },
      );
      expect(stored).toBe(isLive(session) && isLive(part));
      if (stored) {
        const expires = Math.min(now + seconds(Math.max(1, lifetimeSeconds)), session.absolute, part.absolute);
        if (lifetimeSeconds > 0) expect(expires).toBeLessThanOrEqual(Math.min(...deadlines));
        model.tokens.push({ idHash, session, part, used: false, expires });
      }
      return;
    }
    case 'consume': {
      const token = pick(model.tokens, step.token);
      if (token === undefined) return;
      const results = await Promise.all([consumeArtifact(db, token.idHash), consumeArtifact(db, token.idHash)]);
      expect(results.filter(Boolean)).toHaveLength(model.isTokenLive(token) && !token.used ? 1 : 0);
      token.used ||= results.includes(true);
      return;
    }
    case 'end session': {
      const session = pick(model.sessions, step.session);
      if (session === undefined) return;
      const wasOver = session.end !== undefined;
      const { ended } = await endSessions(db, { uids: [session.uid] }, byAdministrator);
      expect(ended).toBe(wasOver ? 0 : 1);
      model.endSession(session, 'admin_forced');
      return;
    }
    case 'end part': {
      const session = pick(model.sessions, step.session);
      const part = session && pick(session.parts, step.part);
      if (session === undefined || part === undefined) return;
      const { ended } = await endParticipations(db, { sids: [part.sid] }, byAdministrator);
      expect(ended).toBe(part.end === undefined ? 1 : 0);
      const sessionOver = deadlineOf(session);
      if (sessionOver <= now) model.endPartWith(part, sessionOver, timeoutOf(session));
      else model.end(part, 'admin_forced');
      return;
    }
    case 'log out': {
      const person = people[step.person];
      if (person === undefined) return;
      const theirs = model.sessions.filter((session) => session.person === person && session.end === undefined);
      const { ended } = await endSessions(db, { accountId: person.id }, byAdministrator);
      expect(ended).toBe(theirs.length);
      for (const session of theirs) model.endSession(session, 'admin_forced');
      return;
    }
    case 'alarm': {
      await endOverdueParticipations(db);
      for (const session of model.sessions) {
        for (const part of session.parts.filter((part) => part.end === undefined && deadlineOf(part) <= now)) {
          const sessionOver = deadlineOf(session);
          if (sessionOver <= now) model.endPartWith(part, sessionOver, timeoutOf(session));
          else model.end(part, 'idle_timeout');
        }
      }
      await endOverdueSessions(db);
      for (const session of model.sessions) if (!isLive(session)) model.endSession(session, 'idle_timeout');
      return;
    }
    case 'wait':
      now += seconds(step.seconds) + step.milliseconds;
      await clock.set(new Date(now));
  }
}

/** What the database says is what the model says, of everything that ever was. */
async function compare(model: Model): Promise<void> {
  const { db } = database;
  for (const session of model.sessions) {
    expect((await findLiveSession(db, { uid: session.uid })) !== undefined).toBe(isLive(session));
    const [row] = await database.query<{ at: Date | null; reason: string | null }>(
      'SELECT ended_at AS at, end_reason AS reason FROM session WHERE uid = $1',
      [session.uid],
    );
    expect(row).toEqual({
      at: session.end ? new Date(session.end.at) : null,
      reason: session.end?.reason ?? null,
    });
    for (const part of session.parts) {
      const isThere = (await findLiveParticipation(db, { sid: part.sid })) !== undefined;
      expect(isThere).toBe(isLive(session) && isLive(part));
      const [partRow] = await database.query<{ at: Date | null; reason: string | null }>(
        'SELECT ended_at AS at, end_reason AS reason FROM participation WHERE sid = $1',
        [part.sid],
      );
      expect(partRow).toEqual({
        at: part.end ? new Date(part.end.at) : null,
        reason: part.end?.reason ?? null,
      });
    }
  }
  for (const token of model.tokens) {
    expect((await findLiveArtifact(db, token.idHash)) !== undefined).toBe(model.isTokenLive(token));
  }
}

it('no interleaving of begin, activity, join, tokens, ends and time revives anything, or ends it twice', async () => {
  const seed = Number(process.env.FAST_CHECK_SEED ?? Date.now() % 2 ** 31);
  process.stdout.write(`never-revived: FAST_CHECK_SEED=${seed}\n`);
  await fc.assert(
    fc.asyncProperty(steps, async (taken) => {
      await endSessions(database.db, { everyone: true }, byAdministrator);
      const model = new Model();
      for (const step of taken) {
        await take(model, step);
        await compare(model);
      }
      for (const session of model.sessions) {
        const events = (type: string) =>
          countOf(database, 'audit_event WHERE session_uid = $1 AND type = $2', [session.uid, type]);
        expect(await events('session.ended')).toBe(session.end ? 1 : 0);
        const endedParts = session.parts.filter(({ end }) => end !== undefined).length;
        expect(await events('participation.ended')).toBe(endedParts);
      }
    }),
    { seed, numRuns: Number(process.env.FAST_CHECK_RUNS ?? 40) },
  );
}, 120_000);
