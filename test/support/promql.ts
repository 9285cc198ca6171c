/** What a PromQL expression asks for, by Prometheus' own grammar: names of measurements, and labels with the values they are compared to. */
import { parser } from '@prometheus-io/lezer-promql';

export interface Selector {
  readonly name: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

export interface Query {
  readonly selectors: readonly Selector[];
  /** Labels that something is grouped or matched by. */
  readonly groupings: readonly string[];
}

type Node = ReturnType<typeof parser.parse>['topNode'];

/** Reads an expression, with Grafana's variables in it. @throws SyntaxError */
export function readQuery(expression: string): Query {
  const text = expression.replace(/\$__rate_interval|\$__interval/g, '5m');
  const selectors: Selector[] = [];
  const groupings: string[] = [];
  const of = (node: { from: number; to: number }): string => text.slice(node.from, node.to);
  parser.parse(text).iterate({
    enter: ({ type, node }) => {
      if (type.isError) throw new SyntaxError(`no PromQL at ${node.from}: ${expression}`);
      if (type.name === 'GroupingLabels') groupings.push(...node.getChildren('LabelName').map(of));
      if (type.name !== 'VectorSelector') return;
      const name = node.getChild('Identifier');
      const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
      selectors.push({ name: name === null ? '' : of(name), matchers: matchers.map((each) => readMatcher(each, of)) });
    },
  });
  return { selectors, groupings };
}

function readMatcher(node: Node, of: (node: Node) => string): Selector['matchers'][number] {
  const part = (name: string): string => {
    const child = node.getChild(name);
    return child === null ? '' : of(child);
  };
  return { label: part('LabelName'), operator: part('MatchOp'), value: part('StringLiteral').slice(1, -1) };
}
