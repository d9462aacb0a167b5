import type { Context } from 'koa';
import type { Interaction, Provider } from 'oidc-provider';
import type { Account } from '../accounts/account.ts';
import { findAccountById } from '../accounts/accounts.ts';
import type { SignIn } from '../accounts/sign-in.ts';
import { recordConsent } from '../clients/consent.ts';
import { findClient } from '../clients/registry.ts';
import { AppError } from '../errors.ts';
import type {
  AnsweredInteraction,
  ClientOnPage,
  EndedSession,
  InteractionPort,
  RefusedSignIn,
  RestartInteraction,
} from '../pages/interaction-port.ts';
import { clearSiteData } from '../pages/security-headers.ts';
import { decideParticipationLimits, decideSessionLimits } from '../policy/decide.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { findLiveSession, findSessionTombstone } from '../sessions/store.ts';
import type { AdapterParts } from './adapter-parts.ts';
import type { SignInResult } from './find-account.ts';
import type { EndedDetails } from './interaction-policy.ts';
import { pushedWith, restartUrl } from './restart-request.ts';
import { readClock } from './store.ts';

/** What a client is told when the person doesn't go on. */
export const ABORTED = 'End-User aborted interaction';

/** How a person shows who they are: by a password, which is one factor. */
const PASSWORD = { acr: 'aal1', amr: ['pwd'] };

export interface InteractionParts extends Pick<AdapterParts, 'db' | 'policy'> {
  provider: () => Provider;
  signIn: SignIn;
}

/** What the pages need of oidc-provider's interactions, for the browser that they belong to. */
export function createInteractionPort(parts: InteractionParts): InteractionPort {
  const { db, provider } = parts;

  async function load(ctx: Context): Promise<Interaction> {
    const { cookies } = provider().createContext(ctx.req, ctx.res);
    const id = cookies.get(provider().cookieName('interaction'), { signed: true });
    const interaction = id === undefined ? undefined : await provider().Interaction.find(id);
    if (interaction === undefined || interaction.uid !== ctx.params.uid) {
      throw new AppError('not_found', 'It was for one sign-in, which is over.', {
        status: 404,
      });
    }
    return interaction;
  }

  /** A session that ended while the page was open: oidc-provider would refuse to go on. */
  async function restartIfEnded(interaction: Interaction): Promise<RestartInteraction | undefined> {
    const { session, params, deviceCode } = interaction;
    if (session?.uid === undefined || (await findLiveSession(db, { uid: session.uid }))) return undefined;
    const ended = await findSessionTombstone(db, { uid: session.uid });
    const restartAt = await restartUrl(provider(), { params, deviceCode, parJti: pushedWith(interaction) });
    return { restartAt, ...(ended && { ended: toEnded(ended) }) };
  }

  async function finish(interaction: Interaction, result: object): Promise<AnsweredInteraction> {
    interaction.result = result as NonNullable<Interaction['result']>;
    await interaction.save(Math.max(1, interaction.exp - Math.floor(Date.now() / 1000)));
    return { redirectTo: interaction.returnTo };
  }

  return {
    async find(ctx) {
      const interaction = await load(ctx);
      const restart = await restartIfEnded(interaction);
      if (restart) return restart;
      const { params, prompt, session } = interaction;
      const account = session && (await findAccountById(db, session.accountId));
      const ended = prompt.details.ended as EndedDetails | undefined;
      return {
        uid: interaction.uid,
        prompt: prompt.name === 'consent' ? 'consent' : 'login',
        isForDevice: interaction.deviceCode !== undefined,
        reasons: prompt.reasons,
        client: await clientOnPage(parts, String(params.client_id)),
        scopes: scopesToAsk(interaction),
        claims: claimsToAsk(interaction),
        limits: await limitsToState(parts, ctx, String(params.client_id), account),
        ...(typeof params.login_hint === 'string' && { loginHint: params.login_hint }),
        ...(account && { accountLogin: account.login }),
        ...(ended && { ended: toEnded({ ...ended, endedAt: new Date(ended.endedAt) }) }),
      };
    },

    async signIn(ctx, { login, password }) {
      const interaction = await load(ctx);
      const result = await attempt(parts.signIn, { login, password, ip: ctx.ip, userAgent: ctx.get('user-agent') });
      if ('problem' in result) return result;
      const { account } = result;
      if (await leaveOtherSession(parts, interaction, account.id)) clearSiteData(ctx);
      const authenticatedAt = await readClock(db);
      const signedIn: SignInResult = {
        accountId: account.id,
        credentialVersion: account.credentialVersion,
        authenticatedAt: authenticatedAt.toISOString(),
        ...PASSWORD,
      };
      return finish(interaction, { login: { ...signedIn, ts: Math.floor(authenticatedAt.getTime() / 1000) } });
    },

    async consent(ctx) {
      const interaction = await load(ctx);
      const restart = await restartIfEnded(interaction);
      if (restart) return restart;
      const { session, params, lastSubmission } = interaction;
      if (session === undefined) throw new AppError('login_required', 'Sign in first.', { status: 403 });
      await recordConsent(db, {
        accountId: session.accountId,
        clientId: String(params.client_id),
        scopes: scopesToAsk(interaction),
        claims: claimsToAsk(interaction),
      });
      // The sign-in before this page has had its effect: it is named so that it isn't asked for again.
      const login = lastSubmission?.login as object | undefined;
      return finish(interaction, { ...(login && { login: { ...login, applied: true } }), consent: {} });
    },

    async abort(ctx) {
      return finish(await load(ctx), { error: 'access_denied', error_description: ABORTED });
    },
  };
}

