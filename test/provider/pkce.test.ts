import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import type { Browser } from '../support/browser.ts';
import { type Curfew, SECRET, startCurfew } from '../support/curfew.ts';
import { signedIn } from '../support/records.ts';
import { relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let browser: Browser;

const CALLBACKS = {
  app: 'https://app.example/cb',
  third: 'https://third.example/cb',
  public: 'https://spa.example/cb',
  strict: 'https://strict.example/cb',
} as const;
type ClientId = keyof typeof CALLBACKS;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  ({ browser } = await signedIn(curfew, await relyingParty(curfew.issuer, 'app', CALLBACKS.app), 'alice'));
});
afterAll(() => curfew.close());

async function ask(clientId: ClientId, parameters: Record<string, string>): Promise<URLSearchParams> {
  const url = new URL(`${curfew.issuer}/authorize`);
  url.search = new URLSearchParams({
    client_id: clientId,
    redirect_uri: CALLBACKS[clientId],
    response_type: 'code',
    scope: 'openid',
    ...parameters,
  }).toString();
  return new URL((await browser.open(url.href)).url).searchParams;
}

function redeem(clientId: ClientId, code: string, verifier?: string): Promise<Response> {
  return fetch(`${curfew.issuer}/token`, {
    method: 'POST',
    headers:
      clientId === 'public'
        ? {}
        : { authorization: `Basic ${Buffer.from(`${clientId}:${SECRET}`).toString('base64')}` },
    body: new URLSearchParams({
      grant_type: 'authorization_code',
      code,
      redirect_uri: CALLBACKS[clientId],
      ...(clientId === 'public' && { client_id: 'public' }),
      ...(verifier !== undefined && { code_verifier: verifier }),
    }),
  });
}

describe('PKCE (RFC 7636)', () => {
  it.each<ClientId>(['app', 'third', 'public', 'strict'])('is required of every client: %s', async (clientId) => {
    expect((await ask(clientId, {})).get('error')).toBe('invalid_request');
  });

  it.each<ClientId>(['app', 'public'])('takes no plain challenge of %s, said or unsaid', async (clientId) => {
    const challenge = client.randomPKCECodeVerifier();
    for (const method of [{ code_challenge_method: 'plain' }, {}]) {
      expect((await ask(clientId, { code_challenge: challenge, ...method })).get('error')).toBe('invalid_request');
    }
  });

  it.each<ClientId>(['app', 'public'])('gives %s tokens for the verifier alone', async (clientId) => {
    const verifier = client.randomPKCECodeVerifier();
    const parameters = {
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
    };
    for (const wrong of [undefined, client.randomPKCECodeVerifier(), parameters.code_challenge]) {
      const code = String((await ask(clientId, parameters)).get('code'));
      const answer = await redeem(clientId, code, wrong);
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({ error: 'invalid_grant' });
    }
    const code = String((await ask(clientId, parameters)).get('code'));
    expect((await redeem(clientId, code, verifier)).status).toBe(200);
  });
});
