import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { AppError } from '../../src/errors.ts';
import type { PageTarget } from '../../src/pages/page-target.ts';
import type { Pages } from '../../src/pages/pages.ts';
import { type PageServer, startPageServer, wiki } from './page-server.ts';

let server: PageServer;
beforeEach(async () => {
  server = await startPageServer();
});
afterEach(() => server.close());

const CSP =
  "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

describe('every answer with content', () => {
  it.each(['/', '/ended', '/interaction/abc123', '/session', '/nothing-here'])(
    '%s has the security headers',
    async (path) => {
      const { headers } = await server.get(path);
      expect(headers.get('content-security-policy')?.replace("form-action 'self'", "form-action 'none'")).toBe(CSP);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('referrer-policy')).toBe('same-origin');
      expect(headers.get('x-content-type-options')).toBe('nosniff');
      expect(headers.get('cross-origin-opener-policy')).toBe('same-origin');
    },
  );

  it('has neither inline script nor inline style', async () => {
    const evil = { clientName: 'Wiki', backUri: 'https://wiki.example/' };
    const rendered = render((pages, target) => {
      pages.signedOut(target, evil);
    });
    for (const html of [rendered.body, await (await server.get('/interaction/abc123')).text()]) {
      expect(html).not.toMatch(/<style|style=|\son\w+=|<script(?! src="\/assets\/)/);
    }
  });
});

describe('assets', () => {
  it('are named after their content and kept for a year', async () => {
    const html = await (await server.get('/')).text();
    for (const [, url] of html.matchAll(/(?:href|src)="(\/assets\/[^"]+)"/g)) {
      const response = await server.get(url ?? '');
      expect(url).toMatch(/\.[0-9a-f]{12}\./);
      expect(response.status).toBe(200);
      expect(response.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    }
  });

  it.each(['/assets/pages.css', '/assets/../package.json', '/assets/%2e%2e/layout.eta'])(
    'hold nothing at %s',
    async (path) => {
      expect((await server.get(path)).status).toBe(404);
    },
  );

  it('keep the stylesheet under 8 KB', async () => {
    const url = /href="(\/assets\/pages[^"]+css)"/.exec(await (await server.get('/')).text())?.[1] ?? '';
    expect((await (await server.get(url)).arrayBuffer()).byteLength).toBeLessThan(8_192);
  });
});

describe('the ended page', () => {
  const ended = {
    reason: 'absolute_timeout',
    absoluteSeconds: 43_200,
    endedAt: new Date('2026-01-01T20:00:00.000Z'),
  } as const;

  it('says why and has a way back', async () => {
    const url = server.routes.endedUrl({ ended, clientName: 'Team Wiki', backUri: 'https://wiki.example/pages/7' });
    const response = await fetch(url);
    const html = await response.text();
    expect(html).toContain('Your session ended after 12 hours, the longest a session may last.');
    expect(html).toContain('<time datetime="2026-01-01T20:00:00.000Z">2026-01-01 20:00 UTC</time>');
    expect(html).toContain('href="https://wiki.example/pages/7"');
    expect(response.headers.get('clear-site-data')).toBe('"cache", "storage"');
  });

  it('takes no words and no link from anybody else', async () => {
    const html = await (
      await server.get('/ended?notice=forged&reason=admin_forced&backUri=https://evil.example')
    ).text();
    expect(html).toContain('This session is over');
    expect(html).not.toContain('evil');
  });
});

