import { statSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { MAIN, runCurfew } from './curfew.ts';

describe('the curfew command', () => {
  it.each([
    ['', 'Usage: curfew'],
    ['account', 'Usage: curfew account'],
    ['frobnicate', "unknown command 'frobnicate'"],
    ['account list --frobnicate', "unknown option '--frobnicate'"],
    ['account list extra', 'too many arguments'],
    ['account add', "required option '--login <login>' not specified"],
    ['account add --login alice', 'there is no terminal to ask for the password: use --password-stdin'],
    ['account add --login alice --password-stdin', '--password-stdin: the input is empty'],
    ['account disable', "missing required argument 'login'"],
    ['account update alice', 'nothing to change: use --login, --email, --name, --roles or --groups'],
    ['account logout alice', "required option '--note <text>' not specified"],
    ['account logout alice --note=', "'--note <text>' argument '' is invalid. It is empty: say why."],
    ['apply', "missing required argument 'file'"],
    ['session list --state dead', 'Allowed choices are live, ended.'],
    ['session list --reason boredom', 'Allowed choices are idle_timeout, absolute_timeout,'],
    ['session list --limit 0', 'Expected a whole number from 1 to 10000.'],
    ['session end some-uid', "required option '--note <text>' not specified"],
    ['client rotate-secret', "missing required argument 'client-id'"],
  ])('answers the wrong usage "%s" with exit code 2 and says what is wrong', async (line, sentence) => {
    const { code, stdout, stderr } = await runCurfew(line.split(' ').filter((word) => word !== ''));
    expect(stderr).toContain(sentence);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  });

  it.each([
    '',
    'serve',
    'migrate',
    'apply',
    'account add',
    'account list',
    'account update',
    'account set-password',
    'account disable',
    'account enable',
    'account delete',
    'account logout',
    'client list',
    'client disable',
    'client enable',
    'client logout',
    'client rotate-secret',
    'session list',
    'session show',
    'session end',
  ])('helps with "%s" by an example', async (line) => {
    const { code, stdout } = await runCurfew([...line.split(' ').filter((word) => word !== ''), '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/Examples?:\n {2}.*curfew/);
  });

  it('says in a sentence that the database is not there, and shows no stack', async () => {
    const env = { DATABASE_URL: 'postgresql://curfew:s3cret@127.0.0.1:9/curfew', LOG_LEVEL: 'info' };
    const { code, stderr } = await runCurfew(['account', 'list'], { env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/curfew: The database at 127\.0\.0\.1:9 did not answer/);
    expect(stderr).not.toMatch(/\n\s+at |s3cret/);
  });

  it('tells all wrong settings at once', async () => {
    const { code, stderr } = await runCurfew(['account', 'list'], { env: { PORT: 'x', LOG_LEVEL: 'loud' } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/PORT.*\n.*LOG_LEVEL/);
  });

  it('shows where an error comes from when LOG_LEVEL is debug', async () => {
    const { code, stderr } = await runCurfew(['apply', 'missing.yaml'], { env: { LOG_LEVEL: 'debug' } });
    expect(code).toBe(1);
    expect(stderr).toMatch(/curfew: missing\.yaml: there is no such file$.*^\s+at /ms);
  });

  it('tells its version', async () => {
    expect(await runCurfew(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
    });
  });

  it('can be run by its name after every build, as npx runs it', () => {
    expect(statSync(MAIN).mode & 0o111).toBe(0o111);
  });
});
