import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type BuiltCurfew, builtCurfew } from '../support/built-curfew.ts';
import { hostileRequests, type KnownThings } from '../support/hostile-requests.ts';
import { newBrowser, type RelyingParty, relyingParty } from '../support/relying-party.ts';
import type { CurfewProcess } from '../support/server-process.ts';

const REQUESTS = 2_000;
const AT_ONCE = 16;
const PATIENCE_MS = 20_000;

let curfew: BuiltCurfew;
let server: CurfewProcess;
let app: RelyingParty;

beforeAll(async () => {
  curfew = await builtCurfew();
  server = await curfew.start({ env: { LOG_LEVEL: 'warn' } });
  app = await relyingParty(server.issuer, 'app', 'https://app.example/cb');
});
afterAll(async () => {
  await server.stop();
  await curfew.close();
});

describe('requests that nobody honest sends', () => {
  it('are refused at every endpoint, and break nothing', async () => {
    const seed = Number(process.env.HOSTILE_SEED ?? Date.now() % 2 ** 31);
    console.log(`HOSTILE_SEED=${seed} repeats these requests`);
    const requests = fc.sample(hostileRequests(await knownThings()), { seed, numRuns: REQUESTS });
    const statuses = new Map<number | undefined, number>();
    const failures: string[] = [];
    const queue = requests.values();
    const sendAll = async () => {
      for (const request of queue) {
        const { status, answer } = await send(request);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (isWrong(request, status, answer))
          failures.push(`${request.subarray(0, 1_500)}\n=> ${answer.slice(0, 800)}`);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, sendAll));

    const troubles = server
      .stdout()
      .split('\n')
      .filter((line) => line.includes('"level":50'));
    expect([...troubles, ...failures].slice(0, 3).join('\n\n')).toBe('');
    expect(statuses.get(400)).toBeGreaterThan(REQUESTS / 10);
    expect(statuses.get(200)).toBeGreaterThan(REQUESTS / 50);
    expect((await fetch(`${server.issuer}/readyz`)).status).toBe(200);
  }, 120_000);

  it.each([
    ['a client_id that no database can hold', 'GET', '/logout/success?client_id=%00', 400],
    ['a resume that brings parameters of its own', 'GET', '/authorize/nobodys?client_id=strict', 400],
    ['an absolute target whose authority is none', 'GET', 'http://a:99999/.well-known/openid-configuration', 200],
    ['a target of another host', 'GET', 'http://evil.example/healthz', 200],
  ])('%s', async (_what, method, target, status) => {
    const answered = await send(Buffer.from(`${method} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`));
    expect(answered.status).toBe(status);
    expect(answered.answer).not.toMatch(/evil|99999/);
  });

  it('takes a form that breaks off for no fault of the database', async () => {
    const head = `POST /interaction/x/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded`;
    await send(Buffer.from(`${head}\r\nContent-Length: 20\r\n\r\nlogin=`));
    expect(server.stdout()).not.toContain('"level":50');
  });
});

/** 501 says that nobody here knows the method, which is a client's fault that HTTP counts among the server's. */
function isWrong(request: Buffer, status: number | undefined, answer: string): boolean {
  const [method = ''] = request.toString('latin1').split(' ', 1);
  const isUnknownMethod = status === 501 && !['GET', 'POST', 'HEAD', 'OPTIONS'].includes(method);
  const [head = ''] = answer.split('\r\n\r\n');
  return (
    (status !== undefined && status >= 500 && !isUnknownMethod) || /^set-cookie: x=y|^location: .*evil/im.test(head)
  );
}

/** A session, tokens and a sign-in page that is open. */
async function knownThings(): Promise<KnownThings> {
  const browser = newBrowser(server.issuer);
  const tokens = await (await app.signIn(browser, 'alice')).redeem();
  const { page } = await app.authorize(browser, { prompt: 'login' });
  const csrf = /name="csrf" value="([^"]*)"/.exec(page.text)?.[1] ?? '';
  expect(csrf).not.toBe('');
  return {
    interactionUid: /\/interaction\/([^/"]+)\/login/.exec(page.text)?.[1] ?? '',
    csrf,
    cookies: [...browser.cookies()].map(([name, value]) => `${name}=${value}`).join('; '),
    accessToken: tokens.access_token,
    refreshToken: tokens.refresh_token ?? '',
  };
}

/** @returns no status where the connection ended without an answer, as a proxy would have it too */
function send(request: Buffer): Promise<{ status: number | undefined; answer: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(server.port, '127.0.0.1');
    let answer = '';
    const late = setTimeout(() => {
      socket.destroy();
      reject(new Error(`no answer to ${request.subarray(0, 1_500)}`));
    }, PATIENCE_MS);
    // What is missing of a body that was announced never comes.
    const giveUp = setTimeout(() => socket.end(), 1_000);
    socket.setEncoding('latin1');
    socket.on('data', (part: string) => {
      answer += part;
    });
    // Refused while it was still being sent.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearTimeout(late);
      clearTimeout(giveUp);
      const [, status] = /^HTTP\/1\.1 ([2-5]\d\d) /m.exec(answer) ?? [];
      resolve({ status: status === undefined ? undefined : Number(status), answer });
    });
    socket.write(request);
  });
}
