/**
 * The one way to a configuration: finds the file, checks everything, puts flags and environment over it, and tells where each
 * value came from. Precedence for each value: flag > environment > file > default. Has no effect but reading one file.
 */
import { dirname } from 'node:path';
import { ProxyError } from '../model/errors.js';
import type { Settings } from '../model/settings.js';
import { accessWarnings, readAccess } from './access-settings.js';
import type { EffectiveValue } from './effective-value.js';
import { asMap, outside, ownValue, writeFaults, writeKeyPath } from './fault.js';
import type { Fault, Place } from './fault.js';
import { fileFaults } from './file-schema.js';
import { fileSettings } from './file-settings.js';
import { readLfs } from './lfs-settings.js';
import { listenPieces } from './listen-address.js';
import { readNames } from './listen-names.js';
import { readTls } from './listen-tls.js';
import { outsideFaults } from './outside-settings.js';
import { flagOf, SCALARS, variableOf } from './scalar-settings.js';
import type { Scalar, ScalarPath, ScalarValue } from './scalar-settings.js';
import { absolutePath, readSettingsFile } from './settings-file.js';
import type { Surroundings } from './settings-file.js';
import { NO_SOURCE, readSettingsSource } from './settings-source.js';
import type { SettingsSource } from './settings-source.js';
import { wholeFaults } from './whole-faults.js';

export interface LoadRequest extends Surroundings {
  /** Settings given as flags, by key path: `{ 'log.level': 'debug' }`. */
  readonly flags: Readonly<Record<string, string>>;
}

export interface LoadedSettings {
  readonly settings: Settings;
  /** Every value in force: settings with one value first, then identities, then routes. */
  readonly effective: readonly EffectiveValue[];
  /** What is probably not meant, one line each, in the form of a fault. */
  readonly warnings: readonly string[];
}

/**
 * Loads the configuration.
 *
 * @throws {ProxyError} `config-unreadable` when a named file cannot be read; `config-invalid` with one line per fault in
 * `details`, in file order, those of flags and environment last: `FILE:LINE:COL: key.path: what is wrong; what would be right`.
 *
 * @example
 * const { settings } = await loadSettings({
 *   file: undefined, system: false, flags: { 'log.level': 'debug' },
 *   environment: process.env, home: homedir(), workingDirectory: process.cwd(),
 * });
 */
