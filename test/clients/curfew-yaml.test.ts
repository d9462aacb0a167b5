import { describe, expect, it } from '@jest/globals';
import { parseCurfewYaml } from '../../src/clients/curfew-yaml.ts';
import { AppError } from '../../src/errors.ts';
import { builtInPolicy } from '../../src/policy/policy.ts';

const parse = (text: string) => parseCurfewYaml(text, { fileName: 'curfew.yaml' });

function problemsIn(text: string): string[] {
  try {
    parse(text);
    return [];
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    expect(error.code).toBe('invalid_configuration');
    return error.message.split('\n');
  }
}

/** A file with one good client, and `lines` added to it from line 4 on. */
const withClient = (...lines: string[]): string =>
  [
    'clients:',
    '  - client_id: chat',
    '    redirect_uris: [https://chat.example.com/cb]',
    ...lines.map((l) => `    ${l}`),
  ].join('\n');

/** A file whose policy begins in line 5. */
const withPolicy = (...lines: string[]): string => [withClient(), 'policy:', ...lines.map((l) => `  ${l}`)].join('\n');

describe('a good file', () => {
  const example = `
clients:
  - client_id: chat
    client_name: Model playground
    redirect_uris: [https://chat.example.com/callback]
    post_logout_redirect_uris: [https://chat.example.com/]
    grant_types: [authorization_code, refresh_token]
    scope: openid profile offline_access
    backchannel_logout_uri: https://chat.example.com/backchannel-logout
    backchannel_logout_session_required: true
    contacts: [platform@example.com]
    client_secret_env: CHAT_CLIENT_SECRET
    first_party: true
    data: [restricted]
    labels: [inference, inference]
  - client_id: console
    application_type: web
    token_endpoint_auth_method: none
    redirect_uris: [https://console.example.com:8443/cb, http://localhost:3000/cb, https://console.example.com:8443/other]
    presence: true
    id_token_signed_response_alg: ES256
  - client_id: desktop
    application_type: native
    token_endpoint_auth_method: none
    redirect_uris: ['com.example.desktop:/cb', 'http://127.0.0.1/cb', 'http://[::1]/cb']
  - client_id: batch
    grant_types: [client_credentials]
    token_endpoint_auth_method: private_key_jwt
    jwks: { keys: [{ kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo }] }
policy:
  default: { idle: 20m, absolute: 10h, accessToken: 300, activity: [refresh, interactive], concurrent: 5, offline: { idle: 7d } }
  rules:
    - name: restricted data
      when: { data: [restricted] }
      limits: { idle: 5m, absolute: 1h, offline: forbid }
    - name: administrators outside
      when: { roles: [admin], network: [192.0.2.0/24, '2001:db8::/32'], kind: [browser] }
      limits: { idle: 5m, warnBefore: 90s, concurrent: { max: 1, onLimit: refuse } }
    - name: offline
      when: { kind: [offline] }
      limits: { idle: 5d, absolute: 20d }
`;

  it('declares clients in standard metadata, with defaults stated', () => {
    expect(parse(example).clients).toEqual([
      {
        clientId: 'chat',
        metadata: {
          client_id: 'chat',
          client_name: 'Model playground',
          redirect_uris: ['https://chat.example.com/callback'],
          post_logout_redirect_uris: ['https://chat.example.com/'],
          grant_types: ['authorization_code', 'refresh_token'],
          response_types: ['code'],
          token_endpoint_auth_method: 'client_secret_basic',
          scope: 'openid profile offline_access',
          application_type: 'web',
          backchannel_logout_uri: 'https://chat.example.com/backchannel-logout',
          backchannel_logout_session_required: true,
          contacts: ['platform@example.com'],
          id_token_signed_response_alg: 'RS256',
        },
        firstParty: true,
        data: ['restricted'],
        labels: ['inference'],
        presence: false,
        introspects: 'own',
        allowedOrigins: [],
        clientSecretEnv: 'CHAT_CLIENT_SECRET',
      },
      {
        clientId: 'console',
        metadata: expect.objectContaining({ token_endpoint_auth_method: 'none', response_types: ['code'] }),
        firstParty: false,
        data: [],
        labels: [],
        presence: true,
        introspects: 'own',
        allowedOrigins: ['https://console.example.com:8443', 'http://localhost:3000'],
      },
      expect.objectContaining({ clientId: 'desktop', allowedOrigins: ['http://127.0.0.1', 'http://[::1]'] }),
      expect.objectContaining({
        clientId: 'batch',
        metadata: expect.objectContaining({ redirect_uris: [], response_types: [] }),
        allowedOrigins: [],
      }),
    ]);
  });

  it('declares the policy, completed by the built-in default', () => {
    expect(parse(example).policy).toEqual({
      default: {
        idleSeconds: 1_200,
        absoluteSeconds: 36_000,
        accessTokenSeconds: 300,
        idTokenSeconds: 300,
        refreshTokenSeconds: 2_592_000,
        warnBeforeSeconds: 120,
        activity: ['interactive', 'refresh'],
        concurrent: { max: 5, onLimit: 'end-oldest' },
        offline: { idleSeconds: 604_800, absoluteSeconds: 2_592_000, endWith: 'none' },
        device: { idleSeconds: 1_209_600, absoluteSeconds: 2_592_000, endWith: 'none' },
      },
      rules: [
        {
          name: 'restricted data',
          when: { data: ['restricted'] },
          limits: { idleSeconds: 300, absoluteSeconds: 3_600, offline: 'forbid' },
        },
        {
          name: 'administrators outside',
          when: { roles: ['admin'], network: ['192.0.2.0/24', '2001:db8::/32'], kind: ['browser'] },
          limits: { idleSeconds: 300, warnBeforeSeconds: 90, concurrent: { max: 1, onLimit: 'refuse' } },
        },
        { name: 'offline', when: { kind: ['offline'] }, limits: { idleSeconds: 432_000, absoluteSeconds: 1_728_000 } },
      ],
    });
  });

  it.each([
    ['nothing about policy', 'clients: []', { default: 'built-in', rules: 'built-in' }],
    ['a default only', 'clients: []\npolicy: { default: { idle: 10m } }', { default: 'file', rules: 'built-in' }],
    ['no rules', 'clients: []\npolicy: { rules: [] }', { default: 'built-in', rules: 'file' }],
  ])('that says %s keeps what is built in for the rest', (_what, text, policySource) => {
    const { policy, policySource: source } = parse(text);
    expect(source).toEqual(policySource);
    expect(policy.rules).toEqual(policySource.rules === 'file' ? [] : builtInPolicy.rules);
  });

  it('may forbid offline sessions by default', () => {
    expect(parse('clients: []\npolicy: { default: { offline: forbid } }').policy.default.offline).toBe('forbid');
    expect(parse('clients: []\npolicy: { default: { device: { idle: 1d } } }').policy.default.device).toEqual({
      idleSeconds: 86_400,
      absoluteSeconds: 2_592_000,
      endWith: 'none',
    });
  });

  it('may use anchors and aliases', () => {
    const text =
      'clients:\n  - client_id: a\n    redirect_uris: &uris [https://a.example.com/cb]\n    post_logout_redirect_uris: *uris\n';
    expect(parse(text).clients[0]?.metadata).toMatchObject({ post_logout_redirect_uris: ['https://a.example.com/cb'] });
  });

  it('gives plain JSON values', () => {
    const parsed = parse(example);
    expect(JSON.parse(JSON.stringify(parsed))).toEqual(parsed);
  });
});

