/** Shapes of a record: what is told of headers, bodies and addresses, and that nothing else is. */
import { describe, expect, it } from 'vitest';
import { writePacket } from '../../../../src/git/pkt-line.js';
import { NameNumbers } from '../../../../src/upstream/recording/address-shapes.js';
import { bodyShape } from '../../../../src/upstream/recording/body-shapes.js';
import { headerShapes } from '../../../../src/upstream/recording/header-shapes.js';
import { textShape } from '../../../../src/upstream/recording/text-shapes.js';

const ORIGIN = new URL('https://tfs.canary.example:8443');

describe('textShape()', () => {
  it.each([
    ['499b84ac-1321-427f-aa17-267ca6975798', '<guid>'],
    ['00000000-0000-0000-0000-000000000000', '00000000-0000-0000-0000-000000000000'],
    ['Sat, 21 Nov 2026 09:00:00 GMT', '<date>'],
    ['2026-11-21T09:00:00.123Z', '<date>'],
    ['https://canary.example/x', '<url>'],
    ['ssh://canary.example/x', '<url>'],
    ['TF401019: The Git repository with name or identifier canary does not exist', '<text 74: TF401019>'],
    ['eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9', '<base64 36>'],
    ['canary', '<text 6>'],
    ['', '<text 0>'],
  ])('of %j is %s', (text, shape) => {
    expect(textShape(text)).toBe(shape);
  });
});

describe('headerShapes()', () => {
  it.each([
    ['Content-Type', 'text/html; charset=utf-8', 'content-type: text/html; charset=utf-8'],
    ['Content-Type', 'text/html; charset=utf-8; boundary=canary', 'content-type: <text 41>'],
    ['Content-Type', 'application/x-canary', 'content-type: <text 20>'],
    ['Retry-After', '120', 'retry-after: 120'],
    ['Retry-After', 'Sat, 21 Nov 2026 09:00:00 GMT', 'retry-after: <date>'],
    ['Server', 'Microsoft-IIS/10.0', 'server: Microsoft-IIS/10.0'],
    ['Server', 'canary-proxy/1.0', 'server: <text 16>'],
    ['Cache-Control', 'no-cache, private', 'cache-control: no-cache, private'],
    ['Cache-Control', 'no-cache, canary', 'cache-control: <text 16>'],
    ['X-VSS-UserData', 'a1b2:canary@example.com', 'x-vss-userdata: <text 23>'],
    ['X-TFS-ServiceError', 'TF400813%3A+The+user+canary', 'x-tfs-serviceerror: <text 25: TF400813>'],
    ['X-Canary-Gateway', 'canary', '<header 16>: <text 6>'],
    ['Set-Cookie', 'session=canary', 'set-cookie: <text 14>'],
    ['Authorization', 'Bearer canary', 'authorization: <Bearer>'],
    ['Authorization', 'Bearercanary', 'authorization: <other>'],
    ['Expires', 'Bearer canary', 'expires: <text 13>'],
    ['Location', '/_signin?reply_to=canary', 'location: <same host, sign-in>'],
    ['Location', 'https://canary.example/elsewhere', 'location: <other host>'],
    [
      'WWW-Authenticate',
      'Bearer authorization_uri=https://canary, Basic realm="canary", TFS-Federated',
      'www-authenticate: Bearer, Basic, TFS-Federated',
    ],
    ['WWW-Authenticate', 'Bearer error="insufficient_claims", claims="canary"', 'www-authenticate: Bearer insufficient_claims'],
    ['WWW-Authenticate', 'Canary realm="canary"', 'www-authenticate: <text 21>'],
  ])('of %s: %s', (name, value, shape) => {
    expect(headerShapes([[name, value]], ORIGIN)).toEqual([shape]);
  });
});

