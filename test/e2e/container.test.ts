/**
 * A job in a container with nothing but the variables of a lease: it gets exactly what the lease is for, in every spelling, and
 * for everything else a text that names the lease and the rule. The attacker is the job itself: it has git, curl, the lease and
 * all the time that the lease lives.
 *
 * The container is a network and a mount namespace behind a veth pair, as root or as an ordinary user; container-stage.ts says
 * how, and plays. Everything is real but Azure. `npm run test:podman` has the same play in containers of podman (as root).
 */
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { outerSpaceFault, outerSpaceFlags } from '../support/inner-space.js';
import { run } from '../support/scene.js';
import { ODD_SPELLINGS, SPELLINGS } from './container-addresses.js';
import type { Shown, StageReport } from './container-stage.js';

const STAGE = join(process.cwd(), 'build', 'container-stage.mjs');
const KIND = process.env['POSTERN_TEST_CONTAINER'] ?? 'namespace';
/** The whole play takes 10 s on two idle cores, and 30 s in containers of podman. */
const STAGE_MS = 300_000;

async function playStage(door: string): Promise<StageReport> {
  const fault = await outerSpaceFault();
  if (fault !== undefined) throw new Error(fault);
  const env = { PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: process.env['TMPDIR'] };
  const ran = await run('unshare', [...outerSpaceFlags(), process.execPath, STAGE, door, KIND], { env, timeoutMs: STAGE_MS });
  if (ran.code !== 0) throw new Error(`the stage ended with ${ran.code}:\n${ran.stderr}`);
  return JSON.parse(ran.stdout) as StageReport;
}

