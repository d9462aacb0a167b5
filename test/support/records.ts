import * as client from 'openid-client';
import type { Browser } from './browser.ts';
import type { Curfew } from './curfew.ts';
import { type Flow, newBrowser, type RelyingParty, type Tokens } from './relying-party.ts';

export const EXPIRED = 'Session Expired: Please Reauthenticate';
export const MINUTES = 60_000;
export const HOURS = 60 * MINUTES;

export interface EndRecord {
  endedAt: Date | null;
  endCommittedAt: Date | null;
  endReason: string | null;
}

export interface SessionRecord extends EndRecord {
  uid: string;
  kind: string;
  accountId: string;
  parentUid: string | null;
  authenticatedAt: Date;
  idleDeadline: Date;
  absoluteDeadline: Date;
}

export interface ParticipationRecord extends EndRecord {
  sid: string;
  sessionUid: string;
  clientId: string;
  idleDeadline: Date | null;
  absoluteDeadline: Date | null;
}

const END = 'ended_at AS "endedAt", end_committed_at AS "endCommittedAt", end_reason AS "endReason"';

function only<T>(rows: T[]): T {
  const [row] = rows;
  if (row === undefined || rows.length > 1) throw new Error(`${rows.length} rows`);
  return row;
}

/** The session as it is stored, dead or alive, that a client knows by this `sid`. */
export async function sessionOf({ query }: Curfew, sid: string): Promise<SessionRecord> {
  return only(
    await query<SessionRecord & Record<string, unknown>>(
      `SELECT uid, kind, account_id AS "accountId", parent_uid AS "parentUid", authenticated_at AS "authenticatedAt",
         idle_deadline AS "idleDeadline", absolute_deadline AS "absoluteDeadline", ${END}
       FROM session WHERE uid = (SELECT session_uid FROM participation WHERE sid = $1)`,
      [sid],
    ),
  );
}

export async function participationOf({ query }: Curfew, sid: string): Promise<ParticipationRecord> {
  return only(
    await query<ParticipationRecord & Record<string, unknown>>(
      `SELECT sid, session_uid AS "sessionUid", client_id AS "clientId", idle_deadline AS "idleDeadline",
         absolute_deadline AS "absoluteDeadline", ${END}
       FROM participation WHERE sid = $1`,
      [sid],
    ),
  );
}

/** How many artifacts of a participation still hold what they were stored with. */
export async function artifactsLeft({ query }: Curfew, sid: string): Promise<number> {
  const [row] = await query<{ count: number }>(
    'SELECT count(*)::int AS count FROM artifact WHERE sid = $1 AND payload IS NOT NULL',
    [sid],
  );
  return row?.count ?? 0;
}

export async function eventsOf(
  { query }: Curfew,
  sessionUid: string,
  type: string,
): Promise<{ reason: string | null; actor: string; clientId: string | null; details: Record<string, unknown> }[]> {
  return query(
    `SELECT reason, actor, client_id AS "clientId", details FROM audit_event WHERE session_uid = $1 AND type = $2 ORDER BY id`,
    [sessionUid, type],
  );
}

export async function deliveriesOf(
  { query }: Curfew,
  sid: string,
): Promise<{ clientId: string; accountId: string; reason: string; afterSeconds: number }[]> {
  return query(
    `SELECT client_id AS "clientId", account_id AS "accountId", reason,
       extract(epoch FROM next_attempt_at - owed_at)::int AS "afterSeconds"
     FROM delivery WHERE sid = $1 ORDER BY id`,
    [sid],
  );
}

/** What the database's clock says. */
export async function databaseTime({ query }: Curfew): Promise<Date> {
  return only(await query<{ now: Date }>('SELECT curfew_instant() AS now')).now;
}

/** Stops the database's clock that long before an instant, and lets the server notice. */
export async function stopClock(curfew: Curfew, instant: Date, millisecondsBefore = 0): Promise<void> {
  await curfew.setNow(new Date(instant.getTime() - millisecondsBefore));
  await curfew.server.clock.measure();
}

export interface SignedIn {
  browser: Browser;
  flow: Flow;
  tokens: Tokens;
  sid: string;
  session: SessionRecord;
}

/** A person who signed in to a client just now, in a browser of their own unless told otherwise. */
export async function signedIn(
  curfew: Curfew,
  party: RelyingParty,
  login: string,
  {
    parameters = {},
    browser = newBrowser(curfew.issuer),
  }: { parameters?: Record<string, string>; browser?: Browser } = {},
): Promise<SignedIn> {
  const flow = await party.signIn(browser, login, parameters);
  const tokens = await flow.redeem();
  const sid = sidOf(tokens);
  return { browser, flow, tokens, sid, session: await sessionOf(curfew, sid) };
}

export function sidOf(tokens: Tokens): string {
  return String(tokens.claims()?.sid);
}

export interface Refusal {
  status: number;
  error: string;
  description: string | undefined;
}

/** How the token endpoint, or another that openid-client asks, refused. */
export async function refusalOf(asked: Promise<unknown>): Promise<Refusal> {
  try {
    await asked;
  } catch (error) {
    if (error instanceof client.ResponseBodyError) {
      return { status: error.status, error: error.error, description: error.error_description };
    }
    if (error instanceof client.WWWAuthenticateChallengeError) {
      const [challenge] = error.cause;
      const { error: code = '', error_description: description } = challenge?.parameters ?? {};
      return { status: error.status, error: code, description };
    }
    throw error;
  }
  throw new Error('it was not refused');
}

/** What the client was told on the way back. */
export function errorOf({ callback, page }: Flow): { error: string | null; description: string | null } {
  if (callback === undefined) throw new Error(`no callback: ${page.status} ${page.url}\n${page.text}`);
  return { error: callback.searchParams.get('error'), description: callback.searchParams.get('error_description') };
}

export const expiredGrant: Refusal = { status: 400, error: 'invalid_grant', description: EXPIRED };

/** What the browser's own page is told of its session. */
export async function stateByCookie({ issuer }: Curfew, browser: Browser): Promise<Record<string, string>> {
  const answer = await fetch(`${issuer}/session`, { headers: { cookie: cookieHeader(browser) } });
  return (await answer.json()) as Record<string, string>;
}

export const cookieHeader = (browser: Browser): string =>
  [...browser.cookies()].map(([name, value]) => `${name}=${value}`).join('; ');
