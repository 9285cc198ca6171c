/** Everything in the repository that is made from the source, as it has to be. */
import { settingsJsonSchema } from '../../src/config/file-schema.js';
import { writeCliReference } from './cli-reference.js';
import { writeConfigReference } from './config-reference.js';

/** Text by path from the root. */
export function writtenFiles(): ReadonlyMap<string, string> {
  const schema = settingsJsonSchema();
  return new Map([
    ['config/postern.schema.json', `${JSON.stringify(schema, null, 2)}\n`],
    ['docs/CONFIGURATION.md', writeConfigReference(schema)],
    ['docs/CLI.md', writeCliReference()],
  ]);
}
