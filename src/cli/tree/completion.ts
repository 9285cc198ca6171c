/** The command that has shells complete the others. */
import type { Run, Tree } from './words.js';

export function addCompletion(tree: Tree, run: Run): Tree {
  return tree.command(
    'completion <shell>',
    'Print a script by which a shell completes commands, options and values',
    (builder) =>
      builder
        .positional('shell', { type: 'string', demandOption: true, describe: 'bash, zsh or fish' })
        .example('source <($0 completion bash)', 'in ~/.bashrc; for zsh in ~/.zshrc, behind compinit')
        .example('$0 completion fish > ~/.config/fish/completions/postern.fish', ''),
    (flags) => run(async (to) => (await import('../commands/completion.js')).completion(to, flags.shell)),
  );
}
