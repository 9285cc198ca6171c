/** Git over the SSH way up: real git, real sshd, real ssh-agent. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AgentStage, openAgentStage } from './agent-rig.js';

let stage: AgentStage;

beforeAll(async () => {
  stage = await openAgentStage();
  const { rig } = stage;
  await rig.git('init', '-q', '--bare', 'team/tools.git');
  await rig.git('clone', '-q', 'team/tools.git', 'seed');
  writeFileSync(join(rig.folder, 'seed', 'a.txt'), 'a\n');
  await rig.git('-C', 'seed', 'add', '.');
  await rig.git('-C', 'seed', 'commit', '-qm', 'first');
  await rig.git('-C', 'seed', 'push', '-q', 'origin', 'main');
});

afterAll(() => stage.close());

describe('agentCarrier()', () => {
  it('carries a clone, a push, and a fetch over one connection', async () => {
    const { rig, sshd } = stage;
    const before = await sshd.connections();
    await rig.git('clone', '-q', rig.url('/team/tools.git'), 'clone');
    writeFileSync(join(rig.folder, 'clone', 'b.txt'), 'b\n');
    await rig.git('-C', 'clone', 'add', '.');
    await rig.git('-C', 'clone', 'commit', '-qm', 'second');
    await rig.git('-C', 'clone', 'push', '-q', 'origin', 'HEAD:refs/heads/more');
    await rig.git('-C', 'clone', 'fetch', '-q', 'origin');
    expect(await rig.git('-C', 'team/tools.git', 'rev-parse', 'more')).toBe(await rig.git('-C', 'clone', 'rev-parse', 'HEAD'));
    expect(rig.carried).toEqual(Array.from({ length: 3 }, () => ({ kind: 'passed', exitCode: 0 })));
    expect((await sshd.connections()) - before).toBe(1);
  });
});
