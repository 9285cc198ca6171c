import { describe, expect, it } from 'vitest';
import { browserCommand } from '../../../src/cli/open-browser.js';

const ADDRESS = 'https://login.example.com/?a=1&b=$(touch x);%20';

describe('browserCommand()', () => {
  it.each<[string, Record<string, string>, NodeJS.Platform, readonly string[] | undefined]>([
    ['BROWSER before all', { BROWSER: 'firefox', DISPLAY: ':0' }, 'linux', ['firefox', ADDRESS]],
    ['the first of a list', { BROWSER: 'w3m -no-cookie:lynx' }, 'linux', ['w3m', '-no-cookie', ADDRESS]],
    ['a place for the address', { BROWSER: 'open-in --url=%s -q' }, 'linux', ['open-in', `--url=${ADDRESS}`, '-q']],
    ['an empty BROWSER is none', { BROWSER: '', DISPLAY: ':0' }, 'linux', ['xdg-open', ADDRESS]],
    ['the desktop', { WAYLAND_DISPLAY: 'wayland-0' }, 'linux', ['xdg-open', ADDRESS]],
    ['no display', { DISPLAY: '' }, 'linux', undefined],
    ['macOS', {}, 'darwin', ['open', ADDRESS]],
  ])('%s', (_, environment, platform, command) => {
    expect(browserCommand(ADDRESS, environment, platform)).toEqual(command);
  });
});
