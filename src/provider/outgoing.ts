import { type LookupAddress, type LookupAllOptions, lookup } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { Agent, buildConnector, fetch } from 'undici';
import { isInNetwork } from '../policy/network.ts';

/** Where a cloud hands credentials to whoever asks from the machine; and link-local addresses, where that commonly is. */
const NEVER = ['169.254.0.0/16', 'fe80::/10', 'fd00:ec2::254', '100.100.100.200', '64:ff9b::a9fe:0/112'];

const RESPONSE_LIMIT_BYTES = 256 * 1024;
const TIMEOUT_MS = 2_500;

type ResolveName = (
  hostname: string,
  options: LookupAllOptions,
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/**
 * Makes the fetch with which clients are called. Internal clients live at private addresses, so these are allowed;
 * link-local ones never are, whatever name leads there: they are judged after the name was resolved, and the connection
 * is made to what was judged. Redirects are not followed, for they would lead elsewhere.
 *
 * @see RFC 9700 §4.16, OWASP Server-Side Request Forgery Prevention Cheat Sheet
 */
export function createOutgoingFetch(resolveName: ResolveName = lookup): typeof globalThis.fetch {
  // Goes on to the socket, though its type leaves it out.
  const options = { timeout: TIMEOUT_MS, lookup: judged(resolveName) };
  const connect = buildConnector(options);
  const dispatcher = new Agent({
    connect: (target, callback) => {
      const host = target.hostname.replace(/^\[|\]$/g, '');
      if (isIP(host) !== 0 && isInNetwork(host, NEVER)) callback(refused(host), null);
      else connect(target, callback);
    },
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
    maxResponseSize: RESPONSE_LIMIT_BYTES,
  });
  const outgoing = (input: string | URL, init: object = {}) =>
    fetch(input, { signal: AbortSignal.timeout(TIMEOUT_MS), ...init, redirect: 'manual', dispatcher });
  return outgoing as unknown as typeof globalThis.fetch;
}

function judged(resolveName: ResolveName): LookupFunction {
  return (hostname, options, callback) => {
    resolveName(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      const never = addresses?.find(({ address }) => isInNetwork(address, NEVER));
      if (error || first === undefined) callback(error ?? new Error(`${hostname} has no address`), '');
      else if (never) callback(refused(never.address), '');
      else if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function refused(address: string): Error {
  return new Error(`requests to ${address} are not made: it is link-local`);
}
