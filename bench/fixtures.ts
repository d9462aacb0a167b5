import argon2 from 'argon2';

/** What all contenders serve: the same clients, people, limits and passwords. */

export const SECRET = 'a-client-secret-that-is-long-enough-for-anyone';
export const PASSWORD = 'correct horse battery staple';
export const REDIRECT_URI = 'https://app.example/cb';

/** OWASP's first recommendation for argon2id, and what Curfew does by default. */
export const ARGON2 = { memoryKib: 19_456, iterations: 2, parallelism: 1 };

/** A client that people sign in to, of our own, so that nobody is asked for consent, and a service. */
export const APP = 'app';
export const SERVICE = 'service';

export const POLICY = { idleSeconds: 1_800, absoluteSeconds: 43_200, accessTokenSeconds: 300 };

/** The resource whose access tokens are JWTs signed with ES256 (RFC 9068). */
export const JWT_RESOURCE = 'https://api.example';

export const SCOPE = 'openid profile email';

/** Curfew's declaration, in JSON, which YAML includes; rules as somebody would have them. */
export const CURFEW_YAML = JSON.stringify({
  clients: [
    {
      client_id: APP,
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      first_party: true,
    },
    { client_id: SERVICE, grant_types: ['client_credentials'] },
  ],
  policy: {
    default: {
      idle: `${POLICY.idleSeconds}s`,
      absolute: `${POLICY.absoluteSeconds}s`,
      accessToken: `${POLICY.accessTokenSeconds}s`,
      activity: ['interactive', 'refresh'],
    },
    rules: [
      {
        name: 'privileged people',
        when: { roles: ['admin'] },
        limits: { idle: '10m', absolute: '4h', concurrent: 1, activity: ['interactive'] },
      },
      {
        name: 'restricted data',
        when: { data: ['restricted'] },
        limits: { idle: '5m', absolute: '1h', offline: 'forbid' },
      },
    ],
  },
});

export interface BenchAccount {
  id: string;
  login: string;
  hash: string;
}

/** One for each worker: two that sign in to the same account at once would wait for each other. */
export const LOGINS: readonly string[] = Array.from({ length: 32 }, (_, at) => `person${at}`);

export async function makeAccounts(): Promise<BenchAccount[]> {
  const { memoryKib, iterations, parallelism } = ARGON2;
  return Promise.all(
    LOGINS.map(async (login) => ({
      id: crypto.randomUUID(),
      login,
      hash: await argon2.hash(PASSWORD, {
        type: argon2.argon2id,
        memoryCost: memoryKib,
        timeCost: iterations,
        parallelism,
      }),
    })),
  );
}
