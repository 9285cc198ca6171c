/**
 * Makes a checkout ready: installs what is missing and builds what is older than its sources. Quick when there is
 * nothing to do, so every script may begin with it. Uses nothing but Node's own modules until the packages are there.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
process.chdir(root);

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`Postern needs Node.js 20.19 or newer; this is ${process.versions.node}`);
  process.exit(2);
}

installPackages();
// The image builds from the packages in a way of its own.
if (!process.argv.includes('--packages')) await build();

/**
 * `npm ci` when node_modules is not what the lock file says. No package's install script runs: the only ones compile
 * optional native parts, which would need a compiler and Node's headers, and nothing here depends on them.
 */
function installPackages() {
  const marker = 'node_modules/.postern-lock';
  const wanted = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return;
  // npm would empty what the link leads to, which is somebody else's.
  if (lstatSync('node_modules', { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    console.error('node_modules is a link to packages of another lock file: remove the link, and they are installed here');
    process.exit(1);
  }
  console.error('Installing packages (once)');
  const npm = spawnSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], { stdio: ['ignore', 2, 2] });
  if (npm.status !== 0) {
    console.error(npm.error?.code === 'ENOENT' ? 'npm was not found: install Node.js with npm' : 'npm ci failed; its output stands above');
    process.exit(1);
  }
  writeFileSync(marker, wanted);
}

/** Builds dist/ (the program) and build/ (demo, emulator, bench) when their sources have changed. */
async function build() {
  const marker = 'build/.sources';
  const wanted = fingerprint([
    'src',
    'assets',
    'test/azure',
    'test/support',
    'test/e2e/container-stage.ts',
    'test/e2e/container-addresses.ts',
    'test/e2e/image-stage.ts',
    'test/e2e/first-run-stage.ts',
    'test/e2e/first-run-plays.ts',
    'scripts',
    'demo',
    'bench',
    'package-lock.json',
    'tsconfig.json',
  ]);
  if (!process.argv.includes('--build') && existsSync(marker) && existsSync('dist/postern.js') && readFileSync(marker, 'utf8') === wanted)
    return;
  const { buildProgram, buildTools } = await import('./build.mjs');
  await buildProgram();
  await buildTools();
  mkdirSync('build', { recursive: true });
  writeFileSync(marker, wanted);
}

function fingerprint(paths) {
  const hash = createHash('sha256').update(process.versions.node);
  const visit = (path) => {
    if (!existsSync(path)) return;
    const found = statSync(path);
    if (found.isDirectory()) for (const name of readdirSync(path).sort()) visit(join(path, name));
    else hash.update(`${path}\0`).update(readFileSync(path));
  };
  paths.forEach(visit);
  return hash.digest('hex');
}
