import type { Context } from 'koa';
import type { EndReason } from '../policy/end-reason.ts';

/** The end of a session, as a person may be told of it. */
export interface EndedSession {
  reason: EndReason;
  /** The limits that held, where they are known: they make the sentence exact. */
  idleSeconds?: number;
  absoluteSeconds?: number;
  endedAt: Date;
}

/** Names and addresses of a client, as its registration tells them (RFC 7591 §2). */
export interface ClientOnPage {
  clientId: string;
  name: string;
  uri?: string;
  logoUri?: string;
  policyUri?: string;
  tosUri?: string;
}

/** A question that an authorization request has for the person in front of the browser. */
export interface OpenInteraction {
  uid: string;
  prompt: 'login' | 'consent';
  /** Whether a device waits for the answer, and not a client that the browser would go back to. */
  isForDevice?: boolean;
  /** Why oidc-provider asks, in its words: `max_age`, `login_prompt`, `no_session` … */
  reasons: string[];
  client: ClientOnPage;
  loginHint?: string;
  /** What is missing, and to be consented to. */
  scopes: string[];
  claims: string[];
  /** Who is signed in: for consent, and for signing in once more. */
  accountLogin?: string;
  /** What will apply to a plain sign-in. */
  limits?: { idleSeconds: number; absoluteSeconds: number };
  /** The session that ended in this browser. */
  ended?: EndedSession;
}

/** The session ended while the page was open: the authorization request has to start again. */
export interface RestartInteraction {
  /** An authorization request with the parameters of the one that can't go on. */
  restartAt: string;
  ended?: EndedSession;
}

export type SignInProblem = 'wrong_credentials' | 'throttled' | 'busy';

/** Where the browser goes next: the provider's own address that resumes the authorization request. */
export interface AnsweredInteraction {
  redirectTo: string;
}

export interface RefusedSignIn {
  problem: SignInProblem;
  retryAfterSeconds?: number;
}

/**
 * What the pages need of the provider.
 *
 * Each gives an address back rather than answering by itself: how a form is answered is for the pages to say.
 */
export interface InteractionPort {
  /** @throws AppError `not_found` (404) for an interaction that isn't this browser's, or no more */
  find(ctx: Context): Promise<OpenInteraction | RestartInteraction>;
  signIn(
    ctx: Context,
    credentials: { login: string; password: string },
  ): Promise<AnsweredInteraction | RefusedSignIn | RestartInteraction>;
  consent(ctx: Context): Promise<AnsweredInteraction | RestartInteraction>;
  abort(ctx: Context): Promise<AnsweredInteraction | RestartInteraction>;
}
