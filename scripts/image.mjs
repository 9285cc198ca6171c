/**
 * Puts together what the container image adds to its base (Dockerfile): the program, the packages that are not bundled into it,
 * and a directory for the state of whatever user the container runs as. In Node.js alone, so that a build stage without shell
 * and tools is enough.
 *
 *   node scripts/image.mjs DIRECTORY
 */
import { chmodSync, cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { buildProgram, EXTERNAL_PACKAGES } from './build.mjs';
import { LEFT_OUT, packagesOf } from './packages.mjs';

const [, , root] = process.argv;
if (root === undefined) throw new Error('Usage: node scripts/image.mjs DIRECTORY');
rmSync(root, { recursive: true, force: true });

const app = join(root, 'app');
await buildProgram(join(app, 'dist'), { sourcemap: false });
const { name, version, license, type } = JSON.parse(readFileSync('package.json', 'utf8'));
writeFileSync(join(app, 'package.json'), `${JSON.stringify({ name, version, license, type }, undefined, 2)}\n`);
cpSync('LICENSE', join(app, 'LICENSE'));
// What `postern explain` shows.
cpSync('docs/ERRORS.md', join(app, 'docs', 'ERRORS.md'));
for (const from of packagesOf(EXTERNAL_PACKAGES)) {
  const filter = (path) => path === from || !LEFT_OUT.test(relative(from, path));
  cpSync(from, join(app, from), { recursive: true, filter });
}

// So that `docker exec CONTAINER postern status` finds it; with a base that has no /usr/bin/env it is `node /app/dist/postern.js`.
mkdirSync(join(root, 'usr', 'local', 'bin'), { recursive: true });
symlinkSync('/app/dist/postern.js', join(root, 'usr', 'local', 'bin', 'postern'));

// Whoever the container runs as makes a directory of its own in here, which nobody else can enter; like /tmp.
openDirectory('var', 'lib', 'postern');
// And hands out leases here: an engine gives a new volume the mode of the directory that it is mounted over.
openDirectory('leases');
// The configuration is mounted here.
mkdirSync(join(root, 'etc', 'postern'), { recursive: true });

function openDirectory(...path) {
  const directory = join(root, ...path);
  mkdirSync(directory, { recursive: true });
  chmodSync(directory, 0o1777);
}
