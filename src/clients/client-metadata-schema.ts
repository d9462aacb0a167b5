import { z } from 'zod';
import type { ClientMetadata, DeclaredFacts } from './client.ts';
import { unknownKeyMessage } from './problem-list.ts';

export const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

export const GRANT_TYPES = ['authorization_code', 'refresh_token', 'client_credentials', DEVICE_GRANT] as const;

/** Parts of a JWK that only its owner may have (RFC 7518 §6.2.2, §6.3.2, §6.4.1). */
const PRIVATE_JWK_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

/** A client as curfew.yaml declares it; the secret itself is not part of it. */
export type ClientDeclaration = DeclaredFacts & {
  /** Name of the environment variable that holds the secret; without it one is generated. */
  clientSecretEnv?: string;
};

const name = z.string().trim().min(1).max(200);

const webUrl = z.string().refine(isWebUrl, { error: 'expected an https or http URL without a fragment or a password' });

function isWebUrl(text: string): boolean {
  const url = URL.parse(text);
  return (
    url !== null && /^https?:$/.test(url.protocol) && !text.includes('#') && url.username === '' && url.password === ''
  );
}

const origin = z.string().refine((text) => isWebUrl(text) && new URL(text).origin === text, {
  error: 'expected an origin: scheme, host and port, as in https://app.example.com:8443, without a path or a slash',
});

const scope = z.string().regex(/^[\x21\x23-\x5B\x5D-\x7E]+( [\x21\x23-\x5B\x5D-\x7E]+)*$/, {
  error: 'expected scope names, separated by one space',
});

const publicJwk = z
  .looseObject({ kty: z.string().min(1) })
  .refine((jwk) => !PRIVATE_JWK_MEMBERS.some((member) => member in jwk), {
    error: 'holds a private or symmetric key: only public keys belong here',
  });

const literalSecret = z
  .custom<undefined>((value) => value === undefined, {
    error:
      'a secret must not stand in the file: name a variable in client_secret_env, or leave it out to get one generated',
  })
  .optional();

const standardShape = {
  client_id: z.string().regex(/^[\x21-\x7E]{1,200}$/, {
    error: 'expected 1 to 200 printable ASCII characters without spaces',
  }),
  client_name: name.optional(),
  redirect_uris: z.array(z.string()).default([]),
  post_logout_redirect_uris: z.array(z.string()).optional(),
  grant_types: z.array(z.enum(GRANT_TYPES)).min(1).default(['authorization_code']),
  response_types: z.array(z.enum(['code'])).optional(),
  token_endpoint_auth_method: z
    .enum(['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'])
    .default('client_secret_basic'),
  scope: scope.optional(),
  application_type: z.enum(['web', 'native']).default('web'),
  backchannel_logout_uri: webUrl.optional(),
  backchannel_logout_session_required: z.boolean().optional(),
  client_uri: webUrl.optional(),
  logo_uri: webUrl.optional(),
  policy_uri: webUrl.optional(),
  tos_uri: webUrl.optional(),
  contacts: z.array(z.email({ pattern: z.regexes.html5Email, error: 'expected an e-mail address' })).optional(),
  id_token_signed_response_alg: z.enum(['RS256', 'ES256', 'EdDSA']).default('RS256'),
  introspection_signed_response_alg: z.enum(['RS256', 'ES256', 'EdDSA']).optional(),
  default_max_age: z.int().min(0).optional(),
  default_acr_values: z.array(name).optional(),
  require_auth_time: z.boolean().optional(),
  initiate_login_uri: webUrl.optional(),
  jwks: z.strictObject({ keys: z.array(publicJwk).min(1) }, { error: unknownKeyMessage(['keys']) }).optional(),
  jwks_uri: webUrl.optional(),
  require_pushed_authorization_requests: z.boolean().optional(),
  dpop_bound_access_tokens: z.boolean().optional(),
};

const ownShape = {
  first_party: z.boolean().default(false),
  data: z.array(name).default([]),
  labels: z.array(name).default([]),
  presence: z.boolean().default(false),
  introspects: z.enum(['own', 'any']).default('own'),
  allowed_origins: z.array(origin).optional(),
  client_secret_env: z
    .string()
    .regex(/^[A-Za-z_][A-Za-z0-9_]*$/, { error: 'expected the name of an environment variable' })
    .optional(),
};

/** One entry of `clients`: the names of RFC 7591 §2 and OpenID Connect Registration §2, and a few of our own. */
export const clientSchema = z
  .strictObject(
    { ...standardShape, ...ownShape, client_secret: literalSecret },
    { error: unknownKeyMessage(Object.keys({ ...standardShape, ...ownShape })) },
  )
  .transform(toDeclaration);

type ClientInFile = z.output<z.ZodObject<typeof standardShape & typeof ownShape & { client_secret: z.ZodOptional }>>;

function toDeclaration({
  first_party,
  data,
  labels,
  presence,
  introspects,
  allowed_origins,
  client_secret_env,
  client_secret: _refused,
  ...standard
}: ClientInFile): ClientDeclaration {
  const metadata: ClientMetadata = {
    ...standard,
    response_types: standard.response_types ?? (standard.grant_types.includes('authorization_code') ? ['code'] : []),
  };
  const isPublic = standard.token_endpoint_auth_method === 'none';
  return {
    clientId: standard.client_id,
    metadata,
    firstParty: first_party,
    data: [...new Set(data)],
    labels: [...new Set(labels)],
    presence,
    introspects,
    allowedOrigins: [...new Set(allowed_origins ?? (isPublic ? originsOf(standard.redirect_uris) : []))],
    ...(client_secret_env === undefined ? {} : { clientSecretEnv: client_secret_env }),
  };
}

/** A public client's pages call the token endpoint themselves; where they come from is where they are sent back to. */
function originsOf(redirectUris: readonly string[]): string[] {
  return redirectUris.filter(isWebUrl).map((uri) => new URL(uri).origin);
}
