import { describe, expect, it, test } from 'vitest';
import { type ServiceState, serviceWork } from '../../../../src/cli/first-run/standing.js';
import { flagWishes, namesIn } from '../../../../src/cli/first-run/wishes.js';
import type { DaemonStatus } from '../../../../src/daemon/status.js';
import { ProxyError } from '../../../../src/model/errors.js';

/** Everything that a refusal says. */
function refusal(pairs: readonly string[], identity = 'client-secret'): string {
  try {
    flagWishes({ identity, with: [...pairs] });
  } catch (thrown) {
    if (thrown instanceof ProxyError) return [thrown.code, thrown.message, ...thrown.details, thrown.todo].join('\n');
    throw thrown;
  }
  return 'none';
}

describe('flagWishes()', () => {
  it.each([
    ['env:SP_SECRET', { env: 'SP_SECRET' }],
    ['file:~/a secret', { file: '~/a secret' }],
    ['credential:sp', { credential: 'sp' }],
  ])('takes where a secret is: %s', (value, reference) => {
    expect(flagWishes({ identity: 'client-secret', with: [`secret=${value}`] }).identity).toEqual({
      kind: 'client-secret',
      secret: reference,
    });
  });

  it.each([
    ['a secret itself', 'secret=hunter2-canary'],
    ['a secret with a colon in it', 'secret=hunter2:canary'],
    ['one that looks like a place', 'secret=environment:hunter2-canary'],
    ['an equals sign in it', 'secret=hunter2=canary'],
    ['nothing behind the form', 'secret=env:'],
    ['a blank before the form', 'secret= env:hunter2-canary'],
    ['a secret under another key', 'password=hunter2-canary'],
    ['the key in capitals', 'SECRET=hunter2-canary'],
    ['no key at all', 'hunter2-canary'],
  ])('refuses %s, and does not repeat it', (_, pair) => {
    const said = refusal([pair]);
    expect(said).toMatch(/^usage\n/);
    expect(said).not.toContain('hunter2');
  });

  it('says where a secret goes instead, and that this one is spent', () => {
    expect(refusal(['secret=hunter2-canary'])).toBe(
      'usage\n`--with secret=` takes where the secret is, and not the secret itself\n' +
        'write env:NAME, file:PATH or credential:NAME; if that was a secret, it is in the history of the shell now: revoke it',
    );
  });

  it('keeps equals signs of a value, and takes flags that were not given for no wish', () => {
    expect(flagWishes({ identity: 'azure-cli', with: ['tenant=a=b'] }).identity).toEqual({ kind: 'azure-cli', tenant: 'a=b' });
    expect(flagWishes({})).toEqual({ organisations: undefined, identity: undefined, hasSsh: undefined, isService: undefined });
    expect(flagWishes({ ssh: false, service: false })).toMatchObject({ hasSsh: false, isService: false });
  });
});

test.each([
  ['contoso, fabrikam;tailspin', ['contoso', 'fabrikam', 'tailspin']],
  ['https://dana@dev.azure.com/contoso/Payments/_git/web', ['contoso']],
  ['https://contoso.visualstudio.com/', ['contoso']],
  ['git@ssh.dev.azure.com:v3/contoso/Payments/web', ['contoso']],
  ['dev.azure.com/contoso/', ['contoso']],
  ['', []],
])('namesIn() reads %j', (text, names) => {
  expect(namesIn(text)).toEqual({ names, fault: undefined });
});

test('namesIn() says of an address elsewhere that it is no organisation', () => {
  expect(namesIn('https://tfs.example.com/tfs/x').fault).toContain('a server of your own');
  expect(namesIn('contoso no_name').fault).toContain('letters, digits and hyphens');
});

describe('serviceWork()', () => {
  const up: ServiceState = { kind: 'installed', isUp: true, isOurs: true };
  const down: ServiceState = { ...up, isUp: false };
  const changed: ServiceState = { ...up, isOurs: false };
  const absent: ServiceState = { kind: 'absent' };
  const daemon = {} as DaemonStatus; // whether there is one is all that counts
  it.each([
    ['none, not wished', absent, undefined, false, 'none'],
    ['none, wished', absent, undefined, true, 'install'],
    ['one that runs', up, daemon, false, 'install'],
    ['one whose doors are open', up, undefined, false, 'install'],
    ['one that is down', down, undefined, false, 'install'],
    ['one that is down, beside a daemon of somebody', down, daemon, false, 'none'],
    ['one that was changed by hand', changed, daemon, false, 'start'],
    ['one that was changed by hand, and wished', changed, undefined, true, 'start'],
  ] as const)('of %s', (_, service, running, isWished, work) => {
    expect(serviceWork({ service, daemon: running }, isWished)).toBe(work);
  });
});
