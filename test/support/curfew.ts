import { createServer } from 'node:net';
import { pino } from 'pino';
import { createAccount } from '../../src/accounts/accounts.ts';
import { createPasswordHasher } from '../../src/accounts/password-hasher.ts';
import { applyDeclaration } from '../../src/clients/apply.ts';
import { parseCurfewYaml } from '../../src/clients/curfew-yaml.ts';
import { type Config, loadConfig } from '../../src/config.ts';
import { type RunningServer, startServer } from '../../src/server.ts';
import { deriveSecrets } from '../../src/storage/secrets.ts';
import { type TestDatabase, testDatabase } from './database.ts';

export const SECRET = 'a-client-secret-that-is-long-enough-for-anyone';
export const PASSWORD = 'correct horse battery staple';

/** A confidential client with refresh tokens, a third-party one, a public one, and a strict one that serves restricted data. */
export const CURFEW_YAML = `
clients:
  - client_id: app
    redirect_uris: [https://app.example/cb]
    post_logout_redirect_uris: [https://app.example/]
    backchannel_logout_uri: https://app.example/backchannel
    grant_types: [authorization_code, refresh_token]
    first_party: true
    presence: true
  - client_id: other
    redirect_uris: [https://other.example/cb]
    grant_types: [authorization_code, refresh_token]
    first_party: true
  - client_id: third
    client_name: Third Party
    redirect_uris: [https://third.example/cb]
    grant_types: [authorization_code, refresh_token]
  - client_id: public
    token_endpoint_auth_method: none
    redirect_uris: [https://spa.example/cb]
    grant_types: [authorization_code, refresh_token]
    first_party: true
  - client_id: strict
    redirect_uris: [https://strict.example/cb]
    grant_types: [authorization_code, refresh_token]
    first_party: true
    data: [restricted]
  - client_id: service
    grant_types: [client_credentials]
    introspects: any
policy:
  default: { idle: 15m, absolute: 8h, accessToken: 1h, idToken: 1h, activity: [interactive, refresh] }
  rules:
    - name: privileged people
      when: { roles: [admin] }
      limits: { idle: 10m, absolute: 4h, concurrent: 1, activity: [interactive] }
    - name: restricted data
      when: { data: [restricted] }
      limits: { idle: 5m, absolute: 1h, offline: forbid }
`;

export interface Curfew extends TestDatabase {
  issuer: string;
  config: Config;
  server: RunningServer;
  addAccount(login: string, roles?: string[]): Promise<{ id: string; login: string }>;
  apply(yaml: string): Promise<void>;
  /** Moves the database's clock and lets the server notice at once. */
  travel(milliseconds: number): Promise<void>;
  /** What signing keys are encrypted under. */
  wrappingKeys(): Promise<readonly Uint8Array[]>;
  /** Another node on the same database. */
  startNode(): Promise<{ issuer: string; server: RunningServer; close(): Promise<void> }>;
}

/** Curfew with a database of its own, served in this process. */
export async function startCurfew({
  yaml = CURFEW_YAML,
  env = {},
}: {
  yaml?: string;
  env?: Record<string, string>;
} = {}): Promise<Curfew> {
  const database = await testDatabase();
  const hasher = createPasswordHasher({
    parameters: { memoryKib: 1_024, iterations: 1, parallelism: 1 },
    concurrency: 2,
    maxWaiting: 100,
  });
  const secrets = deriveSecrets([new Uint8Array(32).fill(7)]);
  const log = pino({ level: process.env.TEST_LOG_LEVEL ?? 'silent' });
  const nodes: RunningServer[] = [];

  async function startNode() {
    const port = await freePort();
    const config: Config = {
      ...loadConfig({ PORT: String(port), LOG_LEVEL: 'silent', DATABASE_URL: database.url, ...env }, { cwd: '/' }),
      // Tests move the database's clock by hours; one about the bound sets its own.
      ...(env.CLOCK_OFFSET_MAX_MS === undefined && { clockOffsetMaxMs: Number.MAX_SAFE_INTEGER }),
      passwords: { parameters: { memoryKib: 1_024, iterations: 1, parallelism: 1 }, concurrency: 2, maxWaiting: 100 },
    };
    const storage = { db: database.db, url: database.url, secrets: async () => secrets, close: async () => undefined };
    const server = await startServer(config, storage, log);
    nodes.push(server);
    return { issuer: config.issuer, config, server, close: () => server.close() };
  }

  async function apply(text: string): Promise<void> {
    const declaration = parseCurfewYaml(text, { fileName: 'curfew.yaml' });
    const secretsOfClients = new Map(declaration.clients.map(({ clientId }) => [clientId, SECRET]));
    await applyDeclaration(database.db, declaration, { actor: 'system:test', secrets: secretsOfClients });
  }

  await apply(yaml);
  const node = await startNode();
  return {
    ...database,
    ...node,
    apply,
    startNode,
    wrappingKeys: async () => secrets.keys('signing-key'),
    async addAccount(login, roles = []) {
      const account = await createAccount(
        { db: database.db, hasher },
        { login, password: PASSWORD, roles, email: `${login}@example.test` },
        { actor: 'system:test' },
      );
      return account;
    },
    async travel(milliseconds) {
      await database.travel(milliseconds);
      await Promise.all(nodes.map(({ clock }) => clock.measure()));
    },
    async close() {
      await Promise.all(nodes.map((server) => server.close()));
      await database.close();
    },
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}
