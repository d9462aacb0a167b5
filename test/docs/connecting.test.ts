import { type ChildProcess, spawn } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Curfew, freePort, PASSWORD, SECRET, startCurfew } from '../support/curfew.ts';
import { MINUTES } from '../support/records.ts';
import { newBrowser, relyingParty } from '../support/relying-party.ts';
import { blocksOf, ROOT, readDocument } from './documents.ts';

const readme = readDocument('README.md');
const [clientSource = ''] = blocksOf(readme, 'js');
const [declaration = ''] = blocksOf(readme, 'yaml').filter((block) => block.startsWith('clients:'));

let curfew: Curfew;
let origin: string;
let notes: ChildProcess;

beforeAll(async () => {
  const port = await freePort();
  origin = `http://127.0.0.1:${port}`;
  curfew = await startCurfew({ yaml: declaration.replaceAll('http://127.0.0.1:3000', origin) });
  await curfew.addAccount('alice');
  const { PATH = '' } = process.env;
  notes = spawn(process.execPath, ['--input-type=module'], {
    cwd: ROOT,
    env: { PATH, ISSUER: curfew.issuer, PORT: String(port), NOTES_CLIENT_SECRET: SECRET },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  notes.stdin?.end(clientSource);
  await new Promise((resolve, reject) => {
    notes.stdout?.once('data', resolve);
    notes.once('exit', () => reject(new Error('the client of the README does not start')));
  });
});
afterAll(async () => {
  notes?.kill();
  await curfew?.close();
});

/** What the client of the README answers to a person with that cookie. */
async function visit(path: string, cookie = '') {
  const response = await fetch(new URL(path, origin), { headers: { cookie }, redirect: 'manual' });
  const [own = ''] = response.headers.getSetCookie();
  return {
    status: response.status,
    text: await response.text(),
    location: response.headers.get('location') ?? '',
    cookie: own.split(';')[0] ?? '',
  };
}

async function signIn() {
  const first = await visit('/');
  const browser = newBrowser(curfew.issuer);
  const page = await browser.open(first.location);
  const back = await browser.submit(page, { login: 'alice', password: PASSWORD }, '/login');
  const done = await visit(back.url, first.cookie);
  return { browser, done };
}

describe('the client in the README', () => {
  it('sends a stranger to Curfew', async () => {
    const { status, location, text } = await visit('/');
    expect([status, new URL(location).origin, text]).toEqual([303, curfew.issuer, '']);
  });

  it('shows who is signed in and until when, under a new cookie', async () => {
    const { done } = await signIn();
    expect([done.status, done.location]).toEqual([303, '/']);
    const { status, text } = await visit('/', done.cookie);
    expect([status, text]).toEqual([200, expect.stringMatching(/^alice until \S+Z, \S+Z at the latest\n$/)]);
  });

  it('goes on when its access token ran out', async () => {
    const { done } = await signIn();
    await curfew.travel(6 * MINUTES);
    expect((await visit('/', done.cookie)).text).toMatch(/^alice until /);
  });

  it('shows nothing from the idle deadline on', async () => {
    const { done } = await signIn();
    await curfew.travel(15 * MINUTES);
    const { status, text } = await visit('/', done.cookie);
    expect([status, text]).toEqual([303, '']);
  });

  it('signs out by way of Curfew, and comes back', async () => {
    const { browser, done } = await signIn();
    const out = await visit('/sign-out', done.cookie);
    const asking = await browser.open(out.location);
    const back = await browser.submit(asking, {}, 'Sign out of this browser');
    expect(back.url).toBe(`${origin}/signed-out`);
    expect((await visit('/signed-out', done.cookie)).text).toBe('You are signed out.\n');
  });

  it('answers a callback that nobody started without content', async () => {
    expect(await visit('/callback?code=made-up&state=made-up')).toMatchObject({ status: 502 });
  });
});

describe('the answers that the README shows', () => {
  it('have the members that Curfew sends', async () => {
    const [live = '{}', ended = '{}'] = blocksOf(readme, 'json');
    const party = await relyingParty(curfew.issuer, 'notes', `${origin}/callback`);
    const tokens = await (await party.signIn(newBrowser(curfew.issuer), 'alice', { scope: 'openid' })).redeem();
    const ask = async () => {
      const headers = { authorization: `Bearer ${tokens.access_token}` };
      return (await fetch(`${curfew.issuer}/session`, { headers })).json() as Promise<object>;
    };
    expect(Object.keys(await ask())).toEqual(Object.keys(JSON.parse(live)));
    await curfew.travel(15 * MINUTES);
    const told = (await ask()) as Record<string, unknown>;
    const shown = JSON.parse(ended) as Record<string, unknown>;
    expect(Object.keys(told).sort()).toEqual(Object.keys(shown).sort());
    const { type: _type, server_time: _now, ended_at: _at, ...fixed } = shown;
    expect(told).toMatchObject(fixed);
    expect(String(told.type).split('/').at(-1)).toBe(String(shown.type).split('/').at(-1));
  });
});
