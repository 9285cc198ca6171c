/**
 * `postern setup` as a person meets it: on a pseudo-terminal with a screen that is looked at, and by flags where there is none. Each play
 * runs in namespaces of its own, in which the doors' default ports are free (first-run-stage.ts).
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run } from '../support/scene.js';

const isRoot = process.getuid?.() === 0;
/** An ordinary user needs a namespace of users too. */
const UNSHARE = [isRoot ? '-nmpf' : '-Urnmpf', '--kill-child', '--mount-proc'];
const CLONED = '0 ';

interface Told {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Seen {
  readonly code: number;
  readonly whole: string;
  readonly styles: readonly string[];
  readonly isCursorShown: boolean;
}

async function play<T>(name: string): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-first-'));
  try {
    const ran = await run('unshare', [...UNSHARE, process.execPath, 'build/first-run-stage.mjs', directory, name], {
      env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LANG: 'C.UTF-8' },
    });
    if (ran.code !== 0) throw new Error(ran.stderr);
    return JSON.parse(ran.stdout) as T; // written by the play
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** What is not of the daemon, which keeps its own things. */
function ofSetup(files: Readonly<Record<string, string>>): string[] {
  return Object.keys(files)
    .filter((path) => !path.startsWith('.local/state/postern/') && !path.startsWith('web/'))
    .sort();
}

describe('setup on a terminal', () => {
  test('asks four questions, shows what it will write, does it, walks the road, and a clone works', async () => {
    const seen = await play<Seen & Record<string, unknown> & { screens: string[]; second: Seen; files: Record<string, string> }>('enter');
    expect(seen.code).toBe(0);
    const [organisations, ways, ssh, plan] = seen.screens;
    expect(organisations).toBe('? Your organisations at Azure DevOps, with commas:');
    expect(ways).toContain(
      '❯ Azure CLI, signed in as dana@contoso.com\n  A code, in a browser anywhere\n  A browser, by an address to open',
    );
    expect(ssh).toContain('? SSH remotes too (git@ssh.dev.azure.com:...), without an SSH key? (Y/n)');
    expect(plan).toContain(
      'Would write ~/.config/postern/config.yaml:\n' +
        '  | # Begun by `postern setup`, which adds what is missing and changes nothing.\n' +
        '  | # Every key: docs/CONFIGURATION.md; `postern config check` looks it over.\n' +
        '  | identities:\n  |   me: { kind: azure-cli }\n  |\n  | routes:\n  |   - { match: dev.azure.com/**, identity: me }\n' +
        'Would write ~/.config/postern/gitconfig (2037 bytes)\nWould create ~/.gitconfig\nWould create ~/.ssh/known_hosts\n',
    );
    // Nothing of it is cut: every line of the screen is one that was printed.
    expect(plan?.split('\n').length).toBeLessThanOrEqual(24);
    expect(seen.whole).toMatch(/^The road from git to Azure DevOps: [0-9]+ checks ok, nothing failed$/m);
    expect(seen.whole).not.toContain('Looking at what is on this machine');
    expect(seen.whole).toMatch(
      /Next: clone, fetch and push as always; nothing else has to be set\n`postern repos contoso` lists what there is to clone$/,
    );
    expect(seen['clone']).toBe(CLONED);
    expect(ofSetup(seen.files)).toEqual(['.config/postern/config.yaml', '.config/postern/gitconfig', '.gitconfig', '.ssh/known_hosts']);

    // Again: nothing is asked.
    expect(seen.second.code).toBe(0);
    expect(seen.second.whole).toContain('Everything is set up already\n');
    expect(seen.second.whole).not.toContain('?');

    expect(seen['before']).toContain('  git            goes to Azure DevOps by itself: it is not set up\n');
    expect(seen['before']).toContain('Next: `postern setup` asks what it has to know, and sets all of it up\n');
    expect(seen['after']).toContain('  git            goes to Azure DevOps by http://127.0.0.1:8417/\n');
    expect(seen['after']).toMatch(/ {2}identity {7}me \(azure-cli\)/);
    expect(seen['after']).toContain('Next: nothing: clone, fetch and push as always\n');
  });

  test('left by Ctrl-C at any question has changed nothing', async () => {
    const seen = await play<{ before: object; after: object; outcomes: object[] }>('interrupted');
    const left = { code: 130, last: 'Interrupted: nothing was changed', isCursorShown: true };
    expect(seen.outcomes).toEqual([left, left, left, left]);
    expect(seen.after).toEqual(seen.before);
  });

  test('says what is no organisation, shows every line, takes a no, and fits in 40 columns', async () => {
    const seen = await play<Seen & { refusal: string; everything: string; before: object; after: object }>('declined');
    expect(seen.code).toBe(0);
    expect(seen.refusal.replaceAll('\n', '')).toContain(
      'An organisation is what follows https://dev.azure.com/ : letters, digits and hyphens',
    );
    const text = seen.whole.replaceAll('\n', '');
    expect(text).toContain('me: { kind: device-code }');
    expect(text).toContain('| listen:  |   ssh: off');
    // The address that was pasted became a name, and its rules are among all that is shown.
    expect(text).toContain('insteadOf = https://contoso@dev.azure.com/');
    expect(text).not.toContain('known_hosts');
    expect(seen.whole.trimEnd()).toMatch(/Nothing was changed$/);
    expect(seen.after).toEqual(seen.before);
  });

  test('adds to a configuration that is there, signs in by a browser, and says how to start without a service', async () => {
    const seen = await play<Seen & Record<'file' | 'idle' | 'doctor' | 'clone' | 'plan', string>>('browser');
    expect(seen.code).toBe(0);
    expect(seen.file).toBe(
      '# Mine.\nlog: { level: info } # and this stays\n\n# Added by `postern setup`.\nidentities:\n  me: { kind: browser }\n\n' +
        'routes:\n  - { match: dev.azure.com/**, identity: me }\n\nlisten:\n  ssh: off\n',
    );
    expect(seen.plan).toContain('Would add to ~/.config/postern/config.yaml:\n  | identities:');
    expect(seen.whole).toContain('Signed in as ');
    expect(seen.whole).toMatch(/Next: start it with `postern start`\nThen `postern doctor` says whether all of it works$/);
    expect(seen.idle).toContain('Next: start it with `postern start`\n');
    expect(seen.clone).toBe(CLONED);
  });

  test('runs `az login` where the Azure CLI is to be used and nobody is signed in', async () => {
    const seen = await play<Seen & { asked: string; hadTerminal: boolean; clone: string }>('azureCli');
    expect(seen.code).toBe(0);
    expect(seen.asked).toContain('? Run `az login` now? (Y/n)');
    expect(seen.hadTerminal).toBe(true);
    expect(seen.clone).toBe(CLONED);
  });
});

describe('setup without a terminal', () => {
  test('does by flags what the questions would, and refuses before anything is written', async () => {
    const seen = await play<
      Record<'dry' | 'ran' | 'doctor' | 'again' | 'other', Told> & Record<string, unknown> & { refused: Record<string, Told> }
    >('flags');
    const said = Object.fromEntries(Object.entries(seen.refused).map(([name, { code, stderr }]) => [name, `${code} ${stderr}`]));
    expect(said['literal']).toMatch(
      /^2 postern: `--with secret=` takes where the secret is, and not the secret itself\n {2}what to do: write env:NAME, /,
    );
    expect(JSON.stringify(seen)).not.toContain('hunter2-canary');
    expect(said['key']).toContain(
      'An identity of kind azure-cli has no such key as `--with` names\n  what to do: name one of tenant, resource',
    );
    expect(said['kind']).toMatch(/^2 postern: The identity that was asked for is not complete\n.*azure-clj.*azure-cli/);
    expect(said['incomplete']).toMatch(/clientId[^]*secret[^]*give each key with `--with KEY=VALUE`/);
    expect(said['alone']).toMatch(/^2 .*`--with` is about the identity of `--identity`/);
    expect(said['service']).toMatch(/^1 postern: This system was not started by systemd\n {2}what to do: leave --service out/);
    expect(said['system']).toMatch(/^2 [^]*mutually exclusive/);
    expect(seen['untouched']).toEqual({});
    expect(seen.dry.code).toBe(0);
    expect(seen.dry.stdout).toContain('Nothing was changed\n');
    expect(seen['stillUntouched']).toEqual({});

    expect(seen.ran.stderr).toBe('');
    expect(seen.ran.code).toBe(0);
    expect(seen['config']).toMatch(
      /^# Begun[^]*\n {2}app: \{ kind: client-secret, tenant: .*, secret: \{ env: SP_SECRET \} \}\n[^]*listen:\n {2}ssh: off\n$/,
    );
    expect(seen['clone']).toBe(CLONED);
    expect(seen.doctor.code, seen.doctor.stdout).toBe(0);
    expect(seen.doctor.stdout).not.toContain('FAILED');

    expect(seen.again.stdout).toContain('Everything is set up already\n');
    expect(seen.other.code).toBe(2);
    expect(seen.other.stderr).toContain('The configuration has routes already, and none with an identity of kind browser\n');
  });

  test("and without a flag of the first run is git's part alone, also on a terminal that cannot move its cursor", async () => {
    const seen = await play<{ ran: Told; files: string[]; dumb: Seen; dumbFiles: string[] }>('asBefore');
    expect(seen.ran.code).toBe(0);
    expect(seen.files).not.toContain('.config/postern/config.yaml');
    expect(seen.dumb.code).toBe(0);
    expect(seen.dumb.whole).not.toContain('?');
    expect(seen.dumb.styles).toEqual([]);
    expect(seen.dumbFiles.sort()).toEqual(seen.files.sort());
  });
});

test('colours and progress are for terminals, NO_COLOR and TERM=dumb are kept to, and FORCE_COLOR wins', async () => {
  interface OnTerminal extends Seen {
    readonly hasProgress: boolean;
  }
  const seen = await play<{ styles: Record<'plain' | 'NO_COLOR' | 'dumb', OnTerminal>; piped: string; forced: string }>('colours');
  const { plain, NO_COLOR: none, dumb } = seen.styles;
  expect(plain.styles).toContain('31');
  expect([none.styles, dumb.styles]).toEqual([[], []]);
  expect([plain.hasProgress, none.hasProgress, dumb.hasProgress]).toEqual([true, true, false]);
  // Replaced in place, and gone at the end.
  for (const { whole, code } of [plain, none, dumb]) {
    expect(code).toBe(1);
    expect(whole).not.toContain('Waiting');
    expect(whole).toMatch(/^postern: No postern is running after 1s /);
  }
  expect(seen.piped).not.toContain('\u001b');
  expect(seen.forced).toContain('\u001b[31mpostern:');
});
