import { formatDuration } from '../policy/durations.ts';
import { createDevicePages } from './device-pages.ts';
import { errorText } from './error-texts.ts';
import type { ClientOnPage, EndedSession, OpenInteraction, SignInProblem } from './interaction-port.ts';
import type { Notice } from './notice.ts';
import type { PageTarget } from './page-target.ts';
import { endSentence, nextStep } from './reason-texts.ts';
import { claimText, scopeText } from './scope-texts.ts';
import { clearSiteData, contentSecurityPolicy, type PolicyOptions, setSecurityHeaders } from './security-headers.ts';
import { type ClientView, renderView, type Site, type ViewData, type ViewName } from './views.ts';

export interface SignInPage {
  interaction: OpenInteraction;
  csrf: string;
  /** What was typed before. Never the password. */
  login?: string;
  problem?: SignInProblem | 'incomplete';
  retryAfterSeconds?: number;
  /** The end that the page has to tell of, where the interaction itself doesn't know. */
  ended?: EndedSession;
}

export interface SignOutPage {
  clientName?: string;
  accountLogin?: string;
  action: string;
  xsrf: string;
}

export interface ErrorPage {
  status?: number;
  /** An OAuth error code, or one of ours. */
  error: string;
  description: string;
  /** What to do next, where it isn't what the code says. */
  advice?: string;
}

export type Pages = ReturnType<typeof createPages>;

/**
 * Makes what a person sees. Each page sets its status, its headers and its body, and no page can be kept by a cache.
 *
 * @param basePath path of the issuer, without a slash at its end
 */
export function createPages(site: Site, basePath: string) {
  function send<N extends ViewName>(
    target: PageTarget,
    status: number,
    name: N,
    data: ViewData<N>,
    policy: PolicyOptions = {},
  ): void {
    const html = renderView(site, name, data);
    setSecurityHeaders(target, contentSecurityPolicy(policy));
    target.status = status;
    target.type = 'text/html; charset=utf-8';
    target.body = html;
  }

  return {
    ...createDevicePages(send),

    signIn(target: PageTarget, page: SignInPage): void {
      const { interaction, problem } = page;
      const ended = interaction.ended ?? page.ended;
      const client = clientView(interaction.client);
      if (ended !== undefined) clearSiteData(target);
      if (page.retryAfterSeconds !== undefined) target.set('Retry-After', String(page.retryAfterSeconds));
      const data = {
        title: ended === undefined ? 'Sign in' : 'Sign in again',
        notice: ended && { sentence: endSentence(ended), nextStep: nextStep(ended.reason) },
        client,
        why: ended === undefined && interaction.accountLogin !== undefined ? whyAgain(interaction.reasons) : undefined,
        problem: problem && problemText(problem, page.retryAfterSeconds),
        invalid: problem === 'wrong_credentials' || problem === 'incomplete',
        action: interactionPath(basePath, interaction.uid),
        csrf: page.csrf,
        login: page.login ?? interaction.accountLogin ?? interaction.loginHint ?? '',
        cancel: interaction.isForDevice
          ? 'Cancel, and do not connect the device'
          : `Cancel and return to ${client.name}`,
        limits: interaction.limits && limitsSentence(interaction.limits),
      };
      send(target, problem === undefined ? 200 : PROBLEM_STATUS[problem], 'sign-in', data, formPolicy(client));
    },

    consent(target: PageTarget, { interaction, csrf }: { interaction: OpenInteraction; csrf: string }): void {
      const client = clientView(interaction.client);
      const data = {
        title: 'Allow access?',
        client,
        asks: [...new Set([...interaction.scopes.map(scopeText), ...interaction.claims.map(claimText)])],
        accountLogin: interaction.accountLogin,
        action: interactionPath(basePath, interaction.uid),
        csrf,
      };
      send(target, 200, 'consent', data, formPolicy(client));
    },

    signOutConfirmation(target: PageTarget, { clientName, accountLogin, action, xsrf }: SignOutPage): void {
      send(target, 200, 'sign-out', { title: 'Sign out?', clientName, accountLogin, action, xsrf }, { forms: true });
    },

    signedOut(target: PageTarget, { clientName, backUri }: { clientName?: string; backUri?: string } = {}): void {
      clearSiteData(target);
      send(target, 200, 'signed-out', { title: 'You are signed out', clientName, backUri: webUri(backUri) });
    },

    ended(target: PageTarget, { ended, clientName, backUri }: Notice = {}): void {
      clearSiteData(target);
      send(target, 200, 'ended', {
        title: 'Your session ended',
        sentence: ended ? endSentence(ended) : 'This session is over and can’t be used again.',
        nextStep: ended ? nextStep(ended.reason) : 'Sign in again to continue.',
        endedAt: ended && { iso: ended.endedAt.toISOString(), text: instantText(ended.endedAt) },
        clientName,
        backUri: webUri(backUri),
      });
    },

    error(target: PageTarget, { status = 400, error, description, advice }: ErrorPage): void {
      const text = errorText(status === 503 ? 'temporarily_unavailable' : error);
      if (status === 503) target.set('Retry-After', '5');
      send(target, status, 'error', { title: text.title, description, advice: advice ?? text.advice, error });
    },

    /** Goes on to an address by itself: see {@link leaveFormChain}. */
    continueTo(target: PageTarget, to: string): void {
      send(target, 200, 'continue', { title: 'One moment …', to });
    },

    home(target: PageTarget): void {
      send(target, 200, 'home', { title: site.operator, discovery: `${basePath}/.well-known/openid-configuration` });
    },
  };
}