describe('bodyShape()', () => {
  it('tells packets by their kinds, and no ref, id or name', () => {
    const id = 'c'.repeat(40);
    const body = Buffer.concat([
      writePacket('# service=git-upload-pack\n'),
      Buffer.from('0000'),
      writePacket(`${id} HEAD\0multi_ack symref=HEAD:refs/heads/canary agent=canary/1.0 x-canary\n`),
      writePacket(`${id} refs/heads/canary\n`),
      Buffer.from('0000'),
      writePacket('ERR canary says TF401019\n'),
      Buffer.from('canary'),
    ]);
    const shape = bodyShape('application/x-git-upload-pack-advertisement', body);
    expect(shape).toEqual({
      kind: 'packets',
      bytes: body.length,
      packets: [
        { kind: 'service', name: 'git-upload-pack' },
        { kind: 'flush' },
        { kind: 'refs', count: 2, capabilities: ['multi_ack', 'symref=<text 22>', 'agent=<text 10>', '<text 8>'] },
        { kind: 'flush' },
        { kind: 'error', text: '<text 20: TF401019>' },
        { kind: 'other', count: 1, bytes: 6 },
      ],
    });
  });

  it('tells JSON by its known keys', () => {
    const value = { id: 'canary', canaryKey: 'canary', size: 4711, isFork: false, objects: [{ oid: 'canary' }, {}], error: { code: 404 } };
    expect(bodyShape('application/json', Buffer.from(JSON.stringify(value)))).toMatchObject({
      kind: 'json',
      json: {
        id: '<text 6>',
        '<key 2: 9>': '<text 6>',
        size: '<number>',
        isFork: false,
        objects: [{ oid: '<text 6>' }, '<1 more>'],
        error: { code: '404' },
      },
    });
  });

  it('tells a type of an error only when it is one of Microsoft', () => {
    const of = (typeName: string): unknown => bodyShape('application/json', Buffer.from(JSON.stringify({ typeName })));
    expect(of('Microsoft.TeamFoundation.Git.Server.GitNotFound, Microsoft.TeamFoundation.Git.Server')).toMatchObject({
      json: { typeName: 'Microsoft.TeamFoundation.Git.Server.GitNotFound, Microsoft.TeamFoundation.Git.Server' },
    });
    expect(of('Canary.Thing, Canary')).toMatchObject({ json: { typeName: '<text 20>' } });
  });

  it.each([
    [
      'text/html',
      '<title>Azure DevOps Services | Sign In</title>',
      { kind: 'html', title: 'Azure DevOps Services | Sign In', isSignIn: true },
    ],
    ['text/html', '<title>canary portal</title>', { kind: 'html', title: '<text 13>', isSignIn: false }],
    ['text/plain', 'TF401027: canary', { kind: 'text', text: '<text 16: TF401027>' }],
    ['application/octet-stream', 'canary', { kind: 'binary', text: '<text 6>' }],
    ['application/json', 'canary', { kind: 'binary', text: '<text 6>' }],
  ])('of %s %s', (type, text, shape) => {
    expect(bodyShape(type, Buffer.from(text))).toMatchObject(shape);
  });
});

describe('NameNumbers', () => {
  it('gives one number to one name, however it is written', () => {
    const names = new NameNumbers();
    expect(names.shape(ORIGIN, '/tfs/Canary/Canary%20Two/_git/web/info/refs?service=git-upload-pack')).toBe(
      'https://<host>:<port>/tfs/<name-1>/<name-2>/_git/<name-3>/info/refs?service=git-upload-pack',
    );
    expect(names.shape(ORIGIN, '/tfs/CANARY/canary%20two/_git/web.git/info/lfs/objects/batch')).toBe(
      'https://<host>:<port>/tfs/<name-1>/<name-2>/_git/<name-3>.git/info/lfs/objects/batch',
    );
    expect(names.shape(new URL('https://canary.visualstudio.com'), '/x')).toBe('https://<name-1>.visualstudio.com/<name-4>');
    expect(names.shape(new URL('https://dev.azure.com'), '/Canary')).toBe('https://dev.azure.com/<name-1>');
  });
});
