/** What the first run is going to write, found out without writing any of it, and shown to whoever decides. */
import { readFile } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import { settingsPath } from '../../config/settings-file.js';
import { additionLines, addToSettings, faultsIn, type SettingsAddition } from '../../config/write-settings.js';
import { ProxyError, systemCodeOf } from '../../model/errors.js';
import type { IdentitySettings } from '../../model/settings.js';
import { serviceInstall } from '../commands/service.js';
import { pointGit } from '../commands/point-git.js';
import { settleAddresses } from '../commands/setup-address.js';
import { type Context, type SettingsFlags, surroundingsOf } from '../context.js';
import { serviceWork, type Standing } from './standing.js';
import { identityName, variableOf, type WrittenIdentity } from './ways.js';
import type { Wishes } from './wishes.js';

export interface Plan {
  /** Of the configuration; none where it says all of it already. */
  readonly additions: readonly SettingsAddition[];
  /** Flags under which the configuration says what it will say with the additions. */
  readonly flags: SettingsFlags;
  /** Name of the identity that signs in; undefined where the configuration had one before. */
  readonly identity: string | undefined;
  /** What would be written and run, in short and with every line of every file. */
  readonly shown: { readonly short: readonly string[]; readonly whole: readonly string[] };
  /** Whether there is anything to write or to run. */
  readonly isEmpty: boolean;
}

/** Short lines: they are shown on terminals of 80 columns. */
const NEW_FILE = [
  'Begun by `postern setup`, which adds what is missing and changes nothing.',
  'Every key: docs/CONFIGURATION.md; `postern config check` looks it over.',
];
const MORE = ['Added by `postern setup`.'];

/** @throws ProxyError `usage` for what the configuration does not take, or has otherwise already; `git-config`, `state-unusable` */
export async function planOf(context: Context, flags: SettingsFlags, standing: Standing, wishes: Wishes): Promise<Plan> {
  const { additions, identity } = additionsFor(standing, wishes);
  const trial: SettingsFlags = additions.some(({ path }) => path[0] === 'listen') ? { ...flags, 'listen-ssh': 'off' } : flags;
  const lines: string[] = [];
  if (additions.length > 0) {
    const { file, former, edited } = await editedFile(context, flags, additions);
    lines.push(former === undefined ? `Would write ${file}:` : `Would add to ${file}:`);
    lines.push(
      ...(former === undefined ? edited.toString('utf8').trimEnd().split('\n') : additions.flatMap(additionLines)).map(
        (line) => `  | ${line}`,
      ),
    );
  }
  const configuration = lines.length;
  const listening: Context = { ...context, printer: { ...context.printer, line: (line) => lines.push(line) } };
  const settings = await settleAddresses(listening, trial, true);
  const hasMoved = lines.length > configuration;
  const outcome = await pointGit(listening, settings, { ...trial, org: wishes.organisations }, { isSystem: false, isDry: true });
  const isNewService = wishes.isService && standing.service.kind !== 'installed';
  const units = serviceWork(standing, wishes.isService) === 'install' ? await unitLines(context, trial) : [];
  lines.push(...units);
  if (isNewService) {
    const variable = wishes.way === undefined ? undefined : variableOf(wishes.way.identity);
    if (variable !== undefined)
      lines.push(
        `warning: a service does not see the variables of this shell, and the identity needs ${variable}`,
        `  what to do: give it to the service (\`systemctl --user edit postern\`, LoadCredential= or Environment=), or run \`postern start\` here instead`,
      );
  }
  const whole = lines.filter((line) => line !== 'Nothing was changed').map((line) => line.trimEnd());
  // The configuration is short, and what was just decided; the rest is the same for everybody.
  const short = whole
    .filter((line, index) => index < configuration || !/^(?:$| {2}(?!what to do))/.test(line))
    .map(withoutColon(configuration));
  return {
    additions,
    flags: trial,
    identity,
    shown: { short, whole },
    isEmpty: additions.length === 0 && !hasMoved && !outcome.changed && units.length === 0,
  };
}

