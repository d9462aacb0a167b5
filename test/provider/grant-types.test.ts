import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, SECRET, startCurfew } from '../support/curfew.ts';

let curfew: Curfew;

beforeAll(async () => {
  curfew = await startCurfew();
});
afterAll(() => curfew.close());

async function errorFor(clientId: string, fields: Record<string, string>): Promise<[number, string]> {
  const authorization = `Basic ${Buffer.from(`${clientId}:${SECRET}`).toString('base64')}`;
  const body = new URLSearchParams(fields);
  const answer = await fetch(`${curfew.issuer}/token`, { method: 'POST', headers: { authorization }, body });
  return [answer.status, ((await answer.json()) as { error: string }).error];
}

describe('a grant type', () => {
  it.each<[string, string, Record<string, string>, string]>([
    ['that the client did not register', 'app', { grant_type: 'client_credentials' }, 'unauthorized_client'],
    [
      'of a person, for a service',
      'service',
      { grant_type: 'refresh_token', refresh_token: 'x' },
      'unauthorized_client',
    ],
    ['that is not there', 'app', { grant_type: 'password', username: 'a', password: 'b' }, 'unsupported_grant_type'],
    ['that is left out', 'app', {}, 'invalid_request'],
    ['whose parameters are left out', 'app', { grant_type: 'authorization_code' }, 'invalid_request'],
  ])('%s is refused in its own words', async (_what, clientId, fields, error) => {
    expect(await errorFor(clientId, fields)).toEqual([400, error]);
  });
});
