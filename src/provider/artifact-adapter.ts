import { type Adapter, type AdapterPayload, errors, type KoaContextWithOIDC } from 'oidc-provider';
import type { LiveArtifact } from '../artifacts/artifact.ts';
import { hashArtifact } from '../artifacts/bearer-hash.ts';
import {
  consumeArtifact,
  findLiveArtifact,
  findTombstone,
  storeArtifact,
  storeBoundArtifact,
  storeServiceArtifact,
  wipeArtifact,
  wipeArtifactsOfGrant,
} from '../artifacts/store.ts';
import { endParticipations } from '../sessions/end-sessions.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { isLastToken, storeExchange } from './exchange.ts';
import { issueCode } from './issue-code.ts';
import { type BoundParticipation, currentContext, stateOf } from './request-state.ts';
import { isAnotherSender } from './sender-key.ts';
import { described, SESSION_EXPIRED, sessionExpired, sessionLost } from './session-expired.ts';
import { readClock } from './store.ts';

/** A second use this soon is a race of one client with itself, two tabs or a retried response, and no theft. */
const REUSE_GRACE_MS = 10_000;

/** Introspection looks these three up by one value: they share a key, so that one query answers for all. */
const TOKENS = new Set(['AccessToken', 'RefreshToken', 'ClientCredentials']);
const SINGLE_USE = new Set(['AuthorizationCode', 'DeviceCode', 'RefreshToken']);

type UsedArtifact = Pick<LiveArtifact, 'clientId' | 'consumedAt' | 'readAt' | 'sid'>;

/** Where one model of oidc-provider is stored, found and consumed: always through the live view. */
export function createArtifactAdapter(model: string, parts: AdapterParts): Adapter {
  const { db, cipher } = parts;
  const hashOf = (id: string) => hashArtifact(TOKENS.has(model) ? 'token' : model, id);

  async function read(id: string): Promise<LiveArtifact | undefined> {
    const { artifacts } = stateOf(currentContext());
    const idHash = hashOf(id);
    const key = Buffer.from(idHash).toString('base64');
    let found = artifacts.get(key);
    if (found === undefined) {
      found = findLiveArtifact(db, idHash);
      artifacts.set(key, found);
    }
    return found;
  }

  function forget(id: string): void {
    stateOf(currentContext()).artifacts.delete(Buffer.from(hashOf(id)).toString('base64'));
  }

  /** Why a single-use artifact finds nothing is told at the token endpoint, where its holder shows who they are. */
  async function refuseDead(ctx: KoaContextWithOIDC, id: string): Promise<void> {
    const dead = await findTombstone(db, hashOf(id));
    if (dead?.model !== model) return;
    if (dead.reason !== null) {
      const isHolder = isAtTokenEndpoint(ctx) && dead.clientId === ctx.oidc.client?.clientId;
      if (isHolder || (ctx.oidc.route === 'userinfo' && model === 'AccessToken')) throw sessionExpired(ctx);
    } else if (dead.consumedAt !== null) {
      // It ran out after its use, and what came of that is live: a second use is still one.
      await refuseReuse(ctx, { ...dead, readAt: await readClock(db) });
    }
  }

  /** @see RFC 6749 §4.1.2 (a code used twice), RFC 9700 §4.14.2 (a refresh token used twice) */
  async function refuseReuse(
    ctx: KoaContextWithOIDC,
    artifact: UsedArtifact,
    { jkt }: { jkt?: unknown } = {},
  ): Promise<void> {
    const { clientId, consumedAt, readAt, sid } = artifact;
    if (!isAtTokenEndpoint(ctx) || consumedAt === null || clientId !== ctx.oidc.client?.clientId) return;
    const isTheft = (await isAnotherSender(ctx, jkt)) || readAt.getTime() - consumedAt.getTime() >= REUSE_GRACE_MS;
    if (isTheft && sid !== null) {
      await endParticipations(db, { sids: [sid] }, { reason: 'token_reuse', actor: `client:${clientId}` });
    }
    throw alreadyUsed();
  }

  const isAtTokenEndpoint = (ctx: KoaContextWithOIDC) => ctx.oidc.route === 'token' && SINGLE_USE.has(model);

  return {
    async upsert(id, payload, expiresIn = 1) {
      const ctx = currentContext();
      forget(id);
      if (model === 'AuthorizationCode') return issueCode(parts, requireContext(ctx), id, payload, expiresIn);
      const sid = bindingSid(model, id, payload);
      if (model === 'AccessToken') capExpiry(payload, stateOf(ctx).bound, parts);
      const idHash = hashOf(id);
      const artifact = {
        idHash,
        model,
        clientId: payload.clientId,
        accountId: payload.accountId,
        payload: cipher.seal(payload, idHash),
        lifetimeSeconds: expiresIn,
      };
      if (sid !== undefined) {
        const binding = { sessionUid: payload.sessionUid ?? ctx?.oidc.session?.uid ?? '', sid };
        const { exchange } = stateOf(ctx);
        if (ctx && exchange && model !== 'Grant') {
          exchange.tokens.push({ artifact, binding });
          if (isLastToken(exchange, ctx, model)) await storeExchange(db, ctx, exchange);
        } else if (!(await storeBoundArtifact(db, artifact, binding))) {
          throw sessionLost(ctx);
        }
      } else if (model === 'ClientCredentials') {
        const clientId = payload.clientId ?? '';
        if (!(await storeServiceArtifact(db, { ...artifact, clientId })))
          throw new errors.InvalidClient('client is disabled');
      } else if (!(await storeArtifact(db, artifact))) {
        throw new errors.SessionNotFound(`${model} is over`);
      }
    },

    async find(id) {
      const ctx = currentContext();
      const artifact = await read(id);
      if (artifact === undefined && ctx) await refuseDead(ctx, id);
      // Another model's: introspection asks for each of them in turn.
      if (artifact?.model !== model) return undefined;
      const payload = cipher.open(artifact.payload, hashOf(id));
      if (ctx) await refuseReuse(ctx, artifact, payload);
      if (ctx && model !== 'Grant') bind(ctx, artifact);
      return {
        ...payload,
        ...(artifact.sid !== null && model !== 'Grant' && { sid: artifact.sid }),
        ...(artifact.consumedAt !== null && { consumed: Math.floor(artifact.consumedAt.getTime() / 1000) }),
      } as AdapterPayload;
    },

    /** At the token endpoint with what comes of it, at the last token: else a lost database would leave neither. */
    async consume(id) {
      forget(id);
      const ctx = currentContext();
      if (ctx && isAtTokenEndpoint(ctx)) {
        const refuse = async () => {
          await refuseDead(ctx, id);
          throw alreadyUsed();
        };
        stateOf(ctx).exchange = { used: { model, idHash: hashOf(id) }, tokens: [], refuse };
      } else if (!(await consumeArtifact(db, hashOf(id)))) {
        if (model === 'PushedAuthorizationRequest') throw new errors.InvalidRequestUri('request_uri was already used');
        throw alreadyUsed();
      }
    },

    async destroy(id) {
      forget(id);
      if (model === 'Grant') {
        const clientId = currentContext()?.oidc.client?.clientId ?? 'unknown';
        await endParticipations(db, { sids: [id] }, { reason: 'rp_logout', actor: `client:${clientId}` });
        return;
      }
      const wiped = await wipeArtifact(db, hashOf(id));
      // One resume of an interaction, never two: each would begin a session.
      if (!wiped && model === 'Interaction') throw new errors.SessionNotFound('interaction session not found');
    },

    // At revocation a refresh token takes its grant with it, which ends everything at once; an access token goes alone.
    async revokeByGrantId(sid) {
      if (currentContext()?.oidc.route !== 'revocation') await wipeArtifactsOfGrant(db, sid, model);
    },

    // Nothing that is configured asks for these: `expiresWithSession` is off, and device codes have an adapter of their own.
    findByUid: async () => undefined,
    findByUserCode: async () => undefined,
  };
}

