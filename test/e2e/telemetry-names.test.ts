/**
 * What others know the measurements by: docs/TELEMETRY.md, the dashboard and the alert rules, each held against what a real daemon prints.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ERROR_CODES } from '../../src/model/errors.js';
import { LOG_EVENTS, LOG_LEVELS } from '../../src/model/ports.js';
import { PHASES } from '../../src/model/time-spent.js';
import { FAMILIES } from '../../src/telemetry/metric-table.js';
import { type Exposed, readExposition } from '../support/exposition.js';
import { succeed } from '../support/failure-stage.js';
import { ask } from '../support/plain-request.js';
import { readQuery } from '../support/promql.js';
import { Scene } from '../support/scene.js';

interface Row {
  readonly type: string;
  readonly labels: readonly string[];
}

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly datasource?: { readonly uid: string };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string; readonly datasource: { readonly uid: string } }[];
}

interface Dashboard {
  readonly uid: string;
  readonly schemaVersion: number;
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string; readonly query: unknown }[] };
  readonly annotations: { readonly list: readonly { readonly expr?: string }[] };
}

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly what_to_do: string };
}

let scene: Scene;
let printed: ReadonlyMap<string, Exposed>;
let documented: ReadonlyMap<string, Row>;
let dashboard: Dashboard;
let rules: readonly Rule[];

const file = (path: string): Promise<string> => readFile(join(import.meta.dirname, '..', '..', path), 'utf8');

beforeAll(async () => {
  scene = await Scene.open();
  await scene.emulator.createRepository('contoso/Payments/web');
  const daemon = await scene.daemon(
    scene.plainConfiguration.replace('{ http: 127.0.0.1:0 }', '{ http: { address: 127.0.0.1:0, tls: auto }, ssh: 127.0.0.1:0 }') +
      'telemetry: { listen: 127.0.0.1:0 }\n',
  );
  const env = await scene.sshEnvironment();
  await succeed(scene.git(['ls-remote', daemon.sshUrl('ssh.dev.azure.com/v3/contoso/Payments/web')], { env }));
  await scene.git(['ls-remote', daemon.sshUrl('github.com/nobody/nothing')], { env });
  printed = readExposition((await ask(`${daemon.telemetry}/metrics`)).body.toString());
  documented = rowsOf(await file('docs/TELEMETRY.md'));
  dashboard = JSON.parse(await file('config/grafana/postern-dashboard.json')) as Dashboard;
  const groups = parse(await file('config/prometheus/postern-alerts.yml')) as { groups: { rules: Rule[] }[] };
  rules = groups.groups.flatMap((group) => group.rules);
});
afterAll(() => scene.close());

/** Rows of the table of measurements, by name. */
function rowsOf(page: string): ReadonlyMap<string, Row> {
  const rows = [...page.matchAll(/^\| `([a-z0-9_]+)` \| (counter|gauge|histogram) \| ([^|]+) \| ([^|]*)\| ([^|]+) \|$/gm)];
  return new Map(
    rows.map(([, name = '', type = '', , labels = '']) => [
      name,
      { type, labels: [...labels.matchAll(/`([a-z]+)`/g)].map((each) => each[1] ?? '') },
    ]),
  );
}

const labelsOf = ({ samples }: Exposed): string[] =>
  [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))].filter((label) => label !== 'le');

describe('docs/TELEMETRY.md', () => {
  test('has every measurement that a daemon prints, with its type, and no other', () => {
    const types = (from: ReadonlyMap<string, { type: string }>): string[] => [...from].map(([name, { type }]) => `${name} ${type}`).sort();
    expect(types(documented)).toEqual(types(printed));
    expect(documented.size).toBeGreaterThan(50);
  });

  test('has their labels', () => {
    for (const { name, labels } of Object.values(FAMILIES)) expect([name, documented.get(name)?.labels]).toEqual([name, labels]);
    for (const [name, family] of printed) for (const label of labelsOf(family)) expect(documented.get(name)?.labels, name).toContain(label);
  });

  test('has every phase', async () => {
    const page = await file('docs/TELEMETRY.md');
    for (const phase of PHASES) expect(page).toContain(`\n| \`${phase}\` | `);
  });
});

test('what a daemon prints says what it is, in the units of its name', () => {
  for (const [name, { help, type }] of printed) {
    expect(help.length, name).toBeGreaterThan(10);
    expect(name.endsWith('_total'), name).toBe(type === 'counter');
  }
  for (const { name, labels } of Object.values(FAMILIES)) {
    expect(name).toMatch(/^postern_[a-z_]+$/);
    for (const label of labels) expect(label).not.toMatch(/repository|ref$|lease|route|path|address/);
  }
  // All but those of which there was none in this run.
  const empty = [...printed].filter(([name, { samples }]) => name.startsWith('postern_') && samples.length === 0).map(([name]) => name);
  expect(empty).toEqual(['postern_operations_running', 'postern_upstream_retries_total', 'postern_pat_expiry_timestamp_seconds']);
});

