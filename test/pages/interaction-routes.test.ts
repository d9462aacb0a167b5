import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { AppError } from '../../src/errors.ts';
import type { InteractionPort, OpenInteraction } from '../../src/pages/interaction-port.ts';
import { csrfToken } from '../../src/pages/request-forgery.ts';
import { answering, key, type PageServer, startPageServer, wiki } from './page-server.ts';

const csrf = csrfToken(key, 'abc123');
const ended = { reason: 'idle_timeout', idleSeconds: 900, endedAt: new Date('2026-01-01T08:15:00.000Z') } as const;
const restart = async () => ({ restartAt: 'https://op.example/auth?client_id=wiki&state=s', ended });

let server: PageServer;
afterEach(() => server.close());

async function serve(interaction: OpenInteraction = wiki, ports: Partial<InteractionPort> = {}): Promise<void> {
  server = await startPageServer(answering(interaction, ports));
}

describe('the sign-in page', () => {
  it('names the client, states the limits and has the fields that password managers look for', async () => {
    await serve({ ...wiki, limits: { idleSeconds: 1_800, absoluteSeconds: 43_200 } });
    const html = await (await server.get('/interaction/abc123')).text();
    expect(html).toContain('<html lang="en">');
    expect(html).toContain('to continue to <strong>Team Wiki</strong>');
    expect(html).toContain(
      'You will be signed out after 30 minutes without activity and after 12 hours at the latest.',
    );
    expect(html).toMatch(/<input id="login" name="login"[^>]* autocomplete="username"/);
    expect(html).toMatch(/<input id="password" name="password"[^>]* autocomplete="current-password"/);
    expect(html).toContain('<label for="login">');
    expect(html).toContain('<label for="password">');
  });

  it('tells of the session that ended, and has the browser forget what it kept', async () => {
    await serve({ ...wiki, ended });
    const response = await server.get('/interaction/abc123');
    expect(await response.text()).toContain('Your session ended after 15 minutes without activity.');
    expect(response.headers.get('clear-site-data')).toBe('"cache", "storage"');
  });

  it('fills in who signs in again, and says why', async () => {
    await serve({ ...wiki, reasons: ['max_age'], accountLogin: 'ada' });
    const html = await (await server.get('/interaction/abc123')).text();
    expect(html).toContain('value="ada"');
    expect(html).toContain('This application asks that you have signed in recently.');
  });

  it('escapes everything that comes from outside', async () => {
    const evil = `"><script>alert('x')</script>&`;
    await serve(
      {
        ...wiki,
        loginHint: evil,
        client: { ...wiki.client, name: evil, policyUri: 'javascript:alert(1)', tosUri: 'data:text/html,x' },
      },
      { signIn: async () => ({ problem: 'wrong_credentials' }) },
    );
    const first = await (await server.get('/interaction/abc123')).text();
    const second = await (await server.post('/interaction/abc123/login', { csrf, login: evil, password: 'x' })).text();
    for (const html of [first, second]) {
      expect(html).not.toContain('<script>');
      expect(html).not.toContain('javascript:');
      expect(html).not.toContain('data:text');
      expect(html).toContain('&lt;script&gt;');
    }
  });

  it('allows the logo of the client and no other image', async () => {
    await serve({ ...wiki, client: { ...wiki.client, logoUri: 'https://cdn.example/logo.png' } });
    const response = await server.get('/interaction/abc123');
    expect(response.headers.get('content-security-policy')).toContain("img-src 'self' https://cdn.example;");
    expect(await response.text()).toContain('src="https://cdn.example/logo.png"');
  });

  it('says that an interaction is no more', async () => {
    await serve(wiki, {
      find: async () => {
        throw new AppError('not_found', 'This sign-in is over or belongs to another browser.', { status: 404 });
      },
    });
    const response = await server.get('/interaction/abc123');
    expect(response.status).toBe(404);
    expect(await response.text()).toContain('This sign-in is over or belongs to another browser.');
  });
});

