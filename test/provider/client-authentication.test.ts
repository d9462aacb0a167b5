import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import * as client from 'openid-client';
import { CURFEW_YAML, type Curfew, SECRET, startCurfew } from '../support/curfew.ts';
import { refusalOf } from '../support/records.ts';

let curfew: Curfew;
let privateKey: Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];

beforeAll(async () => {
  const pair = await generateKeyPair('ES256');
  privateKey = pair.privateKey;
  const jwk = JSON.stringify({ ...(await exportJWK(pair.publicKey)), alg: 'ES256', use: 'sig' });
  const clients = `  - { client_id: post, grant_types: [client_credentials], token_endpoint_auth_method: client_secret_post }
  - { client_id: keyed, grant_types: [client_credentials], token_endpoint_auth_method: private_key_jwt, jwks: { keys: [${jwk}] } }
policy:`;
  curfew = await startCurfew({ yaml: CURFEW_YAML.replace('policy:', clients) });
});
afterAll(() => curfew.close());

async function ownToken(clientId: string, authentication: client.ClientAuth): Promise<client.TokenEndpointResponse> {
  const options = { execute: [client.allowInsecureRequests] };
  const configuration = await client.discovery(new URL(curfew.issuer), clientId, {}, authentication, options);
  return client.clientCredentialsGrant(configuration);
}

const refused = { status: 401, error: 'invalid_client' };

describe('a client shows who it is', () => {
  it('by the way that it registered', async () => {
    expect(await ownToken('service', client.ClientSecretBasic(SECRET))).toHaveProperty('access_token');
    expect(await ownToken('post', client.ClientSecretPost(SECRET))).toHaveProperty('access_token');
    expect(await ownToken('keyed', client.PrivateKeyJwt(privateKey))).toHaveProperty('access_token');
  });

  it.each<[string, string, () => client.ClientAuth]>([
    ['a wrong secret', 'service', () => client.ClientSecretBasic(`${SECRET}x`)],
    ['no secret', 'post', () => client.None()],
    ['what the database holds of the secret', 'post', () => client.ClientSecretPost(hashOf(SECRET))],
    ['a secret where a key is registered', 'keyed', () => client.ClientSecretBasic(SECRET)],
    ['the name of a client that never was', 'nobody', () => client.ClientSecretBasic(SECRET)],
  ])('and not by %s', async (_way, clientId, authentication) => {
    expect(await refusalOf(ownToken(clientId, authentication()))).toMatchObject(refused);
  });

  it('and not by the key of another, nor twice by one assertion', async () => {
    const stranger = await generateKeyPair('ES256');
    expect(await refusalOf(ownToken('keyed', client.PrivateKeyJwt(stranger.privateKey)))).toMatchObject(refused);

    const assertion = await new SignJWT({ jti: 'used-twice' })
      .setProtectedHeader({ alg: 'ES256' })
      .setIssuer('keyed')
      .setSubject('keyed')
      .setAudience(curfew.issuer)
      .setIssuedAt()
      .setExpirationTime('1m')
      .sign(privateKey);
    const present = () =>
      fetch(`${curfew.issuer}/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: 'keyed',
          client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
          client_assertion: assertion,
        }),
      });
    const answers = await Promise.all(Array.from({ length: 10 }, present));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await present()).status).toBe(401);
  });
});

function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('base64url');
}
