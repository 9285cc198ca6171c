/**
 * The text of a configuration as plain values that remember where they stood. The only file that knows YAML (1.2, core
 * schema; the `yaml` package). The parser's own messages are never passed on: they can quote the file, and with it a secret.
 */
import { isUtf8 } from 'node:buffer';
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseAllDocuments, Parser, visit } from 'yaml';
import type { CST, Document, Node, Pair, ParsedNode, YAMLError } from 'yaml';
import { outside, writeKeyPath } from './fault.js';
import type { Fault, KeyPath, Place } from './fault.js';

/** A configuration is a few hundred lines; more is another file given by mistake, and parsing it would cost memory. */
export const LARGEST_FILE_BYTES = 1024 * 1024;

/** A configuration nests six deep. Thousands of levels exhaust the stack of the composer, which ends the process. */
const DEEPEST_NESTING = 64;

/** More faults of syntax than anyone reads come from a file that is no YAML at all; each costs time to place. */
const MOST_SYNTAX_FAULTS = 100;

export interface SettingsSource {
  /** The root value; an empty map when the file holds nothing, or nothing readable. */
  readonly raw: unknown;
  /** Whether the values may be trusted to be what was meant; false after a fault of syntax. */
  readonly readable: boolean;
  /** Faults of encoding and syntax. */
  readonly faults: readonly Fault[];
  /** Where a value stands, or its key; for something absent, the map or list that should hold it. */
  place(path: KeyPath, on?: 'key' | 'value'): Place;
}

/** The source when there is no file. */
export const NO_SOURCE: SettingsSource = { raw: {}, readable: true, faults: [], place: () => outside('default') };

/** Reads bytes. Never throws for what they hold: that is told in `faults`. */
export function readSettingsSource(bytes: Uint8Array, file: string): SettingsSource {
  const at = (line: number, column: number, order: number): Place => ({
    text: `${file}:${String(line)}:${String(column)}`,
    line,
    order,
  });
  const broken = (place: Place, text: string): SettingsSource => ({
    raw: {},
    readable: false,
    faults: [{ place, path: '', text }],
    place: () => place,
  });
  if (bytes.length > LARGEST_FILE_BYTES) {
    return broken(at(1, 1, 0), 'the file is larger than 1 MiB; name the configuration file itself');
  }
  const badLine = firstBadLine(bytes);
  if (badLine !== undefined) return broken(at(badLine, 1, 0), 'the line is not UTF-8; save the file in UTF-8');

  const lines = new LineCounter();
  const text = new TextDecoder('utf-8').decode(bytes);
  if (isTooDeep(text)) return broken(at(1, 1, 0), 'the nesting is too deep; check the brackets, or name the configuration file itself');
  // prettyErrors would put pieces of the file into the messages, and warnings would print them as process warnings.
  const documents = [...parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, logLevel: 'error', stringKeys: true })];
  const atOffset = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return at(line, col, offset);
  };
  const [document, second] = documents;
  if (document === undefined) return { raw: {}, readable: true, faults: [], place: () => at(1, 1, 0) };

  const faults = documents.flatMap((each) => syntaxFaults(each, atOffset));
  if (second !== undefined) {
    faults.push({
      place: atOffset(second.range[0]),
      path: '',
      text: 'a second document begins; keep one document and leave out the `---` between',
    });
  }
  // A key given twice leaves values that can still be checked; any other fault of syntax does not.
  const readable = second === undefined && [...document.errors, ...document.warnings].every((error) => error.code === 'DUPLICATE_KEY');
  const place = (path: KeyPath, on: 'key' | 'value' = 'value'): Place => atOffset(locate(document, path, on));
  if (!readable) return { raw: {}, readable, faults, place };
  try {
    return { raw: (document.toJS() as unknown) ?? {}, readable, faults, place };
  } catch {
    // What toJS throws is an alias that leads nowhere, told above, or a bomb of them.
    if (faults.length === 0) faults.push({ place: at(1, 1, 0), path: '', text: 'aliases multiply beyond reason; write the values out' });
    return { raw: {}, readable: false, faults, place };
  }
}

/** What the parser's codes mean to someone who writes a configuration, without a word of the file. */
const SYNTAX: Readonly<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'an alias has an anchor or tag; leave that out',
  BAD_ALIAS: 'an alias has no valid name; put text that begins with `*` in quotes',
  BAD_COLLECTION_TYPE: 'a tag does not fit its value; leave out the tag',
  BAD_DIRECTIVE: 'a `%` directive is not known; leave it out, or put the text in quotes',
  BAD_DQ_ESCAPE: 'a `\\` escape is not known; use single quotes, or write `\\\\`',
  BAD_INDENT: 'the indentation does not fit, or a bracket is not closed; line keys up with their neighbours and close every `[` and `{`',
  BAD_PROP_ORDER: 'an anchor or tag stands in the wrong place; leave it out',
  BAD_SCALAR_START: 'text begins with a reserved character; put it in quotes',
  BLOCK_AS_IMPLICIT_KEY: 'a second `: ` stands on the line; put the value in quotes',
  BLOCK_IN_FLOW: 'an indented block stands inside `[ ]` or `{ }`; write it with commas',
  DUPLICATE_KEY: 'the key comes twice; keep one of them',
  IMPOSSIBLE: 'this is not YAML; check the quotes and brackets around it',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters; check the quotes and the `:` around it',
  MISSING_CHAR: 'a quote, bracket, comma or `:` is missing; add it',
  MULTILINE_IMPLICIT_KEY: 'a key spans lines, or a line has no `:`; write `key: value` on one line',
  MULTIPLE_ANCHORS: 'a value has two anchors; keep one',
  MULTIPLE_DOCS: 'a second document begins; keep one document',
  MULTIPLE_TAGS: 'a value has two tags; leave them out',
  NON_STRING_KEY: 'a key is not text; put it in quotes',
  RESOURCE_EXHAUSTION: 'the nesting is too deep; write the values out',
  TAB_AS_INDENT: 'a tab stands in the indentation; indent with blanks',
  TAG_RESOLVE_FAILED: 'a tag is not known; leave it out, or put text that begins with `!` in quotes',
  UNEXPECTED_TOKEN: 'something stands where nothing can; put text with `[`, `{`, `:` or `#` in quotes, such as `"[::1]:8417"`',
};

