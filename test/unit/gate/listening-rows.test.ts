import { expect, test } from 'vitest';
import { parseListening } from '../../../src/gate/listening-rows.js';

/** As a little-endian Linux 6 writes it; addresses and inodes of a machine with three listeners and one connection. */
const TCP = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:20E1 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 9031954 1 0000000000000000 100 0 0 10 0
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0
   2: 0100007F:20E1 0100007F:CD3C 01 00000000:00000000 00:00000000 00000000  1000        0 9032024 1 0000000000000000 20 4 30 10 -1
`;
const TCP6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:20E1 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 9031955 1 0000000000000000 100 0 0 10 0
   1: B80D0120000000000000000001000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12 1 0000000000000000 100 0 0 10 0
`;

test('parseListening() gives what listens by its inode, and no connection', () => {
  expect([...parseListening(TCP, { isLittleEndian: true })]).toEqual([
    ['9031954', { host: '127.0.0.1', port: 8417 }],
    ['4711', { host: '0.0.0.0', port: 22 }],
  ]);
});

test('parseListening() writes addresses of IPv6 in their shortest form, as the configuration has them', () => {
  expect([...parseListening(TCP6, { isLittleEndian: true }).values()]).toEqual([
    { host: '::1', port: 8417 },
    { host: '2001:db8::1', port: 443 },
  ]);
});

test('parseListening() reads the byte order of the machine', () => {
  const big = TCP.replaceAll('0100007F', '7F000001');
  expect(parseListening(big, { isLittleEndian: false }).get('9031954')).toEqual({ host: '127.0.0.1', port: 8417 });
});

test('parseListening() takes nothing from lines that are no rows', () => {
  expect(parseListening('nonsense\n  0: zz:1 2:3 0A\n', { isLittleEndian: true }).size).toBe(0);
});
