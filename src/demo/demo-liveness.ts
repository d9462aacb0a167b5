import type { Answer, CurfewClient } from './curfew-client.ts';
import { addEvent, type DemoSession, endDemoSession, type SignedIn, type Tokens } from './demo-session.ts';

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
  const answer =
    visit === 'person'
      ? await callForPerson(client, session, signedIn, client.findSession)
      : await askForPage(client, signedIn);
  return take(session, signedIn, answer);
}

/** Reports that somebody is there, for which the access token must be a live one. */
export async function reportPresence(client: CurfewClient, session: DemoSession): Promise<void> {
  const { signedIn } = session;
  if (signedIn === undefined) return;
  const answer = take(session, signedIn, await callForPerson(client, session, signedIn, client.extendSession));
  if (answer.state === 'live') addEvent(session, 'You said that you are still here: the idle time starts again.');
}

/** Asks without anything that could count as activity. */
export async function askForPage(client: CurfewClient, { tokens }: SignedIn): Promise<Answer> {
  const answer = await client.findSession(tokens);
  if (answer.state !== 'token_expired') return answer;
  const introspected = await client.introspect(tokens);
  if (introspected.state !== 'ended') return introspected;
  // It ended between the two questions: asked again, the dead token says why.
  const reason = await client.findSession(tokens);
  return reason.state === 'ended' ? reason : introspected;
}

/** Whether a token has run out is for Curfew to say; our own clock only saves a call that would be in vain. */
async function callForPerson(
  client: CurfewClient,
  session: DemoSession,
  signedIn: SignedIn,
  call: (tokens: Tokens) => Promise<Answer>,
): Promise<Answer> {
  const { tokens } = signedIn;
  if (tokens.accessTokenExpiresAt.getTime() > Date.now()) {
    const answer = await call(tokens);
    if (answer.state !== 'token_expired') return answer;
  }
  try {
    // Not if another request has done so while this one asked.
    if (signedIn.tokens === tokens) await refreshOnce(client, session, signedIn);
  } catch {
    return { state: 'unknown' };
  }
  // With the new token, or if there is none with the dead one, whose answer says why.
  return call(signedIn.tokens);
}

function refreshOnce(client: CurfewClient, session: DemoSession, signedIn: SignedIn): Promise<void> {
  signedIn.refreshing ??= refresh(client, session, signedIn).finally(() => {
    delete signedIn.refreshing;
  });
  return signedIn.refreshing;
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