describe('the file itself', () => {
  it.each([
    ['empty', '', ['curfew.yaml:1:1: the file is empty; known here: clients, policy']],
    ['a list', '- a', ['curfew.yaml:1:1: expected a block of keys; known here: clients, policy']],
    [
      'an unknown key',
      'clients: []\nsessions: 1',
      ['curfew.yaml:2:1: sessions: unknown key; known here: clients, policy'],
    ],
    [
      'no clients',
      'policy: {}',
      [
        'curfew.yaml:1:1: clients: missing: clients that are not in the file get disabled, so write `clients: []` if there are none',
      ],
    ],
    ['no list of clients', 'clients: { a: 1 }', ['curfew.yaml:1:10: clients: expected a list']],
    [
      'an empty policy',
      'clients: []\npolicy:',
      ['curfew.yaml:2:1: policy: expected a block of keys; known here: default, rules'],
    ],
    [
      'two documents',
      'clients: []\n---\nclients: []',
      ['curfew.yaml:2:1: a second document begins here: the file must hold one'],
    ],
    ['an unknown tag', 'clients: !secret []', ['curfew.yaml:1:10: Unresolved tag: !secret']],
    ['an alias to itself', 'clients: &a [*a]', ['curfew.yaml:1:1: an alias (*name) refers to what it is part of']],
    [
      'an alias to nothing',
      'clients: *a',
      ['curfew.yaml:1:1: Unresolved alias (the anchor must be set before the alias): a'],
    ],
  ])('%s', (_what, text, problems) => {
    expect(problemsIn(text)).toEqual(problems);
  });

  it('with wrong syntax is told by its place alone', () => {
    const [problem, ...others] = problemsIn('clients: []\npolicy:\n\tdefault: 1\nx: 1');
    expect(problem).toBe('curfew.yaml:3:1: Tabs are not allowed as indentation');
    expect(others.join()).not.toContain('unknown key');
  });

  it('is refused for keys that stand twice, and the rest is checked all the same', () => {
    const text = [
      'clients: []',
      'policy:',
      '  default:',
      '    idle: 5m',
      '    idle: 6m',
      '    absolut: 1h',
      'clients: []',
    ].join('\n');
    expect(problemsIn(text)).toEqual([
      'curfew.yaml:5:5: duplicate key idle',
      expect.stringMatching(/^curfew\.yaml:6:5: policy\.default\.absolut: unknown key; known here: idle, absolute, /),
      'curfew.yaml:7:1: duplicate key clients',
    ]);
  });

  it('has its name in every message', () => {
    expect(() => parseCurfewYaml('', { fileName: 'conf/sso.yaml' })).toThrow(/^conf\/sso\.yaml:1:1: /);
  });
});