export async function loadSettings(request: LoadRequest): Promise<LoadedSettings> {
  const file = await readSettingsFile(request);
  const source = file === undefined ? NO_SOURCE : readSettingsSource(file.bytes, file.path);
  const faults: Fault[] = [...source.faults, ...outsideFaults(source, request)];
  const warnings: Fault[] = [];
  if (source.readable) {
    for (const { path, on, text } of fileFaults(source.raw)) faults.push({ place: source.place(path, on), path: writeKeyPath(path), text });
    const whole = wholeFaults(source);
    faults.push(...whole.faults);
    warnings.push(...whole.warnings);
  }

  const effective: EffectiveValue[] = [];
  const pick = <Path extends ScalarPath>(path: Path): { value: ScalarValue<Path>; place: Place } => {
    // The table pairs each path with its parser; TypeScript cannot follow that through an index.
    const setting = SCALARS[path] as unknown as Scalar<ScalarValue<Path>>;
    const picked = pickScalar(path, setting, source, request);
    effective.push({ path, value: setting.show(picked.value), origin: picked.place.text });
    return picked;
  };
  const http = pick('listen.http').value;
  const ssh = pick('listen.ssh').value;
  const access = { local: pick('access.local'), remote: pick('access.remote') };
  const min = pick('drain.min');
  const max = pick('drain.max');
  const log = { level: pick('log.level').value, format: pick('log.format').value, operations: pick('log.operations').value };
  const limits = { connections: pick('limits.connections').value, operations: pick('limits.operations').value };
  const telemetry = { listen: pick('telemetry.listen').value };
  const timeouts = { connect: pick('timeouts.connect').value, stall: pick('timeouts.stall').value, token: pick('timeouts.token').value };
  if (min.value > max.value) {
    const asked = min.place.text === 'default' ? max : min;
    const path = asked === min ? 'drain.min' : 'drain.max';
    faults.push({ place: asked.place, path, text: 'the drain ends before it begins; make `drain.min` at most `drain.max`' });
  }

  if (faults.length > 0) throw invalid(file?.path, faults);
  const { names, effective: shownNames } = readNames(source);
  effective.splice(1, 0, shownNames);
  const { uids, keys, effective: shownAccess } = readAccess(source);
  effective.splice(effective.findIndex(({ path }) => path === 'access.remote') + 1, 0, ...shownAccess);
  warnings.push(...accessWarnings({ ...access, uids, uidsPlace: source.place(['access', 'uids']) }));
  const folder = file === undefined ? request.workingDirectory : dirname(file.path);
  const resolve = (path: string): string => absolutePath(path, folder, request.home);
  const rest = fileSettings(source, resolve);
  const secure = readTls(source, http, resolve);
  const lfs = readLfs(source);
  effective.splice(1, 0, secure.effective);
  return {
    settings: {
      file: file?.path,
      listen: { http, ssh, names, tls: secure.tls },
      access: {
        local: access.local.value,
        remote: access.remote.value,
        uids,
        keys,
        leaseKey: rest.leaseKey,
        revocations: rest.revocations,
      },
      audit: rest.audit,
      identities: rest.identities,
      routes: rest.routes,
      drain: { min: min.value, max: max.value },
      timeouts,
      lfs: { hosts: lfs.hosts },
      limits,
      telemetry,
      log,
    },
    effective: [...effective, lfs.effective, ...rest.effective],
    warnings: writeFaults(warnings),
  };
}

/** The value in force of a setting that has one value. A source with a fault, which is told elsewhere, is passed over. */
function pickScalar<Value>(
  path: ScalarPath,
  setting: Scalar<Value>,
  source: SettingsSource,
  request: LoadRequest,
): { value: Value; place: Place } {
  const keys = path.split('.');
  const variable = variableOf(path);
  const given: (readonly [text: string | undefined, place: () => Place])[] = [
    [ownText(request.flags, path), () => outside(`flag ${flagOf(path)}`)],
    [ownText(request.environment, variable), () => outside(`environment ${variable}`)],
    [fileText(source.raw, keys), () => source.place(keys)],
  ];
  for (const [text, place] of given) {
    if (text === undefined) continue;
    try {
      return { value: setting.parse(text), place: place() };
    } catch (thrown) {
      if (!(thrown instanceof SyntaxError)) throw thrown;
    }
  }
  return { value: setting.parse(setting.fallback), place: outside('default') };
}

/** An empty variable counts as none, which is what a shell and a unit file can say. */
function ownText(record: Readonly<Record<string, string | undefined>>, key: string): string | undefined {
  const text = ownValue(record, key);
  return typeof text === 'string' && text !== '' ? text : undefined;
}

/** A file's value as it would stand in a variable. */
function fileText(raw: unknown, [section = '', key = '']: readonly string[]): string | undefined {
  const value = ownValue(asMap(ownValue(asMap(raw), section)), key);
  if (section === 'telemetry' && Array.isArray(value)) return value.map(String).join(',');
  // A count is a number in YAML.
  if (section !== 'listen') return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
  return listenPieces(value)
    ?.map((piece) => String(piece.value))
    .join(',');
}

function invalid(file: string | undefined, faults: readonly Fault[]): ProxyError {
  const count = faults.length === 1 ? 'a fault' : `${String(faults.length)} faults`;
  const where = file === undefined ? 'The configuration' : `The configuration ${file}`;
  return new ProxyError('config-invalid', `${where} has ${count}`, {
    details: writeFaults(faults),
    todo: 'Correct each of them; `postern config check` looks again without starting anything',
  });
}
