import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AddressRewriter } from '../../../../src/http/api/address-rewriter.js';

const DOOR = 'http://127.0.0.1:8417';
const isOurs = (host: string): boolean => host === 'dev.azure.com' || host === 'pkgs.dev.azure.com' || host === 'tfs.example.com:8443';

async function rewrite(chunks: readonly Buffer[]): Promise<Buffer> {
  return buffer(Readable.from(chunks).pipe(new AddressRewriter(isOurs, DOOR)));
}

async function text(whole: string): Promise<string> {
  return (await rewrite([Buffer.from(whole)])).toString();
}

describe('AddressRewriter', () => {
  it.each([
    ['{"locationUrl":"https://dev.azure.com/contoso/"}', `{"locationUrl":"${DOOR}/dev.azure.com/contoso/"}`],
    ['{"a":"https://dev.azure.com"}', `{"a":"${DOOR}/dev.azure.com"}`],
    ["<a href='https://pkgs.dev.azure.com/x'>", `<a href='${DOOR}/pkgs.dev.azure.com/x'>`],
    ['"https:\\/\\/pkgs.dev.azure.com\\/x\\/y"', `"${DOOR}/pkgs.dev.azure.com\\/x\\/y"`],
    ['"HTTPS://PKGS.dev.azure.com/x"', `"${DOOR}/pkgs.dev.azure.com/x"`],
    ['"https://pkgs.dev.azure.com:443/x"', `"${DOOR}/pkgs.dev.azure.com/x"`],
    ['"https://tfs.example.com:8443/tfs/"', `"${DOOR}/tfs.example.com:8443/tfs/"`],
    ['"https://dev.azure.com/a","https://dev.azure.com/b"', `"${DOOR}/dev.azure.com/a","${DOOR}/dev.azure.com/b"`],
  ])('leads %s to the door', async (given, wanted) => {
    expect(await text(given)).toBe(wanted);
  });

  it.each([
    '"https://dev.azure.com.evil.example/x"',
    '"https://evil-dev.azure.com/x"',
    '"https://contoso@dev.azure.com/contoso/Payments/_git/web"',
    '"https://dev.azure.com@evil.example/x"',
    '"https://dev.azure.com:8443/x"',
    '"http://dev.azure.com/x"',
    '"https://dev.azure.com',
    '"https://dev.azure.com?x"',
    'see https://dev.azure.com/x',
    '"see https://dev.azure.com/x"',
    `"https://${'a'.repeat(300)}/x"`,
    '"',
    '',
  ])('leaves %s as it is', async (given) => {
    expect(await text(given)).toBe(given);
  });

  it('gives the same however the text is cut, and every other byte as it came', async () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '"https://dev.azure.com/x"',
        '"https://pkgs.dev.azure.com',
        '"https:\\/\\/dev.azure.com\\/',
        "'https://other/x'",
        '"',
        "'",
        'https',
      ),
      fc.string({ maxLength: 5 }),
      fc.uint8Array({ maxLength: 5 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 20 }), fc.array(fc.nat(200), { maxLength: 20 }), async (pieces, cuts) => {
        const whole = Buffer.from(pieces.join(''), 'latin1');
        const at = [0, ...cuts.map((cut) => cut % (whole.length + 1)).sort((a, b) => a - b), whole.length];
        const chunks = at.slice(1).map((end, index) => whole.subarray(at[index], end));
        const [cut, once] = await Promise.all([rewrite(chunks), rewrite([whole])]);
        expect(cut.equals(once)).toBe(true);
        const plain = (bytes: Buffer): string => bytes.toString('latin1').replaceAll('https:\\/\\/', 'https://');
        expect(plain(once).replaceAll(`${DOOR}/`, 'https://')).toBe(plain(whole));
      }),
      { numRuns: 500 },
    );
  });

  it('holds no more back than the beginning of one address', () => {
    const rewriter = new AddressRewriter(isOurs, DOOR);
    let passed = 0;
    rewriter.on('data', (chunk: Buffer) => (passed += chunk.length));
    rewriter.write(Buffer.from(`"${'x'.repeat(100_000)}`));
    rewriter.write(Buffer.from(`"https://${'a'.repeat(250)}`));
    expect(passed).toBeGreaterThan(99_000);
    rewriter.write(Buffer.from('b'.repeat(100)));
    expect(passed).toBe(100_001 + 9 + 250 + 100);
  });
});