describe('clients', () => {
  it.each<[string, string[], string]>([
    [
      'an unknown key',
      ['clientName: x'],
      '4:5: clients[0].clientName: unknown key; known here: client_id, client_name, redirect_uris',
    ],
    [
      'a literal secret',
      ['client_secret: s3cr3t'],
      '4:20: clients[0].client_secret: a secret must not stand in the file: name a variable in client_secret_env, or leave it out to get one generated',
    ],
    [
      'no environment variable',
      ['client_secret_env: s3cr3t-value'],
      '4:24: clients[0].client_secret_env: expected the name of an environment variable',
    ],
    [
      'a secret of a public client',
      ['token_endpoint_auth_method: none', 'client_secret_env: A'],
      '5:5: clients[0].client_secret_env: a client with token_endpoint_auth_method none has no secret',
    ],
    ['no boolean', ['first_party: yes'], '4:18: clients[0].first_party: expected true or false'],
    [
      'a number for text',
      ['client_name: 12'],
      '4:18: clients[0].client_name: expected text (in quotes, if it looks like a number)',
    ],
    [
      'an empty value',
      ['client_name:'],
      '4:5: clients[0].client_name: expected text (in quotes, if it looks like a number)',
    ],
    ['an empty name', ["client_name: ' '"], '4:18: clients[0].client_name: must not be empty'],
    ['a long name', [`client_name: ${'x'.repeat(201)}`], '4:18: clients[0].client_name: is longer than 200 characters'],
    [
      'an unknown grant type',
      ['grant_types: [authorization_code, implicit]'],
      '4:39: clients[0].grant_types[1]: "implicit" is not one of: authorization_code, refresh_token, client_credentials',
    ],
    ['no grant type', ['grant_types: []'], '4:18: clients[0].grant_types: must not be empty'],
    [
      'an implicit response',
      ['response_types: [token]'],
      '4:22: clients[0].response_types[0]: "token" is not one of: code',
    ],
    [
      'no response type for the code',
      ['response_types: []'],
      '4:21: clients[0].response_types: the grant type authorization_code needs code',
    ],
    [
      'a code without its grant',
      ['grant_types: [client_credentials]', 'response_types: [code]'],
      '5:21: clients[0].response_types: code needs authorization_code in grant_types',
    ],
    [
      'refresh tokens from nowhere',
      ['grant_types: [refresh_token]'],
      '4:18: clients[0].grant_types: refresh_token needs authorization_code or device_code: it is where refresh tokens come from',
    ],
    [
      'a public service',
      ['grant_types: [client_credentials]', 'token_endpoint_auth_method: none'],
      '4:18: clients[0].grant_types: client_credentials needs a client that authenticates, not token_endpoint_auth_method none',
    ],
    [
      'offline access without refresh tokens',
      ['scope: openid offline_access'],
      '4:12: clients[0].scope: offline_access needs refresh_token in grant_types',
    ],
    ['no scope', ['scope: openid  profile'], '4:12: clients[0].scope: expected scope names, separated by one space'],
    [
      'a shared-secret signature',
      ['token_endpoint_auth_method: client_secret_jwt'],
      '4:33: clients[0].token_endpoint_auth_method: "client_secret_jwt" is not one of: client_secret_basic, client_secret_post, private_key_jwt, none',
    ],
    [
      'a key method without keys',
      ['token_endpoint_auth_method: private_key_jwt'],
      '4:33: clients[0].token_endpoint_auth_method: private_key_jwt needs jwks or jwks_uri',
    ],
    [
      'keys in two places',
      ['jwks_uri: https://a.example.com/jwks', 'jwks: { keys: [{ kty: RSA }] }'],
      '4:5: clients[0].jwks_uri: must not stand beside jwks (RFC 7591 §2)',
    ],
    [
      'a private key',
      ['jwks: { keys: [{ kty: OKP, d: AA }] }'],
      '4:20: clients[0].jwks.keys[0]: holds a private or symmetric key: only public keys belong here',
    ],
    [
      'an unknown signature',
      ['id_token_signed_response_alg: HS256'],
      '4:35: clients[0].id_token_signed_response_alg: "HS256" is not one of: RS256, ES256, EdDSA',
    ],
    ['a negative max_age', ['default_max_age: -1'], '4:22: clients[0].default_max_age: must be at least 0'],
    ['half a max_age', ['default_max_age: 1.5'], '4:22: clients[0].default_max_age: expected a whole number'],
    [
      'a script for a link',
      ["client_uri: 'javascript:alert(1)'"],
      '4:17: clients[0].client_uri: expected an https or http URL without a fragment or a password',
    ],
    [
      'a session required without an address',
      ['backchannel_logout_session_required: true'],
      '4:42: clients[0].backchannel_logout_session_required: needs backchannel_logout_uri',
    ],
    ['no e-mail address', ['contacts: [nobody]'], '4:16: clients[0].contacts[0]: expected an e-mail address'],
    [
      'an origin with a path',
      ['allowed_origins: [https://a.example.com/]'],
      '4:23: clients[0].allowed_origins[0]: expected an origin: scheme, host and port, as in https://app.example.com:8443, without a path or a slash',
    ],
  ])('%s', (_what, lines, problem) => {
    const problems = problemsIn(withClient(...lines));
    expect(problems).toHaveLength(1);
    expect(problems[0]?.startsWith(`curfew.yaml:${problem}`)).toBe(true);
  });

  it.each([
    ['client_id', '- redirect_uris: [https://a.example.com/cb]', ['2:5: clients[0].client_id: missing']],
    [
      'redirect_uris',
      '- client_id: a',
      ['2:5: clients[0].redirect_uris: the grant type authorization_code needs at least one'],
    ],
    [
      'text for client_id',
      '- { client_id: 7, redirect_uris: [https://a.example.com/cb] }',
      ['2:18: clients[0].client_id: expected text (in quotes, if it looks like a number)'],
    ],
    [
      'spaces in client_id',
      '- { client_id: a b, redirect_uris: [https://a.example.com/cb] }',
      ['2:18: clients[0].client_id: expected 1 to 200 printable ASCII characters without spaces'],
    ],
    [
      'a list of redirect_uris',
      '- { client_id: a, redirect_uris: https://a.example.com/cb }',
      ['2:36: clients[0].redirect_uris: expected a list'],
    ],
    ['a block', '- chat', ['2:5: clients[0]: expected a block of keys']],
  ])('need %s', (_what, line, problems) => {
    expect(problemsIn(`clients:\n  ${line}`)).toEqual(problems.map((problem) => `curfew.yaml:${problem}`));
  });

  it('have a client_id each', () => {
    const text = `${withClient()}\n  - client_id: chat\n    redirect_uris: [https://b.example.com/cb]`;
    expect(problemsIn(text)).toEqual([
      'curfew.yaml:4:16: clients[1].client_id: another client has the client_id "chat" too',
    ]);
  });

  it.each<[string, string, string | undefined]>([
    ['web', 'https://a.example.com/cb?x=1', undefined],
    ['web', 'http://localhost:3000/cb', undefined],
    ['web', 'http://127.0.0.1:3000/cb', undefined],
    ['web', 'http://[::1]:3000/cb', undefined],
    ['web', '/cb', '"/cb" is not an absolute URI'],
    ['web', 'a.example.com', '"a.example.com" is not an absolute URI'],
    ['web', 'https://a.example.com/cb#', '"https://a.example.com/cb#" has a fragment: leave out what begins with #'],
    [
      'web',
      'https://*.example.com/cb',
      '"https://*.example.com/cb" has a wildcard: redirect URIs are compared character by character',
    ],
    ['web', 'https://user:pass@a.example.com/', 'a URI must not hold a name or a password'],
    [
      'web',
      'http://a.example.com/cb',
      '"http://a.example.com/cb" needs https: http is for localhost, 127.0.0.1, [::1] only',
    ],
    [
      'web',
      'http://localhost.example.com/cb',
      '"http://localhost.example.com/cb" needs https: http is for localhost, 127.0.0.1, [::1] only',
    ],
    ['web', 'com.example.app:/cb', '"com.example.app:/cb" has a scheme of its own: that needs application_type native'],
    ['web', 'javascript:alert(1)', 'the scheme javascript is not allowed'],
    ['native', 'com.example.app:/cb', undefined],
    ['native', 'http://127.0.0.1/cb', undefined],
    ['native', 'https://app.example.com/cb', undefined],
    [
      'native',
      'http://app.example.com/cb',
      '"http://app.example.com/cb" needs https: http is for localhost, 127.0.0.1, [::1] only',
    ],
    [
      'native',
      'https://localhost/cb',
      `"https://localhost/cb" needs http: a native app can't claim localhost over https`,
    ],
    ['native', 'data:text/html,x', 'the scheme data is not allowed'],
  ])('of type %s sent back to %s', (type, uri, problem) => {
    const text = `clients:\n  - client_id: a\n    application_type: ${type}\n    redirect_uris:\n      - '${uri}'`;
    expect(problemsIn(text)).toEqual(
      problem === undefined ? [] : [`curfew.yaml:5:9: clients[0].redirect_uris[0]: ${problem}`],
    );
  });

  it('are checked for where they send people after sign-out', () => {
    expect(problemsIn(withClient('post_logout_redirect_uris: [https://ok.example.com/, nowhere]'))).toEqual([
      'curfew.yaml:4:58: clients[0].post_logout_redirect_uris[1]: "nowhere" is not an absolute URI',
    ]);
  });

  it('never have a value shown that may be a secret', () => {
    const text = withClient(
      'client_secret: aaaa-s3cr3t',
      'client_secret_env: "bbbb s3cr3t"',
      'clientSecret: cccc-s3cr3t',
    );
    expect(problemsIn(text).join()).not.toContain('s3cr3t');
  });
});

