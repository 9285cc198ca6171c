import { expect, it } from 'vitest';
import type { Life } from '../../../src/telemetry/house-view.js';
import { PROBES } from '../../../src/telemetry/probes.js';

const WELL: Life = { state: 'ready', unready: undefined, fault: undefined };

it.each<[what: string, life: Partial<Life>, startup: string, readiness: string, liveness: string]>([
  [
    'starts',
    { state: 'starting' },
    'NO not started: the listeners are being opened',
    'NO not ready: the listeners are being opened',
    'yes alive',
  ],
  ['is ready', {}, 'yes started', 'yes ready', 'yes alive'],
  ['drains', { state: 'draining' }, 'yes started', 'NO not ready: stopping, running operations may finish', 'yes alive'],
  ['may not begin anything', { unready: 'The audit is full' }, 'yes started', 'NO not ready: The audit is full', 'yes alive'],
  ['has lost a listener', { fault: 'a listener has closed' }, 'yes started', 'yes ready', 'NO not alive: a listener has closed'],
])('the probes of a daemon that %s', (_what, life, ...expected) => {
  const told = ['/startup', '/readiness', '/liveness'].map((path) => PROBES[path]?.({ ...WELL, ...life }));
  expect(told.map((answer) => `${answer?.isYes === true ? 'yes' : 'NO'} ${answer?.text ?? ''}`)).toEqual(expected);
});
