/**
 * Writes what is made from the source: the JSON Schema of the configuration, and the references of configuration and commands. Run by
 * `npm run docs`, after a change of a key or a command.
 */
import { writeFile } from 'node:fs/promises';
import { writtenFiles } from './docs/written-files.js';

for (const [file, text] of writtenFiles()) await writeFile(file, text);
