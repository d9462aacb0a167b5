import { expect, it } from '@jest/globals';
import type { ClientDeclaration } from '../../src/clients/client-metadata-schema.ts';
import { readClientSecrets } from '../../src/clients/client-secrets.ts';
import { AppError } from '../../src/errors.ts';

const client = (clientId: string, clientSecretEnv?: string): ClientDeclaration => ({
  clientId,
  metadata: { client_id: clientId },
  firstParty: false,
  data: [],
  labels: [],
  presence: false,
  introspects: 'own',
  allowedOrigins: [],
  ...(clientSecretEnv === undefined ? {} : { clientSecretEnv }),
});

const good = 'x'.repeat(32);

it('reads the secrets that clients name, and none for the others', () => {
  const secrets = readClientSecrets([client('chat', 'CHAT'), client('wiki')], { CHAT: good, WIKI: good });
  expect([...secrets]).toEqual([['chat', good]]);
});

it('tells every missing or unfit variable at once, and no value', () => {
  const declarations = [client('a', 'A'), client('b', 'B'), client('c', 'C'), client('d', 'D'), client('e', 'E')];
  const env = { B: '', C: 'y'.repeat(31), D: `${good}\n`, E: good };
  expect(() => readClientSecrets(declarations, env)).toThrow(
    new AppError(
      'invalid_configuration',
      [
        'A (client_secret_env of client "a"): is not set',
        'B (client_secret_env of client "b"): is not set',
        'C (client_secret_env of client "c"): has 31 bytes, but a client secret needs at least 32',
        'D (client_secret_env of client "d"): holds a space, a line break or another character that is not printable ASCII',
      ].join('\n'),
    ),
  );
});
