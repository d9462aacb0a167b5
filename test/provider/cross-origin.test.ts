import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, startCurfew } from '../support/curfew.ts';
import { MINUTES, type SignedIn, signedIn } from '../support/records.ts';
import { relyingParty } from '../support/relying-party.ts';

const REGISTERED = 'https://spa.example';
const STRANGER = 'https://evil.example';

let curfew: Curfew;
let given: SignedIn;

beforeAll(async () => {
  curfew = await startCurfew();
  await curfew.addAccount('alice');
  given = await signedIn(curfew, await relyingParty(curfew.issuer, 'public', 'https://spa.example/cb'), 'alice');
});
afterAll(() => curfew.close());

function call(path: string, origin: string, { method = 'GET', token = given.tokens.access_token, body = '' } = {}) {
  return fetch(`${curfew.issuer}${path}`, {
    method,
    headers: {
      origin,
      ...(token !== '' && { authorization: `Bearer ${token}` }),
      ...(body !== '' && { 'content-type': 'application/x-www-form-urlencoded' }),
    },
    ...(body !== '' && { body }),
  });
}

function preflight(path: string, origin: string) {
  return fetch(`${curfew.issuer}${path}`, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
  });
}

const allowed = (answer: Response) => answer.headers.get('access-control-allow-origin');

describe('calls from pages of other origins', () => {
  it.each(['/userinfo', '/session'])('are answered at %s for the registered origin', async (path) => {
    const answer = await call(path, REGISTERED);
    expect(answer.status).toBe(200);
    expect(allowed(answer)).toBe(REGISTERED);
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
  });

  it('may redeem and refresh from the registered origin', async () => {
    const body = `grant_type=refresh_token&client_id=public&refresh_token=${given.tokens.refresh_token}`;
    const answer = await call('/token', REGISTERED, { method: 'POST', token: '', body });
    expect(answer.status).toBe(200);
    expect(allowed(answer)).toBe(REGISTERED);
    expect(answer.headers.get('access-control-allow-credentials')).toBeNull();
  });

  it.each(['/userinfo', '/session'])('can not be read at %s by any other', async (path) => {
    expect(allowed(await call(path, STRANGER))).toBeNull();
    expect(allowed(await call(path, STRANGER, { token: 'never-issued' }))).toBeNull();
  });

  it('can not be read at the token endpoint by any other', async () => {
    const body = 'grant_type=refresh_token&client_id=public&refresh_token=x';
    expect(allowed(await call('/token', STRANGER, { method: 'POST', token: '', body }))).toBeNull();
    expect(allowed(await call('/token', STRANGER, { method: 'POST', token: '', body: 'x=y' }))).toBeNull();
  });

  it.each(['/userinfo', '/session', '/session/extend', '/token'])('are announced at %s', async (path) => {
    const own = await preflight(path, REGISTERED);
    expect(own.status).toBe(204);
    expect(allowed(own)).toBe(REGISTERED);
    expect(own.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('authorization');
    expect(own.headers.get('access-control-allow-credentials')).toBeNull();
    expect(allowed(await preflight(path, STRANGER))).toBeNull();
  });

  it('tell the registered origin that the session is over, and why', async () => {
    const party = await relyingParty(curfew.issuer, 'public', 'https://spa.example/cb');
    const { tokens } = await signedIn(curfew, party, 'alice');
    await curfew.travel(15 * MINUTES);
    for (const path of ['/userinfo', '/session']) {
      const answer = await call(path, REGISTERED, { token: tokens.access_token });
      expect(answer.status).toBe(401);
      expect(allowed(answer)).toBe(REGISTERED);
      expect(answer.headers.get('access-control-expose-headers')?.toLowerCase()).toContain('www-authenticate');
    }
  });

  it.each(['/authorize', '/logout', '/interaction/x', '/'])('are never answered at %s', async (path) => {
    expect(allowed(await call(path, REGISTERED, { token: '' }))).toBeNull();
    expect(allowed(await preflight(path, REGISTERED))).toBeNull();
  });

  it('never get at the session by cookie', async () => {
    const cookie = `curfew_session=${given.browser.cookie('curfew_session')}; curfew_session.sig=${given.browser.cookie('curfew_session.sig')}`;
    const answer = await fetch(`${curfew.issuer}/session`, { headers: { origin: REGISTERED, cookie } });
    expect(allowed(answer)).toBeNull();
  });

  it.each(['/.well-known/openid-configuration', '/jwks'])(
    'are open to all at %s, which holds no secret',
    async (path) => {
      expect(allowed(await call(path, STRANGER, { token: '' }))).toBe(STRANGER);
    },
  );
});
