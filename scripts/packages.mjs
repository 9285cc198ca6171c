/** The packages that are not bundled into the program, as far as it needs them where it is installed. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** Of a package only what runs, and its licence. Native parts are those of the build stage's system, which may be another. */
export const LEFT_OUT =
  /(^|\/)(test|tests|examples|util|build|\.[^/]*)(\/|$)|\.(md|d\.ts|min\.js|node)$|(^|\/)(tests\.js|install\.js|Jenkinsfile)$/i;

/** Directories of packages and of all that they need, without what is optional; as npm lays them out (require.resolve). */
export function packagesOf(names, from = '.', found = new Set()) {
  for (const wanted of names) {
    const directory = [from, '.'].map((base) => join(base, 'node_modules', wanted)).find((path) => existsSync(path));
    if (directory === undefined) throw new Error(`${basename(from)} needs ${wanted}, which is not installed`);
    if (found.has(directory)) continue;
    found.add(directory);
    const { dependencies = {} } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    packagesOf(Object.keys(dependencies), directory, found);
  }
  return found;
}
