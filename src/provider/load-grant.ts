import type { Grant, KoaContextWithOIDC } from 'oidc-provider';
import { type Consent, findConsent } from '../clients/consent.ts';
import { joinSession } from '../sessions/join-session.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { originOf, registeredClient, stateOf } from './request-state.ts';

/**
 * Makes the grant of a client's part in a session from what the person agreed to, now or before. It is named by the
 * `sid`, so that two requests at once share one; without a consent there is none yet, and the consent page comes.
 */
export function createLoadExistingGrant({ db, policy }: AdapterParts) {
  return async (ctx: KoaContextWithOIDC): Promise<Grant | undefined> => {
    const state = stateOf(ctx);
    const { client, provider, session: cookieSession } = ctx.oidc;
    const registered = registeredClient(ctx);
    const session = state.begun ?? state.loaded?.session;
    if (!client || !registered || !session?.accountId || !state.account || !cookieSession) return undefined;

    const granted = await scopesGranted(db, ctx, registered, session.accountId);
    if (granted === undefined) return undefined;
    const participation = await joinSession(db, policy(), {
      session,
      account: state.account,
      client: registered,
      origin: originOf(ctx),
    });
    if (participation === undefined) {
      state.needsSignIn = true;
      return undefined;
    }
    const { sid } = participation;
    cookieSession.ensureClientContainer(client.clientId);
    cookieSession.sidFor(client.clientId, sid);
    cookieSession.grantIdFor(client.clientId, sid);
    cookieSession.authorizationFor(client.clientId).persistsLogout = true;
    state.bound = {
      sessionUid: session.uid,
      sid,
      limits: participation.limits,
      activity: participation.activity,
      sessionActivity: participation.sessionActivity,
      deadlines: {
        sessionIdle: participation.sessionIdleDeadline,
        sessionAbsolute: participation.sessionAbsoluteDeadline,
        participationIdle: participation.idleDeadline,
        participationAbsolute: participation.absoluteDeadline,
      },
    };

    const isOfflineForbidden = participation.limits.offline.value === 'forbid';
    const scopes = granted.scopes.filter((scope) => scope !== 'offline_access' || !isOfflineForbidden);
    const known = await provider.Grant.find(sid);
    const grant = known ?? new provider.Grant({ accountId: session.accountId, clientId: client.clientId });
    grant.jti = sid;
    const missing = [
      ...scopes.filter((scope) => !grant.getOIDCScope().split(' ').includes(scope)),
      ...granted.claims.filter((claim) => !grant.getOIDCClaims().includes(claim)),
    ];
    grant.addOIDCScope(scopes.join(' '));
    grant.addOIDCClaims(granted.claims);
    // Ignored rather than refused where policy forbids it (OpenID Connect Core §11).
    if (isOfflineForbidden) grant.rejectOIDCScope('offline_access');
    // A new authentication lengthens the session, and with it what was granted.
    if (known === undefined || missing.length > 0 || state.begun) await grant.save();
    return grant;
  };
}

async function scopesGranted(
  db: AdapterParts['db'],
  ctx: KoaContextWithOIDC,
  client: { clientId: string; firstParty: boolean },
  accountId: string,
): Promise<Consent | undefined> {
  if (client.firstParty)
    return { scopes: [...ctx.oidc.requestParamOIDCScopes], claims: [...ctx.oidc.requestParamClaims] };
  const consent = await findConsent(db, accountId, client.clientId);
  return consent && consent.scopes.length > 0 ? consent : undefined;
}
