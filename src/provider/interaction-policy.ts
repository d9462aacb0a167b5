import { interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider';
import { findParticipationToRenew } from '../sessions/join-session.ts';
import type { Tombstone } from '../sessions/session.ts';
import type { Database } from '../storage/database.ts';
import { registeredClient, stateOf } from './request-state.ts';

/** Travels in an interaction, which is stored as JSON. */
export type EndedDetails = Pick<Tombstone, 'reason' | 'idleSeconds' | 'absoluteSeconds'> & { endedAt: string };

/**
 * When a person is asked something: as oidc-provider has it, and besides a client whose part in the session ran out comes
 * back only after a sign-in, a session that ended is told of, and our own clients need no consent.
 */
export function createInteractionPolicy(db: Database) {
  const { Check, base } = interactionPolicy;
  const policy = base();
  const login = policy.get('login');
  const consent = policy.get('consent');
  if (!login || !consent) throw new Error('oidc-provider has lost its login or consent prompt');

  login.checks.add(
    new Check('participation_ended', 'End-User authentication is required', 'login_required', async (ctx) => {
      const { session, client } = ctx.oidc;
      if (!session?.accountId || !client) return Check.NO_NEED_TO_PROMPT;
      const state = stateOf(ctx);
      const ended = await findParticipationToRenew(db, session.uid, client.clientId);
      if (ended !== undefined) state.ended = ended;
      // Its absolute limit counts from the sign-in, which may be too long ago for a part that never was.
      return ended !== undefined || state.needsSignIn ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT;
    }),
  );
  const maxAge = login.checks.get('max_age');
  if (!maxAge) throw new Error('oidc-provider has lost its max_age check');
  maxAge.check = (ctx) => (isSignInTooOld(ctx) ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT);

  const detailsOfLogin = login.details;
  login.details = async (ctx) => ({ ...(await detailsOfLogin?.(ctx)), ...endedDetails(ctx) });

  for (const check of consent.checks) {
    const original = check.check;
    check.check = (ctx) => (registeredClient(ctx)?.firstParty ? Check.NO_NEED_TO_PROMPT : original(ctx));
  }
  return policy;
}

/** By the database's clock, to which the sign-in is dated. @see OpenID Connect Core 1.0 §3.1.2.1 (`max_age`) */
function isSignInTooOld(ctx: KoaContextWithOIDC): boolean {
  const { params, result } = ctx.oidc;
  if (params?.max_age === undefined || result?.login !== undefined) return false;
  const { authenticatedAt, readAt } = stateOf(ctx).loaded?.session ?? {};
  if (!authenticatedAt || !readAt) return true;
  return readAt.getTime() - authenticatedAt.getTime() > Number(params.max_age) * 1000;
}

function endedDetails(ctx: KoaContextWithOIDC): { ended?: EndedDetails } {
  const { ended } = stateOf(ctx);
  if (ended === undefined) return {};
  const { reason, idleSeconds, absoluteSeconds, endedAt } = ended;
  return { ended: { reason, idleSeconds, absoluteSeconds, endedAt: endedAt.toISOString() } };
}
