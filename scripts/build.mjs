/**
 * Builds the program into dist/: one entry and shared chunks, so that what a command does not use is not loaded. The
 * token library in particular is a chunk of its own and costs nothing before the first token.
 */
import { chmodSync, cpSync, existsSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

/** CommonJS packages inside an ES module bundle call require for Node's own modules. */
export const REQUIRE_BANNER =
  "import { createRequire as __postern_require } from 'node:module'; const require = __postern_require(import.meta.url);";

/** Packages that are not bundled: ssh2 finds its optional native part beside itself, so it stays where it was installed. */
export const EXTERNAL_PACKAGES = ['ssh2'];

/** `sourcemap`: whether maps are written beside the program, for whoever debugs it. */
export async function buildProgram(outdir = 'dist', { sourcemap = true } = {}) {
  rmSync(outdir, { recursive: true, force: true });
  await build({
    entryPoints: { postern: 'src/cli/postern.ts' },
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minify: true,
    sourcemap: sourcemap ? 'linked' : false,
    legalComments: 'linked',
    chunkNames: 'chunks/[name]-[hash]',
    banner: { js: REQUIRE_BANNER },
    logLevel: 'warning',
    // An optional native part of winston's colours and the like is never needed.
    external: ['*.node', ...EXTERNAL_PACKAGES],
  });
  chmodSync(`${outdir}/postern.js`, 0o755);
  await buildPage(`${outdir}/page`);
}

/** What the status page is made of: one script, and what stands beside it. */
async function buildPage(outdir) {
  await build({
    entryPoints: { page: 'assets/page/page.ts' },
    outdir,
    bundle: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    minify: true,
    logLevel: 'warning',
  });
  for (const name of ['page.html', 'page.css', 'icon.svg']) cpSync(`assets/page/${name}`, `${outdir}/${name}`);
}

/** Programs of the repository that are no part of the package, by the file they begin with. */
const TOOLS = {
  emulator: 'test/azure/main.ts',
  demo: 'demo/demo.ts',
  bench: 'bench/bench.ts',
  soak: 'bench/soak.ts',
  'container-stage': 'test/e2e/container-stage.ts',
  'image-stage': 'test/e2e/image-stage.ts',
  'first-run-stage': 'test/e2e/first-run-stage.ts',
  'doc-stage': 'test/support/doc-stage.ts',
  'write-docs': 'scripts/write-docs.ts',
};

export async function buildTools(outdir = 'build') {
  const entryPoints = Object.fromEntries(Object.entries(TOOLS).filter(([, file]) => existsSync(file)));
  await build({
    entryPoints,
    outdir,
    outExtension: { '.js': '.mjs' },
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    packages: 'external',
    keepNames: true,
    sourcemap: 'inline',
    logLevel: 'warning',
  });
}

if (import.meta.url === `file://${process.argv[1]}`) {
  await buildProgram();
  await buildTools();
}
