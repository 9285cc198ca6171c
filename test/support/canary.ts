/**
 * Finds secrets where none may be: as they are, percent-encoded, and in base64 at whatever offset they stand in what was
 * encoded. Tokens are also looked for part by part, because a cut one is still a find.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Shorter pieces are found by chance. */
const SHORTEST_PIECE = 12;

export class Canaries {
  /** Piece to look for, and the name of the secret that it belongs to. */
  readonly #pieces = new Map<string, string>();

  add(name: string, secret: string): void {
    const parts = secret.split('.').length === 3 && secret.startsWith('ey') ? secret.split('.').slice(1) : [];
    const lines = secret.split(/\r?\n/).filter((line) => !line.startsWith('-----'));
    for (const piece of [...(lines.length > 1 ? [] : [secret]), ...parts, ...lines]) {
      if (piece.length < SHORTEST_PIECE) continue;
      this.#pieces.set(piece, name);
      this.#pieces.set(piece.slice(0, 24), name);
      if (encodeURIComponent(piece) !== piece) this.#pieces.set(encodeURIComponent(piece), `${name}, percent-encoded`);
      for (const form of base64Forms(piece)) this.#pieces.set(form, `${name}, in base64`);
    }
  }

  get size(): number {
    return this.#pieces.size;
  }

  /** Names of the secrets in a text. */
  in(text: string): string[] {
    const found = new Set<string>();
    for (const [piece, name] of this.#pieces) if (text.includes(piece)) found.add(name);
    return [...found];
  }

  /** `place: secret` for each find. */
  inAll(places: ReadonlyMap<string, string>): string[] {
    return [...places].flatMap(([place, text]) => this.in(text).map((name) => `${place}: ${name}`));
  }
}

/** Every file below a directory, its name included, as text. */
export async function filesBelow(directory: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(path, `${path}\n${await readFile(path, 'latin1')}`);
  }
  return files;
}

/** The part of the base64 of a text that does not depend on its neighbours, for each of the three offsets. */
function base64Forms(text: string): string[] {
  const forms: string[] = [];
  for (let before = 0; before < 3; before++) {
    const encoded = Buffer.concat([Buffer.alloc(before), Buffer.from(text, 'utf8')]).toString('base64');
    const inner = encoded.replace(/=+$/, '').slice(before === 0 ? 0 : before + 1, -1);
    forms.push(inner, inner.replaceAll('+', '-').replaceAll('/', '_'));
  }
  return forms.filter((form) => form.length >= SHORTEST_PIECE);
}