describe('the default of the policy', () => {
  it.each<[string, string, string]>([
    [
      'idle over absolute',
      '{ idle: 20h, absolute: 12h }',
      '5:20: policy.default.idle: 20h is longer than absolute 12h, which ends the session first',
    ],
    [
      'idle over the built-in absolute',
      '{ idle: 13h }',
      '5:20: policy.default.idle: 13h is longer than absolute 12h of the built-in default, which ends the session first',
    ],
    [
      'absolute under the built-in idle',
      '{ absolute: 29m }',
      '5:24: policy.default.absolute: 29m is shorter than idle 30m of the built-in default: state idle too',
    ],
    [
      'offline idle over the built-in absolute',
      '{ offline: { idle: 31d } }',
      '5:31: policy.default.offline.idle: 31d is longer than absolute 30d of the built-in default, which ends the session first',
    ],
    [
      'a warning before idle begins',
      '{ idle: 5m, warnBefore: 6m }',
      '5:36: policy.default.warnBefore: 6m is longer than idle 5m: the warning would come before the idle time begins',
    ],
    ['0', '{ idle: 0 }', '5:20: policy.default.idle: 0 is too short: a duration is at least 1s'],
    [
      'less than 0',
      '{ accessToken: -5m }',
      '5:27: policy.default.accessToken: -5m is too short: a duration is at least 1s',
    ],
    [
      'a fraction',
      '{ idToken: 0.5 }',
      '5:23: policy.default.idToken: 0.5 is a fraction: write whole numbers, such as 90m for one hour and a half',
    ],
    [
      'over 400 days',
      '{ refreshToken: 401d }',
      '5:28: policy.default.refreshToken: 401d is too long: the most is 400d',
    ],
    [
      'no duration',
      '{ idle: soon }',
      '5:20: policy.default.idle: "soon" is no duration: write 90s, 15m, 12h, 30d, or whole seconds',
    ],
    [
      'no value',
      '{ idle: }',
      '5:14: policy.default.idle: expected a duration such as 90s, 15m, 12h, 30d, or whole seconds',
    ],
    [
      'an unknown activity',
      '{ activity: [interactive, typing] }',
      '5:38: policy.default.activity[1]: "typing" is not one of: interactive, silent, refresh, introspection, userinfo',
    ],
    ['no activity', '{ activity: [] }', '5:24: policy.default.activity: must not be empty'],
    ['no sessions', '{ concurrent: 0 }', '5:26: policy.default.concurrent: must be at least 1'],
    [
      'words for sessions',
      '{ concurrent: one }',
      '5:26: policy.default.concurrent: expected a whole number, or a block with max and onLimit',
    ],
    [
      'an unknown onLimit',
      '{ concurrent: { max: 1, onLimit: ask } }',
      '5:45: policy.default.concurrent.onLimit: "ask" is not one of: end-oldest, refuse',
    ],
    [
      'an unknown offline word',
      '{ offline: never }',
      '5:23: policy.default.offline: expected forbid, or a block with idle, absolute, endWith',
    ],
    [
      'an unknown offline key',
      '{ offline: { idel: 1d } }',
      '5:25: policy.default.offline.idel: unknown key; known here: idle, absolute, endWith',
    ],
    [
      'too long an idle limit of devices',
      '{ device: { idle: 31d } }',
      '5:30: policy.default.device.idle: 31d is longer than absolute 30d of the built-in default, which ends the session first',
    ],
    [
      'an unknown endWith',
      '{ offline: { endWith: never } }',
      '5:34: policy.default.offline.endWith: "never" is not one of: session, none',
    ],
    ['no block', '5m', '5:12: policy.default: expected a block of keys'],
  ])('with %s', (_what, limits, problem) => {
    expect(problemsIn(withPolicy(`default: ${limits}`))).toEqual([`curfew.yaml:${problem}`]);
  });

  it.each([
    '{ idle: 12h }',
    '{ idle: 30m, absolute: 30m }',
    '{ absolute: 30m }',
    '{ idle: 5m, warnBefore: 5m }',
    '{ accessToken: 1h }',
    '{ offline: { idle: 30d } }',
  ])('%s is possible', (limits) => {
    expect(problemsIn(withPolicy(`default: ${limits}`))).toEqual([]);
  });
});

