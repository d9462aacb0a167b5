import type Router from '@koa/router';
import type { Context } from 'koa';
import type { EndReason } from '../policy/end-reason.ts';
import { bearerChallenge, sendProblem } from './error-handler.ts';
import type { EndedSession } from './interaction-port.ts';
import { endSentence } from './reason-texts.ts';
import { requireSameOrigin } from './request-forgery.ts';
import type { SessionCaller, SessionPort, SessionState } from './session-port.ts';

const SESSION_EXPIRED = 'Session Expired: Please Reauthenticate';

/** Adds the calls with which a page or a client asks how long a session lasts, and reports that somebody is there. */
export function addSessionRoutes(router: Router, issuer: URL, issuerId: string, sessions: SessionPort): void {
  router.get('/session', async (ctx) => {
    const caller = await identify(ctx);
    answer(ctx, caller, await sessions.state(ctx, caller));
  });

  router.post('/session/extend', async (ctx) => {
    const caller = await identify(ctx);
    if (caller === 'cookie') requireSameOrigin(ctx, issuer.origin, 'required');
    answer(ctx, caller, await sessions.extend(ctx, caller));
  });

  /** A preflight has no token yet: it is answered for any registered origin, the call itself needs the token (Fetch §3.3.2). */
  router.options(['/session', '/session/extend'], async (ctx) => {
    if (await allowOrigin(ctx)) {
      ctx.set('Access-Control-Allow-Methods', 'GET, POST');
      ctx.set('Access-Control-Allow-Headers', 'Authorization');
      ctx.set('Access-Control-Max-Age', '600');
    }
    ctx.status = 204;
  });

  async function identify(ctx: Context): Promise<SessionCaller> {
    if (ctx.get('authorization') === '') return 'cookie';
    await allowOrigin(ctx);
    return 'token';
  }

  async function allowOrigin(ctx: Context): Promise<boolean> {
    ctx.vary('Origin');
    const origin = ctx.get('origin');
    if (origin === '' || !(await sessions.isRegisteredOrigin(origin))) return false;
    ctx.set('Access-Control-Allow-Origin', origin);
    ctx.set('Access-Control-Expose-Headers', 'WWW-Authenticate, Retry-After');
    ctx.set('Cross-Origin-Resource-Policy', 'cross-origin');
    return true;
  }

  function answer(ctx: Context, caller: SessionCaller, session: SessionState): void {
    if (session.state === 'live') {
      ctx.body = {
        state: 'live',
        idle_expires_at: session.idleExpiresAt.toISOString(),
        absolute_expires_at: session.absoluteExpiresAt.toISOString(),
        server_time: session.serverTime.toISOString(),
      };
      return;
    }
    const told = { state: 'ended', server_time: session.serverTime.toISOString(), ...endMembers(session.ended) };
    if (caller === 'cookie' && ctx.method !== 'POST') {
      ctx.body = told;
      return;
    }
    // Whoever holds the dead token may know why it died; RFC 6750 §3.1 has the header, the body is ours.
    if (caller === 'token') {
      ctx.set('WWW-Authenticate', bearerChallenge('invalid_token', SESSION_EXPIRED));
    }
    const refusal = { status: caller === 'token' ? 401 : 403, error: 'invalid_token', description: SESSION_EXPIRED };
    sendProblem(ctx, issuerId, refusal, {
      type: `${issuerId}/problems/${problemType(session.ended?.reason)}`,
      title: SESSION_EXPIRED,
      error: 'invalid_token',
      error_description: SESSION_EXPIRED,
      ...told,
    });
  }
}

function endMembers(ended: EndedSession | undefined): object {
  if (ended === undefined) return {};
  return {
    reason: ended.reason,
    message: endSentence(ended),
    ended_at: ended.endedAt.toISOString(),
  };
}

function problemType(reason: EndReason | undefined): string {
  if (reason === undefined) return 'reauthentication-required';
  if (reason === 'idle_timeout') return 'session-expired-idle';
  return reason === 'absolute_timeout' ? 'session-expired-absolute' : 'session-revoked';
}
