import { describe, expect, it } from '@jest/globals';
import { parseCurfewYaml } from '../../src/clients/curfew-yaml.ts';

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

function parse(...lines: string[]) {
  const text = ['clients:', '  - client_id: tv', ...lines.map((line) => `    ${line}`)].join('\n');
  return parseCurfewYaml(text, { fileName: 'curfew.yaml' }).clients[0];
}

describe('a client on devices', () => {
  it('needs no redirect URI, no secret, and may have refresh tokens', () => {
    const tv = parse(`grant_types: [${DEVICE}, refresh_token]`, 'token_endpoint_auth_method: none');
    expect(tv?.metadata).toMatchObject({
      grant_types: [DEVICE, 'refresh_token'],
      response_types: [],
      redirect_uris: [],
    });
  });

  it('may be one that browsers use too', () => {
    const both = parse(`grant_types: [authorization_code, ${DEVICE}]`, 'redirect_uris: [https://tv.example.com/cb]');
    expect(both?.metadata).toMatchObject({ response_types: ['code'] });
  });
});
