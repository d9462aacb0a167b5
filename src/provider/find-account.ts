import { errors, type FindAccount, type KoaContextWithOIDC, type Account as ProviderAccount } from 'oidc-provider';
import type { Account } from '../accounts/account.ts';
import { findAccountById } from '../accounts/accounts.ts';
import { type BeginRefusal, beginSession } from '../sessions/begin-session.ts';
import { recordActivity } from '../sessions/store.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { type BoundParticipation, originOf, stateOf } from './request-state.ts';
import { described, sessionExpired, sessionLost } from './session-expired.ts';

/** What the sign-in page hands to the resumed authorization request, inside the interaction's result. */
export interface SignInResult {
  accountId: string;
  credentialVersion: number;
  /** By the database's clock. */
  authenticatedAt: string;
  acr: string;
  amr: string[];
}

/** Where a request goes on after a page of ours. */
const RESUME_ROUTES = new Set(['resume', 'device_resume']);

const REFUSALS: Readonly<Record<BeginRefusal, string>> = {
  account_disabled: 'the account can not be used',
  credential_changed: 'the password was changed: sign in again',
  concurrency_limit: 'the account is signed in elsewhere, and may not be signed in more often',
  session_ended: 'the session ended: sign in again',
};

/**
 * Finds the account that oidc-provider asks for, which it does at the moments that matter: when a sign-in is resumed, and
 * before a token is consumed or answered. So a session begins here, and here a token's use is judged and counted.
 */
export function createFindAccount(parts: AdapterParts): FindAccount {
  return async (ctx, sub, token) => {
    const state = stateOf(ctx);
    const account = await findAccountById(parts.db, sub);
    if (account === undefined || account.disabledAt !== undefined) {
      // Without a token it is the account of the browser's session, which then was not ended in time to be found.
      if (token === undefined) throw sessionExpired(ctx);
      return undefined;
    }
    state.account = account;
    if (token !== undefined) await useToken(parts, ctx, token.kind);
    else if (RESUME_ROUTES.has(ctx.oidc.route) && isNewSignIn(ctx.oidc.result?.login) && !state.begun)
      await begin(parts, ctx);
    return toProviderAccount(parts, ctx, account);
  };
}

/** The consent page comes after the sign-in has had its effect. */
function isNewSignIn(login: object | undefined): boolean {
  return login !== undefined && !('applied' in login);
}

async function begin({ db, policy }: AdapterParts, ctx: KoaContextWithOIDC): Promise<void> {
  const { session } = ctx.oidc;
  const login = ctx.oidc.result?.login as unknown as SignInResult;
  if (!session) throw new Error('a sign-in is resumed with a session');
  const result = await beginSession(db, policy(), {
    uid: session.uid,
    accountId: login.accountId,
    credentialVersion: login.credentialVersion,
    authenticatedAt: new Date(login.authenticatedAt),
    acr: login.acr,
    amr: login.amr,
    origin: originOf(ctx),
  });
  if (!result.begun) {
    if (result.refusal === 'session_ended') throw sessionLost(ctx);
    stateOf(ctx).refused = true;
    const text = REFUSALS[result.refusal];
    throw described(new errors.AccessDenied(text), text);
  }
  stateOf(ctx).begun = result.session;
}

const ACTIVITY_OF_TOKEN = { RefreshToken: 'refresh', AccessToken: 'userinfo' } as const;

async function useToken({ db, lifetimes }: AdapterParts, ctx: KoaContextWithOIDC, kind: string): Promise<void> {
  const { bound } = stateOf(ctx);
  if (bound === undefined) throw sessionExpired(ctx);
  const activity = ACTIVITY_OF_TOKEN[kind as keyof typeof ACTIVITY_OF_TOKEN];
  if (activity !== undefined) await countActivity(db, ctx, bound, activity);
  if (ctx.oidc.route === 'token' && !lifetimes.hasTimeLeft(ctx, bound.deadlines)) throw sessionExpired(ctx);
}

/** Counts a use that policy takes for presence; any other leaves the deadlines where they are. */
export async function countActivity(
  db: AdapterParts['db'],
  ctx: KoaContextWithOIDC,
  bound: BoundParticipation,
  kind: 'refresh' | 'userinfo' | 'introspection',
): Promise<void> {
  const movesSession = bound.sessionActivity.includes(kind);
  const movesParticipation = bound.activity.includes(kind);
  if (!movesSession && !movesParticipation) return;
  const { sessionUid, sid } = bound;
  // At these endpoints the address is the client's, not the person's.
  const origin = { ...originOf(ctx), ip: undefined, userAgent: undefined };
  const deadlines = await recordActivity(db, { sessionUid, sid, movesSession, movesParticipation, origin });
  if (deadlines === undefined) throw sessionExpired(ctx);
  bound.deadlines = deadlines;
}

function toProviderAccount({ lifetimes }: AdapterParts, ctx: KoaContextWithOIDC, account: Account): ProviderAccount {
  return {
    accountId: account.id,
    claims(use) {
      const claims = {
        sub: account.id,
        preferred_username: account.login,
        name: account.name,
        email: account.email,
        roles: account.roles,
        groups: account.groups,
      };
      const { bound } = stateOf(ctx);
      if (use !== 'id_token' || bound === undefined) return claims;
      return { ...claims, sid: bound.sid, session_expiry: lifetimes.sessionExpiry(bound.deadlines) };
    },
  };
}
