import { describe, expect, it } from '@jest/globals';
import { isInNetwork, parseCidr } from '../../src/policy/network.ts';

describe('CIDR blocks', () => {
  it.each([
    ['10.0.0.0/8', { address: '10.0.0.0', prefix: 8, family: 'ipv4' }],
    ['10.1.2.3', { address: '10.1.2.3', prefix: 32, family: 'ipv4' }],
    ['0.0.0.0/0', { address: '0.0.0.0', prefix: 0, family: 'ipv4' }],
    ['2001:db8::/32', { address: '2001:db8::', prefix: 32, family: 'ipv6' }],
    ['::1', { address: '::1', prefix: 128, family: 'ipv6' }],
  ])('%s is one', (text, cidr) => {
    expect(parseCidr(text)).toEqual(cidr);
  });

  it.each(['10.0.0.0/33', '::/129', '10.0.0/8', 'localhost', '', '/8', '10.0.0.0/', '10.0.0.0/-1', 'fe80::1%eth0'])(
    '"%s" is none',
    (text) => {
      expect(parseCidr(text)).toBeUndefined();
    },
  );
});

describe('an address in a network', () => {
  const office = ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32'];

  it.each([
    ['10.0.0.0', true],
    ['10.255.255.255', true],
    ['11.0.0.0', false],
    ['9.255.255.255', false],
    ['192.0.2.7', true],
    ['192.0.2.8', false],
    ['::ffff:10.1.2.3', true],
    ['::FFFF:11.1.2.3', false],
    ['2001:db8:ffff::1', true],
    ['2001:db9::1', false],
  ])('%s: %s', (ip, inside) => {
    expect(isInNetwork(ip, office)).toBe(inside);
  });

  it.each([null, '', 'unknown', '10.0.0.0.1'])('%p is no address, so the rule applies', (ip) => {
    expect(isInNetwork(ip, office)).toBe(true);
  });

  it('ignores the host part of a block', () => {
    expect(isInNetwork('10.9.9.9', ['10.1.2.3/8'])).toBe(true);
  });
});