/** Values that a label may be compared with, where there is an end of them. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  phase: PHASES,
  code: ERROR_CODES,
  event: LOG_EVENTS,
  level: LOG_LEVELS,
  verdict: ['passed', 'refused', 'failed', 'broken', 'client-gone', 'killed'],
  step: ['advertisement', 'exchange', 'session', 'unknown'],
  limit: ['connections', 'operations'],
  // What Prometheus adds is of the reader's choice: our example's, or all that the dashboard was told.
  job: ['postern', '$job'],
  instance: ['$instance'],
};
const ADDED = ['job', 'instance'];

/** What is wrong with a query; nothing when every name, label and value is one of ours. */
function faultsOf(expression: string): string[] {
  const { selectors, groupings } = readQuery(expression);
  const faults: string[] = [];
  const known = new Set(ADDED);
  for (const { name, matchers } of selectors) {
    if (name === 'up') {
      if (matchers.some(({ label }) => label !== 'job')) faults.push('up has other labels');
      continue;
    }
    const base = documented.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
    const row = documented.get(base);
    if (row === undefined || !printed.has(base) || (row.type === 'histogram') === (base === name)) faults.push(`${name} is not printed`);
    const labels = [...ADDED, ...(row?.labels ?? []), ...(name.endsWith('_bucket') ? ['le'] : [])];
    labels.forEach((label) => known.add(label));
    for (const { label, operator, value } of matchers) {
      if (!labels.includes(label)) {
        faults.push(`${name} has no label ${label}`);
        continue;
      }
      for (const each of operator.includes('~') ? value.split('|') : [value])
        if (VALUES[label]?.includes(each) !== true) faults.push(`${label} is never ${each}`);
    }
  }
  for (const label of groupings) if (!known.has(label)) faults.push(`nothing has the label ${label}`);
  return faults;
}

describe('faultsOf()', () => {
  test.each([
    ['sum(rate(postern_operations_totals[5m]))', 'postern_operations_totals is not printed'],
    ['postern_operation_phase_seconds', 'postern_operation_phase_seconds is not printed'],
    ['postern_operations_total_count', 'postern_operations_total_count is not printed'],
    ['postern_ready{door="http"}', 'postern_ready has no label door'],
    ['postern_operation_phase_seconds_sum{phase="ours"}', 'phase is never ours'],
    ['sum by (route) (postern_operations_total)', 'nothing has the label route'],
    ['sum by (le) (postern_operation_phase_seconds_sum)', 'nothing has the label le'],
  ])('tells what is wrong with %s', (expression, fault) => {
    expect(faultsOf(expression)).toEqual([fault]);
  });

  test('does not take what is no PromQL', () => {
    expect(() => faultsOf('sum(rate(postern_ready[5m])')).toThrow(SyntaxError);
  });
});

describe('the dashboard', () => {
  const targets = (): NonNullable<Panel['targets']>[number][] => dashboard.panels.flatMap((panel) => panel.targets ?? []);

  test('asks only for what a daemon prints', () => {
    const expressions = [...targets().map(({ expr }) => expr), ...dashboard.annotations.list.flatMap(({ expr }) => expr ?? [])];
    expect(expressions.length).toBeGreaterThan(30);
    expect(expressions.flatMap((expr) => faultsOf(expr).map((fault) => `${fault}: ${expr}`))).toEqual([]);
  });

  test('names in its legends only labels that are left', () => {
    for (const { expr, legendFormat } of targets()) {
      const { groupings, selectors } = readQuery(expr);
      const left = /^(sum|max|min|count|histogram_quantile)/.test(expr)
        ? groupings
        : [...ADDED, ...selectors.flatMap(({ name }) => documented.get(name)?.labels ?? [])];
      for (const [, label = ''] of legendFormat.matchAll(/\{\{([a-z]+)\}\}/g)) expect(left, `${legendFormat} of ${expr}`).toContain(label);
    }
  });

  test('takes its data source from a variable, and fits Grafana’s grid', () => {
    const { panels, templating, uid, schemaVersion } = dashboard;
    expect([uid, schemaVersion]).toEqual(['postern', 39]);
    expect(templating.list.map(({ name, type }) => [name, type])).toEqual([
      ['datasource', 'datasource'],
      ['job', 'query'],
      ['instance', 'query'],
    ]);
    const sources = [
      ...panels.flatMap(({ datasource, type }) => (type === 'row' ? [] : [datasource?.uid])),
      ...targets().map(({ datasource }) => datasource.uid),
    ];
    expect(new Set(sources)).toEqual(new Set(['${datasource}']));
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_each, at) => `${x + (at % w)},${y + Math.floor(at / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24);
  });
});

describe('the alert rules', () => {
  test('ask only for what a daemon prints', () => {
    expect(rules.length).toBeGreaterThan(15);
    expect(rules.flatMap(({ alert, expr }) => faultsOf(expr).map((fault) => `${alert}: ${fault}`))).toEqual([]);
  });

  test('say how bad it is, what happened, and what to do', () => {
    expect(new Set(rules.map(({ alert }) => alert)).size).toBe(rules.length);
    for (const { alert, labels, annotations, for: wait } of rules) {
      expect(alert).toMatch(/^Postern[A-Z][A-Za-z]+$/);
      expect(['critical', 'warning'], alert).toContain(labels.severity);
      expect(annotations.summary, alert).toContain('{{ $labels.instance }}');
      expect(annotations.what_to_do.length, alert).toBeGreaterThan(30);
      if (wait !== undefined) expect(wait, alert).toMatch(/^[0-9]+[mh]$/);
    }
  });

  test('keep in their summaries only labels that their expressions leave', () => {
    for (const { alert, expr, annotations } of rules) {
      const { selectors, groupings } = readQuery(expr);
      const left = groupings.length > 0 ? groupings : [...ADDED, ...selectors.flatMap(({ name }) => documented.get(name)?.labels ?? [])];
      for (const [, label = ''] of annotations.summary.matchAll(/\$labels\.([a-z]+)/g)) expect(left, alert).toContain(label);
    }
  });

  test('are found by the example of a configuration, under the name of job that they know', async () => {
    const example = parse(await file('config/prometheus/scrape.example.yml')) as {
      rule_files: string[];
      scrape_configs: { job_name: string }[];
    };
    expect(example.rule_files).toEqual(['postern-alerts.yml']);
    expect(example.scrape_configs.map(({ job_name }) => job_name)).toEqual(['postern']);
  });
});