describe.each(['tls', 'plain'])('a container with a lease, at a door that speaks %s', (door) => {
  let played: StageReport | Error = new Error('the stage was not played');
  beforeAll(async () => {
    // A stage that cannot be played fails each test, rather than skip them all.
    played = await playStage(door).catch((fault: unknown) => (fault instanceof Error ? fault : new Error(String(fault))));
  }, STAGE_MS + 10_000);

  const report = (): StageReport => {
    if (played instanceof Error) throw played;
    return played;
  };
  const step = (name: string): Shown => {
    const shown = report().steps[name];
    if (shown === undefined) throw new Error(`the stage has no step ${name}: ${Object.keys(report().steps).join(', ')}`);
    return shown;
  };
  const nameOf = (label: string): string => report().names[label] ?? 'no such lease';
  /** That git failed, with this said by the door. */
  const expectRefusal = (name: string, ...texts: readonly (string | RegExp)[]): void => {
    const { code, stderr } = step(name);
    expect(code, `${name}: ${stderr}`).not.toBe(0);
    for (const text of texts) expect(stderr, name).toMatch(text instanceof RegExp ? text : new RegExp(escaped(text)));
  };
  /** That an exchange without advertisement was refused as text or in git's own words. */
  const expectAnswer = (name: string, status: number, ...texts: readonly (string | RegExp)[]): void => {
    const { code, stdout, stderr } = step(name);
    expect(code, `${name}: ${stderr}`).toBe(0);
    expect(stdout.trimEnd().split('\n').at(-1), `${name}: ${stdout}`).toMatch(new RegExp(`^${status} `));
    for (const text of texts) expect(stdout, name).toMatch(text instanceof RegExp ? text : new RegExp(escaped(text)));
  };

  describe('may', () => {
    it.each(SPELLINGS)('fetch %s', (url) => {
      expect(step(`fetch ${url}`)).toMatchObject({
        code: 0,
        stdout: `${report().refs.before['refs/heads/main'] ?? ''}\trefs/heads/main\n`,
      });
    });

    it.each(ODD_SPELLINGS)('fetch %s', (url) => {
      expect(step(`fetch ${url}`)).toMatchObject({
        code: 0,
        stdout: expect.stringMatching(/^[0-9a-f]{40}\trefs\/heads\/main\n$/) as string,
      });
    });

    it('clone with a submodule whose address is absolute', () => {
      expect(step('clone').code).toBe(0);
      expect(step('clone').stdout).toContain("Submodule path 'lib': checked out");
      expect(step('submodule remote').stdout).toContain(`${report().base}/dev.azure.com/contoso/Payments/_git/lib`);
    });

    it('push to refs/heads/agent/x, and again by its SSH form', () => {
      expect(step('push agent/x').stderr).toContain('[new branch]      HEAD -> agent/x');
      expect(step('push agent/x again, over its SSH form').stderr).toMatch(/[0-9a-f]+\.\.[0-9a-f]+ {2}HEAD -> agent\/x/);
      expect(step('push agent/x again, over its SSH form').code).toBe(0);
      expect(step('fetch after the push').code).toBe(0);
    });

    it('push, lock and clone an object of Git LFS, whose bytes are the same', () => {
      expect(step('lfs: push').stderr).toContain('HEAD -> agent/objects');
      expect(step('lfs: lock')).toMatchObject({ code: 0, stdout: 'Locked large.bin\n' });
      expect(step('lfs: unlock')).toMatchObject({ code: 0 });
      expect(step('lfs reader: clone')).toMatchObject({ code: 0, stderr: '' });
      expect(step('lfs: write').stdout).toMatch(/^[0-9a-f]{64} {2}large\.bin\n$/);
      expect(step('lfs reader: sum').stdout).toBe(step('lfs: write').stdout);
    });

    it('fetch with a lease for fetching, in the variables of a shell', () => {
      expect(step('reader: fetch')).toMatchObject({ code: 0 });
    });
  });

  describe('is told no, with lease and rule,', () => {
    it('for a push to main', () => {
      expectRefusal('push main', /! \[remote rejected\] HEAD -> main \(postern: /, nameOf('nightly'), 'allows only refs/heads/agent/*');
      expectRefusal('wide: push main', /! \[remote rejected\] HEAD -> main \(/, nameOf('wide'), 'protects refs/heads/main');
    });

    it('for a push to main beside one that it may, which is refused with it', () => {
      expectRefusal(
        'push agent/y and main',
        /! \[remote rejected\] HEAD -> main \(/,
        /! \[remote rejected\] HEAD -> agent\/y \([^)]*refs\/heads\/main/,
      );
    });

    it('for a branch one level deeper than the glob', () => {
      expectRefusal('push deeper than the glob', /! \[remote rejected\] HEAD -> agent\/x\/y \(/, nameOf('nightly'));
    });

    it('for bringing up or locking objects with a lease that only reads', () => {
      for (const name of ['lfs reader: lock', 'lfs reader: push'])
        expectRefusal(name, nameOf('object-reader'), 'allows fetch, lfs, not push');
    });

    it('for a delete', () => {
      expectRefusal('delete agent/x', /! \[remote rejected\] agent\/x \(/, nameOf('nightly'), 'delete');
    });

    it('for a tag', () => {
      expectRefusal('push a tag', /! \[remote rejected\] HEAD -> v1 \(/, nameOf('nightly'), 'allows only refs/heads/agent/*');
      expectRefusal('wide: push a tag', /! \[remote rejected\] HEAD -> v1 \(/, nameOf('wide'), 'does not allow to create tags');
    });

    it('for another repository', () => {
      const texts = [nameOf('nightly'), 'is not for the repository dev.azure.com/contoso/Payments/secret'];
      expectRefusal('fetch another repository', ...texts);
      expectRefusal('fetch another repository over SSH', ...texts);
      expectRefusal('push to another repository', ...texts);
      expectRefusal('wide: another organisation', nameOf('wide'), 'is not for the repository dev.azure.com/fabrikam/Payments/web');
    });

    it('for another operation', () => {
      expectRefusal('reader: push', nameOf('reader'), 'allows fetch, not push');
    });

    it('after it was revoked', () => {
      expect(step('withdrawn: before').code).toBe(0);
      expect(step('withdrawn: revoke').code).toBe(0);
      for (const name of ['withdrawn: fetch', 'withdrawn: push']) expectRefusal(name, nameOf('withdrawn'), 'was revoked');
    });

    it('after it ended', () => {
      expect(step('short: before').code).toBe(0);
      for (const name of ['short: fetch', 'short: push']) expectRefusal(name, nameOf('short'), 'ended at ');
    });

    it('for a lease that was tampered with', () => {
      expectRefusal('forged', 'The lease was changed, or is not one of this daemon');
    });
  });

  describe('is told the same at the exchange alone', () => {
    it('for refs', () => {
      expectAnswer('exchange: push main', 200, 'ng refs/heads/main ', nameOf('nightly'));
      expectAnswer('exchange: delete', 200, 'ng refs/heads/agent/x ', nameOf('nightly'), 'delete');
    });

    it('for another repository', () => {
      const text = 'is not for the repository dev.azure.com/contoso/Payments/secret';
      expectAnswer('exchange: fetch another repository', 200, 'ERR postern: ', nameOf('nightly'), text);
      expectAnswer('exchange: push to another repository', 200, 'ng refs/heads/agent/z postern: ', nameOf('nightly'), text);
    });

    it('for another operation', () => {
      expectAnswer('reader: push exchange', 200, 'ng refs/heads/agent/z postern: ', nameOf('reader'), 'allows fetch, not push');
    });

    it('after it was revoked', () => {
      for (const operation of ['fetch', 'push']) expectAnswer(`withdrawn: ${operation} exchange`, 403, nameOf('withdrawn'), 'was revoked');
    });

    it('after it ended', () => {
      expectAnswer('short: fetch exchange', 200, 'ERR postern: ', nameOf('short'), 'ended at ');
      expectAnswer('short: push exchange', 200, 'ng refs/heads/agent/z postern: ', nameOf('short'), 'ended at ');
    });
  });

  describe('without the variables', () => {
    it('gets nothing from the door, and is asked for a lease', () => {
      expectRefusal('bare: the door', /could not read Username for/);
      expectAnswer('bare: fetch exchange', 401, 'needs a lease');
      expectAnswer('bare: push exchange', 401, 'needs a lease');
    });

    it('reaches neither Azure nor the loopback of the host', () => {
      expectRefusal('bare: the real address', /Could not resolve host/);
      expectRefusal('bare: loopback', /Failed to connect|Couldn't connect/);
    });
  });

  it('leaves at Azure what it may, and nothing else', () => {
    const { before, after } = report().refs;
    expect(Object.keys(after).sort()).toEqual(['refs/heads/agent/objects', 'refs/heads/agent/x', 'refs/heads/main']);
    expect(after['refs/heads/main']).toBe(before['refs/heads/main']);
  });

  it('reaches at Azure the repositories of its lease only, and Azure sees no lease', () => {
    expect(report().upstream.length).toBeGreaterThan(SPELLINGS.length);
    const paths = new Set(
      report().upstream.map(({ path }) =>
        decodeURIComponent(path).replace(/\/(?:info\/refs|git-[a-z]+-pack)$|(?:\.git)?\/info\/lfs\/.*$/, ''),
      ),
    );
    expect([...paths].filter((path) => !/(?:Payments\/_git\/(?:web|lib)|My Café\/_git\/web app)$/.test(path))).toEqual([]);
    expect(report().upstream.filter(({ authorization }) => authorization !== 'bearer')).toEqual([]);
    expect(report().upstream.filter(({ headers }) => headers.includes('x-postern-lease'))).toEqual([]);
  });

  it('keeps the real addresses in its repositories, and shows the door for them without the lease', () => {
    const { stdout } = step('local configuration');
    expect(stdout).toContain('remote.origin.url=https://contoso@dev.azure.com/contoso/Payments/_git/web\n');
    expect(stdout).toContain('submodule.lib.url=https://contoso@dev.azure.com/contoso/Payments/_git/lib\n');
    expect(stdout).not.toMatch(/extraheader|insteadof/i);
    const shown = ['fetch', 'push'].map((way) => `origin\t${report().base}/dev.azure.com/contoso/Payments/_git/web (${way})\n`);
    expect(step('remote').stdout).toBe(shown.join(''));
  });

  it('finds its lease in no output, argument, file of the clone, log or state', () => {
    // Arguments of everything that git ran.
    expect(step('clone').stderr).toContain('trace: run_command');
    const places = Object.keys(report().searched);
    for (const part of ['/container/web/.git/config', '/audit/', 'leases.json'])
      expect(
        places.some((place) => place.includes(part)),
        part,
      ).toBe(true);
    expect(report().searched['the daemon’s output']).toBeGreaterThan(1000);
    expect(report().leaks).toEqual([]);
  });
});

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
