import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
});
afterAll(() => curfew.close());

describe('the authorization code flow', () => {
  it('signs a person in and tells the client who, since when, and how long', async () => {
    const tokens = await (await app.signIn(newBrowser(curfew.issuer), 'alice')).redeem();

    expect(tokens).toMatchObject({
      token_type: 'bearer',
      access_token: expect.any(String),
      refresh_token: expect.any(String),
    });
    const claims = tokens.claims();
    expect(claims).toMatchObject({ aud: 'app', sid: expect.any(String), auth_time: expect.any(Number), amr: ['pwd'] });
    expect(claims?.session_expiry).toBe(Number(claims?.auth_time) + 8 * 3600);
    const userinfo = await app.userinfo(tokens.access_token);
    expect(await userinfo.json()).toMatchObject({
      sub: claims?.sub,
      preferred_username: 'alice',
      email: 'alice@example.test',
    });
    expect(await app.introspect(tokens.access_token)).toMatchObject({ active: true, client_id: 'app' });
  });
});
