import { describe, expect, it } from 'vitest';
import { faultsOf, load } from './loading.js';

describe('lfs.hosts', () => {
  it('are read as a URL has them', async () => {
    const { settings, effective } = await load(
      'lfs: { hosts: [Objects.Example.com, "objects.example.com:9000", "10.1.2.3:9000", "[FD00:0::5]", "s3.example.com:443"] }\n',
    );
    const hosts = ['objects.example.com', 'objects.example.com:9000', '10.1.2.3:9000', '[fd00::5]', 's3.example.com'];
    expect(settings.lfs.hosts).toEqual(hosts);
    expect(effective).toContainEqual({ path: 'lfs.hosts', value: hosts, origin: 'F:1:15' });
  });

  it('are none where the file names none', async () => {
    const { settings, effective } = await load('log: { level: info }\n');
    expect(settings.lfs.hosts).toEqual([]);
    expect(effective).toContainEqual({ path: 'lfs.hosts', value: [], origin: 'default' });
  });

  it.each([
    ['objects.example.com', 'is text; write a list of hosts, such as `[objects.example.com]`'],
    ['[]', 'is an empty list; write a list of hosts, such as `[objects.example.com]`, or leave the key out'],
  ])('%s is told', async (value, text) => {
    expect(await faultsOf(`lfs: { hosts: ${value} }\n`)).toEqual([`F:1:15: lfs.hosts: ${text}`]);
  });

  const noHost = (text: string): string =>
    `\`${text}\` is not a host; write \`objects.example.com\`, or with its port \`objects.example.com:9000\``;
  it.each([
    ['"*.example.com"', '`*.example.com` is a pattern; write each host out, such as `objects.example.com`'],
    ['"https://objects.example.com"', noHost('https://objects.example.com')],
    ['objects.example.com/bucket', noHost('objects.example.com/bucket')],
    ['"objects.example.com:0"', noHost('objects.example.com:0')],
    ['"objects.example.com:70000"', noHost('objects.example.com:70000')],
    ['"objects.example.com."', noHost('objects.example.com.')],
    ['""', noHost('')],
    ['"[::1"', noHost('[::1')],
    ['"[12345::]"', noHost('[12345::]')],
    ['"256.1.1.1"', noHost('256.1.1.1')],
    ['7', 'is a number; write a host'],
  ])('%s is told', async (value, text) => {
    expect(await faultsOf(`lfs: { hosts: [a.example, ${value}] }\n`)).toEqual([`F:1:27: lfs.hosts[1]: ${text}`]);
  });

  it('come once, however they are written', async () => {
    expect(await faultsOf('lfs: { hosts: [a.example, "A.example:443"] }\n')).toEqual([
      'F:1:27: lfs.hosts[1]: `A.example:443` comes twice; write it once',
    ]);
  });

  it('are the only key', async () => {
    expect(await faultsOf('lfs: { host: a.example }\n')).toEqual(['F:1:8: lfs.host: unknown key `host`; did you mean `hosts`?']);
  });
});
