import * as client from 'openid-client';
import { type Browser, createBrowser, type Page } from './browser.ts';
import { PASSWORD, SECRET } from './curfew.ts';

export type Tokens = client.TokenEndpointResponse & client.TokenEndpointResponseHelpers;

export interface Flow {
  page: Page;
  /** The redirect back to the client; undefined if the visit ended at a page. */
  callback: URL | undefined;
  /** Takes the code from the redirect, or from where the browser came to later. */
  redeem(at?: URL): Promise<Tokens>;
  verifier: string;
}

export interface RelyingParty {
  configuration: client.Configuration;
  redirectUri: string;
  /** Starts an authorization request in a browser, and tells where it ended. */
  authorize(browser: Pick<Browser, 'open'>, parameters?: Record<string, string>): Promise<Flow>;
  /** The same, signing in on the way, and consenting if asked. */
  signIn(browser: Browser, login: string, parameters?: Record<string, string>): Promise<Flow>;
  refresh(refreshToken: string | undefined): Promise<Tokens>;
  introspect(token: string): Promise<client.IntrospectionResponse>;
  userinfo(token: string): Promise<Response>;
}

/** A client on openid-client, as somebody would write it. */
export async function relyingParty(
  issuer: string,
  clientId: string,
  redirectUri: string,
  metadata: Partial<client.ClientMetadata> = {},
): Promise<RelyingParty> {
  const authentication = clientId === 'public' ? client.None() : client.ClientSecretBasic(SECRET);
  const configuration = await client.discovery(new URL(issuer), clientId, metadata, authentication, {
    execute: [client.allowInsecureRequests],
  });

  async function request(parameters: Record<string, string>): Promise<{ url: URL; verifier: string; state: string }> {
    const verifier = client.randomPKCECodeVerifier();
    const state = client.randomState();
    const url = client.buildAuthorizationUrl(configuration, {
      redirect_uri: redirectUri,
      scope: 'openid profile email',
      state,
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      ...parameters,
    });
    return { url, verifier, state };
  }

  function flow(page: Page, { verifier, state }: { verifier: string; state: string }): Flow {
    const callback = page.url.startsWith(redirectUri) ? new URL(page.url) : undefined;
    return {
      page,
      callback,
      verifier,
      redeem: (at = callback) => {
        if (at === undefined) throw new Error(`no callback: ${page.status} ${page.url}\n${page.text}`);
        return client.authorizationCodeGrant(configuration, at, {
          pkceCodeVerifier: verifier,
          expectedState: state,
        });
      },
    };
  }

  return {
    configuration,
    redirectUri,
    async authorize(browser, parameters = {}) {
      const started = await request(parameters);
      return flow(await browser.open(started.url.href), started);
    },
    async signIn(browser, login, parameters = {}) {
      const started = await request(parameters);
      let page = await browser.open(started.url.href);
      if (page.text.includes('name="password"'))
        page = await browser.submit(page, { login, password: PASSWORD }, '/login');
      if (page.text.includes('/consent"')) page = await browser.submit(page, {}, '/consent');
      return flow(page, started);
    },
    refresh: (refreshToken) => client.refreshTokenGrant(configuration, refreshToken ?? ''),
    introspect: (token) => client.tokenIntrospection(configuration, token),
    userinfo: (token) => fetch(`${issuer}/userinfo`, { headers: { authorization: `Bearer ${token}` } }),
  };
}

export const newBrowser = (issuer: string): Browser => createBrowser(issuer);
