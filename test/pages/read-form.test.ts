import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FORM_LIMIT_BYTES } from '../../src/pages/read-form.ts';
import { csrfToken } from '../../src/pages/request-forgery.ts';
import { key, type PageServer, startPageServer } from './page-server.ts';

const path = '/interaction/abc123/login';
let server: PageServer;
beforeAll(async () => {
  server = await startPageServer();
});
afterAll(() => server.close());

function withPadding(bytes: number): string {
  const form = `csrf=${csrfToken(key, 'abc123')}&login=ada&password=correct&padding=`;
  return form + 'x'.repeat(bytes - form.length);
}

describe('a form', () => {
  it('is read up to the limit', async () => {
    expect((await server.post(path, withPadding(FORM_LIMIT_BYTES))).status).toBe(303);
  });

  it('is refused one byte past the limit', async () => {
    expect((await server.post(path, withPadding(FORM_LIMIT_BYTES + 1))).status).toBe(413);
  });

  it('is refused past the limit when it does not say how long it is', async () => {
    const status = await new Promise((resolve, reject) => {
      const sent = request(server.origin + path, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', 'transfer-encoding': 'chunked' },
      });
      sent.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject);
      sent.write(withPadding(FORM_LIMIT_BYTES));
      sent.end('x');
    });
    expect(status).toBe(413);
  });

  it.each([
    ['JSON', { 'content-type': 'application/json' }],
    ['multipart', { 'content-type': 'multipart/form-data; boundary=x' }],
    ['text that looks like a form', { 'content-type': 'text/plain' }],
    ['a compressed form', { 'content-encoding': 'gzip' }],
  ])('is refused as %s', async (_what, headers) => {
    expect((await server.post(path, 'a=b', headers as Record<string, string>)).status).toBe(415);
  });

  it.each([
    ['a broken percent encoding', 'login=%zz'],
    ['half a percent encoding', 'login=%4'],
    ['what is not UTF-8', 'login=%ff%fe'],
    ['raw bytes', 'login=\u00e4'],
    ['a field that comes twice', 'login=ada&login=eve'],
  ])('is refused with %s', async (_what, body) => {
    expect((await server.post(path, body)).status).toBe(400);
  });
});
