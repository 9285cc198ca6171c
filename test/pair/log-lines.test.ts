/** A line of the log for a person is one line, and a terminal acts on nothing in it, whoever wrote the text. */
import { expect, test } from 'vitest';
import { openLog } from '../../src/daemon/log.js';

test.each(['human', 'json'] as const)('openLog() %s: controls are written out', async (format) => {
  const write = process.stderr.write.bind(process.stderr);
  let text = '';
  process.stderr.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
    text += chunk.toString();
    const done = rest.findLast((each) => typeof each === 'function') as (() => void) | undefined; // because a callback comes last
    done?.();
    return true;
  }; // because of its overloads
  try {
    const log = openLog({ level: 'debug', format });
    log.log('info', 'ready', { a: 'x\u001b[31my', b: 'x\u009b31my', c: 'two\nlines\u0085', d: 'x\u202ey' });
    await log.close();
  } finally {
    process.stderr.write = write;
  }
  expect(text.split('\n')).toHaveLength(2);
  expect(text).toContain('\\u001b[31m');
  expect(text.slice(0, -1)).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
});
