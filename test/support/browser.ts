/** What a page that was visited looks like to a person without JavaScript. */
export interface Page {
  url: string;
  status: number;
  text: string;
  headers: Headers;
}

export interface Browser {
  /** Opens an address and follows redirects, within `stayAt` only: a redirect that leaves it is where the visit ends. */
  open(url: string): Promise<Page>;
  /** Fills in and sends the form whose action ends with `which`, or that shows it, or the first one. */
  submit(page: Page, fields?: Record<string, string>, which?: string): Promise<Page>;
  /** Cookies as a browser would send them there. */
  cookie(name: string): string | undefined;
  setCookie(name: string, value: string): void;
  cookies(): Map<string, string>;
}

interface Cookie {
  name: string;
  value: string;
  path: string;
}

/** A browser of HTTP alone: cookies with their paths, redirects and forms. */
export function createBrowser(stayAt: string): Browser {
  const jar = new Map<string, Cookie>();

  async function visit(url: string, init: RequestInit = {}): Promise<Page> {
    const headers = new Headers(init.headers);
    headers.set('accept', 'text/html');
    headers.set('sec-fetch-site', 'same-origin');
    const cookies = [...jar.values()].filter(({ path }) => covers(path, new URL(url).pathname));
    if (cookies.length > 0) headers.set('cookie', cookies.map(({ name, value }) => `${name}=${value}`).join('; '));
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const cookie of response.headers.getSetCookie()) keep(cookie);
    const text = await response.text();
    const next = response.headers.get('location') ?? refreshOf(text);
    if (next === undefined) return { url, status: response.status, text, headers: response.headers };
    const target = new URL(next, url);
    if (target.origin !== stayAt) return { url: target.href, status: response.status, text, headers: response.headers };
    return visit(target.href);
  }

  function keep(setCookie: string): void {
    const [pair = '', ...attributes] = setCookie.split('; ');
    const at = pair.indexOf('=');
    const name = pair.slice(0, at);
    const value = pair.slice(at + 1);
    const attribute = (of: string) =>
      attributes.find((each) => each.toLowerCase().startsWith(`${of}=`))?.slice(of.length + 1);
    const path = attribute('path') ?? '/';
    const expires = attribute('expires');
    const key = `${name} ${path}`;
    if (value === '' || (expires !== undefined && new Date(expires) <= new Date())) jar.delete(key);
    else jar.set(key, { name, value, path });
  }

  return {
    open: (url) => visit(url),
    submit(page, fields = {}, which) {
      const forms = [...page.text.matchAll(/<form[^>]*action="([^"]*)"[^>]*>([\s\S]*?)<\/form>/g)];
      const form = forms.find(
        ([, target = '', inside = '']) =>
          which === undefined || target.endsWith(which) || inside.includes(`>${which}<`),
      );
      if (form === undefined) throw new Error(`no form ${which ?? ''} on ${page.url}:\n${page.text}`);
      const [, target = '', inside = ''] = form;
      const body = new URLSearchParams(
        [...inside.matchAll(/<input[^>]*type="hidden"[^>]*>/g)].map(([input]): [string, string] => [
          attributeOf(input, 'name'),
          attributeOf(input, 'value'),
        ]),
      );
      for (const [name, value] of Object.entries(fields)) body.set(name, value);
      const origin = new URL(page.url).origin;
      return visit(new URL(decodeEntities(target), page.url).href, { method: 'POST', body, headers: { origin } });
    },
    cookie: (name) => [...jar.values()].find((cookie) => cookie.name === name)?.value,
    setCookie: (name, value) => void jar.set(`${name} /`, { name, value, path: '/' }),
    cookies: () => new Map([...jar.values()].map(({ name, value }) => [name, value])),
  };
}

const covers = (path: string, requested: string): boolean =>
  requested === path || requested.startsWith(path.endsWith('/') ? path : `${path}/`);

function refreshOf(html: string): string | undefined {
  const url = /http-equiv="refresh" content="0;url=([^"]*)"/.exec(html)?.[1];
  return url === undefined ? undefined : decodeEntities(url);
}

function attributeOf(tag: string, name: string): string {
  return decodeEntities(new RegExp(`${name}="([^"]*)"`).exec(tag)?.[1] ?? '');
}

function decodeEntities(html: string): string {
  const entities: Record<string, string> = { '&amp;': '&', '&quot;': '"', '&#39;': "'", '&lt;': '<', '&gt;': '>' };
  return html.replace(/&(?:amp|quot|#39|lt|gt);/g, (entity) => entities[entity] ?? entity);
}