/** What would be written and run for the service; nothing where its units are what they would be. */
async function unitLines(context: Context, flags: SettingsFlags): Promise<readonly string[]> {
  const lines: string[] = [];
  await serviceInstall(
    { ...context, printer: { ...context.printer, line: (line) => lines.push(line) } },
    { ...flags, 'dry-run': true, start: true },
  );
  return lines.some((line) => line.startsWith('Would write ')) ? lines : [];
}

/** The configuration with the additions. @throws ProxyError `usage` when they cannot be added, or are no good */
export async function editedFile(
  context: Context,
  flags: SettingsFlags,
  additions: readonly SettingsAddition[],
): Promise<{ readonly file: string; readonly former: Buffer | undefined; readonly edited: Buffer }> {
  const file = settingsPath(surroundingsOf(context, flags))?.path;
  if (file === undefined)
    throw new ProxyError('usage', 'There is no home to write a configuration to', { todo: 'name a file with --config' });
  const former = await readFile(file).catch((thrown: unknown) => {
    if (systemCodeOf(thrown) === 'ENOENT') return undefined;
    throw thrown;
  });
  const edit = addToSettings(former, additions, former === undefined || former.length === 0 ? NEW_FILE : MORE);
  if (edit.kind === 'by-hand')
    throw new ProxyError('usage', `Lines cannot be added to ${file} without changing what stands there`, {
      details: additions.flatMap(additionLines).map((line) => `| ${line}`),
      todo: 'write these yourself, and run setup again',
    });
  const faults = faultsIn(edit.bytes, file);
  if (faults.length > 0)
    throw new ProxyError('usage', 'The identity that was asked for is not complete', {
      // Places in a file that is not there yet would lead nowhere.
      details: faults.map((fault) => fault.replace(/^.*?:\d+:\d+: /, '')),
      todo: 'give each key with `--with KEY=VALUE`; docs/IDENTITIES.md tells what each kind takes',
    });
  return { file, former, edited: edit.bytes };
}

function additionsFor(standing: Standing, { way, hasSsh }: Wishes): { additions: SettingsAddition[]; identity: string | undefined } {
  const additions: SettingsAddition[] = [];
  const { settings } = standing.loaded;
  let identity: string | undefined;
  if (way !== undefined && standing.hasRoutes) {
    identity = settings.identities.find(
      ({ kind, name }) => kind === way.identity.kind && settings.routes.some((route) => route.identity === name),
    )?.name;
    if (identity === undefined)
      throw new ProxyError('usage', `The configuration has routes already, and none with an identity of kind ${way.identity.kind}`, {
        todo: `write the identity and its route into ${settings.file ?? 'the configuration'}, or leave --identity out`,
      });
  } else if (way !== undefined) {
    identity = settings.identities.find((each) => isSame(each, way.identity))?.name;
    if (identity === undefined) {
      identity = identityName(
        way.identity,
        settings.identities.map(({ name }) => name),
      );
      additions.push({ path: ['identities', identity], value: way.identity });
    }
    additions.push({ path: ['routes'], value: [{ match: 'dev.azure.com/**', identity }] });
  }
  const isOff = settings.listen.ssh.length === 0;
  if (hasSsh === false && !isOff) {
    if (standing.isSshSettled) throw sshSettled(standing, 'opens the SSH door');
    additions.push({ path: ['listen', 'ssh'], value: 'off' });
  }
  if (hasSsh === true && isOff) throw sshSettled(standing, 'switches the SSH door off');
  return { additions, identity };
}

function sshSettled({ loaded }: Standing, does: string): ProxyError {
  const origin = loaded.effective.find(({ path }) => path === 'listen.ssh')?.origin ?? 'the configuration';
  return new ProxyError('usage', `\`listen.ssh\` ${does} already (${origin})`, {
    todo: 'change it there, or leave --ssh and --no-ssh out',
  });
}

/** Whether an identity of the file is the one that would be written: of those that need no key, the kind says it all. */
function isSame({ kind, name }: IdentitySettings, wanted: WrittenIdentity): boolean {
  return name !== 'azure-cli' && isDeepStrictEqual({ kind }, wanted);
}

function withoutColon(from: number): (line: string, index: number) => string {
  return (line, index) => (index < from ? line : line.replace(/^(Would .*):$/, '$1'));
}
