import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Browser } from '../support/browser.ts';
import { type BuiltCurfew, builtCurfew, SERVER_ENV } from '../support/built-curfew.ts';
import { freePort, SECRET } from '../support/curfew.ts';
import { type CuttableProxy, cuttableProxy } from '../support/cuttable-proxy.ts';
import { newBrowser, type RelyingParty, relyingParty, type Tokens } from '../support/relying-party.ts';
import { type CurfewProcess, runProcess, startProcess, until } from '../support/server-process.ts';

const BASIC = { authorization: `Basic ${Buffer.from(`app:${SECRET}`).toString('base64')}` };

let curfew: BuiltCurfew;
let proxy: CuttableProxy;

beforeAll(async () => {
  curfew = await builtCurfew();
  proxy = await cuttableProxy(curfew.url);
});
afterAll(async () => {
  await proxy.close();
  await curfew.close();
});

describe('a database that can not be reached at the start', () => {
  it('is waited for with a message, and given up after DATABASE_CONNECT_TIMEOUT_SECONDS', async () => {
    const url = `postgresql://curfew:hunter2@127.0.0.1:${await freePort()}/curfew`;
    const env = { ...SERVER_ENV, DATABASE_URL: url, DATABASE_CONNECT_TIMEOUT_SECONDS: '2' };
    const { code, stdout, stderr, milliseconds } = await runProcess({ env });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^The database at 127\.0\.0\.1:\d+ does not answer \(.*\); trying for another 2 s\.$/m);
    expect(stderr).toMatch(
      /^curfew: The database at 127\.0\.0\.1:\d+ did not answer within 2 s \(.*\): .*DATABASE_URL.*\.\n$/,
    );
    expect(stdout + stderr).not.toContain('hunter2');
    expect(milliseconds).toBeGreaterThan(2_000);
    expect(milliseconds).toBeLessThan(8_000);
  });

  it('is served as soon as it answers', async () => {
    proxy.cut();
    const starting = await startProcess({ env: { ...SERVER_ENV, DATABASE_URL: proxy.url }, until: /does not answer/ });
    proxy.mend();
    await starting.printed(/Curfew is ready/);
    expect(await starting.stop()).toMatchObject({ code: 0 });
  });

  it('is not waited for by somebody who stops the server', async () => {
    proxy.cut();
    const starting = await startProcess({ env: { ...SERVER_ENV, DATABASE_URL: proxy.url }, until: /does not answer/ });
    const { code, milliseconds } = await starting.stop();
    expect([code, starting.stderr()]).toEqual([0, '']);
    expect(milliseconds).toBeLessThan(6_000);
    proxy.mend();
  });

  it.each([
    ['a wrong password', (url: URL) => Object.assign(url, { password: 'wrong' }), /password authentication failed/],
    ['a database that is not there', (url: URL) => Object.assign(url, { pathname: '/nowhere' }), /does not exist/],
  ])('is told at once of %s', async (_what, change, reason) => {
    const url = change(new URL(curfew.url));
    const { code, stderr, milliseconds } = await runProcess({ env: { ...SERVER_ENV, DATABASE_URL: url.href } });
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/^curfew: The database at \S+ refuses .*DATABASE_URL\.\n$/),
    ]);
    expect(stderr).toMatch(reason);
    expect(milliseconds).toBeLessThan(5_000);
  });
});

