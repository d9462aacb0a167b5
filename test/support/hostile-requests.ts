import fc from 'fast-check';
import { SECRET } from './curfew.ts';

/** What is real on the server that is asked, so that some requests get far before they are refused. */
export interface KnownThings {
  interactionUid: string;
  csrf: string;
  cookies: string;
  accessToken: string;
  refreshToken: string;
}

type Parameters = Readonly<Record<string, string>>;

interface Endpoint {
  method: string;
  path: string;
  /** What an honest client would send: in the query or, by POST, as a form. */
  usual: Parameters;
  headers: readonly string[];
}

const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const FORM = 'Content-Type: application/x-www-form-urlencoded';
const CHALLENGE = 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM';
const basic = (user: string, password: string) =>
  `Authorization: Basic ${Buffer.from(`${user}:${password}`, 'latin1').toString('base64')}`;

function endpointsOf({ interactionUid, csrf, cookies, accessToken, refreshToken }: KnownThings): Endpoint[] {
  const cookie = `Cookie: ${cookies}`;
  const bearer = `Authorization: Bearer ${accessToken}`;
  const asApp = [FORM, basic('app', SECRET)];
  const origin = 'Origin: http://localhost';
  const authorize = {
    client_id: 'app',
    redirect_uri: 'https%3A%2F%2Fapp.example%2Fcb',
    response_type: 'code',
    scope: 'openid',
    state: 's',
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
  };
  const signIn = { csrf, login: 'alice', password: 'wrong' };
  const endpoint = (method: string, path: string, usual: Parameters = {}, headers: string[] = []): Endpoint => ({
    method,
    path,
    usual,
    headers,
  });
  return [
    endpoint('GET', '/'),
    endpoint('GET', '/ended', { notice: 'e30.AAAA' }),
    endpoint('GET', '/healthz'),
    endpoint('GET', '/readyz'),
    endpoint('GET', '/authorize', authorize),
    endpoint('GET', '/authorize', { ...authorize, prompt: 'none' }, [cookie]),
    endpoint('POST', '/authorize', authorize, [FORM, cookie]),
    endpoint('GET', `/authorize/${interactionUid}`, {}, [cookie]),
    endpoint('GET', '/authorize/nobodys'),
    endpoint('POST', '/token', { grant_type: 'client_credentials' }, [FORM, basic('service', SECRET)]),
    endpoint('POST', '/token', { grant_type: 'refresh_token', refresh_token: refreshToken }, [FORM]),
    endpoint('POST', '/token', { grant_type: 'authorization_code', code: 'x', code_verifier: CHALLENGE }, asApp),
    endpoint('POST', '/token', { grant_type: DEVICE_GRANT, device_code: 'x' }, asApp),
    endpoint('POST', '/device_authorization', { client_id: 'app', scope: 'openid' }, asApp),
    endpoint('GET', '/device', { user_code: 'BBBB-BBBB' }),
    endpoint('POST', '/device', { xsrf: 'x', user_code: 'BBBB-BBBB', confirm: 'yes' }, [FORM, cookie]),
    endpoint('GET', '/device/nobodys', {}, [cookie]),
    endpoint('GET', '/userinfo', {}, [bearer]),
    endpoint('POST', '/userinfo', { access_token: accessToken }, [FORM]),
    endpoint('POST', '/introspect', { token: accessToken }, asApp),
    endpoint('POST', '/revoke', { token: 'unknown' }, asApp),
    endpoint('GET', '/logout', { client_id: 'app', id_token_hint: 'a.b.c', state: 's' }, [cookie]),
    endpoint('POST', '/logout', { client_id: 'app', post_logout_redirect_uri: 'https%3A%2F%2Fapp.example%2F' }, [FORM]),
    endpoint('POST', '/logout/confirm', { xsrf: 'x', logout: 'yes' }, [FORM, cookie]),
    endpoint('GET', '/logout/success', { client_id: 'app' }),
    endpoint('GET', `/interaction/${interactionUid}`, {}, [cookie]),
    endpoint('POST', `/interaction/${interactionUid}/login`, signIn, [FORM, cookie]),
    endpoint('POST', `/interaction/${interactionUid}/consent`, { csrf }, [FORM, cookie]),
    endpoint('POST', '/interaction/nobodys/abort', { csrf }, [FORM, cookie]),
    endpoint('GET', '/session', {}, [cookie]),
    endpoint('GET', '/session', {}, [bearer, origin]),
    endpoint('POST', '/session/extend', {}, [cookie, origin]),
    endpoint('OPTIONS', '/session/extend', {}, [origin, 'Access-Control-Request-Method: POST']),
    endpoint('OPTIONS', '/token', {}, [origin, 'Access-Control-Request-Method: POST']),
    endpoint('GET', '/jwks'),
    endpoint('GET', '/.well-known/openid-configuration'),
    endpoint('GET', '/assets/pages.css'),
    endpoint('GET', '/nowhere'),
  ];
}

