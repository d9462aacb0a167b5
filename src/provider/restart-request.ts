import { UnsecuredJWT } from 'jose';
import type { Interaction, Provider } from 'oidc-provider';

/** For the browser's way from one page to the next (RFC 9126 §2.2). */
const PUSHED_REQUEST_SECONDS = 60;

/** The authorization request with these parameters, to be made again. */
function authorizationUrl(provider: Provider, params: Record<string, unknown>): string {
  const url = new URL(provider.urlFor('authorization'));
  for (const [name, value] of Object.entries(params)) {
    if (typeof value === 'string' || typeof value === 'number') url.searchParams.set(name, String(value));
  }
  return url.href;
}

/** The pushed request that an interaction came from, which oidc-provider's types leave out. */
export function pushedWith(interaction: Interaction | undefined): string | undefined {
  return (interaction as { parJti?: string } | undefined)?.parJti;
}

interface RequestToRestart {
  params: Record<string, unknown>;
  deviceCode?: string | undefined;
  /** Of the pushed request that it was. */
  parJti?: string | undefined;
}

/**
 * Where a request starts again whose session ended on the way: the authorization request, or the page for the user code of
 * a device, which can be entered again from now on.
 */
export async function restartUrl(
  provider: Provider,
  { params, deviceCode, parJti }: RequestToRestart,
): Promise<string> {
  if (deviceCode === undefined) return authorizationUrl(provider, parJti ? await pushAgain(provider, params) : params);
  const url = new URL(provider.urlFor('code_verification'));
  const code = await provider.DeviceCode.find(deviceCode);
  if (code === undefined || code.accountId !== undefined || code.error !== undefined) return url.href;
  code.inFlight = false;
  await code.save();
  url.searchParams.set('user_code', code.userCode.replace(/^.{4}/, '$&-'));
  return url.href;
}

/** What was pushed stays out of the browser's reach: the request gets a `request_uri` of its own, for its first was used. */
async function pushAgain(provider: Provider, params: Record<string, unknown>): Promise<Record<string, unknown>> {
  const { client_id: clientId, dpop_jkt: dpopJkt } = params;
  const known = Object.entries(params).filter(([, value]) => value !== undefined && value !== null);
  const request = new UnsecuredJWT(Object.fromEntries(known))
    .setIssuedAt()
    .setIssuer(String(clientId))
    .setAudience(provider.issuer)
    .setExpirationTime(`${PUSHED_REQUEST_SECONDS}s`)
    .setNotBefore(0)
    .encode();
  const pushed = new provider.PushedAuthorizationRequest({
    request,
    ...(typeof dpopJkt === 'string' && { dpopJkt }),
  });
  const id = await pushed.save(PUSHED_REQUEST_SECONDS);
  return { client_id: clientId, request_uri: `urn:ietf:params:oauth:request_uri:${id}` };
}
