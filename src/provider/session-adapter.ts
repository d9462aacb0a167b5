import type { Adapter, AdapterPayload, KoaContextWithOIDC } from 'oidc-provider';
import { hashBearer } from '../artifacts/bearer-hash.ts';
import { clearSiteData } from '../pages/security-headers.ts';
import { decideSessionLimits } from '../policy/decide.ts';
import { endParticipations, endSessions } from '../sessions/end-sessions.ts';
import { findLiveParticipations } from '../sessions/participation-store.ts';
import type { LiveSession } from '../sessions/session.ts';
import {
  findLiveSession,
  findSessionTombstone,
  insertSession,
  type SaveOutcome,
  saveSession,
} from '../sessions/store.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { currentContext, originOf, stateOf } from './request-state.ts';

/**
 * Keeps oidc-provider's sessions in ours. It saves a session at the end of each request, whatever happened meanwhile:
 * here a save writes only what is live, and only over the cookie that the request came with. Which clients take part
 * is never taken from its payload, where the last of two parallel requests would win, but from the participations.
 */
export function createSessionAdapter(parts: AdapterParts): Adapter {
  const { db, cipher, toHost } = parts;

  function payloadOf(session: LiveSession, authorizations: Map<string, string>): AdapterPayload {
    const kept = session.payload === null ? {} : cipher.open(session.payload, uidBytes(session.uid));
    return {
      ...kept,
      kind: 'Session',
      uid: session.uid,
      // Who is signed in, since when and how is the row's to say, whatever an earlier save held.
      accountId: session.accountId ?? undefined,
      loginTs: session.authenticatedAt ? Math.floor(session.authenticatedAt.getTime() / 1000) : undefined,
      acr: session.acr ?? undefined,
      amr: session.amr.length > 0 ? session.amr : undefined,
      exp: Math.floor(toHost(session.absoluteDeadline).getTime() / 1000),
      authorizations: Object.fromEntries(
        // `persistsLogout`: what the client was given is wiped by the end itself, and not by oidc-provider before it.
        [...authorizations].map(([clientId, sid]) => [clientId, { sid, grantId: sid, persistsLogout: true }]),
      ),
    };
  }

  async function authorizationsOf(uid: string): Promise<Map<string, string>> {
    return new Map((await findLiveParticipations(db, uid)).map(({ clientId, sid }) => [clientId, sid]));
  }

  return {
    async find(id) {
      const cookieHash = hashBearer(id);
      const session = await findLiveSession(db, { cookieHash });
      const state = stateOf(currentContext());
      if (session === undefined) {
        const ended = await findSessionTombstone(db, { cookieHash });
        if (ended) state.ended = ended;
        return undefined;
      }
      const authorizations = await authorizationsOf(session.uid);
      state.loaded = { session, cookieHash, authorizations };
      return { ...payloadOf(session, authorizations), jti: id };
    },

    async findByUid(uid) {
      const session = await findLiveSession(db, { uid });
      return session && payloadOf(session, await authorizationsOf(uid));
    },

    async upsert(id, payload) {
      const ctx = currentContext();
      if (ctx === undefined) throw new Error('a session is saved within a request');
      if (isRequestAfterEnd(ctx)) return leaveSessionCookie(ctx);
      const { uid } = payload;
      const outcome = uid === undefined ? 'dead' : await save(parts, ctx, uid, id, payload);
      if (outcome === 'late') leaveSessionCookie(ctx);
      if (outcome === 'dead') clearSessionCookie(ctx);
    },

    /** oidc-provider destroys the old identifier at each rotation, which ends nothing; only the current one is an end. */
    async destroy(id) {
      const ctx = currentContext();
      const { loaded } = stateOf(ctx);
      if (!ctx || !loaded || ctx.oidc.session?.jti !== id) return;
      const { accountId, uid } = loaded.session;
      const everywhere = accountId !== null && ctx.oidc.body?.everywhere !== undefined;
      const actor = accountId === null ? 'person:unknown' : `person:${accountId}`;
      const reason = everywhere ? 'user_ended' : signOutReason(ctx);
      await endSessions(db, everywhere ? { accountId } : { uids: [uid] }, { reason, actor });
      // Whatever answers: where the client has people back, no page of ours says that it is over.
      clearSiteData(ctx);
    },

    consume: () => unused('consume'),
    findByUserCode: () => unused('findByUserCode'),
    revokeByGrantId: () => unused('revokeByGrantId'),
  };
}

