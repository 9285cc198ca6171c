/** Questions on the terminal, by Inquirer's prompts: see docs/decisions/0031-prompts.md. */
import confirm from '@inquirer/confirm';
import input from '@inquirer/input';
import select from '@inquirer/select';
import { type Asker, Interrupted } from './asker.js';

/** What the library throws when a prompt is left: by Ctrl-C, and when the input ends. */
const LEFT: ReadonlySet<string> = new Set(['ExitPromptError', 'AbortPromptError', 'CancelPromptError']);

export function terminalAsker(): Asker {
  return {
    text: ({ message, otherwise, check }) =>
      asked(input({ message, ...(otherwise === '' ? {} : { default: otherwise }), validate: (answer) => check(answer) ?? true })),
    choose: (message, choices) =>
      asked(
        select({
          message,
          loop: false,
          choices: choices.map(({ value, name, description }) => ({
            value,
            name,
            short: name,
            ...(description === undefined ? {} : { description }),
          })),
        }),
      ),
    confirm: (message, otherwise) => asked(confirm({ message, default: otherwise })),
  };
}

async function asked<T>(prompt: Promise<T>): Promise<T> {
  try {
    return await prompt;
  } catch (thrown) {
    if (thrown instanceof Error && LEFT.has(thrown.name)) throw new Interrupted('the question was left', { cause: thrown });
    throw thrown;
  }
}
