import { type KoaContextWithOIDC, Provider } from 'oidc-provider';
import type { ArtifactToStore, Binding, LiveArtifact } from '../artifacts/artifact.ts';
import type { RegisteredClient } from '../clients/client.ts';
import type { ActivityKind, ParticipationLimits } from '../policy/limits.ts';
import type { Deadlines, LiveSession, Origin, Tombstone } from '../sessions/session.ts';

/** The live session whose cookie the request came with. */
export interface LoadedSession {
  session: LiveSession;
  cookieHash: Uint8Array<ArrayBuffer>;
  /** Clients with a part in it at that time, and their `sid`s. */
  authorizations: ReadonlyMap<string, string>;
}

/** The participation that the request's code or token belongs to, with what bounds the tokens it may be given. */
export interface BoundParticipation {
  sessionUid: string;
  sid: string;
  limits: ParticipationLimits;
  activity: readonly ActivityKind[];
  sessionActivity: readonly ActivityKind[];
  deadlines: Deadlines;
}

/**
 * A code or refresh token and what it is exchanged for. Its use and the new tokens are stored together: were the
 * database lost in between, the client would be left with neither.
 */
export interface Exchange {
  used: { model: string; idHash: Uint8Array<ArrayBuffer> };
  tokens: { artifact: ArtifactToStore; binding: Binding }[];
  /** Throws what says why it can't be used: it was before, or is dead. */
  refuse: () => Promise<never>;
}

/** What one request has learnt, so that oidc-provider's separate look-ups agree and cost one query. */
export interface RequestState {
  loaded?: LoadedSession;
  /** Begun, or authenticated again, by this request. */
  begun?: LiveSession;
  /** The session that the request's cookie named, or the client's part in it, is over. */
  ended?: Tombstone;
  /** The client may not join the session, or not any more: it takes a sign-in. */
  needsSignIn?: boolean;
  /** The session, or the client's part in it, ended while the request was under way: nothing is saved. */
  lost?: boolean;
  /** The sign-in may not begin a session: nothing is saved, and the browser keeps the cookie it has. */
  refused?: boolean;
  /** What it saved last: one more save in the same request goes over that cookie. */
  saved?: { uid: string; cookieHash: Uint8Array<ArrayBuffer> };
  /** Of a device, as the address of the page for it says. */
  userCode?: string;
  /** When another user code may be tried. */
  retryAfterSeconds?: number;
  account?: { roles: string[]; groups: string[] };
  /** The clients it looked up, by `client_id`. */
  clients: Map<string, RegisteredClient>;
  bound?: BoundParticipation;
  /** What is to be stored with the last token of the answer. */
  exchange?: Exchange;
  artifacts: Map<string, Promise<LiveArtifact | undefined>>;
  /** What went wrong inside, where oidc-provider would answer 500. */
  failure?: unknown;
}

const states = new WeakMap<object, RequestState>();

/** @param ctx undefined outside of a request: then nothing is remembered */
export function stateOf(ctx: object | undefined): RequestState {
  const known = ctx && states.get(ctx);
  if (known) return known;
  const state: RequestState = { artifacts: new Map(), clients: new Map() };
  if (ctx) states.set(ctx, state);
  return state;
}

/** Where a request comes from, for the audit log. */
export function originOf(ctx: KoaContextWithOIDC): Origin {
  return {
    endpoint: ctx.oidc.route,
    clientId: ctx.oidc.client?.clientId,
    ip: ctx.ip,
    userAgent: ctx.get('user-agent') || undefined,
  };
}

/** The request that is being served here, which oidc-provider's adapters are not told. */
export function currentContext(): KoaContextWithOIDC | undefined {
  return Provider.ctx;
}

/** The registry's view of the client that makes the request. */
export function registeredClient(ctx: KoaContextWithOIDC): RegisteredClient | undefined {
  return stateOf(ctx).clients.get(ctx.oidc.client?.clientId ?? '');
}
