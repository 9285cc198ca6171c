/**
 * Writes config/postern.schema.json from the schema in the source. Run it after a change of a key:
 *
 *   node_modules/.bin/esbuild scripts/write-schema.ts --bundle --platform=node --format=esm --packages=external \
 *     --outfile=build/write-schema.mjs && node build/write-schema.mjs
 */
import { writeFile } from 'node:fs/promises';
import { settingsJsonSchema } from '../src/config/file-schema.js';

await writeFile('config/postern.schema.json', `${JSON.stringify(settingsJsonSchema(), null, 2)}\n`);
