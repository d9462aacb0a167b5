import { readFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { join, resolve } from 'node:path';
import { parse as parseDotenv } from 'dotenv';
import { z } from 'zod';
import { AppError } from './errors.ts';

const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/**
 * Which senders of `X-Forwarded-…` are believed: none, as many proxies in a row, or those with these addresses.
 */
export type TrustProxy = { kind: 'none' } | { kind: 'hops'; hops: number } | { kind: 'networks'; networks: string[] };

export interface FailureLimit {
  failures: number;
  windowSeconds: number;
}

/** Everything the environment decides; what an administrator declares is `curfew.yaml`. */
export interface Config {
  /** Issuer identifier: an origin, without a trailing slash (OpenID Connect Discovery 1.0 §3). */
  issuer: string;
  host: string;
  port: number;
  /** `NODE_ENV=production`: nothing is made up, everything is asked for. */
  production: boolean;
  /** Neither `CONFIG` nor `DATABASE_URL` is set: accounts and clients to look around with. */
  demo: boolean;
  /** Path of `curfew.yaml`, absolute. */
  configFile: string | undefined;
  trustProxy: TrustProxy;
  logLevel: LogLevel;
  /** Where the embedded Postgres and generated secrets live, absolute; `isDefault` if nobody chose it. */
  dataDir: string;
  dataDirIsDefault: boolean;
  /** Undefined: the embedded Postgres. */
  databaseUrl: string | undefined;
  databasePoolSize: number;
  databaseConnectTimeoutSeconds: number;
  /** 32 bytes each; the first is used, all are accepted. Empty: to be generated in `dataDir`. */
  masterKeys: readonly Uint8Array[];
  passwords: {
    parameters: { memoryKib: number; iterations: number; parallelism: number };
    concurrency: number;
    maxWaiting: number;
  };
  signInLimits: { accountAndAddress: FailureLimit; account: FailureLimit; address: FailureLimit };
  clockOffsetMaxMs: number;
  signingKeys: { rotateAfterSeconds: number; overlapSeconds: number; retireAfterSeconds: number };
  shutdownTimeoutSeconds: number;
}

/**
 * argon2id parameters of equal strength: the least memory for a number of passes.
 *
 * @see OWASP Password Storage Cheat Sheet, Argon2id
 */
const ARGON2_MINIMUM: readonly { memoryKib: number; iterations: number }[] = [
  { memoryKib: 47_104, iterations: 1 },
  { memoryKib: 19_456, iterations: 2 },
  { memoryKib: 12_288, iterations: 3 },
  { memoryKib: 9_216, iterations: 4 },
  { memoryKib: 7_168, iterations: 5 },
];

/**
 * Reads the settings from the environment and from `.env` beside it; the environment wins, an empty value is none.
 *
 * @throws AppError `invalid_configuration`, with one line for each setting that is wrong or missing
 */
export function loadConfig(environment: NodeJS.ProcessEnv, { cwd }: { cwd: string }): Config {
  const problems: string[] = [];
  const settings = settingsReader({ ...readDotenv(cwd, problems), ...withoutEmpty(environment) }, problems);
  const config = readSettings(settings, cwd);
  if (problems.length > 0) {
    const count = problems.length === 1 ? 'One setting is' : `${problems.length} settings are`;
    throw new AppError('invalid_configuration', [`${count} wrong or missing:`, ...problems].join('\n  '));
  }
  return config;
}

function readSettings({ read, demand, problem }: SettingsReader, cwd: string): Config {
  const production = read('NODE_ENV', nodeEnvSchema, 'development') === 'production';

  /** TCP port. */
  const port = read('PORT', wholeNumber(1, 65_535), 4000);
  const issuerIsGiven = !production || demand('ISSUER', 'the https address that browsers and clients use');
  const issuer = read('ISSUER', issuerSchema, issuerIsGiven ? `http://localhost:${port}` : '');

  const databaseUrl = read('DATABASE_URL', databaseUrlSchema, undefined, { secret: true });
  const embedded = read('EMBEDDED_POSTGRES', trueOrFalse, databaseUrl === undefined && !production);
  if (!embedded) demand('DATABASE_URL', 'a Postgres server, or EMBEDDED_POSTGRES=true for the one that comes along');
  else if (databaseUrl !== undefined)
    problem('EMBEDDED_POSTGRES', 'true contradicts DATABASE_URL: leave one of them out');

  if (production) demand('CURFEW_SECRET', KEY_HELP);
  const masterKeys = read('CURFEW_SECRET', masterKeysSchema, [], { secret: true });

  const dataDir = read('DATA_DIR', z.string(), undefined);
  const configFile = read('CONFIG', z.string(), undefined);

  return {
    issuer,
    host: read('HOST', z.string(), '127.0.0.1'),
    port,
    production,
    demo: !production && configFile === undefined && databaseUrl === undefined,
    configFile: configFile === undefined ? undefined : resolve(cwd, configFile),
    trustProxy: read('TRUST_PROXY', trustProxySchema, { kind: 'none' }),
    logLevel: read('LOG_LEVEL', z.enum(LOG_LEVELS, { error: `one of ${LOG_LEVELS.join(', ')}` }), 'info'),
    dataDir: resolve(cwd, dataDir ?? '.curfew'),
    dataDirIsDefault: dataDir === undefined,
    databaseUrl,
    /** Connections. Each costs the server about 10 MB; fewer let requests wait for one another. */
    databasePoolSize: read('DATABASE_POOL_SIZE', wholeNumber(2, 500), 10),
    /** Seconds. A longer wait hides for longer from a supervisor that the database is not there. */
    databaseConnectTimeoutSeconds: read('DATABASE_CONNECT_TIMEOUT_SECONDS', wholeNumber(0, 3600), 60),
    masterKeys,
    passwords: {
      parameters: readArgon2({ read, problem }),
      /** Hashes at a time. Each takes ARGON2_MEMORY_KIB and a CPU that token requests then lack. */
      concurrency: read('PASSWORD_CONCURRENCY', wholeNumber(1, 64), 2),
      /** Sign-ins. More let people wait longer before they are told to come back later. */
      maxWaiting: read('PASSWORD_QUEUE', wholeNumber(1, 100_000), 100),
    },
    /** Failures within seconds. More failures are more guesses for an attacker, longer windows longer lockouts. */
    signInLimits: {
      accountAndAddress: {
        failures: read('SIGN_IN_MAX_FAILURES', wholeNumber(1, 1_000), 5),
        windowSeconds: read('SIGN_IN_WINDOW_SECONDS', wholeNumber(1, 86_400), 300),
      },
      account: {
        failures: read('SIGN_IN_MAX_FAILURES_ACCOUNT', wholeNumber(1, 100_000), 30),
        windowSeconds: read('SIGN_IN_WINDOW_SECONDS_ACCOUNT', wholeNumber(1, 86_400), 3600),
      },
      address: {
        failures: read('SIGN_IN_MAX_FAILURES_ADDRESS', wholeNumber(1, 1_000_000), 100),
        windowSeconds: read('SIGN_IN_WINDOW_SECONDS_ADDRESS', wholeNumber(1, 86_400), 3600),
      },
    },
    /** Milliseconds between host and database clock. By as much may a token's `exp` be off; beyond it none is issued. */
    clockOffsetMaxMs: read('CLOCK_OFFSET_MAX_MS', wholeNumber(10, 10_000), 500),
    signingKeys: {
      /** Days. A longer life gives a stolen key more to sign. */
      rotateAfterSeconds: read('KEY_ROTATION_DAYS', wholeNumber(1, 3_650), 90) * 86_400,
      /** Seconds that a new key is published before it signs. Less than clients keep our key set makes them refuse. */
      overlapSeconds: read('KEY_OVERLAP_SECONDS', wholeNumber(0, 604_800), 3_600),
      /** Days that a key stays published after its successor signs; ID tokens older than that are no hint any more. */
      retireAfterSeconds: read('KEY_RETIREMENT_DAYS', wholeNumber(1, 3_650), 30) * 86_400,
    },
    /** Seconds for what is in flight. Longer delays a restart; supervisors often kill after 10. */
    shutdownTimeoutSeconds: read('SHUTDOWN_TIMEOUT_SECONDS', wholeNumber(1, 10), 5),
  };
}

function readArgon2({ read, problem }: Pick<SettingsReader, 'read' | 'problem'>) {
  const parameters = {
    /** KiB for each hash. More costs memory at every sign-in, and an attacker as much for every guess. */
    memoryKib: read('ARGON2_MEMORY_KIB', wholeNumber(1_024, 4_194_304), 19_456),
    /** Passes. More cost CPU time at every sign-in, and an attacker as much for every guess. */
    iterations: read('ARGON2_TIME_COST', wholeNumber(1, 100), 2),
    /** Threads for each hash. More make one hash quicker and take CPUs from everything else. */
    parallelism: read('ARGON2_PARALLELISM', wholeNumber(1, 64), 1),
  };
  const isEnough = ARGON2_MINIMUM.some(
    (least) => parameters.memoryKib >= least.memoryKib && parameters.iterations >= least.iterations,
  );
  if (!isEnough) {
    const pairs = ARGON2_MINIMUM.map(({ memoryKib, iterations }) => `${memoryKib}/${iterations}`).join(', ');
    problem('ARGON2_MEMORY_KIB, ARGON2_TIME_COST', `weaker than OWASP's minimum: expected at least one of ${pairs}`);
  }
  return parameters;
}

const KEY_HELP =
  '32 random bytes in base64url, made by: node -p "crypto.randomBytes(32).toString(\'base64url\')"; ' +
  'to change it put the new one first and keep the old one after a comma';

const nodeEnvSchema = z.enum(['production', 'development', 'test'], { error: 'production, development or test' });

const trueOrFalse = z.enum(['true', 'false'], { error: 'true or false' }).transform((value) => value === 'true');

const masterKeysSchema = z
  .string()
  .transform((value) => value.split(',').map((key) => key.trim()))
  .refine((keys) => keys.every((key) => /^[\w+/-]{43}=?$/.test(key)), { error: KEY_HELP })
  .transform((keys) => keys.map((key) => new Uint8Array(Buffer.from(key, 'base64url'))));

const issuerSchema = z.string().refine(isIssuer, {
  error: 'an https origin like https://id.example.com, without path or trailing slash; http on a loopback host only',
});

const databaseUrlSchema = z.string().refine(isDatabaseUrl, {
  error: 'postgresql://user:password@host:5432/database, without a schema parameter',
});

const trustProxySchema = z.string().transform((value, context): TrustProxy => {
  if (value === 'false' || value === '0') return { kind: 'none' };
  if (/^[1-9]$/.test(value)) return { kind: 'hops', hops: Number(value) };
  const networks = value.split(',').map((network) => network.trim());
  if (networks.every(isNetwork)) return { kind: 'networks', networks };
  const message = 'false, the number of proxies in front (1 to 9), or their addresses like 10.0.0.0/8, fd00::1';
  context.issues.push({ code: 'custom', message, input: value });
  return z.NEVER;
});

function wholeNumber(least: number, most: number) {
  const error = `a whole number from ${least} to ${most}`;
  return z
    .string()
    .regex(/^\d{1,9}$/, { error })
    .transform(Number)
    .pipe(z.number().min(least, { error }).max(most, { error }));
}

function isIssuer(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const url = new URL(value);
  if (url.origin !== value) return false;
  return url.protocol === 'https:' || (url.protocol === 'http:' && isLoopback(url.hostname));
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname.endsWith('.localhost') || hostname === '[::1]' || /^127\./.test(hostname);
}

/** Prisma reads `schema` from the address, other Postgres clients don't: honoured by one half only, it would mislead. */
function isDatabaseUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, pathname, searchParams } = new URL(value);
  return /^postgres(ql)?:$/.test(protocol) && pathname.length > 1 && !searchParams.has('schema');
}

