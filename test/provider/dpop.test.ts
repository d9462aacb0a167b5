import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, SignJWT } from 'jose';
import * as client from 'openid-client';
import { CURFEW_YAML, type Curfew, SECRET, startCurfew } from '../support/curfew.ts';
import { participationOf, refusalOf } from '../support/records.ts';
import { newBrowser, type RelyingParty, relyingParty, type Tokens } from '../support/relying-party.ts';

type KeyPair = Awaited<ReturnType<typeof generateKeyPair>>;

let curfew: Curfew;
let spa: RelyingParty;
let key: KeyPair;
let otherKey: KeyPair;

beforeAll(async () => {
  const clients =
    '  - { client_id: bound, grant_types: [client_credentials], dpop_bound_access_tokens: true }\npolicy:';
  curfew = await startCurfew({ yaml: CURFEW_YAML.replace('policy:', clients) });
  await curfew.addAccount('alice');
  spa = await relyingParty(curfew.issuer, 'public', 'https://spa.example/cb');
  key = await generateKeyPair('ES256');
  otherKey = await generateKeyPair('ES256');
});
afterAll(() => curfew.close());

interface ProofFacts {
  keys?: KeyPair;
  method?: string;
  path: string;
  jti?: string;
  iat?: number;
  ath?: string;
}

async function proofOf({ keys = key, method = 'POST', path, jti = crypto.randomUUID(), iat, ath }: ProofFacts) {
  return new SignJWT({ jti, htm: method, htu: `${curfew.issuer}${path}`, ...(ath && { ath }) })
    .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk: await exportJWK(keys.publicKey) })
    .setIssuedAt(iat)
    .sign(keys.privateKey);
}

async function athOf(token: string): Promise<string> {
  return Buffer.from(await crypto.subtle.digest('SHA-256', Buffer.from(token))).toString('base64url');
}

const handle = (keys: KeyPair) => ({ DPoP: client.getDPoPHandle(spa.configuration, keys) });

async function boundTokens(): Promise<Tokens> {
  const flow = await spa.signIn(newBrowser(curfew.issuer), 'alice');
  return client.authorizationCodeGrant(
    spa.configuration,
    flow.callback ?? new URL(flow.page.url),
    { pkceCodeVerifier: flow.verifier, expectedState: flow.callback?.searchParams.get('state') ?? '' },
    undefined,
    handle(key),
  );
}

const refresh = (token: string | undefined, keys?: KeyPair) =>
  client.refreshTokenGrant(spa.configuration, token ?? '', undefined, keys && handle(keys));

function serviceToken(proof?: string): Promise<Response> {
  return fetch(`${curfew.issuer}/token`, {
    method: 'POST',
    headers: {
      authorization: `Basic ${Buffer.from(`bound:${SECRET}`).toString('base64')}`,
      ...(proof !== undefined && { dpop: proof }),
    },
    body: new URLSearchParams({ grant_type: 'client_credentials' }),
  });
}

const errorIn = async (answer: Response) => ((await answer.json()) as { error: string }).error;

async function userinfo(token: string, proof?: string, scheme = 'DPoP'): Promise<Response> {
  const headers = { authorization: `${scheme} ${token}`, ...(proof !== undefined && { dpop: proof }) };
  return fetch(`${curfew.issuer}/userinfo`, { headers });
}

