/**
 * The source that asks git, against a program in git's place that answers what versions of git later than that of this machine answer, or
 * what none should. What real git does is in test/e2e/git-credential.test.ts.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createGitCredentialSource } from '../../src/identity/git-credential.js';
import { TokenFailure } from '../../src/identity/token-source.js';
import type { AskedSource } from '../../src/identity/vault-entry.js';
import type { Credential } from '../../src/model/credential.js';

const target = (path = '/team/app'): { url: URL } => ({ url: new URL(`https://git.example.com:8443${path}`) });
const HEAD = 'protocol=https\nhost=git.example.com:8443\n';

let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-git-'));
  await writeFile(
    join(directory, 'git'),
    `#!/bin/sh
in=$(cat)
echo "begin $2" >>${directory}/log
[ "$2" = fill ] && cat ${directory}/answer
[ -e ${directory}/slow ] && sleep 0.3
printf '%s\\n%s\\n\\n' "$2" "$in" >>${directory}/said
echo "end $2" >>${directory}/log
`,
    { mode: 0o755 },
  );
  await writeFile(join(directory, 'said'), '');
  await writeFile(join(directory, 'log'), '');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const source = (user?: string): AskedSource =>
  createGitCredentialSource(user, { environment: { PATH: `${directory}:${process.env['PATH'] ?? ''}` }, timeoutMs: 20_000 });
const answer = (text: string): Promise<void> => writeFile(join(directory, 'answer'), text);
const read = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
/** What was said to git with this word. */
const said = async (word: string): Promise<string[]> =>
  (await read('said'))
    .split('\n\n')
    .filter((each) => each.startsWith(`${word}\n`))
    .map((each) => each.slice(word.length + 1));

function shown(credential: Credential): unknown {
  if (credential.kind === 'basic') return [credential.user, credential.password.reveal(), credential.expiresAt?.toISOString()];
  return credential.kind === 'bearer' ? [credential.token.reveal(), credential.expiresAt.toISOString()] : credential.kind;
}

async function failureOf(promise: Promise<unknown>): Promise<TokenFailure> {
  const thrown: unknown = await promise.catch((fault: unknown) => fault);
  if (thrown instanceof TokenFailure) return thrown;
  throw new Error('it did not fail as it should', { cause: thrown });
}

