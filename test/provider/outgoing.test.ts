import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { exportJWK, generateKeyPair } from 'jose';
import * as client from 'openid-client';
import { createOutgoingFetch } from '../../src/provider/outgoing.ts';
import { CURFEW_YAML, type Curfew, startCurfew } from '../support/curfew.ts';

let keyServer: Server;
let base: string;
let keys: Awaited<ReturnType<typeof generateKeyPair>>;
let curfew: Curfew;
const outgoing = createOutgoingFetch();

beforeAll(async () => {
  keys = await generateKeyPair('ES256');
  const jwks = JSON.stringify({ keys: [{ ...(await exportJWK(keys.publicKey)), alg: 'ES256', use: 'sig' }] });
  keyServer = createServer((request, response) => {
    if (request.url === '/jwks') response.setHeader('content-type', 'application/jwk-set+json').end(jwks);
    else if (request.url === '/elsewhere') response.writeHead(302, { location: '/jwks' }).end();
    else response.end('x'.repeat(1024 * 1024));
  });
  await new Promise<void>((resolve) => keyServer.listen(0, '127.0.0.1', resolve));
  base = `http://127.0.0.1:${(keyServer.address() as AddressInfo).port}`;
  const keyed = (id: string, path: string) =>
    `  - { client_id: ${id}, grant_types: [client_credentials], token_endpoint_auth_method: private_key_jwt, jwks_uri: '${base}${path}' }\n`;
  const clients = `${keyed('keyed', '/jwks')}${keyed('moved', '/elsewhere')}policy:`;
  curfew = await startCurfew({ yaml: CURFEW_YAML.replace('policy:', clients) });
});
afterAll(async () => {
  await curfew.close();
  await new Promise((resolve) => keyServer.close(resolve));
});

async function ownToken(clientId: string): Promise<client.TokenEndpointResponse> {
  const options = { execute: [client.allowInsecureRequests] };
  const authentication = client.PrivateKeyJwt(keys.privateKey);
  return client.clientCredentialsGrant(
    await client.discovery(new URL(curfew.issuer), clientId, {}, authentication, options),
  );
}

describe('a request to a client', () => {
  it('reaches private addresses, where internal clients are: keys are read from there', async () => {
    expect(await ownToken('keyed')).toHaveProperty('access_token');
  });

  it('does not follow where it is sent on', async () => {
    expect((await outgoing(`${base}/elsewhere`)).status).toBe(302);
    await expect(ownToken('moved')).rejects.toThrow();
  });

  it.each(['http://169.254.169.254/latest/meta-data', 'http://[fe80::1]/', 'http://[::ffff:169.254.169.254]/'])(
    'is not made to %s',
    async (address) => {
      await expect(outgoing(address)).rejects.toMatchObject({
        cause: { message: expect.stringContaining('link-local') },
      });
    },
  );

  it('is not made to a name that leads there', async () => {
    const misled = createOutgoingFetch((_name, _options, callback) => {
      callback(null, [
        { address: '127.0.0.1', family: 4 },
        { address: '169.254.169.254', family: 4 },
      ]);
    });
    await expect(misled('http://internal.example/')).rejects.toMatchObject({
      cause: { message: expect.stringContaining('link-local') },
    });
  });

  it('reads so much and no more', async () => {
    const answer = await outgoing(`${base}/large`);
    await expect(answer.text()).rejects.toThrow();
  });
});
