/**
 * Installs what was built as a program of this machine: PREFIX/lib/postern with the files of the package, and PREFIX/bin/postern, which
 * leads there. The few packages that the program needs beside dist/ are copied from this checkout, so nothing is downloaded and no install
 * script runs. An older installation is replaced in one step, and a daemon that runs from it goes on until it is started anew.
 *
 *   npm run install-to -- ~/.local
 *   sudo node scripts/install-to.mjs /usr/local      after `npm run build`
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { delimiter, isAbsolute, join, relative, resolve } from 'node:path';
import { EXTERNAL_PACKAGES } from './build.mjs';
import { LEFT_OUT, packagesOf } from './packages.mjs';

const root = join(import.meta.dirname, '..');
const PROGRAM = join('dist', 'postern.js');

const [prefixGiven, ...more] = process.argv.slice(2);
if (prefixGiven === undefined || prefixGiven.startsWith('-') || more.length > 0) {
  console.error('Usage: npm run install-to -- PREFIX     such as ~/.local, or /usr/local as root');
  process.exit(2);
}
if (!existsSync(join(root, PROGRAM))) {
  console.error('There is nothing built: run `npm run build` first');
  process.exit(1);
}

// Paths of packages are from the root.
const prefix = resolve(prefixGiven);
process.chdir(root);
// For every user of a machine-wide prefix, whatever root's umask is; a program is no secret.
process.umask(0o022);

const place = join(prefix, 'lib', 'postern');
const link = join(prefix, 'bin', 'postern');
// Relative, so that the prefix can be moved or packed as a whole.
const target = join('..', 'lib', 'postern', PROGRAM);
try {
  refuseForeign();
  install();
} catch (fault) {
  const isDenied = fault.code === 'EACCES' || fault.code === 'EPERM' || fault.code === 'EROFS';
  console.error(
    isDenied ? `${fault.path ?? prefix} cannot be written: use a prefix of your own, such as ~/.local, or sudo` : fault.message,
  );
  process.exit(1);
}
tell();

/** What somebody else put there stays. */
function refuseForeign() {
  const found = lstatSync(link, { throwIfNoEntry: false });
  if (found !== undefined && !(found.isSymbolicLink() && readlinkSync(link) === target))
    throw new Error(`${link} is there already and was not made by this: remove it first`);
  if (existsSync(place) && !existsSync(join(place, PROGRAM)))
    throw new Error(`${place} is there already and holds no Postern: remove it first`);
}

function install() {
  const { files } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const [fresh, former] = [`${place}.new`, `${place}.old`];
  for (const left of [fresh, former]) rmSync(left, { recursive: true, force: true });
  mkdirSync(join(prefix, 'bin'), { recursive: true });
  mkdirSync(fresh, { recursive: true });
  for (const name of ['package.json', ...files]) cpSync(join(root, name), join(fresh, name), { recursive: true });
  for (const from of packagesOf(EXTERNAL_PACKAGES)) {
    const filter = (path) => path === from || !LEFT_OUT.test(relative(from, path));
    cpSync(from, join(fresh, from), { recursive: true, filter });
  }
  openToAll(fresh);
  if (existsSync(place)) renameSync(place, former);
  renameSync(fresh, place);
  rmSync(former, { recursive: true, force: true });
  if (lstatSync(link, { throwIfNoEntry: false }) === undefined) symlinkSync(target, link);
}

/** A copy has the modes of the checkout, which may be closed to everybody but its owner, or open to writers. */
function openToAll(directory) {
  chmodSync(directory, 0o755);
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) openToAll(path);
    else if (entry.isFile()) chmodSync(path, (lstatSync(path).mode & 0o100) === 0 ? 0o644 : 0o755);
  }
}

function tell() {
  const { version } = JSON.parse(readFileSync(join(place, 'package.json'), 'utf8'));
  console.log(`Postern ${version} is in ${place}, as ${link}`);
  const directories = (process.env.PATH ?? '').split(delimiter).filter((each) => isAbsolute(each));
  if (!directories.some((each) => resolve(each) === join(prefix, 'bin')))
    console.log(`${join(prefix, 'bin')} is not on your PATH. For this shell:  export PATH="${join(prefix, 'bin')}:$PATH"`);
  console.log('Next: postern setup');
}
