/** What is done on the stage of the first run: each play gives the screens that were seen, and what is there at its end. */
import type { FirstRunStage } from './first-run-stage.js';
import { KEYS } from '../support/terminal.js';

export type Play = (stage: FirstRunStage) => Promise<Readonly<Record<string, unknown>>>;

export const PLAYS: Readonly<Record<string, Play>> = {
  /** Every question answered with Enter, and a daemon that somebody has started. */
  async enter(stage) {
    await stage.daemon();
    const terminal = stage.terminal(['setup']);
    const screens = [];
    await terminal.shows('organisations');
    screens.push(terminal.screen.text);
    terminal.press(`contoso${KEYS.enter}`);
    screens.push(await terminal.shows('How do you sign in'));
    terminal.press(KEYS.enter);
    screens.push(await terminal.shows('SSH remotes too'));
    terminal.press(KEYS.enter);
    screens.push(await terminal.shows('Do all of this?'));
    terminal.press(KEYS.enter);
    const code = await terminal.ended;
    return { code, screens, whole: terminal.screen.everything, files: await stage.files() };
  },
};
