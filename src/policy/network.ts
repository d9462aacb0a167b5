import { BlockList, isIP } from 'node:net';

export interface Cidr {
  address: string;
  prefix: number;
  family: 'ipv4' | 'ipv6';
}

/** Reads a CIDR block (RFC 4632 §3.1, RFC 4291 §2.3); a bare address is a block of one. */
export function parseCidr(text: string): Cidr | undefined {
  const [, address = '', digits] = /^([^/%]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) return undefined;
  const bits = version === 4 ? 32 : 128;
  const prefix = digits === undefined ? bits : Number(digits);
  return prefix > bits ? undefined : { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' };
}

const blockLists = new WeakMap<readonly string[], BlockList>();

function blockListOf(network: readonly string[]): BlockList {
  const known = blockLists.get(network);
  if (known !== undefined) return known;
  const list = new BlockList();
  for (const text of network) {
    const cidr = parseCidr(text);
    if (cidr !== undefined) list.addSubnet(cidr.address, cidr.prefix, cidr.family);
  }
  blockLists.set(network, list);
  return list;
}

/**
 * Whether an address is in one of the CIDR blocks.
 *
 * An address that isn't known is in every block: rules only tighten, so not knowing must not escape one.
 */
export function isInNetwork(ip: string | null, network: readonly string[]): boolean {
  const address = ip?.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '') ?? '';
  const version = isIP(address);
  return version === 0 || blockListOf(network).check(address, version === 4 ? 'ipv4' : 'ipv6');
}
