import { errors, interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider';
import { decideChildLimits } from '../policy/decide.ts';
import type { PolicyInForce } from '../sessions/begin-session.ts';
import { factsOf, findParticipationToRenew } from '../sessions/join-session.ts';
import type { Tombstone } from '../sessions/session.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { originOf, registeredClient, stateOf } from './request-state.ts';
import { described } from './session-expired.ts';

/** Where a person lets a device in. */
const DEVICE_ROUTES = new Set(['code_verification', 'device_resume']);
/** A session with less left is not worth to begin. */
const SIGN_IN_MARGIN_SECONDS = 5;

/** Travels in an interaction, which is stored as JSON. */
export type EndedDetails = Pick<Tombstone, 'reason' | 'idleSeconds' | 'absoluteSeconds'> & { endedAt: string };

/**
 * When a person is asked something: as oidc-provider has it, and besides a client whose part in the session ran out comes
 * back only after a sign-in, a session that ended is told of, and our own clients need no consent.
 */
export function createInteractionPolicy({ db, policy: inForce }: Pick<AdapterParts, 'db' | 'policy'>) {
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
  login.checks.add(
    new Check('device_session', 'End-User authentication is required', 'login_required', (ctx) =>
      isTooOldForDevice(ctx, inForce()) ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
    ),
  );
  const maxAge = login.checks.get('max_age');
  if (!maxAge) throw new Error('oidc-provider has lost its max_age check');
  maxAge.check = (ctx) => (isSignInTooOld(ctx) ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT);

  for (const reason of ['essential_acr', 'essential_acrs']) {
    const check = login.checks.get(reason);
    if (!check) throw new Error(`oidc-provider has lost its ${reason} check`);
    const original = check.check;
    check.check = async (ctx) => {
      const outcome = await original(ctx);
      // Who signed in just now can't reach more by doing it again: it is a failed authentication (Core §5.5.1.1).
      if (outcome === Check.REQUEST_PROMPT && ctx.oidc.result?.login !== undefined) {
        throw new errors.UnmetAuthenticationRequirements('the requested acr can not be reached here');
      }
      return outcome;
    };
  }

  const detailsOfLogin = login.details;
  login.details = async (ctx) => ({ ...(await detailsOfLogin?.(ctx)), ...endedDetails(ctx) });

  for (const check of consent.checks) {
    const original = check.check;
    check.check = (ctx) => (registeredClient(ctx)?.firstParty ? Check.NO_NEED_TO_PROMPT : original(ctx));
  }
  return policy;
}

/**
 * Whether a device session that counts from this sign-in would be over as it begins.
 *
 * @throws access_denied where policy forbids device sessions
 */
function isTooOldForDevice(ctx: KoaContextWithOIDC, { policy }: PolicyInForce): boolean {
  const { account, begun, loaded } = stateOf(ctx);
  const session = begun ?? loaded?.session;
  const client = registeredClient(ctx);
  if (!DEVICE_ROUTES.has(ctx.oidc.route) || !account || !client || !session?.authenticatedAt) return false;
  const limits = decideChildLimits(policy, factsOf({ session, account, client, origin: originOf(ctx) }), 'device');
  if (limits === 'forbid') throw described(new errors.AccessDenied(), 'device sessions are not allowed here');
  const seconds = (session.readAt.getTime() - session.authenticatedAt.getTime()) / 1000;
  return seconds + SIGN_IN_MARGIN_SECONDS >= limits.absoluteSeconds.value;
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