const words = (text: string) => text.trim().split(/\s+/);
const lines = (text: string) => text.trim().split('\n');

const NAMES = [
  '',
  ...words(`client_id client_secret redirect_uri response_type response_mode scope state nonce prompt max_age display
    id_token_hint login_hint acr_values code_challenge code_challenge_method grant_type code code_verifier
    refresh_token token token_type_hint access_token notice xsrf logout everywhere request request_uri claims resource
    registration post_logout_redirect_uri ui_locales csrf login password client_assertion client_assertion_type
    __proto__ constructor prototype toString hasOwnProperty a[b] a.b %00 %ff`),
];

/** Percent-encoded as they go over the wire, some of them wrongly. */
const VALUES = [
  '',
  SECRET,
  'x'.repeat(200),
  'x'.repeat(3_000),
  ...words(`app service strict third nobody code openid openid+offline_access S256 plain none login consent none+login
    authorization_code refresh_token client_credentials password 0 -1 1e999 99999999999999999999 NaN query fragment
    form_post web_message true alice https%3A%2F%2Fapp.example%2Fcb javascript:alert(1) https%3A%2F%2F%5B %00 a%00b
    %00%00 % %zz %c0%af %ff%fe %ed%a0%80 %F0%9F%92%A3 %0d%0aSet-Cookie:%20x=y %E2%80%AE %EF%BB%BF %5B%5D %7B%7D
    %7B%22userinfo%22%3A%7B%22__proto__%22%3Anull%7D%7D eyJhbGciOiJub25lIn0.e30. a.b.c ..%2F..%2Fetc %3Cscript%3E
    '%20OR%201=1-- %24%7B7*7%7D https%3A%2F%2F169.254.169.254%2F urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3Ax`),
];

const HEADERS = [
  ...[basic('app', SECRET), basic('app%00', '%zz'), basic('\x00', '\xff'), basic('app', '')],
  `Authorization: Bearer ${'x'.repeat(5_000)}`,
  'Authorization: Bearer a\r\nAuthorization: Bearer b',
  `Cookie: ${'c=d; '.repeat(800)}`,
  `User-Agent: ${'u'.repeat(4_000)}`,
  `Huge: ${'h'.repeat(20_000)}`,
  'Upgrade: websocket\r\nConnection: Upgrade',
  'Upgrade: h2c\r\nConnection: upgrade, http2-settings',
  ...lines(`
Authorization: Basic !!!!
Authorization: Basic
Authorization: Bearer
Authorization: Bearer \x00
Authorization: Bearer a b c
Authorization: DPoP abc
DPoP: abc
Cookie: curfew_session=\xff\xfe; curfew_session.sig=x
Cookie: curfew_session=a; curfew_session=b
Cookie: ;;;=;=x
Cookie: curfew_interaction=%00; curfew_resume=%
Cookie: __proto__=x; constructor=y
Accept: text/html
Accept: application/json
Accept: */*;q=nonsense
Accept: \xff
Accept-Language: \xff,,;q=9
Content-Type: application/json
Content-Type: multipart/form-data
Content-Type: text/plain; charset=utf-99
Content-Type: application/x-www-form-urlencoded; charset=utf-16
Content-Type: /
Content-Type: \xff
Content-Encoding: gzip
Content-Encoding: br, br
Transfer-Encoding: gzip
Expect: 100-continue
Expect: 999-x
X-Forwarded-For: 127.0.0.1, ::1, nonsense
X-Forwarded-Host: evil.example
X-Forwarded-Host: [
X-Forwarded-Proto: javascript
X-Forwarded-Port: -1
Forwarded: for=_x;proto=\xff
X-HTTP-Method-Override: DELETE
Origin: null
Origin: https://evil.example
Origin: \xff
Sec-Fetch-Site: cross-site
Referer: \x01
Access-Control-Request-Headers: authorization,\xff
Range: bytes=5-1
Connection: keep-alive, content-length
User-Agent: \x80\x81
X\x80: y
Bad Header: y
NoColon
__proto__: x
 folded
If-None-Match: "\xff"
If-Modified-Since: never
TE: trailers
Trailer: Authorization`),
];

const HOSTS = [
  'Host: a\r\nHost: b',
  '',
  ...lines(`Host: evil.example\nHost: evil.example:99999\nHost: [\nHost: a@b/c?d\nHost: \xff\nHost:\nHost: a, b`),
];

