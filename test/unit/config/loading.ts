/** Loads a configuration from text in a folder of its own that goes away with the test. Knows nothing of what is right. */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { ProxyError } from '../../../src/model/errors.js';
import { loadSettings } from '../../../src/config/load-settings.js';
import type { LoadedSettings, LoadRequest } from '../../../src/config/load-settings.js';

export function newFolder(): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'postern-config-')));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A request of a user with an empty home and environment. */
export function request(over: Partial<LoadRequest> = {}): LoadRequest {
  return { file: undefined, system: false, environment: {}, flags: {}, home: '/nowhere', workingDirectory: '/', ...over };
}

/** Loads a file with this text; the place of the file in all answers is `F`. */
export async function load(text: string | Uint8Array, over: Partial<LoadRequest> = {}): Promise<LoadedSettings> {
  const file = join(newFolder(), 'config.yaml');
  writeFileSync(file, text);
  const loaded = await loadSettings(request({ file, ...over }));
  const short = (line: string): string => line.replaceAll(file, 'F');
  return {
    settings: loaded.settings,
    effective: loaded.effective.map((value) => ({ ...value, origin: short(value.origin) })),
    warnings: loaded.warnings.map(short),
  };
}

/** The lines of faults of a file with this text, which must have some. */
export async function faultsOf(text: string | Uint8Array, over: Partial<LoadRequest> = {}): Promise<string[]> {
  const file = join(newFolder(), 'config.yaml');
  writeFileSync(file, text);
  try {
    await loadSettings(request({ file, ...over }));
  } catch (thrown) {
    if (!(thrown instanceof ProxyError) || thrown.code !== 'config-invalid') throw thrown;
    return thrown.details.map((line) => line.replaceAll(file, 'F'));
  }
  throw new Error('The configuration was accepted');
}