const PROBLEM_STATUS = { wrong_credentials: 403, incomplete: 400, throttled: 429, busy: 503 } as const;

function problemText(problem: SignInProblem | 'incomplete', retryAfterSeconds: number | undefined): string {
  const when = retryAfterSeconds === undefined ? 'in a few minutes' : `in ${formatDuration(retryAfterSeconds)}`;
  switch (problem) {
    case 'wrong_credentials':
      return 'The username or the password is not right.';
    case 'incomplete':
      return 'Enter your username and your password.';
    case 'throttled':
      return `There were too many attempts. Try again ${when}.`;
    case 'busy':
      return `The server is busy. Try again ${when}.`;
  }
}

function whyAgain(reasons: readonly string[]): string {
  return reasons.includes('max_age')
    ? 'This application asks that you have signed in recently.'
    : 'This application asks you to sign in again.';
}

/** States the allowed inactivity up front. @see WCAG 2.2 §2.2.6 */
function limitsSentence({ idleSeconds, absoluteSeconds }: { idleSeconds: number; absoluteSeconds: number }): string {
  return `You will be signed out after ${formatDuration(idleSeconds)} without activity and after ${formatDuration(absoluteSeconds)} at the latest.`;
}

function interactionPath(basePath: string, uid: string): string {
  return `${basePath}/interaction/${encodeURIComponent(uid)}`;
}

function formPolicy(client: ClientView): PolicyOptions {
  return { forms: true, imageOrigins: client.logo === undefined ? [] : [new URL(client.logo).origin] };
}

function clientView({ name, uri, logoUri, policyUri, tosUri }: ClientOnPage): ClientView {
  const address = webUri(uri);
  const logo = webUri(logoUri);
  return {
    name,
    host: address && new URL(address).host,
    logo: logo?.startsWith('https:') ? logo : undefined,
    policy: webUri(policyUri),
    tos: webUri(tosUri),
  };
}

/** Nothing but the web may stand in a link: `javascript:` runs. */
function webUri(uri: string | undefined): string | undefined {
  if (uri === undefined || !URL.canParse(uri)) return undefined;
  const { protocol, href } = new URL(uri);
  return protocol === 'https:' || protocol === 'http:' ? href : undefined;
}

function instantText(instant: Date): string {
  return `${instant.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
