import { describe, expect, it } from 'vitest';
import { commandTable } from '../../../../src/cli/completion/command-table.js';
import { complete, type ValuePlace } from '../../../../src/cli/completion/complete.js';

const table = commandTable();

async function words(...typed: string[]): Promise<string[]> {
  const found = await complete(table, typed, () => undefined);
  return found.kind === 'words' ? found.words.map(({ value }) => value) : [':files'];
}

async function asked(...typed: string[]): Promise<ValuePlace | undefined> {
  let place: ValuePlace | undefined;
  await complete(table, typed, (given) => {
    place = given;
    return undefined;
  });
  return place;
}

describe('commandTable()', () => {
  it('has every command that help shows, with its options', async () => {
    const all = await words('');
    for (const name of ['start', 'setup', 'doctor', 'lease', 'service', 'completion']) expect(all).toContain(name);
    const setup = table.commands.find(({ name }) => name === 'setup');
    expect(setup?.options.map(({ name }) => name)).toEqual(expect.arrayContaining(['org', 'yes', 'identity', 'config', 'listen-http']));
    expect(setup?.options.find(({ name }) => name === 'identity')?.takesValue).toBe(true);
    expect(setup?.options.find(({ name }) => name === 'yes')?.takesValue).toBe(false);
  });

  it('knows what is said to a command within a command', () => {
    const revoke = table.commands.find(({ name }) => name === 'lease')?.commands.find(({ name }) => name === 'revoke');
    expect(revoke?.positionals).toEqual(['id']);
    expect(revoke?.describe).toContain('End leases');
  });
});

describe('complete()', () => {
  it.each([
    [['le'], ['lease']],
    [['lease', 'cr'], ['create']],
    [
      ['setup', '--no-'],
      ['--no-ssh', '--no-service'],
    ],
    [['stop', '--no'], ['--no-wait']],
    [['setup', '--yes', '--ye'], []],
    [['nonsense', 'x', 'y'], []],
    [['exec', '--', 'git', 'sta'], [':files']],
    [['setup', '--org', 'contoso', '--undo', '--sys'], ['--system']],
  ])('of %j gives %j', async (typed, wanted) => {
    expect(await words(...typed)).toEqual(wanted);
  });

  it.each([
    [['setup', '--identity', 'az'], { command: 'setup', name: 'identity', isOption: true, begun: 'az' }],
    [['setup', '--identity=az'], { command: 'setup', name: 'identity', isOption: true, begun: 'az' }],
    [['login', 'm'], { command: 'login', name: 'identity', isOption: false, begun: 'm' }],
    [['lease', 'revoke', 'a', 'b'], { command: 'lease revoke', name: 'id', isOption: false, begun: 'b' }],
    [['login', '--json', 'm'], { command: 'login', name: 'identity', isOption: false, begun: 'm' }],
    [['doctor', 'https'], { command: 'doctor', name: 'url', isOption: false, begun: 'https' }],
    [['login', 'me', 'm'], undefined],
  ])('of %j asks for values of %j', async (typed, place) => {
    expect(await asked(...typed)).toEqual(place);
  });
});
