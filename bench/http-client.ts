import { Pool } from 'undici';

export interface Answer {
  status: number;
  location: string | undefined;
  cookies: readonly string[];
  text: string;
}

export interface HttpClient {
  origin: string;
  get(path: string, cookies?: CookieJar): Promise<Answer>;
  post(path: string, form: Record<string, string>, headers?: Record<string, string>): Promise<Answer>;
  close(): Promise<void>;
}

/** Connections that stay open, as a client's server has them, so that what is measured is not TCP. */
export function createHttpClient(origin: string): HttpClient {
  const pool = new Pool(origin, { connections: 64, pipelining: 1, bodyTimeout: 10_000, headersTimeout: 10_000 });

  async function request(
    method: 'GET' | 'POST',
    path: string,
    headers: Record<string, string>,
    body: string | null,
  ): Promise<Answer> {
    const response = await pool.request({ method, path, headers, body });
    const { location, 'set-cookie': setCookie = [] } = response.headers;
    return {
      status: response.statusCode,
      location: Array.isArray(location) ? location[0] : location,
      cookies: typeof setCookie === 'string' ? [setCookie] : setCookie,
      text: await response.body.text(),
    };
  }

  return {
    origin,
    get: (path, cookies) => request('GET', path, { accept: 'text/html', ...cookies?.header(path) }, null),
    post: (path, form, headers = {}) =>
      request(
        'POST',
        path,
        { 'content-type': 'application/x-www-form-urlencoded', ...headers },
        new URLSearchParams(form).toString(),
      ),
    close: () => pool.close(),
  };
}

export interface CookieJar {
  header(path: string): Record<string, string>;
  keep(answer: Answer): void;
}

/** Cookies of one browser, by name and path. */
export function createCookieJar(): CookieJar {
  const cookies = new Map<string, { pair: string; path: string }>();
  return {
    header(path) {
      const fitting = [...cookies.values()].filter((cookie) => path.startsWith(cookie.path));
      return fitting.length === 0 ? {} : { cookie: fitting.map(({ pair }) => pair).join('; ') };
    },
    keep(answer) {
      for (const cookie of answer.cookies) {
        const [pair = '', ...attributes] = cookie.split(/; ?/);
        const name = pair.slice(0, pair.indexOf('='));
        const path = attributes.find((each) => /^path=/i.test(each))?.slice(5) ?? '/';
        const isGone = pair.endsWith('=') || attributes.some((each) => /^expires=Thu, 01 Jan 1970/i.test(each));
        if (isGone) cookies.delete(`${name} ${path}`);
        else cookies.set(`${name} ${path}`, { pair, path });
      }
    },
  };
}
