import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Browser, Page } from 'playwright-core';
import type { OpenInteraction } from '../../src/pages/interaction-port.ts';
import { launchChromium } from '../support/chromium.ts';
import { answering, type PageServer, startPageServer, wiki } from './page-server.ts';

const ended = { reason: 'idle_timeout', idleSeconds: 900, endedAt: new Date('2026-01-01T08:15:00.000Z') } as const;
const limits = { idleSeconds: 1_800, absoluteSeconds: 43_200 };
const longName = { ...wiki.client, name: 'Bundesverwaltungsgerichtsentscheidungssammlung' };

const interactions: Record<string, OpenInteraction> = {
  plain: { ...wiki, limits },
  ended: { ...wiki, limits, ended, client: longName },
  consent: { ...wiki, prompt: 'consent', accountLogin: 'ada@example.com', scopes: ['openid', 'profile', 'email'] },
};

let browser: Browser;
let client: { server: Server; origin: string };
let server: PageServer;
let page: Page;
let complaints: string[];

beforeAll(async () => {
  browser = await launchChromium();
  const listening = createServer((request, response) => {
    // A client whose redirect URI sends people on to yet another origin, as gateways do.
    const { port } = listening.address() as AddressInfo;
    if (request.url === '/callback') response.writeHead(303, { location: `http://localhost:${port}/home` }).end();
    else response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Welcome to the wiki</h1>');
  });
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
  client = { server: listening, origin: `http://127.0.0.1:${(listening.address() as AddressInfo).port}` };
});
afterAll(async () => {
  await browser.close();
  client.server.closeAllConnections();
  client.server.close();
});

beforeEach(async () => {
  const redirectTo = `${client.origin}/callback`;
  server = await startPageServer(
    answering(wiki, {
      find: async (ctx) => ({ ...(interactions[ctx.params.uid] ?? wiki), uid: ctx.params.uid }),
      signIn: async (_ctx, { password }) => (password === 'right' ? { redirectTo } : { problem: 'wrong_credentials' }),
      consent: async () => ({ redirectTo }),
    }),
  );
  server.behind = (ctx) => {
    const { pages } = server.routes;
    if (ctx.path === '/sign-out') {
      pages.signOutConfirmation(ctx, {
        clientName: longName.name,
        accountLogin: 'ada@example.com',
        action: '/x',
        xsrf: 'x',
      });
    }
    if (ctx.path === '/signed-out') pages.signedOut(ctx, { clientName: 'Team Wiki', backUri: 'https://wiki.example/' });
    if (ctx.path === '/wrong') pages.error(ctx, { error: 'invalid_client', description: 'client is invalid' });
  };
  page = await browser.newPage();
  complaints = [];
  page.on('console', (message) => {
    if (/Content Security Policy|Refused to/i.test(message.text())) complaints.push(message.text());
  });
});
afterEach(async () => {
  await page.close();
  await server.close();
});

const PATHS = [
  '/',
  '/ended',
  '/interaction/plain',
  '/interaction/ended',
  '/interaction/consent',
  '/sign-out',
  '/signed-out',
  '/wrong',
];

describe('in a real browser', () => {
  it('somebody signs in with the keyboard alone and arrives, however often the client sends them on', async () => {
    await page.goto(`${server.origin}/interaction/plain`);
    await page.locator('#login:focus').waitFor();
    await page.keyboard.type('ada');
    await page.keyboard.press('Tab');
    await page.keyboard.type('wrong');
    await page.keyboard.press('Enter');
    await page.getByRole('alert').waitFor();
    expect(await page.inputValue('#login')).toBe('ada');
    await page.locator('#password:focus').waitFor();
    await page.keyboard.type('right');
    await page.keyboard.press('Enter');
    await page.getByText('Welcome to the wiki').waitFor();
    expect(page.url()).toMatch(/^http:\/\/localhost:\d+\/home$/);
    expect(complaints).toEqual([]);
  });

  it('consent arrives too, and the way back shows no page of the sign-in again', async () => {
    await page.goto(`${server.origin}/interaction/consent`);
    await page.getByRole('button', { name: 'Allow', exact: true }).click();
    await page.getByText('Welcome to the wiki').waitFor();
    interactions.consent = { ...wiki, limits };
    await page.goBack();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect(complaints).toEqual([]);
  });

  it.each(PATHS)('%s fits a small phone, in light and in dark, and every text can be read', async (path) => {
    await page.setViewportSize({ width: 320, height: 640 });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.goto(server.origin + path);
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(320);
      expect(await page.evaluate(LEAST_CONTRAST)).toBeGreaterThanOrEqual(4.5);
    }
    expect(complaints).toEqual([]);
  });

  it.each(PATHS)('%s has one heading of the first rank, a language, and a name for every control', async (path) => {
    await page.goto(server.origin + path);
    expect(await page.getByRole('heading', { level: 1 }).count()).toBe(1);
    expect(await page.evaluate('document.documentElement.lang')).toBe('en');
    for (const control of await page.locator('input:not([type=hidden]), button, a').all()) {
      expect(await control.ariaSnapshot()).toMatch(/(?:textbox|button|link) "[^"]+"/);
    }
  });
});

/** The least contrast ratio of any text with what is behind it. @see WCAG 2.2 §1.4.3 */
const LEAST_CONTRAST = `(() => {
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (element) => {
    const color = parse(getComputedStyle(element).backgroundColor);
    return color.length === 4 && color[3] === 0 ? behind(element.parentElement) : color;
  };
  const ratios = [...document.querySelectorAll('body *')]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== ''))
    .map((element) => [luminance(parse(getComputedStyle(element).color)), luminance(behind(element))])
    .map(([one, other]) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05));
  return Math.min(...ratios);
})()`;
