import { describe, expect, it } from 'vitest';

import { placesFor } from '../../../../src/cli/gitconfig/places.js';

const home = '/nowhere/jane';

describe('placesFor()', () => {
  it('goes by the home when nothing else is said', async () => {
    expect(await placesFor({ env: {}, home })).toEqual({
      config: `${home}/.gitconfig`,
      owned: `${home}/.config/postern/gitconfig`,
      journal: `${home}/.local/state/postern/setup.json`,
      knownHosts: `${home}/.ssh/known_hosts`,
      system: false,
    });
  });

  it('ignores XDG directories that are not absolute, as their specification says', async () => {
    const places = await placesFor({ env: { XDG_CONFIG_HOME: 'x', XDG_STATE_HOME: '' }, home });
    expect([places.owned, places.journal]).toEqual([`${home}/.config/postern/gitconfig`, `${home}/.local/state/postern/setup.json`]);
  });

  it.each(['relative', ''])('refuses GIT_CONFIG_GLOBAL and GIT_CONFIG_SYSTEM of %j', async (path) => {
    await expect(placesFor({ env: { GIT_CONFIG_GLOBAL: path }, home })).rejects.toMatchObject({ code: 'git-config' });
    await expect(placesFor({ env: { GIT_CONFIG_SYSTEM: path }, home, system: true })).rejects.toMatchObject({ code: 'git-config' });
  });

  it('takes the usual places of the machine', async () => {
    expect(await placesFor({ env: {}, home, system: true })).toEqual({
      config: '/etc/gitconfig',
      owned: '/etc/postern/gitconfig',
      journal: '/var/lib/postern/setup.json',
      knownHosts: '/etc/ssh/ssh_known_hosts',
      system: true,
    });
  });
});
