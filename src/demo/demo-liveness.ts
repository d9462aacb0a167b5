import type { Answer, CurfewClient } from './curfew-client.ts';
import { addEvent, type DemoSession, endDemoSession, type SignedIn } from './demo-session.ts';

/** Who causes a question: a person who opens a page, or a page that looks after itself. */
export type Visit = 'person' | 'page';

/**
 * Asks Curfew whether somebody is still signed in. Comes before every answer with content.
 *
 * Tokens are refreshed only for a person: where policy counts a refresh as activity, a page that refreshed by itself
 * would keep them signed in for ever.
 */
export async function checkLiveness(client: CurfewClient, session: DemoSession, visit: Visit): Promise<Answer> {
  const { signedIn } = session;
  if (signedIn === undefined) return { state: 'ended', message: session.ended?.message ?? 'You are not signed in.' };
  if (visit === 'person' && !(await refreshIfOut(client, session, signedIn))) return { state: 'unknown' };
  return take(session, signedIn, await client.ask(signedIn.tokens));
}

/** Reports that somebody is there, for which the access token must be a live one. */
export async function reportPresence(client: CurfewClient, session: DemoSession): Promise<void> {
  const { signedIn } = session;
  if (signedIn === undefined || !(await refreshIfOut(client, session, signedIn))) return;
  const answer = take(session, signedIn, await client.extend(signedIn.tokens));
  if (answer.state === 'live') addEvent(session, 'You said that you are still here: the idle time starts again.');
}

/** @returns whether Curfew could be asked; a refresh token that is dead shows in the question that follows */
async function refreshIfOut(client: CurfewClient, session: DemoSession, signedIn: SignedIn): Promise<boolean> {
  if (signedIn.tokens.accessTokenExpiresAt.getTime() > Date.now()) return true;
  signedIn.refreshing ??= refresh(client, session, signedIn).finally(() => {
    delete signedIn.refreshing;
  });
  try {
    await signedIn.refreshing;
    return true;
  } catch {
    return false;
  }
}

async function refresh(client: CurfewClient, session: DemoSession, signedIn: SignedIn): Promise<void> {
  const tokens = await client.refresh(signedIn.tokens);
  if (tokens === undefined) return;
  signedIn.tokens = tokens;
  addEvent(session, 'The access token had run out: a new one came for the refresh token.');
}

function take(session: DemoSession, signedIn: SignedIn, answer: Answer): Answer {
  // A logout token may have come while Curfew was asked.
  if (session.signedIn !== signedIn) return { state: 'ended', message: session.ended?.message ?? 'You signed out.' };
  if (answer.state === 'token_expired') return end(session, 'This client’s access ran out.');
  if (answer.state === 'ended') return end(session, answer.message);
  if (answer.state === 'live' && answer.idleExpiresAt !== undefined && answer.absoluteExpiresAt !== undefined) {
    signedIn.deadlines = { idleExpiresAt: answer.idleExpiresAt, absoluteExpiresAt: answer.absoluteExpiresAt };
  }
  return answer;
}

function end(session: DemoSession, message: string): Answer {
  endDemoSession(session, message);
  return { state: 'ended', message };
}
