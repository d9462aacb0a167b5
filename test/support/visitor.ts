import type { BrowserContext, BrowserContextOptions, Browser as Chromium, Page } from 'playwright-core';
import type { Browser } from './browser.ts';
import { PASSWORD } from './curfew.ts';

export interface Visitor {
  context: BrowserContext;
  page: Page;
  /** What the browser complained about, on any page: violations of a policy, errors of scripts. */
  complaints: string[];
  leave(): Promise<void>;
}

/** Chromium writes a line for every answer with 4xx or 5xx, a page that says so included. */
const ANSWER_REFUSED = /^Failed to load resource: the server responded with a status of/;

/** A person with a browser of their own. */
export async function newVisitor(chromium: Chromium, options: BrowserContextOptions = {}): Promise<Visitor> {
  const context = await chromium.newContext(options);
  const complaints: string[] = [];
  context.on('weberror', (error) => complaints.push(String(error.error())));
  context.on('console', (message) => {
    const isComplaint = message.type() === 'error' || message.type() === 'warning';
    if (isComplaint && !ANSWER_REFUSED.test(message.text())) complaints.push(message.text());
  });
  await context.addInitScript(`addEventListener('securitypolicyviolation', (event) =>
    console.error('policy violated: ' + event.violatedDirective + ' ' + event.blockedURI))`);
  return { context, page: await context.newPage(), complaints, leave: () => context.close() };
}

/** Fills in and sends the sign-in page that is open. */
export async function giveCredentials(page: Page, login: string, password = PASSWORD): Promise<void> {
  await page.locator('#login').fill(login);
  await page.locator('#password').fill(password);
  await page.getByRole('button', { name: 'Sign in', exact: true }).click();
}

/** For a relying party: its requests are made in this page. */
export function openWith(page: Page): Pick<Browser, 'open'> {
  return {
    async open(url) {
      const response = await page.goto(url);
      return {
        url: page.url(),
        status: response?.status() ?? 0,
        text: await page.content(),
        headers: new Headers(response?.headers()),
      };
    },
  };
}
