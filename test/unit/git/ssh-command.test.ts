import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LONGEST_COMMAND_BYTES, parseSshCommand } from '../../../src/git/ssh-command.js';

describe('parseSshCommand()', () => {
  it.each([
    ["git-upload-pack '/host/a'", 'git-upload-pack', '/host/a'],
    ["git upload-pack 'host/a'", 'git-upload-pack', 'host/a'],
    ["git-receive-pack 'it'\\''s'", 'git-receive-pack', "it's"],
    ["git-receive-pack 'wow'\\!''", 'git-receive-pack', 'wow!'],
    ["git-upload-archive '/a b/%20 c'", 'git-upload-archive', '/a b/%20 c'],
    ['git-upload-pack /host/plain.git', 'git-upload-pack', '/host/plain.git'],
    ["git-upload-pack  'two blanks' ", 'git-upload-pack', 'two blanks'],
    ["git-upload-pack '/host/Größe/日本'", 'git-upload-pack', '/host/Größe/日本'],
    ["git-upload-pack '$(id)`id`;|&<>*?[]{}\"#'", 'git-upload-pack', '$(id)`id`;|&<>*?[]{}"#'],
  ])('reads %j', (text, service, path) => {
    expect(parseSshCommand(text)).toEqual({ kind: 'git', service, path });
  });

  it.each([
    ["git-lfs-authenticate '/host/a' download", 'git-lfs-authenticate', '/host/a', 'download'],
    ['git-lfs-authenticate host/My Project/a upload', 'git-lfs-authenticate', 'host/My Project/a', 'upload'],
    ['git-lfs-authenticate host/My upload/download upload', 'git-lfs-authenticate', 'host/My upload/download', 'upload'],
    ['git-lfs-authenticate host/your upload shop/a download', 'git-lfs-authenticate', 'host/your upload shop/a', 'download'],
    ["git-lfs-authenticate '/host/a' upload 0123abcd", 'git-lfs-authenticate', '/host/a', 'upload'],
    ["git-lfs-transfer '/host/a' download", 'git-lfs-transfer', '/host/a', 'download'],
  ])('reads what git-lfs asks: %j', (text, program, path, operation) => {
    expect(parseSshCommand(text)).toEqual({ kind: 'lfs', program, path, operation });
  });

  it.each([
    ['', 'is empty'],
    ['   ', 'is empty'],
    ['sh', 'is none of git'],
    ['git', 'is none of git'],
    ['git shell', 'is none of git'],
    ['/usr/bin/git-upload-pack a', 'is none of git'],
    ['GIT-UPLOAD-PACK a', 'is none of git'],
    ['git-upload-pack', 'does not name exactly one repository'],
    ["git-upload-pack ''", 'does not name exactly one repository'],
    ["git-upload-pack 'a' 'b'", 'does not name exactly one repository'],
    ["git-upload-pack '-a'", 'names a repository that begins with a hyphen'],
    ["git-upload-pack 'a';id", 'is more than a program and its path'],
    ["git-upload-pack 'a'|id", 'is more than a program and its path'],
    ["git-upload-pack 'a'&id", 'is more than a program and its path'],
    ['git-upload-pack a\\ b', 'is more than a program and its path'],
    ['git-upload-pack a\\', 'is more than a program and its path'],
    ['git-upload-pack "a"', 'is more than a program and its path'],
    ["git-upload-pack 'a", 'is more than a program and its path'],
    ['git-upload-pack a*', 'is more than a program and its path'],
    ['git-upload-pack >a', 'is more than a program and its path'],
    ["git-upload-pack\t'a'", 'holds a control character'],
    ["git-upload-pack 'a\nb'", 'holds a control character'],
    ["git-upload-pack 'a\0b'", 'holds a control character'],
    ["git-upload-pack 'a\ufffd'", 'is not UTF-8'],
    ["git-lfs-authenticate 'a'", 'does not name a repository and upload or download'],
    ["git-lfs-authenticate 'a' delete", 'does not name a repository and upload or download'],
    ["git-lfs-authenticate 'a' upload b c", 'does not name a repository and upload or download'],
    ['git-lfs-transfer -a upload', 'does not name a repository and upload or download'],
    [`git-upload-pack '${'a'.repeat(LONGEST_COMMAND_BYTES)}'`, `is longer than ${LONGEST_COMMAND_BYTES / 1024} KiB`],
  ])('refuses %j', (text, what) => {
    expect(parseSshCommand(text)).toEqual({ kind: 'fault', what });
  });

  /** As git's sq_quote_buf writes a path. */
  const quoted = (path: string): string => `'${path.replace(/['!]/g, "'\\$&'")}'`;

  it('gives back every path that git quotes', () => {
    const path = fc
      .string({ unit: 'binary', minLength: 1, maxLength: 60 })
      .filter((text) => !/^-|[\u0000-\u001f\u007f\ufffd\ud800-\udfff]/.test(text));
    fc.assert(
      fc.property(path, (text) => {
        expect(parseSshCommand(`git-upload-pack ${quoted(text)}`)).toEqual({ kind: 'git', service: 'git-upload-pack', path: text });
      }),
    );
  });

  it('reads no words otherwise than a shell does', () => {
    const piece = fc.constantFrom("'", '\\', "\\'", '\\!', 'a', '/', ' ', '%20', '~x', 'b-c', "''", "'d e'", '@', ':', '+', '=', ',');
    const texts = fc.sample(fc.array(piece, { minLength: 1, maxLength: 8 }), 400).map((pieces) => `git-upload-pack x${pieces.join('')}`);
    const read = texts.map((text) => ({ text, command: parseSshCommand(text) })).filter(({ command }) => command.kind === 'git');
    expect(read.length).toBeGreaterThan(20);
    // One shell for all of them: each is asked for the words that it sees.
    const script = read.map(({ text }) => `set -- ${text}\nprintf '%s\\0%s\\0' "$#" "$2"\n`).join('');
    const words = execFileSync('sh', ['-f', '-c', script], { encoding: 'utf8' }).split('\0');
    for (const [index, { text, command }] of read.entries()) {
      expect([words[2 * index], words[2 * index + 1]], text).toEqual(['2', command.kind === 'git' ? command.path : '']);
    }
  });
});
