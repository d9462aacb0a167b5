import { DEVICE_GRANT } from './client-metadata-schema.ts';
import { asBlock, asList, asText, isBlock, type RawBlock, textsOf } from './raw-values.ts';
import type { Path, Problem } from './yaml-source.ts';

/** Names of the own machine (RFC 8252 §7.3), where http can't be listened to on the way. */
const LOOPBACK_HOSTS = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Schemes that run code or read files where they are opened. */
const FORBIDDEN_SCHEMES = new Set(['javascript:', 'vbscript:', 'data:', 'blob:', 'file:', 'about:']);

type Refuse = (key: string, message: string, at?: 'key' | 'value') => void;

/**
 * Finds what each key of a client for itself is right about, but not together, and what its redirect URIs must be
 * for its `application_type`. It looks at the raw file, so that one wrong key doesn't hide the others.
 *
 * @param clients the value of `clients`
 */
export function clientContradictions(clients: unknown): Problem[] {
  return [
    ...asList(clients).flatMap((client, i) => problemsOfOne(client, ['clients', i])),
    ...duplicateIds(asList(clients)),
  ];
}

function problemsOfOne(client: unknown, path: Path): Problem[] {
  return isBlock(client) ? [...clientProblems(client, path), ...uriProblems(client, path)] : [];
}

function clientProblems(client: RawBlock, path: Path): Problem[] {
  const problems: Problem[] = [];
  const refuse: Refuse = (key, message, at = 'value') => problems.push({ path: [...path, key], message, at });
  checkGrants(client, refuse);
  checkAuthentication(client, refuse);
  if (client.backchannel_logout_session_required === true && client.backchannel_logout_uri === undefined) {
    refuse('backchannel_logout_session_required', 'needs backchannel_logout_uri');
  }
  return problems;
}

const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0;

function checkGrants(client: RawBlock, refuse: Refuse): void {
  const grants = client.grant_types === undefined ? ['authorization_code'] : asList(client.grant_types);
  const hasCode = grants.includes('authorization_code');
  const responseTypes = client.response_types;
  if (hasCode && (client.redirect_uris === undefined || isEmptyList(client.redirect_uris))) {
    refuse('redirect_uris', 'the grant type authorization_code needs at least one');
  }
  const isReadable = Array.isArray(responseTypes) && responseTypes.every((type) => type === 'code');
  if (isReadable && hasCode !== responseTypes.includes('code')) {
    refuse(
      'response_types',
      hasCode ? 'the grant type authorization_code needs code' : 'code needs authorization_code in grant_types',
    );
  }
  if (grants.includes('refresh_token') && !hasCode && !grants.includes(DEVICE_GRANT)) {
    refuse(
      'grant_types',
      'refresh_token needs authorization_code or device_code: it is where refresh tokens come from',
    );
  }
  if (grants.includes('client_credentials') && client.token_endpoint_auth_method === 'none') {
    refuse('grant_types', 'client_credentials needs a client that authenticates, not token_endpoint_auth_method none');
  }
  if (asText(client.scope)?.split(' ').includes('offline_access') && !grants.includes('refresh_token')) {
    refuse('scope', 'offline_access needs refresh_token in grant_types');
  }
}

function checkAuthentication(client: RawBlock, refuse: Refuse): void {
  const method = asText(client.token_endpoint_auth_method) ?? 'client_secret_basic';
  const hasKeys = client.jwks !== undefined || client.jwks_uri !== undefined;
  if (client.jwks !== undefined && client.jwks_uri !== undefined) {
    refuse('jwks_uri', 'must not stand beside jwks (RFC 7591 §2)', 'key');
  }
  if (method === 'private_key_jwt' && !hasKeys)
    refuse('token_endpoint_auth_method', 'private_key_jwt needs jwks or jwks_uri');
  if (client.introspects === 'any' && method === 'none') {
    refuse('introspects', 'any needs a client that authenticates, not token_endpoint_auth_method none');
  }
  if (client.client_secret_env !== undefined && (method === 'none' || method === 'private_key_jwt')) {
    refuse('client_secret_env', `a client with token_endpoint_auth_method ${method} has no secret`, 'key');
  }
}

function uriProblems(client: RawBlock, path: Path): Problem[] {
  const isNative = client.application_type === 'native';
  return ['redirect_uris', 'post_logout_redirect_uris'].flatMap((key) =>
    textsOf(client[key]).flatMap(({ text, index }) => {
      const message = problemOfUri(text, isNative);
      return message === undefined ? [] : [{ path: [...path, key, index], message }];
    }),
  );
}

/** @see RFC 9700 §2.1 and §2.6, RFC 8252 §7 and OpenID Connect Registration §2 (`application_type`) */
function problemOfUri(text: string, isNative: boolean): string | undefined {
  const url = URL.parse(text);
  if (url === null) return `"${text}" is not an absolute URI`;
  if (text.includes('#')) return `"${text}" has a fragment: leave out what begins with #`;
  if (text.includes('*')) return `"${text}" has a wildcard: redirect URIs are compared character by character`;
  if (url.username !== '' || url.password !== '') return 'a URI must not hold a name or a password';
  const isLoopback = LOOPBACK_HOSTS.has(url.hostname);
  if (url.protocol === 'http:')
    return isLoopback ? undefined : `"${text}" needs https: http is for ${[...LOOPBACK_HOSTS].join(', ')} only`;
  if (url.protocol === 'https:') {
    return isNative && isLoopback
      ? `"${text}" needs http: a native app can't claim ${url.hostname} over https`
      : undefined;
  }
  if (FORBIDDEN_SCHEMES.has(url.protocol)) return `the scheme ${url.protocol.slice(0, -1)} is not allowed`;
  return isNative ? undefined : `"${text}" has a scheme of its own: that needs application_type native`;
}

function duplicateIds(clients: readonly unknown[]): Problem[] {
  const ids = clients.map((client) => asText(asBlock(client).client_id));
  return ids.flatMap((id, i) =>
    id !== undefined && ids.indexOf(id) < i
      ? [{ path: ['clients', i, 'client_id'], message: `another client has the client_id "${id}" too` }]
      : [],
  );
}
