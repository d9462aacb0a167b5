import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { AppError } from '../../src/errors.ts';
import type { SessionPort, SessionState } from '../../src/pages/session-port.ts';
import { answering, inOneHour, type PageServer, startPageServer, wiki } from './page-server.ts';

const bearer = { authorization: 'Bearer secret-token' };
const serverTime = new Date('2026-01-01T08:15:00.500Z');
const over: SessionState = {
  state: 'ended',
  serverTime,
  ended: { reason: 'idle_timeout', idleSeconds: 900, endedAt: new Date('2026-01-01T08:15:00.000Z') },
};

let server: PageServer;
afterEach(() => server.close());

async function serve(sessions: Partial<SessionPort> = {}): Promise<void> {
  server = await startPageServer(answering(wiki), { ...inOneHour, ...sessions });
}

describe('GET /session', () => {
  it('tells both deadlines and the time of the server', async () => {
    await serve();
    expect(await (await server.get('/session', bearer)).json()).toEqual({
      state: 'live',
      idle_expires_at: '2026-01-01T08:30:00.000Z',
      absolute_expires_at: '2026-01-01T20:00:00.000Z',
      server_time: '2026-01-01T08:00:00.000Z',
    });
  });

  it('says whether the cookie or the token is to be judged', async () => {
    const state = jest.fn<SessionPort['state']>(async () => over);
    await serve({ state });
    await server.get('/session');
    await server.get('/session', bearer);
    expect(state.mock.calls.map(([, caller]) => caller)).toEqual(['cookie', 'token']);
  });

  it('answers a dead token with 401 and why it died', async () => {
    await serve({ state: async () => over });
    const response = await server.get('/session', bearer);
    expect(response.status).toBe(401);
    expect(response.headers.get('www-authenticate')).toBe(
      'Bearer error="invalid_token", error_description="Session Expired: Please Reauthenticate"',
    );
    expect(await response.json()).toMatchObject({
      type: `${server.origin}/problems/session-expired-idle`,
      error: 'invalid_token',
      error_description: 'Session Expired: Please Reauthenticate',
      state: 'ended',
      reason: 'idle_timeout',
      message: 'Your session ended after 15 minutes without activity.',
      ended_at: '2026-01-01T08:15:00.000Z',
    });
  });

  it('answers a page without a live session that it ended', async () => {
    await serve({ state: async () => ({ state: 'ended', serverTime }) });
    const response = await server.get('/session');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({ state: 'ended', server_time: '2026-01-01T08:15:00.500Z' });
  });
});

describe('POST /session/extend', () => {
  it('needs our own Origin where the cookie speaks', async () => {
    const extend = jest.fn(inOneHour.extend);
    await serve({ extend });
    for (const headers of [
      {},
      { origin: 'https://wiki.example' },
      { origin: 'null' },
      { origin: server.origin, 'sec-fetch-site': 'same-site' },
    ]) {
      expect((await server.post('/session/extend', '', headers as Record<string, string>)).status).toBe(403);
    }
    expect(extend).not.toHaveBeenCalled();
    expect((await server.post('/session/extend', '', { origin: server.origin })).status).toBe(200);
  });

  it('takes the word of a token from wherever it comes', async () => {
    await serve();
    expect((await server.post('/session/extend', '', { ...bearer, origin: 'https://evil.example' })).status).toBe(200);
  });

  it('refuses what the provider refuses', async () => {
    await serve({
      extend: async () => {
        throw new AppError('access_denied', 'This client does not report presence.', { status: 403 });
      },
    });
    expect((await server.post('/session/extend', '', bearer)).status).toBe(403);
  });

  it('does not call an ended session extended', async () => {
    await serve({ extend: async () => over });
    expect((await server.post('/session/extend', '', { origin: server.origin })).status).toBe(403);
    expect((await server.post('/session/extend', '', bearer)).status).toBe(401);
  });
});

describe('calls from pages of clients', () => {
  it('are allowed for registered origins and tokens, without credentials', async () => {
    await serve();
    const { headers } = await server.get('/session', { ...bearer, origin: 'https://wiki.example' });
    expect(headers.get('access-control-allow-origin')).toBe('https://wiki.example');
    expect(headers.get('access-control-allow-credentials')).toBeNull();
    expect(headers.get('vary')).toContain('Origin');
  });

  it.each([
    ['an unknown origin', { ...bearer, origin: 'https://evil.example' }],
    ['a cookie', { origin: 'https://wiki.example' }],
  ])('are not allowed for %s', async (_what, headers) => {
    await serve();
    expect((await server.get('/session', headers)).headers.get('access-control-allow-origin')).toBeNull();
  });

  it.each([
    ['https://wiki.example', 'Authorization'],
    ['https://evil.example', null],
  ])('are announced by a preflight: %s', async (origin, allowed) => {
    await serve();
    const response = await fetch(`${server.origin}/session/extend`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-headers')).toBe(allowed);
  });
});