async function save(
  { db, cipher, policy }: AdapterParts,
  ctx: KoaContextWithOIDC,
  uid: string,
  id: string,
  payload: AdapterPayload,
): Promise<SaveOutcome> {
  const { loaded, begun, saved, lost, refused } = stateOf(ctx);
  // Lost may be the client's part in it alone.
  if (lost) return (await findLiveSession(db, { uid })) ? 'late' : 'dead';
  if (refused) return 'late';
  const { authorizations = {}, state, transient } = payload;
  const sealed = cipher.seal({ state, transient }, uidBytes(uid));
  const cookieHash = hashBearer(id);
  const isKnown = loaded?.session.uid === uid || begun?.uid === uid || saved?.uid === uid;

  if (!isKnown) {
    if (payload.accountId !== undefined) return 'dead';
    const limits = decideSessionLimits(policy().policy, {
      kind: 'anonymous',
      roles: [],
      groups: [],
      acr: null,
      amr: [],
      ip: ctx.ip,
    });
    const inserted = await insertSession(db, {
      uid,
      kind: 'anonymous',
      limits,
      policyVersion: policy().version,
      amr: [],
      cookieHash,
      payload: sealed,
      origin: originOf(ctx),
    });
    if (inserted === undefined) return 'dead';
    stateOf(ctx).saved = { uid, cookieHash };
    return 'saved';
  }

  await endDeclined(db, ctx, new Set(Object.keys(authorizations)));
  const earlier = [saved, loaded && { uid: loaded.session.uid, cookieHash: loaded.cookieHash }];
  const outcome = await saveSession(db, {
    uid,
    loadedCookieHash: earlier.find((one) => one?.uid === uid)?.cookieHash ?? null,
    cookieHash,
    payload: sealed,
    active: isActivity(ctx, (begun ?? loaded?.session)?.activity ?? []),
    origin: originOf(ctx),
  });
  if (outcome === 'saved') stateOf(ctx).saved = { uid, cookieHash };
  return outcome;
}

/** Declining to sign out shows as a removed authorization: the client that asked has signed out, the person has not. */
async function endDeclined(db: AdapterParts['db'], ctx: KoaContextWithOIDC, kept: ReadonlySet<string>): Promise<void> {
  const { loaded } = stateOf(ctx);
  const sids = [...(loaded?.authorizations ?? [])].filter(([clientId]) => !kept.has(clientId)).map(([, sid]) => sid);
  if (sids.length === 0) return;
  await endParticipations(db, { sids }, { reason: 'rp_logout', actor: `person:${loaded?.session.accountId}` });
}

const AUTHORIZATION_ROUTES = new Set(['authorization', 'resume', 'code_verification', 'device_resume']);

/** An authorization request that a person waits for is interactive; one that shows no page is silent. */
function isActivity(ctx: KoaContextWithOIDC, counted: readonly string[]): boolean {
  const { route, client, params } = ctx.oidc;
  if (!AUTHORIZATION_ROUTES.has(route) || client === undefined || params === undefined) return false;
  return counted.includes(ctx.oidc.prompts.has('none') ? 'silent' : 'interactive');
}

/** Another account signs in in the same browser: oidc-provider signs the first one out, and comes back to its resume. */
function signOutReason(ctx: KoaContextWithOIDC): 'superseded' | 'rp_logout' | 'user_ended' {
  const { postLogoutRedirectUri, clientId } = ctx.oidc.session?.state ?? {};
  const resumes = [ctx.oidc.urlFor('authorization'), ctx.oidc.urlFor('code_verification')];
  if (typeof postLogoutRedirectUri === 'string' && resumes.some((resume) => postLogoutRedirectUri.startsWith(resume))) {
    return 'superseded';
  }
  return clientId === undefined ? 'user_ended' : 'rp_logout';
}

/**
 * What the cookie of a dead session is still good for: by it the sign-in page tells which session ended, and why. So it
 * stays until somebody signs in, whichever tab asks first, and a silent request before that takes nothing away.
 */
function isRequestAfterEnd(ctx: KoaContextWithOIDC): boolean {
  const { loaded, begun, ended } = stateOf(ctx);
  const { route } = ctx.oidc;
  return (route === 'authorization' || route === 'resume') && ended !== undefined && !loaded && !begun;
}

/** The browser has a newer cookie by now, or keeps the one it has: this answer sets none. */
function leaveSessionCookie(ctx: KoaContextWithOIDC): void {
  const name = ctx.oidc.provider.cookieName('session');
  const others = [ctx.res.getHeader('set-cookie') ?? []]
    .flat()
    .map(String)
    .filter((cookie) => !cookie.startsWith(`${name}=`) && !cookie.startsWith(`${name}.sig=`));
  if (others.length > 0) ctx.set('set-cookie', others);
  else ctx.remove('set-cookie');
}

function clearSessionCookie(ctx: KoaContextWithOIDC): void {
  const { cookies, provider } = ctx.oidc;
  cookies.set(provider.cookieName('session'), null, { httpOnly: true, sameSite: 'lax', path: '/', overwrite: true });
}

const uidBytes = (uid: string): Uint8Array => Buffer.from(uid);

async function unused(method: string): Promise<never> {
  throw new Error(`sessions have no ${method}`);
}