const TARGETS: readonly ((path: string) => string)[] = [
  (path) => `http://evil.example${path}`,
  (path) => `http://evil.example:99999${path}`,
  (path) => `//evil.example${path}`,
  (path) => `${path}/`,
  (path) => `/./..${path}`,
  (path) => `${path}%00`,
  (path) => `${path}/%2e%2e/%zz`,
  (path) => `${path};x=y`,
  (path) => `${path}\\..\\x`,
  (path) => path.toUpperCase(),
  (path) => `${path}#fragment`,
  (path) => `${path}\xff`,
  (path) => `${path}${'/long'.repeat(2_000)}`,
  () => '*',
  () => 'nothing',
  () => 'localhost:80',
];

const METHODS = words('PUT DELETE PATCH HEAD TRACE CONNECT PROPFIND OPTIONS POST GET get NONSENSE G\xffT');

const BODIES = ['{}', '{"__proto__":{}}', '[', '\x00', '\xff\xfe', '&&&&', '=', '%', 'a&a&a', 'x'.repeat(70_000)];

/** How a body's length is told; mostly not what comes. */
const FRAMINGS: readonly ((content: string) => [headers: string[], sent: string])[] = [
  (content) => [['Transfer-Encoding: chunked'], chunked(content)],
  (content) => [[], content],
  (content) => [[`Content-Length: ${content.length + 10}`], content],
  (content) => [[`Content-Length: ${Math.max(0, content.length - 3)}`], content],
  (content) => [[`Content-Length: ${content.length}`, 'Transfer-Encoding: chunked'], chunked(content)],
  (content) => [['Transfer-Encoding: chunked'], `zz\r\n${content}\r\n`],
  (content) => [['Content-Length: -5'], content],
  (content) => [[`Content-Length: ${content.length}`, 'Content-Length: 1'], content],
];
const honest = (content: string): [string[], string] => [[`Content-Length: ${content.length}`], content];
const chunked = (content: string) => `${content.length.toString(16)}\r\n${content}\r\n0\r\n\r\n`;

/** Mostly `usual`, so that not everything fails at the same first hurdle. */
const mostly = <T>(usual: fc.Arbitrary<T> | T, weight: number, others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight, arbitrary: usual instanceof fc.Arbitrary ? usual : fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );

const change = fc.record({
  name: fc.constantFrom(...NAMES),
  value: mostly(fc.constantFrom(...VALUES), 8, [' ', '\x01', '\xff', '+', '&', ';']),
  repeats: fc.boolean(),
});

function changed(usual: Parameters, changes: readonly { name: string; value: string; repeats: boolean }[]): string {
  const replaced = new Set(changes.filter(({ repeats }) => !repeats).map(({ name }) => name));
  const kept = Object.entries(usual).filter(([name]) => !replaced.has(name));
  const added = changes.map(({ name, value }) => [name, value] as const);
  return [...kept, ...added].map(([name, value]) => `${name}=${value}`).join('&');
}

/** Requests as the bytes that go over the wire: a client library would not let most of them out. */
export function hostileRequests(known: KnownThings): fc.Arbitrary<Buffer> {
  const parts = fc.record({
    endpoint: fc.constantFrom(...endpointsOf(known)),
    method: mostly<string | undefined>(undefined, 6, METHODS),
    target: mostly((path: string) => path, 4, TARGETS),
    host: mostly('Host: localhost', 6, HOSTS),
    changes: fc.array(change, { maxLength: 4 }),
    headers: fc.oneof(fc.constant([]), fc.array(fc.constantFrom(...HEADERS), { maxLength: 4 })),
    body: mostly<string | undefined>(undefined, 6, BODIES),
    framing: mostly(honest, 3, FRAMINGS),
  });
  return parts.map(({ endpoint, method, target, host, changes, headers, body, framing }) => {
    const verb = method ?? endpoint.method;
    const sent = changed(endpoint.usual, changes);
    const isForm = verb !== 'GET' && endpoint.headers.includes(FORM);
    const [length, payload] = isForm ? framing(body ?? sent) : [[], ''];
    const query = isForm || sent === '' ? '' : `?${sent.replaceAll(' ', '+')}`;
    const head = [
      `${verb} ${target(endpoint.path)}${query} HTTP/1.1`,
      host,
      ...endpoint.headers,
      ...headers,
      ...length,
    ];
    return Buffer.from(
      `${[...head, 'Connection: close'].filter((line) => line !== '').join('\r\n')}\r\n\r\n${payload}`,
      'latin1',
    );
  });
}
