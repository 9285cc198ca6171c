/**
 * Matching of ref names against globs (model/refs.ts). A glob may come from whoever narrowed a lease and a name from whoever
 * pushes, so no pair of them may be slow: all ways in which a glob can match are followed at once, as the bits of a few words
 * (Baeza-Yates and Gonnet, "A New Approach to Text Searching", CACM 1992). A name costs one step for each of its characters and
 * each 32 of the glob's, whatever they are.
 */

/** What matching has cost. */
export interface Work {
  steps: number;
}

export interface RefGlob {
  readonly text: string;
  readonly matches: (name: string, work: Work) => boolean;
}

const BITS = 32;
const SLASH = '/'.charCodeAt(0);

/** Makes a glob ready for names; `*` runs to the next slash, `**` anywhere, and everything else is itself. */
export function refGlob(text: string): RefGlob {
  const firstStar = text.indexOf('*');
  const prefix = firstStar < 0 ? text : text.slice(0, firstStar);
  const rest = firstStar < 0 ? undefined : starGlob(text.slice(firstStar));
  const matches = (name: string, work: Work): boolean => {
    work.steps += 1;
    if (rest === undefined) return name === text;
    return name.startsWith(prefix) && rest(name, prefix.length, work);
  };
  return { text, matches };
}

/** Matches what stands in a name from `from` on; `text` begins with a star. */
function starGlob(text: string): (name: string, from: number, work: Work) => boolean {
  const tokens = text.match(/\*+|[^*]/g) ?? [];
  // Bit n is on when the first n tokens have matched what was read so far.
  const words = Math.floor(tokens.length / BITS) + 1;
  const stars = new Int32Array(words);
  const doubles = new Int32Array(words);
  const literals = new Map<number, Int32Array>();
  for (const [index, token] of tokens.entries()) {
    if (token.startsWith('*')) {
      set(stars, index);
      if (token !== '*') set(doubles, index);
      continue;
    }
    const code = token.charCodeAt(0);
    const places = literals.get(code) ?? new Int32Array(words);
    literals.set(code, places);
    set(places, index);
  }
  const nowhere = new Int32Array(words);
  return (name, from, work) => {
    const active = new Int32Array(words);
    set(active, 0);
    set(active, 1);
    for (let at = from; at < name.length; at++) {
      work.steps += words;
      const code = name.charCodeAt(at);
      if (!step(active, literals.get(code) ?? nowhere, code === SLASH ? doubles : stars, stars)) return false;
    }
    return isSet(active, tokens.length);
  };
}

/** Reads one character: `moving` are the tokens that it is, `staying` the stars that take it. False when nothing is left. */
function step(active: Int32Array, moving: Int32Array, staying: Int32Array, stars: Int32Array): boolean {
  let carried = 0;
  let skipped = 0;
  let any = 0;
  for (let word = 0; word < active.length; word++) {
    const before = active[word] ?? 0;
    const moved = before & (moving[word] ?? 0);
    let after = (moved << 1) | carried | (before & (staying[word] ?? 0));
    carried = moved >>> (BITS - 1);
    // A star may stand for nothing. Two never stand side by side, so one step is all.
    const atStar = (after | skipped) & (stars[word] ?? 0);
    after |= (atStar << 1) | skipped;
    skipped = atStar >>> (BITS - 1);
    active[word] = after;
    any |= after;
  }
  return any !== 0;
}

function set(bits: Int32Array, index: number): void {
  const word = Math.floor(index / BITS);
  bits[word] = (bits[word] ?? 0) | (1 << (index % BITS));
}

function isSet(bits: Int32Array, index: number): boolean {
  return ((bits[Math.floor(index / BITS)] ?? 0) & (1 << (index % BITS))) !== 0;
}
