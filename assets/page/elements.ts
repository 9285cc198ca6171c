/**
 * Elements, and how what is shown becomes what is to be shown: in place, as far as it is the same, so that neither focus nor a
 * selection, a scrolled table or a reader's place is lost each second. Texts become text, never markup.
 */
import { visible } from '../../src/cli/visible.js';

const SVG = 'http://www.w3.org/2000/svg';

export type Child = Node | string | undefined;
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** An HTML element; attributes that are undefined are left out. */
export function el(name: string, attributes: Attributes = {}, ...children: readonly Child[]): HTMLElement {
  return fill(document.createElement(name), attributes, children);
}

/** An element of a drawing. */
export function svg(name: string, attributes: Attributes = {}, ...children: readonly Child[]): SVGElement {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill<Made extends Element>(made: Made, attributes: Attributes, children: readonly Child[]): Made {
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(name, String(value));
  for (const child of children) if (child !== undefined) made.append(typeof child === 'string' ? visible(child) : child);
  return made;
}

/** Has a container show these and nothing else. */
export function show(container: Element, ...wanted: readonly Child[]): void {
  const nodes = wanted.flatMap((each) => (each === undefined ? [] : [typeof each === 'string' ? new Text(visible(each)) : each]));
  become([...container.childNodes], nodes, container);
}

function become(had: readonly ChildNode[], wanted: readonly Node[], parent: Element): void {
  wanted.forEach((node, index) => {
    const old = had[index];
    if (old === undefined) parent.append(node);
    else if (!isAlike(old, node)) old.replaceWith(node);
    else if (old instanceof Element && node instanceof Element) {
      attribute(old, node);
      become([...old.childNodes], [...node.childNodes], old);
    } else if (old.nodeValue !== node.nodeValue) old.nodeValue = node.nodeValue;
  });
  for (const old of had.slice(wanted.length)) old.remove();
}

function isAlike(a: Node, b: Node): boolean {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
}

function attribute(old: Element, node: Element): void {
  for (const { name, value } of node.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  // Whoever opened a list of numbers wants it open.
  for (const { name } of [...old.attributes]) if (name !== 'open' && !node.hasAttribute(name)) old.removeAttribute(name);
}

/** A cell: a text, or a text with a class; numbers stand to the right. */
export type Cell = string | { readonly text: string; readonly class: string };

/** A table with a caption for readers of the screen, in a box of its own that scrolls where it is too wide. */
export function table(caption: string, headings: readonly string[], rows: readonly (readonly Cell[])[]): HTMLElement {
  const head = el('tr', {}, ...headings.map((text) => el('th', { scope: 'col' }, text)));
  const body = rows.map((cells) =>
    el(
      'tr',
      {},
      ...cells.map((cell, index) => {
        const name = index === 0 ? 'th' : 'td';
        const scope = index === 0 ? 'row' : undefined;
        return typeof cell === 'string' ? el(name, { scope }, cell) : el(name, { scope, class: cell.class }, cell.text);
      }),
    ),
  );
  return el(
    'div',
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption },
    el('table', {}, el('caption', { class: 'for-readers' }, caption), el('thead', {}, head), el('tbody', {}, ...body)),
  );
}

/** A text in which what stands between backticks is to be typed. */
export function prose(text: string): Child[] {
  return text.split('`').map((part, index) => (index % 2 === 1 ? el('code', {}, part) : part));
}

/** A word where there is nothing. */
export function nothing(text: string): HTMLElement {
  return el('p', { class: 'quiet' }, text);
}

/** How many rows a list leaves out. */
export function more(count: number): Child {
  return count === 0 ? undefined : el('p', { class: 'quiet' }, ...prose(`and ${count} more, which \`postern status --all\` shows`));
}

export const number = (text: string): Cell => ({ text, class: 'number' });
