import { hash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { endSessions } from '../../src/sessions/end-sessions.ts';
import { type Curfew, PASSWORD, SECRET, startCurfew } from '../support/curfew.ts';
import { byAdministrator } from '../support/given-sessions.ts';
import { cookieHeader, errorOf, expiredGrant, refusalOf, stateByCookie } from '../support/records.ts';
import { type Flow, newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

/** Longer ones are random: to find one by chance in a dump is impossible. */
const SHORTEST = 20;

let curfew: Curfew;
let app: RelyingParty;
let third: RelyingParty;
let accountId: string;
let uid: string;
const browser = () => newBrowser(curfew.issuer);
/** Every bearer value that went over HTTP, by what it is. */
const seen = new Map<string, string>();
const old = { cookies: '', refreshTokens: [] as string[], accessTokens: [] as string[], flows: [] as Flow[] };

beforeAll(async () => {
  curfew = await startCurfew();
  accountId = (await curfew.addAccount('alice')).id;
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  third = await relyingParty(curfew.issuer, 'third', 'https://third.example/cb');
  await useEverything();
});
afterAll(() => curfew.close());

function note(what: string, value: string | undefined | null): void {
  if (value === undefined || value === null || value === '') throw new Error(`no ${what} was seen`);
  seen.set(`${what} ${seen.size}`, value);
}

function noteFlow(flow: Flow): void {
  note('code', flow.callback?.searchParams.get('code'));
  note('state', flow.callback?.searchParams.get('state'));
  note('code verifier', flow.verifier);
}

/** Sign-in, consent, offline access, refresh, service tokens and a sign-out page, with all that they hand out. */
async function useEverything(): Promise<void> {
  const tab = browser();
  const asked = await third.authorize(tab, {
    scope: 'openid offline_access',
    prompt: 'consent',
    nonce: 'n'.repeat(43),
  });
  for (const [name, value] of tab.cookies()) note(`cookie ${name} before sign-in`, value);
  noteHidden(asked.page.text);
  const consent = await tab.submit(asked.page, { login: 'alice', password: PASSWORD }, '/login');
  for (const [name, value] of tab.cookies()) note(`cookie ${name} at consent`, value);
  noteHidden(consent.text);
  const arrived = await tab.submit(consent, {}, '/consent');
  const code = new URL(arrived.url).searchParams.get('code');
  note('offline code', code);
  const offline = await tokenRequest('third', {
    grant_type: 'authorization_code',
    code: code ?? '',
    redirect_uri: third.redirectUri,
    code_verifier: asked.verifier,
  });
  noteTokens('offline', offline);

  const flow = await app.signIn(tab, 'alice');
  noteFlow(flow);
  const tokens = await flow.redeem();
  noteTokens('first', { ...tokens });
  const rotated = await app.refresh(tokens.refresh_token);
  noteTokens('rotated', { ...rotated });
  const unused = await app.authorize(tab, { prompt: 'none' });
  noteFlow(unused);
  noteTokens('service', await tokenRequest('service', { grant_type: 'client_credentials' }));
  const signOut = await tab.open(`${curfew.issuer}/logout`);
  noteHidden(signOut.text);
  for (const [name, value] of tab.cookies()) note(`cookie ${name}`, value);
  note('password', PASSWORD);
  note('client secret', SECRET);

  old.cookies = cookieHeader(tab);
  old.flows.push(unused);
  old.refreshTokens.push(tokens.refresh_token ?? '', rotated.refresh_token ?? '');
  old.accessTokens.push(tokens.access_token, rotated.access_token);
  const [session] = await curfew.query<{ uid: string }>(
    `SELECT uid FROM session WHERE account_id = $1 AND kind = 'browser'`,
    [accountId],
  );
  uid = session?.uid ?? '';
}

function noteHidden(html: string): void {
  for (const [, value = ''] of html.matchAll(/<input[^>]*type="hidden"[^>]*value="([^"]{20,})"/g)) {
    note('form field', value);
  }
  const interaction = /\/interaction\/([\w-]{20,})/.exec(html)?.[1];
  if (interaction !== undefined) note('interaction', interaction);
}

function noteTokens(what: string, tokens: Record<string, unknown>): void {
  for (const name of ['access_token', 'refresh_token', 'id_token']) {
    if (typeof tokens[name] === 'string') note(`${what} ${name}`, tokens[name]);
  }
}

async function tokenRequest(clientId: string, body: Record<string, string>): Promise<Record<string, unknown>> {
  const authorization = `Basic ${Buffer.from(`${clientId}:${SECRET}`).toString('base64')}`;
  const answer = await fetch(`${curfew.issuer}/token`, {
    method: 'POST',
    body: new URLSearchParams(body),
    headers: { authorization },
  });
  expect(answer.status).toBe(200);
  return (await answer.json()) as Record<string, unknown>;
}

/** Every column of every table, as text; bytes as the text that they may be, and as hex. */
async function dump(): Promise<string> {
  const tables = await curfew.query<{ name: string }>(
    `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'`,
  );
  const parts: string[] = [];
  for (const { name } of tables) {
    for (const row of await curfew.query(`SELECT * FROM "${name}"`)) {
      for (const value of Object.values(row)) {
        if (Buffer.isBuffer(value))
          parts.push(value.toString('latin1'), value.toString('hex'), value.toString('base64'));
        else if (value !== null) parts.push(typeof value === 'object' ? JSON.stringify(value) : String(value));
      }
    }
  }
  return parts.join('\n');
}

/** How a value could be hidden in plain sight. */
function spellingsOf(value: string): string[] {
  const bytes = Buffer.from(value);
  const decoded = Buffer.from(value, 'base64url');
  return [
    value,
    encodeURIComponent(value),
    bytes.toString('hex'),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    decoded.toString('hex'),
    decoded.toString('latin1'),
    [...value].reverse().join(''),
    hash('md5', value),
    hash('sha1', value),
  ];
}

describe('a stolen database', () => {
  it('was looked for every kind of bearer value there is', () => {
    const kinds = new Set([...seen.keys()].map((key) => key.replace(/ \d+$/, '')));
    for (const kind of [
      'code',
      'offline code',
      'state',
      'first access_token',
      'first refresh_token',
      'first id_token',
      'offline refresh_token',
      'service access_token',
      'cookie curfew_session',
      'cookie curfew_session at consent',
      'form field',
      'interaction',
      'password',
      'client secret',
    ]) {
      expect(kinds).toContain(kind);
    }
  });

  it('is a database with rows: what is searched is there to be found', async () => {
    const text = await dump();
    expect(text).toContain(accountId);
    expect(text).toContain('https://app.example/cb');
    expect(text.length).toBeGreaterThan(10_000);
  });

  it('holds none of them, in no spelling, while all of them are in use', async () => {
    const text = await dump();
    const found = [...seen].filter(
      ([, value]) =>
        value.length >= SHORTEST &&
        spellingsOf(value).some((spelling) => spelling.length > 9 && text.includes(spelling)),
    );
    expect(found.map(([what]) => what)).toEqual([]);
  });

  it('holds none of them after the end, and nothing that could be decrypted to one', async () => {
    await endSessions(curfew.db, { everyone: true }, byAdministrator);
    const text = await dump();
    const found = [...seen].filter(([, value]) => spellingsOf(value).some((s) => s.length > 9 && text.includes(s)));
    expect(found.map(([what]) => what)).toEqual([]);
    expect(
      await curfew.query(
        `SELECT model FROM artifact WHERE payload IS NOT NULL AND (session_uid IS NOT NULL OR account_id = $1)`,
        [accountId],
      ),
    ).toEqual([]);
    expect(
      await curfew.query('SELECT uid FROM session WHERE account_id = $1 AND payload IS NOT NULL', [accountId]),
    ).toEqual([]);
  });
});

describe('after the end, a replay of', () => {
  it('the session cookie shows the sign-in page, and login_required where none may be shown', async () => {
    const thief = browser();
    for (const pair of old.cookies.split('; ').filter((cookie) => cookie.startsWith('curfew_session'))) {
      const at = pair.indexOf('=');
      thief.setCookie(pair.slice(0, at), pair.slice(at + 1));
    }
    expect(await stateByCookie(curfew, thief)).toMatchObject({ state: 'ended', reason: 'admin_forced' });
    expect(errorOf(await app.authorize(thief, { prompt: 'none' }))).toMatchObject({ error: 'login_required' });
    expect((await app.authorize(thief)).page.text).toContain('name="password"');
  });

  it('a code that was never used is refused', async () => {
    for (const flow of old.flows) expect(await refusalOf(flow.redeem())).toEqual(expiredGrant);
  });

  it('refresh tokens, rotated or not, is refused', async () => {
    for (const token of old.refreshTokens) expect(await refusalOf(app.refresh(token))).toEqual(expiredGrant);
  });

  it('access tokens finds nothing anywhere', async () => {
    for (const token of old.accessTokens) {
      const answer = await app.userinfo(token);
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toContain('Session Expired: Please Reauthenticate');
      expect(await app.introspect(token)).toEqual({ active: false });
      const session = await fetch(`${curfew.issuer}/session`, { headers: { authorization: `Bearer ${token}` } });
      expect(await session.json()).toMatchObject({ state: 'ended' });
      const extended = await fetch(`${curfew.issuer}/session/extend`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}` },
      });
      expect(await extended.json()).toMatchObject({ state: 'ended' });
    }
  });

  it('a refresh token as an access token, or an access token as a refresh token, finds nothing', async () => {
    for (const token of old.refreshTokens) expect((await app.userinfo(token)).status).toBe(401);
    for (const token of old.accessTokens) {
      expect(await refusalOf(app.refresh(token))).toMatchObject({ error: 'invalid_grant' });
    }
  });

  it('an id_token_hint lets nobody in', async () => {
    const idToken = [...seen].find(([what]) => what.startsWith('first id_token'))?.[1] ?? '';
    const flow = await app.authorize(browser(), { prompt: 'none', id_token_hint: idToken });
    expect(errorOf(flow)).toMatchObject({ error: 'login_required' });
  });

  it('any of them as any other finds nothing', async () => {
    for (const [what, value] of seen) {
      // A JWT is no value that anything was stored under, and a password may not be spelled in a header.
      if (what.includes('id_token') || !/^[\x21-\x7e]+$/.test(value)) continue;
      expect(await app.introspect(value)).toEqual({ active: false });
      expect((await app.userinfo(value)).status).toBe(401);
    }
  });

  it('names that are no secret, a sid or a uid, finds nothing', async () => {
    const sids = await curfew.query<{ sid: string }>('SELECT sid FROM participation');
    for (const value of [uid, ...sids.map(({ sid }) => sid)]) {
      expect(await app.introspect(value)).toEqual({ active: false });
      const thief = browser();
      thief.setCookie('curfew_session', value);
      expect(await stateByCookie(curfew, thief)).toMatchObject({ state: 'ended' });
    }
  });
});
