/**
 * Reads Prometheus' text format as a stranger would, strictly: what does not keep to it is an error. Source:
 * prometheus.io/docs/instrumenting/exposition_formats, "Text format details".
 */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Exposed {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = { histogram: ['_bucket', '_sum', '_count'], counter: [''], gauge: [''] };

/** Families by name, in their order. @throws Error for a line that keeps to no form, or stands where it does not belong */
export function readExposition(text: string): ReadonlyMap<string, Exposed> {
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  let current: { name: string; type: string; samples: Sample[] } | undefined;
  if (!text.endsWith('\n')) throw new Error('the text does not end with a line feed');
  for (const line of text.slice(0, -1).split('\n')) {
    if (line === '') continue;
    const [, word, name = '', rest = ''] = /^# (HELP|TYPE) ([^ ]+) (.*)$/.exec(line) ?? [];
    if (word === 'HELP') {
      if (families.has(name)) throw new Error(`${name} comes twice`);
      families.set(name, { type: '', help: rest, samples: [] });
    } else if (word === 'TYPE') {
      const family = families.get(name);
      if (family === undefined || SUFFIXES[rest] === undefined) throw new Error(`what does this say: ${line}`);
      family.type = rest;
      current = { name, type: rest, samples: family.samples };
    } else {
      const sample = readSample(line);
      const fits = SUFFIXES[current?.type ?? '']?.some((suffix) => sample.name === `${current?.name ?? ''}${suffix}`);
      if (current === undefined || fits !== true) throw new Error(`a sample of another family: ${line}`);
      current.samples.push(sample);
    }
  }
  return families;
}

/** The value of the one sample that has these labels among its own; 0 when there is none. @throws Error when there are several */
export function valueOf(families: ReadonlyMap<string, Exposed>, name: string, labels: Readonly<Record<string, string>> = {}): number {
  const found = [...families.values()]
    .flatMap(({ samples }) => samples)
    .filter((sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value));
  if (found.length > 1) throw new Error(`${found.length} samples of ${name} have the labels ${JSON.stringify(labels)}`);
  return found[0]?.value ?? 0;
}

function readSample(line: string): Sample {
  const [, name, list = '', number = ''] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  let rest = list;
  while (rest !== '') {
    const [whole = '', label, value = ''] = LABEL.exec(rest) ?? [];
    if (label === undefined || label in labels) throw new Error(`no labels: ${line}`);
    labels[label] = value.replace(/\\(.)/g, (_all, escaped: string) => (escaped === 'n' ? '\n' : escaped));
    rest = rest.slice(whole.length);
  }
  const value = number === '+Inf' ? Infinity : number === '-Inf' ? -Infinity : Number(number);
  if (Number.isNaN(value) && number !== 'NaN' && number !== 'Nan') throw new Error(`no number: ${line}`);
  return { name, labels, value };
}