describe('a token bound to a key', () => {
  it('is answered for by that key, and introspection names it', async () => {
    const tokens = await boundTokens();
    expect(tokens.token_type).toBe('dpop');
    const jkt = await calculateJwkThumbprint(await exportJWK(key.publicKey));
    expect(await spa.introspect(tokens.access_token)).toMatchObject({ active: true, token_type: 'DPoP', cnf: { jkt } });
    const proof = await proofOf({ method: 'GET', path: '/userinfo', ath: await athOf(tokens.access_token) });
    expect((await userinfo(tokens.access_token, proof)).status).toBe(200);
  });

  it('is no bearer token', async () => {
    const { access_token: token } = await boundTokens();
    expect((await userinfo(token, undefined, 'Bearer')).status).toBe(401);
    expect((await userinfo(token, undefined, 'DPoP')).status).toBeGreaterThanOrEqual(400);
    const authorization = `Bearer ${token}`;
    const state = await fetch(`${curfew.issuer}/session`, { headers: { authorization } });
    const extend = await fetch(`${curfew.issuer}/session/extend`, { method: 'POST', headers: { authorization } });
    for (const answer of [state, extend]) {
      expect(answer.status).toBe(401);
      expect(answer.headers.get('www-authenticate')).toContain('invalid_token');
    }
  });

  it('is refused with a proof by another key, or for another token', async () => {
    const { access_token: token } = await boundTokens();
    const facts = { method: 'GET', path: '/userinfo' };
    const byOther = await proofOf({ ...facts, keys: otherKey, ath: await athOf(token) });
    const forOther = await proofOf({ ...facts, ath: await athOf('another') });
    expect((await userinfo(token, byOther)).status).toBe(401);
    expect((await userinfo(token, forOther)).status).toBeGreaterThanOrEqual(400);
  });

  it('is all that a client gets that declares so', async () => {
    expect((await serviceToken()).status).toBe(400);
    expect((await serviceToken(await proofOf({ path: '/token' }))).status).toBe(200);
  });
});

describe('one proof', () => {
  it('is good once at the token endpoint, however many come at once', async () => {
    const proof = await proofOf({ path: '/token' });
    const answers = await Promise.all(Array.from({ length: 10 }, () => serviceToken(proof)));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused).toHaveLength(9);
    expect(new Set(await Promise.all(refused.map(errorIn)))).toEqual(new Set(['invalid_grant']));
  });

  it('is good once at userinfo, however many come at once', async () => {
    const { access_token: token } = await boundTokens();
    const proof = await proofOf({ method: 'GET', path: '/userinfo', ath: await athOf(token) });
    const answers = await Promise.all(Array.from({ length: 10 }, () => userinfo(token, proof)));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused.map(({ status }) => status)).toEqual(Array.from({ length: 9 }, () => 401));
    for (const answer of refused) expect(answer.headers.get('www-authenticate')).toContain('invalid_token');
  });

  it.each([
    ['long past', -400],
    ['far in the future', 400],
  ])('is refused when it is dated %s', async (_when, seconds) => {
    const answer = await serviceToken(await proofOf({ path: '/token', iat: Math.floor(Date.now() / 1000) + seconds }));
    expect(answer.status).toBe(400);
    expect(await errorIn(answer)).toBe('invalid_dpop_proof');
  });

  it('dated ahead stays used for as long as it would be good', async () => {
    const proof = await proofOf({ path: '/token', iat: Math.floor(Date.now() / 1000) + 250 });
    expect((await serviceToken(proof)).status).toBe(200);
    const [row] = await curfew.query<{ seconds: number }>(
      `SELECT extract(epoch FROM max(expires_at) - curfew_now())::int AS seconds FROM artifact WHERE model = 'ReplayDetection'`,
    );
    expect(row?.seconds).toBeGreaterThanOrEqual(550);
  });
});

describe('a refresh token of a public client', () => {
  it('is bound to the key', async () => {
    const tokens = await boundTokens();
    expect(await refusalOf(refresh(tokens.refresh_token, otherKey))).toMatchObject({ error: 'invalid_grant' });
    expect(await refusalOf(refresh(tokens.refresh_token))).toMatchObject({ error: 'invalid_grant' });
    expect((await refresh(tokens.refresh_token, key)).token_type).toBe('dpop');
  });

  it('that was used is reused by another key at once, and by its own only after a while', async () => {
    const tokens = await boundTokens();
    const sid = String(tokens.claims()?.sid);
    await refresh(tokens.refresh_token, key);
    expect(await refusalOf(refresh(tokens.refresh_token, key))).toMatchObject({ error: 'invalid_grant' });
    expect(await participationOf(curfew, sid)).toMatchObject({ endReason: null });
    expect(await refusalOf(refresh(tokens.refresh_token, otherKey))).toMatchObject({ error: 'invalid_grant' });
    expect(await participationOf(curfew, sid)).toMatchObject({ endReason: 'token_reuse' });
  });
});
