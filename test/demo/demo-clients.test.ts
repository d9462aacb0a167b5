import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type DemoPorts, openDemoPorts } from '../../src/demo/demo-ports.ts';
import { type RunningDemo, startDemoClients } from '../../src/demo/start-demo-clients.ts';
import { createBrowser } from './browser.ts';
import { type StandInProvider, startStandInProvider } from './stand-in-provider.ts';

const secret = 'a secret that only this test knows';
const reason = 'Your session ended after 2 minutes without activity.';
const CONTENT = 'This wiki has nothing to hide';

let provider: StandInProvider;
let ports: DemoPorts;
let demo: RunningDemo;
let wiki: string;
let browser: ReturnType<typeof createBrowser>;

beforeEach(async () => {
  provider = await startStandInProvider();
  ports = await openDemoPorts([0, 0]);
  provider.setUp(ports.numbers, secret);
  const log = { warn: () => undefined, error: () => undefined };
  demo = startDemoClients({
    issuer: provider.issuer,
    ports,
    secrets: { 'team-wiki': secret, 'payroll-admin': secret },
    log,
  });
  wiki = demo.addresses[0]?.address.replace(/\/$/, '') ?? '';
  browser = createBrowser();
});
afterEach(async () => {
  await demo.close();
  await provider.close();
});

/** Requests to the provider from here on. */
function watchRequests(): () => string[] {
  const before = provider.requests.length;
  return () => provider.requests.slice(before);
}

