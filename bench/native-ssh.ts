/**
 * The program once more, with ssh2's native part compiled for this Node.js beside it. No package's install script runs in the
 * checkout, so without this everything is JavaScript.
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PROGRAM } from '../test/support/scene.js';

/** Where ssh2 looks for it. */
const BUILT = 'lib/protocol/crypto/build/Release/sshcrypto.node';
const BUILD_MS = 120_000;

export type NativeBuild = { readonly kind: 'built'; readonly program: string } | { readonly kind: 'none'; readonly why: string };

/** Copies the program and the packages that it needs into `directory` and compiles there. Nothing is fetched. */
export async function buildNative(directory: string): Promise<NativeBuild> {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  if (!existsSync(join(prefix, 'include', 'node', 'node.h')))
    return { kind: 'none', why: `there are no headers of Node.js below ${prefix}` };
  const gyp = findGyp();
  if (gyp === undefined) return { kind: 'none', why: 'there is no npm with node-gyp in it' };
  const root = dirname(dirname(PROGRAM));
  await mkdir(directory, { recursive: true });
  await cp(dirname(PROGRAM), join(directory, 'dist'), { recursive: true });
  await cp(join(root, 'package.json'), join(directory, 'package.json'));
  for (const name of needed(root, 'ssh2'))
    await cp(join(root, 'node_modules', name), join(directory, 'node_modules', name), { recursive: true });
  const ssh2 = join(directory, 'node_modules', 'ssh2');
  const openssl = /^\d+/.exec(process.versions.openssl)?.[0] ?? '';
  try {
    const args = [gyp, 'rebuild', `--nodedir=${prefix}`, `--target=${process.version}`, `--real_openssl_major=${openssl}`];
    await promisify(execFile)(process.execPath, args, { cwd: join(ssh2, 'lib', 'protocol', 'crypto'), timeout: BUILD_MS });
    // One that cannot be loaded would be passed over in silence.
    await promisify(execFile)(process.execPath, ['-e', `require(${JSON.stringify(join(ssh2, BUILT))})`]);
  } catch (thrown) {
    const text = thrown instanceof Error ? ((thrown as Error & { stderr?: string }).stderr ?? thrown.message) : String(thrown); // as execFile fails
    return { kind: 'none', why: text.trim().split('\n').at(-1) ?? '' };
  }
  return { kind: 'built', program: join(directory, 'dist', 'postern.js') };
}

/** The package, and what it asks for in turn as far as it is installed. */
function needed(root: string, name: string, found = new Set<string>()): Set<string> {
  const file = join(root, 'node_modules', name, 'package.json');
  if (found.has(name) || !existsSync(file)) return found;
  found.add(name);
  const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(file, 'utf8')) as Record<
    string,
    Record<string, string> | undefined
  >; // as npm writes it
  for (const next of Object.keys({ ...dependencies, ...optionalDependencies })) needed(root, next, found);
  return found;
}

function findGyp(): string | undefined {
  for (const place of (process.env['PATH'] ?? '').split(delimiter)) {
    if (!existsSync(join(place, 'npm'))) continue;
    const gyp = join(dirname(realpathSync(join(place, 'npm'))), '..', 'node_modules', 'node-gyp', 'bin', 'node-gyp.js');
    if (existsSync(gyp)) return gyp;
  }
  return undefined;
}
