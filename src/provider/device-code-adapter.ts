import { createHmac } from 'node:crypto';
import { type Adapter, type AdapterPayload, errors, type KoaContextWithOIDC } from 'oidc-provider';
import { hashArtifact } from '../artifacts/bearer-hash.ts';
import { findDeviceCodeHash, recordPoll, storeDeviceCode, updateDeviceCode } from '../artifacts/device-code-store.ts';
import { findLiveArtifact, findTombstone } from '../artifacts/store.ts';
import { appendEvents } from '../audit/append-event.ts';
import { transact } from '../storage/transact.ts';
import type { AdapterParts } from './adapter-parts.ts';
import { approveDevice } from './approve-device.ts';
import { createArtifactAdapter } from './artifact-adapter.ts';
import { currentContext, originOf, stateOf } from './request-state.ts';

const MODEL = 'DeviceCode';

/**
 * Keeps device codes: as an artifact of nobody until somebody decides, then as one of the session that the approval
 * began. A device polls by the device code; a person finds it by the user code, of which an HMAC is stored.
 *
 * @see RFC 8628
 */
export function createDeviceCodeAdapter(parts: AdapterParts): Adapter {
  const { db, cipher, userCodeKeys, guesses } = parts;
  const base = createArtifactAdapter(MODEL, parts);
  const hashOf = (id: string) => hashArtifact(MODEL, id);
  const hmacsOf = (userCode: string) =>
    userCodeKeys.map((key) => Uint8Array.from(createHmac('sha256', key).update(userCode).digest()));

  async function store(id: string, payload: AdapterPayload, lifetimeSeconds: number): Promise<void> {
    const [userCodeHmac] = hmacsOf(payload.userCode ?? '');
    if (userCodeHmac === undefined) throw new Error('user codes need a key');
    const idHash = hashOf(id);
    const sealed = cipher.seal(payload, idHash);
    const { clientId = '' } = payload;
    const code = { idHash, model: MODEL, clientId, payload: sealed, lifetimeSeconds, userCodeHmac };
    if (!(await storeDeviceCode(db, code))) throw new errors.TemporarilyUnavailable('try again');
  }

  /**
   * What else than a refusal goes wrong in a browser is not told to the device: the user code can be entered again. Too
   * late, it changes nothing.
   */
  async function refuseOrRelease(id: string, payload: AdapterPayload): Promise<void> {
    const isDecision = payload.error === 'access_denied' && !stateOf(currentContext()).lost;
    const { error, errorDescription } = payload;
    const next = { ...waiting(payload), ...(isDecision && { error, errorDescription }) };
    const idHash = hashOf(id);
    const ctx = currentContext();
    await transact(db, async (tx) => {
      const isStored = await updateDeviceCode(tx, { idHash, payload: cipher.seal(next, idHash), isDecision });
      if (!isStored || !isDecision || !ctx) return;
      const { clientId } = payload;
      await appendEvents(tx, [
        { ...eventOf(ctx), type: 'device.refused', outcome: 'denied', clientId, reason: errorDescription },
      ]);
    });
  }

  async function claim(id: string, payload: AdapterPayload): Promise<void> {
    const idHash = hashOf(id);
    const isStored = await updateDeviceCode(db, { idHash, payload: cipher.seal(payload, idHash), isDecision: false });
    if (!isStored) throw new errors.ExpiredToken('the device code can not be used any more');
  }

  /** @throws expired_token, slow_down */
  async function judgePoll(
    ctx: KoaContextWithOIDC,
    id: string,
    found: AdapterPayload | undefined | null,
  ): Promise<void> {
    const clientId = ctx.oidc.client?.clientId;
    if (!found) {
      const dead = await findTombstone(db, hashOf(id));
      if (dead?.model === MODEL && dead.clientId === clientId) throw new errors.ExpiredToken('device code is expired');
      return;
    }
    const isWaiting = found.accountId === undefined && found.error === undefined;
    if (isWaiting && found.clientId === clientId && (await recordPoll(db, hashOf(id)))) throw new errors.SlowDown();
  }

  return {
    ...base,

    async upsert(id, payload, expiresIn = 1) {
      const ctx = currentContext();
      stateOf(ctx).artifacts.clear();
      if (ctx?.oidc.route === 'device_authorization') return store(id, payload, expiresIn);
      if (payload.error !== undefined) return refuseOrRelease(id, payload);
      if (payload.accountId !== undefined && ctx) return approveDevice(parts, ctx, id, payload);
      return claim(id, payload);
    },

    async find(id) {
      const ctx = currentContext();
      const found = await base.find(id);
      if (ctx?.oidc.route === 'token') await judgePoll(ctx, id, found ?? undefined);
      return found;
    },

    /** A guess, until it finds a device code that waits; one that is over, or never was, is a wrong one. */
    async findByUserCode(userCode) {
      const ctx = currentContext();
      if (ctx === undefined) throw new Error('a user code is entered within a request');
      const from = { ...eventOf(ctx), outcome: 'denied' as const };
      const admission = await guesses.admit(ctx.ip);
      if (admission.throttled) {
        stateOf(ctx).retryAfterSeconds = admission.retryAfterSeconds;
        await appendEvents(db, [{ ...from, type: 'user_code.throttled' }]);
        throw new errors.InvalidRequest('too many user codes were tried', 429);
      }
      const idHash = await findDeviceCodeHash(db, hmacsOf(userCode));
      const artifact = idHash && (await findLiveArtifact(db, idHash));
      const payload = idHash && artifact && cipher.open(artifact.payload, idHash);
      if (payload?.accountId === undefined && payload?.error === undefined && payload) await admission.succeeded();
      else await appendEvents(db, [{ ...from, type: 'user_code.refused' }]);
      return payload as AdapterPayload | undefined;
    },
  };
}

/** A device code as it was before anybody entered its user code. */
function waiting({ iat, exp, jti, kind, clientId, deviceInfo, params, userCode }: AdapterPayload): AdapterPayload {
  return { iat, exp, jti, kind, clientId, deviceInfo, params, userCode } as AdapterPayload;
}

function eventOf(ctx: KoaContextWithOIDC) {
  const { endpoint, ip, userAgent } = originOf(ctx);
  const accountId = ctx.oidc.session?.accountId;
  return { actor: `person:${accountId ?? 'unknown'}`, accountId, endpoint, address: ip, userAgent };
}
