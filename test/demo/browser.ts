/** As much of a browser as a demo without JavaScript needs: cookies by host name and redirects. */
export function createBrowser() {
  const jar = new Map<string, Map<string, string>>();

  async function visit(
    url: string,
    init: RequestInit = {},
  ): Promise<{ url: string; status: number; html: string; headers: Headers }> {
    const { hostname, origin } = new URL(url);
    const cookies = jar.get(hostname) ?? new Map<string, string>();
    jar.set(hostname, cookies);
    const headers = new Headers(init.headers);
    headers.set('cookie', [...cookies].map((pair) => pair.join('=')).join('; '));
    if (init.method === 'POST' && !headers.has('origin')) headers.set('origin', origin);
    const response = await fetch(url, { ...init, headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ''] = line.split(';', 1);
      const at = pair.indexOf('=');
      if (pair.slice(at + 1) === '') cookies.delete(pair.slice(0, at));
      else cookies.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const location = response.headers.get('location');
    if (location !== null) return visit(new URL(location, url).href);
    return { url, status: response.status, html: await response.text(), headers: response.headers };
  }

  return {
    visit,
    post: (url: string, fields: Record<string, string> = {}, headers: Record<string, string> = {}) =>
      visit(url, { method: 'POST', body: new URLSearchParams(fields), headers }),
    cookiesOf: (hostname: string) => [...(jar.get(hostname)?.keys() ?? [])],
  };
}