describe('signing in', () => {
  it('hands on what was typed and goes on with 303', async () => {
    const signIn = jest.fn<InteractionPort['signIn']>(async () => ({ redirectTo: 'https://op.example/auth/abc123' }));
    await serve(wiki, { signIn });
    const response = await server.post('/interaction/abc123/login', {
      csrf,
      login: ' ada@example ',
      password: ' päss wörd ',
    });
    expect([response.status, response.headers.get('location')]).toEqual([303, 'https://op.example/auth/abc123']);
    expect(signIn.mock.calls[0]?.[1]).toEqual({ login: 'ada@example', password: ' päss wörd ' });
  });

  it('goes on by a page of its own in a browser, so that form-action never meets the client', async () => {
    await serve();
    const response = await server.post(
      '/interaction/abc123/login',
      { csrf, login: 'ada', password: 'x' },
      { accept: 'text/html,*/*' },
    );
    expect([response.status, response.headers.get('location')]).toEqual([200, null]);
    expect(await response.text()).toContain('<meta http-equiv="refresh" content="0;url=/auth/abc123">');
  });

  it('leaves the redirect as it is for forms of other sites, whose pages have policies of their own', async () => {
    await serve();
    server.behind = (ctx) => ctx.redirect('https://wiki.example/callback');
    const headers = { accept: 'text/html', 'sec-fetch-site': 'cross-site' };
    expect((await server.post('/auth', {}, headers)).status).toBe(302);
    expect((await server.post('/auth', {}, { ...headers, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
  });

  it.each([
    ['wrong_credentials', 403, 'The username or the password is not right.', undefined],
    ['throttled', 429, 'There were too many attempts. Try again in 1 minute 30 seconds.', 90],
    ['busy', 503, 'The server is busy. Try again in 5 seconds.', 5],
  ] as const)(
    'says what %s means and keeps the login, never the password',
    async (problem, status, text, retryAfterSeconds) => {
      await serve(wiki, { signIn: async () => ({ problem, ...(retryAfterSeconds && { retryAfterSeconds }) }) });
      const response = await server.post('/interaction/abc123/login', { csrf, login: 'ada', password: 'hunter2' });
      const html = await response.text();
      expect(response.status).toBe(status);
      expect(response.headers.get('retry-after')).toBe(
        retryAfterSeconds === undefined ? null : String(retryAfterSeconds),
      );
      expect(html).toMatch(/role="alert"/);
      expect(html).toContain(text);
      expect(html).toContain('value="ada"');
      expect(html).not.toContain('hunter2');
    },
  );

  it.each([
    ['no password', { login: 'ada' }],
    ['no login', { password: 'x' }],
    ['an empty login', { login: '  ', password: 'x' }],
    ['a login with a NUL', { login: 'a\0da', password: 'x' }],
    ['a login of a thousand characters', { login: 'a'.repeat(1_000), password: 'x' }],
    ['a password of two thousand characters', { login: 'ada', password: 'x'.repeat(2_000) }],
  ])('asks again for %s without trying it', async (_what, fields) => {
    const signIn = jest.fn<InteractionPort['signIn']>();
    await serve(wiki, { signIn });
    const response = await server.post('/interaction/abc123/login', { csrf, ...fields } as Record<string, string>);
    expect(response.status).toBe(400);
    expect(signIn).not.toHaveBeenCalled();
  });
});

describe('a session that ends while a page is open', () => {
  it.each([
    ['when the page is loaded again', {}, (s: PageServer) => s.get('/interaction/abc123')],
    [
      'before signing in',
      {},
      (s: PageServer) => s.post('/interaction/abc123/login', { csrf, login: 'ada', password: 'x' }),
    ],
    [
      'while signing in',
      { find: async () => wiki },
      (s: PageServer) => s.post('/interaction/abc123/login', { csrf, login: 'ada', password: 'x' }),
    ],
    ['at consent', {}, (s: PageServer) => s.post('/interaction/abc123/consent', { csrf })],
    ['at cancelling', {}, (s: PageServer) => s.post('/interaction/abc123/abort', { csrf })],
  ])('starts the authorization again %s', async (_when, ports, act) => {
    await serve(wiki, { find: restart, signIn: restart, consent: restart, abort: restart, ...ports });
    const response = await act(server);
    expect([response.status, response.headers.get('location')]).toEqual([
      303,
      'https://op.example/auth?client_id=wiki&state=s',
    ]);
  });

  it('is told of on the page that follows, once', async () => {
    await serve(wiki, { consent: restart });
    const cookie = (await server.post('/interaction/abc123/consent', { csrf })).headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/; HttpOnly; SameSite=Lax; Max-Age=60$/);
    const page = await server.get('/interaction/abc123', { cookie: cookie.split(';', 1)[0] ?? '' });
    expect(await page.text()).toContain('Your session ended after 15 minutes without activity.');
    expect(page.headers.get('set-cookie')).toContain('Max-Age=0');
  });
});

describe('the consent page', () => {
  it('says in words what the client asks for and who answers', async () => {
    await serve({
      ...wiki,
      prompt: 'consent',
      accountLogin: 'ada',
      scopes: ['openid', 'email', 'wiki:write'],
      claims: ['birthdate'],
    });
    const html = await (await server.get('/interaction/abc123')).text();
    for (const text of [
      'Confirm who you are',
      'See your email address',
      'Use “wiki:write”',
      'See your birthdate',
      '<strong>ada</strong>',
    ]) {
      expect(html).toContain(text);
    }
    expect(html).toContain('action="/interaction/abc123/consent"');
    expect(html).toContain('action="/interaction/abc123/abort"');
  });
});

describe('a forged request', () => {
  it.each([
    ['no token', { csrf: '' }, {}],
    ['the token of another interaction', { csrf: csrfToken(key, 'other') }, {}],
    ['the token of another key', { csrf: csrfToken(Buffer.alloc(32, 9), 'abc123') }, {}],
    ['another origin', { csrf }, { origin: 'https://evil.example' }],
    ['an opaque origin', { csrf }, { origin: 'null' }],
    ['a cross-site fetch', { csrf }, { 'sec-fetch-site': 'cross-site' }],
    ['a sibling host', { csrf }, { 'sec-fetch-site': 'same-site' }],
  ])('with %s is refused wherever it goes', async (_what, fields, headers) => {
    const never = jest.fn<() => Promise<never>>();
    await serve(wiki, { signIn: never, consent: never, abort: never });
    for (const action of ['login', 'consent', 'abort']) {
      const body = { login: 'ada', password: 'x', ...fields };
      const response = await server.post(`/interaction/abc123/${action}`, body, headers as Record<string, string>);
      expect(response.status).toBe(403);
    }
    expect(never).not.toHaveBeenCalled();
  });

  it('is told from one of our own page', async () => {
    await serve();
    const own = { origin: server.origin, 'sec-fetch-site': 'same-origin' };
    expect((await server.post('/interaction/abc123/consent', { csrf }, own)).status).toBe(303);
  });
});
