/** Runs setup or undo and dies at the stage it is told: argv = setup|undo, stage, options as JSON. */
import { setup, type SetupOptions } from '../../src/cli/gitconfig/setup.js';
import { undo } from '../../src/cli/gitconfig/undo.js';

const [command, fatal, json = ''] = process.argv.slice(2);
const options: SetupOptions = {
  ...(JSON.parse(json) as Omit<SetupOptions, 'print'>),
  print: () => undefined,
  onStage: (stage) => {
    if (stage === fatal) process.kill(process.pid, 'SIGKILL');
  },
};
await (command === 'setup' ? setup(options) : undo(options));