function syntaxFaults(document: Document.Parsed, atOffset: (offset: number) => Place): Fault[] {
  const errors = [...document.errors, ...document.warnings];
  // In a tree with other faults nobody knows which key stands below which, so a path could begin below `secret`.
  const sound = errors.every((error) => error.code === 'DUPLICATE_KEY');
  const faults: Fault[] = [];
  for (const { code, pos } of errors.slice(0, MOST_SYNTAX_FAULTS)) {
    const fault = { place: atOffset(pos[0]), path: sound ? writeKeyPath(pathAt(document, pos[0])) : '', text: SYNTAX[code] };
    // Each level that is left open gives the same error at the same place.
    if (!faults.some((other) => other.place.order === fault.place.order && other.text === fault.text)) faults.push(fault);
  }
  visit(document, {
    Alias(_, alias) {
      if (faults.length >= MOST_SYNTAX_FAULTS) return visit.BREAK;
      if (alias.resolve(document) !== undefined) return undefined;
      const text = 'an alias (`*`) has no anchor; put text that begins with `*` in quotes, such as `"*.visualstudio.com/**"`';
      faults.push({ place: atOffset(alias.range?.[0] ?? 0), path: '', text });
      return undefined;
    },
  });
  return faults;
}

/** Whether lists and maps nest too deep to be composed. The parser below the composer, like this, does not recurse. */
function isTooDeep(text: string): boolean {
  const open: [CST.Token | null | undefined, number][] = [...new Parser().parse(text)].map((token) => [token, 0]);
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const [token, depth] = next;
    if (token === null || token === undefined) continue;
    if (depth > DEEPEST_NESTING) return true;
    if (token.type === 'document') open.push([token.value, depth]);
    if (!('items' in token)) continue;
    for (const item of token.items) open.push([item.value, depth + 1], ['key' in item ? item.key : undefined, depth + 1]);
  }
  return false;
}

/** Offset of what stands at a path, or of the last container on the way to it. */
function locate(document: Document.Parsed, path: KeyPath, on: 'key' | 'value'): number {
  let node: Node | null = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [index, step] of path.entries()) {
    const container: Node | null | undefined = isAlias(node) ? node.resolve(document) : node;
    const last = index === path.length - 1;
    let next: Node | null = null;
    if (isMap<ParsedNode, ParsedNode | null>(container)) {
      // Of a key that comes twice the last one has the value.
      const pair: Pair<ParsedNode, ParsedNode | null> | undefined = container.items.findLast((item) => keyText(item) === step);
      if (pair === undefined) return offset;
      const empty = isScalar(pair.value) && pair.value.value === null;
      if (last && (on === 'key' || pair.value === null || empty)) return pair.key.range[0];
      next = pair.value;
    } else if (isSeq<ParsedNode>(container) && typeof step === 'number') {
      next = container.items[step] ?? null;
    }
    if (next === null) return offset;
    node = next;
    offset = next.range?.[0] ?? offset;
  }
  return offset;
}

/** The path of the key that begins at an offset. */
function pathAt(document: Document.Parsed, offset: number): KeyPath {
  let found: KeyPath = [];
  const search = (node: unknown, path: KeyPath): void => {
    if (isSeq(node)) for (const [index, item] of node.items.entries()) search(item, [...path, index]);
    if (!isMap<ParsedNode, ParsedNode | null>(node)) return;
    for (const pair of node.items) {
      const here = [...path, keyText(pair)];
      if (pair.key.range[0] === offset) found = here;
      search(pair.value, here);
    }
  };
  search(document.contents, []);
  return found;
}

function keyText(pair: Pair<ParsedNode, ParsedNode | null>): string {
  return isScalar(pair.key) ? String(pair.key.value) : '';
}

/** Number of the first line that is not UTF-8. A line feed is never part of a longer character. */
function firstBadLine(bytes: Uint8Array): number | undefined {
  if (isUtf8(bytes)) return undefined;
  let line = 1;
  for (let start = 0; start <= bytes.length; line += 1) {
    const feed = bytes.indexOf(0x0a, start);
    const end = feed < 0 ? bytes.length : feed;
    if (!isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
  return line;
}