describe('rules of the policy', () => {
  /** The rule stands in line 6, from column 7 on. */
  const withRule = (rule: string, byDefault = '{}'): string =>
    withPolicy(`default: ${byDefault}`, 'rules:', `  - ${rule}`);

  it.each<[string, string, string]>([
    ['no name', '{ when: { roles: [a] }, limits: { idle: 1m } }', '7:7: policy.rules[0].name: missing'],
    [
      'a name that is taken',
      '{ name: default, when: { roles: [a] }, limits: { idle: 1m } }',
      '7:15: policy.rules[0].name: default and anonymous are taken: choose another name',
    ],
    ['no when', '{ name: r, limits: { idle: 1m } }', '7:7: policy.rules[0].when: missing'],
    [
      'an empty when',
      '{ name: r, when: {}, limits: { idle: 1m } }',
      '7:24: policy.rules[0].when: says nothing: what holds for everyone belongs in policy.default',
    ],
    [
      'an unknown condition',
      '{ name: r, when: { role: [a] }, limits: { idle: 1m } }',
      '7:26: policy.rules[0].when.role: unknown key; known here: roles, groups, clients, data, labels, acr, amr, network, kind',
    ],
    [
      'an empty condition',
      '{ name: r, when: { roles: [] }, limits: { idle: 1m } }',
      '7:33: policy.rules[0].when.roles: must not be empty',
    ],
    [
      'a word for a list',
      '{ name: r, when: { roles: admin }, limits: { idle: 1m } }',
      '7:33: policy.rules[0].when.roles: expected a list',
    ],
    [
      'an unknown client',
      '{ name: r, when: { clients: [chat, wiki] }, limits: { idle: 1m } }',
      '7:42: policy.rules[0].when.clients[1]: there is no client "wiki" in this file',
    ],
    [
      'no network',
      '{ name: r, when: { network: [10.0.0.0/33] }, limits: { idle: 1m } }',
      '7:36: policy.rules[0].when.network[0]: expected an IPv4 or IPv6 network such as 10.0.0.0/8 or 2001:db8::/32',
    ],
    [
      'an unknown kind',
      '{ name: r, when: { kind: [mobile] }, limits: { idle: 1m } }',
      '7:33: policy.rules[0].when.kind[0]: "mobile" is not one of: browser, offline, device, anonymous',
    ],
    ['no limits', '{ name: r, when: { roles: [a] } }', '7:7: policy.rules[0].limits: missing'],
    ['empty limits', '{ name: r, when: { roles: [a] }, limits: {} }', '7:48: policy.rules[0].limits: sets no limit'],
    [
      'an empty offline setting',
      '{ name: r, when: { roles: [a] }, limits: { offline: {} } }',
      '7:59: policy.rules[0].limits.offline: says nothing',
    ],
    [
      'idle over its own absolute',
      '{ name: r, when: { roles: [a] }, limits: { idle: 2h, absolute: 1h } }',
      '7:56: policy.rules[0].limits.idle: 2h is longer than absolute 1h, which ends the session first',
    ],
    [
      'idle over the absolute of the default',
      '{ name: r, when: { roles: [a] }, limits: { idle: 20h } }',
      '7:56: policy.rules[0].limits.idle: 20h is longer than absolute 12h of policy.default, which ends the session first',
    ],
    [
      'offline idle over the default',
      '{ name: r, when: { kind: [offline] }, limits: { idle: 31d } }',
      '7:61: policy.rules[0].limits.idle: 31d is longer than absolute 30d of policy.default, which ends the session first',
    ],
    [
      'a session limit for a client',
      '{ name: r, when: { clients: [chat] }, limits: { concurrent: 1 } }',
      '7:55: policy.rules[0].limits.concurrent: has no effect: it counts sessions of a person, and this rule is about clients, data or labels',
    ],
    [
      'a session limit for offline sessions',
      '{ name: r, when: { kind: [offline] }, limits: { concurrent: 1 } }',
      '7:55: policy.rules[0].limits.concurrent: has no effect: it counts browser sessions, and this rule is about others',
    ],
    ['no block', 'restricted', '7:7: policy.rules[0]: expected a block of keys'],
  ])('with %s', (_what, rule, problem) => {
    expect(problemsIn(withRule(rule))).toEqual([`curfew.yaml:${problem}`]);
  });

  it('compare with the default that the file states', () => {
    const rule = '{ name: r, when: { roles: [a] }, limits: { idle: 5h } }';
    expect(problemsIn(withRule(rule, '{ absolute: 4h }'))).toEqual([
      'curfew.yaml:7:56: policy.rules[0].limits.idle: 5h is longer than absolute 4h of policy.default, which ends the session first',
    ]);
    expect(problemsIn(withRule(rule, '{ absolute: 5h }'))).toEqual([]);
  });

  it("can't allow what the default forbids", () => {
    const rule = '{ name: r, when: { roles: [a] }, limits: { offline: { idle: 1d } } }';
    expect(problemsIn(withRule(rule, '{ offline: forbid }'))).toEqual([
      'curfew.yaml:7:50: policy.rules[0].limits.offline: has no effect: policy.default forbids offline sessions, and a rule can only make it stricter',
    ]);
  });

  it('have a name each', () => {
    const rule = '{ name: r, when: { roles: [a] }, limits: { idle: 1m } }';
    expect(problemsIn(`${withRule(rule)}\n    - ${rule}`)).toEqual([
      'curfew.yaml:8:15: policy.rules[1].name: another rule is named "r" too',
    ]);
  });

  it('must be a list', () => {
    expect(problemsIn(withPolicy('rules: { a: 1 }'))).toEqual(['curfew.yaml:5:10: policy.rules: expected a list']);
  });

  it.each([
    '{ name: r, when: { kind: [offline] }, limits: { idle: 20d } }',
    '{ name: r, when: { roles: [a] }, limits: { absolute: 10m } }',
    '{ name: r, when: { roles: [a] }, limits: { accessToken: 1h } }',
    '{ name: r, when: { kind: [device] }, limits: { idle: 20d, device: { idle: 1d } } }',
    '{ name: r, when: { kind: [device, browser] }, limits: { concurrent: 1 } }',
  ])('%s is possible', (rule) => {
    expect(problemsIn(withRule(rule))).toEqual([]);
  });
});

it('tells all problems at once, in the order of the file', () => {
  const text = `clients:
  - client_id: chat
    redirect_uris: [nowhere]
    first_party: maybe
policy:
  default:
    idle: 0
    offline: { idle: 40d }
  rules:
    - name: a
      when: { clients: [wiki], roles: admin }
      limits: { idle: 2h, absolute: 1h, warn: 1m }
extra: 1
`;
  expect(problemsIn(text).map((problem) => problem.split(': ', 2).join(': '))).toEqual([
    'curfew.yaml:3:21: clients[0].redirect_uris[0]',
    'curfew.yaml:4:18: clients[0].first_party',
    'curfew.yaml:7:11: policy.default.idle',
    'curfew.yaml:8:22: policy.default.offline.idle',
    'curfew.yaml:11:25: policy.rules[0].when.clients[0]',
    'curfew.yaml:11:39: policy.rules[0].when.roles',
    'curfew.yaml:12:23: policy.rules[0].limits.idle',
    'curfew.yaml:12:41: policy.rules[0].limits.warn',
    'curfew.yaml:13:1: extra',
  ]);
});
