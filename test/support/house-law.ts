/**
 * Reads a tree of TypeScript files and tells where it breaks the law of the house. Knows the kinds of law, not the house:
 * floors, packages and exceptions are handed in, so that the reading can be tried on a made-up tree.
 *
 * Everything is read from the syntax tree: a word in a comment or a text breaks no law.
 */
import { posix } from 'node:path';
import ts from 'typescript';

/** Path below src, with slashes, and the text. */
export type Tree = ReadonlyMap<string, string>;

export interface HouseLaw {
  /** Room to floor. */
  readonly floors: Readonly<Record<string, number>>;
  /** Package to the files that may import it. */
  readonly packages: Readonly<Record<string, PackageRule>>;
  /** Modules of node that the lowest floor may not import. */
  readonly ioModules: readonly string[];
  /** Files that may write to stdout and stderr. */
  readonly printers: readonly string[];
  /** Files that may call `reveal()`. */
  readonly revealers: readonly string[];
  /** `file Class`: who may make what belongs to another room, besides `assembler`. */
  readonly makers: readonly string[];
  readonly assembler: string;
  /** Rooms of nothing but values and readers of bytes, which anybody may make. */
  readonly pureRooms: readonly string[];
  readonly mostLines: number;
}

export interface PackageRule {
  readonly files: readonly string[];
  /** Only as `import type`. */
  readonly typesOnly?: true;
  /** Nobody imports it yet; whoever does first must be one of `files`. */
  readonly isPlanned?: true;
}

interface Import {
  readonly name: string;
  readonly isType: boolean;
  /** Names that it brings in, as they are called here. */
  readonly brings: readonly string[];
}

/** Every breach, as `file: what`, in the order of files. */
export function breachesOf(tree: Tree, law: HouseLaw): string[] {
  const breaches: string[] = [];
  const graph = new Map<string, readonly string[]>();
  const packageUsers = new Map<string, string[]>();
  const revealers: string[] = [];
  const makers: string[] = [];
  for (const [file, text] of [...tree].sort(([a], [b]) => a.localeCompare(b))) {
    const tell = (what: string): void => {
      breaches.push(`${file}: ${what}`);
    };
    const room = roomOf(file);
    const floor = law.floors[room];
    if (floor === undefined) tell(room === '' ? 'stands in no room' : `the room ${room} has no floor`);
    const lines = text.replace(/\n$/, '').split('\n').length;
    if (lines > law.mostLines) tell(`has ${lines} lines, more than ${law.mostLines}`);
    const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
    const imports = importsOf(source);
    const ours: string[] = [];
    for (const { name, isType } of imports) {
      if (name.startsWith('.')) {
        const to = posix.normalize(posix.join(posix.dirname(file), name)).replace(/\.js$/, '.ts');
        ours.push(to);
        const below = law.floors[roomOf(to)];
        if (!tree.has(to)) tell(`imports ${name}, which is not there`);
        else if (roomOf(to) !== room && floor !== undefined && below !== undefined && below >= floor)
          tell(`imports ${to}: ${room} is on floor ${floor}, ${roomOf(to)} on floor ${below}`);
      } else if (name.startsWith('node:')) {
        if (floor === 0 && law.ioModules.some((module) => name === `node:${module}` || name.startsWith(`node:${module}/`)))
          tell(`imports ${name}: ${room} does no I/O`);
      } else {
        const bare = name
          .split('/')
          .slice(0, name.startsWith('@') ? 2 : 1)
          .join('/');
        const rule = Object.hasOwn(law.packages, bare) ? law.packages[bare] : undefined;
        if (rule === undefined) tell(`imports the package ${bare}, which is in no table`);
        else if (!rule.files.includes(file)) tell(`imports the package ${bare}, which is for ${rule.files.join(', ')}`);
        else if (rule.typesOnly === true && !isType) tell(`imports more than types of ${bare}`);
        packageUsers.set(bare, [...(packageUsers.get(bare) ?? []), file]);
      }
    }
    graph.set(file, ours);
    const foreign = foreignNames(file, imports, law.pureRooms);
    const seen = new Set<string>();
    walk(source, (node) => {
      if (isAmbientConsole(node)) seen.add('uses console');
      const stream = standardStreamOf(node);
      if (stream !== undefined && !law.printers.includes(file)) seen.add(`uses process.${stream}`);
      if (ts.isCallExpression(node) && ts.isPropertyAccessExpression(node.expression) && node.expression.name.text === 'reveal') {
        if (!revealers.includes(file)) revealers.push(file);
        if (!law.revealers.includes(file)) seen.add('calls reveal()');
      }
      if (ts.isNewExpression(node) && ts.isIdentifier(node.expression)) {
        const from = foreign.get(node.expression.text);
        if (from === undefined || file === law.assembler) return;
        const maker = `${file} ${node.expression.text}`;
        makers.push(maker);
        if (!law.makers.includes(maker)) seen.add(`makes a ${node.expression.text} of the room ${from}`);
      }
    });
    for (const what of seen) tell(what);
  }
  for (const cycle of cyclesOf(graph)) breaches.push(`${cycle[0] ?? ''}: imports itself by ${cycle.join(' -> ')}`);
  for (const [name, { files, isPlanned }] of Object.entries(law.packages))
    for (const file of files)
      if (isPlanned !== true && packageUsers.get(name)?.includes(file) !== true)
        breaches.push(`${file}: does not import ${name}, as the table says`);
  for (const file of law.revealers) if (!revealers.includes(file)) breaches.push(`${file}: does not call reveal(), as the table says`);
  for (const maker of law.makers)
    if (!makers.includes(maker)) breaches.push(`${maker.split(' ')[0] ?? ''}: does not make ${maker}, as the table says`);
  return breaches;
}

