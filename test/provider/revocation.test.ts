import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { expiredGrant, participationOf, refusalOf, sessionOf, signedIn } from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let other: RelyingParty;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  other = await relyingParty(curfew.issuer, 'other', 'https://other.example/cb');
});
afterAll(() => curfew.close());

describe('revocation (RFC 7009)', () => {
  it('of an access token ends that token and nothing else', async () => {
    const { tokens, sid } = await signedIn(curfew, app, 'alice');
    await client.tokenRevocation(app.configuration, tokens.access_token);
    expect(await app.introspect(tokens.access_token)).toEqual({ active: false });
    expect((await app.userinfo(tokens.access_token)).status).toBe(401);
    expect(await participationOf(curfew, sid)).toMatchObject({ endedAt: null });
    expect((await app.refresh(tokens.refresh_token)).access_token).toEqual(expect.any(String));
  });

  it.each(['refresh_token', 'access_token', undefined])(
    'of a refresh token, hinted at as %s, ends all that was granted with it, and not the session',
    async (hint) => {
      const { browser, tokens, sid } = await signedIn(curfew, app, 'alice');
      const parameters = hint === undefined ? {} : { token_type_hint: hint };
      await client.tokenRevocation(app.configuration, String(tokens.refresh_token), parameters);
      expect(await refusalOf(app.refresh(tokens.refresh_token))).toEqual(expiredGrant);
      expect(await app.introspect(tokens.access_token)).toEqual({ active: false });
      expect(await participationOf(curfew, sid)).toMatchObject({ endReason: 'rp_logout' });
      expect(await sessionOf(curfew, sid)).toMatchObject({ endedAt: null });
      const back = await signedIn(curfew, app, 'alice', { browser, parameters: { prompt: 'none' } });
      expect(back.sid).not.toBe(sid);
    },
  );

  it('by another client is refused, and changes nothing', async () => {
    const { tokens } = await signedIn(curfew, app, 'alice');
    const notItsOwn = { status: 400, error: 'invalid_request', description: 'the token was issued to another client' };
    for (const token of [tokens.access_token, String(tokens.refresh_token)]) {
      expect(await refusalOf(client.tokenRevocation(other.configuration, token))).toEqual(notItsOwn);
    }
    expect(await app.introspect(tokens.access_token)).toMatchObject({ active: true });
    expect((await app.refresh(tokens.refresh_token)).access_token).toEqual(expect.any(String));
  });

  it('by a client that anybody could be changes nothing and tells nothing', async () => {
    const { tokens } = await signedIn(curfew, app, 'alice');
    const anybody = await relyingParty(curfew.issuer, 'public', 'https://spa.example/cb');
    await client.tokenRevocation(anybody.configuration, tokens.access_token);
    expect(await app.introspect(tokens.access_token)).toMatchObject({ active: true });
  });

  it('of a token that never was is answered 200', async () => {
    await client.tokenRevocation(app.configuration, 'never-issued');
  });

  it('needs the client to show who it is', async () => {
    const answer = await fetch(`${curfew.issuer}/revoke`, {
      method: 'POST',
      body: new URLSearchParams({ token: 'x', client_id: 'app' }),
    });
    expect(answer.status).toBe(401);
  });
});
