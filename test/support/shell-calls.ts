/**
 * Finds the calls of `postern` in a text of shell. Reads shell as far as that needs: words, quotes, comments, here-documents, and
 * what stands in `$(...)`; it never expands anything.
 */

/** Programs that run another one, which stands behind their own words. */
const CARRIERS: ReadonlySet<string> = new Set(
  'sudo env exec command time timeout nohup xargs watch setpriv runuser systemd-run docker podman podman-compose docker-compose kubectl node'.split(
    ' ',
  ),
);
/** Of these, what runs something in a container. */
const ENGINES: ReadonlySet<string> = new Set(['docker', 'podman', 'podman-compose', 'docker-compose', 'kubectl']);
const KEYWORDS: ReadonlySet<string> = new Set(['if', 'then', 'elif', 'else', 'while', 'until', 'do', '!', '{', '}', 'fi', 'done']);

/** The words behind each `postern`, in their order. */
export function callsIn(shell: string): string[][] {
  return commandsIn(shell).flatMap((words) => callOf(words));
}

function callOf(words: readonly string[]): string[][] {
  let from = 0;
  while (/^[A-Za-z_]\w*=/.test(words[from] ?? '') || KEYWORDS.has(words[from] ?? '')) from++;
  const own = words.slice(from);
  const isPostern = (word: string): boolean => /^(?:.*\/)?postern(?:\.js)?$/.test(word);
  const [first = ''] = own;
  if (isPostern(first)) return [own.slice(1)];
  if (!CARRIERS.has(first)) return [];
  if (ENGINES.has(first) && !own.includes('exec') && !own.includes('run')) return [];
  // `sudo -u postern postern status`, `docker exec postern postern status`: the last one is the program.
  const last = own.findLastIndex(isPostern);
  const isUser = /^-{1,2}u(?:ser)?$/.test(own[last - 1] ?? '');
  return last < 0 || last === own.length - 1 || isUser ? [] : [own.slice(last + 1)];
}

/** The simple commands of a text, those within `$(...)` behind the one that holds them. */
export function commandsIn(shell: string): string[][] {
  const commands: string[][] = [];
  const inner: string[] = [];
  let words: string[] = [];
  let word: string | undefined;
  const hereEnds: string[] = [];
  const add = (text: string): void => {
    word = (word ?? '') + text;
  };
  const endWord = (): void => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  const endCommand = (): void => {
    endWord();
    if (words.length > 0) commands.push(words);
    words = [];
  };
  for (let at = 0; at < shell.length; at++) {
    const each = shell[at] ?? '';
    const rest = shell.slice(at);
    if (each === '\\') {
      if (shell[at + 1] !== '\n') add(shell[at + 1] ?? '');
      at += 1;
    } else if (each === "'") {
      const end = shell.indexOf("'", at + 1);
      add(shell.slice(at + 1, end));
      at = end < 0 ? shell.length : end;
    } else if (each === '"') {
      const { text, end, substitutions } = doubleQuoted(shell, at + 1);
      add(text);
      inner.push(...substitutions);
      at = end;
    } else if (rest.startsWith('$(') && !rest.startsWith('$((')) {
      const end = closing(shell, at + 2);
      inner.push(shell.slice(at + 2, end));
      add('$()');
      at = end;
    } else if (each === '#' && word === undefined) {
      const end = shell.indexOf('\n', at);
      at = end < 0 ? shell.length : end - 1;
    } else if (/^(?:\d*>>?|\d*<<?-?|&>>?)/.test(rest) && (word === undefined || !/^\d/.test(each))) {
      endWord();
      const [operator = ''] = /^(?:\d*>>?&?|\d*<<?-?&?|&>>?)/.exec(rest) ?? [];
      const [whole, target = ''] = /^\s*(\S+)/.exec(rest.slice(operator.length)) ?? [''];
      const hereWord = /^(['"]?)(\w+)\1$/.exec(target)?.[2];
      if (operator.includes('<<') && hereWord !== undefined) hereEnds.push(hereWord);
      // What a redirection leads to is no word of the command; it may end in what ends the command.
      at += operator.length + whole.replace(/[;|&)]+$/, '').length - 1;
    } else if (each === '\n') {
      endCommand();
      for (const end of hereEnds.splice(0)) {
        const [skipped = ''] = new RegExp(`^[^]*?\\n[\\t ]*${end}(?=\\n|$)`).exec(`\n${shell.slice(at + 1)}`) ?? [];
        at += Math.max(0, skipped.length - 1);
      }
    } else if (/[;|&()]/.test(each)) endCommand();
    else if (/\s/.test(each)) endWord();
    else add(each);
  }
  endCommand();
  return [...commands, ...inner.flatMap(commandsIn)];
}

function doubleQuoted(shell: string, from: number): { text: string; end: number; substitutions: string[] } {
  let text = '';
  const substitutions: string[] = [];
  for (let at = from; at < shell.length; at++) {
    if (shell[at] === '"') return { text, end: at, substitutions };
    if (shell[at] === '\\') {
      text += shell[at + 1] ?? '';
      at += 1;
    } else if (shell.startsWith('$(', at) && !shell.startsWith('$((', at)) {
      const end = closing(shell, at + 2);
      substitutions.push(shell.slice(at + 2, end));
      text += '$()';
      at = end;
    } else text += shell[at] ?? '';
  }
  return { text, end: shell.length, substitutions };
}

/** Where the bracket closes that was opened before `from`. */
function closing(shell: string, from: number): number {
  let depth = 1;
  for (let at = from; at < shell.length; at++) {
    const each = shell[at];
    if (each === '\\') at += 1;
    else if (each === "'") {
      const end = shell.indexOf("'", at + 1);
      at = end < 0 ? shell.length : end;
    } else if (each === '(') depth += 1;
    else if (each === ')' && --depth === 0) return at;
  }
  return shell.length;
}