function roomOf(file: string): string {
  const slash = file.indexOf('/');
  return slash < 0 ? '' : file.slice(0, slash);
}

/** Imports, re-exports, `import()` and `import('...')` in types. */
function importsOf(source: ts.SourceFile): Import[] {
  const found: Import[] = [];
  walk(source, (node) => {
    if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier)) {
      const clause = node.importClause;
      const bound = clause?.namedBindings;
      const brings = [
        ...(clause?.name === undefined ? [] : [clause.name.text]),
        ...(bound !== undefined && ts.isNamedImports(bound) ? bound.elements.map(({ name }) => name.text) : []),
      ];
      found.push({ name: node.moduleSpecifier.text, isType: clause?.phaseModifier === ts.SyntaxKind.TypeKeyword, brings });
    } else if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined && ts.isStringLiteral(node.moduleSpecifier)) {
      found.push({ name: node.moduleSpecifier.text, isType: node.isTypeOnly, brings: [] });
    } else if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
      const [name] = node.arguments;
      found.push({ name: name !== undefined && ts.isStringLiteralLike(name) ? name.text : 'a computed name', isType: false, brings: [] });
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && ts.isStringLiteral(node.argument.literal)) {
      found.push({ name: node.argument.literal.text, isType: true, brings: [] });
    }
  });
  return found;
}

/** Names imported from other rooms, those excepted whose values are made everywhere. */
function foreignNames(file: string, imports: readonly Import[], pureRooms: readonly string[]): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  for (const { name, brings } of imports) {
    if (!name.startsWith('.')) continue;
    const room = roomOf(posix.normalize(posix.join(posix.dirname(file), name)));
    if (room !== roomOf(file) && !pureRooms.includes(room)) for (const each of brings) names.set(each, room);
  }
  return names;
}

function isAmbientConsole(node: ts.Node): boolean {
  return (
    (ts.isIdentifier(node) && node.text === 'console' && !isPropertyName(node)) ||
    (ts.isPropertyAccessExpression(node) && node.name.text === 'console' && node.expression.getText() === 'globalThis')
  );
}

function isPropertyName(node: ts.Identifier): boolean {
  const { parent } = node;
  return (ts.isPropertyAccessExpression(parent) && parent.name === node) || (ts.isPropertyAssignment(parent) && parent.name === node);
}

/** `stdout` or `stderr` where a stream of the process is used for more than asking what it is. */
function standardStreamOf(node: ts.Node): string | undefined {
  if (!ts.isPropertyAccessExpression(node) || node.expression.getText() !== 'process') return undefined;
  const name = node.name.text;
  if (name !== 'stdout' && name !== 'stderr') return undefined;
  const asked = ts.isPropertyAccessExpression(node.parent) ? node.parent.name.text : undefined;
  return asked === 'isTTY' || asked === 'columns' ? undefined : name;
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}

/** One way around for each file that can reach itself and was not told in an earlier one. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const done = new Set<string>();
  const cycles: string[][] = [];
  const visit = (file: string, way: readonly string[]): void => {
    const at = way.indexOf(file);
    if (at >= 0) cycles.push([...way.slice(at), file]);
    if (at >= 0 || done.has(file)) return;
    for (const next of graph.get(file) ?? []) visit(next, [...way, file]);
    done.add(file);
  };
  for (const file of graph.keys()) visit(file, []);
  return cycles;
}
