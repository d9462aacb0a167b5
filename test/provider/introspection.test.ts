import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { type SignedIn, signedIn } from '../support/records.ts';
import { type RelyingParty, relyingParty } from '../support/relying-party.ts';

let curfew: Curfew;
let app: RelyingParty;
let service: RelyingParty;
let open: RelyingParty;
let given: SignedIn;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  app = await relyingParty(curfew.issuer, 'app', 'https://app.example/cb');
  open = await relyingParty(curfew.issuer, 'public', 'https://spa.example/cb');
  service = await relyingParty(curfew.issuer, 'service', 'https://unused.example/cb');
  given = await signedIn(curfew, app, 'alice');
});
afterAll(() => curfew.close());

describe('introspection (RFC 7662)', () => {
  it('tells a resource server whose token it is, for what, and until when', async () => {
    expect(await service.introspect(given.tokens.access_token)).toEqual({
      active: true,
      client_id: 'app',
      sub: given.tokens.claims()?.sub,
      sid: given.sid,
      iss: curfew.issuer,
      scope: 'openid profile email',
      token_type: 'Bearer',
      iat: expect.any(Number),
      exp: expect.any(Number),
    });
  });

  it.each(['access_token', 'refresh_token', 'nonsense'])('finds any token, hinted at as %s', async (hint) => {
    for (const token of [given.tokens.access_token, String(given.tokens.refresh_token)]) {
      const answer = await client.tokenIntrospection(service.configuration, token, { token_type_hint: hint });
      expect(answer).toMatchObject({ active: true, client_id: 'app' });
    }
  });

  it('tells a client that anybody could be about its own tokens only', async () => {
    const own = await signedIn(curfew, open, 'alice');
    expect(await open.introspect(own.tokens.access_token)).toMatchObject({ active: true });
    expect(await open.introspect(given.tokens.access_token)).toEqual({ active: false });
  });

  it('finds nothing under what is no token: a sid, a session’s name, a code, a cookie', async () => {
    const flow = await app.authorize(given.browser);
    const values = [
      given.sid,
      given.session.uid,
      flow.callback?.searchParams.get('code'),
      given.browser.cookie('curfew_session'),
      ' ',
      'a\0b',
    ];
    for (const value of values.map(String)) {
      expect(await service.introspect(value)).toEqual({ active: false });
    }
  });

  it('refuses whoever does not show who they are', async () => {
    const answer = await fetch(`${curfew.issuer}/introspect`, {
      method: 'POST',
      body: new URLSearchParams({ token: given.tokens.access_token }),
    });
    expect(answer.status).toBe(400);
    expect(await answer.json()).not.toHaveProperty('active');
  });
});
