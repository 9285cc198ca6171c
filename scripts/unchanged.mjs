/** Fails when a run has changed or left files in the tree. */
import { execFileSync } from 'node:child_process';

const before = process.env['POSTERN_TREE'] ?? '';
const now = execFileSync('git', ['status', '--porcelain'], { encoding: 'utf8' });
if (process.env['CI'] === 'true' && now !== before) {
  console.error(`The run changed the tree:\n${now}`);
  process.exit(1);
}
