import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { errorOf, signedIn } from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let third: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  await curfew.addAccount('bob');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  third = await relyingParty(curfew.issuer, 'third', 'https://third.example/cb');
});
afterAll(() => curfew.close());

const asking = (claims: object) => ({ scope: 'openid', claims: JSON.stringify(claims) });
const essentialAcr = (value: string) => asking({ id_token: { acr: { essential: true, value } } });

describe('the claims parameter', () => {
  it('brings single claims to the ID token and to userinfo', async () => {
    const parameters = asking({ id_token: { email: null }, userinfo: { preferred_username: null } });
    const { tokens } = await signedIn(curfew, app, 'alice', { parameters });
    expect(tokens.claims()).toMatchObject({ email: 'alice@example.test' });
    const told = (await (await app.userinfo(tokens.access_token)).json()) as Record<string, unknown>;
    expect(told).toMatchObject({ preferred_username: 'alice' });
    expect(told).not.toHaveProperty('email');
  });

  it('asks the person for what another’s client wants, once', async () => {
    const { browser } = await signedIn(curfew, third, 'alice', { parameters: { scope: 'openid' } });
    const parameters = asking({ id_token: { email: null } });
    const page = await third.authorize(browser, parameters);
    expect(page.callback).toBeUndefined();
    expect(page.page.text).toContain('See your email');
    expect(page.page.text).not.toContain('Confirm who you are');
    const { tokens } = await signedIn(curfew, third, 'alice', { browser, parameters });
    expect(tokens.claims()).toMatchObject({ email: 'alice@example.test' });
    const again = await third.authorize(browser, { ...parameters, prompt: 'none' });
    expect((await again.redeem()).claims()).toMatchObject({ email: 'alice@example.test' });
  });

  it('that is no JSON is refused', async () => {
    const flow = await app.authorize(newBrowser(curfew.issuer), { claims: '{' });
    expect(errorOf(flow).error).toBe('invalid_request');
  });
});

describe('an essential acr', () => {
  it('that a sign-in here has is told', async () => {
    const { tokens } = await signedIn(curfew, app, 'alice', { parameters: essentialAcr('aal1') });
    expect(tokens.claims()).toMatchObject({ acr: 'aal1' });
  });

  it('that it can’t have is a failed authentication, with and without pages', async () => {
    const browser = newBrowser(curfew.issuer);
    const flow = await app.signIn(browser, 'alice', essentialAcr('aal3'));
    expect(errorOf(flow).error).toBe('unmet_authentication_requirements');
    const silent = await app.authorize(browser, { ...essentialAcr('aal3'), prompt: 'none' });
    expect(silent.callback?.searchParams.has('code')).toBe(false);
  });
});

describe('a hint', () => {
  it.each<[string, Record<string, string>]>([
    ['acr_values', { acr_values: 'aal3 aal1' }],
    ['login_hint', { login_hint: 'alice' }],
    ['ui_locales', { ui_locales: 'fr-CA fr en' }],
    ['display', { display: 'touch' }],
  ])('%s makes no error', async (_name, parameters) => {
    const { tokens } = await signedIn(curfew, app, 'alice', { parameters });
    expect(tokens).toHaveProperty('id_token');
  });

  it('id_token_hint of another person is never answered for who is signed in', async () => {
    const alice = await signedIn(curfew, app, 'alice');
    const bob = await signedIn(curfew, app, 'bob');
    const parameters = { id_token_hint: String(alice.tokens.id_token) };
    const silent = await app.authorize(bob.browser, { ...parameters, prompt: 'none' });
    expect(errorOf(silent).error).toBe('login_required');
    const asked = await app.authorize(bob.browser, parameters);
    expect(asked.page.text).toContain('name="password"');
  });
});
