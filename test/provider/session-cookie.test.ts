import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, PASSWORD, startCurfew } from '../support/curfew.ts';
import { errorOf, MINUTES, signedIn } from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

const AUTHORIZE =
  '/authorize?client_id=app&redirect_uri=https%3A%2F%2Fapp.example%2Fcb&response_type=code&scope=openid' +
  '&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256';

/** The attributes of every cookie that a sign-in sets, by name; `address` is where the issuer is reached here. */
async function cookiesSet(address: string): Promise<Map<string, string[]>> {
  const jar = new Map<string, string>();
  const attributes = new Map<string, string[]>();

  async function call(url: string, body?: URLSearchParams): Promise<{ location: string; text: string }> {
    const { pathname, search } = new URL(url, address);
    const response = await fetch(`${address}${pathname}${search}`, {
      redirect: 'manual',
      headers: { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(body && { method: 'POST', body }),
    });
    for (const cookie of response.headers.getSetCookie()) {
      const [pair = '', ...rest] = cookie.split('; ').map((part, index) => (index === 0 ? part : part.toLowerCase()));
      const name = pair.slice(0, pair.indexOf('='));
      jar.set(name, pair.slice(name.length + 1));
      attributes.set(name, rest.filter((attribute) => !attribute.startsWith('expires=')).sort());
    }
    return { location: response.headers.get('location') ?? '', text: await response.text() };
  }

  const { location: interaction } = await call(AUTHORIZE);
  const { text } = await call(interaction);
  const csrf = /name="csrf" value="([^"]*)"/.exec(text)?.[1] ?? '';
  const { location: resume } = await call(
    `${interaction}/login`,
    new URLSearchParams({ csrf, login: 'alice', password: PASSWORD }),
  );
  const { location } = await call(resume);
  expect(location).toMatch(/^https:\/\/app\.example\/cb\?code=/);
  return attributes;
}

describe('cookies of an http issuer', () => {
  let curfew: Curfew;
  let app: RelyingParty;
  beforeAll(async () => {
    curfew = await startCurfew();
    await curfew.addAccount('alice');
    app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  });
  afterAll(() => curfew.close());

  it('are out of reach of scripts and of other sites, and signed', async () => {
    const cookies = await cookiesSet(curfew.issuer);
    for (const name of ['curfew_session', 'curfew_session.sig']) {
      expect(cookies.get(name)).toEqual(['httponly', 'path=/', 'samesite=lax']);
    }
    for (const name of ['curfew_interaction', 'curfew_resume']) {
      expect(cookies.get(name)).toEqual(['httponly', expect.stringMatching(/^path=\/.+/), 'samesite=lax']);
    }
  });

  it('is not there before anybody signs in, and another one after each sign-in', async () => {
    const browser = newBrowser(curfew.issuer);
    await app.authorize(browser);
    expect(browser.cookie('curfew_session')).toBeUndefined();
    await app.signIn(browser, 'alice');
    const first = browser.cookie('curfew_session');
    await app.signIn(browser, 'alice', { prompt: 'login' });
    expect(browser.cookie('curfew_session')).not.toBe(first);
  });

  it('are worth nothing with another signature, another value, or after the end', async () => {
    const { browser } = await signedIn(curfew, app, 'alice');
    const value = String(browser.cookie('curfew_session'));
    const signature = String(browser.cookie('curfew_session.sig'));
    const forged: [string, string][] = [
      [value, 'A'.repeat(signature.length)],
      [`${value.slice(0, -1)}${value.endsWith('A') ? 'B' : 'A'}`, signature],
    ];
    for (const [name, sig] of forged) {
      const stranger = newBrowser(curfew.issuer);
      stranger.setCookie('curfew_session', name);
      stranger.setCookie('curfew_session.sig', sig);
      expect(errorOf(await app.authorize(stranger, { prompt: 'none' })).error).toBe('login_required');
    }
    await curfew.travel(15 * MINUTES);
    const late = newBrowser(curfew.issuer);
    late.setCookie('curfew_session', value);
    late.setCookie('curfew_session.sig', signature);
    expect(errorOf(await app.authorize(late, { prompt: 'none' })).error).toBe('login_required');
  });

  it('are stored by their hash alone', async () => {
    const { browser, tokens } = await signedIn(curfew, app, 'alice');
    const secrets = [
      browser.cookie('curfew_session'),
      browser.cookie('curfew_session.sig'),
      tokens.access_token,
      tokens.refresh_token,
    ].map(String);
    for (const table of ['session', 'participation', 'artifact', 'audit_event', 'delivery']) {
      const [{ text } = { text: '' }] = await curfew.query<{ text: string }>(
        `SELECT coalesce(string_agg(r::text, ' '), '') AS text FROM ${table} r`,
      );
      const bytes = text.replaceAll(/\\\\?x((?:[0-9a-f]{2})+)/g, (_hex, digits: string) =>
        Buffer.from(digits, 'hex').toString('latin1'),
      );
      for (const secret of secrets) {
        expect(text).not.toContain(secret);
        expect(bytes).not.toContain(secret);
      }
    }
  });
});

describe('cookies of an https issuer', () => {
  let curfew: Curfew;
  beforeAll(async () => {
    curfew = await startCurfew({ env: { ISSUER: 'https://sso.example' } });
    await curfew.addAccount('alice');
  });
  afterAll(() => curfew.close());

  it('are for this host and for https alone', async () => {
    const address = curfew.server.server.address();
    const port = address !== null && typeof address !== 'string' ? address.port : 0;
    const cookies = await cookiesSet(`http://127.0.0.1:${port}`);
    for (const name of ['__Host-curfew_session', '__Host-curfew_session.sig']) {
      expect(cookies.get(name)).toEqual(['httponly', 'path=/', 'samesite=lax', 'secure']);
    }
    for (const name of ['__Secure-curfew_interaction', '__Secure-curfew_resume']) {
      expect(cookies.get(name)).toEqual(['httponly', expect.stringMatching(/^path=\/.+/), 'samesite=lax', 'secure']);
    }
    expect([...cookies.keys()].filter((name) => !name.startsWith('__'))).toEqual([]);
  });
});
