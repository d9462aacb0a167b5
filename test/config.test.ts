import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'dotenv';
import { type Config, loadConfig } from '../src/config.ts';
import { AppError } from '../src/errors.ts';

const KEY = Buffer.alloc(32, 7).toString('base64url');
const OTHER_KEY = Buffer.alloc(32, 8).toString('base64url');
const PRODUCTION = {
  NODE_ENV: 'production',
  ISSUER: 'https://id.example.com',
  DATABASE_URL: 'postgresql://u:p@db.example.com/curfew',
  CURFEW_SECRET: KEY,
};

let cwd: string;
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'curfew-config-'));
});
afterEach(() => rmSync(cwd, { recursive: true }));

const load = (environment: NodeJS.ProcessEnv): Config => loadConfig(environment, { cwd });

function problemsOf(environment: NodeJS.ProcessEnv): string[] {
  try {
    load(environment);
  } catch (error) {
    expect(error).toBeInstanceOf(AppError);
    expect(error).toHaveProperty('code', 'invalid_configuration');
    return String((error as AppError).message)
      .split('\n  ')
      .slice(1);
  }
  return [];
}

describe('with nothing set', () => {
  it('is a demo on localhost with the embedded Postgres and generated secrets', () => {
    expect(load({})).toMatchObject({
      issuer: 'http://localhost:4000',
      host: '127.0.0.1',
      port: 4000,
      production: false,
      demo: true,
      configFile: undefined,
      databaseUrl: undefined,
      dataDir: join(cwd, '.curfew'),
      dataDirIsDefault: true,
      masterKeys: [],
      trustProxy: { kind: 'none' },
      passwords: { parameters: { memoryKib: 19_456, iterations: 2, parallelism: 1 } },
    });
  });

  it('lets the issuer follow the port', () => {
    expect(load({ PORT: '4555' }).issuer).toBe('http://localhost:4555');
  });
});

describe('where settings come from', () => {
  it('reads .env, the environment wins, and an empty value is none', () => {
    writeFileSync(join(cwd, '.env'), 'PORT=4100\nLOG_LEVEL=debug\nHOST=::1\n');
    expect(load({ PORT: '4200', LOG_LEVEL: '' })).toMatchObject({ port: 4200, logLevel: 'debug', host: '::1' });
  });

  it.each([[{ CONFIG: 'curfew.yaml' }], [{ DATABASE_URL: 'postgresql://localhost/curfew' }]])(
    'is no demo with %j',
    (environment) => {
      expect(load(environment).demo).toBe(false);
    },
  );

  it('takes relative paths from the working directory', () => {
    expect(load({ CONFIG: 'curfew.yaml', DATA_DIR: 'data' })).toMatchObject({
      configFile: join(cwd, 'curfew.yaml'),
      dataDir: join(cwd, 'data'),
      dataDirIsDefault: false,
    });
  });

  it('takes several keys, the one to use first', () => {
    expect(load({ CURFEW_SECRET: `${KEY}, ${OTHER_KEY}` }).masterKeys).toEqual([
      new Uint8Array(32).fill(7),
      new Uint8Array(32).fill(8),
    ]);
  });

  it.each([
    ['false', { kind: 'none' }],
    ['0', { kind: 'none' }],
    ['1', { kind: 'hops', hops: 1 }],
    ['10.0.0.0/8, fd00::1', { kind: 'networks', networks: ['10.0.0.0/8', 'fd00::1'] }],
  ])('understands TRUST_PROXY=%s', (value, trustProxy) => {
    expect(load({ TRUST_PROXY: value }).trustProxy).toEqual(trustProxy);
  });
});

describe('in production', () => {
  it('starts with what it asks for', () => {
    expect(load(PRODUCTION)).toMatchObject({ production: true, demo: false, issuer: 'https://id.example.com' });
  });

  it('takes the embedded Postgres if asked for', () => {
    const { DATABASE_URL: _, ...rest } = PRODUCTION;
    expect(load({ ...rest, EMBEDDED_POSTGRES: 'true' })).toMatchObject({ databaseUrl: undefined, demo: false });
  });

  it('says all that is missing', () => {
    const problems = problemsOf({ NODE_ENV: 'production' });
    expect(problems.map((line) => line.split(':')[0])).toEqual(['ISSUER', 'DATABASE_URL', 'CURFEW_SECRET']);
    expect(problems.join()).toContain('EMBEDDED_POSTGRES=true');
  });
});