describe('createGitCredentialSource()', () => {
  test('asks with protocol, host with port, decoded path and user', async () => {
    await answer(`${HEAD}username=dana\npassword=x\n`);
    await source('dana').ask(target('/My%20Team/app%2fb/'));
    expect(await said('fill')).toEqual([
      'capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=git.example.com:8443\npath=My Team/app/b\nusername=dana',
    ]);
  });

  test.each([
    ['user and password', 'username=dana\npassword=a=b c\n', ['dana', 'a=b c', undefined]],
    ['an end', 'username=dana\npassword=x\npassword_expiry_utc=4102444800\n', ['dana', 'x', '2100-01-01T00:00:00.000Z']],
    ['no user', 'username=\npassword=x\n', ['', 'x', undefined]],
    [
      'a token (git 2.46)',
      'capability[]=authtype\nauthtype=Bearer\ncredential=a.b.c\npassword_expiry_utc=4102444800\n',
      ['a.b.c', '2100-01-01T00:00:00.000Z'],
    ],
    ['Basic, encoded (git 2.46)', `authtype=Basic\ncredential=${Buffer.from('dana:a:b').toString('base64')}\n`, ['dana', 'a:b', undefined]],
    ['more than is known', 'username=dana\npassword=x\noauth_refresh_token=y\nnew[]=z\n', ['dana', 'x', undefined]],
  ])('takes %s', async (_, text, expected) => {
    await answer(HEAD + text);
    expect(shown(await source().ask(target()))).toEqual(expected);
  });

  test('asks again within the hour for a token without an end', async () => {
    await answer(`${HEAD}authtype=bearer\ncredential=opaque\n`);
    const credential = await source().ask(target());
    expect(credential).toMatchObject({ kind: 'bearer' });
    const ends = credential.kind === 'bearer' ? credential.expiresAt.getTime() - Date.now() : 0;
    expect(ends).toBeGreaterThan(59 * 60_000);
    expect(ends).toBeLessThanOrEqual(60 * 60_000);
  });

  test.each([
    ['another host', 'protocol=https\nhost=evil.example.com\nusername=u\npassword=p\n', 'a helper answered for another host'],
    ['another port', 'protocol=https\nhost=git.example.com\nusername=u\npassword=p\n', 'a helper answered for another host'],
    ['another protocol', 'protocol=http\nhost=git.example.com:8443\nusername=u\npassword=p\n', 'a helper answered for another host'],
    ['no host', 'username=u\npassword=p\n', 'a helper answered for another host'],
    ['a later host', `${HEAD}username=u\npassword=p\nhost=evil.example.com\n`, 'a helper answered for another host'],
    ['no line of its form', `${HEAD}hello\n`, 'what git printed is no credential'],
    ['a carriage return', `${HEAD}username=u\npassword=a\rb\n`, 'what git printed is no credential'],
    ['a zero byte', `${HEAD}username=u\npassword=a\0b\n`, 'what git printed is no credential'],
    ['no password', `${HEAD}username=u\n`, 'they gave no password'],
    ['an empty password', `${HEAD}username=u\npassword=\n`, 'they gave no password'],
    ['a colon in the user', `${HEAD}username=a:b\npassword=p\n`, 'cannot be sent'],
    [
      'a break in the encoded one',
      `${HEAD}authtype=Basic\ncredential=${Buffer.from('a:b\r\nX: y').toString('base64')}\n`,
      'cannot be sent',
    ],
    ['a token that is no word', `${HEAD}authtype=Bearer\ncredential=a b\n`, 'the token of a helper is none'],
    ['another way of signing in', `${HEAD}authtype=Negotiate\ncredential=xyz\n`, 'only Basic and Bearer are'],
    [
      'what has ended',
      `${HEAD}username=u\npassword=p\npassword_expiry_utc=1000000000\n`,
      'what they hold ended at 2001-09-09T01:46:40.000Z',
    ],
  ])('refuses an answer with %s, and shows nothing of it', async (_, text, what) => {
    await answer(text);
    const failure = await failureOf(source().ask(target()));
    expect(failure.message).toContain(`The credential helpers of git have nothing usable for https://git.example.com:8443: `);
    expect(failure.message).toContain(what);
    expect(failure.message + failure.todo).not.toMatch(/evil|xyz|password=|\bp\b/);
    expect(failure.isDefinite).toBe(true);
  });

  test('asks nothing about an address that cannot be told to git in a line', async () => {
    for (const path of ['/a%0ahost=evil.example.com', '/a%0d', '/a%00b', '/a%zz'])
      expect((await failureOf(source().ask(target(path)))).message).toContain('the path of the address cannot be told to git');
    expect(await read('log')).toBe('');
  });

  test('says everything that git gave, once, whether it was good', async () => {
    const whole = `capability[]=authtype\n${HEAD}path=team/app\nusername=dana\npassword=x\npassword_expiry_utc=4102444800\noauth_refresh_token=y\nstate[]=z`;
    await answer(`${whole}\n`);
    const asked = source();
    const first = await asked.ask(target());
    const second = await asked.ask(target('/team/lib'));
    await Promise.all([asked.settle(target(), first, true), asked.settle(target('/team/lib'), second, true)]);
    expect(await said('approve')).toEqual([whole]);
    await Promise.all([asked.settle(target(), first, false), asked.settle(target('/team/lib'), second, false)]);
    expect(await said('reject')).toEqual([whole]);
    // It has come back, and is refused again: that is another matter.
    await asked.settle(target(), await asked.ask(target()), false);
    expect(await said('reject')).toEqual([whole, whole]);
  });

  test('says nothing of what it did not give', async () => {
    await answer(`${HEAD}username=dana\npassword=x\n`);
    await source().settle(target(), await source().ask(target()), false);
    expect(await said('reject')).toEqual([]);
  });

  test('a question waits for what is being told: it would be answered with what was just refused', async () => {
    await answer(`${HEAD}username=dana\npassword=x\n`);
    await writeFile(join(directory, 'slow'), '');
    const asked = source();
    const credential = await asked.ask(target());
    void asked.settle(target(), credential, false);
    await asked.ask(target());
    expect((await read('log')).split('\n')).toEqual(['begin fill', 'end fill', 'begin reject', 'end reject', 'begin fill', 'end fill', '']);
  });

  test('runs no more than four at once', async () => {
    await answer(`${HEAD}username=dana\npassword=x\n`);
    await writeFile(join(directory, 'slow'), '');
    const asked = source();
    await Promise.all(Array.from({ length: 13 }, (_, index) => asked.ask(target(`/team/${index}`))));
    let running = 0;
    let most = 0;
    for (const line of (await read('log')).trim().split('\n')) {
      running += line.startsWith('begin') ? 1 : -1;
      most = Math.max(most, running);
    }
    expect(most).toBe(4);
  });
});

describe('variantOf()', () => {
  test('is protocol, host and whole path: settings of git can depend on each', () => {
    const of = (text: string): string => source().variantOf({ url: new URL(text) });
    expect(of('https://h/a/b')).toBe('https://h/a/b');
    const all = ['https://h/a/b', 'http://h/a/b', 'https://h:8443/a/b', 'https://h/a/c', 'https://h/A/b', 'https://i/a/b'].map(of);
    expect(new Set(all).size).toBe(all.length);
  });
});