/**
 * The session that the page was opened in is not gone on with if it ended meanwhile, or is another person's: that one
 * ends, for two people can't share a browser's session.
 *
 * @returns whether a session was left
 */
async function leaveOtherSession(
  { db }: InteractionParts,
  interaction: Interaction,
  accountId: string,
): Promise<boolean> {
  const { session } = interaction;
  if (session?.uid === undefined) return false;
  if (session.accountId !== accountId) {
    await endSessions(db, { uids: [session.uid] }, { reason: 'superseded', actor: `person:${accountId}` });
  } else if (await findLiveSession(db, { uid: session.uid })) {
    return false;
  }
  delete interaction.session;
  return true;
}

async function attempt(
  signIn: SignIn,
  attempted: Parameters<SignIn>[0],
): Promise<{ account: Account } | RefusedSignIn> {
  try {
    const result = await signIn(attempted);
    if (result.ok) return result;
    if (result.reason === 'throttled') return { problem: 'throttled', retryAfterSeconds: result.retryAfterSeconds };
    return { problem: result.reason };
  } catch (error) {
    if (error instanceof AppError && error.code === 'queue_full') return { problem: 'busy' };
    throw error;
  }
}

function scopesToAsk(interaction: Interaction): string[] {
  const missing = textsIn(interaction.prompt.details.missingOIDCScope);
  if (missing.length > 0) return missing;
  return claimsToAsk(interaction).length > 0 ? [] : String(interaction.params.scope ?? '').split(' ');
}

/** Single claims that the `claims` parameter asks for (OpenID Connect Core §5.5). */
function claimsToAsk({ prompt }: Interaction): string[] {
  return textsIn(prompt.details.missingOIDCClaims);
}

function textsIn(list: unknown): string[] {
  return Array.isArray(list) ? list.filter((each): each is string => typeof each === 'string') : [];
}

/** The limits at this client: of who is asked to sign in again, else of a person without roles, for who comes isn't known. */
async function limitsToState(
  { db, policy }: InteractionParts,
  { ip }: Context,
  clientId: string,
  { roles, groups }: Pick<Account, 'roles' | 'groups'> = { roles: [], groups: [] },
) {
  const client = await findClient(db, clientId);
  const facts = { kind: 'browser' as const, roles, groups, ...PASSWORD, ip };
  const session = decideSessionLimits(policy().policy, facts);
  const own = client && decideParticipationLimits(policy().policy, { ...facts, ...client });
  return {
    idleSeconds: Math.min(session.idleSeconds.value, own?.idleSeconds?.value ?? Number.POSITIVE_INFINITY),
    absoluteSeconds: Math.min(session.absoluteSeconds.value, own?.absoluteSeconds?.value ?? Number.POSITIVE_INFINITY),
  };
}

async function clientOnPage({ db }: InteractionParts, clientId: string): Promise<ClientOnPage> {
  const { metadata = {} } = (await findClient(db, clientId)) ?? {};
  const text = (name: string) => (typeof metadata[name] === 'string' ? metadata[name] : undefined);
  const optional = {
    uri: text('client_uri'),
    logoUri: text('logo_uri'),
    policyUri: text('policy_uri'),
    tosUri: text('tos_uri'),
  };
  return {
    clientId,
    name: text('client_name') ?? clientId,
    ...(Object.fromEntries(
      Object.entries(optional).filter(([, value]) => value !== undefined),
    ) as Partial<ClientOnPage>),
  };
}

export function toEnded(ended: {
  reason: EndedSession['reason'];
  endedAt: Date;
  idleSeconds: number | null;
  absoluteSeconds: number | null;
}): EndedSession {
  const { reason, endedAt, idleSeconds, absoluteSeconds } = ended;
  return {
    reason,
    endedAt,
    ...(idleSeconds !== null && { idleSeconds }),
    ...(absoluteSeconds !== null && { absoluteSeconds }),
  };
}