describe('a wrong setting', () => {
  it.each([
    ['PORT', '70000', 'a whole number from 1 to 65535'],
    ['PORT', '40e2', 'a whole number from 1 to 65535'],
    ['NODE_ENV', 'prod', 'production, development or test'],
    ['LOG_LEVEL', 'loud', 'trace'],
    ['TRUST_PROXY', 'true', 'the number of proxies'],
    ['TRUST_PROXY', '10.0.0.0/33', 'the number of proxies'],
    ['TRUST_PROXY', '0.0.0.0/0', 'the number of proxies'],
    ['EMBEDDED_POSTGRES', 'yes', 'true or false'],
    ['ISSUER', 'http://id.example.com', 'https origin'],
    ['ISSUER', 'https://id.example.com/', 'without path or trailing slash'],
    ['ISSUER', 'https://id.example.com/sso', 'without path'],
    ['ISSUER', 'https://id.example.com?a=b', 'https origin'],
    ['ISSUER', 'http://localhost.example.com', 'https origin'],
    ['ISSUER', 'https://user@id.example.com', 'https origin'],
    ['ISSUER', 'id.example.com', 'https origin'],
    ['ARGON2_MEMORY_KIB', '19455', "OWASP's minimum"],
    ['ARGON2_TIME_COST', '1', "OWASP's minimum"],
    ['SHUTDOWN_TIMEOUT_SECONDS', '11', 'from 1 to 10'],
    ['CLOCK_OFFSET_MAX_MS', '-1', 'a whole number'],
  ])('%s=%s is reported with what is expected', (name, value, expected) => {
    const problems = problemsOf({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(name);
    expect(problems[0]).toContain(expected);
  });

  it.each([
    ['http://localhost:4000'],
    ['http://127.0.0.2:81'],
    ['http://[::1]:4000'],
    ['http://id.localhost'],
    ['https://id.example.com:8443'],
  ])('is not the issuer %s', (issuer) => {
    expect(load({ ISSUER: issuer }).issuer).toBe(issuer);
  });

  it.each([
    ['47104', '1'],
    ['12288', '3'],
    ['7168', '5'],
    ['65536', '4'],
  ])('is not argon2id with %s KiB and %s passes', (memory, passes) => {
    expect(problemsOf({ ARGON2_MEMORY_KIB: memory, ARGON2_TIME_COST: passes })).toEqual([]);
  });

  it('is reported together with every other one', () => {
    writeFileSync(join(cwd, '.env'), 'HOST=::1\nLOG_LEVEL=loud\n');
    const wrong = {
      PORT: 'x',
      ISSUER: 'x',
      DATABASE_URL: 'mysql://x/y',
      CURFEW_SECRET: 'short',
      ARGON2_TIME_COST: '1',
    };
    const problems = problemsOf(wrong);
    const names = [
      'PORT',
      'ISSUER',
      'DATABASE_URL',
      'CURFEW_SECRET',
      'LOG_LEVEL',
      'ARGON2_MEMORY_KIB, ARGON2_TIME_COST',
    ];
    expect(problems.map((line) => line.split(':')[0])).toEqual(names);
  });

  it('is not repeated in the message when it is a secret', () => {
    const problems = problemsOf({ DATABASE_URL: 'mysql://joe:hunter2@h/d', CURFEW_SECRET: 'hunter2' });
    expect(problems).toHaveLength(2);
    expect(problems.join()).not.toContain('hunter2');
  });

  it('is a database both embedded and elsewhere', () => {
    const problems = problemsOf({ DATABASE_URL: 'postgresql://localhost/d', EMBEDDED_POSTGRES: 'true' });
    expect(problems).toEqual([expect.stringContaining('contradicts DATABASE_URL')]);
  });

  it('is no database at all', () => {
    expect(problemsOf({ EMBEDDED_POSTGRES: 'false' })).toEqual([expect.stringContaining('DATABASE_URL: missing')]);
  });
});

describe('.env.example', () => {
  const text = readFileSync(new URL('../.env.example', import.meta.url), 'utf8');
  const shown = parse(text.replaceAll(/^#(?=[A-Z])/gm, ''));

  it('shows every setting and no other', () => {
    const source = readFileSync(new URL('../src/config.ts', import.meta.url), 'utf8');
    const read = [...source.matchAll(/\bread\('([A-Z0-9_]+)'/g)].map(([, name]) => name);
    expect(Object.keys(shown).sort()).toEqual(read.sort());
  });

  it('shows the defaults', () => {
    expect({ ...load(shown), dataDirIsDefault: true }).toEqual(load({}));
  });
});