describe('errors', () => {
  function failing(error: unknown): void {
    server.behind = () => {
      throw error;
    };
  }

  it('are a page for people and a problem document for machines', async () => {
    failing(
      new AppError('temporarily_unavailable', 'The database can’t be reached.', {
        status: 503,
        cause: new Error('pg'),
      }),
    );
    const page = await server.get('/auth');
    const problem = await fetch(`${server.origin}/auth`);
    expect(await page.text()).toContain('The database can’t be reached.');
    expect(problem.headers.get('content-type')).toContain('application/problem+json');
    expect(await problem.json()).toEqual({
      type: `${server.origin}/problems/temporarily_unavailable`,
      title: 'temporarily_unavailable',
      status: 503,
      detail: 'The database can’t be reached.',
    });
    expect([page.headers.get('retry-after'), problem.headers.get('retry-after')]).toEqual(['5', '5']);
  });

  it('say in a header why a token is refused, in the characters that a header may have', async () => {
    failing(new AppError('invalid_token', 'The token isn’t "known".', { status: 401 }));
    const response = await fetch(`${server.origin}/auth`);
    expect(response.headers.get('www-authenticate')).toBe(
      `Bearer error="invalid_token", error_description="The token isn't  known ."`,
    );
  });

  it.each([
    ['an error of any kind', new Error('password is hunter2')],
    ['something that is no error', 'hunter2'],
    ['an error that calls itself harmless', Object.assign(new Error('hunter2'), { status: 500, expose: true })],
  ])('say nothing of %s, and log it', async (_what, error) => {
    failing(error);
    for (const accept of ['text/html', 'application/json']) {
      const response = await server.get('/auth', { accept });
      expect(response.status).toBe(500);
      expect(await response.text()).not.toContain('hunter2');
    }
    expect(server.logged).toHaveLength(2);
  });

  it.each([
    ['/nothing', 404],
    ['/interaction/%zz', 200],
    ['/interaction/%ff', 200],
    ['/%', 404],
  ])('are never 500 for the address %s', async (path, status) => {
    expect((await server.get(path)).status).toBe(status);
  });

  it('are a 405 for a method that the address does not know', async () => {
    const response = await fetch(`${server.origin}/ended`, { method: 'DELETE' });
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'HEAD, GET']);
  });
});

/** Renders as a hook of oidc-provider does, without a request. */
function render(
  draw: (pages: Pages, target: PageTarget) => void,
): PageTarget & { headers: Map<string, string>; body: string } {
  const headers = new Map<string, string>();
  const target = {
    status: 404,
    type: '',
    body: '' as unknown,
    set: (name: string, value: string) => void headers.set(name, value),
  };
  draw(server.routes.pages, target);
  return { ...target, headers, body: String(target.body) };
}

describe('the renderers for oidc-provider', () => {
  it('ask whether to sign out here, everywhere or not at all', () => {
    const { body, headers, status } = render((pages, target) =>
      pages.signOutConfirmation(target, {
        clientName: 'Team Wiki',
        accountLogin: 'ada',
        action: '/session/end/confirm',
        xsrf: 'x1',
      }),
    );
    const forms = body.match(/<form[\s\S]*?<\/form>/g) ?? [];
    const fields = forms.map((form) =>
      [...form.matchAll(/name="(\w+)" value="(\w+)"/g)].map(([, name, value]) => `${name}=${value}`),
    );
    expect(status).toBe(200);
    expect(fields).toEqual([['xsrf=x1', 'logout=yes'], ['xsrf=x1', 'logout=yes', 'everywhere=yes'], ['xsrf=x1']]);
    expect(headers.get('Content-Security-Policy')).toContain("form-action 'self'");
  });

  it('say that one is signed out, and clear what the browser kept', () => {
    const { body, headers } = render((pages, target) =>
      pages.signedOut(target, { clientName: 'Team Wiki', backUri: 'https://wiki.example/' }),
    );
    expect(body).toContain('You are signed out');
    expect(body).toContain('href="https://wiki.example/"');
    expect(headers.get('Clear-Site-Data')).toBe('"cache", "storage"');
  });

  it('put no address into a link but one of the web', () => {
    const { body } = render((pages, target) => pages.signedOut(target, { backUri: 'javascript:alert(1)' }));
    expect(body).not.toContain('javascript:');
  });

  it('say what an OAuth error means, escaped', () => {
    const { body, status } = render((pages, target) =>
      pages.error(target, { status: 400, error: 'invalid_client', description: '<b>client</b> is invalid' }),
    );
    expect(status).toBe(400);
    expect(body).toContain('Unknown application');
    expect(body).toContain('&lt;b&gt;client&lt;/b&gt; is invalid');
  });

  it('escape the name of a client wherever it stands', () => {
    const clientName = '<img src=x onerror=alert(1)>';
    const pages = [
      render((p, target) =>
        p.signOutConfirmation(target, { clientName, accountLogin: clientName, action: clientName, xsrf: clientName }),
      ),
      render((p, target) => p.signedOut(target, { clientName, backUri: 'https://wiki.example/' })),
      render((p, target) => p.ended(target, { clientName, backUri: 'https://wiki.example/' })),
      render((p, target) =>
        p.consent(target, {
          interaction: { ...wiki, client: { clientId: 'x', name: clientName }, scopes: [clientName] },
          csrf: 'c',
        }),
      ),
      render((p, target) => p.continueTo(target, `https://wiki.example/"><img src=x>`)),
    ];
    for (const { body } of pages) expect(body).not.toContain('<img');
  });
});
