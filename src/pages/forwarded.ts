import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { TrustProxy } from '../config.ts';
import { isInNetwork } from '../policy/network.ts';

/**
 * Leaves of a request's origin what is known: the client's address as far as the senders of `X-Forwarded-For` are
 * trusted, and our own name and scheme. What `Host` or `X-Forwarded-…` say besides never reaches an address of ours.
 */
export function settleForwarded(request: IncomingMessage, trusted: TrustProxy, issuer: URL): void {
  const { headers } = request;
  const address = clientAddress(request, trusted);
  for (const name of Object.keys(headers)) {
    if (name === 'forwarded' || name.startsWith('x-forwarded-')) delete headers[name];
  }
  request.url = originForm(request.url ?? '/');
  headers.host = issuer.host;
  headers['x-forwarded-proto'] = issuer.protocol.replace(':', '');
  headers['x-forwarded-for'] = address;
}

/** A target may come as an absolute address, whose host is one more thing that anybody may say (RFC 9112 §3.2.2). */
function originForm(target: string): string {
  const path = target.replace(/^[a-z][a-z\d+.-]*:\/\/[^/?#]*/i, '');
  return path === '' || path.startsWith('?') ? `/${path}` : path;
}

function clientAddress(request: IncomingMessage, trusted: TrustProxy): string {
  const peer = plain(request.socket.remoteAddress ?? '');
  const said = String(request.headers['x-forwarded-for'] ?? '')
    .split(',')
    .map((entry) => plain(entry.trim()))
    .filter((entry) => entry !== '');
  const whole = [...said, peer];
  // What is no address ends what is known: whoever wrote it, we can't tell who asked them.
  const chain = whole.slice(whole.findLastIndex((entry) => isIP(entry) === 0) + 1);
  switch (trusted.kind) {
    case 'none':
      return peer;
    case 'hops':
      return chain[Math.max(0, chain.length - 1 - trusted.hops)] ?? peer;
    case 'networks':
      return chain.findLast((entry) => !isInNetwork(entry, trusted.networks)) ?? chain[0] ?? peer;
  }
}

/** IPv4 in IPv6's clothes is the same address, and some proxies add the port. */
const plain = (address: string): string =>
  address.replace(/^\[(.*)\](?::\d+)?$|^([\d.]+):\d+$/, '$1$2').replace(/^::ffff:(?=\d+\.)/i, '');