describe('a demo client', () => {
  it('shows nothing before sign-in and comes back to where one was', async () => {
    const before = await browser.visit(`${wiki}/read/coffee`);
    expect(before.html).toContain('You are not signed in here.');
    expect(before.html).not.toContain('Descale');
    const after = await browser.visit(`${wiki}/sign-in?return=/read/coffee`);
    expect(after.url).toBe(`${wiki}/read/coffee`);
    expect(after.html).toContain('Signed in as <strong>Ada Lovelace</strong>');
    expect(after.html).toContain('Descale');
  });

  it('goes nowhere but to its own pages after sign-in', async () => {
    expect((await browser.visit(`${wiki}/sign-in?return=https://evil.example`)).url).toBe(`${wiki}/`);
  });

  it('shows both deadlines, asks again by itself without JavaScript, and keeps nothing in a cache', async () => {
    const { html, headers } = await browser.visit(`${wiki}/sign-in`);
    expect(html).toMatch(/<time id="idle" datetime="[^"]+">(?:1:\d\d|2:00)</);
    expect(html).toMatch(/<time id="absolute" datetime="[^"]+">(?:9:\d\d|10:00)</);
    expect(html).toContain('<noscript><meta http-equiv="refresh" content="10;url=/?watch=1"></noscript>');
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it('has cookies of its own that no script can read', async () => {
    await browser.visit(`${wiki}/sign-in`);
    await browser.visit(`${demo.addresses[1]?.address}sign-in`);
    expect(browser.cookiesOf('127.0.0.1').sort()).toEqual(['payroll-admin_session', 'team-wiki_session']);
  });

  it('asks before every answer, and stops at the end with the reason that Curfew gave', async () => {
    await browser.visit(`${wiki}/sign-in`);
    const asked = watchRequests();
    expect((await browser.visit(`${wiki}/`)).html).toContain(CONTENT);
    expect(asked()).toEqual(['GET /session']);
    provider.end(reason);
    const after = await browser.visit(`${wiki}/read/coffee`);
    expect(after.html).toContain(reason);
    expect(after.html).not.toContain('Descale');
    expect(after.html).toContain('href="/sign-in?return=%2Fread%2Fcoffee"');
    expect((await browser.visit(`${wiki}/`)).html).not.toContain(CONTENT);
  });

  it('shows nothing while Curfew can’t be asked', async () => {
    await browser.visit(`${wiki}/sign-in`);
    provider.isReachable = false;
    const during = await browser.visit(`${wiki}/`);
    expect([during.status, during.html.includes(CONTENT)]).toEqual([503, false]);
    provider.isReachable = true;
    expect((await browser.visit(`${wiki}/`)).html).toContain(CONTENT);
  });
});

describe('the tokens of a demo client', () => {
  beforeEach(async () => {
    provider.accessTokenSeconds = 1;
    await browser.visit(`${wiki}/sign-in`);
    await untilTokenIsOut();
  });

  async function untilTokenIsOut(): Promise<void> {
    for (;;) {
      const asked = watchRequests();
      await browser.visit(`${wiki}/status`);
      if (asked().includes('POST /token/introspection')) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  it.each(['/status', '/?watch=1'])('are not refreshed by the page itself: %s', async (path) => {
    const asked = watchRequests();
    const { html } = await browser.visit(wiki + path);
    expect(html).toMatch(/"state":"live"|This wiki has nothing to hide/);
    expect(asked()).toEqual(['GET /session', 'POST /token/introspection']);
  });

  it('are refreshed when a person opens a page, once for many', async () => {
    provider.accessTokenSeconds = 60;
    const asked = watchRequests();
    const pages = await Promise.all([1, 2, 3, 4].map(() => browser.visit(`${wiki}/`)));
    for (const { html } of pages) expect(html).toContain(CONTENT);
    expect(asked().filter((request) => request === 'POST /token')).toHaveLength(1);
  });

  it('are refreshed before somebody is reported to be there', async () => {
    provider.accessTokenSeconds = 60;
    const asked = watchRequests();
    const { html } = await browser.post(`${wiki}/still-here`, { page: '/read/coffee' });
    expect(asked().slice(-3)).toEqual(['POST /token', 'POST /session/extend', 'GET /session']);
    expect(html).toContain('You said that you are still here');
    expect(html).toContain('Descale');
  });

  it('end with the session', async () => {
    provider.end(reason);
    expect((await browser.visit(`${wiki}/`)).html).toContain(reason);
  });

  it('tell why it ended, even if that was between two questions of one page', async () => {
    provider.onRequest = (request) => {
      if (request === 'POST /token/introspection') provider.end(reason);
    };
    expect((await browser.visit(`${wiki}/?watch=1`)).html).toContain(reason);
  });
});

describe('being there and leaving', () => {
  beforeEach(async () => {
    await browser.visit(`${wiki}/sign-in`);
  });

  it.each(['/still-here', '/sign-out'])('%s takes no forms of other sites', async (path) => {
    const asked = watchRequests();
    expect((await browser.post(wiki + path, {}, { origin: 'https://evil.example' })).status).toBe(403);
    expect(asked()).toEqual([]);
  });

  it('signs out here first and at Curfew then', async () => {
    const asked = watchRequests();
    const { url } = await browser.post(`${wiki}/sign-out`);
    expect(url).toMatch(new RegExp(`^${provider.issuer}/session/end\\?`));
    expect(new URL(url).searchParams.get('post_logout_redirect_uri')).toBe(`${wiki}/`);
    expect(new URL(url).searchParams.get('id_token_hint')).toBeTruthy();
    expect(asked()).toEqual(['GET /session/end']);
    expect((await browser.visit(`${wiki}/`)).html).toContain('You are not signed in here.');
  });
});

describe('a logout token', () => {
  const send = (logoutToken: string) =>
    fetch(`${wiki}/backchannel-logout`, { method: 'POST', body: new URLSearchParams({ logout_token: logoutToken }) });

  beforeEach(async () => {
    await browser.visit(`${wiki}/sign-in`);
  });

  it('ends the session it names, with the reason that Curfew tells', async () => {
    provider.end(reason);
    expect((await send(await provider.logoutToken({ sub: 'ada' }))).status).toBe(200);
    const asked = watchRequests();
    expect((await browser.visit(`${wiki}/`)).html).toContain(reason);
    expect(asked()).toEqual([]);
  });

  it('is accepted once', async () => {
    const token = await provider.logoutToken({ sid: 'unknown here' });
    expect([(await send(token)).status, (await send(token)).status]).toEqual([200, 400]);
  });

  it.each([
    ['with a nonce', async () => provider.logoutToken({ sub: 'ada', nonce: 'n' })],
    ['that names nobody', async () => provider.logoutToken({})],
    ['without the event', async () => provider.logoutToken({ sub: 'ada', events: {} })],
    ['of the type of an ID token', async () => provider.logoutToken({ sub: 'ada' }, 'JWT')],
    ['that is none', async () => 'x'],
    ['with another signature', async () => `${(await provider.logoutToken({ sub: 'ada' })).slice(0, -8)}AAAAAAAA`],
  ])('%s ends nothing', async (_what, make) => {
    expect((await send(await make())).status).toBe(400);
    expect((await browser.visit(`${wiki}/`)).html).toContain(CONTENT);
  });
});

describe('the ports of the demo', () => {
  it('are free ones where the wanted are taken, and answer until the clients start', async () => {
    const second = await openDemoPorts(ports.numbers);
    expect(second.numbers).not.toContain(ports.numbers[0]);
    expect((await fetch(`http://127.0.0.1:${second.numbers[0]}/`)).status).toBe(503);
    await second.close();
  });
});