/** A grant is the participation's, and named by its `sid`; tokens are bound to the participation by their grant. */
function bindingSid(model: string, id: string, payload: AdapterPayload): string | undefined {
  if (model === 'Grant') return id;
  return model === 'AccessToken' || model === 'RefreshToken' ? payload.grantId : undefined;
}

/** The stamp may have come a moment after the lifetime was computed. */
function capExpiry(payload: AdapterPayload, bound: BoundParticipation | undefined, { lifetimes }: AdapterParts): void {
  if (bound === undefined || payload.exp === undefined) return;
  payload.exp = Math.min(payload.exp, lifetimes.lastSecond(bound.deadlines));
}

function bind(ctx: KoaContextWithOIDC, artifact: LiveArtifact): void {
  const { sessionUid, sid, sessionIdleDeadline, sessionAbsoluteDeadline, participationLimits } = artifact;
  if (!sessionUid || !sid || !sessionIdleDeadline || !sessionAbsoluteDeadline || !participationLimits) return;
  stateOf(ctx).bound = {
    sessionUid,
    sid,
    limits: participationLimits,
    activity: artifact.participationActivity,
    sessionActivity: artifact.sessionActivity,
    deadlines: {
      sessionIdle: sessionIdleDeadline,
      sessionAbsolute: sessionAbsoluteDeadline,
      participationIdle: artifact.participationIdleDeadline,
      participationAbsolute: artifact.participationAbsoluteDeadline,
    },
  };
}

function alreadyUsed(): errors.InvalidGrant {
  return described(new errors.InvalidGrant('already used'), 'grant request is invalid: already used');
}

function requireContext(ctx: KoaContextWithOIDC | undefined): KoaContextWithOIDC {
  if (ctx === undefined) throw new Error(`${SESSION_EXPIRED}: outside of a request`);
  return ctx;
}