function isNetwork(value: string): boolean {
  const [address = '', prefix, ...rest] = value.split('/');
  const family = isIP(address);
  if (family === 0 || rest.length > 0) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128) && Number(prefix) > 0;
}

interface SettingsReader {
  /** @returns what the schema makes of the setting; the fallback when it is not set, or wrong and reported so */
  read<T, F = T>(name: string, schema: z.ZodType<T, string>, fallback: F, options?: { secret: boolean }): T | F;
  /** @returns whether the setting is there; if not, that is reported */
  demand(name: string, expected: string): boolean;
  problem(name: string, what: string): void;
}

function settingsReader(values: Readonly<Record<string, string | undefined>>, problems: string[]): SettingsReader {
  const problem = (name: string, what: string) => {
    problems.push(`${name}: ${what}`);
  };
  function read<T, F>(name: string, schema: z.ZodType<T, string>, fallback: F, { secret } = { secret: false }): T | F {
    const value = values[name];
    if (value === undefined) return fallback;
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    problem(name, `expected ${result.error.issues[0]?.message}${secret ? '' : `, not "${value}"`}`);
    return fallback;
  }
  return {
    read,
    problem,
    demand(name, expected) {
      if (values[name] === undefined) problem(name, `missing, expected ${expected}`);
      return values[name] !== undefined;
    },
  };
}

function readDotenv(cwd: string, problems: string[]): Record<string, string | undefined> {
  const file = join(cwd, '.env');
  try {
    return withoutEmpty(parseDotenv(readFileSync(file)));
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== 'ENOENT') problems.push(`${file}: can't be read (${code})`);
    return {};
  }
}

function withoutEmpty(values: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value.trim() !== ''));
}