describe('a database that goes away while the server runs', () => {
  let server: CurfewProcess;
  let app: RelyingParty;
  let browser: Browser;
  let tokens: Tokens;
  let signInPage: string;

  beforeAll(async () => {
    server = await curfew.start({ env: { DATABASE_URL: proxy.url, LOG_LEVEL: 'warn' } });
    app = await relyingParty(server.issuer, 'app', 'https://app.example/cb');
    browser = newBrowser(server.issuer);
    tokens = await (await app.signIn(browser, 'alice')).redeem();
    signInPage = (await app.authorize(browser, { prompt: 'login' })).page.url;
  });
  afterAll(() => server.stop());

  function endpoints(): [what: string, path: string, init?: RequestInit][] {
    const cookie = [...browser.cookies()].map(([name, value]) => `${name}=${value}`).join('; ');
    const csrf = 'AAAA';
    const bearer = { authorization: `Bearer ${tokens.access_token}` };
    const form = (fields: Record<string, string>, headers: Record<string, string> = BASIC): RequestInit => ({
      method: 'POST',
      headers,
      body: new URLSearchParams(fields),
    });
    const authorize = new URLSearchParams({
      ...{ client_id: 'app', response_type: 'code', scope: 'openid', redirect_uri: app.redirectUri },
      ...{ code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM', code_challenge_method: 'S256' },
    });
    const refresh = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token ?? '' };
    const code = { grant_type: 'authorization_code', code: 'x', redirect_uri: app.redirectUri, code_verifier: 'x' };
    return [
      ['authorization, a person', `/authorize?${authorize}`, { headers: { cookie, accept: 'text/html' } }],
      ['authorization, silent', `/authorize?${authorize}&prompt=none`, { headers: { cookie } }],
      ['the sign-in page', new URL(signInPage).pathname, { headers: { cookie, accept: 'text/html' } }],
      ['resume', signInPage.replace(/.*interaction/, '/authorize'), { headers: { cookie, accept: 'text/html' } }],
      ['refresh', '/token', form(refresh)],
      ['code', '/token', form(code)],
      ['client credentials', '/token', form({ grant_type: 'client_credentials' })],
      ['introspection', '/introspect', form({ token: tokens.access_token })],
      ['revocation', '/revoke', form({ token: tokens.access_token })],
      ['userinfo', '/userinfo', { headers: bearer }],
      ['session, by cookie', '/session', { headers: { cookie } }],
      ['session, by token', '/session', { headers: bearer }],
      ['extend', '/session/extend', { method: 'POST', headers: { cookie, origin: server.issuer } }],
      ['sign-out', `/logout?client_id=app`, { headers: { cookie, accept: 'text/html' } }],
      ['readiness', '/readyz'],
      // Without the token of a form of ours this is refused, whatever the weather.
      ['sign-in', `${new URL(signInPage).pathname}/login`, form({ csrf, login: 'a', password: 'b' }, { cookie })],
    ];
  }

  it.each(['cut', 'freeze'] as const)(
    '(%s) answers 503 with Retry-After at every endpoint, issues nothing, and is back by itself',
    async (how) => {
      proxy[how]();
      const answers = await Promise.all(
        endpoints().map(async ([what, path, init]) => {
          const response = await fetch(server.issuer + path, { redirect: 'manual', ...init });
          return { what, response, text: await response.text() };
        }),
      );
      for (const { what, response, text } of answers) {
        const { status, headers } = response;
        const seen = { what, status, retryAfter: headers.get('retry-after'), cache: headers.get('cache-control') };
        expect(seen).toEqual(
          what === 'sign-in'
            ? { what, status: 403, retryAfter: null, cache: 'no-store' }
            : { what, status: 503, retryAfter: '5', cache: 'no-store' },
        );
        expect([what, /access_token|refresh_token|[?&]code=/.test(text + headers.get('location'))]).toEqual([
          what,
          false,
        ]);
        expect([what, headers.getSetCookie().filter((cookie) => /^curfew_session=./.test(cookie))]).toEqual([what, []]);
      }
      const page = answers.find(({ what }) => what === 'authorization, a person');
      expect(page?.response.headers.get('content-type')).toMatch('text/html');
      expect(page?.text).toContain('Not available at the moment');
      expect((await fetch(`${server.issuer}/healthz`)).status).toBe(200);

      proxy.mend();
      await until('the server is ready again', async () => (await fetch(`${server.issuer}/readyz`)).ok);
      expect((await app.introspect(tokens.access_token)).active).toBe(true);
      expect((await app.authorize(browser, { prompt: 'none' })).callback?.searchParams.has('code')).toBe(true);
      tokens = await app.refresh(tokens.refresh_token);
      const [{ count } = { count: -1 }] = await curfew.query<{ count: number }>(
        `SELECT count(*)::int FROM artifact WHERE model = 'RefreshToken' AND consumed_at IS NULL AND payload IS NOT NULL`,
      );
      expect(count).toBe(1);
    },
    60_000,
  );
});

describe('a stop while the database is away', () => {
  it.each(['cut', 'freeze'] as const)('(%s) takes no longer than 10 s', async (how) => {
    const server = await curfew.start({ env: { DATABASE_URL: proxy.url, LOG_LEVEL: 'warn' } });
    proxy[how]();
    const { code, milliseconds } = await server.stop();
    expect(code).toBe(0);
    expect(milliseconds).toBeLessThan(10_000);
    proxy.mend();
  });
});
