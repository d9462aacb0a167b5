import { createHash, randomBytes } from 'node:crypto';
import { APP, PASSWORD, REDIRECT_URI, SCOPE, SECRET, SERVICE } from './fixtures.ts';
import { type Answer, type CookieJar, createCookieJar, type HttpClient } from './http-client.ts';

export interface Tokens {
  access_token: string;
  refresh_token: string;
  id_token: string;
}

const basic = (clientId: string) => ({
  authorization: `Basic ${Buffer.from(`${clientId}:${encodeURIComponent(SECRET)}`).toString('base64')}`,
});
const AS_APP = basic(APP);
const AS_SERVICE = basic(SERVICE);

const MAX_STEPS = 10;

/** An answer that is not the right one; what it says is for whoever runs this. */
export function wrong(what: string, { status, location, text }: Answer): Error {
  return new Error(`${what}: ${status} ${location ?? ''} ${text.slice(0, 500)}`);
}

/** Signs a person in, in a browser that is new, and redeems the code. */
export async function signIn(http: HttpClient, login: string): Promise<{ tokens: Tokens; browser: CookieJar }> {
  const browser = createCookieJar();
  return { tokens: await authorize(http, browser, login), browser };
}

/**
 * Makes an authorization request and redeems its code.
 *
 * @param login who signs in when asked; without it a page is an error
 */
export async function authorize(http: HttpClient, browser: CookieJar, login?: string): Promise<Tokens> {
  const verifier = randomBytes(32).toString('base64url');
  const state = randomBytes(16).toString('base64url');
  const query = new URLSearchParams({
    client_id: APP,
    response_type: 'code',
    redirect_uri: REDIRECT_URI,
    scope: SCOPE,
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
  });
  const callback = await visit(http, browser, `/authorize?${query}`, login);
  const code = callback.searchParams.get('code');
  if (code === null || callback.searchParams.get('state') !== state) throw new Error(`no code: ${callback.search}`);
  const answer = await http.post(
    '/token',
    { grant_type: 'authorization_code', code, redirect_uri: REDIRECT_URI, code_verifier: verifier },
    AS_APP,
  );
  return requireTokens('code', answer);
}

/** Goes where a browser would, until the client's redirect URI. */
async function visit(http: HttpClient, browser: CookieJar, from: string, login: string | undefined): Promise<URL> {
  let path = from;
  let answer = await http.get(path, browser);
  for (let step = 0; step < MAX_STEPS; step += 1) {
    browser.keep(answer);
    const next = answer.location ?? /http-equiv="refresh" content="0;url=([^"]*)"/.exec(answer.text)?.[1];
    if (next !== undefined) {
      const target = new URL(next.replaceAll('&amp;', '&'), http.origin);
      if (target.origin !== http.origin) return target;
      path = target.pathname + target.search;
      answer = await http.get(path, browser);
    } else {
      const action = /<form[^>]*action="([^"]*\/login)"/.exec(answer.text)?.[1];
      if (answer.status !== 200 || action === undefined || login === undefined) throw wrong(`GET ${path}`, answer);
      path = new URL(action, http.origin).pathname;
      const headers = { ...browser.header(path), accept: 'text/html', origin: http.origin };
      answer = await http.post(path, { ...hiddenFields(answer.text), login, password: PASSWORD }, headers);
      if (answer.status === 200 && answer.text.includes('name="password"')) throw wrong('sign-in', answer);
    }
  }
  throw wrong('too many steps', answer);
}

function hiddenFields(html: string): Record<string, string> {
  const inputs = html.matchAll(/<input[^>]*type="hidden"[^>]*>/g);
  return Object.fromEntries(
    [...inputs].map(([input]) => [/name="([^"]*)"/.exec(input)?.[1] ?? '', /value="([^"]*)"/.exec(input)?.[1] ?? '']),
  );
}

export async function refresh(http: HttpClient, refreshToken: string): Promise<Tokens> {
  const answer = await http.post('/token', { grant_type: 'refresh_token', refresh_token: refreshToken }, AS_APP);
  const tokens = requireTokens('refresh', answer);
  if (tokens.refresh_token === refreshToken) throw new Error('the refresh token was not rotated');
  return tokens;
}

export async function introspect(http: HttpClient, token: string): Promise<void> {
  const answer = await http.post('/introspect', { token }, AS_APP);
  const body = answer.status === 200 ? JSON.parse(answer.text) : undefined;
  if (body?.active !== true || body.client_id !== APP || typeof body.sub !== 'string')
    throw wrong('introspect', answer);
}

export async function clientCredentials(http: HttpClient, resource?: string): Promise<string> {
  const form = { grant_type: 'client_credentials', ...(resource !== undefined && { resource }) };
  const answer = await http.post('/token', form, AS_SERVICE);
  const body = answer.status === 200 ? JSON.parse(answer.text) : undefined;
  if (typeof body?.access_token !== 'string' || !(body.expires_in > 0)) throw wrong('client_credentials', answer);
  return body.access_token;
}

function requireTokens(what: string, answer: Answer): Tokens {
  const body = answer.status === 200 ? JSON.parse(answer.text) : {};
  for (const name of ['access_token', 'refresh_token', 'id_token']) {
    if (typeof body[name] !== 'string' || body[name] === '') throw wrong(`${what}: no ${name}`, answer);
  }
  return body as Tokens;
}
