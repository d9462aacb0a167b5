/** Client metadata in the names of the wire (RFC 7591 §2), without our own additions and without secrets. */
export type ClientMetadata = Record<string, unknown>;

/** By whom a client was disabled: only what the file disabled is enabled again by the file. */
export type DisabledBy = 'hand' | 'file';

/** Which tokens a client may ask about: those issued to it, or all, as gateways must. */
export type Introspects = 'own' | 'any';

/** A client as the registry knows it. */
export interface RegisteredClient {
  clientId: string;
  metadata: ClientMetadata;
  /** One of our own: no consent page. */
  firstParty: boolean;
  /** How what it serves is classified; rules of the policy refer to it. */
  data: string[];
  /** Whatever else rules of the policy refer to. */
  labels: string[];
  /** Its pages may report that somebody is there. */
  presence: boolean;
  introspects: Introspects;
  /** Origins whose pages may make token-authorised calls (CORS). */
  allowedOrigins: string[];
  /** SHA-256 of the client secret; a public client has none. */
  secretHash?: Uint8Array;
  disabledAt?: Date;
  disabledBy?: DisabledBy;
}

/** What of a client is declared: everything but its secret and its being disabled. */
export type DeclaredFacts = Omit<RegisteredClient, 'secretHash' | 'disabledAt' | 'disabledBy'>;

/**
 * Tells whether a client authenticates with a shared secret.
 *
 * @see RFC 7591 §2 (`client_secret_basic` where nothing is said)
 */
export function usesSecret(metadata: ClientMetadata): boolean {
  const { token_endpoint_auth_method: method = 'client_secret_basic' } = metadata;
  return method === 'client_secret_basic' || method === 'client_secret_post';
}
