/** The reader of shell that the tests of pages rest on. */
import { expect, test } from 'vitest';
import { callsIn, commandsIn } from '../support/shell-calls.js';

test.each<[shell: string, calls: string[][]]>([
  ['postern status', [['status']]],
  ['postern repos contoso   # a remark; postern nothing', [['repos', 'contoso']]],
  [
    "postern lease create --repo 'contoso/**' \\\n  --for 2h > job.env && postern wait",
    [['lease', 'create', '--repo', 'contoso/**', '--for', '2h'], ['wait']],
  ],
  ['eval "$(postern env --format sh)"', [['env', '--format', 'sh']]],
  ['X=$(postern status --json | jq .pid)', [['status', '--json']]],
  ['A=1 sudo -u postern postern lease list', [['lease', 'list']]],
  ['sudo -n -u postern postern-lease dotenv', []],
  ['docker exec postern postern status', [['status']]],
  ['docker build -t postern .', []],
  ['docker run -d --name postern -v postern:/var/lib/postern postern', []],
  ['kubectl -n build exec deploy/postern -- postern lease revoke ID', [['lease', 'revoke', 'ID']]],
  ['kubectl create secret generic postern', []],
  ['if postern wait; then postern reload; fi', [['wait'], ['reload']]],
  ['(postern stop; cd postern)', [['stop']]],
  ['postern start 2>&1 >/dev/null &\npostern wait', [['start'], ['wait']]],
  ['cat <<EOF | postern lease explain -\npostern nothing\nEOF\npostern stop', [['lease', 'explain', '-'], ['stop']]],
  ['sh -c \'postern x\' "a \\" postern y"', []],
  ['/usr/bin/node /app/dist/postern.js start', []],
  ['node /app/dist/postern.js start', [['start']]],
])('callsIn(%j)', (shell, calls) => {
  expect(callsIn(shell)).toEqual(calls);
});

test('commandsIn() keeps what stands in quotes together', () => {
  expect(commandsIn('printf \'%s %s\\n\' "$(a b)" c\\ d|x')).toEqual([['printf', '%s %s\\n', '$()', 'c d'], ['x'], ['a', 'b']]);
});
