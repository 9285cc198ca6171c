import type { LookupAddress } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { describe, expect, it } from 'vitest';
import { ProxyError } from '../../../src/model/errors.js';
import { isPublicAddress, publicLookup } from '../../../src/upstream/public-address.js';

describe('isPublicAddress()', () => {
  it.each([
    ['0.0.0.0', 'the machine itself'],
    ['0.1.2.3', 'this network'],
    ['10.0.0.1', 'private'],
    ['100.64.0.1', 'carrier NAT'],
    ['100.100.100.200', "Alibaba's metadata"],
    ['127.0.0.1', 'loopback'],
    ['127.255.255.254', 'loopback'],
    ['168.63.129.16', "Azure's service for its machines"],
    ['169.254.169.254', 'metadata'],
    ['169.254.170.2', "metadata of Amazon's containers"],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.0.0.192', "Oracle's metadata"],
    ['192.0.2.1', 'documentation'],
    ['192.88.99.1', '6to4 relay'],
    ['192.168.1.1', 'private'],
    ['198.18.0.1', 'benchmarks'],
    ['198.19.255.255', 'benchmarks'],
    ['198.51.100.7', 'documentation'],
    ['203.0.113.7', 'documentation'],
    ['224.0.0.1', 'multicast'],
    ['239.255.255.250', 'multicast'],
    ['240.0.0.1', 'reserved'],
    ['255.255.255.255', 'broadcast'],
    ['::', 'the machine itself'],
    ['::1', 'loopback'],
    ['0:0:0:0:0:0:0:1', 'loopback, written out'],
    ['::127.0.0.1', 'IPv4-compatible'],
    ['::8.8.8.8', 'IPv4-compatible'],
    ['::ffff:127.0.0.1', 'mapped loopback'],
    ['::ffff:7f00:1', 'mapped loopback'],
    ['0:0:0:0:0:FFFF:A9FE:A9FE', 'mapped metadata'],
    ['::ffff:10.1.2.3', 'mapped private'],
    ['::ffff:0:127.0.0.1', 'translated loopback'],
    ['64:ff9b::127.0.0.1', 'NAT64 of loopback'],
    ['64:ff9b::a9fe:a9fe', 'NAT64 of metadata'],
    ['64:ff9b::10.0.0.1', 'NAT64 of private'],
    ['64:ff9b:1::8.8.8.8', 'NAT64 of the local network'],
    ['100::1', 'discard'],
    ['2001::1', 'Teredo'],
    ['2001:2::1', 'benchmarks'],
    ['2001:20::1', 'ORCHID'],
    ['2001:db8::1', 'documentation'],
    ['2002:7f00:1::', '6to4 of loopback'],
    ['2002:808:808::1', '6to4'],
    ['3fff::1', 'documentation'],
    ['5f00::1', 'segment routing'],
    ['fc00::1', 'unique-local'],
    ['fd00:ec2::254', "Amazon's metadata"],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local with a zone'],
    ['2606:4700::1111%eth0', 'with a zone'],
    ['fec0::1', 'site-local'],
    ['ff02::1', 'multicast'],
    ['', 'nothing'],
    ['localhost', 'a name'],
    ['0x7f.1', 'a spelling that is none'],
    ['2130706433', 'a number'],
    ['127.1', 'short'],
    ['[::1]', 'brackets'],
  ])('says no of %s (%s)', (address) => expect(isPublicAddress(address)).toBe(false));

  it.each([
    '1.1.1.1',
    '8.8.8.8',
    '9.255.255.255',
    '11.0.0.0',
    '13.107.42.20',
    '20.60.1.2',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.1',
    '168.63.129.15',
    '169.253.255.255',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '223.255.255.255',
    '2606:4700:4700::1111',
    '2603:1030:20e:3::23c',
    '2a00:1450:4001:831::200e',
    '2001:4860:4860::8888',
    '::ffff:8.8.8.8',
    '64:ff9b::808:808',
  ])('says yes of %s', (address) => expect(isPublicAddress(address)).toBe(true));
});

describe('publicLookup()', () => {
  const PRIVATE = new ProxyError('target-refused', 'private');
  const finding =
    (...found: readonly string[]): LookupFunction =>
    (_name, _options, callback) =>
      callback(
        null,
        found.map((address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 })),
      );
  const ask = (lookup: LookupFunction, all: boolean): Promise<unknown> =>
    new Promise((resolve) => {
      publicLookup(lookup, () => PRIVATE)('a.example', { all }, (fault, found, family) =>
        resolve(fault ?? (all ? found : [found, family])),
      );
    });

  it('leaves out what is not public, of several addresses of a name', async () => {
    expect(await ask(finding('10.0.0.1', '8.8.8.8', '::1', '2606:4700::1', '169.254.169.254'), true)).toEqual([
      { address: '8.8.8.8', family: 4 },
      { address: '2606:4700::1', family: 6 },
    ]);
    expect(await ask(finding('10.0.0.1', '2606:4700::1', '8.8.8.8'), false)).toEqual(['2606:4700::1', 6]);
  });

  it('fails where nothing is left', async () => {
    expect(await ask(finding('10.0.0.1', '::1'), true)).toBe(PRIVATE);
    expect(await ask(finding('127.0.0.1'), false)).toBe(PRIVATE);
    expect(await ask(finding(), true)).toBe(PRIVATE);
  });

  it('asks for all addresses, and passes on why there are none', async () => {
    const fault = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' });
    const lookup: LookupFunction = (_name, options, callback) => callback(options.all === true ? fault : null, '10.0.0.1', 4);
    expect(await ask(lookup, false)).toBe(fault);
  });
});
