// The scenarios of a catalogue, one after the other.

import { parametersOf, type Scenario, variantsOf } from '../litmus/index.ts';
import { wrap } from './layout.ts';

/** `{"scenario","sentence","sources","parameters":{name:[values]},"variants":[{"id","variant"}],"invariants"}` */
export function catalogueJson(scenario: Scenario): string {
  const { name, sentence, sources } = scenario;
  return JSON.stringify({
    scenario: name.text,
    sentence,
    sources,
    parameters: Object.fromEntries(parametersOf(scenario).map(({ name: parameter, values }) => [parameter, values])),
    variants: variantsOf(scenario).map(({ id, variant }) => ({ id: id ?? null, variant })),
    invariants: invariantsOf(scenario),
  });
}

/** A few lines for each: its name and the numbers of its variants, then its sentence. */
export function* catalogueText(
  scenarios: readonly Scenario[],
  width: number,
  style: (format: 'bold', text: string) => string = (_, text) => text,
): Generator<string> {
  for (const scenario of scenarios) {
    const ids = [...new Set(scenario.variants.map(({ name }) => name.text))];
    const variants = ids.length === 0 ? '' : `  ${ids.join(' ')}`;
    const [first = '', ...further] = wrap(`${scenario.name.text}${variants}`, width);
    yield first.replace(scenario.name.text, style('bold', scenario.name.text));
    yield* further;
    for (const line of wrap(`  ${scenario.sentence}`, width)) yield line.replace(/^ {4}/, '  ');
  }
}

/** Those that the file expects something of. */
function invariantsOf({ expectations }: Scenario): readonly string[] {
  return [...new Set(expectations.map(({ invariant }) => invariant.text))];
}
