import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { CURFEW_YAML, type Curfew, PASSWORD, startCurfew } from '../../support/curfew.ts';
import { type PlainProvider, startPlainProvider } from '../../support/plain-provider.ts';
import { errorOf } from '../../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../../support/relying-party.ts';

const ASKS = 'Allow access?';
const NATIVE = 'http://127.0.0.1/cb';

/** What a person sees after they signed in, in a new browser. */
async function afterSignIn(issuer: string, party: RelyingParty): Promise<string> {
  const browser = newBrowser(issuer);
  const { page } = await party.authorize(browser);
  const next = await browser.submit(page, { login: 'alice', password: PASSWORD }, '/login');
  if (!next.text.includes(ASKS)) return next.url;
  await browser.submit(next, {}, '/consent');
  return ASKS;
}

describe('consent', () => {
  let plain: PlainProvider;
  let curfew: Curfew;
  beforeAll(async () => {
    plain = await startPlainProvider({}, { firstParty: false });
    const native = `  - { client_id: native, application_type: native, token_endpoint_auth_method: client_secret_post,
      redirect_uris: ['${NATIVE}'], first_party: true }
policy:`;
    curfew = await startCurfew({ yaml: CURFEW_YAML.replace('policy:', native) });
    await curfew.addAccount('alice');
  });
  afterAll(async () => {
    await plain.close();
    await curfew.close();
  });

  it('is in plain oidc-provider a matter of the session, and asked for again in the next', async () => {
    const third = await relyingParty(plain.issuer, 'third', 'https://third.example/cb');
    expect(await afterSignIn(plain.issuer, third)).toBe(ASKS);
    expect(await afterSignIn(plain.issuer, third)).toBe(ASKS);
  });

  it('is in Curfew the person’s, and remembered', async () => {
    const third = await relyingParty(curfew.issuer, 'third', 'https://third.example/cb');
    expect(await afterSignIn(curfew.issuer, third)).toBe(ASKS);
    expect(await afterSignIn(curfew.issuer, third)).toMatch(/^https:\/\/third\.example\/cb\?code=/);
  });

  it('is in plain oidc-provider asked for by every native client at every request, one of our own too', async () => {
    const { provider, ...rest } = await startPlainProvider({
      clients: [
        {
          client_id: 'native',
          application_type: 'native',
          redirect_uris: [NATIVE],
          token_endpoint_auth_method: 'none',
        },
      ],
    });
    const native = await relyingParty(rest.issuer, 'native', NATIVE);
    const browser = newBrowser(rest.issuer);
    await native.signIn(browser, 'alice');
    expect(errorOf(await native.authorize(browser, { prompt: 'none' })).error).toBe('interaction_required');
    await rest.close();
  });

  it('is in Curfew never asked for by a native client of our own', async () => {
    const native = await relyingParty(curfew.issuer, 'native', NATIVE);
    const browser = newBrowser(curfew.issuer);
    await native.signIn(browser, 'alice');
    const { callback } = await native.authorize(browser, { prompt: 'none' });
    expect(callback?.searchParams.has('code')).toBe(true);
  });
});
