import { randomBytes } from 'node:crypto';

/** What a client remembers between sending somebody to sign in and their return. */
export interface PendingSignIn {
  state: string;
  nonce: string;
  codeVerifier: string;
  returnTo: string;
}

export interface Tokens {
  accessToken: string;
  accessTokenExpiresAt: Date;
  refreshToken?: string;
  idToken: string;
}

export interface SignedIn {
  sub: string;
  sid: string;
  name: string;
  tokens: Tokens;
  /** What Curfew said last; asked again before every answer. */
  deadlines?: { idleExpiresAt: Date; absoluteExpiresAt: Date };
  /** One refresh at a time: a refresh token that comes twice is taken for stolen. */
  refreshing?: Promise<void>;
}

export interface DemoSession {
  pending?: PendingSignIn;
  signedIn?: SignedIn;
  /** Why the last one ended, in Curfew's words. */
  ended?: { message: string; at: Date };
  /** What happened, newest first. */
  events: { at: Date; text: string }[];
}

const MOST_SESSIONS = 1_000;
const MOST_EVENTS = 8;

export type DemoSessions = ReturnType<typeof createDemoSessions>;

/** Sessions of a demo client: on the server, in memory, under a random value that the cookie carries. */
export function createDemoSessions() {
  const sessions = new Map<string, DemoSession>();
  return {
    find: (id: string | undefined): DemoSession | undefined => (id === undefined ? undefined : sessions.get(id)),
    begin(): { id: string; session: DemoSession } {
      const [oldest] = sessions.keys();
      if (sessions.size >= MOST_SESSIONS && oldest !== undefined) sessions.delete(oldest);
      const id = randomBytes(24).toString('base64url');
      const session: DemoSession = { events: [] };
      sessions.set(id, session);
      return { id, session };
    },
    /** Gives a session another name, so that one known from before sign-in is worth nothing after it. */
    rename(id: string): string {
      const session = sessions.get(id);
      sessions.delete(id);
      const renamed = randomBytes(24).toString('base64url');
      if (session !== undefined) sessions.set(renamed, session);
      return renamed;
    },
    /** The signed-in sessions that a logout token means: by `sid`, or all of a `sub`. */
    withSubject({ sid, sub }: { sid?: string | undefined; sub?: string | undefined }): DemoSession[] {
      return [...sessions.values()].filter(({ signedIn }) =>
        sid === undefined ? sub !== undefined && signedIn?.sub === sub : signedIn?.sid === sid,
      );
    },
  };
}

export function addEvent(session: DemoSession, text: string): void {
  session.events = [{ at: new Date(), text }, ...session.events].slice(0, MOST_EVENTS);
}

/** Drops the tokens: what is left of a session that ended is why it did. */
export function endDemoSession(session: DemoSession, message: string): void {
  if (session.signedIn === undefined) return;
  delete session.signedIn;
  session.ended = { message, at: new Date() };
  addEvent(session, message);
}
