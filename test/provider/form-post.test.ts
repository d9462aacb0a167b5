import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { newBrowser, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
});
afterAll(() => curfew.close());

it('lets the form of response_mode=form_post go to the client that asked, and nowhere else', async () => {
  const app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  const browser = newBrowser(curfew.issuer);
  await app.signIn(browser, 'alice');

  const { page } = await app.authorize(browser, { response_mode: 'form_post' });

  expect(page.text).toMatch(/<form method="post" action="https:\/\/app\.example\/cb">/);
  const policy = page.headers.get('content-security-policy');
  expect(policy).toContain("form-action 'self' https://app.example;");
  expect(policy).toMatch(/script-src 'self' 'sha256-[^']+'/);
});
