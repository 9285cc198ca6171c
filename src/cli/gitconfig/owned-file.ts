/**
 * The text of the one file that is ours: the rules and what git needs beside them, each with its reason, because
 * it is the file that a puzzled person will read. Written by `setup`, printed by `env --format gitconfig`.
 */
import { doorBase, type Rule } from './rules.js';
import { writeSubsection, writeValue } from './quoting.js';

/** How git reaches the door: all that the settings beside the rules depend on. */
export interface DoorAddress {
  /** `http://127.0.0.1:8417`, with or without a final slash. */
  readonly base: string;
  /** PEM file of the authority behind the door's certificate, an absolute path; for https with an authority of our own. */
  readonly ca?: string | undefined;
}

/** The settings beside the rules, as full keys; `env` hands out the same. The empty one stands last. */
export function settingsBesideRules({ base, ca }: DoorAddress): { key: string; value: string }[] {
  const door = doorBase(base);
  const settings = ca === undefined ? [] : [{ key: `http.${door}.sslCAInfo`, value: ca }];
  if (door.startsWith('https:')) settings.push({ key: `http.${door}.sslVerify`, value: 'true' });
  return [...settings, { key: `http.${door}.proxy`, value: '' }];
}

/** The whole file. Depends on nothing but its arguments, so that the same rules give the same bytes. */
export function writeOwnedFile(rules: readonly Rule[], address: DoorAddress): string {
  const door = doorBase(address.base);
  const lines = [
    '# Written by `postern setup`, taken away by `postern setup --undo`. Edits are lost when setup runs again.',
    '',
    '# Addresses that begin with an insteadOf value are read as beginning with the address in the heading, which is',
    '# Postern on this machine: it adds the credential, so that git needs none. git compares text and knows no two',
    '# spellings as one, hence a line for each. The remotes stored in repositories stay as they are.',
  ];
  lines.push(
    ...ruleLines(rules),
    '',
    '# Postern is on this machine: an empty proxy keeps http_proxy, ALL_PROXY and http.proxy from taking these',
    '# requests elsewhere. They hold for every other address as before.',
    `[http "${writeSubsection(door)}"]`,
    '\tproxy =',
  );
  if (door.startsWith('https:')) {
    lines.push(
      '# Its certificate is checked, whatever http.sslVerify says for others: what else holds the port is not believed.',
      ...(address.ca === undefined ? [] : [`\tsslCAInfo = ${writeValue(address.ca)}`]),
      '\tsslVerify = true',
    );
  }
  return `${lines.join('\n')}\n`;
}

/** The rules as lines of a configuration, a section for each place that they lead to. */
export function ruleLines(rules: readonly Rule[]): string[] {
  return [...grouped(rules)].flatMap(([target, spellings]) => [
    `[url "${writeSubsection(target)}"]`,
    ...spellings.map((spelling) => `\tinsteadOf = ${writeValue(spelling)}`),
  ]);
}

function grouped(rules: readonly Rule[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const rule of rules) {
    const group = groups.get(rule.base);
    if (group === undefined) groups.set(rule.base, [rule.insteadOf]);
    else group.push(rule.insteadOf);
  }
  return groups;
}
