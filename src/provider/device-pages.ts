import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { UserCodeProblem } from '../pages/device-pages.ts';
import type { Pages } from '../pages/pages.ts';
import type { Database } from '../storage/database.ts';
import { ABORTED } from './interactions.ts';
import { stateOf } from './request-state.ts';
import { restartUrl } from './restart-request.ts';

type DeviceFlow = Extract<NonNullable<NonNullable<Configuration['features']>['deviceFlow']>, object>;

/** A browser's is a hundred or two; what a device says beyond that helps nobody. */
const USER_AGENT_LENGTH = 300;

/** What a person sees of the device flow, where oidc-provider asks for it. */
export function createDeviceFlowPages({ db, pages }: { db: Database; pages: () => Pages }): DeviceFlow {
  return {
    deviceInfo: (ctx) => ({ ip: ctx.ip, userAgent: ctx.get('user-agent').slice(0, USER_AGENT_LENGTH) }),

    async userCodeInputSource(ctx, _form, _out, error) {
      if (error?.name === 'AbortedError') return pages().deviceRefused(ctx, whyRefused(error));
      const { Interaction: interaction, DeviceCode: code } = ctx.oidc.entities;
      const isLost = stateOf(ctx).lost || (error instanceof errors.SessionNotFound && interaction !== undefined);
      const deviceCode = interaction?.deviceCode ?? code?.jti;
      if (isLost && deviceCode !== undefined) {
        // The session ended after the page was sent: the code is entered again.
        ctx.redirect(await restartUrl(ctx.oidc.provider, { deviceCode, params: {} }));
        ctx.status = 303;
        return;
      }
      if (error && leavesUnstoredSession(ctx)) return;
      const { retryAfterSeconds, userCode = ctx.oidc.params?.user_code } = stateOf(ctx);
      pages().userCode(ctx, {
        ...form(ctx),
        ...(error && { problem: problemOf(error) }),
        ...(typeof userCode === 'string' && { userCode }),
        ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
      });
    },

    async userCodeConfirmSource(ctx, _form, client, deviceInfo, userCode) {
      const accountId = ctx.oidc.session?.accountId;
      const account = accountId && (await db.account.findUnique({ where: { id: accountId } }));
      const { ip, userAgent } = deviceInfo;
      pages().deviceConfirmation(ctx, {
        ...form(ctx),
        userCode,
        clientName: client.clientName ?? client.clientId,
        scopes: String(ctx.oidc.entities.DeviceCode?.params?.scope ?? 'openid').split(' '),
        ...(account && { accountLogin: account.login }),
        ...(typeof ip === 'string' && { address: ip }),
        ...(typeof userAgent === 'string' && { userAgent }),
      });
    },

    successSource(ctx) {
      const { client } = ctx.oidc;
      pages().deviceApproved(ctx, { clientName: client?.clientName ?? client?.clientId ?? '' });
    },
  };
}

/**
 * Sends a browser without a cookie of ours to the page that gives it one. oidc-provider has put what proves its form into
 * a session that it never stored, and would fail to store it now.
 */
function leavesUnstoredSession(ctx: KoaContextWithOIDC): boolean {
  const session = ctx.oidc.session as { exp?: number; touched?: boolean } | undefined;
  const isThatPage = ctx.oidc.route === 'code_verification' && ctx.method !== 'POST';
  if (session === undefined || session.exp !== undefined || isThatPage) return false;
  session.touched = false;
  ctx.redirect(ctx.oidc.urlFor('code_verification'));
  ctx.status = 303;
  return true;
}

function form(ctx: KoaContextWithOIDC) {
  const state = ctx.oidc.session?.state as { secret?: string } | undefined;
  return { action: ctx.oidc.urlFor('code_verification'), xsrf: state?.secret ?? '' };
}

/** Only the refusals of ours have something to say that the person doesn't know. */
function whyRefused({ cause }: Error): { why?: string } {
  const why = cause instanceof errors.AccessDenied ? cause.error_description : undefined;
  return why === undefined || why === ABORTED ? {} : { why };
}

/** oidc-provider doesn't export its classes for what is wrong with a user code. */
function problemOf(error: Error): UserCodeProblem {
  if (error.name === 'NoCodeError') return 'missing';
  if (!(error instanceof errors.InvalidRequest)) return 'wrong';
  return error.status === 429 ? 'throttled' : 'stale';
}
