import { JWT_RESOURCE, LOGINS } from './fixtures.ts';
import { authorize, clientCredentials, introspect, refresh, signIn } from './flows.ts';
import type { HttpClient } from './http-client.ts';

export interface Workload {
  name: string;
  title: string;
  /** How many do it at the same time, each again once it is done. */
  workers: number;
  /** CPU of Curfew against that of the hand-written adapter; undefined: no aim is set. */
  aim?: number;
  /** Whoever can't do it is left out of it, rather than wrong. */
  optional?: true;
  /** @returns one operation of one worker; it throws when an answer is not the right one */
  prepare(http: HttpClient, workers: number): Promise<(worker: number) => Promise<void>>;
}

const loginOf = (worker: number): string => LOGINS[worker % LOGINS.length] ?? '';

const forEach = <T>(workers: number, make: (worker: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: workers }, (_, worker) => make(worker)));

const at = <T>(values: readonly T[], worker: number): T => {
  const value = values[worker];
  if (value === undefined) throw new Error(`no worker ${worker}`);
  return value;
};

const clientCredentialsWorkload: Workload = {
  name: 'client-credentials',
  title: 'client_credentials, opaque',
  workers: 8,
  aim: 0.7,
  prepare: async (http) => async () => void (await clientCredentials(http)),
};

const jwtWorkload: Workload = {
  name: 'client-credentials-jwt',
  title: 'client_credentials, ES256 JWT',
  workers: 8,
  aim: 0.7,
  optional: true,
  prepare: async (http) => async () => {
    const token = await clientCredentials(http, JWT_RESOURCE);
    const header = Buffer.from(token.split('.')[0] ?? '', 'base64url').toString();
    if (!header.includes('"alg":"ES256"')) throw new Error('the access token is no JWT signed with ES256');
  },
};

const introspectionWorkload: Workload = {
  name: 'introspection',
  title: 'introspection of a live opaque token',
  workers: 8,
  aim: 0.7,
  async prepare(http, workers) {
    const tokens = await forEach(workers, async (worker) => (await signIn(http, loginOf(worker))).tokens.access_token);
    return (worker) => introspect(http, at(tokens, worker));
  },
};

const refreshWorkload: Workload = {
  name: 'refresh',
  title: 'refresh with rotation',
  workers: 8,
  aim: 0.9,
  async prepare(http, workers) {
    const tokens = await forEach(workers, async (worker) => (await signIn(http, loginOf(worker))).tokens.refresh_token);
    return async (worker) => {
      tokens[worker] = (await refresh(http, at(tokens, worker))).refresh_token;
    };
  },
};

const codeFlowWorkload: Workload = {
  name: 'code-flow',
  title: 'code flow under a session',
  workers: 8,
  aim: 0.9,
  async prepare(http, workers) {
    const browsers = await forEach(workers, async (worker) => (await signIn(http, loginOf(worker))).browser);
    return async (worker) => void (await authorize(http, at(browsers, worker)));
  },
};

const signInWorkload: Workload = {
  name: 'sign-in',
  title: 'password sign-in, the whole flow',
  workers: 4,
  aim: 1.1,
  prepare: async (http) => async (worker) => void (await signIn(http, loginOf(worker))),
};

export const WORKLOADS: readonly Workload[] = [
  clientCredentialsWorkload,
  jwtWorkload,
  introspectionWorkload,
  refreshWorkload,
  codeFlowWorkload,
  signInWorkload,
];

/** Measured in its own way: see storm.ts. */
export const STORM = 'storm';

export const WORKLOAD_NAMES: readonly string[] = [...WORKLOADS.map(({ name }) => name), STORM];

export const STORM_PARTS = { introspection: introspectionWorkload, refresh: refreshWorkload, signIn: signInWorkload };
