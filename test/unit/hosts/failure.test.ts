/** Answers in the shapes in which Azure DevOps and others have been seen to fail. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { AZURE_TEXTS, findAzureText } from '../../../src/hosts/azure-texts.js';
import { type FailedAnswer, isSignInPage, readFailure } from '../../../src/hosts/failure.js';
import { ERROR_CODES } from '../../../src/model/errors.js';
import { anyText } from '../any-text.js';

const PLAIN = { 'content-type': 'text/plain; charset=utf-8' };
const HTML = { 'content-type': 'text/html; charset=utf-8' };
const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8; api-version=7.1' };

function answer(status: number, headers: Readonly<Record<string, string>> = {}, text = ''): FailedAnswer {
  return { status, header: (name) => headers[name], text };
}

const TF401027 =
  "TF401027: You need the Git 'GenericContribute' permission to perform this action. Details: identity 'Build\\0f8fad5b', scope 'repository'.";
const TF401019 =
  'TF401019: The Git repository with name or identifier app does not exist or you do not have permissions for the operation you are attempting.';

describe('readFailure() of azure-services', () => {
  it('says of a claims challenge what it is told', () => {
    const challenge = { what: 'more is wanted', todo: 'sign in' };
    const sent = { claims: undefined, challenge };
    expect(readFailure('azure-services', answer(401), sent)).toMatchObject({ code: 'upstream-claims', status: 403, ...challenge });
    expect(readFailure('azure-services', answer(403), sent).code).toBe('upstream-forbidden');
  });

  it.each<[what: string, answer: FailedAnswer, code: string, status: number, upstreamText: string | undefined]>([
    [
      'no credential, older text',
      answer(401, { ...HTML, 'x-tfs-serviceerror': 'TF400813%3a+Resource+not+available+for+anonymous+access.' }, '<html></html>'),
      'upstream-unauthenticated',
      502,
      'TF400813: Resource not available for anonymous access.',
    ],
    [
      'an expired token',
      answer(401, {
        'www-authenticate': 'Bearer authorization_uri=https://login.microsoftonline.com/t, Basic realm="https://tfs/", TFS-Federated',
        'x-tfs-serviceerror':
          'TF400813%3A%20The%20user%20%27aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa%27%20is%20not%20authorized%20to%20access%20this%20resource.',
      }),
      'upstream-unauthenticated',
      502,
      "TF400813: The user 'aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa' is not authorized to access this resource.",
    ],
    ['a sign-in page with 203', answer(203, HTML, '<title>Sign in</title>'), 'upstream-unauthenticated', 502, undefined],
    [
      'a redirect to the sign-in page',
      answer(302, { location: 'https://spsprodweu1.vssps.visualstudio.com/_signin?realm=x' }),
      'upstream-unauthenticated',
      502,
      undefined,
    ],
    ['a sign-in page with 200', answer(200, HTML, '<html>... Sign in to your account'), 'upstream-unauthenticated', 502, undefined],
    [
      'no right to push, in packets',
      answer(403, PLAIN, `001f# service=git-receive-pack\n0000000000aa${TF401027}\n${TF401027}\n`),
      'upstream-forbidden',
      403,
      TF401027,
    ],
    ['no right to push, bare', answer(403, PLAIN, TF401027), 'upstream-forbidden', 403, TF401027],
    ['a repository that is not there', answer(404, PLAIN, `${TF401019}\n`), 'upstream-not-found', 404, TF401019],
    [
      'a project that is not there',
      answer(404, PLAIN, 'TF200016: The following project does not exist: web.'),
      'upstream-not-found',
      404,
      'TF200016: The following project does not exist: web.',
    ],
    [
      'an organisation that is not there',
      answer(404, HTML, '<html><head><title>\n  The resource cannot be found.\n</title></head>'),
      'upstream-not-found',
      404,
      'The resource cannot be found.',
    ],
    [
      'an identity that was never added',
      answer(
        403,
        { ...JSON_TYPE },
        '{"$id":"1","innerException":null,"message":"TF401444: Please sign-in at least once as t\\\\u in a web browser.","typeKey":"x","errorCode":0}',
      ),
      'upstream-forbidden',
      403,
      'TF401444: Please sign-in at least once as t\\u in a web browser.',
    ],
    [
      'conditional access',
      answer(403, PLAIN, 'VS403463: The conditional access policy defined by your administrator has failed.'),
      'upstream-forbidden',
      403,
      'VS403463: The conditional access policy defined by your administrator has failed.',
    ],
    [
      'an old client',
      answer(400, PLAIN, 'TF401041: The Git protocol sent is not as expected (Clients must support multi-ack.).'),
      'upstream-error',
      502,
      'TF401041: The Git protocol sent is not as expected (Clients must support multi-ack.).',
    ],
    [
      'throttling',
      answer(429, PLAIN, 'TF400733: The request has been canceled'),
      'upstream-throttled',
      429,
      'TF400733: The request has been canceled',
    ],
    ['throttling without a word', answer(429), 'upstream-throttled', 429, undefined],
    [
      'an outage',
      answer(503, HTML, '<title>Our services are not available</title>'),
      'upstream-unavailable',
      503,
      'Our services are not available',
    ],
    ['a body that is too large', answer(413), 'upstream-error', 502, undefined],
    ['a fault of the server', answer(500, JSON_TYPE, '{"message":"boom"}'), 'upstream-error', 502, 'boom'],
    ['a gateway in trouble', answer(502, { 'content-type': 'text/html' }, 'no title'), 'upstream-error', 502, undefined],
    ['gone', answer(410), 'upstream-not-found', 404, undefined],
    ['a portal', answer(200, HTML, '<title>Welcome to the hotel</title>'), 'upstream-not-git', 502, 'Welcome to the hotel'],
    ['nothing at all', answer(204), 'upstream-not-git', 502, undefined],
    ['a known code in a success is no failure of that kind', answer(200, PLAIN, TF401019), 'upstream-not-git', 502, TF401019],
  ])('names %s', (_what, failed, code, status, upstreamText) => {
    const failure = readFailure('azure-services', failed);
    expect([failure.code, failure.status, failure.upstreamText]).toEqual([code, status, upstreamText]);
    expect(failure.upstreamStatus).toBe(failed.status);
    expect(failure.todo.length).toBeGreaterThan(10);
  });

  it('names the ActivityId, or the id that stands for it, cleaned', () => {
    expect(readFailure('azure-services', answer(500, { activityid: 'a-1', 'x-vss-e2eid': 'e-1' })).activityId).toBe('a-1');
    expect(readFailure('azure-services', answer(500, { 'x-vss-e2eid': 'e-1\u009b' })).activityId).toBe('e-1');
    expect(readFailure('azure-services', answer(500)).activityId).toBeUndefined();
  });

  it('says how long to wait, from either form of Retry-After', () => {
    expect(readFailure('azure-services', answer(429, { 'retry-after': '30' })).retryAfterSeconds).toBe(30);
    const headers = { ...PLAIN, 'retry-after': 'Fri, 20 Nov 2026 12:01:00 GMT', date: 'Fri, 20 Nov 2026 12:00:00 GMT' };
    expect(readFailure('azure-services', answer(429, headers, 'TF400733: x')).retryAfterSeconds).toBe(60);
  });
});

describe('readFailure() of generic', () => {
  it('knows no codes of Azure DevOps', () => {
    expect(readFailure('generic', answer(500, PLAIN, TF401019)).code).toBe('upstream-error');
    expect(readFailure('generic', answer(401, { 'www-authenticate': 'Bearer claims="eyJ9"' })).code).toBe('upstream-unauthenticated');
  });

  it('passes on what the host said', () => {
    expect(readFailure('generic', answer(404, PLAIN, 'remote: Not Found\n'))).toMatchObject({
      code: 'upstream-not-found',
      upstreamText: 'remote: Not Found',
    });
  });
});

describe('the words of an upstream', () => {
  const words = (text: string, headers: Readonly<Record<string, string>> = PLAIN): string | undefined =>
    readFailure('azure-server', answer(500, headers, text)).upstreamText;

  it.each<[what: string, said: string | undefined, shown: string | undefined]>([
    ['colours', words('\u001b[31mred\u001b[0m alert'), 'red alert'],
    ['a CSI of one character', words('\u009b31mred'), 'red'],
    ['a window title', words('a\u001b]0;owned\u0007b'), 'a b'],
    ['a hyperlink', words('\u001b]8;;https://evil.example\u001b\\click\u001b]8;;\u001b\\'), 'click'],
    ['a lone escape', words('a\u001bcb'), 'a cb'],
    ['a carriage return', words('good\rbad'), 'good bad'],
    ['backspaces', words('a\b\bb'), 'a b'],
    ['a NUL', words('a\0b'), 'a b'],
    ['text that runs the other way', words('a\u202eb\u2066c\u061cd'), 'a b c d'],
    ['separators of lines', words('a\u2028b\u2029c'), 'a b c'],
    ['nothing visible', words('a\u200bb\ufeffc'), 'a b c'],
    ['much white space', words('  a \t\t b  '), 'a b'],
    ['empty lines and doubles', words('a\n\n\na\r\nb\n'), 'a\nb'],
    ['an ERR packet', words('001aERR not allowed here\n'), 'not allowed here'],
    ['a text that begins like a length', words('2024 was a year'), '2024 was a year'],
    ['text of git media types', words('0000', { 'content-type': 'application/x-git-upload-pack-advertisement' }), undefined],
    ['a JSON message', words('{"message":"a\\u001b[2Jb"}', JSON_TYPE), 'a b'],
    ['JSON that was cut', words('{"message":"a', JSON_TYPE), undefined],
    ['JSON without a message', words('{"message":{"a":1}}', JSON_TYPE), undefined],
    ['JSON that is no object', words('null', JSON_TYPE), undefined],
    ['a title over lines', words('<TITLE lang=en>\n a\n b </TITLE>', HTML), 'a b'],
    ['a page without a title', words('<h1>x</h1>', HTML), undefined],
    ['another type', words('x', { 'content-type': 'image/png' }), undefined],
    ['no type', words('x', {}), undefined],
    ['an error header that is no encoding', words('', { 'x-tfs-serviceerror': '100% wrong' }), '100% wrong'],
    ['an error header with a line break', words('', { 'x-tfs-serviceerror': 'a%0d%0ab%1b%5b1m' }), 'a b'],
  ])('are cleaned of %s', (_what, said, shown) => {
    expect(said).toBe(shown);
  });

  it('are cut in lines and in length, never within a character', () => {
    expect(words(Array.from({ length: 20 }, (_, index) => `line ${index}`).join('\n'))?.split('\n')).toHaveLength(8);
    expect(words('x'.repeat(5000))).toBe(`${'x'.repeat(400)}...`);
    expect(words(`${'x'.repeat(399)}\u{1f600}${'y'.repeat(10)}`)).toBe(`${'x'.repeat(399)}...`);
  });

  it('are looked for in a time that grows with the page, not with its square', () => {
    const startedAt = performance.now();
    expect(words('<title'.repeat(40_000), HTML)).toBeUndefined();
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });

  it('never reach a terminal as anything but text', () => {
    const type = fc.constantFrom(PLAIN, HTML, JSON_TYPE, { 'content-type': 'application/x-git-upload-pack-result' });
    const hostile = fc.oneof(
      anyText(),
      fc.constantFrom('\u001b[2J', '\u009b', '<title>', '</title>', '\r', '\n', '\u202e', '0000', '0009ERR '),
    );
    fc.assert(
      fc.property(type, fc.array(hostile, { maxLength: 12 }), fc.integer({ min: 200, max: 599 }), (headers, pieces, status) => {
        const text = pieces.join('');
        const failure = readFailure('azure-services', answer(status, { ...headers, activityid: text }, text));
        for (const shown of [failure.upstreamText ?? '', failure.what, failure.activityId ?? ''])
          expect(shown.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/);
        expect(ERROR_CODES).toContain(failure.code);
        expect([401, 200]).not.toContain(failure.status);
      }),
      { numRuns: 500 },
    );
  });

  it('name the type of a page that is not git, cleaned', () => {
    expect(readFailure('generic', answer(200, { 'content-type': 'text/x\u001b[31m' })).what).toBe(
      'The upstream answered 200 with text/x, which is not git data',
    );
    expect(readFailure('generic', answer(200)).what).toBe('The upstream answered 200 with no content type, which is not git data');
  });
});

it.each<[FailedAnswer, boolean]>([
  [answer(203), true],
  [answer(302, { location: '/contoso/_signin?x' }), true],
  [answer(302, { location: 'https://login.microsoftonline.com/t/oauth2/authorize' }), true],
  [answer(307, { location: 'https://git.example.com/login?next=/' }), true],
  [answer(301, { location: '/contoso/web/_git/renamed/info/refs?service=git-upload-pack' }), false],
  [answer(302, { location: '/contoso/web/_git/_signing/info/refs' }), false],
  [answer(302), false],
  [answer(200, HTML, 'Please SIGN IN'), true],
  [answer(200, PLAIN, 'Please sign in'), false],
  [answer(200, HTML, 'hello'), false],
  [answer(404, HTML, 'sign in'), false],
])('isSignInPage(%o) is %s', (failed, verdict) => {
  expect(isSignInPage(failed)).toBe(verdict);
});

describe('AZURE_TEXTS', () => {
  it('has sentences in the house style', () => {
    for (const [code, { what, todo }] of AZURE_TEXTS) {
      expect(code).toMatch(/^(TF|VS)[0-9]{5,7}$/);
      expect(what, code).toMatch(/^[A-Z].*[^.]$/);
      expect(todo, code).toMatch(/^[a-z].*[^.]$/);
    }
  });

  it.each([
    ['TF401019: The Git repository', 'TF401019'],
    ['remote: TF999999: new. TF401027: old', 'TF401027'],
    ['(VS403463)', 'VS403463'],
    ['XTF401019', undefined],
    ['TF4010190', undefined],
    ['tf401019', undefined],
    ['', undefined],
  ])('findAzureText(%j) finds %s', (text, code) => {
    expect(findAzureText(text)).toBe(code === undefined ? undefined : AZURE_TEXTS.get(code));
  });
});
